//! Transactions that write on several shards: atomic, whatever dies at whatever step.
//!
//! What the client was told is held against what the shards hold, asked of the shards themselves, once everything
//! runs again; and no prepared transaction is left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use support::config::Config;
use support::eventually;
use support::link::Link;
use support::message::{extended, sync};
use support::postgres::Postgres;
use support::process;
use support::proxy::Howdah;
use support::wire::Wire;

const TABLES: &str = "create table account (id int8 primary key, balance int8 not null check (balance >= 0));
    create table single (id int8 primary key, note text)";
const RULES: &str = "
[[group]]
name = \"account\"

[[sharded]]
table = \"account\"
key = \"id\"
group = \"account\"
";
/// Postgres's hash of these puts them on shard 0, 1 and 2 of three (looked up below).
const ACCOUNTS: i64 = 12;

struct Cluster {
    shards: Vec<Postgres>,
    rules: PathBuf,
    /// By shard: an account there.
    on: Vec<i64>,
}

fn cluster(count: usize) -> Cluster {
    let shards: Vec<Postgres> = (0..count).map(|_| Postgres::start()).collect();
    shards.iter().for_each(|shard| drop(shard.app().run(TABLES)));
    let rules = process::temporary_folder("rules");
    std::fs::write(rules.join("rules.toml"), RULES).unwrap();
    let place = |id: i64| {
        let sql = format!("select (hashint8extended({id}, 0) & 4095) * {count} / 4096");
        shards[0].app().value(&sql).parse::<usize>().unwrap()
    };
    let places: Vec<usize> = (1..=ACCOUNTS).map(place).collect();
    for (at, place) in places.iter().enumerate() {
        shards[*place].app().run(&format!("insert into account values ({}, 1000)", at + 1));
    }
    let on =
        (0..count).map(|shard| places.iter().position(|place| *place == shard).unwrap() as i64 + 1).collect();
    Cluster { shards, rules, on }
}

impl Cluster {
    fn config(&self) -> Config {
        let ports: Vec<u16> = self.shards.iter().map(|shard| shard.port).collect();
        Config::new(&ports).rules(self.rules.clone())
    }

    fn begin(&self) -> Howdah {
        let howdah = Howdah::start(&self.config());
        drop(howdah.app());
        howdah
    }

    fn balance(&self, shard: usize) -> i64 {
        self.shards[shard]
            .app()
            .value(&format!("select balance from account where id = {}", self.on[shard]))
            .parse()
            .unwrap()
    }

    fn prepared(&self) -> i64 {
        let count = |shard: &Postgres| {
            shard.app().value("select count(*) from pg_prepared_xacts").parse::<i64>().unwrap()
        };
        self.shards.iter().map(count).sum()
    }

    fn nothing_is_left(&self) {
        eventually("nothing is prepared any more", 15, || self.prepared() == 0);
    }

    /// Moves `amount` from the account of one shard to that of another.
    fn transfer(&self, from: usize, to: usize, amount: i64) -> [String; 2] {
        [
            format!("update account set balance = balance - {amount} where id = {}", self.on[from]),
            format!("update account set balance = balance + {amount} where id = {}", self.on[to]),
        ]
    }
}

fn transfer(wire: &mut Wire, statements: &[String; 2]) {
    wire.run("begin");
    wire.run(&statements[0]);
    wire.run(&statements[1]);
    wire.run("commit");
}

// ---- what goes well ----

#[test]
fn a_block_that_writes_on_several_shards_commits_on_all() {
    let cluster = cluster(3);
    let howdah = cluster.begin();
    let mut wire = howdah.app();
    transfer(&mut wire, &cluster.transfer(0, 1, 10));
    transfer(&mut wire, &cluster.transfer(1, 2, 5));
    assert_eq!([0, 1, 2].map(|shard| cluster.balance(shard)), [990, 1005, 1005]);
    assert_eq!(cluster.prepared(), 0);
    // Three shards at once, and a single table.
    wire.run("begin");
    for shard in 0..3 {
        wire.run(&format!("update account set balance = 1 where id = {}", cluster.on[shard]));
    }
    wire.run("insert into single values (1, 'with them')");
    let reply = wire.run("commit");
    assert_eq!(reply.tags(), ["COMMIT"]);
    assert_eq!([0, 1, 2].map(|shard| cluster.balance(shard)), [1, 1, 1]);
    assert_eq!(cluster.shards[0].app().value("select note from single"), "with them");
    // And it goes on.
    assert_eq!(wire.value("select sum(balance) from account"), (1000 * (ACCOUNTS - 3) + 3).to_string());
}

#[test]
fn pipelines_and_several_statements_of_a_message_commit_on_all_or_none() {
    let cluster = cluster(2);
    let howdah = cluster.begin();
    let mut wire = howdah.app();
    let [take, give] = cluster.transfer(0, 1, 10);
    wire.run(&format!("{take}; {give}"));
    assert_eq!([cluster.balance(0), cluster.balance(1)], [990, 1010]);
    let reply = wire.query(&format!("{take}; {give}; select 1/0"));
    assert_eq!(reply.sqlstate().as_deref(), Some("22012"));
    assert_eq!([cluster.balance(0), cluster.balance(1)], [990, 1010]);
    let unsynced = |sql: &str| {
        let mut messages = extended(sql, &[]);
        messages.truncate(messages.len() - sync().len());
        messages
    };
    let reply = wire.ask(&[unsynced(&take), unsynced(&give), sync()].concat()).ok();
    assert_eq!(reply.tags(), ["UPDATE 1", "UPDATE 1"]);
    assert_eq!([cluster.balance(0), cluster.balance(1)], [980, 1020]);
    // COMMIT through the extended protocol.
    wire.run("begin");
    wire.run(&take);
    wire.run(&give);
    let reply = wire.ask(&extended("commit", &[])).ok();
    assert_eq!(reply.tags(), ["COMMIT"]);
    assert_eq!(reply.status(), 'I');
    assert_eq!([cluster.balance(0), cluster.balance(1)], [970, 1030]);
    assert_eq!(cluster.prepared(), 0);
}

#[test]
fn an_update_without_a_key_runs_on_all_shards_or_none() {
    let cluster = cluster(3);
    let howdah = cluster.begin();
    let mut wire = howdah.app();
    assert_eq!(wire.run("update account set balance = balance + 1").tags(), [format!("UPDATE {ACCOUNTS}")]);
    assert_eq!(wire.value("select sum(balance) from account"), (1001 * ACCOUNTS).to_string());
    // With rows, through the extended protocol, and with a parameter.
    let reply = wire
        .ask(&extended(
            "update account set balance = balance + $1 where id <= $2 returning id, balance",
            &[Some("1"), Some("6")],
        ))
        .ok();
    let mut rows: Vec<String> = reply
        .rows()
        .iter()
        .map(|row| format!("{}={}", row[0].as_deref().unwrap(), row[1].as_deref().unwrap()))
        .collect();
    rows.sort();
    assert_eq!(rows, ["1=1002", "2=1002", "3=1002", "4=1002", "5=1002", "6=1002"]);
    assert_eq!(reply.tags(), ["UPDATE 6"]);
    // Where one shard fails, no shard has done anything.
    let sum = wire.value("select sum(balance) from account");
    let reply = wire.query(&format!(
        "update account set balance = balance - case when id = {} then 2000 else 1 end",
        cluster.on[2]
    ));
    assert_eq!(reply.sqlstate().as_deref(), Some("23514"), "{}", reply.told());
    assert_eq!(reply.status(), 'I');
    assert_eq!(wire.value("select sum(balance) from account"), sum);
    let reply = wire.ask(&extended(
        "update account set balance = balance - case when id = $1 then 2000 else 1 end",
        &[Some(&cluster.on[2].to_string())],
    ));
    assert_eq!(reply.sqlstate().as_deref(), Some("23514"), "{}", reply.told());
    assert_eq!(wire.value("select sum(balance) from account"), sum);
    // In a block, with savepoints and statements of one shard.
    for sql in [
        "begin",
        "update account set balance = 5",
        "savepoint a",
        "delete from account",
        "rollback to a",
        "commit",
    ] {
        wire.run(sql);
    }
    assert_eq!(wire.value("select sum(balance) from account"), (5 * ACCOUNTS).to_string());
    // What would not be the same on every shard is refused.
    for sql in [
        "update account set balance = random() * 10",
        "update account set balance = extract(epoch from now())",
        "delete from account where id in (select id from single)",
    ] {
        let reply = wire.query(sql);
        assert_eq!(reply.sqlstate().as_deref(), Some("0A000"), "{sql}: {}", reply.told());
    }
    assert_eq!(wire.run("delete from account where id > 3").tags(), [format!("DELETE {}", ACCOUNTS - 3)]);
    assert_eq!(wire.run("delete from account").tags(), ["DELETE 3"]);
    assert_eq!(wire.run("delete from account").tags(), ["DELETE 0"]);
    assert_eq!(cluster.prepared(), 0);
}

#[test]
fn rollback_savepoints_and_chains_hold_on_all_shards() {
    let cluster = cluster(2);
    let howdah = cluster.begin();
    let mut wire = howdah.app();
    let [take, give] = cluster.transfer(0, 1, 10);
    for sql in ["begin", &take, &give, "rollback"] {
        wire.run(sql);
    }
    assert_eq!([cluster.balance(0), cluster.balance(1)], [1000, 1000]);
    for sql in ["begin", &take, "savepoint a", &give, &give, "rollback to a", &give, "commit and chain"] {
        wire.run(sql);
    }
    assert_eq!([cluster.balance(0), cluster.balance(1)], [990, 1010]);
    for sql in [&take, &give, "commit"] {
        wire.run(sql);
    }
    assert_eq!([cluster.balance(0), cluster.balance(1)], [980, 1020]);
    assert_eq!(cluster.prepared(), 0);
}

#[test]
fn settings_of_a_transaction_that_fails_to_prepare_are_rolled_back() {
    let cluster = cluster(2);
    for shard in &cluster.shards {
        shard.app().run("create table late (id int8 primary key, of int8 references single deferrable initially deferred)");
    }
    std::fs::write(
        cluster.rules.join("late.toml"),
        "[[sharded]]\ntable = \"late\"\nkey = \"id\"\ngroup = \"account\"\n[[reference]]\ntable = \"single\"\n",
    )
    .unwrap();
    let howdah = cluster.begin();
    let mut wire = howdah.app();
    for failing in 0..2 {
        wire.run("set statement_timeout = '11s'");
        wire.run("begin");
        wire.run("set statement_timeout = '22s'");
        wire.run(&format!("insert into late values ({}, null)", cluster.on[1 - failing]));
        wire.run(&format!("insert into late values ({}, 7)", cluster.on[failing]));
        let reply = wire.query("commit");
        assert_eq!(reply.sqlstate().as_deref(), Some("23503"), "{}", reply.told());
        assert_eq!(reply.status(), 'I');
        for id in &cluster.on {
            assert_eq!(wire.value("show statement_timeout"), "11s");
            assert_eq!(wire.value(&format!("select count(*) from late where id = {id}")), "0");
        }
    }
    assert_eq!(cluster.prepared(), 0);
}

#[test]
fn a_shard_that_cannot_prepare_fails_the_commit() {
    let shards: Vec<Postgres> =
        (0..2).map(|_| Postgres::start_with(&["max_prepared_transactions = 0"])).collect();
    let mut cluster = cluster(2);
    for (at, shard) in shards.iter().enumerate() {
        shard.app().run(TABLES);
        shard.app().run(&format!("insert into account values ({}, 1000)", cluster.on[at]));
    }
    cluster.shards = shards;
    let howdah = cluster.begin();
    let mut wire = howdah.app();
    for sql in ["begin".to_owned()].iter().chain(&cluster.transfer(0, 1, 10)) {
        wire.run(sql);
    }
    let reply = wire.query("commit");
    assert_eq!(reply.sqlstate().as_deref(), Some("55000"), "{}", reply.told());
    assert!(reply.told().contains("max_prepared_transactions"), "{}", reply.told());
    assert_eq!([cluster.balance(0), cluster.balance(1)], [1000, 1000]);
    wire.run("select 1");
}

#[test]
fn a_client_cannot_make_outcomes() {
    let cluster = cluster(2);
    let howdah = cluster.begin();
    transfer(&mut howdah.app(), &cluster.transfer(0, 1, 10));
    cluster.shards[0].app().run("create role plain login");
    let mut direct = cluster.shards[0].session("plain", "app");
    assert_eq!(direct.value("select is_commit from howdah.decision"), "t");
    for sql in [
        "insert into howdah.decision values ('x', 1, true, '{}')",
        "delete from howdah.decision",
        "update howdah.decision set is_commit = true",
    ] {
        assert_eq!(direct.query(sql).sqlstate().as_deref(), Some("42501"), "{sql}");
    }
}

// ---- what dies ----

/// A place at which the proxy dies, and whether the transaction is committed then.
const PLACES: [(&str, bool); 7] = [
    ("before-record", false),
    ("before-prepare", false),
    ("after-prepare", false),
    ("before-commit", false),
    ("after-commit", true),
    ("before-follow", true),
    ("after-follow", true),
];

#[test]
fn the_proxy_dies_at_every_step() {
    let cluster = cluster(3);
    println!("{:<16} {:>9} {:>9}", "place", "shards", "seconds");
    for (place, is_committed) in PLACES {
        for shards in [2, 3] {
            let before = [0, 1, 2].map(|shard| cluster.balance(shard));
            let armed = process::temporary_folder("armed").join("now");
            let failpoint = format!("{place}:{}", armed.display());
            let mut howdah = Howdah::start_armed(&cluster.config(), &failpoint);
            let mut wire = howdah.app();
            wire.run("begin");
            for shard in 0..shards {
                wire.run(&format!(
                    "update account set balance = balance + 1 where id = {}",
                    cluster.on[shard]
                ));
            }
            std::fs::write(&armed, "").unwrap();
            wire.send(&support::message::query("commit"));
            assert!(wire.is_closed(), "{place}: the proxy lives");
            howdah.kill();
            let began = Instant::now();
            let successor = cluster.begin();
            cluster.nothing_is_left();
            let change = i64::from(is_committed);
            let after = [0, 1, 2].map(|shard| cluster.balance(shard));
            let wanted = [0, 1, 2].map(|shard| before[shard] + if shard < shards { change } else { 0 });
            assert_eq!(after, wanted, "{place} with {shards} shards");
            println!("{place:<16} {shards:>9} {:>9.1}", began.elapsed().as_secs_f64());
            transfer(&mut successor.app(), &cluster.transfer(0, 1, 0));
        }
    }
}

#[test]
fn another_proxy_finishes_what_a_dead_one_left_behind() {
    let cluster = cluster(2);
    let survivor = cluster.begin();
    for (place, is_committed) in [("after-prepare", false), ("after-commit", true)] {
        let before = [cluster.balance(0), cluster.balance(1)];
        let mut howdah = Howdah::start_armed(&cluster.config(), place);
        let mut wire = howdah.app();
        for sql in ["begin".to_owned()].iter().chain(&cluster.transfer(0, 1, 1)) {
            wire.run(sql);
        }
        wire.send(&support::message::query("commit"));
        assert!(wire.is_closed());
        howdah.kill();
        cluster.nothing_is_left();
        let moved = i64::from(is_committed);
        assert_eq!(
            [cluster.balance(0), cluster.balance(1)],
            [before[0] - moved, before[1] + moved],
            "{place}"
        );
    }
    transfer(&mut survivor.app(), &cluster.transfer(0, 1, 1));
}

#[test]
fn the_reply_of_the_deciding_commit_is_lost() {
    let cluster = cluster(2);
    for is_cut_before in [true, false] {
        let link = Link::to(cluster.shards[0].port);
        let config = Config::new(&[link.port, cluster.shards[1].port]).rules(cluster.rules.clone());
        let howdah = Howdah::start(&config);
        let mut wire = howdah.app();
        let before = [cluster.balance(0), cluster.balance(1)];
        for sql in ["begin".to_owned()].iter().chain(&cluster.transfer(0, 1, 1)) {
            wire.run(sql);
        }
        if is_cut_before {
            link.cut();
        } else {
            // A COMMIT that takes a while: the link is cut in the middle of it.
            cluster.shards[0].app().run("select 1");
            link.cut();
        }
        let reply = wire.query("commit");
        link.mend();
        cluster.nothing_is_left();
        let after = [cluster.balance(0), cluster.balance(1)];
        assert_eq!(after.iter().sum::<i64>(), before.iter().sum::<i64>(), "half a transfer");
        match reply.sqlstate().as_deref() {
            None => assert_eq!(after[0], before[0] - 1, "told committed"),
            Some("08006") => assert_eq!(after[0], before[0], "told undone: {}", reply.told()),
            Some("08007") => {}
            other => panic!("{other:?}: {}", reply.told()),
        }
    }
}

#[test]
fn a_participant_that_dies_before_it_commits_follows_when_it_is_back() {
    let cluster = cluster(2);
    let howdah = cluster.begin();
    let stop = AtomicBool::new(false);
    let (done, warned) = (AtomicU32::new(0), AtomicU32::new(0));
    let statements = cluster.transfer(0, 1, 1);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mut wire = howdah.app();
                    let mut ok = true;
                    for sql in ["begin", &statements[0], &statements[1], "commit"] {
                        wire.send(&support::message::query(sql));
                        let reply = wire.reply();
                        if reply.sqlstate().is_some() || reply.frames.is_empty() {
                            ok = false;
                            break;
                        }
                        warned.fetch_add(u32::from(reply.tagged(b'N').count() > 0), Ordering::Relaxed);
                    }
                    done.fetch_add(u32::from(ok), Ordering::Relaxed);
                    if !ok {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                }
            });
        }
        for shard in [1, 0, 1, 1] {
            std::thread::sleep(Duration::from_millis(700));
            cluster.shards[shard].kill9();
            cluster.shards[shard].restart();
        }
        std::thread::sleep(Duration::from_millis(700));
        stop.store(true, Ordering::Relaxed);
    });
    cluster.nothing_is_left();
    let moved = 1000 - cluster.balance(0);
    assert_eq!(cluster.balance(1), 1000 + moved, "half a transfer");
    let done = i64::from(done.load(Ordering::Relaxed));
    println!("{done} told committed, {moved} are, {} warned", warned.load(Ordering::Relaxed));
    assert!(done > 0 && moved >= done, "{done} told committed, but {moved} are");
}
