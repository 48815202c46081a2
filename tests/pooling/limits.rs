//! Limits of the pools, and the queue before them.

use super::*;

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
