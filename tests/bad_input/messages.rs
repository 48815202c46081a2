//! Messages that are malformed, oversized, out of order, or cut off.

use super::*;

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
