//! Runs the proxy from a configuration.

use crate::config::ConfigStore;
use std::sync::Arc;

/// Why the proxy ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is nothing to run.
    #[error("this build has no proxy to run")]
    NotBuilt,
}

/// Serves clients until the process is told to stop.
///
/// # Errors
/// [`ServeError`].
pub fn run(_store: Arc<ConfigStore>) -> Result<(), ServeError> {
    Err(ServeError::NotBuilt)
}
