//! One thread's part of a pool: bb8's connections, and those that were in use a moment ago.

use super::manager::{LaneManager, Slot};
use crate::backend::ServerConnection;
use bb8::PooledConnection;
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A connection that bb8 has lent; dropping it gives it back, or closes it where it is broken or too old.
#[derive(Debug)]
pub(super) struct Lent(PooledConnection<'static, LaneManager>);

impl Lent {
    /// The connection.
    pub(super) fn connection(&mut self) -> Option<&mut ServerConnection> {
        self.0.as_deref_mut()
    }

    /// Takes the connection out for good.
    pub(super) fn take(&mut self) -> Slot {
        self.0.take()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lane {
    pool: bb8::Pool<LaneManager>,
    /// Idle connections that bb8 has still lent, the most recently used one last: giving one back and taking
    /// it again costs a short lock, where bb8's costs a hundred times as much.
    shelf: Mutex<Vec<Lent>>,
}

impl Lane {
    pub(super) fn new(pool: bb8::Pool<LaneManager>) -> Self {
        Lane { pool, shelf: Mutex::default() }
    }

    fn shelf(&self) -> MutexGuard<'_, Vec<Lent>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many idle connections it has.
    pub(super) fn idle(&self) -> u32 {
        let shelved = u32::try_from(self.shelf().len()).unwrap_or(u32::MAX);
        self.pool.state().idle_connections.saturating_add(shelved)
    }

    /// The most recently used idle connection; never waits.
    pub(super) fn take(&self) -> Option<Lent> {
        self.take_suited(|_| true)
    }

    /// The most recently used idle connection that suits.
    pub(super) fn take_suited(&self, suits: impl Fn(&ServerConnection) -> bool) -> Option<Lent> {
        let suits = |lent: &Lent| lent.0.as_deref().is_some_and(&suits);
        let shelved = {
            let mut shelf = self.shelf();
            shelf.iter().rposition(suits).map(|at| shelf.remove(at))
        };
        shelved.or_else(|| {
            let mut others = Vec::new();
            let found = loop {
                match self.take_pooled() {
                    Some(lent) if !suits(&lent) => others.push(lent),
                    found => break found,
                }
            };
            self.shelf().append(&mut others);
            found
        })
    }

    fn take_pooled(&self) -> Option<Lent> {
        if self.pool.state().idle_connections == 0 {
            return None;
        }
        let get = pin!(self.pool.get_owned());
        match get.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(lent)) => Some(Lent(lent)),
            _ => None,
        }
    }

    /// Takes one of its connections back that may serve another client at once.
    pub(super) fn give(&self, lent: Lent) {
        self.shelf().push(lent);
    }

    /// Adds a connection of another lane, or a new one; whether there was room.
    pub(super) fn add(&self, connection: Slot) -> bool {
        self.pool.add(connection).is_ok()
    }
}
