//! State that only the server holds keeps a client on its connection, or is refused; nobody else meets it.

use super::*;

case! { temporary_tables over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("create temp table own (of_a int)");
    a.run("insert into own values (1)");
    assert_eq!(b.query("select * from own").sqlstate().unwrap(), "42P01");
    b.run("create temp table own (of_b text)");
    assert_eq!(a.value("select of_a from own"), "1");
    assert_eq!(b.value("select count(of_b) from own"), "0");
    place.says_pinned("temp");
    a.terminate();
    b.terminate();
    for _ in 0..4 {
        let mut later = place.client();
        assert_eq!(later.query("select * from own").sqlstate().unwrap(), "42P01");
        later.run("create temp table own (fresh int)");
    }
}}

case! { temporary_tables_of_every_spelling over 2, |place| {
    let spellings = [
        "create temporary table own as select 1 as x",
        "create local temp table own (x int)",
        "select 1 as x into temp own",
        "select 1 as x into temporary table own",
        "create table pg_temp.own (x int)",
        "create temp view own as select 1 as x",
        "create temp sequence own",
        "create /* c */ temp\n table own (x int)",
        "with w as (select 1 as x) select * into temp own from w",
        "prepare make as select 1; drop table if exists own; create temp table own as execute make; deallocate make",
        "do $$ begin create temp table own (x int); end $$",
        "do $$ begin execute 'create te' || 'mp table own (x int)'; end $$",
        "begin; create temp table own (x int); commit",
        "select 1; create temp table own (x int)",
    ];
    for spelling in spellings {
        let (mut a, mut b) = (place.client(), place.client());
        a.run(spelling);
        for _ in 0..3 {
            assert_eq!(b.query("select * from own").sqlstate().as_deref(), Some("42P01"), "{spelling}");
            a.run("select * from own");
        }
        a.terminate();
        b.terminate();
    }
}}

case! { a_temporary_table_made_by_a_function over 2, |place| {
    Postgres::shared().app().run(
        "create or replace function make_hidden() returns void language plpgsql as \
         $$ begin create temp table hidden (x int); end $$",
    );
    let (mut a, mut b) = (place.client(), place.client());
    a.run("select make_hidden()");
    for _ in 0..3 {
        assert_eq!(b.query("select * from hidden").sqlstate().unwrap(), "42P01");
        a.run("select * from hidden");
    }
}}

case! { a_temporary_table_dropped_on_commit, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("begin; create temp table brief (x int) on commit drop; insert into brief values (1); commit");
    assert_eq!(b.query("select * from brief").sqlstate().unwrap(), "42P01");
    assert_eq!(a.query("select * from brief").sqlstate().unwrap(), "42P01");
}}

case! { cursors_with_hold over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("declare c cursor with hold for select id from item order by id");
    assert_eq!(a.value("fetch c"), "1");
    assert_eq!(b.query("fetch c").sqlstate().unwrap(), "34000");
    b.run("declare c cursor with hold for select -id from item order by id");
    assert_eq!(b.value("fetch c"), "-1");
    assert_eq!(a.value("fetch c"), "2");
    place.says_pinned("cursor");
    a.terminate();
    b.terminate();
    for _ in 0..4 {
        assert_eq!(place.client().value("select count(*) from pg_cursors"), "0");
    }
}}

case! { advisory_locks over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    // Each place has locks of its own: both run on one server.
    let key = place.port;
    a.run(&format!("select pg_advisory_lock({key})"));
    let attempt = format!("select pg_try_advisory_lock({key})");
    for _ in 0..3 {
        assert_eq!(b.value(&attempt), "f");
    }
    place.says_pinned("advisory");
    assert_eq!(a.value(&format!("select pg_advisory_unlock({key})")), "t");
    assert_eq!(b.value(&attempt), "t");
    assert_eq!(a.value(&attempt), "f");
    b.vanish();
    eventually("the lock goes with its client", 5, || a.value(&attempt) == "t");
}}

case! { an_advisory_lock_taken_in_a_function over 2, |place| {
    Postgres::shared().app().run(
        "create or replace function take_lock(key int) returns void language plpgsql as \
         $$ begin perform pg_advisory_lock(key); end $$",
    );
    let (mut a, mut b) = (place.client(), place.client());
    let key = 100_000 + i32::from(place.port);
    a.run(&format!("select take_lock({key})"));
    for _ in 0..3 {
        assert_eq!(b.value(&format!("select pg_try_advisory_lock({key})")), "f");
    }
    assert_eq!(a.value(&format!("select pg_advisory_unlock({key})")), "t");
    assert_eq!(b.value(&format!("select pg_try_advisory_lock({key})")), "t");
}}

case! { advisory_locks_of_a_transaction, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let key = 200_000 + i32::from(place.port);
    a.run(&format!("begin; select pg_advisory_xact_lock({key}); commit"));
    assert_eq!(b.value(&format!("select pg_try_advisory_xact_lock({key})")), "t");
}}

case! { listening over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let channel = format!("news_{}", place.port);
    a.run(&format!("listen {channel}"));
    assert_eq!(b.run(&format!("notify {channel}, 'hello'")).shape(), "CZ", "b does not listen");
    let notification = a.until(b'A');
    let payload = String::from_utf8_lossy(&notification.frames[0].body[4..]).into_owned();
    assert_eq!(payload, format!("{channel}\0hello\0"));
    assert_eq!(notification.frames[0].body[..4], b.pid.to_be_bytes(), "the id that its sender was told");
    let own = a.run(&format!("notify {channel}"));
    let own = own.tagged(b'A').next().expect("a notification of one's own").body[..4].to_vec();
    assert_eq!(own, a.pid.to_be_bytes());
    assert_eq!(b.value("select count(*) from pg_listening_channels()"), "0");
    assert_eq!(a.value("select count(*) from pg_listening_channels()"), "1");
    place.says_pinned("listen");
    a.run(&format!("unlisten {channel}"));
    b.run(&format!("notify {channel}, 'silence'"));
    assert_eq!(a.run("select 1").shape(), "TDCZ");
    a.run(&format!("listen {channel}"));
    a.terminate();
    b.run(&format!("notify {channel}, 'gone'"));
    for _ in 0..4 {
        let mut later = place.client();
        assert_eq!(later.value("select count(*) from pg_listening_channels()"), "0");
        assert_eq!(later.run(&format!("notify {channel}, 'later'")).shape(), "CZ");
    }
}}

// Sequences.

case! { lastval_of_another over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("select nextval('counter')");
    for _ in 0..3 {
        assert_eq!(b.query("select lastval()").sqlstate().unwrap(), "55000");
        assert_eq!(b.query("select currval('counter')").sqlstate().unwrap(), "55000");
    }
}}

case! { lastval_of_ones_own over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let of_a = a.value("select nextval('counter')");
    b.run("select nextval('counter')");
    for sql in ["select lastval()", "select currval('counter')"] {
        let reply = a.query(sql);
        // Another client may have used the connection since: then it is refused, never another's value.
        let refused = place.howdah.is_some() && reply.sqlstate().as_deref() == Some("0A000");
        assert!(refused || reply.value() == of_a, "{sql}: {reply:?}");
    }
    a.run("begin");
    let of_a = a.value("select nextval('counter')");
    assert_eq!(a.value("select lastval()"), of_a);
    assert_eq!(a.value("select currval('counter')"), of_a);
    a.run("commit");
}}
