//! Which nodes there are, and which pools lead to them: clusters, shards, users.
//!
//! Pools are made when a user first asks for a database, and kept until the configuration that made
//! them changes.

mod database;
mod directory;

pub use database::{checkout_error, Database, DatabaseStats, Prepared};
pub use directory::{ClusterSettings, Directory, PoolOverview, ShardSettings, UserCredential};
