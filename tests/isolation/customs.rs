//! Custom settings (`my.var`) stay known in a server session for ever: none that one client has made known is empty,
//! rather than unknown, for another.

use super::*;

const READ: &str = "select current_setting('my.own', true)";

/// `a` does `change`, behind which its own setting reads `left`; for others it is unknown.
fn a_custom_setting_is_unknown_to_others(place: &Place, change: impl Fn(&mut Wire), left: &str) {
    let (mut a, mut b) = (place.client(), place.client());
    assert_eq!(b.value(READ), "NULL");
    change(&mut a);
    for _ in 0..2 {
        assert_eq!(b.value(READ), "NULL");
        assert_eq!(b.query("show my.own").sqlstate().unwrap(), "42704");
        assert_eq!(a.value(READ), left);
    }
    a.terminate();
    for _ in 0..3 {
        assert_eq!(place.client().value(READ), "NULL");
    }
}

case! { custom_settings_of_transactions, |place| {
    for (change, left) in [
        ("begin; set local my.own = 'x'; commit", ""),
        ("begin; set local my.own = 'x'; rollback", ""),
        ("begin; set my.own = 'x'; rollback", ""),
        ("begin; savepoint s; set my.own = 'x'; rollback to s; commit", ""),
        ("set my.own = 'x'; begin; set local my.own = 'y'; commit", "x"),
        ("set my.own = 'x'; reset my.own", ""),
        ("set my.own = 'x'; set my.own to default", ""),
        ("set my.own = 'x'; reset all", ""),
        ("select set_config('my.own', 'x', true)", ""),
        ("select set_config('my.own', 'x', true), set_config('work_mem', '5MB', false)", ""),
        ("set My.Own = 'x'", "x"),
    ] {
        a_custom_setting_is_unknown_to_others(place, |a| drop(a.run(change)), left);
    }
}}

case! { custom_settings_after_discard_all, |place| {
    a_custom_setting_is_unknown_to_others(place, |a| {
        a.run("set my.own = 'x'");
        a.run("discard all");
    }, "");
}}

case! { custom_settings_of_statements_that_fail, |place| {
    for change in [
        "select set_config('my.own', 'x', true), set_config('work_mem', 'much', false)",
        "set my.own = 'x'; select 1/0",
    ] {
        a_custom_setting_is_unknown_to_others(place, |a| assert!(a.query(change).sqlstate().is_some()), "");
    }
}}

case! { custom_settings_by_parameter, |place| {
    for sql in ["select set_config('my.own', $1, true)", "select set_config('my.own', $1::text, true)"] {
        a_custom_setting_is_unknown_to_others(place, |a| {
            a.ask(&support::message::extended(sql, &[Some("x")])).ok();
        }, "");
        // In one pipeline with what reads it.
        let mut a = place.client();
        let values: [Option<&[u8]>; 1] = [Some(b"of a")];
        let set = [parse("", sql, &[]), bind("", "", &[], &values, &[]), execute("", 0)].concat();
        let read = [parse("", READ, &[]), bind("", "", &[], &[], &[]), execute("", 0), sync()].concat();
        assert_eq!(a.ask(&[set, read].concat()).ok().column(), ["of a", "of a"]);
    }
}}

case! { custom_settings_of_code over 2, |place| {
    Postgres::shared().app().run(
        "create or replace function with_own() returns int language sql set my.own = 'x' as 'select 1'",
    );
    for change in [
        "select with_own()",
        "do $$ begin perform set_config('my.own', 'x', true); end $$",
        "select set_config('my.' || 'own', 'x', true)",
    ] {
        a_custom_setting_is_unknown_to_others(place, |a| drop(a.run(change)), "");
        // DISCARD ALL does not make it unknown either.
        let mut a = place.client();
        a.run(change);
        a.run("discard all");
        for _ in 0..3 {
            assert_eq!(place.client().value(READ), "NULL", "{change}");
        }
    }
}}

case! {
/// One that an extension defines has a default of its own.
settings_of_extensions, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let read = "do $$ begin end $$; show plpgsql.variable_conflict";
    for change in ["begin; set local plpgsql.variable_conflict = 'use_column'; commit", "set plpgsql.variable_conflict = 'use_column'; reset plpgsql.variable_conflict"] {
        assert_eq!(b.run(read).column(), ["error"]);
        a.run("do $$ begin end $$");
        a.run(change);
        assert_eq!(b.run(read).column(), ["error"]);
        assert_eq!(a.run(read).column(), ["error"]);
    }
}}

#[test]
fn a_client_that_knows_none_costs_the_others_one_connection() {
    let howdah = Howdah::start(&Config::new(&[Postgres::shared().port]).pool("size", 4));
    let mut knowing: Vec<Wire> = (0..4).map(|_| howdah.app()).collect();
    for wire in &mut knowing {
        wire.run("begin");
        wire.run("set local my.own = 'x'");
    }
    let mut pids: Vec<i32> = knowing.iter_mut().map(Wire::server_pid).collect();
    for wire in &mut knowing {
        wire.run("commit");
    }
    let mut later = howdah.app();
    assert_eq!(later.value(READ), "NULL");
    let fresh = later.server_pid();
    assert!(!pids.contains(&fresh), "{fresh} of {pids:?}");
    for wire in &mut knowing {
        wire.run("begin");
        assert_eq!(wire.value(READ), "");
    }
    let now: Vec<i32> = knowing.iter_mut().map(Wire::server_pid).collect();
    pids.retain(|pid| now.contains(pid));
    assert_eq!(pids.len(), 3, "one connection made room");
    for wire in &mut knowing {
        wire.run("commit");
    }
    assert_eq!(later.value(READ), "NULL");
}
