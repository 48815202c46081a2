//! A small Howdah: lets clients in, logs in to the real Postgres as they did, and copies bytes.

use crate::fixture::{Fixture, fixture, login, password};
use howdah::auth::Verifier;
use howdah::auth::hba::HbaRule;
use howdah::backend::auth_query::{AuthQuery, DEFAULT_QUERY};
use howdah::backend::connect::{Connected, Credential, connect};
use howdah::frontend::authenticate::{Lookup, UserSource};
use howdah::frontend::handshake::{Authenticated, Handshake, HandshakeError, HandshakeSettings, handshake};
use howdah::net::listen::Listener;
use howdah::net::tls_client::TlsClient;
use howdah::net::tls_server::{TlsServer, TlsServerFiles};
use howdah::protocol::{TransactionStatus, write};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

const HBA: [&str; 8] = [
    "host all trust_user all trust",
    "hostssl all cert_user all cert",
    "hostssl all other_user all cert",
    "host all md5_user all md5",
    "host all pass_user all password",
    "host all rejected all reject",
    "host all scram_user,nobody all scram-sha-256",
    "hostssl all plain_user all scram-sha-256",
];

/// Users known beforehand, and the real server for everyone else.
struct Users {
    known: HashMap<String, Arc<Verifier>>,
    auth_query: AuthQuery,
}

impl UserSource for Users {
    fn lookup<'a>(&'a self, user: &'a str, _database: &'a str) -> Lookup<'a> {
        match self.known.get(user) {
            Some(verifier) => Lookup::Done(Some(verifier.clone())),
            None => Lookup::Pending(Box::pin(async {
                self.auth_query.lookup(user).await.map_err(|error| error.to_sql_error())
            })),
        }
    }
}

/// Settings whose users come from an auth query of this text; all others as in [`settings`].
pub fn settings_with_query(query: &str) -> HandshakeSettings {
    let users = Users { known: HashMap::new(), auth_query: auth_query(query) };
    HandshakeSettings { users: Arc::new(users), ..settings(None) }
}

fn auth_query(query: &str) -> AuthQuery {
    let target = fixture().target(TlsClient::disabled());
    AuthQuery::new(target, login("postgres", Credential::None), query, Duration::from_secs(60))
}

/// Settings with the verifiers of the real server, and TLS by the certificate of this name.
pub fn settings(certificate: Option<&str>) -> HandshakeSettings {
    let f = fixture();
    let verifier = |stored: &str| Arc::new(Verifier::parse(stored, [1; 16]));
    let mut known: HashMap<_, _> =
        f.stored.iter().map(|(user, stored)| (user.clone(), verifier(stored))).collect();
    known.insert("plain_user".to_owned(), verifier("pencil"));
    let users = Users { known, auth_query: auth_query(DEFAULT_QUERY) };
    let tls = certificate.map(|name| {
        let files = TlsServerFiles {
            certificate: f.certificates.certificate(name),
            key: f.certificates.key(name),
            client_ca: Some(f.certificates.certificate("ca")),
        };
        TlsServer::load(&files).unwrap()
    });
    HandshakeSettings {
        login_timeout: Duration::from_secs(20),
        tls,
        hba: HBA.iter().map(|line| line.parse::<HbaRule>().unwrap()).collect(),
        users: Arc::new(users),
        mock_secret: [9; 32],
    }
}

/// How each connection's handshake ended.
pub type Ends = mpsc::Receiver<Result<String, HandshakeError>>;

/// Starts accepting; gives the port, and how handshakes end.
pub fn start(settings: HandshakeSettings) -> (u16, Ends) {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, ends) = mpsc::channel(100);
    let settings = Arc::new(settings);
    tokio::spawn(async move {
        while let Ok(stream) = listener.accept().await {
            let (settings, sender) = (settings.clone(), sender.clone());
            tokio::spawn(async move {
                let end = match handshake(stream, &settings).await {
                    Ok(Handshake::Client(client)) => Ok(serve(*client, fixture()).await),
                    Ok(Handshake::Cancel { process_id, secret, .. }) => {
                        Ok(format!("cancel {process_id} {secret}"))
                    }
                    Err(error) => Err(error),
                };
                sender.send(end).await.ok();
            });
        }
    });
    (port, ends)
}

async fn serve(mut client: Authenticated, f: &Fixture) -> String {
    let credential = match (&client.scram_keys, &*client.user) {
        (Some(keys), user) if user != "plain_user" => Credential::ScramKeys(keys.clone()),
        (_, "plain_user" | "md5_user") => password("pencil"),
        _ => Credential::None,
    };
    // What the real server trusts or has no certificate of ours for is asked for by another name.
    let user = match &*client.user {
        "cert_user" => "trust_user",
        "plain_user" => "scram_user",
        user => user,
    };
    let target = f.target(TlsClient::disabled());
    let Connected { mut stream, process_id, secret, parameters } =
        connect(&target, &login(user, credential), &[]).await.unwrap();
    let mut out = std::mem::take(&mut client.pending);
    for (name, value) in &parameters {
        write::parameter_status(&mut out, name, value);
    }
    write::backend_key_data(&mut out, process_id, secret);
    write::ready_for_query(&mut out, TransactionStatus::Idle);
    client.stream.write_all(&out).await.unwrap();
    stream.write_all(&client.read_ahead).await.unwrap();
    let _either_closes = tokio::io::copy_bidirectional(&mut client.stream, &mut stream).await;
    format!("{} {:?} keys={}", client.user, client.method, client.scram_keys.is_some())
}
