//! `howdah demo`: throwaway Postgres servers, Howdah in front of them, and a small shop inside.
//!
//! It runs until it is told to stop, and leaves no process and no folder (but the one of `--keep`).

mod front;
mod guide;
mod load;
mod place;
mod progress;
mod shop;

use crate::throwaway::{self, Binaries, Server};
use front::Front;
use guide::Guide;
use load::Roles;
use place::{Place, State, create_folder, write_private};
use progress::{Progress, say};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How many servers, when nothing else is said.
const SHARDS: u16 = 3;
const DATABASE: &str = "shop";
const USER: &str = "shop";
/// Printed in the psql command: it guards made-up data that is reachable from this machine only.
const USER_PASSWORD: &str = "shop";
const MAINTENANCE: &str = "howdah";

/// Arguments of `howdah demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Port on 127.0.0.1 that Howdah listens on; 0 takes a free one
    #[arg(long, default_value_t = 6432)]
    pub port: u16,
    /// How many Postgres servers the shop is spread over [default: 3, or as many as DIR holds]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub shards: Option<u16>,
    /// Keep the data in DIR, and use them again at the next start with it
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// What can go wrong with the demo.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("port {0} on 127.0.0.1 is taken; choose another with --port, or any free one with --port 0")]
    PortTaken(u16),
    #[error("{} is not empty and holds no finished demo; name another folder, or remove it", .0.display())]
    NotADemo(PathBuf),
    #[error("{} holds a demo with {kept} shards, not {asked}; leave --shards out or name another folder", .path.display())]
    OtherShards { path: PathBuf, kept: u16, asked: u16 },
    #[error("cannot use {}", .path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Throwaway(#[from] throwaway::Error),
    #[error("cannot load the shop")]
    Postgres(#[from] tokio_postgres::Error),
    #[error("cannot load the shop: a shard's loader panicked")]
    LoadPanicked,
    #[error("cannot load the shop: its sharding rules are not valid")]
    Rules,
    #[error("Howdah failed: {0}")]
    Front(String),
}

impl Error {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    }
}

/// Runs the demo until SIGINT, SIGTERM or SIGHUP.
pub fn run(args: &Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(demo(args)),
        Err(source) => Err(Error::File { path: "the operating system's event queue".into(), source }),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    let mut text = format!("howdah demo: {error}");
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    say(&text);
    ExitCode::FAILURE
}

async fn demo(args: &Args) -> Result<(), Error> {
    let mut signals = Signals::listen()?;
    // A signal drops the set-up where it stands. Servers that are just starting are finished by their
    // thread, which the end of the runtime waits for, and dropped with its result.
    let mut running = tokio::select! {
        biased;
        () = signals.any() => return Ok(()),
        running = set_up(args) => running?,
    };
    let result = tokio::select! {
        biased;
        () = signals.any() => Ok(()),
        error = running.front.failed() => Err(error),
    };
    say("\nstopping");
    running.stop().await;
    result
}

/// Everything that must end when the demo does, in this order.
struct Running {
    front: Front,
    servers: Vec<Server>,
    place: Place,
}

impl Running {
    async fn stop(self) {
        let Running { front, servers, place } = self;
        front.stop().await;
        std::thread::scope(|scope| {
            for server in servers {
                scope.spawn(move || drop(server));
            }
        });
        drop(place);
    }
}

async fn set_up(args: &Args) -> Result<Running, Error> {
    let port = usable_port(args.port)?;
    let (place, kept) = Place::open(args.keep.as_deref())?;
    let is_loaded = kept.is_some();
    let asked = args.shards;
    let state =
        kept.unwrap_or_else(|| State { shards: asked.unwrap_or(SHARDS), password: random_password() });
    if let Some(asked) = asked.filter(|&asked| asked != state.shards) {
        return Err(Error::OtherShards { path: place.path().to_owned(), kept: state.shards, asked });
    }
    let mut progress = Progress::new();
    let servers = start_servers(&place, &state, &mut progress).await?;
    if !is_loaded {
        load(&servers, &state, &mut progress).await?;
        place.save(&state)?;
    }
    let shard_ports: Vec<u16> = servers.iter().map(Server::port).collect();
    let settings = front::Settings {
        port,
        user: USER,
        password: USER_PASSWORD,
        database: DATABASE,
        maintenance: MAINTENANCE,
        maintenance_password: &state.password,
        shard_ports: &shard_ports,
    };
    let front = Front::start(front::write_config(place.path(), &settings)?).await?;
    let kept = place.kept().map(|path| path.display().to_string());
    let guide = Guide {
        psql: &psql(),
        user: USER,
        password: USER_PASSWORD,
        database: DATABASE,
        port,
        shard_ports: &shard_ports,
        kept: kept.as_deref(),
    };
    // A reader that has gone away does not end the demo.
    let mut out = io::stdout();
    let _written = out.write_all(guide.text().as_bytes()).and_then(|()| out.flush());
    Ok(Running { front, servers, place })
}

async fn start_servers(place: &Place, state: &State, progress: &mut Progress) -> Result<Vec<Server>, Error> {
    let shards = state.shards;
    progress.begin(format!("starting {shards} Postgres servers"), u64::from(shards));
    let options: Vec<throwaway::Options> = (0..shards)
        .map(|shard| throwaway::Options {
            folder: place.kept().map(|path| path.join(format!("shard-{shard}"))),
            keep: place.kept().is_some(),
            password: Some(state.password.clone()),
            ..throwaway::Options::default()
        })
        .collect();
    let (sender, mut receiver) = tokio::sync::mpsc::channel(options.len().max(1));
    for options in options {
        let sender = sender.clone();
        tokio::task::spawn_blocking(move || {
            // When nobody receives it any more, the server ends right here.
            let _received = sender.blocking_send((options.folder.clone(), Server::start(&options)));
        });
    }
    drop(sender);
    let mut servers = Vec::new();
    while let Some((folder, server)) = receiver.recv().await {
        servers.push((folder, server?));
        progress.advance(1);
    }
    // Shards of a kept demo are in the order of their folders; of a new one, in any.
    servers.sort_by_key(|(folder, _)| folder.as_ref().map(|path| (path.as_os_str().len(), path.clone())));
    progress.end("ready");
    Ok(servers.into_iter().map(|(_, server)| server).collect())
}

async fn load(servers: &[Server], state: &State, progress: &mut Progress) -> Result<(), Error> {
    progress.begin("loading the shop", shop::rows(servers.len() as u64));
    let roles = Roles {
        user: USER,
        user_password: USER_PASSWORD,
        maintenance: MAINTENANCE,
        maintenance_password: state.password.clone(),
    };
    let rows = load::load(servers, DATABASE, &roles, progress.counter()).await?;
    let each: Vec<String> = rows.iter().map(u64::to_string).collect();
    progress.end(&format!("{} rows ({})", rows.iter().sum::<u64>(), each.join(" + ")));
    Ok(())
}

/// The port itself, or a free one for 0; taken ports are told before anything is started.
fn usable_port(port: u16) -> Result<u16, Error> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr()) {
        Ok(address) => Ok(address.port()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(Error::PortTaken(port)),
        Err(source) => Err(Error::File { path: format!("port {port} on 127.0.0.1").into(), source }),
    }
}

/// psql as a shell finds it: by its name where it is on the PATH, else by its place.
fn psql() -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_on_path = std::env::split_paths(&path).any(|folder| folder.join("psql").is_file());
    let installed = Binaries::find().ok().map(|binaries| binaries.program("psql"));
    match installed {
        Some(program) if !is_on_path && program.is_file() => program.to_string_lossy().into_owned(),
        _ => "psql".to_owned(),
    }
}

fn random_password() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// The signals that end the demo.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> Result<Signals, Error> {
        let listen = |kind| signal(kind).map_err(Error::file(Path::new("signals")));
        Ok(Signals([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    /// Waits for any of them. Cancel safe.
    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_and_zero_takes_a_free_one() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = usable_port(port).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("--port"), "{error}");
        assert_ne!(usable_port(0).unwrap(), 0);
    }
}
