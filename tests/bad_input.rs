//! Bad input: each gets its SQLSTATE on its own connection, and a healthy client beside goes on working.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use support::config::Config;
use support::eventually;
use support::frame::Reply;
use support::message::{self, bind, execute, message, parse, query, sync, untyped};
use support::postgres::Postgres;
use support::process;
use support::proxy::Howdah;
use support::wire::{Event, Wire};

/// A Howdah with a client that must not be harmed.
struct Scene {
    howdah: Howdah,
    healthy: Wire,
}

impl Scene {
    fn new() -> Scene {
        Scene::with(|config| config)
    }

    fn with(change: impl FnOnce(Config) -> Config) -> Scene {
        let howdah = Howdah::start(&change(Config::new(&[Postgres::shared().port]).pool("size", 3)));
        let mut healthy = howdah.app();
        healthy.run("begin; create temp table beside as select 7 as x; commit");
        Scene { howdah, healthy }
    }

    /// The client beside, and a new one, are well.
    fn is_unharmed(&mut self) {
        assert_eq!(self.healthy.value("select x from beside"), "7");
        let mut fresh = self.howdah.app();
        assert_eq!(fresh.value("select count(*) from parent"), "10");
        fresh.terminate();
    }

    /// A new client sends `bytes` after its login; gives everything up to the connection's end or to
    /// ReadyForQuery after a Sync that follows.
    fn answer(&mut self, bytes: &[u8]) -> Reply {
        let mut wire = self.howdah.app();
        wire.send(bytes);
        wire.send(&sync());
        let reply = wire.reply();
        self.is_unharmed();
        reply
    }
}

/// Reads what comes until the connection ends.
fn last_words(wire: &mut Wire) -> Reply {
    let mut reply = Reply::default();
    loop {
        match wire.event() {
            Event::Frame(frame) => reply.frames.push(frame),
            Event::Closed => return reply,
            Event::TimedOut => panic!("the connection stays open: {reply:?}"),
        }
    }
}

// Start-up.

#[test]
fn a_startup_packet_with_a_wrong_length_ends_the_connection() {
    let mut scene = Scene::new();
    for length in [0_u32, 1, 3, 4, 7, 10_005, 0x4745_5420, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        let mut wire = Wire::open(scene.howdah.port);
        wire.send(&length.to_be_bytes());
        wire.send(b" / HTTP/1.1\r\n\r\n");
        let said = last_words(&mut wire);
        assert!(said.sqlstate().is_none_or(|state| state == "08P01"), "{length}: {said:?}");
        scene.is_unharmed();
    }
}

#[test]
fn a_startup_packet_of_an_unsupported_version_is_refused() {
    let mut scene = Scene::new();
    for (major, minor) in [(1, 0), (2, 0), (4, 0), (77, 7), (1234, 0)] {
        let mut wire = Wire::open(scene.howdah.port);
        wire.send(&message::startup_version(major, minor, &[("user", "app"), ("database", "app")]));
        let said = last_words(&mut wire);
        // Before version 3 an error was a text, which is no frame: Postgres answers those so.
        let as_text = major < 3 && said.frames.is_empty();
        assert!(as_text || said.sqlstate().as_deref() == Some("0A000"), "{major}.{minor}: {said:?}");
        scene.is_unharmed();
    }
}

#[test]
fn a_newer_minor_version_and_unknown_options_are_negotiated_as_by_postgres() {
    let scene = Scene::new();
    let parameters: &[(&str, &str)] =
        &[("user", "app"), ("database", "app"), ("_pq_.future", "1"), ("_pq_.more", "x")];
    for (minor, parameters) in [(9, &parameters[..2]), (0, parameters), (9, parameters)] {
        let answers = [Postgres::shared().port, scene.howdah.port].map(|port| {
            let mut wire = Wire::open(port);
            wire.send(&message::startup_version(3, minor, parameters));
            let reply = wire.reply();
            reply.tagged(b'v').next().cloned()
        });
        assert!(answers[0].is_some());
        assert_eq!(answers[0], answers[1], "3.{minor} {parameters:?}");
    }
}

#[test]
fn a_malformed_startup_message_is_refused() {
    let mut scene = Scene::new();
    let version = 0x0003_0000_u32.to_be_bytes();
    let cases: [(&str, &[u8], &[&str]); 5] = [
        ("no final NUL", b"user\0app\0database\0app\0", &["08P01"]),
        ("a name without a value", b"user\0app\0database\0", &["08P01"]),
        ("no NUL at all", b"user", &["08P01"]),
        ("bytes after the end", b"user\0app\0\0garbage", &["08P01"]),
        ("no user", b"database\0app\0\0", &["28000"]),
    ];
    for (name, parameters, states) in cases {
        let mut wire = Wire::open(scene.howdah.port);
        wire.send(&untyped(&[&version, parameters].concat()));
        let said = last_words(&mut wire).sqlstate().unwrap_or_default();
        assert!(states.contains(&said.as_str()), "{name}: {said:?}");
        scene.is_unharmed();
    }
}

#[test]
fn ssl_and_gss_are_answered_no_once_each_and_login_goes_on() {
    let scene = Scene::new();
    let mut wire = Wire::open(scene.howdah.port);
    for request in [message::gss_request(), message::ssl_request()] {
        wire.send(&request);
        let mut answer = [0];
        std::io::Read::read_exact(wire.socket(), &mut answer).unwrap();
        assert_eq!(answer, *b"N");
    }
    wire.send(&message::startup(&[("user", "app"), ("database", "app")]));
    assert_eq!(wire.reply().status(), 'I');
    assert_eq!(wire.value("select 1"), "1");
}

#[test]
fn an_unknown_database_is_3d000() {
    let mut scene = Scene::new();
    let mut wire = Wire::start(scene.howdah.port, &[("user", "app"), ("database", "no_such")]);
    assert_eq!(wire.greeting.sqlstate().as_deref(), Some("3D000"));
    assert!(wire.is_closed());
    scene.is_unharmed();
}

#[test]
fn an_unknown_user_is_refused() {
    let mut scene = Scene::new();
    let mut wire = Wire::start(scene.howdah.port, &[("user", "no_such"), ("database", "app")]);
    let state = wire.greeting.sqlstate().unwrap_or_default();
    assert!(["28P01", "28000"].contains(&state.as_str()), "{state:?}");
    assert!(wire.is_closed());
    scene.is_unharmed();
}

/// Logs in with a password; gives the SQLSTATE of a refusal.
fn password_login(port: u16, user: &str, password: &str) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let result = tokio_postgres::Config::new()
            .host("127.0.0.1")
            .port(port)
            .user(user)
            .dbname("app")
            .password(password)
            .connect(tokio_postgres::NoTls)
            .await;
        match result {
            Ok(_) => None,
            Err(error) => Some(error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned())),
        }
    })
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_refused_alike() {
    Postgres::shared().app().run("create role secretive login password 'right'");
    for method in ["scram-sha-256", "md5", "password"] {
        let mut scene = Scene::with(|config| {
            config
                .user("name = \"secretive\"\npassword = \"right\"")
                .hba("secretive", method)
                .hba("ghost", method)
        });
        let port = scene.howdah.port;
        assert_eq!(password_login(port, "secretive", "right"), None, "{method}");
        for wrong in ["", "wrong", "Right", "right ", "rightright", &"r".repeat(5000)] {
            assert_eq!(
                password_login(port, "secretive", wrong).as_deref(),
                Some("28P01"),
                "{method} {wrong:.20}"
            );
        }
        assert_eq!(password_login(port, "ghost", "right").as_deref(), Some("28P01"), "{method}");
        scene.is_unharmed();
        assert!(!scene.howdah.log().contains("right"), "the log shows a password");
    }
}

#[test]
fn a_message_other_than_a_password_ends_the_login() {
    let mut scene = Scene::with(|config| {
        config.user("name = \"secretive\"\npassword = \"right\"").hba("secretive", "scram-sha-256")
    });
    let wrong = [
        query("select 1"),
        sync(),
        message(b'p', b""),
        message(b'p', b"SCRAM-SHA-256\0"),
        message(b'p', b"SCRAM-SHA-256\0\0\0\0\x05hello"),
        message(b'p', b"NO-SUCH-MECHANISM\0\0\0\0\0"),
        message(b'p', b"SCRAM-SHA-256\0\x7f\xff\xff\xff"),
        message(b'p', b"SCRAM-SHA-256-PLUS\0\0\0\0\x05hello"),
        message(b'p', &[b'x'; 70_000]),
        vec![b'p', 0, 0, 0, 3],
        vec![b'p', 0x7f, 0xff, 0xff, 0xff],
        vec![b'p', 0xff, 0xff, 0xff, 0xff],
    ];
    for bytes in wrong {
        let mut wire = Wire::open(scene.howdah.port);
        wire.send(&message::startup(&[("user", "secretive"), ("database", "app")]));
        assert_eq!(wire.until(b'R').frames[0].body[..4], 10_u32.to_be_bytes());
        wire.send(&bytes);
        let state = last_words(&mut wire).sqlstate().unwrap_or_default();
        assert!(
            ["08P01", "28P01", "28000"].contains(&state.as_str()),
            "{:?}: {state:?}",
            &bytes[..bytes.len().min(30)]
        );
        scene.is_unharmed();
    }
}

#[test]
fn a_login_that_is_never_finished_is_ended_by_login_timeout() {
    let mut scene = Scene::with(|config| config.general("login_timeout", "\"1s\""));
    let startup = message::startup(&[("user", "app"), ("database", "app")]);
    let beginnings: [&[u8]; 3] = [b"", &startup[..2], &startup[..startup.len() - 1]];
    for beginning in beginnings {
        let began = Instant::now();
        let mut wire = Wire::open(scene.howdah.port);
        wire.send(beginning);
        last_words(&mut wire);
        assert!(began.elapsed() > Duration::from_millis(500), "ended too early");
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    scene.is_unharmed();
}

#[test]
fn a_login_that_drips_is_ended_by_login_timeout() {
    let mut scene = Scene::with(|config| config.general("login_timeout", "\"1s\""));
    let startup =
        message::startup(&[("user", "app"), ("database", "app"), ("application_name", &"x".repeat(500))]);
    let mut wire = Wire::open(scene.howdah.port);
    let began = Instant::now();
    for byte in startup {
        if wire.socket().write_all(&[byte]).is_err() || began.elapsed() > Duration::from_secs(5) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "the login went on for {:?}", began.elapsed());
    scene.is_unharmed();
}

#[test]
fn ten_thousand_connections_that_never_finish_their_startup_harm_nobody() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let count = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(500).min(10_000);
    let mut scene =
        Scene::with(|config| config.general("login_timeout", "\"3s\"").general("client_limit", 20_000));
    let before = memory_kib(&scene.howdah);
    let mut waiting: Vec<Wire> = (0..count)
        .map(|number| {
            let mut wire = Wire::open(scene.howdah.port);
            wire.send(&[0, 0, 0][..number % 4]);
            wire
        })
        .collect();
    scene.is_unharmed();
    let grown = memory_kib(&scene.howdah).saturating_sub(before);
    assert!(grown < 200 * 1024, "{count} waiting connections take {grown} KiB");
    for wire in waiting.iter_mut().step_by(count / 20) {
        last_words(wire);
    }
    scene.is_unharmed();
}

#[test]
fn more_clients_than_the_limit_are_53300() {
    let mut scene = Scene::with(|config| config.general("client_limit", 4));
    let mut clients: Vec<Wire> = (0..3).map(|_| scene.howdah.app()).collect();
    let mut refused = Wire::start(scene.howdah.port, &[("user", "app"), ("database", "app")]);
    assert_eq!(refused.greeting.sqlstate().as_deref(), Some("53300"));
    assert!(refused.is_closed());
    clients.pop().unwrap().terminate();
    eventually("a client's place is given back", 5, || {
        Wire::start(scene.howdah.port, &[("user", "app"), ("database", "app")]).greeting.status() == 'I'
    });
    drop(clients);
    scene.is_unharmed();
}

// Messages.

#[test]
fn a_message_length_that_cannot_be_is_08p01_and_ends_the_connection() {
    let mut scene = Scene::new();
    for tag in *b"QPBDECSHdcfFX" {
        for (port, length) in [
            (scene.howdah.port, 0_u32),
            (scene.howdah.port, 3),
            (scene.howdah.port, 0x8000_0000),
            (scene.howdah.port, u32::MAX),
        ] {
            let mut wire = Wire::app(port);
            wire.send(&[&[tag][..], &length.to_be_bytes(), b"some bytes behind"].concat());
            let state = last_words(&mut wire).sqlstate();
            assert_eq!(state.as_deref(), Some("08P01"), "{} {length:#x}", tag as char);
        }
        scene.is_unharmed();
    }
}

#[test]
fn a_message_over_the_limit_is_08p01_before_its_body_came() {
    let mut scene = Scene::with(|config| config.general("message_size_max", "\"64kB\""));
    for tag in *b"QPBd" {
        let mut wire = scene.howdah.app();
        wire.send(&[&[tag][..], &1_000_000_u32.to_be_bytes(), b"select"].concat());
        assert_eq!(last_words(&mut wire).sqlstate().as_deref(), Some("08P01"), "{}", tag as char);
        scene.is_unharmed();
    }
    let within = format!("select length('{}')", "x".repeat(60_000));
    assert_eq!(scene.howdah.app().value(&within), "60000");
}

#[test]
fn an_unknown_message_type_is_08p01_and_ends_the_connection() {
    let mut scene = Scene::new();
    for tag in [0_u8, b'a', b'K', b'R', b'T', b'Z', b'p', b'v', 0x80, 0xff] {
        for port in [Postgres::shared().port, scene.howdah.port] {
            let mut wire = Wire::app(port);
            wire.send(&message(tag, b"hello\0"));
            assert_eq!(last_words(&mut wire).sqlstate().as_deref(), Some("08P01"), "{tag:#x}");
        }
        scene.is_unharmed();
    }
}

/// Messages whose bodies are not as the protocol says.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("Query without NUL", message(b'Q', b"select 1")),
        ("Query with bytes behind its NUL", message(b'Q', b"select 1\0select 2\0")),
        ("empty Query", message(b'Q', b"")),
        ("empty Parse", message(b'P', b"")),
        ("Parse without SQL", message(b'P', b"name\0")),
        ("Parse without count", message(b'P', b"\0select 1\0")),
        ("Parse with fewer types than said", message(b'P', b"\0select 1\0\0\x02\0\0\0\x17")),
        ("Parse with bytes behind", message(b'P', b"\0select 1\0\0\0extra")),
        ("Parse with a negative count", message(b'P', b"\0select 1\0\xff\xff")),
        ("empty Bind", message(b'B', b"")),
        ("Bind without counts", message(b'B', b"\0\0")),
        ("Bind with fewer formats than said", message(b'B', b"\0\0\0\x05\0\0")),
        ("Bind with a value longer than the message", message(b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xffx\0\0")),
        ("Bind with a length of -2", message(b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0")),
        ("Bind without result formats", message(b'B', b"\0\0\0\0\0\0")),
        ("Bind with bytes behind", message(b'B', b"\0\0\0\0\0\0\0\0extra")),
        ("empty Describe", message(b'D', b"")),
        ("Describe of an unknown kind", message(b'D', b"X\0")),
        ("Describe without NUL", message(b'D', b"Sname")),
        ("empty Close", message(b'C', b"")),
        ("Close of an unknown kind", message(b'C', b"X\0")),
        ("Execute without count", message(b'E', b"\0")),
        ("Execute with half a count", message(b'E', b"\0\0\0")),
        ("Execute with bytes behind", message(b'E', b"\0\0\0\0\0extra")),
        ("Sync with a body", message(b'S', b"x")),
        ("Flush with a body", message(b'H', b"x")),
        ("empty FunctionCall", message(b'F', b"")),
        ("FunctionCall cut short", message(b'F', b"\0\0\0\xb1\0\x01\0\x01\0\x02")),
    ]
}

fn malformed_is_08p01(port: u16, bytes: &[u8], name: &str) {
    let mut wire = Wire::app(port);
    wire.send(&[&parse("", "select 1", &[]), bytes, &sync()].concat());
    let reply = wire.reply();
    assert_eq!(reply.sqlstate().as_deref(), Some("08P01"), "{name}: {reply:?}");
}

#[test]
fn a_malformed_body_is_08p01() {
    let mut scene = Scene::new();
    for (name, bytes) in malformed() {
        malformed_is_08p01(scene.howdah.port, &bytes, name);
        scene.is_unharmed();
    }
}

#[test]
fn a_malformed_body_is_08p01_on_plain_postgres_too() {
    for (name, bytes) in malformed() {
        malformed_is_08p01(Postgres::shared().port, &bytes, name);
    }
}

#[test]
fn messages_out_of_order_are_answered_as_by_postgres() {
    let mut scene = Scene::new();
    let cases: [(&str, Vec<u8>, Option<&str>); 6] = [
        ("Execute before Bind", execute("", 0), Some("34000")),
        ("Bind before Parse", bind("", "", &[], &[], &[]), Some("26000")),
        ("Describe of nothing", message::named(b'D', b'S', ""), Some("26000")),
        ("CopyData outside COPY", message::copy_data(b"1\n"), None),
        ("CopyDone outside COPY", message::copy_done(), None),
        ("CopyFail outside COPY", message::copy_fail("x"), None),
    ];
    for (name, bytes, state) in cases {
        assert_eq!(scene.answer(&bytes).sqlstate().as_deref(), state, "{name}");
    }
}

#[test]
fn a_message_cut_off_by_the_end_of_the_connection_harms_nobody() {
    let mut scene = Scene::new();
    let whole = [
        parse("s", "select $1::int", &[]),
        bind("", "s", &[], &[Some(b"1")], &[]),
        execute("", 0),
        sync(),
        query("select 2"),
    ]
    .concat();
    for end in 0..whole.len() {
        let mut wire = scene.howdah.app();
        wire.send(&whole[..end]);
        wire.vanish();
    }
    scene.is_unharmed();
}

#[test]
fn random_bytes_after_login_harm_nobody() {
    let mut scene = Scene::new();
    let mut state = 0x2545_f491_u32;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_be_bytes()[0]
    };
    for round in 0..100 {
        let mut wire = scene.howdah.app();
        let body: Vec<u8> = (0..round).map(|_| random()).collect();
        let tag = b"QPBDECSHdcfFXp"[round % 14];
        wire.send(&message(tag, &body));
        wire.send(&body);
        wire.vanish();
    }
    scene.is_unharmed();
}

#[test]
fn a_statement_of_ten_megabytes_is_answered() {
    let mut scene = Scene::new();
    let long = "x".repeat(10 * 1024 * 1024);
    let sql = format!("select length('{long}')");
    let mut wire = scene.howdah.app();
    assert_eq!(wire.value(&sql), long.len().to_string());
    assert_eq!(wire.ask(&message::extended(&sql, &[])).ok().value(), long.len().to_string());
    assert_eq!(
        wire.ask(&message::extended("select length($1)", &[Some(&long)])).ok().value(),
        long.len().to_string()
    );
    let values = vec!["1"; 1_000_000].join(",");
    assert_eq!(wire.value(&format!("select cardinality(array[{values}])")), "1000000");
    scene.is_unharmed();
}

#[test]
fn invalid_utf8_is_22021_and_the_connection_goes_on() {
    let mut scene = Scene::new();
    for port in [Postgres::shared().port, scene.howdah.port] {
        invalid_utf8_is_22021(port);
    }
    scene.is_unharmed();
}

fn invalid_utf8_is_22021(port: u16) {
    let mut wire = Wire::app(port);
    for bytes in [
        b"select '\xff'\0".as_slice(),
        b"select '\xc3'\0",
        b"\xf0\x28\x8c\x28\0",
        b"select 1 as \"\xed\xa0\x80\"\0",
    ] {
        assert_eq!(wire.ask(&message(b'Q', bytes)).sqlstate().as_deref(), Some("22021"));
        let parsed = [message(b'P', &[b"\0", bytes, &[0, 0]].concat()), sync()].concat();
        assert_eq!(wire.ask(&parsed).sqlstate().as_deref(), Some("22021"));
        assert_eq!(wire.value("select 1"), "1");
    }
    let parameter =
        [parse("", "select $1::text", &[]), bind("", "", &[], &[Some(b"\xff")], &[]), sync()].concat();
    assert_eq!(wire.ask(&parameter).sqlstate().as_deref(), Some("22021"));
}

#[test]
fn invalid_utf8_in_names_harms_nobody() {
    let mut scene = Scene::new();
    let version = 0x0003_0000_u32.to_be_bytes();
    for parameters in [
        b"user\0\xff\xfe\0database\0app\0\0".as_slice(),
        b"user\0app\0database\0\xff\xfe\0\0",
        b"user\0app\0database\0app\0application_name\0\xff\0\0",
        b"user\0app\0database\0app\0\xff\0x\0\0",
    ] {
        let mut wire = Wire::open(scene.howdah.port);
        wire.send(&untyped(&[&version, parameters].concat()));
        wire.reply();
        scene.is_unharmed();
    }
    let mut wire = scene.howdah.app();
    wire.send(
        &[
            message(b'P', b"\xff\0select 5\0\0\0"),
            message(b'B', b"\0\xff\0\0\0\0\0\0\0"),
            execute("", 0),
            sync(),
        ]
        .concat(),
    );
    let reply = wire.reply();
    assert!(reply.sqlstate().is_some_and(|state| state == "22021") || reply.value() == "5", "{reply:?}");
    scene.is_unharmed();
}

#[test]
fn a_copy_that_breaks_off_leaves_nothing() {
    let mut scene = Scene::new();
    scene.howdah.app().run("create table broken (id int)");
    for (end, bytes) in [
        ("CopyFail", message::copy_fail("enough")),
        ("Query", query("select 1")),
        ("bad row", message::copy_data(b"x\n")),
    ] {
        let mut wire = scene.howdah.app();
        wire.send(
            &[query("copy broken from stdin"), message::copy_data(b"1\n2\n"), bytes, message::copy_done()]
                .concat(),
        );
        let state = wire.reply().sqlstate().unwrap_or_default();
        let expected = match end {
            "CopyFail" => "57014",
            "Query" => "08P01",
            _ => "22P02",
        };
        assert_eq!(state, expected, "{end}");
        scene.is_unharmed();
    }
    let mut wire = scene.howdah.app();
    wire.send(&[query("copy broken from stdin"), message::copy_data(b"1\n2\n")].concat());
    wire.vanish();
    scene.is_unharmed();
    assert_eq!(scene.healthy.value("select count(*) from broken"), "0");
}

// Clients and servers that do not do their part.

/// Resident memory of the process, in KiB.
fn memory_kib(howdah: &Howdah) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", howdah.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

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
