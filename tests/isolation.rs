//! Two clients that share one server connection in transaction pooling see none of each other.
//!
//! Each case is a pair of clients, `a` and `b`, and what each must be answered. It runs twice: on plain
//! Postgres, where each client has a session of its own (so the expectations are Postgres's), and through
//! Howdah over a pool of one server connection, or of two where a client may keep its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use support::config::Config;
use support::eventually;
use support::message::{bind, copy_data, execute, flush, named, parse, query, sync};
use support::postgres::Postgres;
use support::proxy::Howdah;
use support::wire::Wire;

/// Where the clients of a case connect.
struct Place {
    port: u16,
    howdah: Option<Howdah>,
}

impl Place {
    fn postgres() -> Place {
        Place { port: Postgres::shared().port, howdah: None }
    }

    fn howdah(pool_size: u32) -> Place {
        Postgres::shared();
        let config = Config::new(&[Postgres::shared().port])
            .pool("size", pool_size)
            .pool("queue_timeout", "\"8s\"")
            .user("name = \"with_defaults\"");
        let howdah = Howdah::start(&config);
        Place { port: howdah.port, howdah: Some(howdah) }
    }

    fn client(&self) -> Wire {
        Wire::app(self.port)
    }

    fn client_with(&self, parameters: &[(&str, &str)]) -> Wire {
        Wire::login(self.port, &[&[("user", "app"), ("database", "app")], parameters].concat())
    }

    /// Through Howdah: the row of the pinned client in SHOW CLIENTS says why.
    fn says_pinned(&self, reason: &str) {
        let Some(howdah) = &self.howdah else { return };
        let rows = howdah.admin().run("SHOW CLIENTS").rows();
        let said = rows.iter().flatten().flatten().any(|cell| cell.to_lowercase().contains(reason));
        assert!(said, "no client is shown as pinned by {reason}: {rows:?}");
    }
}

/// Makes two tests of a case: on plain Postgres, and through Howdah over a pool of `$size`.
macro_rules! case {
    ($(#[$doc:meta])* $name:ident over $size:literal, |$place:ident| $body:block) => {
        $(#[$doc])*
        mod $name {
            use super::*;

            fn case($place: &Place) $body

            #[test]
            fn on_plain_postgres() {
                case(&Place::postgres());
            }

            #[test]
            fn through_howdah() {
                let place = Place::howdah($size);
                if $size == 1 {
                    let pids = [place.client().server_pid(), place.client().server_pid()];
                    assert_eq!(pids[0], pids[1], "the clients do not share a connection");
                }
                case(&place);
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, |$place:ident| $body:block) => {
        case! { $(#[$doc])* $name over 1, |$place| $body }
    };
}

/// `a` changes a setting by `change`; `b` sees the default, and `a` what it chose, both ways round.
fn a_setting_stays_with_its_client(place: &Place, change: &str, setting: &str, chosen: &str) {
    let (mut a, mut b) = (place.client(), place.client());
    let default = b.value(&format!("show {setting}"));
    assert_ne!(default, chosen);
    a.run(change);
    for _ in 0..2 {
        assert_eq!(b.value(&format!("show {setting}")), default);
        assert_eq!(a.value(&format!("show {setting}")), chosen);
    }
    let mut later = place.client();
    assert_eq!(later.value(&format!("show {setting}")), default);
    a.terminate();
    assert_eq!(later.value(&format!("show {setting}")), default);
}

// Settings. Where only the server can tell that a statement changes one, a client may keep its connection.

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

// Prepared statements and portals.

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

// What a client does not finish.

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

// What keeps a client on its server connection.

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

// Who waits for whom.

#[test]
fn a_transaction_keeps_its_server_connection_and_gives_it_back() {
    let place = Place::howdah(1);
    let (mut a, mut b) = (place.client(), place.client());
    a.run("begin");
    let pid = a.server_pid();
    b.send(&query("select pg_backend_pid()"));
    let waiting = b.event_within(std::time::Duration::from_millis(300));
    assert_eq!(waiting, support::wire::Event::TimedOut, "b must wait");
    assert_eq!(a.server_pid(), pid);
    a.run("commit");
    assert_eq!(b.reply().ok().value(), pid.to_string());
}

#[test]
fn a_pinned_client_lets_the_others_use_the_rest_of_the_pool() {
    let place = Place::howdah(2);
    let mut pinned = place.client();
    pinned.run("create temp table own (x int)");
    let pid = pinned.server_pid();
    for _ in 0..5 {
        let mut other = place.client();
        assert_ne!(other.server_pid(), pid);
        assert_eq!(pinned.server_pid(), pid);
    }
}

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

// Settings, in every place where they may come undone.

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
