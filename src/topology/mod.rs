//! Which nodes there are, and which pools lead to them: clusters, shards, users.
//!
//! Pools are made when a user first asks for a database, and kept until the configuration that made
//! them changes.

mod database;
mod directory;
mod hidden;

pub use database::{Database, DatabaseStats, Prepared, checkout_error};
pub use directory::{ClusterSettings, Directory, PoolOverview, ShardSettings, UserCredential};
