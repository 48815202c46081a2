//! Sharding rules: which table lies where.
//!
//! [`Rules`] is the validated, immutable form: colocation groups with their bucket maps, sharded tables,
//! single tables. Everything without a rule is single, on the home shard.

mod bucket;
mod raw;
mod validate;

pub use bucket::BucketMap;
pub use raw::RawRules;
pub use validate::read;

use crate::ids::ShardId;

/// A colocation group's place in [`Rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u16);

/// The validated rules of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    home: ShardId,
    shards: Vec<String>,
    groups: Vec<Group>,
    sharded: Vec<ShardedTable>,
    singles: Vec<SingleTable>,
}

/// Tables whose equal keys lie on the same shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// As the rules name it.
    pub name: String,
    /// Where its buckets lie.
    pub map: BucketMap,
}

/// A table whose rows lie on the shard of their key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardedTable {
    /// Schema, as Postgres stores it.
    pub schema: String,
    /// Table.
    pub table: String,
    /// Key column.
    pub key: String,
    /// Colocation group.
    pub group: GroupId,
}

/// A table that lies whole on one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SingleTable {
    /// Schema, as Postgres stores it.
    pub schema: String,
    /// Table.
    pub table: String,
    /// Where it lies.
    pub shard: ShardId,
}

impl Rules {
    /// Rules for a cluster without sharded tables: everything on the home shard.
    pub fn unsharded(shards: Vec<String>, home: ShardId) -> Rules {
        Rules { home, shards, groups: Vec::new(), sharded: Vec::new(), singles: Vec::new() }
    }

    /// How many shards the cluster has.
    pub fn shard_count(&self) -> u16 {
        u16::try_from(self.shards.len()).unwrap_or(u16::MAX)
    }

    /// The shards' names, in shard order.
    pub fn shard_names(&self) -> &[String] {
        &self.shards
    }

    /// The colocation group of this id.
    pub fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(usize::from(id.0))
    }

    /// The sharded tables.
    pub fn sharded(&self) -> &[ShardedTable] {
        &self.sharded
    }

    /// The tables that a rule names as single.
    pub fn singles(&self) -> &[SingleTable] {
        &self.singles
    }

    /// Whether any table is sharded.
    pub fn has_sharded(&self) -> bool {
        !self.sharded.is_empty()
    }

    /// The home shard.
    pub fn home(&self) -> ShardId {
        self.home
    }
}
