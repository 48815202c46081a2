//! Lists: which shard holds the keys of a value of the first key column.

use crate::datum::key::{self, KeyValue};
use crate::ids::{ShardId, ShardSet};
use std::cmp::Ordering;
use std::ops::Bound;

/// Values of the first key column with their shards. Other values have no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListMap {
    /// By hash, for looking up; values of equal hash in any order.
    entries: Vec<(u64, KeyValue<'static>, ShardId)>,
    all: ShardSet,
}

impl ListMap {
    /// Takes values with their shards; `None` where a value is there twice.
    pub fn new(values: Vec<(KeyValue<'static>, ShardId)>) -> Option<ListMap> {
        let hashed = |(value, shard)| (key::hash(std::slice::from_ref(&value)), value, shard);
        let mut entries: Vec<(u64, KeyValue<'static>, ShardId)> = values.into_iter().map(hashed).collect();
        entries.sort_by_key(|(hash, ..)| *hash);
        let is_twice = |a: usize| {
            let Some((hash, value, _)) = entries.get(a) else { return false };
            let after = entries.iter().skip(a + 1).take_while(|(other, ..)| other == hash);
            after.clone().any(|(_, other, _)| other == value)
        };
        let is_distinct = !(0..entries.len()).any(is_twice);
        let all = entries.iter().map(|(.., shard)| *shard).collect();
        is_distinct.then_some(ListMap { entries, all })
    }

    /// The values with their shards, in no particular order.
    pub fn values(&self) -> impl Iterator<Item = (&KeyValue<'static>, ShardId)> {
        self.entries.iter().map(|(_, value, shard)| (value, *shard))
    }

    /// The shard of keys that start with this value; `None` for one in no list.
    pub fn shard(&self, first: &KeyValue<'_>) -> Option<ShardId> {
        let hash = key::hash(std::slice::from_ref(first));
        let start = self.entries.partition_point(|(other, ..)| *other < hash);
        let same = self.entries.iter().skip(start).take_while(|(other, ..)| *other == hash);
        same.clone().find(|(_, value, _)| value == first).map(|(.., shard)| *shard)
    }

    /// The shards that may hold keys whose first column lies between the bounds.
    pub fn between(&self, low: Bound<&KeyValue<'_>>, high: Bound<&KeyValue<'_>>) -> ShardSet {
        let is_in = |value: &KeyValue<'static>| {
            let (above, below) = (|b: &KeyValue<'_>| b.compare(value), |b: &KeyValue<'_>| value.compare(b));
            !is_beyond(low, above) && !is_beyond(high, below)
        };
        self.values().filter(|(value, _)| is_in(value)).map(|(_, shard)| shard).collect()
    }

    /// The shards that hold a value.
    pub fn all(&self) -> &ShardSet {
        &self.all
    }
}

/// Whether a bound excludes the value that `compare` compares it with; what does not compare excludes nothing.
fn is_beyond<T>(bound: Bound<T>, compare: impl Fn(T) -> Option<Ordering>) -> bool {
    match bound {
        Bound::Unbounded => false,
        Bound::Included(bound) => compare(bound) == Some(Ordering::Greater),
        Bound::Excluded(bound) => matches!(compare(bound), Some(Ordering::Greater | Ordering::Equal)),
    }
}
