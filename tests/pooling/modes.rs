//! The three modes of pooling.

use super::*;

#[test]
fn session_pooling_keeps_the_connection_until_the_client_leaves() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 1).pooling("session"));
    let mut first = howdah.app();
    let pid = first.server_pid();
    first.run("create temp table own (x int)");
    first.run("set work_mem = '7MB'");
    first.run("prepare p as select 5");
    first.run("listen news");
    first.run("select pg_advisory_lock(1)");
    first.run("declare c cursor with hold for select 1");
    first.run("set role pg_monitor");
    assert_eq!(first.server_pid(), pid);
    let port = howdah.port;
    let mut second = Wire::open(port);
    second.send(&support::message::startup(&[("user", "app"), ("database", "app")]));
    second.send(&query("select pg_backend_pid()"));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(first.value("execute p"), "5");
    first.terminate();
    second.reply();
    second.reply().ok();
    assert_eq!(second.value("select current_user"), "app");
    assert_eq!(second.value("show work_mem"), "4MB");
    assert_eq!(second.query("select * from own").sqlstate().as_deref(), Some("42P01"));
    assert_eq!(second.query("execute p").sqlstate().as_deref(), Some("26000"));
    assert_eq!(second.value("select count(*) from pg_listening_channels()"), "0");
    assert_eq!(second.value("select count(*) from pg_cursors"), "0");
    assert_eq!(second.value("select count(*) from pg_locks where locktype = 'advisory'"), "0");
}

#[test]
fn session_pooling_undoes_what_a_vanished_client_left() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 1).pooling("session"));
    howdah.app().run("create table left_behind (x int)");
    for state in [
        "begin; insert into left_behind values (1)",
        "begin; select 1/0",
        "set default_transaction_read_only = on",
    ] {
        let mut wire = howdah.app();
        wire.query(state);
        wire.vanish();
        let mut next = howdah.app();
        assert_eq!(next.run("select count(*) from left_behind").status(), 'I');
        assert_eq!(next.value("select count(*) from left_behind"), "0");
        assert_eq!(next.value("show default_transaction_read_only"), "off");
        next.terminate();
    }
}

#[test]
fn statement_pooling_refuses_transactions_of_several_statements() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 1).pooling("statement"));
    let (mut a, mut b) = (howdah.app(), howdah.app());
    assert_eq!(a.server_pid(), b.server_pid());
    for begin in ["begin", "start transaction", "begin isolation level serializable"] {
        let reply = a.query(begin);
        assert!(reply.sqlstate().is_some(), "{begin}: {reply:?}");
        assert_ne!(reply.status(), 'T');
        assert_eq!(b.value("select 1"), "1");
    }
    assert_eq!(a.value("select 1; select 2"), "1");
    assert_eq!(a.ask(&support::message::extended("select $1::int", &[Some("3")])).ok().value(), "3");
}

#[test]
fn transaction_pooling_shares_between_transactions() {
    let (_postgres, howdah) = alone(|config| config.pool("size", 1));
    let mut clients: Vec<Wire> = (0..20).map(|_| howdah.app()).collect();
    let mut pids: Vec<i32> = clients.iter_mut().map(Wire::server_pid).collect();
    pids.dedup();
    assert_eq!(pids.len(), 1);
}

#[test]
fn idle_connections_do_not_keep_a_database_from_being_copied_renamed_or_dropped() {
    let port = Postgres::shared().port;
    let any = format!(
        "name = \"nobody\"\n\n[[cluster]]\nname = \"*\"\n[[cluster.shard]]\nname = \"any\"\nprimary = \"127.0.0.1:{port}\""
    );
    let howdah = Howdah::start(&Config::new(&[port]).user(&any));
    let client = |database: &str| Wire::login(howdah.port, &[("user", "postgres"), ("database", database)]);
    let (first, copy, renamed) =
        (format!("left_{port}"), format!("left_copy_{port}"), format!("left_renamed_{port}"));
    let mut admin = client("postgres");
    let visit = |database: &str| {
        let mut visitor = client(database);
        assert_eq!(visitor.value("select 1"), "1");
        visitor.terminate();
    };
    admin.run(&format!("create database {first}"));
    visit(&first);
    admin.run(&format!("create database {copy} template {first}"));
    visit(&first);
    admin.run(&format!("alter database {first} rename to {renamed}"));
    visit(&renamed);
    visit(&copy);
    admin.run(&format!("drop database {renamed}"));
    admin.run(&format!("drop database {copy}"));
}
