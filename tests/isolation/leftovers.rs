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

// What a pipeline leaves open.

case! { an_implicit_transaction_is_ones_own_until_sync, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let table = format!("until_sync_{}", place.port);
    b.run(&format!("create table {table} (id int)"));
    a.send(&[parse("", &format!("insert into {table} values (1)"), &[]), bind("", "", &[], &[], &[]), execute("", 0), flush()].concat());
    a.until(b'C');
    b.send(&query("select 1/0"));
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(a.ask(&sync()).status(), 'I');
    assert_eq!(b.reply().sqlstate().unwrap(), "22012");
    assert_eq!(b.value(&format!("select count(*) from {table}")), "1", "b's error undid a's insert");
}}

case! { a_copy_that_fails_in_the_middle_of_a_long_message, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let table = format!("copy_cut_{}", place.port);
    b.run(&format!("create table {table} (id int)"));
    a.send(&query(&format!("copy {table} from stdin")));
    a.until(b'G');
    let long = copy_data("7\n".repeat(200_000).as_bytes());
    let (start, rest) = long.split_at(100_000);
    a.send(start);
    std::thread::sleep(std::time::Duration::from_millis(50));
    a.send(rest);
    a.send(&copy_data(b"no number\n"));
    a.send(start);
    a.until(b'Z');
    b.send(&query("select 'of b'"));
    std::thread::sleep(std::time::Duration::from_millis(100));
    a.send(rest);
    assert_eq!(b.reply().ok().value(), "of b");
    assert_eq!(a.value(&format!("select count(*) from {table}")), "0");
}}

case! { an_unlisten_rolled_back over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let channel = format!("kept_{}", place.port);
    a.run(&format!("listen {channel}"));
    a.run("begin");
    a.run("unlisten *");
    a.run("rollback");
    a.run(&format!("unlisten *; listen {channel}"));
    b.run(&format!("notify {channel}, 'hello'"));
    a.until(b'A');
}}
