//! All client connections: for CancelRequest, SHOW CLIENTS, KILL and limits.

use crate::ids::ShardId;
use crate::session::Pins;
use crate::topology::Database;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;
use tokio::sync::Notify;

const SHARDS: usize = 16;

/// What others may know of, and do to, one client connection.
#[derive(Debug)]
pub struct ClientHandle {
    /// Its number, which is also the process id it was told.
    pub process_id: i32,
    /// The secret for CancelRequest.
    pub secret: i32,
    /// The user.
    pub user: Box<str>,
    /// The database name.
    pub database: Box<str>,
    /// The address it came from.
    pub address: Box<str>,
    /// When it logged in.
    pub connected_at: Instant,
    /// Whether the connection is encrypted.
    pub is_tls: bool,
    /// The application's name, as of login.
    pub application_name: Mutex<Box<str>>,
    /// Pool to the shards.
    pub pools: Option<Arc<Database>>,
    /// The server connection in use: process id and secret; 0 is none.
    cancel_key: AtomicU64,
    cancel_shard: AtomicU32,
    /// All server connections in use, where a statement runs on several.
    several: Mutex<Vec<CancelTarget>>,
    cancelling: AtomicU32,
    cancel_begun: Notify,
    cancel_ended: Notify,
    killed: AtomicBool,
    kill: Notify,
    task: Mutex<Option<Waker>>,
    /// Waiting for a server connection.
    pub is_waiting: AtomicBool,
    pins: AtomicU32,
    pub(super) timer: super::timeout::Timer,
    /// The version of rules and catalog that a statement under way is planned by, at least; 0 is none.
    plans_by: AtomicU64,
}

/// Where to send a cancel request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelTarget {
    /// The shard whose server runs the statement.
    pub shard: ShardId,
    /// The server's process id.
    pub process_id: i32,
    /// The server's secret.
    pub secret: i32,
}

impl ClientHandle {
    /// The client uses this server connection now.
    pub fn attached(&self, target: CancelTarget) {
        let bytes = (target.process_id.to_be_bytes(), target.secret.to_be_bytes());
        let ([a, b, c, d], [e, f, g, h]) = bytes;
        self.cancel_shard.store(u32::from(target.shard.0), Ordering::Relaxed);
        self.cancel_key.store(u64::from_be_bytes([a, b, c, d, e, f, g, h]), Ordering::Release);
    }

    /// The client is about to give its server connection back. `true`: a cancel request for it may be
    /// on its way, and the connection must be kept from others until [`Self::cancels_done`].
    #[must_use]
    pub fn detached(&self) -> bool {
        self.cancel_key.store(0, Ordering::SeqCst);
        self.cancelling.load(Ordering::SeqCst) > 0
    }

    /// As [`Self::detached`], of a connection that the client used before the one that it uses now.
    #[must_use]
    pub fn may_cancel_earlier(&self) -> bool {
        // Whoever cancels counts first, and looks then which connection to cancel.
        fence(Ordering::SeqCst);
        self.is_being_cancelled()
    }

    /// The client's statement runs on all of these now.
    pub fn attached_to_several(&self, targets: Vec<CancelTarget>) {
        *self.several.lock().unwrap_or_else(PoisonError::into_inner) = targets;
    }

    /// The statement on several servers has ended. `true`: a cancel request may be on its way to one, as in
    /// [`Self::detached`].
    #[must_use]
    pub fn detached_from_several(&self) -> bool {
        self.several.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.detached()
    }

    /// Whether a cancel request is on its way: what is sent to a server now could be hit by it.
    pub fn is_being_cancelled(&self) -> bool {
        self.cancelling.load(Ordering::SeqCst) > 0
    }

    /// Waits until no cancel request is on its way.
    pub async fn cancels_done(&self) {
        loop {
            let done = self.cancel_ended.notified();
            if self.cancelling.load(Ordering::SeqCst) == 0 {
                return;
            }
            done.await;
        }
    }

    /// Starts a cancel request. Until [`Self::end_cancel`], the connections that it may be sent to are
    /// given to nobody else, and nothing new is sent to them.
    pub fn begin_cancel(&self) {
        self.cancelling.fetch_add(1, Ordering::SeqCst);
        self.cancel_begun.notify_waiters();
    }

    /// Where a cancel request that has begun is to be sent; nowhere, if the client has no server connection.
    pub fn cancel_targets(&self) -> Vec<CancelTarget> {
        let several = self.several.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if several.is_empty() { self.target().into_iter().collect() } else { several }
    }

    fn target(&self) -> Option<CancelTarget> {
        let [a, b, c, d, e, f, g, h] = self.cancel_key.load(Ordering::SeqCst).to_be_bytes();
        let target = CancelTarget {
            shard: ShardId(u16::try_from(self.cancel_shard.load(Ordering::Relaxed)).unwrap_or(0)),
            process_id: i32::from_be_bytes([a, b, c, d]),
            secret: i32::from_be_bytes([e, f, g, h]),
        };
        (target.process_id != 0).then_some(target)
    }

    /// The cancel request has reached the server, or never will.
    pub fn end_cancel(&self) {
        self.cancelling.fetch_sub(1, Ordering::SeqCst);
        self.cancel_ended.notify_waiters();
        self.wake();
    }

    /// The server connection that it uses now, if any.
    pub fn server(&self) -> Option<CancelTarget> {
        self.target()
    }

    /// Waits for a cancel request that comes from now on; for clients that wait for something else than a
    /// server's answer. One that came before meant what they did before.
    pub async fn cancel_requested(&self) {
        self.cancel_begun.notified().await;
    }

    /// Whether it uses a server connection now.
    pub fn is_active(&self) -> bool {
        self.cancel_key.load(Ordering::Relaxed) != 0
    }

    /// Ends the connection.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
        self.kill.notify_waiters();
        self.wake();
    }

    /// Says which task serves the client.
    pub fn served_by(&self, task: &Waker) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.clone());
    }

    /// Makes the client's task look at what has changed.
    pub fn wake(&self) {
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.wake_by_ref();
        }
    }

    /// Whether it is to end.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }

    /// Waits until it is to end.
    pub async fn killed(&self) {
        loop {
            let told = self.kill.notified();
            if self.is_killed() {
                return;
            }
            told.await;
        }
    }

    /// A statement is about to be planned by the version that this returns: the one that `present` gives.
    #[inline]
    pub fn begin_plan(&self, present: impl Fn() -> u64) -> u64 {
        // Who waits for older plans to be done looks here after the version has changed: either it sees what
        // is stored here, or this sees the change. Of several statements under way the first counts.
        loop {
            let version = present();
            if self.plans_by.load(Ordering::Relaxed) != 0 {
                return version;
            }
            self.plans_by.store(version, Ordering::SeqCst);
            if present() == version {
                return version;
            }
        }
    }

    /// No statement is under way.
    pub fn end_plan(&self) {
        if self.plans_by.load(Ordering::Relaxed) != 0 {
            self.plans_by.store(0, Ordering::Release);
        }
    }

    /// Whether a statement is under way that may be planned by a version before this one.
    pub fn plans_before(&self, version: u64) -> bool {
        let plans_by = self.plans_by.load(Ordering::SeqCst);
        plans_by != 0 && plans_by < version
    }

    /// Says why the client keeps its server connection.
    pub fn set_pins(&self, pins: Pins) {
        let bits = u32::from(pins.bits());
        if self.pins.load(Ordering::Relaxed) != bits {
            self.pins.store(bits, Ordering::Relaxed);
        }
    }

    /// Why the client keeps its server connection.
    pub fn pins(&self) -> Pins {
        Pins::from_bits(u16::try_from(self.pins.load(Ordering::Relaxed)).unwrap_or(0))
    }
}

/// What a new client is known by.
#[derive(Debug)]
pub struct NewClient {
    /// The user.
    pub user: Box<str>,
    /// The database name.
    pub database: Box<str>,
    /// The address it came from.
    pub address: Box<str>,
    /// Whether the connection is encrypted.
    pub is_tls: bool,
    /// The application's name.
    pub application_name: Box<str>,
    /// Pools to the shards; none in the admin database.
    pub pools: Option<Arc<Database>>,
}

/// The list of clients.
#[derive(Debug, Default)]
pub struct Registry {
    shards: [Mutex<HashMap<i32, Arc<ClientHandle>>>; SHARDS],
    next: AtomicI32,
    count: AtomicU32,
    by_user: Mutex<HashMap<Box<str>, u32>>,
    by_database: Mutex<HashMap<Box<str>, u32>>,
}

/// Clients' process ids are above those of all processes, so that no notification of another's server process is taken
/// for the client's own.
const PROCESS_ID_MIN: i32 = 0x4000_0000;

impl Registry {
    fn shard(&self, process_id: i32) -> Option<MutexGuard<'_, HashMap<i32, Arc<ClientHandle>>>> {
        let index = usize::try_from(process_id.unsigned_abs()).unwrap_or(0) % SHARDS;
        self.shards.get(index).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a client under a new number.
    pub fn add(&self, client: NewClient, secret: i32) -> Arc<ClientHandle> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed) & (PROCESS_ID_MIN - 1);
            let process_id = PROCESS_ID_MIN + number;
            let Some(mut shard) = self.shard(process_id) else { continue };
            if shard.contains_key(&process_id) {
                continue;
            }
            self.count_in(&client);
            let handle = Arc::new(ClientHandle {
                process_id,
                secret,
                user: client.user,
                database: client.database,
                address: client.address,
                connected_at: Instant::now(),
                is_tls: client.is_tls,
                application_name: Mutex::new(client.application_name),
                pools: client.pools,
                cancel_key: AtomicU64::new(0),
                cancel_shard: AtomicU32::new(0),
                several: Mutex::default(),
                cancelling: AtomicU32::new(0),
                cancel_begun: Notify::new(),
                cancel_ended: Notify::new(),
                killed: AtomicBool::new(false),
                kill: Notify::new(),
                task: Mutex::new(None),
                is_waiting: AtomicBool::new(false),
                pins: AtomicU32::new(0),
                timer: super::timeout::Timer::default(),
                plans_by: AtomicU64::new(0),
            });
            shard.insert(process_id, Arc::clone(&handle));
            return handle;
        }
    }

    fn count_in(&self, client: &NewClient) {
        self.count.fetch_add(1, Ordering::Relaxed);
        for (map, name) in [(&self.by_user, &client.user), (&self.by_database, &client.database)] {
            let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
            match map.get_mut(name) {
                Some(count) => *count += 1,
                None => {
                    map.insert(name.clone(), 1);
                }
            }
        }
    }

    /// A client is gone.
    pub fn remove(&self, handle: &ClientHandle) {
        let removed = self.shard(handle.process_id).and_then(|mut shard| shard.remove(&handle.process_id));
        if removed.is_none() {
            return;
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
        for (map, name) in [(&self.by_user, &handle.user), (&self.by_database, &handle.database)] {
            let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = map.get_mut(name) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    map.remove(name);
                }
            }
        }
    }

    /// How many clients there are in all, of a user and of a database.
    pub fn counts(&self, user: &str, database: &str) -> (u32, u32, u32) {
        let get = |map: &Mutex<HashMap<Box<str>, u32>>, name: &str| {
            map.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied().unwrap_or(0)
        };
        (self.count.load(Ordering::Relaxed), get(&self.by_user, user), get(&self.by_database, database))
    }

    /// How many clients there are.
    pub fn len(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The client that a cancel request names, if its secret is right.
    pub fn find(&self, process_id: i32, secret: i32) -> Option<Arc<ClientHandle>> {
        let handle = self.shard(process_id)?.get(&process_id).cloned()?;
        (handle.secret == secret).then_some(handle)
    }

    /// The clients that are picked.
    pub fn filter(&self, pick: impl Fn(&ClientHandle) -> bool) -> Vec<Arc<ClientHandle>> {
        let mut picked = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            picked.extend(shard.values().filter(|handle| pick(handle)).cloned());
        }
        picked
    }

    /// All clients, in order of number.
    pub fn list(&self) -> Vec<Arc<ClientHandle>> {
        let mut list: Vec<Arc<ClientHandle>> = self
            .shards
            .iter()
            .flat_map(|shard| {
                shard.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect::<Vec<_>>()
            })
            .collect();
        list.sort_by_key(|handle| handle.process_id);
        list
    }
}
