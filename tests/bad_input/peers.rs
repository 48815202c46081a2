//! Clients that never read, and servers that are down, hang, or die.

use super::*;

#[test]
fn a_client_that_never_reads_takes_no_memory_and_harms_nobody() {
    let mut scene = Scene::new();
    let before = memory_kib(&scene.howdah);
    let mut lazy = scene.howdah.app();
    lazy.send(&query("select repeat('x', 10000) from generate_series(1, 30000)"));
    let end = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < end {
        scene.is_unharmed();
        let grown = memory_kib(&scene.howdah).saturating_sub(before);
        assert!(grown < 32 * 1024, "the unread result takes {grown} KiB");
    }
    assert_eq!(lazy.reply().ok().rows().len(), 30_000, "the result is whole when it is read at last");
}

#[test]
fn a_client_that_sends_without_reading_takes_no_memory() {
    let mut scene = Scene::new();
    let before = memory_kib(&scene.howdah);
    let mut lazy = scene.howdah.app();
    let socket = lazy.socket();
    socket.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let queries = query("select repeat('x', 10000) from generate_series(1, 100)").repeat(100);
    let mut sent = 0;
    while sent < 200 * 1024 * 1024 && socket.write_all(&queries).is_ok() {
        sent += queries.len();
    }
    scene.is_unharmed();
    let grown = memory_kib(&scene.howdah).saturating_sub(before);
    assert!(grown < 48 * 1024, "{sent} bytes of queries take {grown} KiB");
}

/// The states that a client may be given for a server that it cannot use.
const UNAVAILABLE: [&str; 3] = ["08006", "57P03", "08001"];

/// A first statement, or the login before it, fails with one of [`UNAVAILABLE`] within 10 seconds.
fn is_unavailable(port: u16) {
    let began = Instant::now();
    let mut wire = Wire::start(port, &[("user", "app"), ("database", "app")]);
    let state = match wire.greeting.sqlstate() {
        None => wire.query("select 1").sqlstate(),
        refused => refused,
    };
    let state = state.expect("an error");
    assert!(UNAVAILABLE.contains(&state.as_str()), "{state}");
    assert!(began.elapsed() < Duration::from_secs(10), "only after {:?}", began.elapsed());
}

#[test]
fn a_server_that_is_down_is_said_so_at_once_and_used_when_it_is_up() {
    let postgres = Postgres::start();
    let howdah = Howdah::start(&Config::new(&[postgres.port]).pool("size", 2));
    assert_eq!(howdah.app().value("select 1"), "1");
    postgres.kill9();
    for _ in 0..3 {
        is_unavailable(howdah.port);
    }
    postgres.restart();
    eventually("clients are served again", 10, || {
        let mut wire = Wire::start(howdah.port, &[("user", "app"), ("database", "app")]);
        wire.greeting.status() == 'I' && wire.query("select 1").sqlstate().is_none()
    });
}

#[test]
fn a_server_that_is_down_at_the_start_is_used_when_it_is_up() {
    let postgres = Postgres::start();
    postgres.kill9();
    let howdah = Howdah::start(&Config::new(&[postgres.port]).pool("size", 2));
    is_unavailable(howdah.port);
    postgres.restart();
    eventually("clients are served", 10, || {
        let mut wire = Wire::start(howdah.port, &[("user", "app"), ("database", "app")]);
        wire.greeting.status() == 'I' && wire.query("select 1").sqlstate().is_none()
    });
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_given_up_after_connect_timeout() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Config::new(&[silent.local_addr().unwrap().port()]).pool("connect_timeout", "\"1s\"");
    let howdah = Howdah::start(&config);
    is_unavailable(howdah.port);
}

#[test]
fn a_server_that_talks_nonsense_is_an_error() {
    let nonsense = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nonsense.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in nonsense.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let howdah = Howdah::start(&Config::new(&[port]).pool("connect_timeout", "\"2s\""));
    let mut wire = Wire::start(howdah.port, &[("user", "app"), ("database", "app")]);
    let state = wire.greeting.sqlstate().or_else(|| wire.query("select 1").sqlstate()).unwrap();
    assert!(state.starts_with("08") || state == "57P03", "{state}");
}

#[test]
fn a_server_that_dies_in_the_middle_of_a_result_is_08006() {
    let postgres = Postgres::start();
    let howdah = Howdah::start(&Config::new(&[postgres.port]).pool("size", 3));
    let mut reader = howdah.app();
    let mut in_block = howdah.app();
    in_block.run("begin");
    reader.send(&query("select i, pg_sleep(0.01), repeat('x', 1000) from generate_series(1, 100000) i"));
    reader.until(b'D');
    postgres.kill9();
    for (wire, waits_for_a_result) in [(&mut reader, true), (&mut in_block, false)] {
        // Sent to a connection that is closed already, a statement could lose the words that explain it.
        let told =
            matches!(wire.event_within(Duration::from_millis(500)), Event::Frame(frame) if frame.tag == b'E');
        if told {
            continue;
        }
        if !waits_for_a_result {
            wire.send(&query("select 1"));
        }
        let said = wire.until(b'E');
        let state = said.sqlstate();
        let state = state.unwrap_or_else(|| {
            panic!("no error (reader: {waits_for_a_result}), only {:?}", said.frames.last())
        });
        assert!(["08006", "57P01", "57P02"].contains(&state.as_str()), "{state}");
    }
    postgres.restart();
    eventually("clients are served again", 10, || {
        let mut wire = Wire::start(howdah.port, &[("user", "app"), ("database", "app")]);
        wire.greeting.status() == 'I' && wire.query("select 1").sqlstate().is_none()
    });
}

#[test]
fn a_server_connection_that_is_terminated_says_57p01_and_is_never_used_again() {
    let mut scene = Scene::new();
    let mut victim = scene.howdah.app();
    victim.run("begin");
    let pid = victim.server_pid();
    scene.healthy.run(&format!("select pg_terminate_backend({pid})"));
    let state = victim.query("select 1").sqlstate().unwrap();
    assert!(["57P01", "08006"].contains(&state.as_str()), "{state}");
    scene.is_unharmed();
    for _ in 0..5 {
        assert_ne!(scene.howdah.app().server_pid(), pid);
    }
}

#[test]
fn idle_server_connections_that_were_terminated_cost_no_client_an_error() {
    let mut scene = Scene::new();
    let mut direct = Postgres::shared().app();
    for _ in 0..5 {
        let pid = scene.howdah.app().server_pid();
        direct.run(&format!("select pg_terminate_backend({pid})"));
        eventually("it is gone", 5, || {
            direct.value(&format!("select count(*) from pg_stat_activity where pid = {pid}")) == "0"
        });
        // The notice of its end needs a moment to reach Howdah.
        std::thread::sleep(Duration::from_millis(50));
        scene.is_unharmed();
    }
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_file_and_line() {
    let dir = process::temporary_folder("config");
    let file = dir.join("howdah.toml");
    std::fs::write(&file, Config::new(&[1]).pool("size", "\"many\"").text(process::free_port())).unwrap();
    let output = std::process::Command::new(support::proxy::binary())
        .args(["serve", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("howdah.toml") && said.contains("size"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
