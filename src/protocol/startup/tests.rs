//! First packets, good and bad. Expected texts are those that PostgreSQL 15 sends for the same bytes.

use super::*;
use proptest::prelude::*;

fn packet(version: u32, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 8).unwrap();
    [&len.to_be_bytes()[..], &version.to_be_bytes(), body].concat()
}

fn startup(body: &[u8]) -> Result<StartupMessage<'_>, SqlError> {
    StartupMessage::parse(0, body)
}

fn refused<T: std::fmt::Debug>(result: Result<T, SqlError>) -> (String, String) {
    let error = result.unwrap_err();
    assert_eq!(error.severity, crate::error::Severity::Fatal);
    (error.code.to_string(), error.message.into_owned())
}

#[test]
fn written_packets_are_read() {
    let mut out = Vec::new();
    write_ssl_request(&mut out);
    assert_eq!(parse(&out), Ok(Packet::SslRequest));
    out.clear();
    write_cancel_request(&mut out, 7, -9);
    assert_eq!(packet_len(&out), Ok(Some(16)));
    assert_eq!(parse(&out), Ok(Packet::Cancel { process_id: 7, secret: -9 }));
    out.clear();
    write_startup(&mut out, &[(b"user", b"u"), (b"database", b"d"), (b"DateStyle", b"ISO")]);
    assert_eq!(packet_len(&out), Ok(Some(out.len())));
    let Ok(Packet::Startup(message)) = parse(&out) else { panic!() };
    assert_eq!(message.identity(), Ok(("u", "d")));
    assert_eq!(message.parameters().iter().collect::<Vec<_>>(), [(&b"DateStyle"[..], &b"ISO"[..])]);
    assert_eq!(parse(&packet(GSS_ENC_REQUEST, b"")), Ok(Packet::GssEncRequest));
}

#[test]
fn lengths_out_of_bounds_are_refused() {
    assert_eq!(packet_len(&[0, 0, 0]), Ok(None));
    for (len, is_ok) in [(0_u32, false), (7, false), (8, true), (10_004, true), (10_005, false)] {
        assert_eq!(packet_len(&len.to_be_bytes()).is_ok(), is_ok, "{len}");
    }
    assert_eq!(packet_len(b"GET / HTTP"), Err(BadPacketLength));
    assert_eq!(parse(&packet(CANCEL_REQUEST, &[0; 4])), Err(BadPacketLength.into()));
    assert_eq!(parse(&packet(CANCEL_REQUEST, &[0; 9])), Err(BadPacketLength.into()));
}

#[test]
fn other_protocol_versions_are_refused_in_their_own_format() {
    let answer = |version: u32| {
        assert_eq!(parse(&packet(version, b"user\0u\0\0")), Err(PacketError::Version(version)));
        let mut out = Vec::new();
        unsupported_version(&mut out, version);
        out
    };
    assert_eq!(
        answer(2 << 16),
        b"EFATAL:  unsupported frontend protocol 2.0: server supports 3.0 to 3.0\n\0"
    );
    assert_eq!(
        answer(4 << 16),
        b"E\0\0\0YSFATAL\0VFATAL\0C0A000\0Munsupported frontend protocol 4.0: server supports 3.0 to 3.0\0\0"
    );
    let mut again = Vec::new();
    unsupported_version(&mut again, SSL_REQUEST);
    assert!(again.windows(9).any(|window| window == b"1234.5679"));
}

#[test]
fn layout_must_end_with_a_terminator() {
    let layout = "invalid startup packet layout: expected terminator as last byte";
    for bad in [&b""[..], b"user\0u\0", b"user\0u\0\0\0", b"user\0\0", b"user", b"user\0u\0x\0\0\0\0"] {
        assert_eq!(refused(startup(bad)), ("08P01".to_owned(), layout.to_owned()), "{bad:?}");
    }
    assert!(startup(b"\0").is_ok());
}

#[test]
fn names_have_defaults_and_limits() {
    let identity = |body: &'static [u8]| startup(body).unwrap().identity();
    assert_eq!(identity(b"user\0u\0\0"), Ok(("u", "u")));
    assert_eq!(identity(b"user\0u\0database\0\0\0"), Ok(("u", "u")));
    assert_eq!(identity(b"user\0u\0user\0v\0\0"), Ok(("v", "v")));
    let no_user = "no PostgreSQL user name specified in startup packet";
    assert_eq!(refused(identity(b"database\0d\0\0")), ("28000".to_owned(), no_user.to_owned()));
    assert_eq!(refused(identity(b"user\0\0\0")).0, "28000");
    assert_eq!(refused(identity(b"user\0\xff\0\0")).0, "22021");
    let long = [b"user\0".as_slice(), "ä".repeat(40).as_bytes(), b"\0\0"].concat();
    // 63 bytes would cut a character in half.
    assert_eq!(startup(&long).unwrap().identity().unwrap().0, "ä".repeat(31));
}

#[test]
fn replication_is_refused() {
    let code = |value: &str| {
        let body = [b"user\0u\0replication\0", value.as_bytes(), b"\0\0"].concat();
        startup(&body).unwrap().identity().map(|_| ()).map_err(|error| error.code.to_string())
    };
    for off in ["false", "f", "OFF", "no", "n", "0"] {
        assert!(code(off).is_ok(), "{off}");
    }
    for on in ["true", "on", "1", "yes", "database"] {
        assert_eq!(code(on), Err("0A000".to_owned()), "{on}");
    }
    assert_eq!(code("maybe"), Err("22023".to_owned()));
    assert_eq!(code("o"), Err("22023".to_owned()));
}

#[test]
fn newer_minor_versions_and_options_are_negotiated_down() {
    let negotiate = |minor: u32, body: &[u8]| {
        let mut out = Vec::new();
        StartupMessage::parse(minor, body).unwrap().negotiate(&mut out);
        out
    };
    assert_eq!(negotiate(0, b"user\0u\0\0"), b"");
    assert_eq!(negotiate(2, b"user\0u\0\0"), b"v\0\0\0\x0c\0\x03\0\0\0\0\0\0");
    assert_eq!(negotiate(5, b"_pq_.foo\x001\0database\0x\0\0"), b"v\0\0\0\x15\0\x03\0\0\0\0\0\x01_pq_.foo\0");
}

#[test]
fn parameters_leave_out_what_is_not_a_setting() {
    let body = b"user\0u\0options\0-c x=y\0_pq_.z\x001\0replication\x000\0a\x001\0a\x002\0database\0d\0\0";
    let parameters = startup(body).unwrap().parameters();
    let names: Vec<_> = parameters.iter().map(|(name, _)| name).collect();
    assert_eq!(names, [b"options".as_slice(), b"a", b"a"]);
    assert_eq!(parameters.get("a"), Some(&b"2"[..]));
    assert_eq!(parameters.get("user"), None);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), minor in 0_u32..4) {
        let _any = packet_len(&bytes);
        let _any = parse(&bytes);
        fuzz(&bytes);
        fuzz(&packet(PROTOCOL_3_0 + minor, &bytes));
    }

    #[test]
    fn no_pairs_panic(text in "((user|database|replication|_pq_.x|a)\0[a-zä]{0,70}\0){0,4}\0?\0?") {
        fuzz(&packet(PROTOCOL_3_0, text.as_bytes()));
    }
}
