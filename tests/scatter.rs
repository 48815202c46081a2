//! A statement at work on several shards: what becomes of it when a shard fails, the client cancels, leaves
//! or reads slowly. Three shards; locks held on their own connections make statements wait where they
//! should.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use support::config::Config;
use support::eventually;
use support::message;
use support::postgres::Postgres;
use support::process;
use support::proxy::Howdah;
use support::wire::{Event, Wire};

use std::time::{Duration, Instant};

const RULES: &str = "
[[group]]
name = \"things\"

[[sharded]]
table = \"public.things\"
key = \"id\"
group = \"things\"
";

/// The condition that puts a key on a shard: 4,096 buckets, bucket b on shard ⌊b·3/4096⌋.
fn on_shard(key: &str, shard: usize) -> String {
    format!("((hashint8extended({key}, 0) & 4095) * 3 / 4096) = {shard}")
}

/// Three shards with a Howdah in front.
struct Stage {
    shards: Vec<Postgres>,
    howdah: Howdah,
}

impl Stage {
    /// `rows`: a SELECT of id and text.
    fn new(rows: &str) -> Stage {
        let shards: Vec<Postgres> = (0..3).map(|_| Postgres::start()).collect();
        for (number, shard) in shards.iter().enumerate() {
            let mut wire = shard.app();
            wire.run("create table things (id int8 primary key, t text)");
            wire.run(&format!(
                "insert into things select * from ({rows}) r(i, t) where {}",
                on_shard("i", number)
            ));
        }
        let rules = process::temporary_folder("rules");
        std::fs::write(rules.join("rules.toml"), RULES).unwrap();
        let ports: Vec<u16> = shards.iter().map(|shard| shard.port).collect();
        let howdah = Howdah::start(
            &Config::new(&ports).pool("size", 3).general("admin_users", "[\"app\"]").rules(rules),
        );
        Stage { shards, howdah }
    }

    /// Statements on the table wait on this shard until the session is gone.
    fn lock(&self, shard: usize) -> Wire {
        let mut wire = self.shards[shard].app();
        wire.run("begin; lock table things");
        wire
    }

    /// How many statements of clients run on a shard.
    fn at_work(&self, shard: usize) -> String {
        self.shards[shard].app().value(
            "select count(*) from pg_stat_activity where pid <> pg_backend_pid()
                and backend_type = 'client backend' and state = 'active' and query like '%things%'",
        )
    }

    fn wait_at_work(&self, shard: usize, count: &str) {
        let what = format!("{count} statements run on shard {shard}");
        eventually(&what, 10, || self.at_work(shard) == count);
    }

    /// Nothing is left of what went before, and statements are answered right.
    fn is_well(&self, wire: &mut Wire, rows: &str) {
        for shard in 0..3 {
            self.wait_at_work(shard, "0");
        }
        for _ in 0..3 {
            assert_eq!(wire.value("select count(*) from things"), rows);
        }
        let open = "select count(*) from pg_stat_activity where state like 'idle in transaction%'";
        for shard in &self.shards {
            assert_eq!(shard.app().value(open), "0", "a transaction is open on a shard");
        }
    }
}

const FORTY: &str = "select i, 'thing ' || i from generate_series(1, 40) i";

#[test]
fn a_cancel_request_reaches_all_shards() {
    let stage = Stage::new(FORTY);
    let mut wire = stage.howdah.app();
    for begin in ["", "begin"] {
        wire.run(begin);
        let locks: Vec<Wire> = (0..3).map(|shard| stage.lock(shard)).collect();
        wire.send(&message::query("select count(*) from things"));
        (0..3).for_each(|shard| stage.wait_at_work(shard, "1"));
        let began = Instant::now();
        wire.cancel();
        let reply = wire.reply();
        assert_eq!(reply.sqlstate().as_deref(), Some("57014"), "{reply:?}");
        assert_eq!(reply.status(), if begin.is_empty() { 'I' } else { 'E' });
        assert!(began.elapsed() < Duration::from_secs(5));
        (0..3).for_each(|shard| stage.wait_at_work(shard, "0"));
        drop(locks);
        wire.run("rollback");
        stage.is_well(&mut wire, "40");
    }
}

#[test]
fn an_error_on_one_shard_ends_the_statement_on_the_others() {
    let stage = Stage::new(FORTY);
    let mut wire = stage.howdah.app();
    let on_last = stage.shards[2].app().value("select min(id) from things");
    let sql = format!("select 1 / (id - {on_last}) from things");
    let bound = [
        message::parse("", "select 1 / (id - $1) from things", &[20]),
        message::bind("", "", &[], &[Some(on_last.as_bytes())], &[]),
        message::execute("", 0),
        message::sync(),
    ];
    for ask in [message::query(&sql), bound.concat()] {
        for begin in ["", "begin"] {
            wire.run(begin);
            let lock = stage.lock(0);
            let reply = wire.ask(&ask);
            assert_eq!(reply.sqlstate().as_deref(), Some("22012"), "{reply:?}");
            stage.wait_at_work(0, "0");
            assert_eq!(reply.status(), if begin.is_empty() { 'I' } else { 'E' });
            if !begin.is_empty() {
                assert_eq!(wire.query("select 1").sqlstate().as_deref(), Some("25P02"));
            }
            drop(lock);
            wire.run("rollback");
            stage.is_well(&mut wire, "40");
        }
    }
}

#[test]
fn a_client_that_leaves_leaves_nothing_at_work() {
    let stage = Stage::new(FORTY);
    for by in ["vanishing", "killing"] {
        let mut wire = stage.howdah.app();
        let lock = stage.lock(1);
        wire.send(&message::query("select count(*) from things"));
        stage.wait_at_work(1, "1");
        if by == "vanishing" {
            wire.vanish();
        } else {
            let mut admin = Wire::login(stage.howdah.port, &[("user", "app"), ("database", "howdah")]);
            admin.run("kill app");
            let reply = wire.reply();
            assert_eq!(reply.sqlstate().as_deref(), Some("57P01"), "{reply:?}");
            admin.run("resume app");
        }
        stage.wait_at_work(1, "0");
        drop(lock);
        stage.is_well(&mut stage.howdah.app(), "40");
    }
}

#[test]
fn a_shard_that_dies_is_named_at_once() {
    let stage = Stage::new(FORTY);
    let mut wire = stage.howdah.app();
    for begin in ["", "begin"] {
        wire.run(begin);
        let locks = [stage.lock(0), stage.lock(1)];
        wire.send(&message::query("select count(*) from things"));
        stage.wait_at_work(1, "1");
        stage.wait_at_work(0, "1");
        let began = Instant::now();
        stage.shards[1].app().run(
            "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select count%things'
                and pid <> pg_backend_pid()",
        );
        let reply = wire.reply();
        assert!(began.elapsed() < Duration::from_secs(5));
        // The server's own last word, or Howdah's where it had none.
        let code = reply.sqlstate().unwrap();
        assert!(
            code == "57P01" || (code == "08006" && reply.message().unwrap().contains("\"s1\"")),
            "{reply:?}"
        );
        assert_eq!(reply.status(), if begin.is_empty() { 'I' } else { 'E' });
        drop(locks);
        wire.run("rollback");
        stage.is_well(&mut wire, "40");
    }
}

#[test]
fn what_all_shards_say_of_the_text_is_told_once() {
    let stage = Stage::new(FORTY);
    let mut wire = stage.howdah.app();
    // A name that is too long is cut, with a notice.
    let reply = wire.run(&format!("select id as {} from things", "x".repeat(70)));
    assert_eq!(reply.tagged(b'N').count(), 1, "{reply:?}");
    assert_eq!(reply.rows().len(), 40);
}

#[test]
fn rows_of_any_length_pass() {
    let stage = Stage::new("select i, repeat(chr(96 + i), i * i * 30000) from generate_series(1, 12) i");
    let mut wire = stage.howdah.app();
    let reply = wire.run("select t, id from things");
    assert_eq!(reply.tags(), ["SELECT 12"]);
    let mut seen = 0;
    for row in reply.tagged(b'D') {
        let cells = row.cells();
        let id: usize = String::from_utf8(cells[1].clone().unwrap()).unwrap().parse().unwrap();
        let text = cells[0].clone().unwrap();
        assert_eq!(text.len(), id * id * 30000);
        assert!(text.iter().all(|byte| usize::from(*byte) == 96 + id));
        seen += 1;
    }
    assert_eq!(seen, 12);
    stage.is_well(&mut wire, "12");
}

/// Resident memory of a process, in bytes.
fn memory_of(pid: i32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_client_that_reads_slowly_slows_the_shards() {
    let stage = Stage::new("select i, repeat('x', 200) from generate_series(1, 300000) i");
    let before = memory_of(stage.howdah.pid());
    let mut wire = stage.howdah.app();
    wire.send(&message::query("select id, t from things"));
    let waits = "select count(*) from pg_stat_activity where wait_event = 'ClientWrite'";
    for shard in &stage.shards {
        let mut direct = shard.app();
        eventually("the shard waits for the client", 20, || direct.value(waits) == "1");
    }
    let grown = memory_of(stage.howdah.pid()).saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes are held for a client that does not read");
    let mut rows = 0_usize;
    loop {
        match wire.event() {
            Event::Frame(frame) if frame.tag == b'D' => rows += 1,
            Event::Frame(frame) if frame.tag == b'C' => assert_eq!(frame.text(), "SELECT 300000"),
            Event::Frame(frame) if frame.tag == b'Z' => break,
            Event::Frame(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rows, 300_000);
}

#[test]
fn what_a_pipeline_sends_meanwhile_is_answered_after() {
    let stage = Stage::new(FORTY);
    let mut wire = stage.howdah.app();
    let lock = stage.lock(2);
    wire.send(&message::query("select count(*) from things"));
    stage.wait_at_work(2, "1");
    wire.send(&message::query("select id from things where id = 7"));
    wire.send(&message::query("select max(id) from things"));
    drop(lock);
    assert_eq!(wire.reply().value(), "40");
    assert_eq!(wire.reply().value(), "7");
    assert_eq!(wire.reply().value(), "40");
}
