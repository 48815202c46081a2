//! What pipelines and failures in the middle of them leave open.

use super::*;

case! { an_implicit_transaction_is_ones_own_until_sync, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    b.run("create table if not exists until_sync (id int); truncate until_sync");
    a.send(&[parse("", "insert into until_sync values (1)", &[]), bind("", "", &[], &[], &[]), execute("", 0), flush()].concat());
    a.until(b'C');
    b.send(&query("select 1/0"));
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(a.ask(&sync()).status(), 'I');
    assert_eq!(b.reply().sqlstate().unwrap(), "22012");
    assert_eq!(b.value("select count(*) from until_sync"), "1", "b's error undid a's insert");
}}

case! { a_copy_that_fails_in_the_middle_of_a_long_message, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    b.run("create table if not exists copy_cut (id int); truncate copy_cut");
    a.send(&query("copy copy_cut from stdin"));
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
    assert_eq!(a.value("select count(*) from copy_cut"), "0");
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

case! { settings_of_pipelines_with_errors, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let step = |sql: &str| [parse("", sql, &[]), bind("", "", &[], &[], &[]), execute("", 0)].concat();
    a.send(&[step("set work_mem = '1MB'"), sync(), step("set work_mem = '2MB'"), step("select 1/0"), step("set work_mem = '3MB'"), sync(), step("set lock_timeout = '9s'"), sync()].concat());
    for _ in 0..3 { a.reply(); }
    assert_eq!(b.value("show work_mem"), "4MB");
    assert_eq!(b.value("show lock_timeout"), "0");
    assert_eq!(a.value("show work_mem"), "1MB");
    assert_eq!(a.value("show lock_timeout"), "9s");
    a.query("set work_mem = '5MB'; select 1/0");
    assert_eq!(a.value("show work_mem"), "1MB");
    a.run("begin; set work_mem = '6MB'; savepoint s; set work_mem = '7MB'; release s; rollback");
    assert_eq!(b.value("show work_mem"), "4MB");
    assert_eq!(a.value("show work_mem"), "1MB");
    a.run("begin; set work_mem = '6MB'; set local work_mem = '8MB'; commit");
    assert_eq!(b.value("show work_mem"), "4MB");
    assert_eq!(a.value("show work_mem"), "6MB");
    a.run("begin; set local work_mem = '8MB'; set work_mem = '7MB'; commit");
    assert_eq!(b.value("show work_mem"), "4MB");
    assert_eq!(a.value("show work_mem"), "7MB");
}}

case! { a_reset_to_the_startup_packet_in_every_place, |place| {
    let mut b = place.client();
    let step = |sql: &str| [parse("", sql, &[]), bind("", "", &[], &[], &[]), execute("", 0)].concat();
    for reset in ["reset work_mem", "set work_mem to default", "reset all", "discard all"] {
        let mut a = place.client_with(&[("work_mem", "3MB"), ("lock_timeout", "9s")]);
        a.run("set work_mem = '5MB'");
        a.run(reset);
        assert_eq!(a.value("show work_mem"), "3MB", "{reset}");
        assert_eq!(b.value("show work_mem"), "4MB", "{reset}");
        if reset != "discard all" {
            a.run("set work_mem = '5MB'");
            assert_eq!(a.value(&format!("{reset}; show work_mem")), "3MB", "{reset}; show");
            assert_eq!(a.value(&format!("set work_mem = '6MB'; {reset}; show work_mem")), "3MB", "set; {reset}; show");
            a.run("set work_mem = '5MB'");
            a.run("begin");
            a.run(reset);
            assert_eq!(a.value("show work_mem"), "3MB", "{reset} in a block");
            a.run("rollback");
            assert_eq!(a.value("show work_mem"), "5MB", "{reset} rolled back");
        }
        a.run("set work_mem = '5MB'");
        let shown = a.ask(&[step(reset), step("show work_mem"), sync()].concat());
        assert_eq!(shown.ok().value(), "3MB", "{reset} in a pipeline");
        assert_eq!(b.value("show work_mem"), "4MB", "{reset}");
        assert_eq!(a.value("show lock_timeout"), "9s", "{reset}");
    }
}}
