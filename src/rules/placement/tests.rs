//! Placements against models that look at every key of a small domain.

use super::{BucketMap, IntervalMap, ListMap, Placement, Range, RangeMap, Step};
use crate::datum::key::KeyValue;
use crate::ids::{ShardId, ShardSet};
use proptest::prelude::*;
use std::ops::Bound;

fn int(value: i64) -> KeyValue<'static> {
    KeyValue::Int8(value)
}

/// A bound of the domain.
fn bound() -> impl Strategy<Value = Bound<i64>> {
    prop_oneof![
        Just(Bound::Unbounded),
        (-25_i64..25).prop_map(Bound::Included),
        (-25_i64..25).prop_map(Bound::Excluded),
    ]
}

fn is_between(key: i64, low: Bound<i64>, high: Bound<i64>) -> bool {
    let is_above = match low {
        Bound::Unbounded => true,
        Bound::Included(low) => key >= low,
        Bound::Excluded(low) => key > low,
    };
    let is_below = match high {
        Bound::Unbounded => true,
        Bound::Included(high) => key <= high,
        Bound::Excluded(high) => key < high,
    };
    is_above && is_below
}

/// What every placement must hold for keys of one column: `shard` is what the model says, and `between` has
/// the shards of all keys between the bounds, and no other than `may` allows.
fn check(
    placement: &Placement,
    model: impl Fn(i64) -> Option<ShardId>,
    (low, high): (Bound<i64>, Bound<i64>),
    value: impl Fn(i64) -> KeyValue<'static>,
) -> ShardSet {
    let (low_value, high_value) = (low.map(&value), high.map(&value));
    let between = placement.between(low_value.as_ref(), high_value.as_ref());
    for key in -30..30 {
        let shard = placement.shard(&[value(key)]);
        assert_eq!(shard, model(key), "{key}");
        if let Some(shard) = shard {
            assert!(placement.all().contains(shard));
            assert!(!is_between(key, low, high) || between.contains(shard), "{key} {low:?} {high:?}");
        }
    }
    assert_eq!(between.intersect(&placement.all()), between);
    between
}

proptest! {
    #[test]
    fn ranges_hold_what_a_scan_finds(
        cuts in prop::collection::btree_set(-20_i64..20, 0..8),
        shards in prop::collection::vec(prop::option::of(0_u16..5), 9),
        low in bound(),
        high in bound(),
        seed in any::<usize>(),
    ) {
        let cuts: Vec<i64> = cuts.into_iter().collect();
        let edge = |at: Option<usize>| at.and_then(|at| cuts.get(at)).map(|cut| vec![int(*cut)]);
        let mut ranges: Vec<Range> = (0..=cuts.len())
            .filter_map(|number| {
                let shard = ShardId(shards[number]?);
                Some(Range { from: edge(number.checked_sub(1)), to: edge(Some(number)), shard })
            })
            .collect();
        if !ranges.is_empty() {
            let middle = seed % ranges.len();
            ranges.rotate_left(middle);
        }
        let placement = Placement::Range(RangeMap::new(ranges).unwrap());
        let model = |key: i64| {
            let number = cuts.iter().filter(|cut| **cut <= key).count();
            shards[number].map(ShardId)
        };
        let between = check(&placement, model, (low, high), int);
        // No range is asked that ends before the bounds begin, or begins behind their end.
        let Placement::Range(map) = &placement else { unreachable!() };
        let first = |edge: &Option<Vec<KeyValue<'static>>>| edge.as_ref().map(|edge| edge[0].clone());
        let touches = |range: &Range| {
            let (from, to) = (first(&range.from), first(&range.to));
            let is_past = match (&to, low) {
                (Some(KeyValue::Int8(to)), Bound::Included(low) | Bound::Excluded(low)) => low >= *to,
                _ => false,
            };
            let is_ahead = match (&from, high) {
                (Some(KeyValue::Int8(from)), Bound::Included(high)) => high < *from,
                (Some(KeyValue::Int8(from)), Bound::Excluded(high)) => high <= *from,
                _ => false,
            };
            !is_past && !is_ahead
        };
        let expected: ShardSet = map.ranges().iter().filter(|range| touches(range)).map(|range| range.shard).collect();
        prop_assert_eq!(between, expected);
    }

    #[test]
    fn lists_hold_what_they_name(
        values in prop::collection::btree_map(-20_i64..20, 0_u16..5, 0..12),
        low in bound(),
        high in bound(),
    ) {
        let entries: Vec<_> = values.iter().map(|(key, shard)| (int(*key), ShardId(*shard))).collect();
        let placement = Placement::List(ListMap::new(entries).unwrap());
        let between = check(&placement, |key| values.get(&key).copied().map(ShardId), (low, high), int);
        let expected: ShardSet =
            values.iter().filter(|(key, _)| is_between(**key, low, high)).map(|(_, shard)| ShardId(*shard)).collect();
        prop_assert_eq!(between, expected);
    }

    #[test]
    fn intervals_go_round_their_shards(
        days in 1_i64..9,
        anchor in -20_i64..20,
        shards in prop::collection::vec(0_u16..5, 1..6),
        low in bound(),
        high in bound(),
    ) {
        const DAY: i64 = 86_400_000_000;
        let list: Vec<ShardId> = shards.iter().copied().map(ShardId).collect();
        let map = IntervalMap::new(Step::Microseconds(days * DAY), anchor * DAY, list.clone()).unwrap();
        let placement = Placement::Interval(map);
        let model = |key: i64| {
            let number = (key - anchor).div_euclid(days);
            Some(list[number.rem_euclid(list.len() as i64) as usize])
        };
        let as_date = |key: i64| KeyValue::Date(key as i32);
        let between = check(&placement, model, (low, high), as_date);
        if let (Bound::Included(_) | Bound::Excluded(_), Bound::Included(_) | Bound::Excluded(_)) = (low, high) {
            let expected: ShardSet = (-30..30).filter(|key| is_between(*key, low, high)).filter_map(model).collect();
            prop_assert!(expected.is_empty() || between == expected, "{:?} {:?}", between, expected);
        }
        check(&placement, model, (low, high), |key| KeyValue::Timestamp(key * DAY));
        check(&placement, model, (low, high), |key| KeyValue::Timestamptz(key * DAY + DAY - 1));
    }

    #[test]
    fn hashes_ask_every_shard_that_holds_a_bucket(
        buckets in prop::collection::vec(0_u16..5, 8),
        low in bound(),
        high in bound(),
    ) {
        let map = BucketMap::new(buckets.into_iter().map(ShardId).collect()).unwrap();
        let placement = Placement::Hash(map.clone());
        let model = |key: i64| Some(map.shard(crate::datum::hash::hash_int8(key, 0)));
        prop_assert_eq!(check(&placement, model, (low, high), int), placement.all());
    }
}

#[test]
fn infinite_dates_have_no_hash_and_no_interval() {
    let hash = Placement::Hash(BucketMap::default_map(4, 3));
    let interval = Placement::Interval(IntervalMap::new(Step::Months(1), 0, vec![ShardId(2)]).unwrap());
    for day in [i32::MIN, i32::MAX] {
        assert_eq!(hash.shard(&[KeyValue::Date(day)]), None);
        assert_eq!(hash.shard(&[KeyValue::Int8(1), KeyValue::Date(day)]), None);
        assert_eq!(interval.shard(&[KeyValue::Date(day)]), None);
        let infinity = KeyValue::Date(day);
        let between = interval.between(Bound::Included(&KeyValue::Date(5)), Bound::Included(&infinity));
        assert_eq!(between, ShardSet::one(ShardId(2)));
    }
    assert!(hash.shard(&[KeyValue::Timestamp(i64::MAX)]).is_some());
}

#[test]
fn maps_that_would_place_a_key_twice_are_none() {
    let range = |from: i64, to: i64| Range {
        from: Some(vec![int(from)]),
        to: Some(vec![int(to)]),
        shard: ShardId(0),
    };
    assert!(RangeMap::new(vec![range(1, 5), range(5, 9)]).is_some());
    assert!(RangeMap::new(vec![range(1, 5), range(4, 9)]).is_none());
    assert!(RangeMap::new(vec![range(5, 5)]).is_none());
    assert!(ListMap::new(vec![(int(1), ShardId(0)), (int(1), ShardId(1))]).is_none());
    assert!(IntervalMap::new(Step::Months(1), 86_400_000_000, vec![ShardId(0)]).is_none());
    assert!(IntervalMap::new(Step::Microseconds(0), 0, vec![ShardId(0)]).is_none());
    assert!(IntervalMap::new(Step::Months(1), 0, Vec::new()).is_none());
}

#[test]
fn gaps_are_what_lies_between_ranges() {
    let (one, five, nine) = (vec![int(1)], vec![int(5)], vec![int(9)]);
    let range = |from: &[KeyValue<'static>], to: Option<&[KeyValue<'static>]>| Range {
        from: Some(from.to_vec()),
        to: to.map(<[_]>::to_vec),
        shard: ShardId(0),
    };
    let map = RangeMap::new(vec![range(&nine, None), range(&one, Some(&five))]).unwrap();
    assert_eq!(map.gaps(), [(None, Some(&one)), (Some(&five), Some(&nine))]);
    let whole = RangeMap::new(vec![Range { from: None, to: None, shard: ShardId(0) }]).unwrap();
    assert_eq!(whole.gaps(), []);
}
