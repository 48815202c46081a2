//! The store: what the proxies of a cluster agree on, and what each does when it cannot see it.
//!
//! Each test is a sentence of the contract's section 11 (and of section 2, the bucket map).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod store_support;
mod support;

use std::time::{Duration, Instant};
use store_support::{RULES, begin, config, fill, is_error, nothing_astray, rules, shards};
use support::config::Config;
use support::eventually;
use support::link::Link;
use support::postgres::Postgres;
use support::process;
use support::proxy::Howdah;

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
    let file = process::temporary_folder("check").join("howdah.toml");
    std::fs::write(&file, text(6432)).unwrap();
    let check = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_howdah"));
        let done = command.arg("check").arg("--config").arg(&file).output().unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    let found = "may not make the schema `howdah`";
    assert!(check().contains(found), "{}", check());
    all[0].app().run("grant create on database app to keeper");
    assert!(!check().contains(found), "{}", check());
    let howdah = begin(&Config::of_text(text(0)));
    assert_eq!(howdah.app().value("select count(*) from users"), "0");
    assert_eq!(
        all[0].app().value("select nspowner::regrole from pg_namespace where nspname = 'howdah'"),
        "keeper"
    );
}

#[test]
fn a_maintenance_user_that_cannot_log_in_is_told_at_the_start() {
    let all = shards(1);
    let rules = rules(RULES);
    let text = config(&all, &rules)
        .text(0)
        .replace("maintenance_user = \"app\"", "maintenance_user = \"nobody_here\"");
    let said = Howdah::refused(&Config::of_text(text));
    assert!(said.contains("role \"nobody_here\" does not exist (28000)"), "{said}");
    assert!(said.contains("HINT: Let the maintenance user log in on every shard"), "{said}");
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
