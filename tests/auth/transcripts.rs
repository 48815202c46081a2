//! The same bytes to Postgres and to Howdah: the answers must be equal but for F, L and R fields.

use crate::fixture::fixture;
use crate::front::{settings, start};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const V3: u32 = 3 << 16;
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const GSS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 48];

fn startup(version: u32, body: &str) -> Vec<u8> {
    let len = u32::try_from(body.len() + 8).unwrap();
    [&len.to_be_bytes()[..], &version.to_be_bytes(), body.as_bytes()].concat()
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &len.to_be_bytes(), body].concat()
}

fn sasl(first: &[u8]) -> Vec<u8> {
    let len = u32::try_from(first.len()).unwrap();
    message(b'p', &[b"SCRAM-SHA-256\0", &len.to_be_bytes()[..], first].concat())
}

/// Sends the packets one after the other, each after an answer to the one before; everything received.
async fn exchange(port: u16, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut received = Vec::new();
    for packet in packets {
        stream.write_all(packet).await.unwrap();
        let more = stream.read_buf(&mut received);
        tokio::time::timeout(Duration::from_secs(10), more).await.unwrap().unwrap();
    }
    let rest = stream.read_to_end(&mut received);
    tokio::time::timeout(Duration::from_secs(10), rest).await.unwrap().unwrap();
    received
}

/// Drops the fields that name a place in Postgres's source, and the lengths that count them.
fn without_places(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((&tag, rest)) = bytes.split_first() {
        let Some(len) = rest.first_chunk().map(|len| u32::from_be_bytes(*len) as usize) else { break };
        if rest.len() < len {
            break;
        }
        let (body, after) = (&rest[4..len], &rest[len..]);
        if tag == b'E' {
            out.extend_from_slice(b"E:");
            let is_place = |field: &&[u8]| !matches!(field.first(), Some(b'F' | b'L' | b'R'));
            body.split(|&b| b == 0).filter(is_place).for_each(|field| {
                out.extend_from_slice(field);
                out.push(0);
            });
        } else {
            out.extend_from_slice(&[&[tag], &rest[..len]].concat());
        }
        bytes = after;
    }
    out.extend_from_slice(bytes);
    out
}

fn cases() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let scram = || startup(V3, "user\0scram_user\0\0");
    let md5 = || startup(V3, "user\0md5_user\0\0");
    vec![
        ("protocol 2", vec![startup(2 << 16, "user\0u\0\0")]),
        ("protocol 4", vec![startup(4 << 16, "user\0u\0\0")]),
        ("no user", vec![startup(V3, "database\0x\0\0")]),
        ("no user, empty", vec![startup(V3, "user\0\0database\0x\0\0")]),
        ("no user, negotiated", vec![startup(V3 + 5, "_pq_.a\x001\0_pq_.b\0\0database\0x\0\0")]),
        ("no terminator", vec![startup(V3, "user\0scram_user\0")]),
        ("two terminators", vec![startup(V3, "user\0scram_user\0\0\0")]),
        ("name without value", vec![startup(V3, "user\0")]),
        ("nothing", vec![startup(V3, "")]),
        ("replication", vec![startup(V3, "user\0scram_user\0replication\0maybe\0\0")]),
        ("short", vec![vec![0, 0, 0, 7, 0, 3, 0, 0]]),
        ("long", vec![[&10_005_u32.to_be_bytes()[..], &[0; 100]].concat()]),
        ("longest", vec![startup(V3, &format!("user\0scram_user\0a\0{}", "x".repeat(9_978)))]),
        ("HTTP", vec![b"GET / HTTP/1.0\r\n\r\n".to_vec()]),
        ("cancel nobody", vec![vec![0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 2]]),
        ("cancel short", vec![vec![0, 0, 0, 12, 4, 210, 22, 46, 0, 0, 0, 1]]),
        ("no rule", vec![startup(V3, "user\0rejected\0\0")]),
        ("other message for a password", vec![md5(), message(b'Q', b"x\0")]),
        ("empty password", vec![md5(), message(b'p', b"\0")]),
        ("two passwords", vec![md5(), message(b'p', b"a\0b\0")]),
        ("wrong md5", vec![md5(), message(b'p', b"md5x\0")]),
        ("other message for SASL", vec![scram(), message(b'Q', b"x\0")]),
        ("unknown mechanism", vec![scram(), message(b'p', b"SCRAM\0\xff\xff\xff\xff")]),
        ("no mechanism", vec![scram(), message(b'p', b"")]),
        ("mechanism only", vec![scram(), message(b'p', b"SCRAM-SHA-256\0")]),
        ("SASL cut off", vec![scram(), message(b'p', b"SCRAM-SHA-256\0\0\0\0\x09abc")]),
        ("SASL left over", vec![scram(), message(b'p', b"SCRAM-SHA-256\0\0\0\0\x01abc")]),
        ("SASL negative length", vec![scram(), message(b'p', b"SCRAM-SHA-256\0\xff\xff\xff\x00abc")]),
        ("no data", vec![scram(), sasl(b"")]),
        ("a zero", vec![scram(), sasl(b"n,,n=\0")]),
        ("bad flag", vec![scram(), sasl(b"xyz")]),
        ("bad flag, not printable", vec![scram(), sasl(b"\x01yz")]),
        ("flag alone", vec![scram(), sasl(b"n")]),
        ("no comma", vec![scram(), sasl(b"nn")]),
        ("binding without TLS", vec![scram(), sasl(b"p=x,,n=,r=x")]),
        ("authorization identity", vec![scram(), sasl(b"n,a=x")]),
        ("second attribute", vec![scram(), sasl(b"n,x")]),
        ("extension", vec![scram(), sasl(b"n,,m=x")]),
        ("no name", vec![scram(), sasl(b"n,,x=")]),
        ("odd nonce", vec![scram(), sasl(b"n,,n=,r=\x01x")]),
        ("odd attribute", vec![scram(), sasl(b"n,,n=,r=x,!=")]),
        ("attribute without value", vec![scram(), sasl(b"n,,n=,r=x,a")]),
    ]
}

/// Removes what is random: md5 salts.
fn without_salt(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.starts_with(b"R\0\0\0\x0c\0\0\0\x05") {
        bytes[9..13].fill(0);
    }
    bytes
}

#[tokio::test]
async fn refusals_are_postgres_own_bytes() {
    let (port, _ends) = start(settings(Some("localhost")));
    for (name, packets) in cases() {
        let ours = without_places(&without_salt(exchange(port, &packets).await));
        if name == "no rule" {
            assert!(String::from_utf8_lossy(&ours).contains("pg_hba.conf rejects connection"));
            continue;
        }
        let theirs = without_places(&without_salt(exchange(fixture().server.port(), &packets).await));
        assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs), "{name}");
    }
}

#[tokio::test]
async fn bytes_before_tls_are_refused() {
    let (port, _ends) = start(settings(Some("localhost")));
    let early = [&SSL_REQUEST[..], &startup(V3, "user\0trust_user\0\0")].concat();
    let answer = exchange(port, &[early]).await;
    assert_eq!(answer[0], b'S');
    let text = String::from_utf8_lossy(&answer).into_owned();
    assert!(text.contains("C08P01\0Mreceived unencrypted data after SSL request\0"), "{text}");
    let early = [&GSS_REQUEST[..], b"x"].concat();
    let text = String::from_utf8_lossy(&exchange(port, &[early]).await).into_owned();
    assert!(text.contains("received unencrypted data after GSSAPI encryption request"), "{text}");
}

#[tokio::test]
async fn encryption_requests_may_alternate_but_not_repeat() {
    let (port, _ends) = start(settings(None));
    let version = startup(4 << 16, "");
    let requests = [SSL_REQUEST.to_vec(), GSS_REQUEST.to_vec(), SSL_REQUEST.to_vec(), version];
    let answer = exchange(port, &requests).await;
    assert!(answer.starts_with(b"NNNE"));
    for twice in [SSL_REQUEST, GSS_REQUEST] {
        let answer = exchange(port, &[twice.to_vec(), twice.to_vec()]).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(text.contains("Munsupported frontend protocol 1234.56"), "{text}");
    }
}

#[tokio::test]
async fn a_refused_client_can_read_why_although_it_sent_more() {
    let (port, _ends) = start(settings(None));
    let much = [startup(V3, "user\0rejected\0\0"), vec![b'x'; 50_000]].concat();
    let text = String::from_utf8_lossy(&exchange(port, &[much]).await).into_owned();
    assert!(text.contains("pg_hba.conf rejects connection"), "{text}");
}

#[tokio::test]
async fn startup_may_come_byte_by_byte_with_the_first_query_behind() {
    let (port, _ends) = start(settings(None));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let packet = startup(V3, "user\0trust_user\0database\0postgres\0\0");
    for byte in &packet {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    drop(stream);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let all = [packet, message(b'Q', b"SELECT 'first'\0"), message(b'X', b"")].concat();
    stream.write_all(&all).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"R\0\0\0\x08\0\0\0\0"));
    assert!(answer.windows(5).any(|window| window == b"first"));
}
