//! Settings in every place where they may come undone: pipelines with errors, blocks, RESET.

use super::*;

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
