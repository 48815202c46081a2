//! Servers that are lost while a block is open or a COMMIT is under way, and pipelines that fill every buffer.

use super::*;

#[test]
fn a_block_lost_with_its_server_is_08006_and_ends_with_rollback() {
    let postgres = Postgres::start();
    let howdah = Howdah::start(&Config::new(&[postgres.port]).pool("size", 4));
    let (mut commits, mut rolls_back, mut asks) = (howdah.app(), howdah.app(), howdah.app());
    for wire in [&mut commits, &mut rolls_back, &mut asks] {
        wire.run("begin");
        wire.run("create table if not exists lost_block (id int)");
        wire.run("rollback; begin");
        wire.run("select 1");
    }
    postgres.kill9();
    postgres.restart();
    std::thread::sleep(Duration::from_millis(500));
    let drain = |wire: &mut Wire| while let Event::Frame(_) = wire.event_within(Duration::from_millis(50)) {};
    for wire in [&mut commits, &mut rolls_back, &mut asks] {
        drain(wire);
    }
    let refused = commits.query("commit");
    assert_eq!((refused.sqlstate().as_deref(), refused.status()), (Some("08006"), 'E'));
    assert_eq!(commits.run("rollback").status(), 'I');
    assert_eq!(rolls_back.run("rollback").status(), 'I');
    let refused = asks.ask(&message::extended("select 2", &[]));
    assert_eq!((refused.sqlstate().as_deref(), refused.status()), (Some("08006"), 'E'));
    assert_eq!(asks.query("select 3").sqlstate().as_deref(), Some("25P02"));
    assert_eq!(asks.run("rollback").status(), 'I');
    assert_eq!(asks.value("select 4"), "4");
}

#[test]
fn a_server_that_dies_in_commit_is_08007() {
    let postgres = Postgres::start();
    let howdah = Howdah::start(&Config::new(&[postgres.port]).pool("size", 3));
    postgres.session("postgres", "app").run(
        "create table slow_commit (id int); grant all on slow_commit to app; \
         create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(5); return null; end'; \
         create constraint trigger slow after insert on slow_commit deferrable initially deferred for each row execute function slow()",
    );
    let (mut simple, mut extended, mut alone) = (howdah.app(), howdah.app(), howdah.app());
    for wire in [&mut simple, &mut extended] {
        wire.run("begin");
        wire.run("insert into slow_commit values (1)");
    }
    simple.send(&query("commit"));
    extended.send(&message::extended("end", &[]));
    alone.send(&query("insert into slow_commit values (2)"));
    std::thread::sleep(Duration::from_millis(300));
    postgres.kill9();
    for wire in [&mut simple, &mut extended] {
        let said = wire.until(b'E').sqlstate().unwrap();
        assert!(["08007", "57P02"].contains(&said.as_str()), "{said}");
    }
    let said = alone.until(b'E').sqlstate().unwrap();
    assert!(["08006", "57P02"].contains(&said.as_str()), "{said}");
}

#[test]
fn a_pipeline_longer_than_any_buffer_is_answered_in_order() {
    let mut scene = Scene::new();
    let mut wire = scene.howdah.app();
    let mut sending = wire.socket().try_clone().unwrap();
    const COUNT: u32 = 60_000;
    wire.ask(&[parse("p", "select $1::int4 + 1", &[]), sync()].concat());
    let writer = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        for number in 0..COUNT {
            bytes.extend(bind("", "p", &[], &[Some(number.to_string().as_bytes())], &[]));
            bytes.extend(execute("", 0));
        }
        bytes.extend(sync());
        sending.write_all(&bytes).unwrap();
    });
    let reply = wire.reply();
    writer.join().unwrap();
    let rows = reply.ok().rows();
    assert_eq!(rows.len(), COUNT as usize);
    assert_eq!(rows.last().unwrap()[0].as_deref(), Some(COUNT.to_string().as_str()));
    scene.is_unharmed();
}
