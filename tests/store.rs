//! The store: what the proxies of a cluster agree on, and what each does when it cannot see it.
//!
//! Each test is a sentence of the contract's section 11 (and of section 2, the bucket map). Where rows lie is
//! asked of the shards themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::config::Config;
use support::eventually;
use support::frame::Reply;
use support::link::Link;
use support::postgres::Postgres;
use support::process;
use support::proxy::Howdah;
use support::wire::Wire;

const USERS: &str = "create table users (id int8 primary key, name text)";
const RULES: &str = "
[[group]]
name = \"users\"

[[sharded]]
table = \"users\"
key = \"id\"
group = \"users\"
";

/// The condition that puts a key on a shard of `shards`.
fn on_shard(key: &str, shard: usize, shards: usize) -> String {
    format!("((hashint8extended({key}, 0) & 4095) * {shards} / 4096) = {shard}")
}

fn rules(text: &str) -> PathBuf {
    let dir = process::temporary_folder("rules");
    std::fs::write(dir.join("rules.toml"), text).unwrap();
    dir
}

fn rewrite(dir: &Path, text: &str) {
    std::fs::write(dir.join("rules.toml"), text).unwrap();
}

/// Shards with an empty `users` each.
fn shards(count: usize) -> Vec<Postgres> {
    let shards: Vec<Postgres> = (0..count).map(|_| Postgres::start()).collect();
    shards.iter().for_each(|shard| drop(shard.app().run(USERS)));
    shards
}

fn config(shards: &[Postgres], rules: &Path) -> Config {
    let ports: Vec<u16> = shards.iter().map(|shard| shard.port).collect();
    Config::new(&ports).rules(rules.to_path_buf())
}

/// Starts a proxy and waits until it has looked at the store.
fn begin(config: &Config) -> Howdah {
    let howdah = Howdah::start(config);
    drop(howdah.app());
    howdah
}

fn fill(howdah: &Howdah, rows: usize) {
    let mut wire = howdah.app();
    for id in 0..rows {
        wire.run(&format!("insert into users values ({id}, 'name {id}')"));
    }
}

/// No row of `users` lies on a shard that its key does not belong to.
fn nothing_astray(shards: &[Postgres], of: usize) {
    for (number, shard) in shards.iter().enumerate() {
        let sql = format!("select count(*) from users where not {}", on_shard("id", number, of));
        assert_eq!(shard.app().value(&sql), "0", "shard {number}");
    }
}

fn is_error(reply: &Reply, code: &str, words: &str) -> bool {
    reply.sqlstate().as_deref() == Some(code) && reply.told().contains(words)
}

fn reload(howdah: &Howdah) {
    howdah.admin().run("RELOAD");
}

// ---- the bucket map ----

#[test]
fn the_first_start_writes_the_default_map_and_a_shard_added_later_has_no_buckets() {
    let all = shards(3);
    let rules = rules(RULES);
    let howdah = begin(&config(&all[..2], &rules));
    fill(&howdah, 40);
    nothing_astray(&all[..2], 2);
    drop(howdah);
    let howdah = begin(&config(&all, &rules));
    let mut wire = howdah.app();
    wire.run("insert into users values (100, 'x'), (101, 'y')".split(", (").next().unwrap());
    assert_eq!(wire.value("select name from users where id = 7"), "name 7");
    assert_eq!(wire.value("select count(*) from users"), "41");
    nothing_astray(&all[..2], 2);
    assert_eq!(all[2].app().value("select count(*) from users"), "0");
}

#[test]
fn the_order_of_the_shards_in_the_file_moves_nothing() {
    let all = shards(3);
    let rules = rules(RULES);
    let howdah = begin(&config(&all, &rules));
    fill(&howdah, 30);
    drop(howdah);
    let ports = [all[0].port, all[2].port, all[1].port];
    let howdah = begin(&Config::new(&ports).names(&["s0", "s2", "s1"]).rules(rules));
    let mut wire = howdah.app();
    for id in 0..30 {
        assert_eq!(wire.value(&format!("select name from users where id = {id}")), format!("name {id}"));
    }
    nothing_astray(&all, 3);
}

#[test]
fn a_shard_that_holds_buckets_cannot_be_left_out() {
    let all = shards(2);
    let rules = rules(RULES);
    drop(begin(&config(&all, &rules)));
    let said = Howdah::refused(&config(&all[..1], &rules));
    assert!(said.contains("shard \"s1\" holds buckets of group \"users\""), "{said}");
    assert!(said.contains("HINT: Put shard \"s1\" back"), "{said}");
}

// ---- identity ----

#[test]
fn servers_behind_each_others_addresses_are_noticed() {
    let all = shards(3);
    let rules = rules(RULES);
    drop(begin(&config(&all, &rules)));
    let swapped = [all[1].port, all[0].port, all[2].port];
    let said = Howdah::refused(&Config::new(&swapped).rules(rules.clone()));
    assert!(said.contains("the server configured as shard \"s0\" is shard \"s1\" of this cluster"), "{said}");
    // Behind the home shard the others are used as soon as they are what they should be.
    let swapped = [all[0].port, all[2].port, all[1].port];
    let howdah = begin(&Config::new(&swapped).rules(rules));
    let mut wire = howdah.app();
    assert_eq!(wire.value("select 1"), "1");
    let reply = wire.query("select count(*) from users");
    assert!(is_error(&reply, "57P03", "the server configured as shard"), "{reply:?}");
}

#[test]
fn a_server_of_another_cluster_is_not_used() {
    let (ours, theirs) = (shards(2), shards(2));
    let rules = rules(RULES);
    drop(begin(&config(&ours, &rules)));
    drop(begin(&config(&theirs, &rules)));
    let howdah = begin(&Config::new(&[ours[0].port, theirs[1].port]).rules(rules));
    let reply = howdah.app().query("select count(*) from users");
    assert!(is_error(&reply, "57P03", "belongs to another cluster"), "{reply:?}");
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let all = shards(1);
    let rules = rules(RULES);
    drop(begin(&config(&all, &rules)));
    all[0].app().run("insert into howdah.migration (version) values (1000)");
    let said = Howdah::refused(&config(&all, &rules));
    assert!(said.contains("has version 1000") && said.contains("HINT: Upgrade this Howdah"), "{said}");
}

#[test]
fn two_proxies_that_start_at_once_make_one_store() {
    for _ in 0..3 {
        let all = shards(2);
        let rules = rules(RULES);
        let config = config(&all, &rules);
        let proxies: Vec<Howdah> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..3).map(|_| scope.spawn(|| begin(&config))).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        for howdah in &proxies {
            assert_eq!(howdah.app().value("select count(*) from users"), "0");
        }
        let mut wire = all[0].app();
        assert_eq!(wire.value("select count(*) from howdah.migration"), "1");
        assert_eq!(wire.value("select count(*) from howdah.bucket_range"), "2");
        eventually("three leases on each shard", 10, || {
            all.iter().all(|shard| shard.app().value("select count(*) from howdah.lease") == "3")
        });
    }
}

#[test]
fn everybody_may_read_the_store_and_nobody_else_may_write_it() {
    let all = shards(1);
    let rules = rules(RULES);
    let _howdah = begin(&config(&all, &rules));
    all[0].app().run("create role plain login");
    let mut plain = all[0].session("plain", "app");
    assert_eq!(plain.value("select count(*) from howdah.bucket_range"), "1");
    for sql in [
        "delete from howdah.lease",
        "insert into howdah.catalog_change (xid) values ('5')",
        "update howdah.state set version = 7",
        "create table howdah.x (a int)",
        "select nextval('howdah.proxy_epoch')",
    ] {
        assert_eq!(plain.query(sql).sqlstate().as_deref(), Some("42501"), "{sql}");
    }
}

#[test]
fn a_maintenance_user_without_the_right_to_make_the_store_is_told_which() {
    let all = shards(1);
    let rules = rules(RULES);
    all[0].app().run("create role keeper login");
    let text = |port: u16| {
        config(&all, &rules).text(port).replace("maintenance_user = \"app\"", "maintenance_user = \"keeper\"")
    };
    let said = Howdah::refused(&Config::of_text(text(0)));
    assert!(said.contains("GRANT CREATE ON DATABASE \"app\" TO"), "{said}");
    all[0].app().run("grant create on database app to keeper");
    let howdah = begin(&Config::of_text(text(0)));
    assert_eq!(howdah.app().value("select count(*) from users"), "0");
    assert_eq!(
        all[0].app().value("select nspowner::regrole from pg_namespace where nspname = 'howdah'"),
        "keeper"
    );
}

// ---- leases ----

#[test]
fn a_proxy_without_sight_of_any_shards_store_plans_nothing_until_it_sees_it_again() {
    let all = shards(1);
    let link = Link::to(all[0].port);
    let rules = rules(RULES);
    // The maintenance user comes through the link, clients' statements too: a statement that needs no
    // connection tells them apart.
    let howdah = begin(&Config::new(&[link.port]).rules(rules));
    let mut wire = howdah.app();
    let planned = "explain (howdah) select * from users where id = 1";
    assert!(wire.query(planned).sqlstate().is_none());
    link.cut();
    let cut = Instant::now();
    let mut refused = None;
    while refused.is_none() && cut.elapsed() < Duration::from_secs(30) {
        let reply = wire.query(planned);
        if is_error(&reply, "57P03", "store") {
            refused = Some(cut.elapsed());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let refused = refused.expect("planning goes on without the store");
    // The lease, of which it counts on 3.5 s, and the time that a statement waits for another.
    assert!(refused < Duration::from_secs(12), "{refused:?}");
    link.mend();
    eventually("it plans again", 10, || wire.query(planned).sqlstate().is_none());
}

#[test]
fn while_the_home_shard_is_down_the_others_go_on() {
    let all = shards(2);
    let rules = rules(RULES);
    let howdah = begin(&config(&all, &rules));
    fill(&howdah, 20);
    let key = all[1].app().value("select min(id) from users");
    all[0].kill9();
    let end = Instant::now() + Duration::from_secs(15);
    let mut wire = howdah.app();
    while Instant::now() < end {
        assert_eq!(wire.value(&format!("select count(*) from users where id = {key}")), "1");
        std::thread::sleep(Duration::from_millis(200));
    }
    let reply = wire.query("select count(*) from users");
    assert!(reply.sqlstate().is_some_and(|code| ["08006", "57P03"].contains(&code.as_str())), "{reply:?}");
    all[0].restart();
    eventually("the cluster is whole again", 15, || {
        wire.query("select count(*) from users").column() == ["20"]
    });
}

#[test]
fn a_proxy_that_is_killed_leaves_its_lease_for_five_seconds_and_one_that_ends_gives_it_back() {
    let all = shards(2);
    let rules = rules(RULES);
    let mut one = begin(&config(&all, &rules));
    let leases = || {
        let count = |shard: &Postgres| {
            shard.app().value("select count(*) from howdah.lease where expires_at > clock_timestamp()")
        };
        all.iter().map(count).collect::<Vec<_>>()
    };
    eventually("a lease on each shard", 10, || leases() == ["1", "1"]);
    one.admin().query("SHUTDOWN");
    one.ends_by_itself(10);
    assert_eq!(leases(), ["0", "0"]);
    let mut two = begin(&config(&all, &rules));
    eventually("a lease on each shard", 10, || leases() == ["1", "1"]);
    two.kill();
    assert_eq!(leases(), ["1", "1"]);
    eventually("the leases expire", 6, || leases() == ["0", "0"]);
}

// ---- rules ----

const MORE: &str = "
[[sharded]]
table = \"orders\"
key = \"user_id\"
group = \"users\"
";
const ORDERS: &str = "create table orders (user_id int8, id int8, primary key (user_id, id))";

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
        match order.sqlstate() {
            None if is_changed => written += 1,
            None => {
                wire.run(&format!("delete from orders where user_id = {id}"));
                wire.run("commit");
            }
            Some(code) => {
                assert_eq!(code, "55000", "{order:?}");
                wire.query("rollback");
                is_changed = true;
            }
        }
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
            let (proxy, stop) = (if writer % 2 == 0 { &one } else { &two }, &stop);
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
    eventually("the first proxy takes the rule", 10, || {
        one.app()
            .query("explain (howdah) select * from orders where user_id = 1")
            .column()
            .join(" ")
            .contains("orders")
    });
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
    assert!(is_error(&wire.query("insert into users values (15, 'x')"), "23514", "users"));
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
