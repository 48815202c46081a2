//! The pools: their limits, their modes, their queue, and what is left after something was killed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::config::Config;
use support::eventually;
use support::frame::Reply;
use support::message::query;
use support::postgres::Postgres;
use support::process;
use support::program::client_program;
use support::proxy::Howdah;
use support::wire::{Event, Wire};

/// A server that no other test's Howdah uses, so that its connections can be counted.
fn alone(change: impl FnOnce(Config) -> Config) -> (Postgres, Howdah) {
    let postgres = Postgres::start();
    let howdah = Howdah::start(&change(Config::new(&[postgres.port])));
    (postgres, howdah)
}

/// Counts the server connections of user `app` where `condition` holds, asked by the superuser.
fn connections(watcher: &mut Wire, condition: &str) -> usize {
    let sql = format!("select count(*) from pg_stat_activity where usename = 'app' and ({condition})");
    watcher.value(&sql).parse().unwrap()
}

fn watcher(postgres: &Postgres) -> Wire {
    postgres.session("postgres", "postgres")
}

/// Nothing comes for a while.
fn waits(wire: &mut Wire) -> bool {
    wire.event_within(Duration::from_millis(300)) == Event::TimedOut
}

/// Asks, also where the connection may end in between.
fn try_query(wire: &mut Wire, sql: &str) -> Reply {
    wire.query(sql)
}

// Limits and queue.

#[test]
fn there_are_never_more_server_connections_than_the_pool_allows() {
    let (postgres, howdah) = alone(|config| config.pool("size", 5));
    let stop = AtomicBool::new(false);
    let most = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut watcher = watcher(&postgres);
            while !stop.load(Ordering::Relaxed) {
                most.fetch_max(connections(&mut watcher, "true"), Ordering::Relaxed);
            }
        });
        let clients: Vec<_> = (0..40)
            .map(|number| {
                let howdah = &howdah;
                scope.spawn(move || {
                    for round in 0..5 {
                        let mut wire = howdah.app();
                        assert_eq!(
                            wire.value(&format!("select {number} * 100 + {round}")),
                            (number * 100 + round).to_string()
                        );
                        wire.run("begin");
                        wire.run("select pg_sleep(0.002)");
                        wire.run("commit");
                        if round % 2 == 0 { wire.terminate() } else { wire.vanish() }
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        stop.store(true, Ordering::Relaxed);
    });
    let most = most.load(Ordering::Relaxed);
    assert!((2..=5).contains(&most), "{most} server connections");
}

#[test]
fn a_client_that_waits_longer_than_queue_timeout_is_53300_and_may_try_again() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 1).pool("queue_timeout", "\"500ms\""));
    let (mut holder, mut waiter) = (howdah.app(), howdah.app());
    holder.run("begin");
    let began = Instant::now();
    let reply = waiter.query("select 1");
    assert_eq!((reply.sqlstate().as_deref(), reply.status()), (Some("53300"), 'I'), "{reply:?}");
    assert!((400..5000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    let extended = waiter.ask(&support::message::extended("select 1", &[]));
    assert_eq!((extended.sqlstate().as_deref(), extended.status()), (Some("53300"), 'I'), "{extended:?}");
    holder.run("commit");
    assert_eq!(waiter.value("select 2"), "2");
}

#[test]
fn a_client_over_queue_limit_is_53300_at_once() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 1).pool("queue_limit", 1));
    let (mut holder, mut waiter, mut third) = (howdah.app(), howdah.app(), howdah.app());
    holder.run("begin");
    waiter.send(&query("select 'served'"));
    assert!(waits(&mut waiter));
    let began = Instant::now();
    assert_eq!(third.query("select 1").sqlstate().as_deref(), Some("53300"));
    assert!(began.elapsed() < Duration::from_secs(2));
    holder.run("commit");
    assert_eq!(waiter.reply().ok().value(), "served");
    assert_eq!(third.value("select 3"), "3");
}

#[test]
fn those_who_wait_are_served_in_the_order_in_which_they_came() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 1));
    let mut holder = howdah.app();
    let mut waiters: Vec<Wire> = (0..10).map(|_| howdah.app()).collect();
    holder.run("begin");
    for waiter in &mut waiters {
        waiter.send(&query("select extract(epoch from clock_timestamp()) * 1000000 from pg_sleep(0.001)"));
        std::thread::sleep(Duration::from_millis(30));
    }
    holder.run("commit");
    let times: Vec<f64> =
        waiters.iter_mut().map(|waiter| waiter.reply().ok().value().parse().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn idle_connections_stay_at_min_idle_and_the_rest_goes_after_idle_timeout() {
    let (postgres, howdah) =
        alone(|config| config.pool("size", 6).pool("min_idle", 2).pool("idle_timeout", "\"1s\""));
    let mut watcher = watcher(&postgres);
    let mut first = howdah.app();
    first.run("select 1");
    eventually("two are kept ready", 5, || connections(&mut watcher, "state = 'idle'") >= 2);
    let mut busy: Vec<Wire> = (0..6).map(|_| howdah.app()).collect();
    busy.iter_mut().for_each(|wire| drop(wire.run("begin")));
    assert_eq!(connections(&mut watcher, "true"), 6);
    busy.iter_mut().for_each(|wire| drop(wire.run("commit")));
    let mut left = 0;
    for _ in 0..40 {
        left = connections(&mut watcher, "true");
        if left == 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    assert_eq!(left, 2, "server connections 10 seconds after the last was used");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(connections(&mut watcher, "true"), 2);
}

#[test]
fn a_connection_older_than_max_lifetime_is_replaced_between_transactions() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 1).pool("max_lifetime", "\"1s\""));
    let mut wire = howdah.app();
    let first = wire.server_pid();
    wire.run("begin");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(wire.server_pid(), first, "a transaction keeps its connection");
    wire.run("commit");
    eventually("another connection is used", 15, || {
        std::thread::sleep(Duration::from_millis(200));
        wire.server_pid() != first
    });
}

#[test]
fn users_have_connections_of_their_own() {
    let (postgres, howdah) = alone(|config| config.pool("size", 1).user("name = \"other\""));
    postgres.app().run("create role other login");
    let mut app = howdah.app();
    let mut other = Wire::login(howdah.port, &[("user", "other"), ("database", "app")]);
    app.run("begin");
    assert_eq!(other.value("select current_user"), "other");
    assert_eq!(app.value("select session_user"), "app");
}

// Modes.

#[test]
fn session_pooling_keeps_the_connection_until_the_client_leaves() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 1).pooling("session"));
    let mut first = howdah.app();
    let pid = first.server_pid();
    first.run("create temp table own (x int)");
    first.run("set work_mem = '7MB'");
    first.run("prepare p as select 5");
    first.run("listen news");
    first.run("select pg_advisory_lock(1)");
    first.run("declare c cursor with hold for select 1");
    first.run("set role pg_monitor");
    assert_eq!(first.server_pid(), pid);
    let port = howdah.port;
    let mut second = Wire::open(port);
    second.send(&support::message::startup(&[("user", "app"), ("database", "app")]));
    second.send(&query("select pg_backend_pid()"));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(first.value("execute p"), "5");
    first.terminate();
    second.reply();
    second.reply().ok();
    assert_eq!(second.value("select current_user"), "app");
    assert_eq!(second.value("show work_mem"), "4MB");
    assert_eq!(second.query("select * from own").sqlstate().as_deref(), Some("42P01"));
    assert_eq!(second.query("execute p").sqlstate().as_deref(), Some("26000"));
    assert_eq!(second.value("select count(*) from pg_listening_channels()"), "0");
    assert_eq!(second.value("select count(*) from pg_cursors"), "0");
    assert_eq!(second.value("select count(*) from pg_locks where locktype = 'advisory'"), "0");
}

#[test]
fn session_pooling_undoes_what_a_vanished_client_left() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 1).pooling("session"));
    howdah.app().run("create table left_behind (x int)");
    for state in [
        "begin; insert into left_behind values (1)",
        "begin; select 1/0",
        "set default_transaction_read_only = on",
    ] {
        let mut wire = howdah.app();
        wire.query(state);
        wire.vanish();
        let mut next = howdah.app();
        assert_eq!(next.run("select count(*) from left_behind").status(), 'I');
        assert_eq!(next.value("select count(*) from left_behind"), "0");
        assert_eq!(next.value("show default_transaction_read_only"), "off");
        next.terminate();
    }
}

#[test]
fn statement_pooling_refuses_transactions_of_several_statements() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 1).pooling("statement"));
    let (mut a, mut b) = (howdah.app(), howdah.app());
    assert_eq!(a.server_pid(), b.server_pid());
    for begin in ["begin", "start transaction", "begin isolation level serializable"] {
        let reply = a.query(begin);
        assert!(reply.sqlstate().is_some(), "{begin}: {reply:?}");
        assert_ne!(reply.status(), 'T');
        assert_eq!(b.value("select 1"), "1");
    }
    assert_eq!(a.value("select 1; select 2"), "1");
    assert_eq!(a.ask(&support::message::extended("select $1::int", &[Some("3")])).ok().value(), "3");
}

#[test]
fn transaction_pooling_shares_between_transactions() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 1));
    let mut clients: Vec<Wire> = (0..20).map(|_| howdah.app()).collect();
    let mut pids: Vec<i32> = clients.iter_mut().map(Wire::server_pid).collect();
    pids.dedup();
    assert_eq!(pids.len(), 1);
}

// The admin database.

#[test]
fn pause_holds_new_transactions_and_resume_lets_them_go() {
    let (postgres, howdah) = alone(|config| config.pool("size", 2));
    let mut admin = howdah.admin();
    for (pause, resume) in [("PAUSE", "RESUME"), ("pause app;", "resume app;")] {
        let mut wire = howdah.app();
        wire.run("select 1");
        admin.run(pause);
        wire.send(&query("select 'held'"));
        assert!(waits(&mut wire), "{pause}");
        let mut watcher = watcher(&postgres);
        assert_eq!(connections(&mut watcher, "state = 'active'"), 0);
        admin.run(resume);
        assert_eq!(wire.reply().ok().value(), "held");
    }
}

#[test]
fn pause_waits_for_running_transactions() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 2));
    let (mut admin, mut busy) = (howdah.admin(), howdah.app());
    busy.run("begin");
    admin.send(&query("PAUSE"));
    assert!(waits(&mut admin));
    assert_eq!(busy.value("select 1"), "1");
    busy.run("commit");
    admin.reply().ok();
    admin.run("RESUME");
    assert_eq!(busy.value("select 2"), "2");
}

#[test]
fn kill_ends_the_clients_and_their_server_connections() {
    let (postgres, howdah) = alone(|config| config.pool("size", 2));
    let (mut busy, mut idle) = (howdah.app(), howdah.app());
    busy.run("begin");
    idle.run("select 1");
    let mut admin = howdah.admin();
    admin.run("KILL app");
    for wire in [&mut busy, &mut idle] {
        let said = try_query(wire, "select 1");
        assert!(said.sqlstate().is_none_or(|state| state.starts_with("57P")), "{said:?}");
        assert_eq!(said.status(), '-', "the client must be gone");
    }
    let mut watcher = watcher(&postgres);
    eventually("the server connections are gone", 5, || {
        connections(&mut watcher, "state like 'idle in%'") == 0
    });
    let _ = admin.query("RESUME app");
    eventually("new clients are served", 5, || {
        let mut wire = Wire::start(howdah.port, &[("user", "app"), ("database", "app")]);
        wire.greeting.status() == 'I' && wire.query("select 1").sqlstate().is_none()
    });
}

#[test]
fn reload_and_sighup_apply_a_new_file_and_a_bad_one_leaves_the_old() {
    let (postgres, howdah) = alone(|config| config.pool("size", 1).pool("queue_timeout", "\"1s\""));
    let fits = |count: usize| {
        let mut wires: Vec<Wire> = (0..count).map(|_| howdah.app()).collect();
        wires.iter_mut().all(|wire| wire.query("begin").status() == 'T')
    };
    let write = |config: Config| std::fs::write(&howdah.file, config.text(howdah.port)).unwrap();
    let config = |size: u32| Config::new(&[postgres.port]).pool("size", size).pool("queue_timeout", "\"1s\"");
    assert!(!fits(2));
    let mut kept = howdah.app();
    kept.run("set work_mem = '7MB'");
    write(config(2));
    howdah.admin().run("RELOAD");
    eventually("two fit", 5, || fits(2));
    assert!(!fits(3));
    write(config(3));
    kill(Pid::from_raw(howdah.pid()), Signal::SIGHUP).unwrap();
    eventually("three fit", 5, || fits(3));
    write(config(4).pool("nonsense", 1));
    let refused = howdah.admin().query("RELOAD");
    assert!(refused.sqlstate().is_some(), "a bad file is refused");
    kill(Pid::from_raw(howdah.pid()), Signal::SIGHUP).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(fits(3) && !fits(4));
    assert_eq!(kept.value("show work_mem"), "7MB", "no client was dropped");
}

#[test]
fn the_admin_database_shows_and_refuses_others() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 2));
    let mut app = howdah.app();
    app.run("select 1");
    let mut admin = howdah.admin();
    let columns = |reply: &Reply| -> Vec<String> {
        let row = reply.tagged(b'T').next().expect("a RowDescription");
        let mut names = Vec::new();
        let mut rest = &row.body[2..];
        while let Some(end) = rest.iter().position(|&byte| byte == 0) {
            names.push(String::from_utf8_lossy(&rest[..end]).into_owned());
            rest = rest.get(end + 19..).unwrap_or_default();
        }
        names
    };
    for (show, wanted) in [
        ("SHOW CLIENTS", &["type", "user", "database", "state"][..]),
        (
            "SHOW POOLS",
            &["database", "user", "cl_active", "cl_waiting", "sv_active", "sv_idle", "maxwait", "pool_mode"],
        ),
        ("SHOW SERVERS", &["type", "user", "database", "state"]),
        ("SHOW STATS", &["database", "total_query_count"]),
        ("SHOW CONFIG", &["key", "value"]),
        ("SHOW VERSION", &["version"]),
    ] {
        let reply = admin.run(show);
        let found = columns(&reply);
        for name in wanted {
            assert!(found.iter().any(|column| column == name), "{show} has no {name}: {found:?}");
        }
        assert!(!reply.rows().is_empty(), "{show} shows nothing");
    }
    assert!(admin.query("SHOW NONSENSE").sqlstate().is_some());
    assert!(admin.query("select 1 from item").sqlstate().is_some());
    assert_eq!(admin.run("show version").status(), 'I');
    let stranger = Wire::start(howdah.port, &[("user", "app"), ("database", "howdah")]);
    assert!(stranger.greeting.sqlstate().is_some(), "only admin users may use the admin database");
}

// Something is killed.

/// Clients that write numbers of their own and read them back, until they are told to stop.
struct Load {
    stop: AtomicBool,
    acknowledged: std::sync::Mutex<Vec<i64>>,
    answers: AtomicUsize,
}

impl Load {
    fn new() -> Load {
        Load {
            stop: AtomicBool::new(false),
            acknowledged: std::sync::Mutex::default(),
            answers: AtomicUsize::new(0),
        }
    }

    /// One client: reconnects when its connection ends. A wrong answer fails the test.
    fn client(&self, port: u16, number: i64) {
        let mut next = number * 1_000_000;
        while !self.stop.load(Ordering::Relaxed) {
            let Some(mut wire) = connect(port) else {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            };
            while !self.stop.load(Ordering::Relaxed) {
                next += 1;
                let read = wire.query(&format!("select {next}"));
                if read.sqlstate().is_none() && read.status() == 'I' {
                    assert_eq!(read.value(), next.to_string(), "a wrong answer");
                    self.answers.fetch_add(1, Ordering::Relaxed);
                }
                let written = wire.ask(&support::message::extended(
                    "insert into load values ($1::text::bigint)",
                    &[Some(&next.to_string())],
                ));
                if written.sqlstate().is_none() && written.tags() == ["INSERT 0 1"] && written.status() == 'I'
                {
                    self.acknowledged.lock().unwrap().push(next);
                } else if written.status() == '-' {
                    break;
                }
            }
        }
    }

    /// What was acknowledged is there once; nothing is there twice.
    fn is_true(&self, postgres: &Postgres) {
        let mut direct = postgres.app();
        let mut stored: Vec<i64> = direct
            .run("select id from load order by id")
            .column()
            .iter()
            .map(|id| id.parse().unwrap())
            .collect();
        let all = stored.len();
        stored.dedup();
        assert_eq!(all, stored.len(), "a statement was sent twice");
        let acknowledged = self.acknowledged.lock().unwrap();
        assert!(acknowledged.len() > 50, "the load did next to nothing: {}", acknowledged.len());
        for id in acknowledged.iter() {
            assert!(stored.binary_search(id).is_ok(), "{id} was acknowledged and is not there");
        }
    }
}

fn connect(port: u16) -> Option<Wire> {
    std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    let wire = Wire::start(port, &[("user", "app"), ("database", "app")]);
    (wire.greeting.status() == 'I').then_some(wire)
}

/// Runs a load while `events` happen; then the pool must be as before within 5 seconds.
fn under_load(postgres: &Postgres, howdah: &mut Howdah, mut events: impl FnMut(&mut Howdah, &Load)) {
    postgres.app().run("create table load (id bigint)");
    let load = Load::new();
    let port = howdah.port;
    std::thread::scope(|scope| {
        for number in 1..=12 {
            let load = &load;
            scope.spawn(move || load.client(port, number));
        }
        let started = load.answers.load(Ordering::Relaxed);
        eventually("the load runs", 10, || load.answers.load(Ordering::Relaxed) > started + 50);
        let happened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| events(howdah, &load)));
        load.stop.store(true, Ordering::Relaxed);
        if let Err(panic) = happened {
            std::panic::resume_unwind(panic);
        }
    });
    load.is_true(postgres);
}

/// The load goes on, and at least `min_idle` server connections are there, no more than `size`.
fn recovers(postgres: &Postgres, load: &Load, min_idle: usize, size: usize) {
    let began = Instant::now();
    let before = load.answers.load(Ordering::Relaxed);
    let mut watcher = watcher(postgres);
    eventually("the pool is back at min_idle", 5, || {
        let count = connections(&mut watcher, "true");
        assert!(count <= size, "{count} server connections");
        count >= min_idle
    });
    eventually("clients are answered again", 10, || load.answers.load(Ordering::Relaxed) > before + 50);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_killed_server_gives_no_wrong_answer_and_the_pool_comes_back() {
    let (postgres, mut howdah) = alone(|config| config.pool("size", 6).pool("min_idle", 3));
    under_load(&postgres, &mut howdah, |_, load| {
        for _ in 0..2 {
            postgres.kill9();
            std::thread::sleep(Duration::from_millis(300));
            postgres.restart();
            recovers(&postgres, load, 3, 6);
        }
    });
    no_connection_is_stuck(&postgres);
}

#[test]
fn a_killed_howdah_gives_no_wrong_answer_and_the_next_one_serves() {
    let (postgres, mut howdah) = alone(|config| config.pool("size", 6).pool("min_idle", 3));
    under_load(&postgres, &mut howdah, |howdah, load| {
        for _ in 0..2 {
            howdah.kill_and_restart();
            eventually("the old one's server connections are gone", 5, || {
                connections(&mut watcher(&postgres), "true") <= 6
            });
            recovers(&postgres, load, 3, 6);
        }
    });
    no_connection_is_stuck(&postgres);
}

#[test]
fn killed_clients_leave_no_connection_stuck() {
    let (postgres, mut howdah) = alone(|config| config.pool("size", 6).pool("min_idle", 3));
    let script = process::temporary_folder("pgbench").join("script.sql");
    std::fs::write(&script, "begin;\ninsert into load values (-1);\nselect pg_sleep(0.005);\nrollback;\n")
        .unwrap();
    under_load(&postgres, &mut howdah, |howdah, load| {
        for mode in ["simple", "extended", "prepared"] {
            let mut bench = client_program("pgbench", howdah.port)
                .args(["-n", "-c", "20", "-T", "60", "-M", mode, "-f"])
                .arg(&script)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(500));
            bench.kill().unwrap();
            bench.wait().unwrap();
            recovers(&postgres, load, 3, 6);
        }
    });
    no_connection_is_stuck(&postgres);
}

fn no_connection_is_stuck(postgres: &Postgres) {
    let mut watcher = watcher(postgres);
    eventually("every server connection is idle", 5, || connections(&mut watcher, "state <> 'idle'") == 0);
    assert_eq!(watcher.value("select count(*) from pg_prepared_xacts"), "0");
}

#[test]
fn sigterm_lets_running_transactions_end() {
    let (_postgres, mut howdah) = alone(|config| config.pool("size", 3));
    let (mut busy, mut idle) = (howdah.app(), howdah.app());
    howdah.app().run("create table drained (x int)");
    idle.run("select 1");
    busy.run("begin");
    busy.run("insert into drained values (1)");
    kill(Pid::from_raw(howdah.pid()), Signal::SIGTERM).unwrap();
    eventually("idle clients are sent away", 5, || {
        matches!(idle.event_within(Duration::from_millis(100)), Event::Closed)
    });
    assert_eq!(busy.value("select count(*) from drained"), "1");
    assert_eq!(busy.run("commit").tags(), ["COMMIT"]);
    howdah.ends_by_itself(10);
}
