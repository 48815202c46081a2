//! Clients see the home shard's OIDs, whichever shard answers.
//!
//! Drivers' values are in tests/clients.rs; here are descriptions of columns, where only tables have other OIDs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod store_support;
mod support;

use store_support::{RULES, USERS, begin, config, on_shard, rules};
use support::frame::Reply;
use support::message::{bind, execute, named, parse, sync};
use support::postgres::Postgres;

/// Table and type OIDs of the first column.
fn first_column(reply: &Reply) -> (u32, u32) {
    let description = reply.tagged(b'T').next().unwrap_or_else(|| panic!("no columns: {reply:?}"));
    let name_end = 2 + description.body[2..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let oid = |at: usize| u32::from_be_bytes(description.body[at..at + 4].try_into().unwrap());
    (oid(name_end), oid(name_end + 6))
}

#[test]
fn columns_are_described_in_the_home_shards_oids() {
    let all: Vec<Postgres> = (0..3).map(|_| Postgres::start()).collect();
    for (number, shard) in all.iter().enumerate() {
        for other in 0..number * 2 {
            shard.app().run(&format!("create table other{other} (a int)"));
        }
        shard.app().run(USERS);
    }
    let oid = |shard: &Postgres, sql: &str| shard.app().value(sql).parse::<u32>().unwrap();
    let table = "select 'users'::regclass::oid";
    let row = "select reltype from pg_class where relname = 'users'";
    let expected = (oid(&all[0], table), oid(&all[0], row));
    assert_ne!(expected.0, oid(&all[1], table), "the shards are alike: nothing is tested");
    let rules = rules(RULES);
    let howdah = begin(&config(&all, &rules));
    let mut wire = howdah.app();
    for shard in 0..3 {
        let key = all[0].app().value(&format!(
            "select min(id) from generate_series(1, 200) id where {}",
            on_shard("id", shard, 3)
        ));
        let sql = format!("select id from users where id = {key}");
        assert_eq!(first_column(&wire.query(&sql)), (expected.0, 20), "shard {shard}");
        let messages = [
            parse("", &sql, &[]),
            bind("", "", &[], &[], &[1]),
            named(b'D', b'P', ""),
            execute("", 0),
            sync(),
        ];
        assert_eq!(first_column(&wire.ask(&messages.concat())), (expected.0, 20), "shard {shard}");
        let sql = format!("select users from users where id = {key}");
        assert_eq!(first_column(&wire.query(&sql)), expected, "shard {shard}");
    }
    assert_eq!(first_column(&wire.query("select id from users")), (expected.0, 20));
    let keys = (1..3).map(|shard| {
        all[0].app().value(&format!(
            "select min(id) from generate_series(1, 200) id where {}",
            on_shard("id", shard, 3)
        ))
    });
    let keys: Vec<String> = keys.collect();
    let sql = format!("select id from users where id in ({})", keys.join(", "));
    assert_eq!(first_column(&wire.query(&sql)), (expected.0, 20), "without the home shard");
}
