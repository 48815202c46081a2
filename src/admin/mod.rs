//! The admin database `howdah`.

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
}

impl Admin {
    /// For the running service.
    pub fn new(service: Arc<Service>, store: Arc<ConfigStore>) -> Arc<Self> {
        Arc::new(Admin { service, store })
    }
}

impl AdminDatabase for Admin {
    fn is_admin(&self, user: &str) -> bool {
        self.store.current().is_admin(user)
    }

    fn serve(
        self: Arc<Self>,
        _stream: Stream,
        _read_ahead: Vec<u8>,
        _handle: Arc<ClientHandle>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let _clients = self.service.registry.len();
        Box::pin(async {})
    }
}
