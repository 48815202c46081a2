//! Howdah as the client of a Postgres server.

use crate::fixture::{fixture, login, password};
use howdah::auth::Verifier;
use howdah::auth::md5::Md5Hash;
use howdah::backend::auth_query::{AuthQuery, AuthQueryError, DEFAULT_QUERY};
use howdah::backend::connect::{ConnectError, Connected, Credential, Target, cancel, connect};
use howdah::net::tls_client::{SslMode, TlsClient};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn parameter<'a>(connected: &'a Connected, name: &str) -> Option<&'a [u8]> {
    connected.parameters.iter().find(|(n, _)| **n == *name.as_bytes()).map(|(_, value)| &**value)
}

fn server_code(result: Result<Connected, ConnectError>) -> String {
    match result {
        Err(ConnectError::Server(error)) => String::from_utf8(error.code().to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn no_tls() -> TlsClient {
    TlsClient::disabled()
}

#[tokio::test]
async fn every_password_method_logs_in() {
    let target = fixture().target(no_tls());
    for user in ["scram_user", "md5_user", "password_user"] {
        let connected = connect(&target, &login(user, password("pencil")), &[]).await.unwrap();
        assert!(connected.process_id > 0, "{user}");
        assert!(parameter(&connected, "server_version").is_some());
        let wrong = connect(&target, &login(user, password("pen")), &[]).await;
        assert_eq!(server_code(wrong), "28P01", "{user}");
    }
    assert!(connect(&target, &login("trust_user", Credential::None), &[]).await.is_ok());
    let hash = Credential::Md5Hash(Md5Hash::parse(fixture().stored("md5_user")).unwrap());
    assert!(connect(&target, &login("md5_user", hash), &[]).await.is_ok());
}

#[tokio::test]
async fn recovered_keys_log_in_where_the_verifier_is_the_same() {
    let Verifier::Scram(verifier) = Verifier::parse(fixture().stored("scram_user"), [0; 16]) else {
        panic!()
    };
    let keys = verifier.check_password(b"pencil").unwrap();
    for tls in [no_tls(), fixture().tls(SslMode::Require, None, None)] {
        let target = fixture().target(tls);
        let credential = Credential::ScramKeys(keys.clone());
        assert!(connect(&target, &login("scram_user", credential.clone()), &[]).await.is_ok());
        assert_eq!(server_code(connect(&target, &login("pass_user", credential), &[]).await), "28P01");
    }
}

#[tokio::test]
async fn a_credential_that_cannot_answer_is_named() {
    let target = fixture().target(no_tls());
    let keys = howdah::auth::ScramKeys { client_key: [0; 32], server_key: [0; 32] };
    let cases = [
        ("scram_user", Credential::None, "SCRAM"),
        ("md5_user", Credential::None, "md5"),
        ("md5_user", Credential::ScramKeys(keys.clone()), "md5"),
        ("password_user", Credential::ScramKeys(keys), "password"),
    ];
    for (user, credential, method) in cases {
        let error = connect(&target, &login(user, credential), &[]).await.unwrap_err();
        assert!(matches!(error, ConnectError::Credential(asked) if asked == method), "{user}: {error:?}");
        let told = error.to_sql_error("s1");
        assert!(told.message.starts_with("shard \"s1\" asks for"), "{told}");
        assert!(told.hint.is_some());
    }
}

#[tokio::test]
async fn the_servers_own_error_is_kept() {
    let target = fixture().target(no_tls());
    let mut nowhere = login("trust_user", Credential::None);
    nowhere.database = "nowhere".into();
    let error = connect(&target, &nowhere, &[]).await.unwrap_err();
    assert_eq!(error.server_error().unwrap().message(), "database \"nowhere\" does not exist");
    assert_eq!(error.to_sql_error("s1").code.as_str(), "3D000");
    let bad_setting = connect(&target, &login("trust_user", Credential::None), &[("nothing", "x")]).await;
    assert_eq!(server_code(bad_setting), "42704");
    let role = connect(&target, &login("nobody", password("pencil")), &[]).await;
    assert_eq!(server_code(role), "28P01");
}

#[tokio::test]
async fn settings_reach_the_server() {
    let target = fixture().target(no_tls());
    let settings = [("application_name", "howdah test"), ("DateStyle", "German")];
    let connected = connect(&target, &login("trust_user", Credential::None), &settings).await.unwrap();
    assert_eq!(parameter(&connected, "application_name"), Some(&b"howdah test"[..]));
    assert_eq!(parameter(&connected, "DateStyle"), Some(&b"German, DMY"[..]));
}

#[tokio::test]
async fn unix_sockets_work_without_tls() {
    let folder = fixture().server.folder().to_str().unwrap().to_owned();
    let target = fixture().target_as(&folder, fixture().tls(SslMode::VerifyFull, Some("ca"), None));
    let connected = connect(&target, &login("scram_user", password("pencil")), &[]).await.unwrap();
    assert!(!connected.stream.is_tls());
}

#[tokio::test]
async fn tls_modes_verify_what_they_promise() {
    let f = fixture();
    let try_mode = async |host: &str, mode, root: Option<&str>| {
        let target = f.target_as(host, f.tls(mode, root, None));
        // SCRAM over TLS binds to the certificate on both sides.
        connect(&target, &login("scram_user", password("pencil")), &[]).await
    };
    for (host, mode, root) in [
        ("localhost", SslMode::Prefer, None),
        ("127.0.0.1", SslMode::Require, None),
        ("127.0.0.1", SslMode::VerifyCa, Some("ca")),
        ("localhost", SslMode::VerifyFull, Some("ca")),
        ("localhost", SslMode::VerifyFull, Some("localhost")),
    ] {
        assert!(try_mode(host, mode, root).await.unwrap().stream.is_tls(), "{mode:?}");
    }
    for (host, mode, root) in [
        ("localhost", SslMode::Require, Some("other-ca")),
        ("localhost", SslMode::VerifyCa, Some("other-ca")),
        ("localhost", SslMode::VerifyFull, Some("other-ca")),
        ("127.0.0.1", SslMode::VerifyFull, Some("ca")),
        ("127.0.0.1", SslMode::VerifyFull, Some("localhost")),
    ] {
        let error = try_mode(host, mode, root).await.unwrap_err();
        assert!(matches!(error, ConnectError::Tls(_)), "{mode:?}: {error:?}");
        assert!(!error.to_sql_error("s1").message.contains(host));
    }
}

#[tokio::test]
async fn client_certificates_log_in() {
    let f = fixture();
    let log_in = async |client: Option<&str>, user: &str| {
        let target = f.target(f.tls(SslMode::VerifyFull, Some("ca"), client));
        connect(&target, &login(user, Credential::None), &[]).await
    };
    assert!(log_in(Some("cert_user"), "cert_user").await.is_ok());
    assert_eq!(server_code(log_in(None, "cert_user").await), "28000");
    assert!(log_in(Some("stranger"), "cert_user").await.is_err());
}

/// A server that does as `behave` says with its first connection.
async fn fake<F, Fut>(behave: F) -> Target
where
    F: FnOnce(tokio::net::TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        behave(stream).await;
    });
    Target {
        host: "127.0.0.1".into(),
        port,
        tls: TlsClient::disabled(),
        connect_timeout: Duration::from_secs(10),
        keepalive: None,
    }
}

/// A server that sends `answer` to whatever comes first, and closes after the client.
async fn answering(answer: &'static [u8]) -> Target {
    fake(async move |mut stream: tokio::net::TcpStream| {
        let mut request = [0; 512];
        let _n = stream.read(&mut request).await.unwrap();
        stream.write_all(answer).await.unwrap();
        let _until_closed = stream.read(&mut request).await;
    })
    .await
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_in_time() {
    let mut target = fake(async |stream: tokio::net::TcpStream| {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    })
    .await;
    target.connect_timeout = Duration::from_millis(50);
    let started = Instant::now();
    let error = connect(&target, &login("u", Credential::None), &[]).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout(_)) && error.is_transient(), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(error.to_sql_error("s1").code.as_str(), "08006");
}

#[tokio::test]
async fn a_server_that_is_down_or_closes_is_told_apart() {
    let mut target = answering(b"").await;
    target.port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let down = connect(&target, &login("u", Credential::None), &[]).await.unwrap_err();
    assert!(matches!(down, ConnectError::Unreachable(_)), "{down:?}");
    assert_eq!(down.to_sql_error("s1").message, "shard \"s1\" cannot be reached");
    let closes = fake(async |stream: tokio::net::TcpStream| drop(stream)).await;
    let error = connect(&closes, &login("u", Credential::None), &[]).await.unwrap_err();
    assert!(matches!(error, ConnectError::Lost(_)), "{error:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_must_be() {
    let mut target = answering(b"N").await;
    target.tls = fixture().tls(SslMode::Require, None, None);
    let error = connect(&target, &login("u", Credential::None), &[]).await.unwrap_err();
    assert!(matches!(error, ConnectError::TlsRefused), "{error:?}");
}

#[tokio::test]
async fn servers_that_break_the_protocol_are_refused() {
    let cases: [(&'static [u8], &str); 8] = [
        (b"HTTP/1.1 400 Bad Request\r\n", "message too long"),
        (b"R\0\0\0\x03", "invalid message length"),
        (b"R\0\0\0\x06\0\0", "malformed message"),
        (b"Z\0\0\0\x05I", "unexpected message"),
        (b"R\0\0\0\x09\0\0\0\x05\x01", "malformed message"),
        (b"R\0\0\0\x08\0\0\0\x0b", "unexpected authentication request"),
        (b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05T", "not idle after login"),
        (b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05IN\0\0\0\x05\0", "not idle after login"),
    ];
    for (answer, what) in cases {
        let target = answering(answer).await;
        let error = connect(&target, &login("u", password("p")), &[]).await.unwrap_err();
        assert!(matches!(error, ConnectError::Protocol(found) if found == what), "{what}: {error:?}");
    }
    let gss = answering(b"R\0\0\0\x08\0\0\0\x07").await;
    let error = connect(&gss, &login("u", Credential::None), &[]).await.unwrap_err();
    assert!(matches!(error, ConnectError::Method(7)), "{error:?}");
    let old = answering(b"R\0\0\0\x08\0\0\0\0S\0\0\0\x18server_version\x0014.9\0").await;
    let error = connect(&old, &login("u", Credential::None), &[]).await.unwrap_err();
    assert!(error.to_sql_error("s1").message.contains("runs server version 14.9"), "{error:?}");
}

#[tokio::test]
async fn cancel_ends_a_statement() {
    for tls in [no_tls(), fixture().tls(SslMode::Require, None, None)] {
        let target = fixture().target(tls);
        let mut connected = connect(&target, &login("trust_user", Credential::None), &[]).await.unwrap();
        connected.stream.write_all(b"Q\0\0\0\x18SELECT pg_sleep(60)\0").await.unwrap();
        connected.stream.flush().await.unwrap();
        let mut answer = Vec::new();
        for _attempt in 0..50 {
            // The statement may not have begun when the first request arrives.
            cancel(&target, connected.process_id, connected.secret).await.unwrap();
            let more = connected.stream.read_more(&mut answer);
            if tokio::time::timeout(Duration::from_millis(200), more).await.is_ok() {
                break;
            }
        }
        assert!(answer.windows(5).any(|window| window == b"57014"), "{answer:?}");
    }
}

fn auth_query(query: &str, time_to_live: Duration) -> AuthQuery {
    AuthQuery::new(fixture().target(no_tls()), login("postgres", Credential::None), query, time_to_live)
}

#[tokio::test]
async fn auth_query_finds_verifiers_and_keeps_them() {
    let query = auth_query(DEFAULT_QUERY, Duration::from_secs(60));
    assert!(query.cached("scram_user").is_none());
    let found = query.lookup("scram_user").await.unwrap().unwrap();
    let stored = found.scram().unwrap().to_stored();
    assert_eq!(stored, fixture().stored("scram_user"));
    assert!(query.cached("scram_user").unwrap().is_some());
    assert!(query.lookup("md5_user").await.unwrap().unwrap().md5("md5_user").is_some());
    for without in ["trust_user", "no such user", "'; DROP TABLE x; --"] {
        assert!(query.lookup(without).await.unwrap().is_none());
        assert!(query.cached(without).unwrap().is_none());
    }
    let forgets = auth_query(DEFAULT_QUERY, Duration::ZERO);
    assert!(forgets.lookup("scram_user").await.unwrap().is_some());
    assert!(forgets.cached("scram_user").is_none());
}

#[tokio::test]
async fn auth_query_failures_are_told_without_details() {
    let one_column = auth_query("SELECT $1::text", Duration::ZERO).lookup("x").await.unwrap_err();
    assert!(matches!(one_column, AuthQueryError::Columns));
    let error = auth_query("SELECT nothing FROM $1", Duration::ZERO).lookup("x").await.unwrap_err();
    assert!(matches!(error, AuthQueryError::Query(_)), "{error:?}");
    assert_eq!(error.to_sql_error().code.as_str(), "57P03");
    assert!(!error.to_sql_error().message.contains("nothing"));
}
