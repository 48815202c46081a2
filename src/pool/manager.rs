//! How bb8 makes and judges connections.

use crate::backend::connect::{self, ConnectError, Login, Target};
use crate::backend::{OidSlot, OpenPermit, ServerConnection, ServerInfo};
use crate::session::Shared;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Notify;

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectFailed {
    /// The pool has as many connections open as it may.
    #[error("all connections of the pool are open")]
    Full,
    /// The server refused, or could not be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// A pool's server, and how it is used.
#[derive(Clone, Debug)]
pub struct PoolServer {
    /// The server.
    pub target: Target,
    /// Who logs in.
    pub login: Login,
    /// The shard's OIDs, where they may be others than clients are told.
    pub oids: Option<Arc<OidSlot>>,
}

/// A connection's place in a lane; empty after the connection moved to another lane.
pub(super) type Slot = Option<Box<ServerConnection>>;

/// What all lanes of a pool share.
#[derive(Debug)]
pub struct Manager {
    server: PoolServer,
    shared: Arc<Shared>,
    size: u32,
    open: Arc<AtomicU32>,
    closed: Arc<Notify>,
    generation: AtomicU64,
    last_failure: Mutex<Option<String>>,
    /// Connections after login; those that are gone are forgotten when one is added.
    connections: Mutex<Vec<Weak<ServerInfo>>>,
    /// No connection is opened for the sake of the minimum of idle ones.
    paused: AtomicBool,
}

impl Manager {
    pub(super) fn new(server: PoolServer, size: u32, shared: Arc<Shared>) -> Self {
        Manager {
            server,
            shared,
            size,
            open: Arc::default(),
            closed: Arc::default(),
            generation: AtomicU64::new(0),
            last_failure: Mutex::new(None),
            connections: Mutex::default(),
            paused: AtomicBool::new(false),
        }
    }

    /// The server.
    pub fn target(&self) -> &Target {
        &self.server.target
    }

    /// Who logs in.
    pub fn login(&self) -> &Login {
        &self.server.login
    }

    /// Connections open, being opened or being closed.
    pub fn open(&self) -> u32 {
        self.open.load(Ordering::Acquire)
    }

    /// The connections that are logged in and not being closed, in order of age.
    pub fn connections(&self) -> Vec<Arc<ServerInfo>> {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.iter().filter_map(Weak::upgrade).collect()
    }

    /// Whether a connection is closed when its client gives it back.
    pub fn is_close_needed(&self, connection: &ServerInfo) -> bool {
        connection.generation != self.generation.load(Ordering::Relaxed)
    }

    pub(super) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    fn remember(&self, connection: &ServerConnection) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|known| known.strong_count() > 0);
        connections.push(Arc::downgrade(connection.info()));
    }

    pub(super) fn size(&self) -> u32 {
        self.size
    }

    pub(super) fn closed(&self) -> &Notify {
        &self.closed
    }

    /// Connections opened before now are not used again.
    pub(super) fn retire_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn is_current(&self, connection: &ServerConnection) -> bool {
        connection.generation == self.generation.load(Ordering::Relaxed)
    }

    /// What the server said when a connection last failed, if none succeeded since.
    pub fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn open_connection(&self) -> Result<Box<ServerConnection>, ConnectFailed> {
        let permit = OpenPermit::take(&self.open, self.size(), &self.closed).ok_or(ConnectFailed::Full)?;
        let generation = self.generation.load(Ordering::Acquire);
        let connected = connect::connect(&self.server.target, &self.server.login, &[]).await;
        let mut failure = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        match connected {
            Ok(connected) => {
                *failure = None;
                drop(failure);
                let mut connection = ServerConnection::new(connected, &self.shared, generation, permit);
                connection.follow_oids(self.server.oids.as_ref());
                self.remember(&connection);
                Ok(Box::new(connection))
            }
            Err(error) => {
                *failure = Some(error.to_string());
                Err(error.into())
            }
        }
    }
}

/// One lane's handle on the shared manager.
#[derive(Clone, Debug)]
pub(super) struct LaneManager(pub(super) Arc<Manager>);

impl bb8::ManageConnection for LaneManager {
    type Connection = Slot;
    type Error = ConnectFailed;

    async fn connect(&self) -> Result<Slot, ConnectFailed> {
        self.0.open_connection().await.map(Some)
    }

    async fn is_valid(&self, _: &mut Slot) -> Result<(), ConnectFailed> {
        Ok(())
    }

    fn has_broken(&self, slot: &mut Slot) -> bool {
        match slot {
            Some(connection) => !connection.is_reusable() || !self.0.is_current(connection),
            None => true,
        }
    }
}
