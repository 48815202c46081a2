//! The admin database `howdah`: what clients of it are told and may do.
//!
//! | module | owns |
//! | --- | --- |
//! | `command` | text to commands |
//! | `client` | one client: socket, messages, both protocols |
//! | `conversation` | what a client's messages lead to: statements, portals, transaction status |
//! | `control` | RELOAD, PAUSE, RESUME, RECONNECT, KILL, SHUTDOWN |
//! | `show` | the tables of SHOW |
//! | `table`, `clock` | values as bytes, moments as dates |
//!
//! It reads what the layers below keep anyway; nothing here is on a statement's way.

mod client;
mod clock;
mod command;
mod control;
mod conversation;
mod show;
mod table;

use crate::config::ConfigStore;
use crate::frontend::{AdminDatabase, ClientHandle, Service};
use crate::net::stream::Stream;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Serves the admin database.
#[derive(Debug)]
pub struct Admin {
    service: Arc<Service>,
    store: Arc<ConfigStore>,
    averages: show::Averages,
}

impl Admin {
    /// For the running service.
    pub fn new(service: Arc<Service>, store: Arc<ConfigStore>) -> Arc<Self> {
        let averages = show::Averages::since(service.started_at);
        Arc::new(Admin { service, store, averages })
    }
}

impl AdminDatabase for Admin {
    fn is_admin(&self, user: &str) -> bool {
        self.store.current().is_admin(user)
    }

    fn serve(
        self: Arc<Self>,
        stream: Stream,
        read_ahead: Vec<u8>,
        handle: Arc<ClientHandle>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(client::serve(self, stream, read_ahead, handle))
    }
}
