//! `query_timeout`: what runs for too long is cancelled on its server, in both protocols, on one shard and on
//! several, and the client is told what Postgres tells for `statement_timeout`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use support::config::Config;
use support::eventually;
use support::frame::Reply;
use support::message::{bind, execute, parse, query, sync};
use support::postgres::Postgres;
use support::process;
use support::proxy::Howdah;
use support::wire::Wire;

fn howdah() -> Howdah {
    Howdah::start(
        &Config::new(&[Postgres::shared().port]).pool("size", 2).general("query_timeout", "\"400ms\""),
    )
}

fn one(sql: &str) -> Vec<u8> {
    [parse("", sql, &[]), bind("", "", &[], &[], &[]), execute("", 0)].concat()
}

fn is_timeout(reply: &Reply) {
    assert_eq!(reply.sqlstate().as_deref(), Some("57014"), "{:?}", reply.frames);
    assert_eq!(reply.message().as_deref(), Some("canceling statement due to statement timeout"));
}

/// The server runs nothing that contains `text` any more.
fn ends(postgres: &Postgres, text: &str) {
    let mut direct = postgres.app();
    let sql = format!(
        "select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and query like '%{text}%'"
    );
    eventually("the server has stopped", 5, || direct.value(&sql) == "0");
}

#[test]
fn a_long_statement_is_cancelled_in_both_protocols() {
    let howdah = howdah();
    let mut wire = howdah.app();
    for message in [
        query("select 'long' from pg_sleep(30)"),
        [one("select 'long' from pg_sleep(30)"), sync()].concat(),
        query("select 1; select 'long' from pg_sleep(30); select 2"),
        [one("select 1"), one("select 'long' from pg_sleep(30)"), one("select 2"), sync()].concat(),
        query("set statement_timeout = 0; select 'long' from pg_sleep(30)"),
        query("explain analyze select 'long' from pg_sleep(30)"),
    ] {
        let began = Instant::now();
        is_timeout(&wire.ask(&message));
        assert!((300..5000).contains(&began.elapsed().as_millis()), "after {:?}", began.elapsed());
        assert_eq!(wire.value("select 1"), "1");
    }
    ends(Postgres::shared(), "long");
}

#[test]
fn each_statement_of_a_message_has_the_whole_time() {
    let howdah = howdah();
    let mut wire = howdah.app();
    let many = ["select pg_sleep(0.15)"; 6];
    wire.run(&many.join(";"));
    let pipeline: Vec<u8> = many.iter().flat_map(|sql| one(sql)).chain(sync()).collect();
    assert_eq!(wire.ask(&pipeline).ok().rows().len(), 6);
    let began = Instant::now();
    is_timeout(&wire.query("select 1; select 'long' from pg_sleep(30)"));
    assert!((700..5000).contains(&began.elapsed().as_millis()), "after {:?}", began.elapsed());
    wire.run("begin");
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(wire.value("select 1"), "1", "an idle transaction is none of it");
}

#[test]
fn a_block_is_aborted_and_others_go_on() {
    let howdah = howdah();
    let (mut a, mut b) = (howdah.app(), howdah.app());
    a.run("begin");
    a.send(&query("select pg_sleep(30)"));
    for _ in 0..8 {
        assert_eq!(b.run("select pg_sleep(0.1)").rows().len(), 1);
    }
    let reply = a.reply();
    is_timeout(&reply);
    assert_eq!(reply.status(), 'E');
    assert_eq!(a.query("select 1").sqlstate().as_deref(), Some("25P02"));
    a.run("rollback");
    assert_eq!(a.value("select 1"), "1");
}

#[test]
fn a_copy_that_waits_for_its_client_is_cancelled() {
    let howdah = howdah();
    let mut wire = howdah.app();
    wire.run("create temp table t (a int)");
    wire.send(&query("copy t from stdin"));
    is_timeout(&wire.reply());
    wire.send(&support::message::copy_done());
    assert_eq!(wire.value("select count(*) from t"), "0");
    wire.send(&one("copy t from stdin"));
    is_timeout(&wire.until(b'E'));
    wire.send(&[support::message::copy_data(b"1\n"), support::message::copy_done()].concat());
    assert_eq!(wire.ask(&sync()).status(), 'I');
    assert_eq!(wire.value("select count(*) from t"), "0");
}

#[test]
fn without_a_timeout_statements_run_on() {
    let howdah = Howdah::start(&Config::new(&[Postgres::shared().port]));
    assert_eq!(howdah.app().run("select pg_sleep(1.2)").rows().len(), 1);
}

#[test]
fn a_reload_changes_it() {
    let config = Config::new(&[Postgres::shared().port]);
    let howdah = Howdah::start(&config);
    let mut wire = howdah.app();
    wire.run("select pg_sleep(0.7)");
    let timed = config.general("query_timeout", "\"300ms\"");
    std::fs::write(&howdah.file, timed.text(howdah.port)).unwrap();
    howdah.admin().run("reload");
    is_timeout(&wire.query("select pg_sleep(5)"));
}

#[test]
fn statements_of_one_shard_and_of_all_are_cancelled() {
    let shards = [Postgres::start(), Postgres::start()];
    for shard in &shards {
        shard.app().run(
            "create table users (id int8 primary key, name text);
             insert into users select i, 'x' from generate_series(1, 3) i",
        );
    }
    let rules = process::temporary_folder("rules");
    let text =
        "[[group]]\nname = \"g\"\n[[sharded]]\ntable = \"public.users\"\nkey = \"id\"\ngroup = \"g\"\n";
    std::fs::write(rules.join("rules.toml"), text).unwrap();
    let ports = [shards[0].port, shards[1].port];
    let config = Config::new(&ports).pool("size", 2).rules(rules).general("query_timeout", "\"400ms\"");
    let howdah = Howdah::start(&config);
    // No shard can read the table: a statement over all waits for the lock.
    let mut locks: Vec<Wire> = shards.iter().map(Postgres::app).collect();
    let mut wire = howdah.app();
    let lone = "select name from users where id = 1 and pg_sleep(30) is not null";
    let all = "select count(*) from users";
    for sql in [lone, all] {
        if sql == all {
            locks
                .iter_mut()
                .for_each(|lock| drop(lock.run("begin; lock table users in access exclusive mode")));
        }
        is_timeout(&wire.query(sql));
        is_timeout(&wire.ask(&[one(sql), sync()].concat()));
        wire.run("begin");
        is_timeout(&wire.query(sql));
        wire.run("rollback");
    }
    locks.iter_mut().for_each(|lock| drop(lock.run("rollback")));
    assert_eq!(wire.value(all), "6");
    shards.iter().for_each(|shard| ends(shard, "from users"));
}
