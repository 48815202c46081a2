//! Whose notifications come: a NotificationResponse tells the process id of the server that sent it, and clients
//! compare that with the id that they were told at login, which is Howdah's.
//!
//! A client that listens keeps its server connection, so no other's notification is ever told under its own id.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A server process: its server's address, if that is one of TCP, and its id there.
type Process = (Option<SocketAddr>, i32);

/// One server connection as the sender of notifications.
#[derive(Debug, Default)]
pub struct Sender {
    server: Option<SocketAddr>,
    client: AtomicI32,
}

impl Sender {
    /// The client of this process id uses the connection from now on.
    pub fn used_by(&self, client: i32) {
        self.client.store(client, Ordering::Relaxed);
    }
}

/// The senders of the process.
#[derive(Debug, Default)]
pub struct Senders {
    known: Mutex<HashMap<Process, Weak<Sender>>>,
}

impl Senders {
    /// Notes a connection to `server`, whose process there has the id `process_id`.
    pub fn add(&self, server: Option<SocketAddr>, process_id: i32) -> Arc<Sender> {
        let sender = Arc::new(Sender { server, client: AtomicI32::new(0) });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == known.capacity() {
            known.retain(|_, sender| sender.strong_count() > 0);
        }
        known.insert((server, process_id), Arc::downgrade(&sender));
        sender
    }

    /// The client that last used the process `process_id` of the server that `listener` is connected to.
    pub fn client_of(&self, listener: &Sender, process_id: i32) -> Option<i32> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = known.get(&(listener.server, process_id))?.upgrade()?;
        Some(sender.client.load(Ordering::Relaxed)).filter(|client| *client != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_one_servers_and_known_as_long_as_its_connection() {
        let senders = Senders::default();
        let address = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        let (one, other) = (senders.add(address(1), 7), senders.add(address(2), 7));
        assert_eq!(senders.client_of(&one, 7), None, "nobody used it");
        one.used_by(100);
        other.used_by(200);
        assert_eq!(senders.client_of(&one, 7), Some(100));
        assert_eq!(senders.client_of(&other, 7), Some(200));
        assert_eq!(senders.client_of(&other, 8), None);
        drop(one);
        let listener = senders.add(address(1), 8);
        assert_eq!(senders.client_of(&listener, 7), None);
        (0..1000).for_each(|id| drop(senders.add(address(1), id)));
        assert!(senders.known.lock().unwrap().len() < 100, "what is gone is forgotten");
    }
}
