//! Throwaway Postgres servers for the tests.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::wire::Wire;
use super::{eventually, process};

/// A running server; user `app` is a superuser, database `app` is empty.
#[derive(Debug)]
pub struct Postgres {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    dir: PathBuf,
}

/// Where the distribution keeps the server's programs.
const BIN: &str = "/usr/lib/postgresql/15/bin";

fn as_postgres(program: &str) -> Command {
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(format!("{BIN}/{program}"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

impl Postgres {
    /// The server that all tests of this binary share, with `tests/corpus/fixture.sql` in database `app`.
    pub fn shared() -> &'static Postgres {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| {
            let server = Postgres::start();
            server.app().run(include_str!("../corpus/fixture.sql"));
            server
        })
    }

    /// A server of one's own.
    pub fn start() -> Postgres {
        let dir = process::temporary_folder("postgres");
        assert!(Command::new("chown").arg("postgres").arg(&dir).status().unwrap().success());
        let data = dir.join("data");
        let made = as_postgres("initdb")
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
            .arg(&data)
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        let server = Postgres { port: process::free_port(), dir };
        server.run();
        let mut root = Wire::login(server.port, &[("user", "postgres"), ("database", "postgres")]);
        root.run("create role app superuser login");
        root.run("create database app owner app");
        server
    }

    /// Starts the server process on the folder that is there, and waits until it answers.
    pub fn run(&self) {
        let log = std::fs::File::create(self.dir.join("log")).unwrap();
        let child = as_postgres("postgres")
            .arg("-D")
            .arg(self.dir.join("data"))
            .args(["-p", &self.port.to_string(), "-k", "", "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "fsync=off", "-c", "max_connections=300", "-c", "shared_buffers=32MB"])
            .args(["-c", "max_prepared_transactions=300", "-c", "autovacuum=off"])
            .stderr(log)
            .spawn()
            .unwrap();
        process::kill_at_end(child.id());
        eventually("the server answers", 30, || {
            let Ok(_) = std::net::TcpStream::connect(("127.0.0.1", self.port)) else { return false };
            let wire = Wire::start(self.port, &[("user", "postgres"), ("database", "postgres")]);
            wire.greeting.status() == 'I'
        });
    }

    /// The main server process.
    pub fn pid(&self) -> i32 {
        let file = std::fs::read_to_string(self.dir.join("data/postmaster.pid")).unwrap();
        file.lines().next().unwrap().trim().parse().unwrap()
    }

    /// A direct session of user `app` in database `app`.
    pub fn app(&self) -> Wire {
        Wire::app(self.port)
    }
}
