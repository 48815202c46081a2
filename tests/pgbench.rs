//! pgbench's built-in scripts in its three protocol modes: 1,000 clients over a pool of 20, no error.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use support::config::Config;
use support::postgres::Postgres;
use support::program::pgbench;
use support::proxy::Howdah;

/// Runs `work` while counting the server connections of user `app` all the time; gives the largest count.
fn most_connections(postgres: &Postgres, work: impl FnOnce()) -> usize {
    let (stop, most) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut watcher = postgres.session("postgres", "postgres");
            while !stop.load(Ordering::Relaxed) {
                let count = watcher.value("select count(*) from pg_stat_activity where usename = 'app'");
                most.fetch_max(count.parse().unwrap(), Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
    });
    most.into_inner()
}

#[test]
fn a_thousand_clients_over_twenty_connections_in_every_mode() {
    let postgres = Postgres::start();
    let howdah = Howdah::start(&Config::new(&[postgres.port]).pool("size", 20));
    pgbench(howdah.port, &["-i", "-q", "-s", "10"]);
    let mut transactions = 0;
    for mode in ["simple", "extended", "prepared"] {
        for (script, each) in [("select-only", 10), ("simple-update", 2), ("tpcb-like", 2)] {
            let each_text = each.to_string();
            let arguments = ["-n", "-c", "1000", "-j", "2", "-t", &each_text, "-M", mode, "-b", script];
            let most = most_connections(&postgres, || {
                let printed = pgbench(howdah.port, &arguments);
                let processed =
                    format!("number of transactions actually processed: {}/{}", each * 1000, each * 1000);
                assert!(printed.contains(&processed), "{mode} {script}:\n{printed}");
            });
            assert!((1..=20).contains(&most), "{mode} {script}: {most} server connections");
            transactions += if script == "select-only" { 0 } else { each * 1000 };
        }
    }
    let mut direct = postgres.app();
    assert_eq!(direct.value("select count(*) from pgbench_history"), transactions.to_string());
    let sums =
        "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)";
    assert_eq!(direct.value(sums), "t", "an update was lost or done twice");
    let branches =
        "select (select sum(bbalance) from pgbench_branches) = (select sum(tbalance) from pgbench_tellers)";
    assert_eq!(direct.value(branches), "t");
}

#[test]
fn pipelines_of_pgbench() {
    let postgres = Postgres::shared();
    let howdah = Howdah::start(&Config::new(&[postgres.port]).pool("size", 5));
    let script = support::process::temporary_folder("pgbench").join("pipeline.sql");
    let text = "\\set id random(1, 100)\n\\startpipeline\nbegin;\nselect name from item where id = :id;\nselect :id;\ncommit;\n\\endpipeline\n";
    std::fs::write(&script, text).unwrap();
    for mode in ["extended", "prepared"] {
        pgbench(
            howdah.port,
            &["-n", "-c", "30", "-j", "2", "-t", "20", "-M", mode, "-f", script.to_str().unwrap()],
        );
    }
}

#[test]
fn connections_made_anew_for_each_transaction() {
    let postgres = Postgres::shared();
    let howdah = Howdah::start(&Config::new(&[postgres.port]).pool("size", 5));
    let script = support::process::temporary_folder("pgbench").join("select.sql");
    std::fs::write(&script, "select name from item where id = 1;\n").unwrap();
    pgbench(howdah.port, &["-n", "-C", "-c", "20", "-j", "2", "-t", "10", "-f", script.to_str().unwrap()]);
}
