//! The bucket map: which shard holds a bucket of a colocation group.

use crate::ids::{ShardId, ShardSet};
use std::fmt;

/// Bucket to shard, as a table look-up.
#[derive(Clone, PartialEq, Eq)]
pub struct BucketMap {
    /// A power of two of them.
    shards: Box<[ShardId]>,
    /// Those that hold a bucket: asked for by every statement without a key.
    all: ShardSet,
}

impl BucketMap {
    /// A map as the store holds it; `None` where the number of buckets is not a power of two.
    pub fn new(shards: Vec<ShardId>) -> Option<BucketMap> {
        shards.len().is_power_of_two().then(|| BucketMap::of(shards))
    }

    /// The map that a new cluster starts with: bucket `b` of `buckets` on shard ⌊b·n/buckets⌋ of n.
    ///
    /// `buckets` must be a power of two and `shards` not 0; other numbers are raised to the next that is.
    pub fn default_map(buckets: u32, shards: u16) -> BucketMap {
        let buckets = u64::from(buckets.max(1)).next_power_of_two();
        let n = u64::from(shards.max(1));
        BucketMap::of(
            (0..buckets).map(|bucket| ShardId(u16::try_from(bucket * n / buckets).unwrap_or(0))).collect(),
        )
    }

    fn of(shards: Vec<ShardId>) -> BucketMap {
        let all = shards.iter().copied().collect();
        BucketMap { shards: shards.into(), all }
    }

    /// The shard that holds the bucket of `hash`: its low bits.
    #[inline]
    pub fn shard(&self, hash: u64) -> ShardId {
        let bucket = hash & (self.shards.len() as u64 - 1);
        self.shards.get(bucket as usize).copied().unwrap_or(ShardId(0))
    }

    /// How many buckets there are.
    pub fn buckets(&self) -> usize {
        self.shards.len()
    }

    /// The shard of each bucket, from bucket 0.
    pub fn as_slice(&self) -> &[ShardId] {
        &self.shards
    }

    /// The shards that hold a bucket.
    pub fn all(&self) -> &ShardSet {
        &self.all
    }
}

/// Runs of buckets on one shard, so that thousands of them can be read: `0..1366: 0, 1366..2731: 1, ...`.
impl fmt::Debug for BucketMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut runs = f.debug_map();
        let mut start = 0;
        for run in self.shards.chunk_by(|a, b| a == b) {
            runs.entry(&(start..start + run.len()), &run.first().map_or(0, |shard| shard.0));
            start += run.len();
        }
        runs.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_map_spreads_buckets_evenly_and_in_order() {
        for shards in [1_u16, 2, 3, 5, 64] {
            let map = BucketMap::default_map(4096, shards);
            for bucket in 0..4096_u64 {
                let expected = bucket * u64::from(shards) / 4096;
                assert_eq!(u64::from(map.shard(bucket).0), expected);
                assert_eq!(map.shard(bucket | 0xabcd_0000), map.shard(bucket));
            }
            assert_eq!(*map.all(), ShardSet::all(shards));
            assert_eq!(BucketMap::new(map.as_slice().to_vec()), Some(map));
        }
        assert_eq!(format!("{:?}", BucketMap::default_map(8, 3)), "{0..3: 0, 3..6: 1, 6..8: 2}");
        assert_eq!(BucketMap::new(vec![ShardId(0); 3]), None);
        assert_eq!(BucketMap::new(Vec::new()), None);
    }
}
