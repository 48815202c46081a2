//! Prepared statements, portals and cursors of one client do not exist for another.

use super::*;

case! { protocol_statements_of_one_name, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.ask(&[parse("p", "select 'of a'", &[]), sync()].concat()).ok();
    b.ask(&[parse("p", "select 'of b'", &[]), sync()].concat()).ok();
    let run = [bind("", "p", &[], &[], &[]), execute("", 0), sync()].concat();
    for _ in 0..2 {
        assert_eq!(a.ask(&run).ok().value(), "of a");
        assert_eq!(b.ask(&run).ok().value(), "of b");
    }
    b.ask(&[named(b'C', b'S', "p"), sync()].concat()).ok();
    assert_eq!(b.ask(&run).sqlstate().unwrap(), "26000");
    assert_eq!(a.ask(&run).ok().value(), "of a");
    assert_eq!(place.client().ask(&run).sqlstate().unwrap(), "26000");
}}

case! { protocol_statements_of_one_text, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let prepare = |name: &str| [parse(name, "select $1::int + 1", &[]), sync()].concat();
    a.ask(&prepare("mine")).ok();
    b.ask(&prepare("yours")).ok();
    b.ask(&[named(b'C', b'S', "yours"), sync()].concat()).ok();
    let run = |name: &str| [bind("", name, &[], &[Some(b"4")], &[]), execute("", 0), sync()].concat();
    assert_eq!(a.ask(&run("mine")).ok().value(), "5");
    assert_eq!(b.ask(&run("mine")).sqlstate().unwrap(), "26000");
}}

case! { many_statements_of_two_clients, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    for number in 0..200 {
        let prepare = |who: &str| [parse(&format!("s{number}"), &format!("select '{who}{number}'"), &[]), sync()].concat();
        a.ask(&prepare("a")).ok();
        b.ask(&prepare("b")).ok();
    }
    for number in (0..200).step_by(7) {
        let run = [bind("", &format!("s{number}"), &[], &[], &[]), execute("", 0), sync()].concat();
        assert_eq!(a.ask(&run).ok().value(), format!("a{number}"));
        assert_eq!(b.ask(&run).ok().value(), format!("b{number}"));
    }
}}

case! { sql_statements_of_one_name, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("prepare p as select 'of a'");
    assert_eq!(b.query("execute p").sqlstate().unwrap(), "26000");
    b.run("prepare p as select 'of b'");
    for _ in 0..2 {
        assert_eq!(a.value("execute p"), "of a");
        assert_eq!(b.value("execute p"), "of b");
    }
    b.run("deallocate p");
    assert_eq!(b.query("execute p").sqlstate().unwrap(), "26000");
    assert_eq!(a.value("execute p"), "of a");
    a.run("deallocate all");
    b.run("prepare p as select 'again'");
    assert_eq!(a.query("execute p").sqlstate().unwrap(), "26000");
}}

case! { deallocate_all_is_ones_own, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    for client in [&mut a, &mut b] {
        client.ask(&[parse("p", "select 1", &[]), sync()].concat()).ok();
        client.run("prepare q as select 2");
    }
    a.run("deallocate all");
    assert_eq!(b.ask(&[bind("", "p", &[], &[], &[]), execute("", 0), sync()].concat()).ok().value(), "1");
    assert_eq!(b.value("execute q"), "2");
    assert_eq!(a.query("execute q").sqlstate().unwrap(), "26000");
    assert_eq!(a.ask(&[bind("", "p", &[], &[], &[]), sync()].concat()).sqlstate().unwrap(), "26000");
}}

case! { the_view_of_prepared_statements, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let sql = "select name from pg_prepared_statements order by name";
    a.ask(&[parse("of_a", "select 1", &[]), sync()].concat()).ok();
    a.run("prepare of_a2 as select 2");
    b.run("prepare of_b as select 3");
    assert_eq!(b.run(sql).column(), ["of_b"]);
    assert_eq!(a.run(sql).column(), ["of_a", "of_a2"]);
}}

case! { unnamed_statements, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.ask(&[parse("", "select 'of a'", &[]), sync()].concat()).ok();
    let run = [bind("", "", &[], &[], &[]), execute("", 0), sync()].concat();
    assert_eq!(b.ask(&run).sqlstate().unwrap(), "26000");
    b.ask(&[parse("", "select 'of b'", &[]), sync()].concat()).ok();
    assert_eq!(a.ask(&run).ok().value(), "of a");
    assert_eq!(b.ask(&run).ok().value(), "of b");
}}

case! { portals_end_with_their_transaction, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("begin");
    let open = [parse("", "select id from item order by id", &[]), bind("held", "", &[], &[], &[]), execute("held", 2), sync()];
    assert_eq!(a.ask(&open.concat()).ok().column(), ["1", "2"]);
    a.run("commit");
    for name in ["held", ""] {
        assert_eq!(b.ask(&[execute(name, 0), sync()].concat()).sqlstate().unwrap(), "34000");
    }
}}

case! { cursors_end_with_their_transaction, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("begin; declare c cursor for select id from item; commit");
    assert_eq!(b.query("fetch c").sqlstate().unwrap(), "34000");
    assert_eq!(b.value("select count(*) from pg_cursors"), "0");
}}

case! { what_execute_and_fetch_return_is_described_by_ones_own over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let columns = |client: &mut Wire, sql: &str| {
        let answer = client.ask(&[parse("s", sql, &[]), named(b'D', b'S', "s"), sync()].concat()).ok();
        client.ask(&[named(b'C', b'S', "s"), sync()].concat()).ok();
        answer.types()
    };
    a.run("prepare p as select 1");
    b.run("prepare p as select 'x'::text, 2, 3");
    for (client, declare) in
        [(&mut a, "declare c cursor for select 1"), (&mut b, "declare c cursor for select 'x'::text, 2, 3")]
    {
        client.run("begin");
        client.run(declare);
    }
    let of_a = [columns(&mut a, "execute p"), columns(&mut a, "fetch all from c")];
    let of_b = [columns(&mut b, "execute p"), columns(&mut b, "fetch all from c")];
    assert_eq!(of_a, [vec![23], vec![23]]);
    assert_eq!(of_b, [vec![25, 23, 23], vec![25, 23, 23]]);
}}

case! { a_list_of_statements_beside_one_that_cannot_be_prepared_again over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.ask(&[parse("p", "select 'of a'", &[]), sync()].concat()).ok();
    b.run("create temp table gone (x int); create temp table there (x int)");
    b.run("prepare stale as select * from gone");
    b.run("drop table gone");
    b.run("prepare fresh as select count(*) from there");
    for _ in 0..2 {
        let listed = "select string_agg(name, ',' order by name) from pg_prepared_statements";
        assert_eq!(b.value(listed), "fresh,stale");
        assert_eq!(b.value("execute fresh"), "0");
    }
    assert_eq!(b.value("select generic_plans from pg_prepared_statements where name = 'fresh'"), "2");
    assert_eq!(b.query("execute stale").sqlstate().unwrap(), "42P01");
    assert_eq!(b.value("execute fresh"), "0");
    b.run("discard all");
    assert_eq!(a.ask(&[bind("", "p", &[], &[], &[]), execute("", 0), sync()].concat()).ok().value(), "of a");
}}

#[test]
fn a_statement_that_was_to_give_way_in_a_failed_pipeline_is_there_still() {
    let config = Config::new(&[Postgres::shared().port]).pool("size", 1).pool("prepared_statements_max", 8);
    let howdah = Howdah::start(&config);
    let mut a = howdah.app();
    for number in 1..=9 {
        a.ask(&[parse(&format!("s{number}"), &format!("select {number}"), &[]), sync()].concat()).ok();
    }
    let run = |name: &str| [bind("", name, &[], &[], &[]), execute("", 0), sync()].concat();
    let failed = [
        parse("", "select 1/0", &[]),
        bind("", "", &[], &[], &[]),
        execute("", 0),
        parse("s10", "select 10", &[]),
        sync(),
    ];
    assert_eq!(a.ask(&failed.concat()).sqlstate().unwrap(), "22012");
    for number in 1..=9 {
        assert_eq!(a.ask(&run(&format!("s{number}"))).ok().value(), number.to_string());
    }
    assert_eq!(a.ask(&run("s10")).sqlstate().unwrap(), "26000");
}

case! { a_statement_prepared_before_its_table_changed, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let table = format!("changed_{}", place.port);
    b.run(&format!("create table {table} (x int); insert into {table} values (1)"));
    let sql = format!("select * from {table}");
    a.ask(&[parse("old", &sql, &[]), sync()].concat()).ok();
    let run = |name: &str| [bind("", name, &[], &[], &[]), execute("", 0), sync()].concat();
    assert_eq!(a.ask(&run("old")).ok().value(), "1");
    b.run(&format!("alter table {table} add column y int default 2"));
    assert_eq!(a.ask(&run("old")).sqlstate().unwrap(), "0A000", "as on a session of one's own");
    b.ask(&[parse("new", &sql, &[]), sync()].concat()).ok();
    assert_eq!(b.ask(&run("new")).ok().rows()[0].len(), 2);
    a.ask(&[parse("new", &sql, &[]), sync()].concat()).ok();
    assert_eq!(a.ask(&run("new")).ok().rows()[0].len(), 2);
    assert_eq!(a.ask(&run("old")).sqlstate().unwrap(), "0A000");
}}

case! { a_sql_statement_whose_table_is_gone, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let table = format!("gone_{}", place.port);
    b.run(&format!("create table {table} (x int)"));
    a.run(&format!("prepare of_gone as select * from {table}"));
    b.run("prepare of_gone as select 'of b'");
    b.run(&format!("drop table {table}"));
    assert!(a.query("execute of_gone").sqlstate().is_some());
    assert_eq!(b.value("execute of_gone"), "of b");
    a.run("prepare after_all as select 'works'");
    assert_eq!(a.value("execute after_all"), "works");
    assert_eq!(b.value("execute of_gone"), "of b");
}}

#[test]
fn a_statement_whose_columns_changed_is_an_error_on_another_connection_too() {
    let howdah = Howdah::start(&Config::new(&[Postgres::shared().port]).pool("size", 1));
    let (mut a, mut b) = (howdah.app(), howdah.app());
    let table = format!("moved_{}", howdah.port);
    b.run(&format!("create table {table} (x int); insert into {table} values (1)"));
    a.ask(&[parse("old", &format!("select * from {table}"), &[]), sync()].concat()).ok();
    a.ask(&[parse("same", &format!("select x from {table}"), &[]), sync()].concat()).ok();
    let run = |name: &str| [bind("", name, &[], &[], &[]), execute("", 0), sync()].concat();
    assert_eq!(a.ask(&run("old")).ok().value(), "1");
    let pid = b.server_pid();
    b.run(&format!("alter table {table} add column y int default 2"));
    Postgres::shared().session("postgres", "app").run(&format!("select pg_terminate_backend({pid})"));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_ne!(b.server_pid(), pid);
    assert_eq!(a.ask(&run("same")).ok().value(), "1");
    let reply = a.ask(&run("old"));
    assert_eq!(reply.sqlstate().unwrap(), "0A000", "as on a session of one's own");
    assert!(!reply.shape().contains('D'), "{reply:?}");
    assert_eq!(a.ask(&run("same")).ok().value(), "1");
}

case! { the_unnamed_statement_parsed_again_means_what_it_says_now, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("create schema if not exists one; create table if not exists one.t as select 1 as x");
    a.run("create schema if not exists two; create table if not exists two.t as select 2 as x");
    let run = [parse("", "select x from t", &[]), bind("", "", &[], &[], &[]), execute("", 0), sync()].concat();
    let run_on = [bind("", "", &[], &[], &[]), execute("", 0), sync()].concat();
    a.run("set search_path = one");
    assert_eq!(a.ask(&run).ok().value(), "1");
    assert_eq!(a.ask(&run).ok().value(), "1");
    a.run("set search_path = two");
    assert_eq!(b.ask(&[parse("", "select 'of b'", &[]), sync()].concat()).ok().status(), 'I');
    assert_eq!(a.ask(&run).ok().value(), "2");
    assert_eq!(b.ask(&run_on).ok().value(), "of b");
    assert_eq!(a.ask(&run_on).ok().value(), "2");
    // Of what failed nothing is left, and of what was skipped everything.
    let failing = [parse("", "select 1/0 from nowhere", &[]), run.clone()].concat();
    assert_eq!(a.ask(&failing).sqlstate().unwrap(), "42P01");
    assert_eq!(a.ask(&run_on).sqlstate().unwrap(), "26000");
    assert_eq!(a.ask(&run).ok().value(), "2");
    let failing = [parse("bad", "select 1/0 from nowhere", &[]), run.clone()].concat();
    assert_eq!(a.ask(&failing).sqlstate().unwrap(), "42P01");
    assert_eq!(a.ask(&run_on).ok().value(), "2");
}}

case! { a_datetime_word_in_the_unnamed_statement_is_read_at_each_parse, |place| {
    let mut a = place.client();
    let run = [
        parse("", "select 'now'::timestamptz", &[]), bind("", "", &[], &[], &[]), execute("", 0), sync(),
    ].concat();
    let first = a.ask(&run).ok().value();
    assert_ne!(a.ask(&run).ok().value(), first);
}}
