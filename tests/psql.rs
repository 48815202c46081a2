//! What a person at psql sees through Howdah is what plain Postgres shows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::config::Config;
use support::eventually;
use support::postgres::Postgres;
use support::program::{client_program, psql};
use support::proxy::Howdah;
use support::relay::{Fault, Relay};

/// What psql shows.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

fn shown(port: u16, arguments: &[&str], script: &str) -> Shown {
    let output = psql(port, arguments, script);
    Shown {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    }
}

/// The script shows the same on plain Postgres and through Howdah.
fn same(arguments: &[&str], script: &str) -> Shown {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let howdah = Howdah::start(&Config::new(&[Postgres::shared().port]).pool("size", 3));
    let expected = shown(Postgres::shared().port, arguments, script);
    let found = shown(howdah.port, arguments, script);
    assert_eq!(
        expected.stdout, found.stdout,
        "\n--- postgres\n{}\n--- howdah\n{}",
        expected.stdout, found.stdout
    );
    assert_eq!(expected.stderr, found.stderr);
    assert_eq!(expected.code, found.code);
    expected
}

#[test]
fn the_describing_commands() {
    let commands = [
        "\\d",
        "\\d+",
        "\\dt",
        "\\dt+",
        "\\d item",
        "\\d+ item",
        "\\d strict",
        "\\d typed",
        "\\d \"odd \"\"name\"",
        "\\dv",
        "\\dv+",
        "\\d cheap",
        "\\d+ cheap",
        "\\di",
        "\\di+",
        "\\ds",
        "\\d counter",
        "\\df",
        "\\df+",
        "\\sf shout",
        "\\sv cheap",
        "\\dT",
        "\\dT+",
        "\\dD",
        "\\dn",
        "\\dn+",
        "\\du",
        "\\dg+",
        "\\dp",
        "\\ddp",
        "\\dx",
        "\\dC",
        "\\dc",
        "\\do +",
        "\\da count",
        "\\dF",
        "\\dL",
        "\\dO",
        "\\db",
        "\\dE",
        "\\dm",
        "\\dy",
        "\\dRp",
        "\\dRs",
        "\\dX",
        "\\dP",
        "\\dconfig work_mem",
        "\\dd",
        "\\des",
        "\\dAc btree",
        "\\d nosuch",
        "\\dS pg_class",
        "\\dt pg_catalog.pg_am",
        "\\z item",
        "\\encoding",
        "\\l app",
    ];
    let shown = same(&[], &commands.join("\n"));
    assert!(shown.stdout.contains("code_unique"));
}

#[test]
fn statements_and_their_output_formats() {
    same(
        &[],
        "select 1 as a, 'x' as b, null as c;
         select * from item order by id limit 3;
         \\x
         select * from item order by id limit 2;
         \\x \\a
         select * from parent order by id;
         \\pset null '(null)'
         \\pset format csv
         select null, 'a,b';
         create table made_by_psql (id serial primary key, x text);
         insert into made_by_psql (x) values ('a'), ('b') returning id;
         update made_by_psql set x = x || '!';
         delete from made_by_psql where id = 1;
         drop table made_by_psql;
         select shout('hello');
         select 1/0;
         selec;
         select nosuch from item;
         \\errverbose
         values (1, 'ü'), (2, '日本');",
    );
}

#[test]
fn errors_end_a_script_where_asked() {
    let shown = same(&["-v", "ON_ERROR_STOP=1"], "select 1;\nselect 1/0;\nselect 2;");
    assert_eq!(shown.code, Some(3));
    same(
        &["-1"],
        "create table one_transaction (x int);\ninsert into one_transaction values (1/0);\nselect 2;",
    );
    same(&["-v", "ON_ERROR_ROLLBACK=on"], "begin;\nselect 1;\nselect 1/0;\nselect 2;\ncommit;");
    same(&["-v", "AUTOCOMMIT=off"], "select 1;\nselect 1/0;\nselect 2;\nrollback;\nselect 3;");
}

#[test]
fn several_statements_in_one_message() {
    same(
        &[],
        "select 1 \\; select 2 \\; select 3;
         begin \\; select 4 \\; commit;
         select 5 \\; select 1/0 \\; select 6;
         \\set SHOW_ALL_RESULTS off
         select 7 \\; select 8;",
    );
}

#[test]
fn gset_gdesc_gexec_gx_g() {
    same(
        &[],
        "select 1 as one, 'two' as two \\gset
         \\echo :one :two
         select 1 as one, 'two' as two \\gset prefix_
         \\echo :prefix_two
         select id, name, price, made, tags from item \\gdesc
         select 1::mood, nosuch \\gdesc
         select 'ok'::mood, (1,'x')::pair as p \\gdesc
         select 'select ' || id from parent order by id limit 3 \\gexec
         select 1 as a, 2 as b \\gx
         select 1 \\g (format=unaligned tuples_only=on)
         select * from generate_series(1, 3) i \\crosstabview
         select i, j, i * j as p from generate_series(1, 3) i, generate_series(1, 3) j order by 1, 2 \\crosstabview",
    );
}

#[test]
fn fetch_count_uses_a_cursor() {
    same(
        &["-v", "FETCH_COUNT=7"],
        "select id, name from item order by id;\nselect 10 / (12 - id) from item order by id;\nselect 1;",
    );
}

#[test]
fn copy_both_ways() {
    let dir = support::process::temporary_folder("psql");
    let file = dir.join("rows.csv");
    let script = format!(
        "create temp table loaded (id int, note text);
         \\copy loaded from stdin
1\tone
2\t\\N
\\.
         copy loaded from stdin csv;
3,\"a,b\"
4,
\\.
         select * from loaded order by id;
         \\copy (select * from loaded order by id) to stdout
         copy loaded to stdout csv header;
         \\copy loaded to '{0}' csv
         truncate loaded;
         \\copy loaded from '{0}' csv
         select * from loaded order by id;
         \\copy loaded from '{0}.missing'
         \\copy loaded from stdin
not a number\tx
\\.
         \\copy loaded (id) from program 'seq 10 15'
         select count(*) from loaded;
         \\copy nosuch from stdin
\\.
         select 1;",
        file.display()
    );
    let shown = same(&[], &script);
    assert!(shown.stdout.contains("COPY 6"), "{shown:?}");
}

#[test]
fn settings_and_session_commands() {
    same(
        &[],
        "set datestyle to german;
         select '2024-02-29'::date;
         show datestyle;
         \\encoding latin1
         show client_encoding;
         \\encoding utf8
         begin;
         savepoint a;
         set local work_mem = '7MB';
         show work_mem;
         rollback to a;
         commit;
         show work_mem;
         prepare p (int) as select $1 + 1;
         execute p (41);
         deallocate p;
         listen news;
         unlisten news;
         \\set AUTOCOMMIT off
         select 1;
         \\echo :ROW_COUNT :SQLSTATE :ERROR
         select 1/0;
         \\echo :ROW_COUNT :SQLSTATE :ERROR :LAST_ERROR_MESSAGE
         rollback;
         \\timing off
         \\if :ERROR
         \\echo yes
         \\endif
         \\lo_list",
    );
}

#[test]
fn large_objects() {
    same(
        &["-q"],
        "begin; select lo_from_bytea(4711, 'hello') = 4711;
         select convert_from(lo_get(4711), 'UTF8');
         \\lo_unlink 4711
         commit;",
    );
}

#[test]
fn watch_repeats_until_it_is_interrupted() {
    let howdah = Howdah::start(&Config::new(&[Postgres::shared().port]).pool("size", 3));
    let script = support::process::temporary_folder("psql").join("watch.sql");
    std::fs::write(&script, "select 'watched' \\watch 0.1\n").unwrap();
    for port in [Postgres::shared().port, howdah.port] {
        let child = client_program("psql", port)
            .args(["-X", "-At", "-f"])
            .arg(&script)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(900));
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.matches("watched").count() >= 3, "{printed} {output:?}");
    }
    assert_eq!(howdah.app().value("select 1"), "1");
}

fn interrupt(child: &std::process::Child) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
}

#[test]
fn ctrl_c_cancels_the_running_statement() {
    let howdah = Howdah::start(&Config::new(&[Postgres::shared().port]).pool("size", 3));
    let mut said = Vec::new();
    for port in [Postgres::shared().port, howdah.port] {
        let marker = format!("interrupted {port}");
        let child = client_program("psql", port)
            .args(["-X", "-c", &format!("select '{marker}' from pg_sleep(60)")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut direct = Postgres::shared().app();
        let running = format!(
            "select count(*) from pg_stat_activity where pid <> pg_backend_pid() and state = 'active' and query like '%{marker}%'"
        );
        eventually("the statement runs", 10, || direct.value(&running) != "0");
        let began = Instant::now();
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        assert!(began.elapsed() < Duration::from_secs(5), "port {port}: {:?}", began.elapsed());
        eventually("the server has stopped it", 5, || direct.value(&running) == "0");
        said.push((String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code()));
    }
    assert!(said[0].0.contains("canceling statement due to user request"), "{said:?}");
    assert_eq!(said[0], said[1]);
}

#[test]
fn a_planted_difference_is_seen() {
    let port = Postgres::shared().port;
    let script = "select 'one' as a, 2 as b;\n\\d item\nselect 1/0;";
    let expected = shown(port, &[], script);
    assert_eq!(expected, shown(Relay::start(port, Fault::None).port, &[], script));
    for fault in [Fault::FlipBit(b'D'), Fault::Drop(b'D'), Fault::Double(b'D')] {
        let relay = Relay::start(port, fault);
        assert_ne!(expected, shown(relay.port, &[], script), "{fault:?}");
    }
}
