//! The admin database: what it shows, and what it does to pools.

use super::*;

#[test]
fn pause_holds_new_transactions_and_resume_lets_them_go() {
    let (postgres, howdah) = alone(|config| config.pool("size", 2));
    let mut admin = howdah.admin();
    for (pause, resume) in [("PAUSE", "RESUME"), ("pause app;", "resume app;")] {
        let mut wire = howdah.app();
        wire.run("select 1");
        admin.run(pause);
        wire.send(&query("select 'held'"));
        assert!(waits(&mut wire), "{pause}");
        let mut watcher = watcher(&postgres);
        assert_eq!(connections(&mut watcher, "state = 'active'"), 0);
        admin.run(resume);
        assert_eq!(wire.reply().ok().value(), "held");
    }
}

#[test]
fn pause_waits_for_running_transactions() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 2));
    let (mut admin, mut busy) = (howdah.admin(), howdah.app());
    busy.run("begin");
    admin.send(&query("PAUSE"));
    assert!(waits(&mut admin));
    assert_eq!(busy.value("select 1"), "1");
    busy.run("commit");
    admin.reply().ok();
    admin.run("RESUME");
    assert_eq!(busy.value("select 2"), "2");
}

#[test]
fn kill_ends_the_clients_and_their_server_connections() {
    let (postgres, howdah) = alone(|config| config.pool("size", 2));
    let (mut busy, mut idle) = (howdah.app(), howdah.app());
    busy.run("begin");
    idle.run("select 1");
    let mut admin = howdah.admin();
    admin.run("KILL app");
    for wire in [&mut busy, &mut idle] {
        let said = try_query(wire, "select 1");
        assert!(said.sqlstate().is_none_or(|state| state.starts_with("57P")), "{said:?}");
        assert_eq!(said.status(), '-', "the client must be gone");
    }
    let mut watcher = watcher(&postgres);
    eventually("the server connections are gone", 5, || {
        connections(&mut watcher, "state like 'idle in%'") == 0
    });
    let _ = admin.query("RESUME app");
    eventually("new clients are served", 5, || {
        let mut wire = Wire::start(howdah.port, &[("user", "app"), ("database", "app")]);
        wire.greeting.status() == 'I' && wire.query("select 1").sqlstate().is_none()
    });
}

#[test]
fn reload_and_sighup_apply_a_new_file_and_a_bad_one_leaves_the_old() {
    let (postgres, howdah) = alone(|config| config.pool("size", 1).pool("queue_timeout", "\"1s\""));
    let fits = |count: usize| {
        let mut wires: Vec<Wire> = (0..count).map(|_| howdah.app()).collect();
        wires.iter_mut().all(|wire| wire.query("begin").status() == 'T')
    };
    let write = |config: Config| std::fs::write(&howdah.file, config.text(howdah.port)).unwrap();
    let config = |size: u32| Config::new(&[postgres.port]).pool("size", size).pool("queue_timeout", "\"1s\"");
    assert!(!fits(2));
    let mut kept = howdah.app();
    kept.run("set work_mem = '7MB'");
    write(config(2));
    howdah.admin().run("RELOAD");
    eventually("two fit", 5, || fits(2));
    assert!(!fits(3));
    write(config(3));
    kill(Pid::from_raw(howdah.pid()), Signal::SIGHUP).unwrap();
    eventually("three fit", 5, || fits(3));
    write(config(4).pool("nonsense", 1));
    let refused = howdah.admin().query("RELOAD");
    assert!(refused.sqlstate().is_some(), "a bad file is refused");
    kill(Pid::from_raw(howdah.pid()), Signal::SIGHUP).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(fits(3) && !fits(4));
    assert_eq!(kept.value("show work_mem"), "7MB", "no client was dropped");
}

#[test]
fn the_admin_database_shows_and_refuses_others() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 2));
    let mut app = howdah.app();
    app.run("select 1");
    let mut admin = howdah.admin();
    let columns = |reply: &Reply| -> Vec<String> {
        let row = reply.tagged(b'T').next().expect("a RowDescription");
        let mut names = Vec::new();
        let mut rest = &row.body[2..];
        while let Some(end) = rest.iter().position(|&byte| byte == 0) {
            names.push(String::from_utf8_lossy(&rest[..end]).into_owned());
            rest = rest.get(end + 19..).unwrap_or_default();
        }
        names
    };
    for (show, wanted) in [
        ("SHOW CLIENTS", &["type", "user", "database", "state"][..]),
        (
            "SHOW POOLS",
            &["database", "user", "cl_active", "cl_waiting", "sv_active", "sv_idle", "maxwait", "pool_mode"],
        ),
        ("SHOW SERVERS", &["type", "user", "database", "state"]),
        ("SHOW STATS", &["database", "total_query_count"]),
        ("SHOW CONFIG", &["key", "value"]),
        ("SHOW VERSION", &["version"]),
    ] {
        let reply = admin.run(show);
        let found = columns(&reply);
        for name in wanted {
            assert!(found.iter().any(|column| column == name), "{show} has no {name}: {found:?}");
        }
        assert!(!reply.rows().is_empty(), "{show} shows nothing");
    }
    assert!(admin.query("SHOW NONSENSE").sqlstate().is_some());
    assert!(admin.query("select 1 from item").sqlstate().is_some());
    assert_eq!(admin.run("show version").status(), 'I');
    let stranger = Wire::start(howdah.port, &[("user", "app"), ("database", "howdah")]);
    assert!(stranger.greeting.sqlstate().is_some(), "only admin users may use the admin database");
}
