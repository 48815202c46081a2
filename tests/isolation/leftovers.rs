//! What a client leaves unfinished is undone before another uses its server connection.

use super::*;

case! { an_aborted_transaction_left_behind, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("begin");
    a.query("select 1/0");
    a.vanish();
    assert_eq!(b.run("select 1").status(), 'I');
}}

case! { an_open_transaction_left_behind, |place| {
    let mut b = place.client();
    b.run("create table if not exists left_open (id int); truncate left_open");
    for leave in [Wire::vanish as fn(Wire), Wire::terminate] {
        let mut a = place.client();
        a.run("begin");
        a.run("insert into left_open values (1)");
        a.run("set local work_mem = '7MB'");
        leave(a);
        assert_eq!(b.run("select 1").status(), 'I');
        assert_eq!(b.value("select count(*) from left_open"), "0");
        assert_eq!(b.value("show work_mem"), "4MB");
    }
}}

case! { an_implicit_transaction_left_behind, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    b.run("create table if not exists left_implicit (id int); truncate left_implicit");
    a.send(&[parse("", "insert into left_implicit values (1)", &[]), bind("", "", &[], &[], &[]), execute("", 0), flush()].concat());
    a.until(b'C');
    a.vanish();
    assert_eq!(b.run("select 1").status(), 'I');
    eventually("the insert is undone", 5, || b.value("select count(*) from left_implicit") == "0");
    assert_eq!(b.value("select count(*) from left_implicit"), "0");
}}

case! { a_copy_in_left_behind, |place| {
    let mut b = place.client();
    b.run("create table if not exists left_copy (id int); truncate left_copy");
    for extended in [false, true] {
        let mut a = place.client();
        let sql = "copy left_copy from stdin";
        a.send(&if extended {
            [parse("", sql, &[]), bind("", "", &[], &[], &[]), execute("", 0), flush()].concat()
        } else {
            query(sql)
        });
        a.until(b'G');
        a.send(&copy_data(b"1\n2\n"));
        a.vanish();
        assert_eq!(b.run("select 1").status(), 'I');
        assert_eq!(b.value("select count(*) from left_copy"), "0");
    }
}}

case! { a_copy_out_left_behind, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.send(&query("copy (select repeat('x', 1000) from generate_series(1, 200000)) to stdout"));
    a.until(b'H');
    a.vanish();
    assert_eq!(b.run("select 1").shape(), "TDCZ");
}}

case! { a_result_left_behind, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.send(&query("select repeat('x', 1000) from generate_series(1, 200000)"));
    a.until(b'D');
    a.vanish();
    assert_eq!(b.run("select 1").shape(), "TDCZ");
}}

case! { a_running_query_left_behind, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.send(&query("select pg_sleep(3)"));
    std::thread::sleep(std::time::Duration::from_millis(100));
    a.vanish();
    let reply = b.run("select 1");
    assert_eq!(reply.shape(), "TDCZ", "b is not hit by the end of a's query");
}}

case! { half_a_message_left_behind, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let bytes = query("select 'never whole'");
    a.send(&bytes[..bytes.len() - 4]);
    a.vanish();
    assert_eq!(b.run("select 1").shape(), "TDCZ");
}}
