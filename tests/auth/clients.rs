//! Howdah as the server of real clients: psql with TLS, SCRAM, channel binding and certificates.

use crate::fixture::{fixture, psql};
use crate::front::{settings, settings_with_query, start};
use howdah::backend::auth_query::DEFAULT_QUERY;
use howdah::frontend::handshake::{HandshakeError, handshake};
use howdah::net::stream::Stream;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Runs one statement; standard output, or standard error where psql fails.
async fn ask(port: u16, options: &str, password: &str) -> Result<String, String> {
    let output = tokio::process::Command::new(psql())
        .arg("-XAtq")
        .arg(format!("host=localhost port={port} dbname=postgres gssencmode=disable {options}"))
        .args(["-c", "SELECT 'in as ' || session_user"])
        .env("PGPASSWORD", password)
        .env("HOME", "/nonexistent")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(30), output).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn file(name: &str) -> String {
    fixture().certificates.certificate(name).to_str().unwrap().to_owned()
}

fn key(name: &str) -> String {
    fixture().certificates.key(name).to_str().unwrap().to_owned()
}

fn assert_told(result: Result<String, String>, text: &str) {
    let error = result.unwrap_err();
    assert!(error.contains(text), "{error}");
}

#[tokio::test]
async fn scram_passes_through_to_the_server() {
    let (port, mut ends) = start(settings(None));
    assert_eq!(ask(port, "user=scram_user", "pencil").await, Ok("in as scram_user".to_owned()));
    assert_eq!(ends.recv().await.unwrap().unwrap(), "scram_user ScramSha256 keys=true");
    let refusal = "password authentication failed for user";
    assert_told(ask(port, "user=scram_user", "pen").await, &format!("FATAL:  {refusal} \"scram_user\""));
    assert_told(ask(port, "user=nobody", "pen").await, &format!("FATAL:  {refusal} \"nobody\""));
    let Some(Err(HandshakeError::Refused { error, user, .. })) = ends.recv().await else { panic!() };
    assert_eq!((error.code.as_str(), user.as_deref()), ("28P01", Some("scram_user")));
}

#[tokio::test]
async fn users_may_come_from_an_auth_query() {
    let (port, _ends) = start(settings_with_query(DEFAULT_QUERY));
    for user in ["scram_user", "md5_user"] {
        let options = format!("user={user}");
        assert_eq!(ask(port, &options, "pencil").await, Ok(format!("in as {user}")));
        assert_told(ask(port, &options, "pen").await, "password authentication failed");
    }
    assert_told(ask(port, "user=nobody", "pen").await, "password authentication failed");
    let (port, _ends) = start(settings_with_query("SELECT nothing FROM nowhere"));
    assert_told(ask(port, "user=scram_user", "pencil").await, "FATAL:  authentication is not available");
}

#[tokio::test]
async fn tls_and_channel_binding_satisfy_libpq() {
    let (port, _ends) = start(settings(Some("localhost")));
    let verified = format!("sslmode=verify-full sslrootcert={}", file("ca"));
    for user in ["scram_user", "plain_user"] {
        let options = format!("user={user} {verified} channel_binding=require");
        assert_eq!(ask(port, &options, "pencil").await, Ok("in as scram_user".to_owned()));
        assert_told(ask(port, &options, "pen").await, "password authentication failed");
    }
    let stranger = format!("user=scram_user sslmode=verify-full sslrootcert={}", file("other-ca"));
    assert_told(ask(port, &stranger, "pencil").await, "certificate verify failed");
}

#[tokio::test]
async fn a_certificate_without_a_hash_offers_no_channel_binding() {
    let (port, _ends) = start(settings(Some("ed25519")));
    let verified = format!("user=scram_user sslmode=verify-full sslrootcert={}", file("ed25519-ca"));
    assert!(ask(port, &verified, "pencil").await.is_ok());
    assert!(ask(port, &format!("{verified} channel_binding=require"), "pencil").await.is_err());
}

#[tokio::test]
async fn md5_and_cleartext_passwords_log_in() {
    let (port, mut ends) = start(settings(None));
    assert_eq!(ask(port, "user=md5_user", "pencil").await, Ok("in as md5_user".to_owned()));
    assert_eq!(ends.recv().await.unwrap().unwrap(), "md5_user Md5 keys=false");
    assert_told(ask(port, "user=md5_user", "pen").await, "password authentication failed");
    ends.recv().await.unwrap().unwrap_err();
    // The password itself and the server's verifier give the keys that a proof would have given.
    assert_eq!(ask(port, "user=pass_user", "other pencil").await, Ok("in as pass_user".to_owned()));
    assert_eq!(ends.recv().await.unwrap().unwrap(), "pass_user Password keys=true");
    assert_told(ask(port, "user=pass_user", "pencil").await, "password authentication failed");
}

#[tokio::test]
async fn client_certificates_log_in_by_common_name() {
    let (port, _ends) = start(settings(Some("localhost")));
    let certificate = |name: &str| format!("sslmode=require sslcert={} sslkey={}", file(name), key(name));
    let own = certificate("cert_user");
    assert!(ask(port, &format!("user=cert_user {own}"), "").await.is_ok());
    assert_told(
        ask(port, &format!("user=other_user {own}"), "").await,
        "certificate authentication failed for user \"other_user\"",
    );
    assert_told(
        ask(port, "user=cert_user sslmode=require", "").await,
        "connection requires a valid client certificate",
    );
    assert!(ask(port, &format!("user=cert_user {}", certificate("stranger")), "").await.is_err());
}

#[tokio::test]
async fn clients_that_no_rule_lets_in_are_told() {
    let (port, _ends) = start(settings(Some("localhost")));
    let v4 = format!("hostaddr=127.0.0.1 sslmode=disable user=stranger port={port}");
    assert_told(
        ask(port, &v4, "").await,
        "no pg_hba.conf entry for host \"127.0.0.1\", user \"stranger\", database \"postgres\", no encryption",
    );
    let tls = v4.replace("disable", "require").replace("stranger", "rejected");
    assert_told(ask(port, &tls, "").await, "pg_hba.conf rejects connection for host \"127.0.0.1\"");
}

#[tokio::test]
async fn direct_tls_needs_the_protocol_name() {
    let (port, _ends) = start(settings(Some("localhost")));
    let mut roots = rustls::RootCertStore::empty();
    for root in howdah::net::certificate::read_certificates(std::path::Path::new(&file("ca"))).unwrap() {
        roots.add(root).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut startup = Vec::new();
    howdah::protocol::startup::write_startup(&mut startup, &[(b"user", b"trust_user")]);
    for (alpn, first, text) in [
        (vec![b"postgresql".to_vec()], b'R', &b"server_version"[..]),
        (vec![], b'E', b"without ALPN protocol negotiation extension"),
    ] {
        config.alpn_protocols = alpn;
        let tcp = TcpStream::connect(("localhost", port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config.clone()));
        let mut tls = connector.connect(name, tcp).await.unwrap();
        tls.write_all(&startup).await.unwrap();
        let mut answer = vec![0; 4096];
        let n = tls.read(&mut answer).await.unwrap();
        assert_eq!(answer[0], first);
        assert!(answer[..n].windows(text.len()).any(|window| window == text));
    }
}

#[tokio::test]
async fn silent_clients_end_at_the_login_timeout() {
    let mut settings = settings(None);
    settings.login_timeout = Duration::from_millis(100);
    let (port, mut ends) = start(settings);
    let mut silent = TcpStream::connect(("localhost", port)).await.unwrap();
    let mut answer = Vec::new();
    assert_eq!(silent.read_to_end(&mut answer).await.unwrap(), 0);
    assert!(matches!(ends.recv().await.unwrap(), Err(HandshakeError::Timeout)));

    let mut half = TcpStream::connect(("localhost", port)).await.unwrap();
    let mut startup = Vec::new();
    howdah::protocol::startup::write_startup(&mut startup, &[(b"user", b"scram_user")]);
    half.write_all(&startup).await.unwrap();
    half.read_to_end(&mut answer).await.unwrap();
    let text = b"C57014\0Mcanceling authentication due to timeout";
    assert!(answer.windows(text.len()).any(|window| window == text));
}

#[tokio::test]
async fn a_waiting_handshake_is_small() {
    let settings = settings(None);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    assert!(size_of::<Stream>() <= 48, "{}", size_of::<Stream>());
    let bytes = size_of_val(&handshake(Stream::Tcp(stream), &settings));
    assert!(bytes <= 1536, "{bytes}");
}

#[tokio::test]
async fn cancel_requests_come_out() {
    let (port, mut ends) = start(settings(None));
    let mut stream = TcpStream::connect(("localhost", port)).await.unwrap();
    stream.write_all(&[0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 7, 255, 255, 255, 255]).await.unwrap();
    assert_eq!(ends.recv().await.unwrap().unwrap(), "cancel 7 -1");
    let mut nothing = Vec::new();
    assert_eq!(stream.read_to_end(&mut nothing).await.unwrap(), 0);
}
