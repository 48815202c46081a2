//! More that only a server session holds: temporary objects of every kind, what code locks, last values of sequences,
//! large objects, and who sent a notification.

use super::*;

case! { temporary_functions over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("create function pg_temp.own() returns text language sql as $$ select 'of a'::text $$");
    for _ in 0..3 {
        assert!(b.query("select pg_temp.own()").sqlstate().is_some());
        assert_eq!(a.value("select pg_temp.own()"), "of a");
    }
    a.terminate();
    for _ in 0..3 {
        assert!(place.client().query("select pg_temp.own()").sqlstate().is_some());
    }
}}

case! { a_search_path_of_temporary_objects over 2, |place| {
    let mut b = place.client();
    for by_startup in [false, true] {
        let mut a = match by_startup {
            true => place.client_with(&[("options", "-c search_path=PG_temp,public")]),
            false => place.client(),
        };
        if !by_startup {
            a.run("set search_path = pg_temp, public");
        }
        a.run("create table own (x int)");
        for _ in 0..3 {
            assert_eq!(b.query("select * from own").sqlstate().unwrap(), "42P01");
            assert_eq!(a.value("select count(*) from own"), "0");
        }
        a.terminate();
    }
}}

case! { temporary_types over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("create type pg_temp.own as (x int)");
    for _ in 0..3 {
        assert!(b.query("select null::pg_temp.own").sqlstate().is_some());
        a.run("select null::pg_temp.own");
    }
}}

case! { discarding_what_is_temporary over 2, |place| {
    for discard in ["discard temp", "discard temporary", "discard all"] {
        let (mut a, mut b) = (place.client(), place.client());
        b.run("create temp table own (x int)");
        a.run("create temp table own (x int)");
        a.run(discard);
        assert_eq!(a.query("select * from own").sqlstate().unwrap(), "42P01", "{discard}");
        b.run("select * from own");
        assert_eq!(place.client().query("select * from own").sqlstate().unwrap(), "42P01", "{discard}");
        a.terminate();
        b.terminate();
    }
}}

case! { advisory_locks_of_a_view_and_of_do over 2, |place| {
    let key = 300_000 + i32::from(place.port);
    Postgres::shared().app().run(&format!(
        "create view locking_{key} as select pg_try_advisory_lock({key}) as got;
         create view over_locking_{key} as select got from locking_{key}"
    ));
    let (mut a, mut b) = (place.client(), place.client());
    for take in [
        format!("select * from locking_{key}"),
        format!("select count(*) from over_locking_{key}"),
        format!("do $$ begin perform pg_advisory_lock({key}); end $$"),
        format!("select pg_advisory_lock({key}) from generate_series(1, 1)"),
        format!("with w as (select pg_try_advisory_lock_shared({key}) as got) select got from w"),
    ] {
        a.run(&take);
        for _ in 0..3 {
            assert_eq!(b.value(&format!("select pg_try_advisory_lock({key})")), "f", "{take}");
        }
        a.run("select pg_advisory_unlock_all()");
        a.terminate();
        a = place.client();
    }
}}

/// On a server of its own: every write may run it.
#[test]
fn an_advisory_lock_of_a_default() {
    let postgres = Postgres::start();
    let howdah = Howdah::start(&Config::new(&[postgres.port]).pool("size", 2));
    postgres.app().run(
        "create table locked (v int, got bool default pg_try_advisory_lock(7));
         create table vetted (v int check (pg_try_advisory_lock(8)))",
    );
    for (key, sql) in [(7, "insert into locked (v) values (1)"), (8, "insert into vetted values (1)")] {
        let (mut a, mut b) = (howdah.app(), howdah.app());
        a.run(sql);
        for _ in 0..3 {
            assert_eq!(b.value(&format!("select pg_try_advisory_lock({key})")), "f", "{sql}");
        }
    }
}

// Sequences: what one client advances is no other's last value.

case! { lastval_where_a_default_advanced, |place| {
    let table = format!("serial_{}", place.port);
    Postgres::shared().app().run(&format!("create table {table} (id serial, v text)"));
    let (mut a, mut b) = (place.client(), place.client());
    let sequence = format!("{table}_id_seq");
    for insert in [
        format!("insert into {table} (v) values ('x')"),
        format!("with i as (insert into {table} (v) values ('y') returning id) select id from i"),
        format!("do $$ begin insert into {table} (v) values ('z'); end $$"),
    ] {
        a.run(&insert);
        assert_eq!(b.query("select lastval()").sqlstate().unwrap(), "55000", "{insert}");
        assert_eq!(b.query(&format!("select currval('{sequence}')")).sqlstate().unwrap(), "55000", "{insert}");
        a.ask(&support::message::extended(&insert, &[])).ok();
        assert_eq!(b.ask(&support::message::extended("select lastval()", &[])).sqlstate().unwrap(), "55000");
    }
    // By the one who advanced it, in one transaction.
    a.run(&format!("begin; insert into {table} (v) values ('x')"));
    assert_eq!(a.value("select lastval()"), a.value(&format!("select max(id) from {table}")));
    a.run("rollback");
    b.send(&[query(&format!("insert into {table} (v) values ('w')")), query("select lastval()")].concat());
    b.reply().ok();
    let reply = b.reply();
    assert!(reply.sqlstate().is_none_or(|code| code == "0A000"), "{reply:?}");
}}

case! { a_sequence_advanced_by_a_function, |place| {
    Postgres::shared().app().run(
        "create or replace function advance() returns bigint language sql as $$ select nextval('counter') $$",
    );
    let (mut a, mut b) = (place.client(), place.client());
    a.run("select advance()");
    for _ in 0..3 {
        assert_eq!(b.query("select lastval()").sqlstate().unwrap(), "55000");
        assert_eq!(b.query("select currval('counter')").sqlstate().unwrap(), "55000");
    }
}}

case! { discard_sequences_is_ones_own over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    b.run("begin");
    let of_b = b.value("select nextval('counter')");
    a.run("select nextval('counter')");
    a.run("discard sequences");
    assert_eq!(a.query("select lastval()").sqlstate().unwrap(), "55000");
    assert_eq!(b.value("select lastval()"), of_b);
    b.run("commit");
}}

case! { a_large_object_left_open, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("begin");
    let oid = a.value("select lo_create(0)");
    let descriptor = a.value(&format!("select lo_open({oid}, 131072)"));
    a.run("commit");
    b.run("begin");
    assert_eq!(b.query(&format!("select loread({descriptor}, 10)")).sqlstate().unwrap(), "42704");
    b.run("rollback");
    assert_eq!(a.query(&format!("select loread({descriptor}, 10)")).sqlstate().unwrap(), "42704");
    a.run(&format!("select lo_unlink({oid})"));
}}

case! { a_transaction_with_temporary_objects_is_not_prepared over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("begin");
    a.run("create temp table own (x int)");
    assert_eq!(a.query(&format!("prepare transaction 'temp_{}'", place.port)).sqlstate().unwrap(), "0A000");
    assert_eq!(a.run("select 1").status(), 'I');
    assert_eq!(b.query("select * from own").sqlstate().unwrap(), "42P01");
    assert_eq!(a.query("select * from own").sqlstate().unwrap(), "42P01");
}}

// Notifications.

fn notification(wire: &mut Wire) -> (i32, String) {
    let body = wire.until(b'A').frames.last().unwrap().body.clone();
    let (pid, rest) = body.split_first_chunk::<4>().unwrap();
    (i32::from_be_bytes(*pid), String::from_utf8_lossy(rest).replace('\0', " "))
}

case! { a_client_knows_its_own_notifications over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let channel = format!("own_{}", place.port);
    a.run(&format!("listen {channel}"));
    a.send(&query(&format!("notify {channel}, 'mine'")));
    assert_eq!(notification(&mut a), (a.pid, format!("{channel} mine ")));
    a.until(b'Z');
    b.run(&format!("select pg_notify('{channel}', 'others')"));
    let (sender, text) = notification(&mut a);
    assert_eq!(text, format!("{channel} others "));
    assert_ne!(sender, a.pid);
}}

case! { listening_that_is_rolled_back over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let channel = format!("undone_{}", place.port);
    a.run(&format!("begin; listen {channel}; rollback"));
    b.run(&format!("notify {channel}"));
    for _ in 0..2 {
        assert_eq!(a.run("select 1").shape(), "TDCZ");
        assert_eq!(b.run("select 1").shape(), "TDCZ");
    }
}}

// Defaults of databases.

#[test]
fn defaults_of_the_database_that_change() {
    let postgres = Postgres::start();
    let howdah = Howdah::start(&Config::new(&[postgres.port]).pool("size", 1));
    let (mut a, mut b) = (howdah.app(), howdah.app());
    a.run("set work_mem = '7MB'");
    assert_eq!(b.value("show work_mem"), "4MB");
    postgres.session("postgres", "app").run("alter database app set work_mem = '6MB'");
    a.run("alter role app set lock_timeout = '9s'");
    // A session of one's own keeps what it had at login; one that begins later has the new defaults.
    assert_eq!(a.value("show work_mem"), "7MB");
    let mut later = howdah.app();
    assert_eq!(later.value("show work_mem"), "6MB");
    assert_eq!(later.value("show lock_timeout"), "9s");
    assert_eq!(a.value("show work_mem"), "7MB");
}
