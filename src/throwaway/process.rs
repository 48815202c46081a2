//! The postmaster of one throwaway server: start, readiness, stop, kill.
//!
//! It must not write into the data folder.

use super::folder::{Account, command};
use super::{Binaries, Error};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a start or a stop may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often readiness and end are looked for.
const POLL: Duration = Duration::from_millis(20);
/// How often another port is tried when someone else took the one that was free.
const PORT_TRIES: u32 = 10;
/// Longest folder path in which a Unix socket's name fits (`sun_path` has 108 bytes, 104 on macOS).
const SOCKET_FOLDER_BYTES_MAX: usize = 85;

/// The three ways to shut a server down, in `pg_ctl`'s words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Waits for its clients to leave.
    Smart,
    /// Disconnects clients and shuts down cleanly.
    Fast,
    /// Ends at once; the next start recovers.
    Immediate,
}

impl StopMode {
    fn signal(self) -> Signal {
        match self {
            StopMode::Smart => Signal::SIGTERM,
            StopMode::Fast => Signal::SIGINT,
            StopMode::Immediate => Signal::SIGQUIT,
        }
    }
}

/// One postmaster, running or stopped.
#[derive(Debug)]
pub(super) struct Process {
    program: PathBuf,
    folder: PathBuf,
    account: Option<Account>,
    port: u16,
    child: Option<Child>,
    /// Length of the log when the present run started.
    log_start: u64,
}

impl Process {
    /// Starts the server in `folder`, on `port` or on a free one, and waits until it is ready.
    pub(super) fn start(
        binaries: &Binaries,
        folder: &Path,
        account: Option<Account>,
        port: Option<u16>,
    ) -> Result<Process, Error> {
        let mut process = Process {
            program: binaries.program("postgres"),
            folder: folder.to_owned(),
            account,
            port: 0,
            child: None,
            log_start: 0,
        };
        if let Some(port) = port {
            process.port = port;
            process.start_again()?;
            return Ok(process);
        }
        let mut tries = 0;
        loop {
            process.port = free_port()?;
            tries += 1;
            match process.start_again() {
                Err(Error::NotReady { log, .. })
                    if log.contains("Address already in use") && tries < PORT_TRIES => {}
                result => return result.map(|()| process),
            }
        }
    }

    /// Starts a stopped server on its port and waits until it is ready.
    pub(super) fn start_again(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.spawn()?;
            match self.wait_ready(deadline) {
                // The backends of a killed server take a moment to notice and to let go.
                Err(Error::NotReady { log, .. })
                    if Instant::now() < deadline && log.contains("pre-existing shared memory block") =>
                {
                    sleep(POLL * 5);
                }
                result => return result,
            }
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Stops the server and waits for its end; after a minute it is killed.
    pub(super) fn stop(&mut self, mode: StopMode) {
        let Some(mut child) = self.child.take() else { return };
        signal(&child, mode.signal());
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            sleep(POLL);
        }
        signal(&child, Signal::SIGKILL);
        let _status = child.wait();
    }

    /// Kills postmaster and backends with SIGKILL.
    ///
    /// Backends are found on Linux only; elsewhere they end by themselves when they notice.
    pub(super) fn kill9(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let id = child.id();
        // A stopped postmaster starts no further backend while its children are listed.
        signal(&child, Signal::SIGSTOP);
        let list = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        signal(&child, Signal::SIGKILL);
        for backend in list.split_whitespace().filter_map(|word| word.parse().ok()) {
            let _gone = kill(Pid::from_raw(backend), Signal::SIGKILL);
        }
        let _status = child.wait();
    }

    /// The last `lines` lines that the present run logged.
    pub(super) fn log_tail(&self, lines: usize) -> String {
        let mut bytes = Vec::new();
        if let Ok(mut file) = File::open(self.folder.join("log")) {
            let _read = file.seek(SeekFrom::Start(self.log_start)).and_then(|_| file.read_to_end(&mut bytes));
        }
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<&str> = text.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
    }

    fn spawn(&mut self) -> Result<(), Error> {
        let path = self.folder.join("log");
        let log = OpenOptions::new().create(true).append(true).open(&path).map_err(Error::folder(&path))?;
        self.log_start = log.metadata().map_err(Error::folder(&path))?.len();
        let errors = log.try_clone().map_err(Error::folder(&path))?;
        let fits = self.folder.as_os_str().len() <= SOCKET_FOLDER_BYTES_MAX;
        let sockets = if fits { self.folder.as_os_str() } else { std::ffi::OsStr::new("") };
        let child = command(&self.program, &self.folder, self.account.as_ref())
            .arg("-D")
            .arg(self.folder.join("data"))
            .arg("-p")
            .arg(self.port.to_string())
            .arg("-k")
            .arg(sockets)
            .stdout(Stdio::from(log))
            .stderr(Stdio::from(errors))
            .spawn()
            .map_err(Error::run(self.program.to_string_lossy()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until `postmaster.pid` says that this very process is ready (what `pg_ctl start` looks at).
    ///
    /// Source: PostgreSQL's src/include/utils/pidfile.h: line 1 is the process id, line 8 the status.
    fn wait_ready(&mut self, deadline: Instant) -> Result<(), Error> {
        let file = self.folder.join("data/postmaster.pid");
        let what = loop {
            let Some(child) = self.child.as_mut() else { break "is not running" };
            if !matches!(child.try_wait(), Ok(None)) {
                self.child = None;
                break "ended while it started";
            }
            let text = fs::read_to_string(&file).unwrap_or_default();
            let mut lines = text.lines();
            let is_ours = lines.next().and_then(|line| line.trim().parse().ok()) == Some(child.id());
            if is_ours && lines.nth(6).map(str::trim) == Some("ready") {
                return Ok(());
            }
            if Instant::now() > deadline {
                self.stop(StopMode::Immediate);
                break "did not become ready within a minute";
            }
            sleep(POLL);
        };
        Err(Error::NotReady { port: self.port, what, log: self.log_tail(20) })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop(StopMode::Immediate);
    }
}

fn signal(child: &Child, signal: Signal) {
    if let Ok(id) = i32::try_from(child.id()) {
        // Fails only when the process has just ended, which is what every caller is after.
        let _gone = kill(Pid::from_raw(id), signal);
    }
}

fn free_port() -> Result<u16, Error> {
    let address = |error| Error::Folder { path: PathBuf::from("a free port on 127.0.0.1"), source: error };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(address)?;
    Ok(listener.local_addr().map_err(address)?.port())
}
