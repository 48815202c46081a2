//! What is left after a server, Howdah or clients were killed under load.

use super::*;

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
