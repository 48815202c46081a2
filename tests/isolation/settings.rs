//! Settings of every source stay with the client that made them; where only the server can tell that a
//! statement changes one, a client may keep its connection.

use super::*;

case! { set, |place| {
    a_setting_stays_with_its_client(place, "set work_mem = '7MB'", "work_mem", "7MB");
    a_setting_stays_with_its_client(place, "set session statement_timeout to 54321", "statement_timeout", "54321ms");
    a_setting_stays_with_its_client(place, "set datestyle = german", "datestyle", "German, DMY");
}}

case! { set_by_set_config, |place| {
    a_setting_stays_with_its_client(place, "select set_config('work_mem', '7MB', false)", "work_mem", "7MB");
}}

case! { set_by_set_config_with_computed_arguments over 2, |place| {
    let change = "select set_config(name, '7MB', false) from pg_settings where name like 'work\\_m%'";
    a_setting_stays_with_its_client(place, change, "work_mem", "7MB");
}}

case! { set_by_update_of_pg_settings over 2, |place| {
    let change = "update pg_settings set setting = '7168' where name = 'work_mem'";
    a_setting_stays_with_its_client(place, change, "work_mem", "7MB");
}}

case! { set_inside_a_function over 2, |place| {
    a_setting_stays_with_its_client(place, "select set_inside('German')", "datestyle", "German, DMY");
}}

case! { set_inside_a_do_block over 2, |place| {
    a_setting_stays_with_its_client(place, "do $$ begin set work_mem = '7MB'; end $$", "work_mem", "7MB");
}}

case! { set_by_the_extended_protocol, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.ask(&support::message::extended("set work_mem = '7MB'", &[])).ok();
    assert_eq!(b.value("show work_mem"), "4MB");
    assert_eq!(a.value("show work_mem"), "7MB");
}}

case! { set_by_a_prepared_statement over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.ask(&[parse("p", "select set_config($1, $2, false)", &[]), sync()].concat()).ok();
    assert_eq!(b.value("show work_mem"), "4MB");
    let values: [Option<&[u8]>; 2] = [Some(b"work_mem"), Some(b"7MB")];
    a.ask(&[bind("", "p", &[], &values, &[]), execute("", 0), sync()].concat()).ok();
    assert_eq!(b.value("show work_mem"), "4MB");
    assert_eq!(a.value("show work_mem"), "7MB");
}}

case! { set_in_one_message_with_others, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("select 1; set work_mem = '7MB'; select 2");
    assert_eq!(b.value("show work_mem"), "4MB");
    assert_eq!(a.value("show work_mem"), "7MB");
}}

case! { time_zone, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let sql = "select '2024-07-01 12:00:00+00'::timestamptz";
    let default = b.value(sql);
    a.run("set time zone 'Asia/Tokyo'");
    assert_eq!(b.value(sql), default);
    assert_eq!(a.value(sql), "2024-07-01 21:00:00+09");
    assert_eq!(b.value(sql), default);
}}

case! { search_path, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    b.run("create schema if not exists aside; create table if not exists aside.parent (other text)");
    a.run("set search_path = aside");
    assert_eq!(b.value("select count(*) from parent"), "10");
    assert_eq!(a.value("select count(*) from parent"), "0");
    assert_eq!(b.value("select count(*) from parent"), "10");
}}

case! { search_path_and_a_prepared_statement_of_the_same_text, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    b.run("create schema if not exists aside2; create table if not exists aside2.parent (other text)");
    a.run("set search_path = aside2");
    let prepare = [parse("count", "select count(*) from parent", &[]), sync()].concat();
    let run = [bind("", "count", &[], &[], &[]), execute("", 0), sync()].concat();
    a.ask(&prepare).ok();
    b.ask(&prepare).ok();
    for _ in 0..2 {
        assert_eq!(a.ask(&run).ok().value(), "0");
        assert_eq!(b.ask(&run).ok().value(), "10");
    }
}}

case! { startup_parameters, |place| {
    let mut b = place.client();
    let mut a = place.client_with(&[("DateStyle", "German"), ("application_name", "first"), ("work_mem", "7MB")]);
    for _ in 0..2 {
        assert_eq!(b.value("select '2024-02-29'::date"), "2024-02-29");
        assert_eq!(b.value("show work_mem"), "4MB");
        assert_eq!(b.value("show application_name"), "");
        assert_eq!(a.value("select '2024-02-29'::date"), "29.02.2024");
        assert_eq!(a.value("show work_mem"), "7MB");
        assert_eq!(a.value("show application_name"), "first");
    }
    a.run("set work_mem = '8MB'");
    a.run("reset work_mem");
    assert_eq!(b.value("show work_mem"), "4MB");
    assert_eq!(a.value("show work_mem"), "7MB", "RESET goes back to the start-up parameter");
    a.run("reset all");
    assert_eq!(a.value("show datestyle"), "German, DMY");
}}

case! { startup_options, |place| {
    let mut b = place.client();
    let mut a = place.client_with(&[("options", "-c work_mem=7MB -c search_path=pg_catalog")]);
    for _ in 0..2 {
        assert_eq!(b.value("show work_mem"), "4MB");
        assert_eq!(b.value("select count(*) from parent"), "10");
        assert_eq!(a.value("show work_mem"), "7MB");
        assert_eq!(a.query("select count(*) from parent").sqlstate().unwrap(), "42P01");
    }
}}

case! { defaults_of_the_role, |place| {
    Postgres::shared().app().run(
        "do $$ begin create role with_defaults login; exception when duplicate_object or unique_violation then end $$; \
         alter role with_defaults set work_mem = '6MB'",
    );
    let client = || Wire::login(place.port, &[("user", "with_defaults"), ("database", "app")]);
    let (mut a, mut b) = (client(), client());
    assert_eq!(a.value("show work_mem"), "6MB");
    a.run("set work_mem = '7MB'");
    assert_eq!(b.value("show work_mem"), "6MB");
    a.run("reset work_mem");
    assert_eq!(a.value("show work_mem"), "6MB");
    a.run("set work_mem = '8MB'");
    assert_eq!(b.value("show work_mem"), "6MB");
    a.run("reset all");
    assert_eq!(a.value("show work_mem"), "6MB");
}}

case! { a_setting_rolled_back, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("set work_mem = '5MB'");
    a.run("begin");
    a.run("set work_mem = '7MB'");
    a.run("rollback");
    assert_eq!(b.value("show work_mem"), "4MB");
    assert_eq!(a.value("show work_mem"), "5MB");
    a.run("begin");
    a.run("set work_mem = '7MB'");
    assert_eq!(a.query("select 1/0").sqlstate().unwrap(), "22012");
    a.run("commit");
    assert_eq!(b.value("show work_mem"), "4MB");
    assert_eq!(a.value("show work_mem"), "5MB");
}}

case! { a_setting_of_a_function_rolled_back over 2, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("begin");
    a.run("select set_inside('German')");
    a.run("rollback");
    assert_eq!(b.value("show datestyle"), "ISO, MDY");
    assert_eq!(a.value("show datestyle"), "ISO, MDY");
}}

case! { a_setting_rolled_back_to_a_savepoint, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("begin; set work_mem = '5MB'; savepoint s; set work_mem = '7MB'; set lock_timeout = 777; rollback to s; commit");
    assert_eq!(b.value("show work_mem"), "4MB");
    assert_eq!(a.value("show work_mem"), "5MB");
    assert_eq!(a.value("show lock_timeout"), "0");
}}

case! { set_local_ends_with_its_transaction, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("set work_mem = '5MB'");
    a.run("begin; set local work_mem = '7MB'");
    assert_eq!(a.value("show work_mem"), "7MB");
    a.run("commit");
    assert_eq!(b.value("show work_mem"), "4MB");
    assert_eq!(a.value("show work_mem"), "5MB");
}}

case! { session_characteristics, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("set session characteristics as transaction isolation level serializable, read only");
    assert_eq!(b.value("show transaction_isolation"), "read committed");
    assert_eq!(b.value("show transaction_read_only"), "off");
    assert_eq!(a.value("show transaction_isolation"), "serializable");
    assert_eq!(a.value("show transaction_read_only"), "on");
    assert_eq!(b.value("show transaction_read_only"), "off");
}}

case! { custom_settings, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    let sql = "select current_setting('my.tenant', true)";
    a.run("set my.tenant = 'first'");
    b.run("set my.tenant = 'second'");
    for _ in 0..2 {
        assert_eq!(a.value(sql), "first");
        assert_eq!(b.value(sql), "second");
    }
}}

case! {
/// Postgres never forgets that a custom setting was there: after RESET it is empty, not unknown.
custom_settings_are_unknown_to_others, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("set my.secret = 'first'");
    assert_eq!(b.value("select current_setting('my.secret', true)"), "NULL");
    assert_eq!(b.query("show my.secret").sqlstate().unwrap(), "42704");
    assert_eq!(a.value("select current_setting('my.secret', true)"), "first");
}}

case! { role, |place| {
    Postgres::shared().app().run(
        "do $$ begin create role actor; exception when duplicate_object or unique_violation then end $$",
    );
    let (mut a, mut b) = (place.client(), place.client());
    for change in ["set role actor", "select set_config('role', 'actor', false)"] {
        a.run(change);
        assert_eq!(b.value("select current_user"), "app");
        assert_eq!(a.value("select current_user"), "actor");
        assert_eq!(a.query("select * from parent").sqlstate().unwrap(), "42501");
        assert_eq!(b.value("select count(*) from parent"), "10");
        a.run("reset role");
    }
    a.run("begin; set local role actor; commit");
    assert_eq!(a.value("select current_user"), "app");
    a.run("set role actor");
    a.vanish();
    assert_eq!(b.value("select current_user"), "app");
    assert_eq!(place.client().value("select current_user"), "app");
}}

case! { session_authorization, |place| {
    Postgres::shared().app().run(
        "do $$ begin create role actor2; exception when duplicate_object or unique_violation then end $$",
    );
    let (mut a, mut b) = (place.client(), place.client());
    a.run("set session authorization actor2");
    assert_eq!(b.value("select session_user"), "app");
    assert_eq!(a.value("select session_user"), "actor2");
    assert_eq!(b.value("select session_user"), "app");
    a.run("reset session authorization");
    assert_eq!(a.value("select session_user"), "app");
}}

case! { client_encoding, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("set client_encoding = latin1");
    let sql = "select chr(228)";
    for _ in 0..2 {
        assert_eq!(b.run(sql).frames[1].cells()[0].as_deref(), Some("ä".as_bytes()));
        assert_eq!(a.run(sql).frames[1].cells()[0].as_deref(), Some([0xe4].as_slice()));
    }
}}

case! { standard_conforming_strings, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("set standard_conforming_strings = off; set escape_string_warning = off");
    for _ in 0..2 {
        assert_eq!(b.value(r"select 'a\tb'"), r"a\tb");
        assert_eq!(a.value(r"select 'a\tb'"), "a\tb");
        assert_eq!(a.value(r"select 'a\';select 2;'"), "a';select 2;");
    }
}}

case! { reports_come_only_to_the_client_whose_setting_changed, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    assert_eq!(a.run("set datestyle = german").shape(), "CSZ");
    assert_eq!(b.run("select 1").shape(), "TDCZ");
    assert_eq!(a.run("select 1").shape(), "TDCZ");
    assert_eq!(b.run("set timezone = 'Asia/Tokyo'").shape(), "CSZ");
    assert_eq!(a.run("select 1").shape(), "TDCZ");
}}

case! { application_name_is_shown_for_its_own_statements, |place| {
    let mut a = place.client_with(&[("application_name", "alpha")]);
    let mut b = place.client_with(&[("application_name", "beta")]);
    let sql = "select application_name from pg_stat_activity where pid = pg_backend_pid()";
    for _ in 0..2 {
        assert_eq!(a.value(sql), "alpha");
        assert_eq!(b.value(sql), "beta");
    }
}}

case! { statement_timeout_ends_only_its_own_statements, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("set statement_timeout = '100ms'");
    b.run("select pg_sleep(0.3)");
    assert_eq!(a.query("select pg_sleep(10)").sqlstate().unwrap(), "57014");
    b.run("select pg_sleep(0.3)");
}}

case! { read_only_by_default, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    b.run("create table if not exists written (id int)");
    a.run("set default_transaction_read_only = on");
    b.run("insert into written values (1)");
    assert_eq!(a.query("insert into written values (1)").sqlstate().unwrap(), "25006");
}}

case! { notices_of_level, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    a.run("set client_min_messages = error");
    assert_eq!(b.run("select shout('x')").shape(), "TNDCZ");
    assert_eq!(a.run("select shout('x')").shape(), "TDCZ");
}}

case! { discard_all_is_ones_own, |place| {
    let (mut a, mut b) = (place.client(), place.client());
    b.run("set work_mem = '7MB'");
    b.run("prepare kept as select 7");
    b.ask(&[parse("kept2", "select 8", &[]), sync()].concat()).ok();
    a.run("discard all");
    assert_eq!(b.value("show work_mem"), "7MB");
    assert_eq!(b.value("execute kept"), "7");
    assert_eq!(b.ask(&[bind("", "kept2", &[], &[], &[]), execute("", 0), sync()].concat()).ok().value(), "8");
}}

/// Nothing in the statements names the code that sets. On a server of its own: a cast that sets makes every
/// statement suspect.
#[test]
fn set_behind_other_code() {
    let postgres = Postgres::start();
    let howdah = Howdah::start(&Config::new(&[postgres.port]).pool("size", 2));
    for port in [postgres.port, howdah.port] {
        sets_behind_other_code(port);
    }
}

fn sets_behind_other_code(port: u16) {
    let (mut a, mut b) = (Wire::app(port), Wire::app(port));
    for sql in [
        "create schema behind",
        "create function behind.inner_one(v text) returns text language plpgsql as $$ begin perform set_config('datestyle', v, false); return v; end $$",
        "create function behind.middle_one(v text) returns text language sql as 'select behind.inner_one(v)'",
        "create function behind.atomic_one(v text) returns text begin atomic select behind.middle_one(v); end",
        "create view behind.seen as select behind.middle_one('German') as v",
        "create view behind.seen_again as select v from behind.seen",
        "create table behind.filled (id int, v text default behind.middle_one('German'))",
        "create table behind.checked (v text check (behind.middle_one(v) is not null))",
        "create table behind.watched (v text)",
        "create domain behind.vetted as text check (behind.middle_one(value) is not null)",
        "create operator behind.@!@ (function = behind.middle_one, rightarg = text)",
    ] {
        b.run(sql);
    }
    let trigger = "create function behind.watch() returns trigger language plpgsql as
        $$ begin perform behind.atomic_one('German'); return new; end $$;
        create trigger watch before insert on behind.watched for each row execute function behind.watch()";
    let cast = "create type behind.odd as (v text);
        create function behind.to_odd(v int) returns behind.odd language sql as
        $$ select row(behind.middle_one('German'))::behind.odd $$;
        create cast (int as behind.odd) with function behind.to_odd(int)";
    for sql in [
        "select behind.middle_one('German')",
        "select behind.atomic_one('German')",
        "select * from behind.seen",
        "table behind.seen_again",
        "insert into behind.filled (id) values (1)",
        "insert into behind.checked values ('German')",
        "select 'German'::behind.vetted",
        "select operator(behind.@!@) 'German'::text",
        "insert into behind.watched values ('x')",
        "select 1::behind.odd",
    ] {
        // These reach further, so they come when what does not need them was seen.
        match sql {
            _ if sql.contains("watched") => drop(b.run(trigger)),
            _ if sql.contains("odd") => drop(b.run(cast)),
            _ => {}
        }
        assert_eq!(a.value("show datestyle"), "ISO, MDY", "{sql}");
        a.run(sql);
        assert_eq!(b.value("show datestyle"), "ISO, MDY", "{sql}");
        assert_eq!(a.value("show datestyle"), "German, DMY", "{sql}");
        a.terminate();
        a = Wire::app(port);
    }
    b.run("drop schema behind cascade");
}
