//! Where the rows of a colocation group lie: the sharding functions as values.
//!
//! Pure look-ups; they know no table.

mod bucket;
mod interval;
mod list;
mod range;

#[cfg(test)]
mod tests;

pub use bucket::BucketMap;
pub use interval::{IntervalMap, Step};
pub use list::ListMap;
pub use range::{Edge, Range, RangeMap};

use crate::datum::hash::hash_int8;
use crate::datum::key::{self, KeyValue};
use crate::ids::{ShardId, ShardSet};
use std::ops::Bound;

/// A group's sharding function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// By the hash of all key columns.
    Hash(BucketMap),
    /// By ranges of keys.
    Range(RangeMap),
    /// By listed values of the first key column.
    List(ListMap),
    /// By intervals of time of the first key column.
    Interval(IntervalMap),
}

impl Placement {
    /// As the rules name the function.
    pub fn name(&self) -> &'static str {
        match self {
            Placement::Hash(_) => "hash",
            Placement::Range(_) => "range",
            Placement::List(_) => "list",
            Placement::Interval(_) => "interval",
        }
    }

    /// The shard of a whole key, one value for each key column.
    ///
    /// `None` where the key has no place: a row with it is refused (`23514`), and a search for it finds no
    /// row on any shard.
    #[inline]
    pub fn shard(&self, key: &[KeyValue<'_>]) -> Option<ShardId> {
        // The common case first: most keys are one integer, and this is done for each statement.
        if let (Placement::Hash(map), [KeyValue::Int8(value)]) = (self, key) {
            return Some(map.shard(hash_int8(*value, 0)));
        }
        self.shard_of_any(key)
    }

    fn shard_of_any(&self, key: &[KeyValue<'_>]) -> Option<ShardId> {
        match self {
            Placement::Hash(map) => {
                // A shard could not recompute the place: an infinite date has no day number.
                let is_placed = !key.iter().any(KeyValue::is_infinite_date);
                is_placed.then(|| map.shard(key::hash(key)))
            }
            Placement::Range(map) => map.shard(key),
            Placement::List(map) => map.shard(key.first()?),
            Placement::Interval(map) => map.shard(key.first()?),
        }
    }

    /// The shards that may hold keys whose first column lies between the bounds: too many perhaps, never too
    /// few. Texts are compared as under collation C.
    ///
    /// Under hash, all shards that hold buckets, also for `low` and `high` alike.
    pub fn between(&self, low: Bound<&KeyValue<'_>>, high: Bound<&KeyValue<'_>>) -> ShardSet {
        match self {
            Placement::Hash(map) => map.all().clone(),
            Placement::Range(map) => map.between(low, high),
            Placement::List(map) => map.between(low, high),
            Placement::Interval(map) => map.between(low, high),
        }
    }

    /// The shards that may hold rows; the others hold empty tables.
    pub fn all(&self) -> ShardSet {
        match self {
            Placement::Hash(map) => map.all(),
            Placement::Range(map) => map.all(),
            Placement::List(map) => map.all(),
            Placement::Interval(map) => map.all(),
        }
        .clone()
    }
}
