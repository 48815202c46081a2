//! The admin database, as psql, drivers and monitoring see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::collections::HashMap;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::config::Config;
use support::eventually;
use support::frame::Reply;
use support::message::{bind, execute, message, named, parse, query, sync};
use support::postgres::Postgres;
use support::program::client_program;
use support::proxy::Howdah;
use support::wire::{Event, Wire};

fn config() -> Config {
    Config::new(&[Postgres::shared().port]).pool("size", 3)
}

fn howdah() -> Howdah {
    Howdah::start(&config())
}

/// The names in a RowDescription.
fn names(reply: &Reply) -> Vec<String> {
    let frame = reply.tagged(b'T').next().expect("no RowDescription");
    let mut rest = &frame.body[2..];
    let mut names = Vec::new();
    while let Some(end) = rest.iter().position(|&byte| byte == 0) {
        names.push(String::from_utf8_lossy(&rest[..end]).into_owned());
        rest = &rest[end + 19..];
    }
    names
}

/// The rows of a SHOW, each by column.
fn show(admin: &mut Wire, what: &str) -> Vec<HashMap<String, String>> {
    let reply = admin.run(&format!("SHOW {what}"));
    assert_eq!(reply.tags(), ["SHOW"]);
    let names = names(&reply);
    let named = |row: Vec<Option<String>>| {
        names.iter().cloned().zip(row.into_iter().map(|cell| cell.unwrap_or_default())).collect()
    };
    reply.rows().into_iter().map(named).collect()
}

/// The one row of SHOW CLIENTS for a client.
fn client(admin: &mut Wire, pid: i32) -> HashMap<String, String> {
    let mut rows = show(admin, "CLIENTS");
    rows.retain(|row| row["id"] == pid.to_string());
    assert_eq!(rows.len(), 1, "client {pid}");
    rows.remove(0)
}

#[test]
fn tables_begin_with_the_columns_of_pgbouncer() {
    let howdah = howdah();
    howdah.app().run("select 1");
    let mut admin = howdah.admin();
    let sockets = "type user database state addr port local_addr local_port connect_time request_time wait wait_us \
                   close_needed ptr link remote_pid tls application_name prepared_statements";
    for (topic, columns) in [
        ("CLIENTS", sockets),
        ("SERVERS", sockets),
        (
            "POOLS",
            "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active \
             sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode",
        ),
        (
            "STATS",
            "database total_xact_count total_query_count total_received total_sent total_xact_time \
             total_query_time total_wait_time avg_xact_count avg_query_count avg_recv avg_sent avg_xact_time \
             avg_query_time avg_wait_time",
        ),
        (
            "DATABASES",
            "name host port database force_user pool_size min_pool_size reserve_pool pool_mode max_connections \
             current_connections paused disabled",
        ),
        (
            "STATS_TOTALS",
            "database xact_count query_count bytes_received bytes_sent xact_time query_time wait_time",
        ),
        (
            "STATS_AVERAGES",
            "database xact_count query_count bytes_received bytes_sent xact_time query_time wait_time",
        ),
        ("CONFIG", "key value default changeable"),
        ("LISTS", "list items"),
        ("STATE", "key value"),
        ("USERS", "name pool_mode"),
        ("VERSION", "version"),
    ] {
        let reply = admin.run(&format!("show {topic};"));
        let expected: Vec<&str> = columns.split_whitespace().collect();
        assert_eq!(names(&reply)[..expected.len()], expected, "{topic}");
        assert!(!reply.rows().is_empty(), "{topic}");
    }
}

#[test]
fn clients_and_servers_point_to_each_other() {
    let howdah = howdah();
    let mut admin = howdah.admin();
    let mut app =
        Wire::login(howdah.port, &[("user", "app"), ("database", "app"), ("application_name", "shop web")]);
    app.run("begin");
    let server = app.server_pid();
    let row = client(&mut admin, app.pid);
    assert_eq!((row["state"].as_str(), row["database"].as_str()), ("active", "app"));
    assert_eq!((row["application_name"].as_str(), row["shard"].as_str()), ("shop web", "s0"));
    let servers = show(&mut admin, "SERVERS");
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0]["remote_pid"], server.to_string());
    assert_eq!(servers[0]["ptr"], row["link"]);
    assert_eq!(servers[0]["link"], row["ptr"]);
    assert_eq!(servers[0]["state"], "active");
    assert_eq!(servers[0]["port"], Postgres::shared().port.to_string());
    app.run("commit");
    eventually("the client is idle", 10, || {
        let row = client(&mut admin, app.pid);
        (row["state"].as_str(), row["link"].as_str()) == ("idle", "")
    });
    assert_eq!(show(&mut admin, "SERVERS")[0]["state"], "idle");
    app.run("create temp table kept (a int)");
    eventually("the client is pinned", 10, || client(&mut admin, app.pid)["pinned"] == "temp table");
    assert_eq!(client(&mut admin, app.pid)["state"], "active");
}

#[test]
fn pools_count_who_works_and_who_waits() {
    let howdah = Howdah::start(&config().pool("size", 1));
    let mut admin = howdah.admin();
    let (mut holder, mut waiter) = (howdah.app(), howdah.app());
    holder.run("begin");
    waiter.send(&query("select 1"));
    eventually("a client waits", 10, || show(&mut admin, "POOLS")[0]["cl_waiting"] == "1");
    let pool = show(&mut admin, "POOLS").remove(0);
    assert_eq!((pool["cl_active"].as_str(), pool["sv_active"].as_str()), ("1", "1"));
    assert_eq!((pool["sv_idle"].as_str(), pool["pool_mode"].as_str()), ("0", "transaction"));
    assert_eq!(client(&mut admin, waiter.pid)["state"], "waiting");
    eventually("the wait shows", 10, || {
        let pool = show(&mut admin, "POOLS").remove(0);
        pool["maxwait"] != "0" || pool["maxwait_us"] != "0"
    });
    holder.run("commit");
    waiter.reply().ok();
    eventually("the connection is idle", 10, || {
        let shard = show(&mut admin, "SHARDS").remove(0);
        (shard["sv_active"].as_str(), shard["sv_idle"].as_str()) == ("0", "1")
    });
    let shard = show(&mut admin, "SHARDS").remove(0);
    assert_eq!((shard["shard"].as_str(), shard["pool_size"].as_str()), ("s0", "1"));
}

#[test]
fn stats_count_statements_and_transactions() {
    let howdah = howdah();
    let mut app = howdah.app();
    for sql in ["begin", "select 1", "commit", "select 2"] {
        app.run(sql);
    }
    let mut admin = howdah.admin();
    eventually("all are counted", 10, || show(&mut admin, "STATS")[0]["total_query_count"] == "4");
    let stats = show(&mut admin, "STATS").remove(0);
    assert_eq!((stats["database"].as_str(), stats["total_xact_count"].as_str()), ("app", "2"));
    assert_ne!(stats["total_received"], "0");
    assert_ne!(stats["total_sent"], "0");
}

/// What the Prometheus exporter for PgBouncer asks, and reads as numbers.
#[test]
fn exporters_for_pgbouncer_find_numbers() {
    let howdah = howdah();
    let mut wire = howdah.app();
    wire.run("begin");
    wire.run("select pg_sleep(0.05)");
    wire.run("commit");
    let mut admin = howdah.admin();
    // A client may have its answer before it is counted.
    eventually("it is counted", 5, || show(&mut admin, "STATS")[0]["total_xact_count"] == "1");
    let labels = ["database", "user", "name", "host", "force_user", "pool_mode", "shard"];
    for topic in ["STATS", "STATS_TOTALS", "STATS_AVERAGES", "POOLS", "DATABASES"] {
        for (column, value) in show(&mut admin, topic).remove(0) {
            let is_label = labels.contains(&column.as_str());
            assert!(is_label || value.parse::<f64>().is_ok(), "{topic}: {column} is {value:?}");
        }
    }
    let stats = show(&mut admin, "STATS").remove(0);
    let number = |column: &str| stats[column].parse::<u64>().unwrap();
    assert!(number("total_xact_time") >= 50_000 && number("total_xact_time") >= number("total_query_time"));
    assert_eq!(show(&mut admin, "STATS_TOTALS")[0]["xact_count"], stats["total_xact_count"]);
    let lists = show(&mut admin, "LISTS");
    let list = |name: &str| lists.iter().find(|row| row["list"] == name).expect("a list")["items"].clone();
    assert_eq!(
        (list("databases"), list("used_clients"), list("used_servers")),
        ("1".into(), "2".into(), "1".into())
    );
    for name in
        ["users", "pools", "free_clients", "login_clients", "free_servers", "dns_names", "dns_pending"]
    {
        assert!(list(name).parse::<u32>().is_ok(), "{name}");
    }
    let config = show(&mut admin, "CONFIG");
    let limit = |key: &str| config.iter().find(|row| row["key"] == key).expect("a key")["value"].clone();
    assert_eq!(limit("max_client_conn"), limit("general.client_limit"));
}

#[test]
fn several_commands_in_one_message_and_none_of_a_wrong_one() {
    let howdah = howdah();
    let mut admin = howdah.admin();
    let reply = admin.run("show version; SELECT 1; begin; commit; SET x = 1; /* nothing */;");
    assert_eq!(reply.tags(), ["SHOW", "SELECT 1", "BEGIN", "COMMIT", "SET"]);
    let reset = admin.run("SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;");
    assert_eq!(reset.tags(), ["SELECT 1", "CLOSE CURSOR ALL", "UNLISTEN", "RESET"]);
    assert_eq!(admin.run(";").shape(), howdah.app().run(";").shape());
    let reply = admin.query("PAUSE; frobnicate");
    assert_eq!(reply.sqlstate().as_deref(), Some("42601"));
    let hint = reply.tagged(b'E').next().unwrap().field('H').unwrap();
    assert!(hint.contains("SHOW CLIENTS") && hint.contains("RELOAD"), "{hint}");
    assert_eq!(show(&mut admin, "STATE")[1]["value"], "no", "it was not paused");
}

#[test]
fn a_failed_block_is_answered_as_postgres_answers_it() {
    let howdah = howdah();
    let mut admin = howdah.admin();
    assert_eq!(admin.run("begin").status(), 'T');
    assert_eq!(admin.query("show nothing").status(), 'E');
    assert_eq!(admin.query("show version").sqlstate().as_deref(), Some("25P02"));
    let end = admin.run("commit");
    assert_eq!((end.tags(), end.status()), (vec!["ROLLBACK".to_owned()], 'I'));
}

#[test]
fn pause_waits_for_transactions_and_resume_lets_statements_go_on() {
    let howdah = howdah();
    let (mut admin, mut other) = (howdah.admin(), howdah.admin());
    let mut app = howdah.app();
    app.run("begin");
    admin.send(&query("PAUSE app"));
    eventually("it is paused", 10, || show(&mut other, "DATABASES")[0]["paused"] == "1");
    assert_eq!(admin.event_within(Duration::from_millis(100)), Event::TimedOut, "a transaction is open");
    app.run("select 1");
    app.run("commit");
    assert_eq!(admin.reply().ok().tags(), ["PAUSE"]);
    assert_eq!(show(&mut other, "SERVERS").len(), 0, "all are closed");
    assert_eq!(other.query("pause APP").sqlstate().as_deref(), Some("55000"));
    app.send(&query("select 2"));
    assert_eq!(app.event_within(Duration::from_millis(100)), Event::TimedOut);
    assert_eq!(other.run("RESUME app").tags(), ["RESUME"]);
    assert_eq!(app.reply().ok().value(), "2");
    assert_eq!(other.query("RESUME app").sqlstate().as_deref(), Some("55000"));
    assert_eq!(other.query("PAUSE nowhere").sqlstate().as_deref(), Some("3D000"));
}

#[test]
fn pause_holds_for_pools_made_later() {
    let howdah = Howdah::start(&config().pool("min_idle", 1));
    let mut admin = howdah.admin();
    assert_eq!(admin.run("PAUSE").tags(), ["PAUSE"]);
    assert_eq!(show(&mut admin, "STATE")[1]["value"], "yes");
    // The welcome of the first client needs a server, so its login waits.
    let port = howdah.port;
    let late = std::thread::spawn(move || howdah_app_value(port));
    eventually("the late client waits", 10, || {
        show(&mut admin, "POOLS").iter().any(|pool| pool["user"] == "app" && pool["cl_waiting"] == "1")
    });
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(show(&mut admin, "SERVERS").len(), 0, "the minimum is not kept while paused");
    admin.run("RESUME");
    assert_eq!(late.join().unwrap(), "7");
    eventually("the minimum is back", 10, || !show(&mut admin, "SERVERS").is_empty());
}

fn howdah_app_value(port: u16) -> String {
    Wire::app(port).value("select 7")
}

#[test]
fn a_pause_is_undone_when_its_client_cancels_or_leaves() {
    let howdah = howdah();
    let mut other = howdah.admin();
    let mut app = howdah.app();
    app.run("begin");
    let mut admin = howdah.admin();
    for leaves in [false, true] {
        admin.send(&query("PAUSE"));
        eventually("it is paused", 10, || show(&mut other, "STATE")[1]["value"] == "yes");
        if leaves {
            admin.vanish();
            break;
        }
        admin.cancel();
        assert_eq!(admin.reply().sqlstate().as_deref(), Some("57014"));
        assert_eq!(show(&mut other, "STATE")[1]["value"], "no");
    }
    eventually("the pause is undone", 10, || show(&mut other, "STATE")[1]["value"] == "no");
    assert_eq!(howdah.app().value("select 3"), "3");
}

#[test]
fn kill_ends_one_client_with_57p01() {
    let howdah = howdah();
    let mut admin = howdah.admin();
    let (mut victim, mut bystander) = (howdah.app(), howdah.app());
    victim.run("begin");
    assert_eq!(admin.run(&format!("KILL {}", victim.pid)).tags(), ["KILL"]);
    assert_eq!(victim.reply().sqlstate().as_deref(), Some("57P01"));
    assert!(victim.is_closed());
    assert_eq!(bystander.value("select 1"), "1");
    let error = admin.query("KILL 999999");
    assert_eq!(error.sqlstate().as_deref(), Some("42704"));
    let own = admin.pid;
    assert_eq!(admin.run(&format!("KILL_CLIENT {own}")).tags(), ["KILL"]);
    assert_eq!(admin.reply().sqlstate().as_deref(), Some("57P01"));
}

#[test]
fn kill_of_a_database_ends_its_clients_and_pauses_it() {
    let howdah = howdah();
    let mut admin = howdah.admin();
    let (mut idle, mut busy) = (howdah.app(), howdah.app());
    idle.run("select 1");
    busy.run("begin");
    busy.send(&query("select pg_sleep(60)"));
    eventually("both are there", 10, || {
        show(&mut admin, "SERVERS").iter().any(|row| row["state"] == "active")
    });
    let reply = admin.run("KILL app");
    assert!(reply.tagged(b'N').any(|notice| notice.field('M').unwrap().contains("is paused")));
    for killed in [&mut idle, &mut busy] {
        assert_eq!(killed.reply().sqlstate().as_deref(), Some("57P01"));
        assert!(killed.is_closed());
    }
    eventually("no server connection is left", 10, || show(&mut admin, "SERVERS").is_empty());
    assert_eq!(show(&mut admin, "DATABASES")[0]["paused"], "1");
    admin.run("RESUME app");
    assert_eq!(howdah.app().value("select 1"), "1");
}

#[test]
fn reconnect_replaces_server_connections_as_they_become_free() {
    let howdah = howdah();
    let mut admin = howdah.admin();
    let (mut idle, mut busy) = (howdah.app(), howdah.app());
    busy.run("begin");
    let held = busy.server_pid();
    let old = idle.server_pid();
    assert_eq!(admin.run("RECONNECT app").tags(), ["RECONNECT"]);
    assert_eq!(busy.server_pid(), held, "a transaction keeps its own");
    let servers = show(&mut admin, "SERVERS");
    assert!(servers.iter().all(|row| row["remote_pid"] != held.to_string() || row["close_needed"] == "1"));
    busy.run("commit");
    for client in [&mut idle, &mut busy] {
        assert!(![old, held].contains(&client.server_pid()));
    }
}

#[test]
fn reload_tells_what_changed_and_refuses_a_file_with_errors() {
    let howdah = howdah();
    let mut admin = howdah.admin();
    let notices = |reply: &Reply| -> Vec<String> {
        reply.tagged(b'N').map(|notice| notice.field('M').unwrap()).collect()
    };
    assert_eq!(notices(&admin.run("RELOAD")), ["changed: nothing"]);
    let text = std::fs::read_to_string(&howdah.file).unwrap();
    std::fs::write(
        &howdah.file,
        text.replace("size = 3", "size = \"many\"\nmin_idle = 99").replace("threads", "treads"),
    )
    .unwrap();
    let reply = admin.query("RELOAD");
    assert_eq!(reply.sqlstate().as_deref(), Some("F0000"));
    let detail = reply.tagged(b'E').next().unwrap().field('D').unwrap();
    assert!(detail.contains("treads") && detail.contains("many"), "{detail}");
    let size = |admin: &mut Wire| {
        show(admin, "CONFIG").iter().find(|row| row["key"] == "cluster.app.pool.size").unwrap()["value"]
            .clone()
    };
    assert_eq!(size(&mut admin), "3");
    std::fs::write(&howdah.file, text.replace("size = 3", "size = 5").replace("threads = 2", "threads = 1"))
        .unwrap();
    let reply = admin.run("reload");
    assert_eq!(reply.tags(), ["RELOAD"]);
    // The watched file may have been reloaded by itself already; what needs a restart is told in any case.
    assert!(notices(&reply).iter().any(|line| line.contains("restart") && line.contains("general.threads")));
    assert_eq!(size(&mut admin), "5");
}

#[test]
fn config_shows_no_secret() {
    let howdah = Howdah::start(&config().user("name = \"keeper\"\npassword = \"literal:open sesame\""));
    let rows = show(&mut howdah.admin(), "CONFIG");
    assert!(rows.iter().all(|row| !row["value"].contains("sesame")));
    let value = |key: &str| rows.iter().find(|row| row["key"] == key).unwrap()["value"].clone();
    assert_eq!(value("user.keeper.password"), "***");
    assert_eq!(value("user.app.password"), "");
    assert_eq!(value("general.client_limit"), "10000");
    assert_eq!(value("hba.0"), "host all all 127.0.0.1/32 trust");
    assert_eq!(value("cluster.app.shard.s0.database"), "app");
}

#[test]
fn the_extended_protocol_serves_text_and_binary() {
    let howdah = howdah();
    howdah.app().run("select 1");
    let mut admin = howdah.admin();
    let mut bytes = parse("s", "SHOW LISTS", &[]);
    bytes.extend(named(b'D', b'S', "s"));
    bytes.extend(bind("p", "s", &[], &[], &[0, 1]));
    bytes.extend(named(b'D', b'P', "p"));
    bytes.extend(execute("p", 2));
    bytes.extend(execute("p", 0));
    bytes.extend(named(b'C', b'S', "s"));
    bytes.extend(sync());
    let reply = admin.ask(&bytes).ok();
    let tags: String = reply.frames.iter().map(|frame| frame.tag as char).collect();
    assert_eq!(tags, "1tT2TDDsDDDDDDDDDDDDC3Z");
    let first = reply.tagged(b'D').next().unwrap().cells();
    assert_eq!(first, [Some(b"databases".to_vec()), Some(1_i32.to_be_bytes().to_vec())]);
    let mut bytes = parse("", "SHOW STATS", &[]);
    bytes.extend(bind("", "", &[], &[], &[1]));
    bytes.extend(execute("", 0));
    bytes.extend(sync());
    let reply = admin.ask(&bytes).ok();
    let cells = reply.tagged(b'D').next().unwrap().cells();
    assert_eq!(cells[1].as_deref(), Some(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 1][..]), "numeric 1");
    let mut bytes = parse("", "", &[]);
    bytes.extend(bind("", "", &[], &[], &[]));
    bytes.extend(named(b'D', b'P', ""));
    bytes.extend(execute("", 0));
    bytes.extend(sync());
    let tags: String = admin.ask(&bytes).frames.iter().map(|frame| frame.tag as char).collect();
    assert_eq!(tags, "12nIZ");
}

#[test]
fn the_extended_protocol_skips_to_sync_after_an_error() {
    let howdah = howdah();
    let mut admin = howdah.admin();
    for (bytes, code) in [
        (parse("", "frobnicate", &[]), "42601"),
        (parse("", "show version; show version", &[]), "42601"),
        (parse("", "KILL $1", &[23]), "0A000"),
        (bind("", "missing", &[], &[], &[]), "26000"),
        (execute("missing", 0), "34000"),
        ([parse("", "show lists", &[]), bind("", "", &[], &[], &[0, 1, 0])].concat(), "08P01"),
        ([parse("", "show lists", &[]), bind("", "", &[], &[Some(b"x")], &[])].concat(), "08P01"),
        ([parse("", "RESUME", &[]), bind("", "", &[], &[], &[]), execute("", 0)].concat(), "55000"),
    ] {
        let reply = admin.ask(&[bytes, parse("", "show version", &[]), sync()].concat());
        assert_eq!(reply.sqlstate().as_deref(), Some(code));
        assert_eq!((reply.tagged(b'E').count(), reply.status()), (1, 'I'));
        assert_eq!(reply.frames[reply.frames.len() - 2].tag, b'E', "all behind it is skipped");
    }
    let mut bytes = parse("", "RELOAD", &[]);
    bytes.extend(bind("", "", &[], &[], &[]));
    bytes.extend(named(b'D', b'P', ""));
    bytes.extend(execute("", 0));
    bytes.extend(sync());
    assert_eq!(admin.ask(&bytes).ok().tags(), ["RELOAD"]);
}

#[test]
fn malformed_and_oversized_messages_end_the_connection_with_08p01() {
    let howdah = howdah();
    let long = query(&" ".repeat(100_000));
    for bytes in [
        message(b'?', b""),
        message(b'Q', b"no terminator"),
        message(b'P', b"\0"),
        vec![b'Q', 0, 0, 0, 1],
        vec![b'Q', 0x7f, 0xff, 0xff, 0xff],
        long,
    ] {
        let mut admin = howdah.admin();
        assert_eq!(admin.ask(&bytes).sqlstate().as_deref(), Some("08P01"), "{:?}", &bytes[..5]);
        assert!(admin.is_closed());
    }
    let mut admin = howdah.admin();
    admin.socket();
    admin.send_in_chunks(&query("show version"), 1);
    assert_eq!(admin.reply().ok().tags(), ["SHOW"]);
}

#[test]
fn sigterm_and_shutdown_end_admin_clients_and_the_process() {
    for by_command in [false, true] {
        let mut howdah = howdah();
        let mut admin = howdah.admin();
        if by_command {
            assert_eq!(howdah.admin().run("SHUTDOWN").tags(), ["SHUTDOWN"]);
        } else {
            kill(Pid::from_raw(howdah.pid()), Signal::SIGTERM).unwrap();
        }
        assert_eq!(admin.reply().sqlstate().as_deref(), Some("57P01"));
        assert!(admin.is_closed());
        howdah.ends_by_itself(10);
    }
}

#[test]
fn only_admin_users_may_use_it() {
    let howdah = howdah();
    let refused = Wire::start(howdah.port, &[("user", "app"), ("database", "howdah")]);
    assert_eq!(refused.greeting.sqlstate().as_deref(), Some("42501"));
}

#[test]
fn psql_shows_tables_and_notices() {
    let howdah = howdah();
    let output = client_program("psql", howdah.port)
        .args([
            "-X",
            "-At",
            "-U",
            "admin",
            "-d",
            "howdah",
            "-c",
            "SHOW VERSION",
            "-c",
            "SHOW HELP",
            "-c",
            "frob",
        ])
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("Howdah ") && stdout.contains("SHOW"), "{stdout}");
    assert!(
        stderr.contains("NOTICE:  admin commands") && stderr.contains("unknown admin command"),
        "{stderr}"
    );
}
