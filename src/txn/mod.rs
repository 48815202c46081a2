//! Transactions over several shards, the part that is plain values: what their prepared transactions are called, and
//! what becomes of those that were left behind.
//!
//! One of the shards that wrote is the *decider*. Its own transaction holds the decision record before any other shard
//! prepares; its COMMIT is the decision. So a prepared transaction's outcome is one row on the decider, and who finds
//! none there can make it *aborted* under the same key: that waits until the decider's transaction has ended, and
//! then either meets its record or takes its place (docs/decisions/0003-two-phase-names.md).
//!
//! Must not: know a connection.

pub mod gid;
pub mod verdict;

pub use gid::{BadGid, Gid, ShardTag, Transaction};
