//! What is sent before it is known whether what came before it succeeded.

use super::*;

case! { a_setting_by_a_row_that_is_fetched_alone, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let sql = "select set_config('work_mem', '6MB', false)";
    let set = [parse("", sql, &[]), bind("", "", &[], &[], &[]), execute("", 1), sync()].concat();
    assert_eq!(a.ask(&set).ok().value(), "6MB");
    assert_ne!(b.value("show work_mem"), "6MB");
    assert_eq!(a.value("show work_mem"), "6MB");
}}

case! { what_an_executed_statement_does_to_the_session over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    for (name, sql) in [
        ("sets", "set work_mem to '6MB'"),
        ("calls", "select set_config('statement_timeout', '50s', false)"),
        ("locks", "select pg_advisory_lock(4711)"),
    ] {
        a.ask(&[parse(name, sql, &[]), sync()].concat()).ok();
        a.run(&format!("execute {name}"));
    }
    for _ in 0..2 {
        assert_ne!(b.value("show work_mem"), "6MB");
        assert_ne!(b.value("show statement_timeout"), "50s");
        assert_eq!(b.value("select pg_try_advisory_lock(4711)"), "f");
        assert_eq!(a.value("show work_mem"), "6MB");
        assert_eq!(a.value("show statement_timeout"), "50s");
    }
    a.run("select pg_advisory_unlock_all()");
}}

case! { the_unnamed_statement_that_a_skipped_query_would_have_dropped over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let table = format!("of_a_{}", place.port);
    let failed = [
        parse("", &format!("create temp table {table} (x int)"), &[]),
        bind("", "nonesuch", &[], &[], &[]),
        query("select 1"),
        sync(),
    ];
    assert_eq!(a.ask(&failed.concat()).sqlstate().unwrap(), "26000");
    a.ask(&[bind("", "", &[], &[], &[]), execute("", 0), sync()].concat()).ok();
    assert_eq!(b.query(&format!("select * from {table}")).sqlstate().unwrap(), "42P01");
    assert_eq!(a.value(&format!("select count(*) from {table}")), "0");
}}

case! { a_portal_that_is_bound_while_the_transaction_before_it_ends over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let table = format!("of_a_{}", place.port);
    a.send(&[query("select pg_sleep(0.2)"), parse("", &format!("create temp table {table} (x int)"), &[])].concat());
    a.send(&[bind("p", "", &[], &[], &[]), flush()].concat());
    a.reply().ok();
    std::thread::sleep(std::time::Duration::from_millis(200));
    a.ask(&[execute("p", 0), sync()].concat()).ok();
    assert_eq!(b.query(&format!("select * from {table}")).sqlstate().unwrap(), "42P01");
    assert_eq!(a.value(&format!("select count(*) from {table}")), "0");
}}

case! { a_statement_whose_columns_changed_writes_nothing over 1, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let table = format!("returned_{}", place.port);
    b.run(&format!("create table {table} (x int)"));
    a.ask(&[parse("w", &format!("insert into {table} values (1) returning *"), &[]), sync()].concat()).ok();
    let run = |name: &str| [bind("", name, &[], &[], &[]), execute("", 0), sync()].concat();
    a.ask(&run("w")).ok();
    let postgres = Postgres::shared();
    postgres.session("postgres", "app").run(&format!("alter table {table} add column y int default 2"));
    if place.howdah.is_some() {
        // Another connection, which has never prepared it.
        let pid = b.server_pid();
        postgres.session("postgres", "app").run(&format!("select pg_terminate_backend({pid})"));
        eventually("another connection", 5, || {
            let reply = place.client().query("select pg_backend_pid()");
            reply.sqlstate().is_none() && reply.value() != pid.to_string()
        });
    }
    for _ in 0..2 {
        let reply = a.ask(&run("w"));
        assert_eq!(reply.sqlstate().unwrap(), "0A000");
        assert_eq!(reply.shape(), "EZ", "{reply:?}");
        assert_eq!(a.ask(&[named(b'D', b'S', "w"), sync()].concat()).sqlstate().unwrap(), "0A000");
    }
    a.run("begin");
    assert_eq!(a.ask(&run("w")).sqlstate().unwrap(), "0A000");
    assert_eq!(a.query("select 1").sqlstate().unwrap(), "25P02");
    a.run("rollback");
    assert_eq!(a.value(&format!("select count(*) from {table}")), "1");
    a.ask(&[parse("v", &format!("insert into {table} values (1) returning *"), &[]), sync()].concat()).ok();
    assert_eq!(a.ask(&run("v")).ok().rows()[0].len(), 2);
}}
