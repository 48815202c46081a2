//! The tables of what Postgres comes with (`src/catalog/builtin/*.txt`) are what a live server says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use support::postgres::Postgres;

#[test]
fn the_tables_of_builtins_are_what_a_live_server_says() {
    let queries = include_str!("../src/catalog/builtin/builtin.sql");
    let mut session = Postgres::shared().app();
    for table in ["functions", "operators", "types"] {
        let (_, query) = queries.split_once(&format!("-- {table}\n")).unwrap();
        let reply = session.query(query.split(';').next().unwrap());
        assert_eq!(reply.message(), None);
        let cells =
            |row: &Vec<Option<String>>| row.iter().map(|c| c.clone().unwrap_or_default()).collect::<Vec<_>>();
        let text: String = reply.rows().iter().map(|row| cells(row).join("\t") + "\n").collect();
        let path = format!("{}/src/catalog/builtin/{table}.txt", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("HOWDAH_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let held = std::fs::read_to_string(&path).unwrap();
        let differs = held.lines().zip(text.lines()).find(|(held, live)| held != live);
        assert_eq!(differs, None, "{path} differs from the server: run this test with HOWDAH_BLESS=1");
        assert_eq!(held.lines().count(), text.lines().count(), "{path}");
    }
}
