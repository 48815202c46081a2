//! Changes of rules and of schemas, agreed on between proxies.
//!
//! Each test is a sentence of the contract's section 11. Where rows lie is asked of the shards themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod store_support;
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store_support::{
    MORE, ORDERS, RULES, USERS, begin, config, is_error, nothing_astray, on_shard, reload, rewrite, rules,
    shards,
};
use support::eventually;
use support::message::{bind, execute, parse, query, sync};
use support::postgres::Postgres;
use support::proxy::Howdah;
use support::wire::Wire;

// ---- rules ----

/// Tells writers to stop, also where the test fails in between.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes until told to stop: users all the time; orders without leaving any until their rule is being changed,
/// and for good from then on. How many orders it wrote for good.
fn write_orders(proxy: &Howdah, first: u64, stop: &AtomicBool) -> u64 {
    let mut wire = proxy.app();
    let (mut written, mut is_changed) = (0, false);
    for id in (first..).take_while(|_| !stop.load(Ordering::Relaxed)) {
        let user = wire.query(&format!("insert into users values ({id}, 'u')"));
        assert!(user.sqlstate().is_none(), "{user:?}");
        if !is_changed {
            wire.run("begin");
        }
        let order = wire.query(&format!("insert into orders values ({id}, 1)"));
        let last = match order.sqlstate() {
            None if is_changed => {
                written += 1;
                continue;
            }
            None => wire.query(&format!("delete from orders where user_id = {id}")),
            Some(_) => order,
        };
        if let Some(code) = last.sqlstate() {
            // The second: this proxy has not read its rules again yet.
            assert!(["55P03", "55000"].contains(&code.as_str()), "{last:?}");
            is_changed = true;
        }
        wire.query(if is_changed { "rollback" } else { "commit" });
    }
    written
}

#[test]
fn a_rule_for_an_empty_table_is_taken_and_both_proxies_agree_under_load() {
    let all = shards(3);
    all.iter().for_each(|shard| drop(shard.app().run(ORDERS)));
    let (here, there) = (rules(RULES), rules(RULES));
    let (one, two) = (begin(&config(&all, &here)), begin(&config(&all, &there)));
    let stop = AtomicBool::new(false);
    let written: u64 = std::thread::scope(|scope| {
        let start = |writer: u64| {
            let (proxy, stop) = (if writer.is_multiple_of(2) { &one } else { &two }, &stop);
            scope.spawn(move || write_orders(proxy, writer * 1_000_000, stop))
        };
        let writers: Vec<_> = (0..4).map(start).collect();
        let stopped = Stop(&stop);
        std::thread::sleep(Duration::from_millis(300));
        for (dir, proxy) in [(&here, &one), (&there, &two)] {
            rewrite(dir, &format!("{RULES}{MORE}"));
            reload(proxy);
        }
        let taken = "select count(*) from howdah.placement where table_name = 'orders'";
        eventually("the rule is taken", 30, || all[0].app().value(taken) == "1");
        std::thread::sleep(Duration::from_millis(1500));
        drop(stopped);
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert!(written > 20, "{written}");
    nothing_astray(&all, 3);
    for (number, shard) in all.iter().enumerate() {
        let sql = format!("select count(*) from orders where not {}", on_shard("user_id", number, 3));
        assert_eq!(shard.app().value(&sql), "0", "shard {number}");
    }
    for proxy in [&one, &two] {
        assert_eq!(proxy.app().value("select count(*) from orders"), written.to_string());
    }
}

#[test]
fn a_rule_that_would_leave_rows_behind_is_refused_at_reload_and_at_start() {
    let all = shards(2);
    all.iter().for_each(|shard| drop(shard.app().run(ORDERS)));
    let dir = rules(RULES);
    let howdah = begin(&config(&all, &dir));
    howdah.app().run("insert into orders values (5, 1)");
    rewrite(&dir, &format!("{RULES}{MORE}"));
    reload(&howdah);
    eventually("the log says why", 10, || {
        let log = howdah.log();
        log.contains("\"public.orders\"") && log.contains("howdah distribute public.orders")
    });
    // The rules before stay in force.
    assert_eq!(howdah.app().value("select count(*) from orders"), "1");
    howdah.app().run("insert into orders values (6, 1)");
    assert_eq!(all[0].app().value("select count(*) from orders"), "2");
    let said = Howdah::refused(&config(&all, &dir));
    assert!(said.contains("put \"public.orders\" by (user_id) in group \"users\""), "{said}");
    assert!(
        said.contains("HINT: Take the rule back, or move the rows with: howdah distribute public.orders"),
        "{said}"
    );
}

#[test]
fn a_proxy_whose_rules_are_not_the_clusters_uses_none_of_the_tables_they_differ_in() {
    let all = shards(2);
    all.iter().for_each(|shard| drop(shard.app().run(ORDERS)));
    let (here, there) = (rules(RULES), rules(RULES));
    let (one, two) = (begin(&config(&all, &here)), begin(&config(&all, &there)));
    rewrite(&here, &format!("{RULES}{MORE}"));
    reload(&one);
    let taken = "select count(*) from howdah.placement where table_name = 'orders'";
    eventually("the first proxy takes the rule", 10, || all[0].app().value(taken) == "1");
    let mut wire = two.app();
    let reply = wire.query("select count(*) from orders");
    assert!(is_error(&reply, "55000", "public.orders"), "{reply:?}");
    assert_eq!(wire.value("select count(*) from users"), "0");
    rewrite(&there, &format!("{RULES}{MORE}"));
    reload(&two);
    eventually("the second one, too", 10, || wire.query("select count(*) from orders").column() == ["0"]);
}

#[test]
fn ranges_are_added_to_a_filled_table_but_not_moved() {
    let all: Vec<Postgres> = (0..2).map(|_| Postgres::start()).collect();
    all.iter().for_each(|shard| drop(shard.app().run(USERS)));
    let ranges = |ranges: &str| {
        format!(
            "[[group]]\nname = \"users\"\nfunction = \"range\"\nrange = [{ranges}]\n{}",
            &RULES[RULES.find("\n[[sharded").unwrap()..]
        )
    };
    let first = "{ from = 0, to = 10, shard = \"s0\" }";
    let dir = rules(&ranges(first));
    let howdah = begin(&config(&all, &dir));
    let mut wire = howdah.app();
    wire.run("insert into users values (5, 'x')");
    let reply = wire.query("insert into users values (15, 'x')");
    assert!(is_error(&reply, "23514", "no range"), "{reply:?}");
    rewrite(&dir, &ranges(&format!("{first}, {{ from = 10, to = 20, shard = \"s1\" }}")));
    reload(&howdah);
    eventually("the range is there", 10, || {
        wire.query("insert into users values (15, 'x')").sqlstate().is_none()
    });
    assert_eq!(all[1].app().value("select id from users"), "15");
    rewrite(&dir, &ranges(&first.replace("s0", "s1")));
    reload(&howdah);
    eventually("a range that moves is refused", 10, || {
        howdah.log().contains("howdah distribute public.users")
    });
    assert_eq!(wire.value("select count(*) from users where id = 5"), "1");
}

// ---- drift ----

#[test]
fn a_table_altered_on_a_shard_directly_is_told_as_drift_within_five_seconds() {
    let all = shards(3);
    let rules = rules(RULES);
    let howdah = begin(&config(&all, &rules));
    let drift = || {
        howdah
            .admin()
            .run("SHOW DRIFT")
            .rows()
            .into_iter()
            .map(|row| row[1].clone().unwrap())
            .collect::<Vec<_>>()
    };
    eventually("no drift at first", 5, || drift().is_empty());
    all[2].app().run("alter table users add mail text");
    eventually("drift is told", 5, || {
        drift() == ["table public.users has on shard \"s2\" column \"mail\" of type with OID 25 besides"]
    });
    all[0].app().run("alter table users add mail text");
    eventually("then of the other", 5, || {
        drift() == ["table public.users has on shard \"s1\" no column \"mail\" of type with OID 25"]
    });
    all[1].app().run("alter table users add mail text");
    eventually("and none when all are alike", 5, || drift().is_empty());
    assert!(howdah.app().query("insert into users values (1, 'x', 'y')").sqlstate().is_none());
}

#[test]
fn what_is_made_on_the_home_shard_directly_is_planned_by_within_five_seconds() {
    let all = shards(2);
    let rules = rules(RULES);
    let howdah = begin(&config(&all, &rules));
    let mut wire: Wire = howdah.app();
    assert_eq!(wire.value("select count(*) from users"), "0");
    // A table that hides the sharded one from this search_path.
    all[0].app().run(
        "create schema app; create table app.users (id int8); insert into app.users values (1), (2), (3)",
    );
    eventually("the new table is meant", 5, || wire.query("select count(*) from users").column() == ["3"]);
}

// ---- changes of the schema ----

/// Planned by what was before, the function is unknown and would count the home shard's rows only.
#[test]
fn a_change_through_one_proxy_is_planned_by_at_the_other_as_soon_as_it_is_answered() {
    let all = shards(2);
    let rules = rules(RULES);
    let (one, two) = (begin(&config(&all, &rules)), begin(&config(&all, &rules)));
    let (mut here, mut there) = (one.app(), two.app());
    for round in 0..10 {
        let name = format!("answer{round}");
        let define = format!(
            "create function {name}() returns int8 volatile language sql as 'select count(*) from users'"
        );
        match round % 4 {
            0 => drop(here.run(&define)),
            1 => {
                here.run("begin");
                here.run(&define);
                here.run("commit");
            }
            2 => drop(here.run(&format!("{define}; select 1"))),
            _ => drop(here.ask(&extended(&define)).ok()),
        }
        for wire in [&mut there, &mut here] {
            let reply = wire.query(&format!("select {name}()"));
            assert!(is_error(&reply, "0A000", &name), "round {round}: {reply:?}");
        }
    }
}

fn extended(sql: &str) -> Vec<u8> {
    [parse("", sql, &[]), bind("", "", &[], &[], &[]), execute("", 0), sync()].concat()
}

/// What only this session sees is told to nobody.
#[test]
fn temporary_tables_wait_for_no_other_proxy() {
    let all = shards(2);
    let rules = rules(RULES);
    let (one, mut two) = (begin(&config(&all, &rules)), begin(&config(&all, &rules)));
    two.kill();
    let mut wire = one.app();
    let began = std::time::Instant::now();
    for round in 0..5 {
        wire.run(&format!("create temp table t{round} (id int8)"));
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // What others must know of waits until the lease of the one that was killed has run out.
    wire.run("create table t (id int8)");
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(16), "{:?}", began.elapsed());
}

/// A statement that was planned under a lease, and gets its connection after the lease has lapsed and the
/// buckets have moved, goes where its row belongs now.
#[test]
fn a_statement_that_waited_for_a_connection_is_planned_again_when_its_lease_lapsed() {
    let all = shards(2);
    let rules = rules(RULES);
    let howdah = begin(&config(&all, &rules).pool("size", 1));
    let first = all[0]
        .app()
        .value(&format!("select min(id) from generate_series(1, 100) id where {}", on_shard("id", 0, 2)));
    let (mut holder, mut waiting) = (howdah.app(), howdah.app());
    holder.run(&format!("begin; select * from users where id = {first}"));
    waiting.send(&query(&format!("insert into users values ({first}, 'late')")));
    let mut lockers: Vec<Wire> = all.iter().map(Postgres::app).collect();
    lockers.iter_mut().for_each(|locker| drop(locker.run("begin; lock table howdah.lease")));
    let lease = || howdah.admin().run("SHOW STORE").rows()[0][1].clone().unwrap();
    eventually("the lease lapses", 10, || lease() == "lapsed");
    holder.run("commit");
    std::thread::sleep(Duration::from_millis(500));
    // As another proxy would, that has taken the lapsed lease away.
    lockers[0].run(
        "delete from howdah.lease; update howdah.state set version = version + 1;
         update howdah.bucket_range set shard = case shard when 's0' then 's1' else 's0' end",
    );
    lockers[1].run("delete from howdah.lease");
    assert_eq!(all[0].app().value("select count(*) from users"), "0");
    lockers.iter_mut().for_each(|locker| drop(locker.run("commit")));
    let reply = waiting.reply();
    assert!(reply.sqlstate().is_none(), "{reply:?}");
    assert_eq!(all[0].app().value("select count(*) from users"), "0");
    assert_eq!(all[1].app().value("select id from users"), first);
}

/// The changes of the fifth show, one after the other, while clients of both proxies read and write.
#[test]
fn nothing_is_misrouted_while_rules_and_schemas_change() {
    let all = shards(3);
    all.iter().for_each(|shard| drop(shard.app().run(ORDERS)));
    let (here, there) = (rules(RULES), rules(RULES));
    let (one, two) = (begin(&config(&all, &here)), begin(&config(&all, &there)));
    let stop = AtomicBool::new(false);
    let written: u64 = std::thread::scope(|scope| {
        let start = |writer: u64| {
            let (proxy, stop) = (if writer.is_multiple_of(2) { &one } else { &two }, &stop);
            scope.spawn(move || write_and_read(proxy, writer * 1_000_000, stop))
        };
        let writers: Vec<_> = (0..6).map(start).collect();
        let stopped = Stop(&stop);
        change_everything(&all, (&one, &here), (&two, &there));
        drop(stopped);
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert!(written > 100, "{written}");
    nothing_astray(&all, 3);
    for proxy in [&one, &two] {
        assert_eq!(proxy.app().value("select count(*) from users"), written.to_string());
        assert_eq!(proxy.app().value("select count(*) from orders"), "1");
    }
}

fn change_everything(all: &[Postgres], one: (&Howdah, &std::path::Path), two: (&Howdah, &std::path::Path)) {
    let mut ddl = one.0.app();
    for round in 0..5 {
        ddl.run(&format!("create table single{round} (id int8 primary key, n int8)"));
        ddl.run(&format!("insert into single{round} select i, i from generate_series(1, 10) i"));
        ddl.run(&format!("alter table single{round} add column more text default 'x'"));
        let reply = two.0.app().query(&format!("select count(more) from single{round}"));
        assert_eq!(reply.column(), ["10"], "{reply:?}");
    }
    for (proxy, dir) in [one, two] {
        rewrite(dir, &format!("{RULES}{MORE}"));
        reload(proxy);
    }
    let taken = "select count(*) from howdah.placement where table_name = 'orders'";
    eventually("the rule is taken", 20, || all[0].app().value(taken) == "1");
    for proxy in [one.0, two.0] {
        eventually("both use it", 20, || proxy.app().query("select count(*) from orders").column() == ["0"]);
    }
    // The other proxy's own change, which has nothing left to do, may be under way.
    eventually("orders are written", 20, || {
        one.0.app().query("insert into orders values (7, 1)").sqlstate().is_none()
    });
    for shard in all {
        shard.app().run("alter table users add column mail text");
        std::thread::sleep(Duration::from_millis(1500));
    }
    for proxy in [one.0, two.0] {
        eventually("no drift is left", 6, || proxy.admin().run("SHOW DRIFT").rows().is_empty());
    }
}

/// Writes users and reads them back; how many.
fn write_and_read(proxy: &Howdah, first: u64, stop: &AtomicBool) -> u64 {
    let mut wire = proxy.app();
    let mut written = 0;
    for id in (first..).take_while(|_| !stop.load(Ordering::Relaxed)) {
        let reply = wire.query(&format!("insert into users (id, name) values ({id}, 'u')"));
        assert!(reply.sqlstate().is_none(), "{reply:?}");
        written += 1;
        let reply = wire.query(&format!("select name from users where id = {id}"));
        assert_eq!(reply.column(), ["u"], "{reply:?}");
    }
    written
}
