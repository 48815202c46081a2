//! Bucket maps as the store holds them: ranges of buckets with their shards' names. Pure.

use crate::ids::ShardId;
use crate::rules::BucketMap;

/// Buckets `first` to `last`, both included, that lie on one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketRange {
    /// The first bucket.
    pub first: u32,
    /// The last bucket.
    pub last: u32,
    /// The shard's name.
    pub shard: String,
}

/// Ranges that are no map of this cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMap {
    /// A bucket is in no range or in two, or the number of buckets is not a power of two.
    #[error(
        "the bucket map of group \"{group}\" in the store does not name one shard for each of {buckets} buckets"
    )]
    NotWhole {
        /// The group.
        group: String,
        /// How many buckets it should have.
        buckets: u32,
    },
    /// The configuration lacks a shard that holds buckets.
    #[error(
        "shard \"{shard}\" holds buckets of group \"{group}\", but the configuration has no shard of that name"
    )]
    ShardIsGone {
        /// The group.
        group: String,
        /// The shard.
        shard: String,
    },
}

/// The map as ranges, each as long as can be.
pub fn ranges_of(map: &BucketMap, shards: &[String]) -> Vec<BucketRange> {
    let mut ranges: Vec<BucketRange> = Vec::new();
    for (bucket, shard) in (0_u32..).zip(map.as_slice()) {
        let name = shards.get(shard.index()).map_or("", String::as_str);
        match ranges.last_mut() {
            Some(range) if range.shard == name => range.last = bucket,
            _ => ranges.push(BucketRange { first: bucket, last: bucket, shard: name.to_owned() }),
        }
    }
    ranges
}

/// The map that ranges, in any order, make.
///
/// # Errors
/// See [`BadMap`].
pub fn map_of(
    group: &str,
    buckets: u32,
    ranges: &[BucketRange],
    shards: &[String],
) -> Result<BucketMap, BadMap> {
    let not_whole = || BadMap::NotWhole { group: group.to_owned(), buckets };
    let mut sorted: Vec<&BucketRange> = ranges.iter().collect();
    sorted.sort_by_key(|range| range.first);
    let mut map: Vec<ShardId> = Vec::new();
    for range in sorted {
        let position = shards.iter().position(|name| *name == range.shard);
        let gone = || BadMap::ShardIsGone { group: group.to_owned(), shard: range.shard.clone() };
        let shard = position.and_then(|at| u16::try_from(at).ok()).map(ShardId).ok_or_else(gone)?;
        if u32::try_from(map.len()) != Ok(range.first) || range.last < range.first || range.last >= buckets {
            return Err(not_whole());
        }
        map.extend((range.first..=range.last).map(|_| shard));
    }
    if u32::try_from(map.len()) != Ok(buckets) {
        return Err(not_whole());
    }
    BucketMap::new(map).ok_or_else(not_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn range(first: u32, last: u32, shard: &str) -> BucketRange {
        BucketRange { first, last, shard: shard.to_owned() }
    }

    #[test]
    fn a_map_survives_the_store_whatever_the_order_of_ranges_and_shards() {
        let map = BucketMap::default_map(4096, 3);
        let mut ranges = ranges_of(&map, &names(&["a", "b", "c"]));
        assert_eq!(ranges, [range(0, 1365, "a"), range(1366, 2730, "b"), range(2731, 4095, "c")]);
        ranges.reverse();
        assert_eq!(map_of("g", 4096, &ranges, &names(&["a", "b", "c"])), Ok(map));
        // The file names the shards in another order, and one more: nothing moves.
        let other = map_of("g", 4096, &ranges, &names(&["new", "c", "b", "a"])).unwrap();
        assert_eq!(other.shard(0), ShardId(3));
        assert_eq!(other.shard(2000), ShardId(2));
        assert_eq!(other.shard(4095), ShardId(1));
        assert!(!other.all().contains(ShardId(0)));
    }

    #[test]
    fn a_shard_that_holds_buckets_cannot_be_removed() {
        let ranges = [range(0, 3, "a"), range(4, 7, "b")];
        let gone = BadMap::ShardIsGone { group: "g".to_owned(), shard: "b".to_owned() };
        assert_eq!(map_of("g", 8, &ranges, &names(&["a"])), Err(gone));
        assert!(map_of("g", 8, &[range(0, 7, "a")], &names(&["a"])).is_ok());
    }

    #[test]
    fn ranges_that_leave_a_bucket_out_or_name_one_twice_are_no_map() {
        let shards = names(&["a", "b"]);
        for bad in [
            vec![],
            vec![range(0, 3, "a")],
            vec![range(0, 3, "a"), range(5, 7, "b")],
            vec![range(0, 4, "a"), range(4, 7, "b")],
            vec![range(0, 8, "a")],
            vec![range(0, 7, "a"), range(0, 7, "b")],
            vec![range(0, u32::MAX, "a")],
        ] {
            let found = map_of("g", 8, &bad, &shards);
            assert_eq!(found, Err(BadMap::NotWhole { group: "g".to_owned(), buckets: 8 }), "{bad:?}");
        }
        assert!(map_of("g", 6, &[range(0, 5, "a")], &shards).is_err());
    }
}
