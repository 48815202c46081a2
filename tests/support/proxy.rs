//! The built `howdah` binary as a process.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::config::Config;
use super::process;
use super::wire::Wire;

/// A running Howdah; it is killed when dropped, and the test fails if it panicked.
#[derive(Debug)]
pub struct Howdah {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// Its configuration file.
    pub file: PathBuf,
    log: PathBuf,
    child: Child,
    fault: Option<&'static str>,
    may_end: bool,
}

impl Howdah {
    /// Starts one and waits until it accepts connections.
    ///
    /// # Panics
    /// Where it ends instead, with its log.
    pub fn start(config: &Config) -> Howdah {
        Howdah::start_with(config, None)
    }

    /// The same with a fault planted (`howdah::fault`).
    ///
    /// # Panics
    /// Where it ends instead, with its log.
    pub fn start_with(config: &Config, fault: Option<&'static str>) -> Howdah {
        let dir = process::temporary_folder("howdah");
        let port = process::free_port();
        let file = dir.join("howdah.toml");
        std::fs::write(&file, config.text(port)).unwrap();
        let log = dir.join("log");
        let child = spawn(&file, &log, fault);
        let mut howdah = Howdah { port, file, log, child, fault, may_end: false };
        howdah.wait();
        howdah
    }

    /// Starts one that dies at a place of its code, as `src/frontend/failpoint.rs` says.
    ///
    /// # Panics
    /// Where it ends at its start, with its log.
    pub fn start_armed(config: &Config, failpoint: &str) -> Howdah {
        let dir = process::temporary_folder("howdah");
        let port = process::free_port();
        let (file, log) = (dir.join("howdah.toml"), dir.join("log"));
        std::fs::write(&file, config.text(port)).unwrap();
        let child = spawn_with(&file, &log, &[("HOWDAH_FAILPOINT", failpoint)]);
        let mut howdah = Howdah { port, file, log, child, fault: None, may_end: false };
        howdah.wait();
        howdah
    }

    /// Starts one that does not come up; what it says.
    ///
    /// # Panics
    /// Where it runs on for 30 seconds.
    pub fn refused(config: &Config) -> String {
        let dir = process::temporary_folder("howdah");
        let (file, log) = (dir.join("howdah.toml"), dir.join("log"));
        std::fs::write(&file, config.text(process::free_port())).unwrap();
        let mut child = spawn(&file, &log, None);
        let mut ended = None;
        super::eventually("howdah refuses to start", 30, || {
            ended = child.try_wait().unwrap();
            ended.is_some()
        });
        assert!(!ended.unwrap().success());
        std::fs::read_to_string(log).unwrap()
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Kills it with SIGKILL and starts another on the same port.
    pub fn kill_and_restart(&mut self) {
        self.stop();
        self.child = spawn(&self.file, &self.log, self.fault);
        self.wait();
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.may_end = true;
        self.stop();
    }

    /// What it has written to stderr.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// A client of user `app` in database `app`.
    pub fn app(&self) -> Wire {
        Wire::app(self.port)
    }

    /// A client of the admin database.
    pub fn admin(&self) -> Wire {
        Wire::login(self.port, &[("user", "admin"), ("database", "howdah")])
    }

    /// Whether the process runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it ends of its own accord, without an error.
    ///
    /// # Panics
    /// Where it does not within `seconds`, or exits with an error.
    pub fn ends_by_itself(&mut self, seconds: u64) {
        self.may_end = true;
        super::eventually("howdah ends", seconds, || !self.is_running());
        assert!(self.child.wait().unwrap().success(), "howdah ended with an error:\n{}", self.log());
    }

    fn wait(&mut self) {
        for _ in 0..1000 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            assert!(self.is_running(), "howdah ended at its start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("howdah does not listen after 10 s:\n{}", self.log());
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        process::ended(self.child.id());
    }
}

/// The program under test: the built one, or what `HOWDAH_BINARY` names (a release build, for example).
pub fn binary() -> PathBuf {
    std::env::var_os("HOWDAH_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_howdah").into(), PathBuf::from)
}

fn spawn(file: &std::path::Path, log: &std::path::Path, fault: Option<&str>) -> Child {
    let fault: Vec<(&str, &str)> = fault.map(|fault| ("HOWDAH_FAULT", fault)).into_iter().collect();
    spawn_with(file, log, &fault)
}

fn spawn_with(file: &std::path::Path, log: &std::path::Path, variables: &[(&str, &str)]) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    let child = Command::new(binary())
        .arg("serve")
        .arg("--config")
        .arg(file)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("cannot start howdah");
    process::kill_at_end(child.id());
    child
}

impl Drop for Howdah {
    fn drop(&mut self) {
        let was_running = self.is_running();
        self.stop();
        let log = self.log();
        if std::thread::panicking() {
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("howdah's log:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
            return;
        }
        assert!(!log.contains("panicked"), "howdah panicked:\n{log}");
        assert!(was_running || self.may_end, "howdah had ended before the test did:\n{log}");
    }
}
