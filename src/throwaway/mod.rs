//! Throwaway Postgres servers: made in a folder, used, and gone without a trace.
//!
//! The demo and the tests run on them. A server never listens beyond 127.0.0.1, never touches a cluster of
//! the system, and never outlives this process: each has a guard (a small shell process) that waits on a
//! pipe from here; when the pipe closes, also because this process was killed with -9, the guard stops the
//! server and removes its folder. Everything here blocks; call it from a blocking thread.

mod binaries;
mod folder;
mod process;

pub use binaries::{Binaries, OLDEST_MAJOR};
pub use folder::Folder;
pub use process::StopMode;

use folder::{Account, command};
use process::Process;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What can go wrong with a throwaway server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No Postgres programs on this machine, or only old ones.
    #[error(
        "no Postgres {OLDEST_MAJOR} or newer found (looked for initdb on the PATH, in /usr/lib/postgresql/*/bin, \
         /usr/pgsql-*/bin and Homebrew's folders); on Debian and Ubuntu install it with: apt-get install postgresql"
    )]
    NotInstalled,
    /// This process is root, and there is no user to run servers as.
    #[error("Postgres does not run as root, and neither a user \"postgres\" nor \"nobody\" exists")]
    NoAccount,
    /// The unprivileged user cannot enter the folder.
    #[error(
        "servers run as user \"{account}\" when howdah runs as root, and that user cannot enter {}; choose a \
         folder whose parents everyone may enter, such as one in /var/tmp",
        .folder.display()
    )]
    Unreachable {
        /// The folder.
        folder: PathBuf,
        /// Who cannot enter it.
        account: String,
    },
    /// A file or folder could not be made, read or written.
    #[error("cannot use {}: {source}", .path.display())]
    Folder {
        /// What could not be used.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program could not be run.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("{program} failed: {output}")]
    Failed {
        /// The program.
        program: String,
        /// The end of what it printed.
        output: String,
    },
    /// A folder that was kept holds another version's data.
    #[error(
        "{} holds data of Postgres {found}, but the programs found are of version {programs}",
        .folder.display()
    )]
    OtherVersion {
        /// The server's folder.
        folder: PathBuf,
        /// Version of the data.
        found: String,
        /// Version of the programs.
        programs: u32,
    },
    /// The server ended while it started, or did not become ready in time.
    #[error("Postgres on port {port} {what}; the end of its log:\n{log}")]
    NotReady {
        /// Its port.
        port: u16,
        /// What happened instead.
        what: &'static str,
        /// The log's last lines.
        log: String,
    },
}

impl Error {
    fn folder(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = path.to_owned();
        move |source| Error::Folder { path, source }
    }

    fn run(program: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let program = program.into();
        move |source| Error::Run { program, source }
    }
}

/// How a server is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it lives; a new temporary folder when `None`. Data found there is used again.
    pub folder: Option<PathBuf>,
    /// Whether the folder stays when the server is dropped.
    pub keep: bool,
    /// Port on 127.0.0.1; a free one when `None`.
    pub port: Option<u16>,
    /// Name of the superuser, and of nobody else.
    pub superuser: String,
    /// The superuser's password: with one, TCP connections need SCRAM; without, everyone local is trusted.
    /// The Unix socket trusts, since only the folder's owner can reach it.
    pub password: Option<String>,
    /// Locale of `initdb`.
    pub locale: String,
    /// Encoding of `initdb`.
    pub encoding: String,
    /// `max_connections`, and as many prepared transactions.
    pub max_connections: u32,
    /// Further lines of postgresql.conf; they override the ones made here.
    pub config: Vec<String>,
    /// Lines of pg_hba.conf that come before the ones made here.
    pub hba: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            folder: None,
            keep: false,
            port: None,
            superuser: "postgres".to_owned(),
            password: None,
            locale: "C.UTF-8".to_owned(),
            encoding: "UTF8".to_owned(),
            max_connections: 100,
            config: Vec::new(),
            hba: Vec::new(),
        }
    }
}

/// A data folder made once, to be copied for each further server: a copy takes a tenth of `initdb`'s time.
///
/// The copies share Postgres's system identifier, as a server and its standby do.
#[derive(Debug)]
pub struct Template {
    folder: Folder,
}

impl Template {
    /// Runs `initdb` with the superuser, password, locale and encoding of `options`.
    ///
    /// # Errors
    /// As [`Server::start`], as far as it concerns `initdb`.
    pub fn create(options: &Options) -> Result<Template, Error> {
        let binaries = Binaries::find()?;
        let account = Account::to_run_as()?;
        let folder = Folder::create(None, false, account.as_ref())?;
        initdb(&binaries, &folder, options, account.as_ref())?;
        Ok(Template { folder })
    }
}

/// A running (or stopped) throwaway server. Dropping it kills it and removes its folder, unless kept.
#[derive(Debug)]
pub struct Server {
    // Dropped in this order: first the process ends, then its folder goes.
    process: Process,
    folder: Folder,
    superuser: String,
    password: Option<String>,
}

impl Server {
    /// Makes the folder and its data where they do not exist, starts the server and waits until it is ready.
    ///
    /// # Errors
    /// Says what is missing or failed, with the end of the server's log.
    pub fn start(options: &Options) -> Result<Server, Error> {
        Server::make(options, None)
    }

    /// As [`Server::start`], with a copy of `template`'s data in place of a run of `initdb`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_from(template: &Template, options: &Options) -> Result<Server, Error> {
        Server::make(options, Some(template))
    }

    fn make(options: &Options, template: Option<&Template>) -> Result<Server, Error> {
        let binaries = Binaries::find()?;
        let account = Account::to_run_as()?;
        let folder = Folder::create(options.folder.as_deref(), options.keep, account.as_ref())?;
        let data = folder.path().join("data");
        if data.join("PG_VERSION").is_file() {
            check_version(&data, &binaries)?;
        } else {
            match template {
                Some(template) => copy(template, &folder, account.as_ref())?,
                None => initdb(&binaries, &folder, options, account.as_ref())?,
            }
            configure(&data, options)?;
        }
        let process = Process::start(&binaries, folder.path(), account, options.port)?;
        Ok(Server {
            process,
            folder,
            superuser: options.superuser.clone(),
            password: options.password.clone(),
        })
    }

    /// The port on 127.0.0.1; it stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.process.port()
    }

    /// The folder: `data/`, `log`, and the Unix socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The superuser's name.
    pub fn superuser(&self) -> &str {
        &self.superuser
    }

    /// The postmaster's process id, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// How the superuser connects to `database` over TCP.
    pub fn config(&self, database: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port()).user(&self.superuser).dbname(database);
        if let Some(password) = &self.password {
            config.password(password);
        }
        config
    }

    /// Whole lines at the end of the server's log, at most `lines`.
    pub fn log_tail(&self, lines: usize) -> String {
        self.process.log_tail(lines)
    }

    /// Stops the server and waits until it has ended. Its data stay until it is dropped.
    pub fn stop(&mut self, mode: StopMode) {
        self.process.stop(mode);
    }

    /// Kills the server and its backends with SIGKILL, as a machine that loses power does.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Starts the server again, on the same port and data; one that runs is stopped (fast) before.
    ///
    /// # Errors
    /// [`Error::NotReady`] with the end of the log.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.process.stop(StopMode::Fast);
        self.process.start_again()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Kept data deserve a clean shutdown; otherwise the process is killed as it is dropped.
        if self.folder.is_kept() {
            self.process.stop(StopMode::Fast);
        }
    }
}

/// Runs `initdb` for `folder/data`.
fn initdb(
    binaries: &Binaries,
    folder: &Folder,
    options: &Options,
    account: Option<&Account>,
) -> Result<(), Error> {
    let program = binaries.program("initdb");
    let mut initdb = command(&program, folder.path(), account);
    initdb
        .args(["--no-sync", "--no-instructions", "--auth=trust", "--pgdata=data"])
        .arg(format!("--locale={}", options.locale))
        .arg(format!("--encoding={}", options.encoding))
        .arg(format!("--username={}", options.superuser));
    if let Some(password) = &options.password {
        let file = folder.path().join("password");
        // Readable for all inside a folder that only the owner enters; it goes right after initdb.
        fs::write(&file, password).map_err(Error::folder(&file))?;
        let result = run(initdb.arg("--pwfile=password"));
        fs::remove_file(&file).map_err(Error::folder(&file))?;
        return result;
    }
    run(&mut initdb)
}

fn copy(template: &Template, folder: &Folder, account: Option<&Account>) -> Result<(), Error> {
    let mut cp = command(Path::new("cp"), folder.path(), account);
    run(cp.arg("-R").arg(template.folder.path().join("data")).arg("data"))
}

fn run(command: &mut std::process::Command) -> Result<(), Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(Error::run(&program))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Failed { program, output: text })
}

fn check_version(data: &Path, binaries: &Binaries) -> Result<(), Error> {
    let file = data.join("PG_VERSION");
    let found = fs::read_to_string(&file).map_err(Error::folder(&file))?.trim().to_owned();
    if found == binaries.major().to_string() {
        return Ok(());
    }
    Err(Error::OtherVersion { folder: data.to_owned(), found, programs: binaries.major() })
}

/// Writes the settings. Both files exist already, so that they stay the server account's own.
fn configure(data: &Path, options: &Options) -> Result<(), Error> {
    let path = data.join("postgresql.conf");
    let settings = format!(
        "\n# Written by howdah for a throwaway server: nothing here survives a crash of the machine.\n\
         fsync = off\nfull_page_writes = off\n\
         listen_addresses = '127.0.0.1'\nshared_buffers = 32MB\n\
         max_connections = {n}\nmax_prepared_transactions = {n}\n{more}\n",
        n = options.max_connections,
        more = options.config.join("\n"),
    );
    let mut file = OpenOptions::new().append(true).open(&path).map_err(Error::folder(&path))?;
    file.write_all(settings.as_bytes()).map_err(Error::folder(&path))?;

    let path = data.join("pg_hba.conf");
    let method = if options.password.is_some() { "scram-sha-256" } else { "trust" };
    let rules = format!(
        "{}\nlocal all all trust\nhost all all 127.0.0.1/32 {method}\n\
         local replication all trust\nhost replication all 127.0.0.1/32 {method}\n",
        options.hba.join("\n"),
    );
    fs::write(&path, rules).map_err(Error::folder(&path))
}

#[cfg(test)]
mod tests;
