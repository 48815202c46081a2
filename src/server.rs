//! The running proxy: threads, listeners, reload, shutdown.
//!
//! Each thread has a runtime, listeners, clients and idle server connections of its own; a statement's
//! way wakes no other thread.

mod assemble;
mod stores;

pub(crate) use assemble::{read_rules, rules as cluster_rules};

use crate::admin::Admin;
use crate::config::{Config, ConfigStore, ListenAddress};
use crate::diagnostic::Diagnostic;
use crate::frontend::handshake::HandshakeSettings;
use crate::frontend::{AdminDatabase, Limits, Service, serve_connection, watch_timeouts};
use crate::net::listen::Listener;
use crate::pool;
use crate::session::Shared;
use crate::telemetry::LogControl;
use crate::topology::Directory;
use arc_swap::ArcSwap;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use stores::{Stores, Surroundings};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};

/// Why the proxy could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address could not be listened on.
    #[error("cannot listen on {address}: {source}{}", hint(source))]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A file that the configuration names could not be used.
    #[error("{0}")]
    Settings(String),
    /// The system gave no thread or runtime.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "\nHINT: another program listens there: stop it, or choose another address in [[listener]]"
        }
        io::ErrorKind::PermissionDenied => {
            "\nHINT: ports below 1024 and some folders need privileges: choose another address in [[listener]]"
        }
        _ => "",
    }
}

/// A further check of a configuration, before it is put in force: its sharding rules and TLS files.
pub fn check_settings(config: &Config) -> Vec<Diagnostic> {
    assemble::check(config)
}

/// Runs the proxy until `shutdown` is ready or the process is told to end; `ready` is called when it
/// accepts connections.
///
/// # Errors
/// See [`ServeError`].
pub fn run(
    store: Arc<ConfigStore>,
    log: Option<LogControl>,
    ready: impl FnOnce() + Send + 'static,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let config = store.current();
    let stores = Stores::default();
    let service = new_service(&config, &stores)?;
    let doors = Doors::open(&config)?;
    let admin: Arc<dyn AdminDatabase> = Admin::new(Arc::clone(&service), Arc::clone(&store));
    let threads = thread_count(&config);
    let (stop, stopped) = watch::channel(false);
    let (open, opened) = watch::channel(false);
    let start = Arc::new(Barrier::new(threads));
    let mut workers = Vec::new();
    for lane in 1..threads {
        let worker = Worker {
            lane,
            service: Arc::clone(&service),
            admin: Arc::clone(&admin),
            doors: doors.clone(),
            opened: opened.clone(),
            stopped: stopped.clone(),
        };
        let start = Arc::clone(&start);
        let thread = std::thread::Builder::new().name(format!("howdah-{lane}"));
        workers.push(thread.spawn(move || {
            start.wait();
            worker.run()
        })?);
    }
    let first =
        Worker { lane: 0, service: Arc::clone(&service), admin, doors: doors.clone(), opened, stopped };
    let failure = Arc::new(std::sync::Mutex::new(None));
    let keeper = Keeper { store, log, service, doors, open, stop, stores, failure: Arc::clone(&failure) };
    start.wait();
    let mut result = first.run_with(keeper.run(ready, shutdown));
    if let Some(failed) = failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
        result = Err(ServeError::Settings(failed));
    }
    for worker in workers {
        if let Ok(Err(error)) = worker.join() {
            tracing::error!(%error, "a thread ended early");
        }
    }
    result
}

fn thread_count(config: &Config) -> usize {
    match config.general.threads {
        // The other half is for the kernel's part of the work, and for whatever else the machine does: a thread
        // that has to wait for a core holds up all of its clients.
        0 => std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2),
        threads => usize::from(threads),
    }
}

fn new_service(config: &Config, stores: &Stores) -> Result<Arc<Service>, ServeError> {
    let shared = Arc::new(Shared::default());
    let directory = Directory::new(Arc::clone(&shared));
    let registry = Arc::new(crate::frontend::Registry::default());
    let surroundings = Surroundings { shared: &shared, registry: &registry };
    assemble::configure(&directory, config, (stores, &surroundings)).map_err(ServeError::Settings)?;
    Ok(Arc::new(Service {
        shared,
        directory,
        routers: std::sync::Mutex::default(),
        registry,
        limits: ArcSwap::from_pointee(limits(config)),
        limits_version: AtomicU64::new(0),
        next_session: AtomicU64::new(0),
        draining: AtomicBool::new(false),
        drain: Notify::new(),
        stop: Notify::new(),
        started_at: Instant::now(),
    }))
}

fn limits(config: &Config) -> Limits {
    let general = &config.general;
    Limits {
        message_size_max: usize::try_from(general.message_bytes_max).unwrap_or(usize::MAX),
        client_limit: general.client_limit,
        client_limit_per_user: general.client_limit_per_user,
        client_limit_per_database: general.client_limit_per_database,
        idle_client_timeout: general.idle_client_timeout,
        idle_transaction_timeout: general.idle_transaction_timeout,
        query_timeout: general.query_timeout,
        plan_cache_entries: general.plan_cache_entries,
        slow_statement: general.slow_statement,
    }
}

/// The listeners' addresses, and how clients come in at each.
#[derive(Clone)]
struct Doors(Arc<Vec<Door>>);

struct Door {
    address: ListenAddress,
    settings: ArcSwap<HandshakeSettings>,
}

impl Doors {
    fn open(config: &Config) -> Result<Self, ServeError> {
        let mut doors = Vec::new();
        let mock_secret = rand::random();
        for listener in &config.listeners {
            if let ListenAddress::Tcp(address) = &listener.address {
                // Listeners of several threads share an address, and would share it with another
                // process as silently: ask first whether somebody else is there.
                let probe = std::net::TcpListener::bind(address);
                probe.map_err(|source| ServeError::Listen { address: address.to_string(), source })?;
            }
            let settings =
                assemble::handshake_settings(config, listener, mock_secret).map_err(ServeError::Settings)?;
            doors.push(Door { address: listener.address.clone(), settings: ArcSwap::from_pointee(settings) });
        }
        Ok(Doors(Arc::new(doors)))
    }

    /// Takes users, HBA rules and certificates from a new configuration.
    fn reconfigure(&self, config: &Config) -> Result<(), String> {
        for door in self.0.iter() {
            let Some(listener) = config.listeners.iter().find(|one| one.address == door.address) else {
                continue;
            };
            let secret = door.settings.load().mock_secret;
            door.settings.store(Arc::new(assemble::handshake_settings(config, listener, secret)?));
        }
        Ok(())
    }
}

/// One thread.
struct Worker {
    lane: usize,
    service: Arc<Service>,
    admin: Arc<dyn AdminDatabase>,
    doors: Doors,
    opened: watch::Receiver<bool>,
    stopped: watch::Receiver<bool>,
}

impl Worker {
    fn run(self) -> Result<(), ServeError> {
        let mut stopped = self.stopped.clone();
        self.run_with(async move {
            // An error means that the sender is gone, and the process is ending.
            let _stopped = stopped.wait_for(|stopped| *stopped).await;
        })
    }

    fn run_with(self, until: impl Future<Output = ()>) -> Result<(), ServeError> {
        pool::set_lane(self.lane);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().event_interval(127).build()?;
        let _entered = runtime.enter();
        for (index, door) in self.doors.0.iter().enumerate() {
            let listen = |source| ServeError::Listen { address: door.address.to_string(), source };
            let listener = match &door.address {
                ListenAddress::Tcp(address) => Listener::tcp(*address).map_err(listen)?,
                // One thread has it: a socket file cannot be shared.
                ListenAddress::Unix { .. } if self.lane > 0 => continue,
                ListenAddress::Unix { .. } => {
                    let Some(path) = door.address.socket_path() else { continue };
                    Listener::unix(&path, 0o777).map_err(listen)?
                }
            };
            runtime.spawn(accept(
                listener,
                index,
                self.doors.clone(),
                Arc::clone(&self.service),
                Arc::clone(&self.admin),
                (self.opened.clone(), self.stopped.clone()),
            ));
        }
        runtime.spawn(upkeep(Arc::clone(&self.service)));
        if self.lane == 0 {
            runtime.spawn(watch_timeouts(Arc::clone(&self.service)));
        }
        runtime.block_on(until);
        // Connections being closed politely are given a moment.
        runtime.shutdown_timeout(Duration::from_millis(200));
        Ok(())
    }
}

async fn accept(
    listener: Listener,
    index: usize,
    doors: Doors,
    service: Arc<Service>,
    admin: Arc<dyn AdminDatabase>,
    (mut opened, mut stopped): (watch::Receiver<bool>, watch::Receiver<bool>),
) {
    // Clients wait while the clusters' stores are looked at: the start may still fail.
    tokio::select! {
        _ = opened.wait_for(|opened| *opened) => {}
        _ = stopped.wait_for(|stopped| *stopped) => return,
    }
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return,
            () = service.drain.notified() => return,
        };
        match accepted {
            Ok(stream) => {
                let Some(door) = doors.0.get(index) else { return };
                let settings = door.settings.load_full();
                tokio::spawn(serve_connection(stream, settings, Arc::clone(&service), Arc::clone(&admin)));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Looks after the thread's idle server connections.
async fn upkeep(service: Arc<Service>) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        for database in service.directory.databases() {
            for pool in &database.pools {
                pool.keep_up();
            }
        }
    }
}

/// What the first thread does besides: reload and shutdown.
struct Keeper {
    store: Arc<ConfigStore>,
    log: Option<LogControl>,
    service: Arc<Service>,
    doors: Doors,
    open: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    stores: Stores,
    /// Why the start failed.
    failure: Arc<std::sync::Mutex<Option<String>>>,
}

impl Keeper {
    async fn run(self, ready: impl FnOnce(), shutdown: impl Future<Output = ()>) {
        for listener in &self.store.current().listeners {
            tracing::info!(address = %listener.address, "listening");
        }
        let mut changes = self.store.subscribe();
        self.stores.start();
        if let Err(failed) = self.stores.started().await {
            *self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(failed);
            let _threads_told = self.stop.send(true);
            return;
        }
        self.warm(&self.store.current());
        // Nobody listens only when all threads have ended already.
        let _doors_told = self.open.send(true);
        ready();
        let mut shutdown = std::pin::pin!(shutdown);
        let mut terminate = std::pin::pin!(terminated());
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                () = &mut terminate => break,
                () = self.service.stop.notified() => break,
                changed = changes.changed() => {
                    if changed.is_err() { break }
                    let config = changes.borrow_and_update().clone();
                    self.reconfigure(&config);
                }
            }
        }
        self.drain().await;
        self.stores.end().await;
        // Nobody listens only when all threads have ended already.
        let _threads_told = self.stop.send(true);
    }

    fn reconfigure(&self, config: &Config) {
        if let Some(log) = &self.log {
            log.apply(&config.general);
        }
        self.service.limits.store(Arc::new(limits(config)));
        self.service.limits_version.fetch_add(1, Ordering::Release);
        if let Err(error) = self.doors.reconfigure(config) {
            tracing::error!(error, "listeners keep their settings");
        }
        let surroundings = Surroundings { shared: &self.service.shared, registry: &self.service.registry };
        let directory = &self.service.directory;
        match assemble::configure(directory, config, (&self.stores, &surroundings)) {
            Ok(()) => self.stores.change(config),
            Err(error) => tracing::error!(error, "clusters keep their settings"),
        }
        self.warm(config);
    }

    /// Opens the minimum of idle connections for the configured users.
    fn warm(&self, config: &Config) {
        for (name, cluster) in &config.clusters {
            if cluster.pool.min_idle == 0 || cluster.is_any_database() {
                continue;
            }
            for user in config.users.keys() {
                match self.service.directory.resolve(name, user, None) {
                    Ok(database) => database.pools.iter().for_each(|pool| pool.warm()),
                    Err(error) => tracing::warn!(%error, "cannot open idle connections"),
                }
            }
        }
    }

    /// No new clients; running transactions end.
    async fn drain(&self) {
        self.service.draining.store(true, Ordering::SeqCst);
        self.service.drain.notify_waiters();
        self.service.registry.list().iter().for_each(|handle| handle.wake());
        let limit = self.store.current().general.drain_timeout;
        let deadline = limit.map(|limit| Instant::now() + limit);
        tracing::info!(clients = self.service.registry.len(), "shutting down");
        while !self.service.registry.is_empty() {
            if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                tracing::warn!(
                    clients = self.service.registry.len(),
                    "clients are cut off: drain_timeout is up"
                );
                for handle in self.service.registry.list() {
                    handle.kill();
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                return;
            }
            self.service.drain.notify_waiters();
            self.service.registry.list().iter().for_each(|handle| handle.wake());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Waits for SIGTERM or SIGINT.
async fn terminated() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
