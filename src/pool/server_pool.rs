//! One pool: check-out, return, upkeep.

use super::gate::{Entry, Gate, GateSnapshot};
use super::lane::{Lane, Lent};
use super::manager::{ConnectFailed, LaneManager, Manager, PoolServer, Slot};
use crate::backend::ServerConnection;
use crate::session::Shared;
use bb8::QueueStrategy;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

thread_local! {
    static LANE: Cell<usize> = const { Cell::new(0) };
}

/// Threads beyond this share lanes.
const LANES_MAX: usize = 64;

/// After another took the room that was made.
const MAKE_ROOM_AGAIN: Duration = Duration::from_secs(1);

/// Says which lane the current thread uses.
pub fn set_lane(lane: usize) {
    LANE.set(lane % LANES_MAX);
}

/// A pool's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// Most connections open at a time.
    pub size: u32,
    /// Idle connections kept ready.
    pub min_idle: u32,
    /// A connection older than this is replaced.
    pub max_lifetime: Option<Duration>,
    /// A connection idle for this long is closed.
    pub idle_timeout: Option<Duration>,
    /// Most clients that wait.
    pub queue_limit: u32,
    /// How long one waits.
    pub queue_timeout: Duration,
}

/// Why no connection was given.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// Nothing became free in time.
    #[error("no server connection became free in time")]
    Timeout,
    /// Too many wait already.
    #[error("too many clients wait for a server connection")]
    QueueFull,
    /// A new connection was needed and could not be made.
    #[error(transparent)]
    Connect(#[from] ConnectFailed),
    /// The pool's settings changed: look it up again.
    #[error("the pool was replaced")]
    Retired,
}

/// A pool of connections to one node, for one user and database.
#[derive(Debug)]
pub struct ServerPool {
    /// Shard name, for messages and SHOW.
    pub shard: Box<str>,
    options: PoolOptions,
    manager: Arc<Manager>,
    gate: Gate,
    lanes: Vec<OnceLock<Lane>>,
    retired: AtomicBool,
    keeps_minimum: OnceLock<usize>,
    /// Idle connections are being opened.
    filling: AtomicBool,
}

impl ServerPool {
    /// An empty pool.
    pub fn new(shard: &str, server: PoolServer, options: PoolOptions, shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(ServerPool {
            shard: shard.into(),
            options,
            manager: Arc::new(Manager::new(server, options.size, shared)),
            gate: Gate::new(options.size),
            lanes: (0..LANES_MAX).map(|_| OnceLock::new()).collect(),
            retired: AtomicBool::new(false),
            keeps_minimum: OnceLock::new(),
            filling: AtomicBool::new(false),
        })
    }

    /// Its settings.
    pub fn options(&self) -> &PoolOptions {
        &self.options
    }

    /// Target, login, and how many connections are open.
    pub fn manager(&self) -> &Manager {
        &self.manager
    }

    /// Users and waiters now.
    pub fn gate(&self) -> GateSnapshot {
        self.gate.snapshot()
    }

    /// Idle connections now.
    pub fn idle(&self) -> u32 {
        self.built_lanes().map(Lane::idle).sum()
    }

    /// Lets nobody in, or again; while it is paused no idle connections are opened either.
    pub fn set_paused(&self, paused: bool) {
        self.manager.set_paused(paused);
        self.gate.set_paused(paused);
    }

    /// Whether another pool has taken this one's place.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Another pool takes its place: idle connections are closed, used ones when they come back.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
        self.close_all();
        self.gate.set_paused(false);
    }

    /// Connections open now are not used for another transaction.
    pub fn close_all(&self) {
        self.manager.retire_all();
        for index in 0..self.lanes.len() {
            self.sweep_lane(index);
        }
    }

    fn built_lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().filter_map(OnceLock::get)
    }

    fn lane(&self, index: usize) -> Option<&Lane> {
        let slot = self.lanes.get(index)?;
        Some(slot.get_or_init(|| {
            // One lane keeps the minimum for all.
            self.keeps_minimum.get_or_init(|| index);
            let pool = bb8::Pool::builder()
                .max_size(self.options.size.max(1))
                // bb8 would open more whenever one is taken: see `fill`.
                .min_idle(None)
                .max_lifetime(self.options.max_lifetime)
                .idle_timeout(None)
                .connection_timeout(Duration::from_secs(1))
                .retry_connection(false)
                .test_on_check_out(false)
                .reaper_rate(Duration::from_secs(1))
                .queue_strategy(QueueStrategy::Lifo)
                .build_unchecked(LaneManager(Arc::clone(&self.manager)));
            Lane::new(pool)
        }))
    }

    /// Opens the minimum of idle connections, if one is asked for. Called on the thread that is to
    /// keep them.
    pub fn warm(self: &Arc<Self>) {
        if self.options.min_idle > 0 {
            self.lane(LANE.get());
            self.fill();
        }
    }

    /// Opens what is missing of the minimum of idle connections, unless that is under way.
    fn fill(self: &Arc<Self>) {
        if self.keeps_minimum.get() != Some(&LANE.get())
            || !self.misses_idle()
            || self.filling.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            while pool.misses_idle() {
                // A failure is noted by the manager; the next upkeep tries again.
                let Ok(connection) = pool.manager.open_connection().await else { break };
                let added = pool.lane(LANE.get()).map(|lane| lane.add(Some(connection)));
                if added != Some(true) {
                    break;
                }
            }
            pool.filling.store(false, Ordering::Release);
        });
    }

    fn misses_idle(&self) -> bool {
        self.idle() < self.options.min_idle
            && self.manager.open() < self.manager.size()
            && !self.manager.is_paused()
            && !self.is_retired()
    }

    /// Takes an idle connection of the thread's own that suits; `None` where that takes waiting, or more.
    pub fn checkout_at_once(self: &Arc<Self>, suits: impl Fn(&ServerConnection) -> bool) -> Option<Lease> {
        if self.is_retired() || !self.gate.enter_at_once() {
            return None;
        }
        let lane = LANE.get();
        let permit = Permit { pool: Arc::clone(self), lane };
        let lent = self.take_idle(lane, suits)?;
        Some(Lease { lent: Some(lent), lane, permit })
    }

    /// Takes a connection, waiting in line for it. Where none of those that are idle suits, one of them makes
    /// room for a new one.
    ///
    /// # Errors
    /// See [`CheckoutError`].
    ///
    /// Cancel safe: a place in line, a permit or a connection is given back when the future is dropped.
    pub async fn checkout(
        self: &Arc<Self>,
        suits: impl Fn(&ServerConnection) -> bool,
    ) -> Result<Lease, CheckoutError> {
        let lane = LANE.get();
        let permit = self.admit(lane).await?;
        if self.is_retired() {
            return Err(CheckoutError::Retired);
        }
        let deadline = Instant::now() + self.options.queue_timeout;
        let mut made_room: Option<Instant> = None;
        loop {
            if let Some(lent) = self.take_idle(lane, &suits) {
                return Ok(Lease { lent: Some(lent), lane, permit });
            }
            if self.manager.open() < self.manager.size() {
                match self.manager.open_connection().await {
                    Ok(connection) => {
                        let Some(own) = self.lane(lane) else { return Err(CheckoutError::Retired) };
                        if !own.add(Some(connection)) {
                            tracing::debug!("a lane had no room for a new connection");
                        }
                        continue;
                    }
                    Err(ConnectFailed::Full) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if let Some((lent, lane)) = self.take_from_others(lane, &suits) {
                return Ok(Lease { lent: Some(lent), lane, permit });
            }
            let now = Instant::now();
            if made_room.is_none_or(|then| now > then + MAKE_ROOM_AGAIN) && self.make_room(lane) {
                made_room = Some(now);
            }
            // All places are taken by connections being closed: one is free in a moment.
            if now > deadline {
                return Err(CheckoutError::Timeout);
            }
            let wait = tokio::time::timeout(Duration::from_millis(5), self.manager.closed().notified());
            let _closed_or_not = wait.await;
        }
    }

    /// Closes an idle connection, whichever; whether there was one.
    fn make_room(&self, lane: usize) -> bool {
        let idle = self.take_idle(lane, |_| true);
        let Some(mut lent) = idle.or_else(|| Some(self.take_from_others(lane, |_| true)?.0)) else {
            return false;
        };
        if let Some(connection) = lent.connection() {
            connection.break_it();
        }
        true
    }

    async fn admit(self: &Arc<Self>, lane: usize) -> Result<Permit, CheckoutError> {
        match self.gate.enter(lane, self.options.queue_limit) {
            Entry::Admitted => Ok(Permit { pool: Arc::clone(self), lane }),
            Entry::QueueFull => Err(CheckoutError::QueueFull),
            Entry::Wait(receiver) => {
                let mut waiting = Waiting { pool: self, lane, receiver: Some(receiver) };
                let admitted = match waiting.receiver.as_mut() {
                    Some(receiver) => tokio::time::timeout(self.options.queue_timeout, receiver).await,
                    None => return Err(CheckoutError::Timeout),
                };
                match admitted {
                    Ok(Ok(())) => {
                        waiting.receiver = None;
                        Ok(Permit { pool: Arc::clone(self), lane })
                    }
                    _ => Err(CheckoutError::Timeout),
                }
            }
        }
    }

    /// An idle connection of the thread's own lane that is still alive, and suits.
    fn take_idle(&self, lane: usize, suits: impl Fn(&ServerConnection) -> bool) -> Option<Lent> {
        let lane = self.lane(lane)?;
        loop {
            let mut lent = lane.take_suited(&suits)?;
            let Some(connection) = lent.connection() else { continue };
            if self.manager.is_current(connection) && !connection.is_stale() {
                connection.renew_oids();
                return Some(lent);
            }
            connection.break_it();
        }
    }

    /// An idle connection of another thread, and the lane that it belongs to: it is moved to this thread's
    /// where its socket can move.
    fn take_from_others(
        &self,
        own: usize,
        suits: impl Fn(&ServerConnection) -> bool,
    ) -> Option<(Lent, usize)> {
        for (index, lane) in self.lanes.iter().enumerate() {
            let Some(lane) = lane.get().filter(|_| index != own) else { continue };
            while let Some(mut lent) = lane.take_suited(&suits) {
                let Some(connection) = lent.connection() else { continue };
                if !self.manager.is_current(connection) || connection.is_stale() {
                    connection.break_it();
                    continue;
                }
                match connection.move_here() {
                    Ok(true) => {
                        let moved: Slot = lent.take();
                        drop(lent);
                        if self.lane(own)?.add(moved) {
                            return self.take_idle(own, suits).map(|lent| (lent, own));
                        }
                    }
                    Ok(false) => {
                        connection.renew_oids();
                        return Some((lent, index));
                    }
                    Err(_) => connection.break_it(),
                }
            }
        }
        None
    }

    /// The current thread's part of the upkeep, to be done every second or so: closes what is dead, idle
    /// for too long or of an old generation; opens the minimum of idle connections.
    pub fn keep_up(self: &Arc<Self>) {
        self.sweep_lane(LANE.get());
        self.fill();
    }

    fn sweep_lane(&self, index: usize) {
        let Some(lane) = self.lanes.get(index).and_then(OnceLock::get) else { return };
        let keep = if self.keeps_minimum.get() == Some(&index) { self.options.min_idle } else { 0 };
        let mut kept = Vec::new();
        while let Some(mut lent) = lane.take() {
            let Some(connection) = lent.connection() else { continue };
            let position = u32::try_from(kept.len()).unwrap_or(u32::MAX);
            let idle_too_long = position >= keep
                && self.options.idle_timeout.is_some_and(|limit| connection.idle_since.elapsed() >= limit);
            if connection.is_stale() || idle_too_long || !self.manager.is_current(connection) {
                connection.break_it();
            } else {
                kept.push(lent);
            }
        }
        // All go back to bb8, which looks at their age; the most recently used one was first, and is to be
        // first again.
        while let Some(lent) = kept.pop() {
            drop(lent);
        }
    }
}

/// A place in line, given up when dropped.
struct Waiting<'a> {
    pool: &'a Arc<ServerPool>,
    lane: usize,
    receiver: Option<tokio::sync::oneshot::Receiver<()>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(mut receiver) = self.receiver.take() else { return };
        receiver.close();
        if receiver.try_recv().is_ok() {
            self.pool.gate.leave(self.lane);
        } else {
            drop(receiver);
            self.pool.gate.forget_closed();
        }
    }
}

/// One of the pool's permits.
#[derive(Debug)]
struct Permit {
    pool: Arc<ServerPool>,
    lane: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.gate.leave(self.lane);
    }
}

/// A server connection lent to a client. Dropping it gives the connection back, or closes it where it
/// may not serve another client.
#[derive(Debug)]
pub struct Lease {
    lent: Option<Lent>,
    /// The lane that the connection belongs to.
    lane: usize,
    // After `lent`: the connection is back before the next in line is let in.
    permit: Permit,
}

impl Lease {
    /// The pool it came from.
    pub fn pool(&self) -> &Arc<ServerPool> {
        &self.permit.pool
    }

    /// The connection.
    pub fn connection(&mut self) -> Option<&mut ServerConnection> {
        self.lent.as_mut()?.connection()
    }

    /// Closes the connection rather than giving it back.
    pub fn discard(mut self) {
        if let Some(connection) = self.connection() {
            connection.break_it();
        }
    }

    /// Gives the connection back; `now` is what a clock would say.
    pub fn give_back(mut self, now: Instant) {
        self.end(now);
    }

    fn end(&mut self, now: Instant) {
        let Some(mut lent) = self.lent.take() else { return };
        let Some(connection) = lent.connection() else { return };
        connection.idle_since = now;
        let pool = &self.permit.pool;
        let is_old = pool
            .options
            .max_lifetime
            .is_some_and(|limit| now.saturating_duration_since(connection.connected_at) >= limit);
        if !is_old
            && connection.is_reusable()
            && pool.manager.is_current(connection)
            && let Some(lane) = pool.lanes.get(self.lane).and_then(OnceLock::get)
        {
            lane.give(lent);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.lent.is_some() {
            self.end(Instant::now());
        }
    }
}
