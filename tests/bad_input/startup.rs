//! Start-up packets, logins and passwords that are wrong, or never whole.

use super::*;

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
