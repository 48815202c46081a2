//! One Postgres with TLS and a user for each way to log in, shared by all tests of this binary.

use crate::certificates::Certificates;
use howdah::auth::Secret;
use howdah::backend::connect::{Credential, Login, Target};
use howdah::net::tls_client::{SslMode, TlsClient, TlsClientFiles};
use howdah::throwaway::{Options, Server};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

/// The server, its certificates, and the verifiers that it stores.
pub struct Fixture {
    pub server: Server,
    pub certificates: Certificates,
    pub stored: Vec<(String, String)>,
}

/// Rules: a user's name says how it logs in.
const HBA: [&str; 7] = [
    "host all scram_user,pass_user all scram-sha-256",
    "host all md5_user all md5",
    "host all password_user all password",
    "hostssl all cert_user all cert",
    "host all trust_user all trust",
    "local all scram_user scram-sha-256",
    "host all nobody all scram-sha-256",
];

const SETUP: &str = "
    CREATE ROLE scram_user LOGIN PASSWORD 'pencil';
    CREATE ROLE pass_user LOGIN PASSWORD 'other pencil';
    CREATE ROLE password_user LOGIN PASSWORD 'pencil';
    CREATE ROLE cert_user LOGIN;
    CREATE ROLE trust_user LOGIN;
    SET password_encryption = md5;
    CREATE ROLE md5_user LOGIN PASSWORD 'pencil';";

/// Starts the server at the first call.
pub fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        // The caller may be inside a runtime, where another cannot block.
        std::thread::spawn(start).join().unwrap()
    })
}

fn start() -> Fixture {
    let certificates = Certificates::make();
    let hba = HBA.map(str::to_owned).to_vec();
    let server = Server::start(&Options { hba, ..Options::default() }).unwrap();
    let data = server.folder().join("data");
    let owner = std::fs::metadata(&data).unwrap();
    let sources = [
        ("server.crt", certificates.certificate("localhost")),
        ("server.key", certificates.key("localhost")),
        ("ca.crt", certificates.certificate("ca")),
    ];
    for (name, source) in sources {
        std::fs::copy(source, data.join(name)).unwrap();
        chown(data.join(name), Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = server.config("postgres");
    let stored = runtime.block_on(async {
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(SETUP).await.unwrap();
        for setting in ["ssl_ca_file = 'ca.crt'", "ssl = on"] {
            client.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await.unwrap();
        }
        client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        while !TlsProbe::is_on(&client).await {}
        let rows = client.query("SELECT usename, passwd FROM pg_shadow WHERE passwd <> ''", &[]).await;
        rows.unwrap().iter().map(|row| (row.get::<_, String>(0), row.get(1))).collect()
    });
    Fixture { server, certificates, stored }
}

struct TlsProbe;

impl TlsProbe {
    /// A session learns of a reload at its next statement.
    async fn is_on(client: &tokio_postgres::Client) -> bool {
        let row = client.query_one("SELECT current_setting('ssl')", &[]).await.unwrap();
        row.get::<_, String>(0) == "on"
    }
}

impl Fixture {
    /// The server over TCP with these TLS settings.
    pub fn target(&self, tls: TlsClient) -> Target {
        self.target_as("localhost", tls)
    }

    /// The same by another name.
    pub fn target_as(&self, host: &str, tls: TlsClient) -> Target {
        Target {
            host: host.into(),
            port: self.server.port(),
            tls,
            connect_timeout: Duration::from_secs(20),
            keepalive: None,
        }
    }

    /// TLS settings with a root and a client certificate by name.
    pub fn tls(&self, mode: SslMode, root: Option<&str>, client: Option<&str>) -> TlsClient {
        TlsClient::load(&TlsClientFiles {
            mode,
            root_certificate: root.map(|name| self.certificates.certificate(name)),
            client: client.map(|name| (self.certificates.certificate(name), self.certificates.key(name))),
        })
        .unwrap()
    }

    /// What the server stores of a user's password.
    pub fn stored(&self, user: &str) -> &str {
        &self.stored.iter().find(|(name, _)| name == user).unwrap().1
    }
}

/// A login to the database `postgres`.
pub fn login(user: &str, credential: Credential) -> Login {
    Login { user: user.into(), database: "postgres".into(), credential }
}

/// A password as a credential.
pub fn password(text: &str) -> Credential {
    Credential::Password(Secret::from(text))
}

/// psql, beside the server's programs or on the PATH.
pub fn psql() -> PathBuf {
    let beside = howdah::throwaway::Binaries::find().unwrap().program("psql");
    if beside.exists() { beside } else { "psql".into() }
}
