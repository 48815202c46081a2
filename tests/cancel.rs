//! CancelRequest ends what its own client runs, and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use support::config::Config;
use support::eventually;
use support::message::{bind, cancel_request, execute, parse, query, sync};
use support::postgres::Postgres;
use support::proxy::Howdah;
use support::relay::{Fault, Relay};
use support::wire::{Event, Wire};

fn howdah(pool_size: u32) -> Howdah {
    Howdah::start(&Config::new(&[Postgres::shared().port]).pool("size", pool_size))
}

/// Waits until the server runs a statement that contains `text`.
fn runs(text: &str) {
    let mut direct = Postgres::shared().app();
    let sql = format!(
        "select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and query like '%{text}%'"
    );
    eventually("the statement runs", 10, || direct.value(&sql) != "0");
}

/// A statement of `seconds` that can be told from all others.
fn sleep(name: &str, seconds: &str) -> Vec<u8> {
    query(&format!("select '{name}' from pg_sleep({seconds})"))
}

#[test]
fn the_right_client_is_cancelled_and_goes_on() {
    let howdah = howdah(2);
    let (mut a, mut b) = (howdah.app(), howdah.app());
    a.send(&sleep("right a", "60"));
    b.send(&sleep("right b", "1"));
    runs("right a");
    runs("right b");
    let began = Instant::now();
    a.cancel();
    let reply = a.reply();
    assert_eq!(reply.sqlstate().as_deref(), Some("57014"));
    assert_eq!(reply.message().as_deref(), Some("canceling statement due to user request"));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(b.reply().ok().value(), "right b");
    assert_eq!(a.value("select 1"), "1");
}

#[test]
fn a_cancel_in_a_transaction_aborts_it() {
    let howdah = howdah(1);
    let mut a = howdah.app();
    a.run("begin");
    a.send(&sleep("in block", "60"));
    runs("in block");
    a.cancel();
    let reply = a.reply();
    assert_eq!((reply.sqlstate().as_deref(), reply.status()), (Some("57014"), 'E'));
    a.run("rollback");
    assert_eq!(a.value("select 1"), "1");
}

#[test]
fn a_cancel_in_a_pipeline_skips_to_sync() {
    let howdah = howdah(1);
    let mut a = howdah.app();
    let one = |sql: &str| [parse("", sql, &[]), bind("", "", &[], &[], &[]), execute("", 0)].concat();
    a.send(&[one("select 1"), one("select 'piped' from pg_sleep(60)"), one("select 3"), sync()].concat());
    runs("piped");
    a.cancel();
    let reply = a.reply();
    assert_eq!(reply.sqlstate().as_deref(), Some("57014"));
    assert_eq!(reply.column(), ["1"]);
    assert_eq!(a.value("select 1"), "1");
}

#[test]
fn a_cancel_ends_a_copy() {
    let howdah = howdah(1);
    let mut a = howdah.app();
    a.send(&query("copy (select 'copied' from generate_series(1, 100), pg_sleep(60)) to stdout"));
    runs("copied");
    a.cancel();
    assert_eq!(a.reply().sqlstate().as_deref(), Some("57014"));
    assert_eq!(a.value("select 1"), "1");
}

#[test]
fn a_cancel_of_an_idle_client_does_not_hit_the_next_user_of_its_connection() {
    let howdah = howdah(1);
    let (mut a, mut b) = (howdah.app(), howdah.app());
    assert_eq!(a.server_pid(), b.server_pid());
    b.send(&sleep("innocent", "1"));
    runs("innocent");
    for _ in 0..5 {
        a.cancel();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(b.reply().ok().value(), "innocent");
    assert_eq!(a.value("select 1"), "1");
}

#[test]
fn a_late_cancel_never_hits_the_next_user_of_the_connection() {
    let howdah = howdah(1);
    let (mut a, mut b) = (howdah.app(), howdah.app());
    for round in 0..60_u64 {
        let request = cancel_request(a.pid, &a.key);
        let mut canceller = Wire::open(howdah.port);
        a.send(&query("select pg_sleep(0.002)"));
        b.send(&query("select 'b' from pg_sleep(0.02)"));
        std::thread::sleep(Duration::from_micros(round * 100));
        canceller.send(&request);
        let state = a.reply().sqlstate();
        assert!(state.is_none() || state.as_deref() == Some("57014"), "{state:?}");
        let reply = b.reply();
        assert_eq!(reply.sqlstate(), None, "round {round}: b was hit by a's cancel");
        assert_eq!(reply.value(), "b");
    }
}

#[test]
fn a_client_that_waits_for_a_connection_can_be_cancelled() {
    let howdah = howdah(1);
    let (mut holder, mut waiter) = (howdah.app(), howdah.app());
    holder.run("begin");
    waiter.send(&query("select 'waited'"));
    assert_eq!(waiter.event_within(Duration::from_millis(200)), Event::TimedOut);
    let began = Instant::now();
    waiter.cancel();
    let reply = waiter.reply();
    assert_eq!((reply.sqlstate().as_deref(), reply.status()), (Some("57014"), 'I'));
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(holder.run("select 1").status(), 'T');
    holder.run("commit");
    assert_eq!(waiter.value("select 2"), "2");
}

#[test]
fn a_wrong_key_or_process_id_does_nothing_and_is_answered_by_silence() {
    let howdah = howdah(1);
    let mut a = howdah.app();
    a.send(&sleep("guarded", "1"));
    runs("guarded");
    let mut wrong = a.key.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let requests = [
        cancel_request(a.pid, &wrong),
        cancel_request(a.pid.wrapping_add(1), &a.key),
        cancel_request(0, &[0; 4]),
        cancel_request(a.pid, &[]),
        cancel_request(a.pid, &[a.key.as_slice(), &[0; 100]].concat()),
        cancel_request(a.pid, &[7; 1000]),
    ];
    for request in requests {
        let mut wire = Wire::open(howdah.port);
        wire.send(&request);
        assert!(wire.is_closed(), "a CancelRequest has no answer");
    }
    assert_eq!(a.reply().ok().value(), "guarded");
}

#[test]
fn a_right_cancel_is_answered_by_silence() {
    let howdah = howdah(1);
    let a = howdah.app();
    let mut wire = Wire::open(howdah.port);
    wire.send(&cancel_request(a.pid, &a.key));
    assert!(wire.is_closed());
}

#[test]
fn keys_of_clients_differ_and_are_not_the_servers_own() {
    let howdah = howdah(1);
    let clients: Vec<Wire> = (0..20).map(|_| howdah.app()).collect();
    let mut identities: Vec<(i32, Vec<u8>)> = clients.iter().map(|c| (c.pid, c.key.clone())).collect();
    identities.sort();
    identities.dedup();
    assert_eq!(identities.len(), clients.len());
    let mut keys: Vec<&Vec<u8>> = clients.iter().map(|client| &client.key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), clients.len(), "keys must not be guessable from one another");
}

#[test]
fn among_many_clients_only_those_who_asked_are_cancelled() {
    let howdah = howdah(3);
    std::thread::scope(|scope| {
        for number in 0..12_u64 {
            let howdah = &howdah;
            scope.spawn(move || {
                let mut wire = howdah.app();
                for round in 0..15 {
                    let asked = (number + round) % 3 == 0;
                    wire.send(&query(&format!("select '{number}{round:02}' from pg_sleep(0.01)")));
                    if asked {
                        wire.cancel();
                    }
                    let reply = wire.reply();
                    match reply.sqlstate().as_deref() {
                        None => assert_eq!(reply.value(), format!("{number}{round:02}")),
                        Some("57014") => assert!(asked, "client {number} was hit by another's cancel"),
                        Some(other) => panic!("{other}"),
                    }
                    if asked {
                        // A cancel that came too late may still be on its way to this client's next statement.
                        let mut settle = wire.query("select pg_sleep(0.03)");
                        if settle.sqlstate().as_deref() == Some("57014") {
                            settle = wire.query("select 1");
                        }
                        settle.ok();
                    }
                }
            });
        }
    });
}

/// Whatever keeps a client on its connection: a request that comes to the server when its statement is done
/// must not be there when the next statement comes.
#[test]
fn a_request_that_is_slow_does_not_hit_the_clients_own_next_statement() {
    let relay = Relay::start(Postgres::shared().port, Fault::SlowCancel(Duration::from_millis(400)));
    let howdah = Howdah::start(&Config::new(&[relay.port]).pool("size", 1));
    let sleeps = |sql: &str| [parse("", sql, &[]), bind("", "", &[], &[], &[]), execute("", 0)].concat();
    for before in ["select 1", "begin", "create temp table if not exists t ()"] {
        let mut a = howdah.app();
        a.run(before);
        for round in 0..2 {
            let (first, next) = ("select 'first' from pg_sleep(0.2)", "select 'next' from pg_sleep(0.4)");
            a.send(&if round == 0 { query(first) } else { [sleeps(first), sync()].concat() });
            std::thread::sleep(Duration::from_millis(50));
            a.cancel();
            assert_eq!(a.reply().ok().value(), "first", "the request comes too late");
            let next = if round == 0 { query(next) } else { [sleeps(next), sync()].concat() };
            assert_eq!(a.ask(&next).ok().value(), "next", "after {before}");
        }
        a.terminate();
    }
}

#[test]
fn the_cancel_of_a_client_that_left_does_nothing() {
    let howdah = howdah(1);
    let a = howdah.app();
    let request = cancel_request(a.pid, &a.key);
    a.terminate();
    let mut b = howdah.app();
    b.send(&sleep("after a left", "1"));
    runs("after a left");
    Wire::open(howdah.port).send(&request);
    assert_eq!(b.reply().ok().value(), "after a left");
}
