//! Statements that need several shards and follow each other in one message, or in one pipeline: the
//! bytes that one Postgres answers come also over three shards.
//!
//! The exchanges are in `tests/corpus/steps.txt`, in the notation of `support/script.rs`. Rows of one
//! statement may come in any order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use support::compare::difference;
use support::config::Config;
use support::message::{bind, copy_data, copy_done, execute, flush, parse, sync};
use support::postgres::Postgres;
use support::process;
use support::proxy::Howdah;
use support::relay::{Fault, Relay};
use support::script::{self, Script, Sending, Step};
use support::wire::Event;

const SCHEMA: &str = "create table kv (k int8 primary key, v text)";
const HOME: &str = "create table log (a int, b text); create schema other;
    create table other.only_other (name text); insert into other.only_other values ('here')";
const ROWS: &str = "insert into kv select i, 'v' || i from generate_series(1, 40) i";
const RULES: &str = "
[[group]]
name = \"kv\"

[[sharded]]
table = \"public.kv\"
key = \"k\"
group = \"kv\"
";

struct Stage {
    shards: Vec<Postgres>,
    plain: Postgres,
    howdah: Howdah,
}

impl Stage {
    fn new(pool: usize) -> Stage {
        let shards: Vec<Postgres> = (0..3).map(|_| Postgres::start()).collect();
        for (number, shard) in shards.iter().enumerate() {
            let mut wire = shard.app();
            wire.run(SCHEMA);
            if number == 0 {
                wire.run(HOME);
            }
            wire.run(&format!("{ROWS} where ((hashint8extended(i, 0) & 4095) * 3 / 4096) = {number}"));
        }
        let plain = Postgres::start();
        for sql in [SCHEMA, HOME, ROWS] {
            plain.app().run(sql);
        }
        let rules = process::temporary_folder("rules");
        std::fs::write(rules.join("rules.toml"), RULES).unwrap();
        let ports: Vec<u16> = shards.iter().map(|shard| shard.port).collect();
        let howdah = Howdah::start(&Config::new(&ports).pool("size", pool).rules(rules));
        Stage { shards, plain, howdah }
    }
}

fn corpus() -> Vec<Script> {
    script::parse(include_str!("corpus/steps.txt"))
}

/// An exchange's steps, rows of one statement in one order.
fn run(script: &Script, port: u16, sending: Sending) -> Vec<Step> {
    let mut steps = script.run(port, sending);
    let is_row = |event: &Event| matches!(event, Event::Frame(frame) if frame.tag == b'D');
    for step in &mut steps {
        for rows in step.events.chunk_by_mut(|a, b| is_row(a) && is_row(b)) {
            rows.sort_by_key(|event| match event {
                Event::Frame(frame) => frame.body.clone(),
                Event::Closed | Event::TimedOut => Vec::new(),
            });
        }
    }
    steps
}

#[test]
fn every_exchange_is_answered_as_by_one_postgres() {
    let stage = Stage::new(2);
    let mut wrong = Vec::new();
    for script in corpus() {
        let expected = run(&script, stage.plain.port, Sending::Whole);
        for sending in [Sending::Whole, Sending::Chunks(5)] {
            let found = run(&script, stage.howdah.port, sending);
            if let Some(difference) = difference(&expected, &found) {
                wrong.push(format!("{} ({sending:?})\n{difference}", script.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} exchanges differ:\n{}", wrong.len(), wrong.join("\n\n"));
    let open = "select count(*) from pg_stat_activity where state like 'idle in transaction%'";
    for shard in &stage.shards {
        assert_eq!(shard.app().value(open), "0", "a transaction is open on a shard");
        assert_eq!(shard.app().value("select count(*) from kv where v <> 'v' || k"), "0");
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_leaves_nothing() {
    let stage = Stage::new(2);
    for _ in 0..3 {
        let mut wire = stage.howdah.app();
        wire.run("begin; select v from kv where k = 1; update kv set v = 'half' where k = 2; select v from kv where k = 3");
        drop(wire);
        let mut wire = stage.howdah.app();
        wire.send(
            &[
                support::message::parse("", "update kv set v = 'half' where k = 2", &[]),
                support::message::bind("", "", &[], &[], &[]),
                support::message::execute("", 0),
                support::message::parse("", "select v from kv where k = 3", &[]),
                support::message::bind("", "", &[], &[], &[]),
                support::message::execute("", 0),
                support::message::flush(),
            ]
            .concat(),
        );
        drop(wire);
    }
    let mut wire = stage.howdah.app();
    support::eventually("nothing is left of the clients", 5, || {
        wire.value("select count(*) from kv where v = 'half'") == "0"
            && stage.shards.iter().all(|shard| {
                let open = "select count(*) from pg_stat_activity where state like 'idle in transaction%'";
                shard.app().value(open) == "0"
            })
    });
}

/// What has arrived may be longer than what is read ahead, and end where a message ends.
#[test]
fn a_long_pipeline_without_sync_is_read_on() {
    let stage = Stage::new(2);
    let (mut wire, mut other) = (stage.howdah.app(), stage.howdah.app());
    wire.patience = std::time::Duration::from_secs(20);
    let text = vec![b'x'; 32 * 1024];
    let row = [
        support::message::bind("", "", &[], &[Some(b"7"), Some(&text)], &[]),
        support::message::execute("", 0),
    ]
    .concat();
    wire.send(&support::message::parse("", "insert into log values ($1, $2)", &[]));
    for _ in 0..4 {
        wire.send(&row.repeat(12));
        assert_eq!(other.value("select count(*) from log where a = 7"), "0");
    }
    wire.send(&support::message::sync());
    let reply = wire.until(b'Z');
    assert_eq!(reply.tagged(b'C').count(), 48);
    assert_eq!(other.value("select count(*) from log where a = 7"), "48");
}

#[test]
fn a_block_over_several_shards_is_not_prepared() {
    let stage = Stage::new(2);
    let mut wire = stage.howdah.app();
    for before in
        ["select count(*) from kv", "update kv set v = 'x' where k = 1; update kv set v = 'v1' where k = 1"]
    {
        wire.run(&format!("begin; select count(*) from log; {before}"));
        let reply = wire.query("prepare transaction 'several'");
        assert_eq!((reply.sqlstate().as_deref(), reply.status()), (Some("0A000"), 'E'), "{before}");
        wire.run("rollback");
    }
}

fn steps_of(sql: &str) -> Vec<u8> {
    [parse("", sql, &[]), bind("", "", &[], &[], &[]), execute("", 0)].concat()
}

#[test]
fn a_copy_among_what_every_shard_runs_ends_rather_than_waits_for_data() {
    let stage = Stage::new(2);
    let mut wire = stage.howdah.app();
    wire.run("begin; select v from kv where k = 1; select v from kv where k = 2");
    wire.send(&[steps_of("set local work_mem = '5MB'"), steps_of("copy log from stdin"), sync()].concat());
    assert_eq!(wire.until(b'E').sqlstate().as_deref(), Some("0A000"));
    let rest = wire.ask(&[copy_data(b"1\tx\n"), copy_done(), sync()].concat());
    assert_eq!((rest.shape().as_str(), rest.status()), ("Z", 'E'));
    wire.run("rollback");
    assert_eq!(wire.value("select count(*) from log"), "0");
}

#[test]
fn what_fails_before_a_flush_is_followed_by_sync() {
    let stage = Stage::new(2);
    let mut wire = stage.howdah.app();
    wire.run("begin; select v from kv where k = 1; select v from kv where k = 2");
    wire.send(&[steps_of("set local work_mem = 'much'"), flush()].concat());
    assert_eq!(wire.until(b'E').sqlstate().as_deref(), Some("22023"));
    assert_eq!(wire.ask(&sync()).status(), 'E');
    wire.run("rollback");
    assert_eq!(wire.value("select v from kv where k = 1"), "v1");
}

/// A statement is prepared anew on another connection, and its columns are asked for: there the server is lost.
#[test]
fn a_server_that_is_lost_while_messages_wait_for_it() {
    let stage = Stage::new(1);
    let mut wire = stage.howdah.app();
    let run = [bind("", "all", &[], &[Some(b"1")], &[]), execute("", 0), sync()].concat();
    wire.ask(&[parse("all", "select * from kv where k = $1::int8", &[]), sync()].concat()).ok();
    assert_eq!(wire.ask(&run).ok().rows().len(), 1);
    let shard = stage
        .shards
        .iter()
        .find(|shard| shard.app().value("select count(*) from kv where k = 1") == "1")
        .unwrap();
    let ends = |which: &str| {
        let sql = format!(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where {which} and pid <> pg_backend_pid()"
        );
        shard.app().value(&sql) != "0"
    };
    for block in [false, true] {
        ends("query not like '%pg_stat_activity%' and backend_type = 'client backend'");
        std::thread::sleep(std::time::Duration::from_millis(300));
        if block {
            wire.run("begin");
        }
        let mut other = shard.app();
        other.run("begin; lock table kv");
        wire.send(&run);
        support::eventually("it waits for the lock", 5, || ends("wait_event_type = 'Lock'"));
        let reply = wire.reply();
        assert_eq!(
            (reply.shape().as_str(), reply.status()),
            ("EZ", if block { 'E' } else { 'I' }),
            "{reply:?}"
        );
        other.run("rollback");
        if block {
            wire.run("rollback");
        }
        assert_eq!(wire.ask(&run).ok().rows().len(), 1);
    }
}

#[test]
fn planted_differences_are_found() {
    let stage = Stage::new(2);
    let scripts = corpus();
    let script = scripts.iter().find(|script| script.name == "a read of all shards among others").unwrap();
    let expected = run(script, stage.plain.port, Sending::Whole);
    assert_eq!(difference(&expected, &run(script, stage.howdah.port, Sending::Whole)), None);
    for fault in [Fault::Drop(b'D'), Fault::Double(b'D'), Fault::Drop(b'C'), Fault::Double(b'Z')] {
        let relay = Relay::start(stage.howdah.port, fault);
        let mut found = run(script, relay.port, Sending::Whole);
        found.truncate(expected.len());
        assert!(difference(&expected, &found).is_some(), "not found: {fault:?}");
    }
}
