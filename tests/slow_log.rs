//! The line of a slow statement: there for each, in both protocols, on one shard and on several; with the right text,
//! and never a literal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use support::config::Config;
use support::eventually;
use support::message::{bind, execute, parse, query, sync};
use support::postgres::Postgres;
use support::process;
use support::proxy::Howdah;
use support::wire::Wire;

/// In every statement, and in no line.
const SECRET: &str = "hunter4711";

fn lines(howdah: &Howdah) -> Vec<String> {
    howdah.log().lines().filter(|line| line.contains("slow statement")).map(str::to_owned).collect()
}

/// Sends each message; its line says `shown`.
fn each_is_told(howdah: &Howdah, wire: &mut Wire, cases: &[(Vec<u8>, &str)]) {
    for (message, shown) in cases {
        let before = lines(howdah).len();
        wire.ask(&query("select 'quick'"));
        wire.ask(message).ok();
        eventually("the line", 5, || lines(howdah).len() > before);
        let lines = lines(howdah);
        assert_eq!(lines.len(), before + 1, "{shown}: {lines:#?}");
        assert!(lines[before].contains(shown), "{shown} is not in {}", lines[before]);
    }
    assert!(!howdah.log().contains(SECRET), "{}", howdah.log());
}

fn extended(name: &str, sql: &str) -> Vec<u8> {
    [parse(name, sql, &[]), bind("", name, &[], &[], &[]), execute("", 0), sync()].concat()
}

fn bound(name: &str) -> Vec<u8> {
    [bind("", name, &[], &[], &[]), execute("", 0), sync()].concat()
}

#[test]
fn slow_statements_are_told_without_literals() {
    let howdah =
        Howdah::start(&Config::new(&[Postgres::shared().port]).general("slow_statement", "\"150ms\""));
    let mut wire = howdah.app();
    let slow = |what: &str| format!("select '{SECRET}' as {what} from pg_sleep(0.2) /* {SECRET} */");
    let large = format!("select '{SECRET}' as large, '{}' from pg_sleep(0.2)", "x".repeat(100_000));
    each_is_told(
        &howdah,
        &mut wire,
        &[
            (query(&slow("simple")), "select ? as simple from pg_sleep (?)"),
            (
                query(&format!("select 1; {}; set app.x = {SECRET}", slow("several"))),
                "select ?; select ? as several from pg_sleep (?); set app.x = ?",
            ),
            (extended("", &slow("unnamed")), "select ? as unnamed"),
            (extended("one", &slow("named")), "select ? as named"),
            (bound("one"), "select ? as named"),
            (
                [
                    parse("", &slow("first"), &[]),
                    bind("", "", &[], &[], &[]),
                    execute("", 0),
                    extended("", "select 2"),
                ]
                .concat(),
                "select ? as first",
            ),
        ],
    );
    each_is_told(&howdah, &mut wire, &[(query(&large), "select ? as large, ...")]);
}

#[test]
fn slow_statements_of_shards_are_told() {
    let shards = [Postgres::start(), Postgres::start()];
    for shard in &shards {
        shard.app().run("create table users (id int8 primary key, name text)");
    }
    let rules = process::temporary_folder("rules");
    let text =
        "[[group]]\nname = \"g\"\n[[sharded]]\ntable = \"public.users\"\nkey = \"id\"\ngroup = \"g\"\n";
    std::fs::write(rules.join("rules.toml"), text).unwrap();
    let config = Config::new(&[shards[0].port, shards[1].port]).rules(rules);
    let howdah = Howdah::start(&config.general("slow_statement", "\"150ms\""));
    let mut wire = howdah.app();
    wire.run("insert into users values (1, 'x')");
    let lone = format!(
        "select name as lone from users where id = 1 and name <> '{SECRET}' and pg_sleep(0.2) is not null"
    );
    each_is_told(
        &howdah,
        &mut wire,
        &[
            (query(&lone), "select name as lone from users where id = ?"),
            (extended("", &lone), "select name as lone"),
            (extended("one", &lone), "select name as lone"),
            (bound("one"), "select name as lone"),
            (query(&format!("select 1; {lone}")), "select ?; select name as lone"),
        ],
    );
    // All shards wait for a lock.
    let all = format!("select count(*) as all_of from users where name <> '{SECRET}'");
    for message in [query(&all), extended("", &all)] {
        let mut lock = shards[1].app();
        lock.run("begin; lock table users in access exclusive mode");
        let before = lines(&howdah).len();
        wire.send(&message);
        std::thread::sleep(std::time::Duration::from_millis(250));
        lock.run("rollback");
        wire.reply().ok();
        eventually("the line", 5, || lines(&howdah).len() > before);
        let last = lines(&howdah).pop().unwrap();
        assert!(last.contains("select count (*) as all_of from users where name <> ?"), "{last}");
    }
    assert!(!howdah.log().contains(SECRET));
}
