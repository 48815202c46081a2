//! Ranges: which shard holds the keys from a lower bound (included) to an upper one (excluded).

use crate::datum::key::KeyValue;
use crate::ids::{ShardId, ShardSet};
use std::cmp::Ordering;
use std::ops::Bound;

/// A bound of a range: the values of the first key columns, or of all.
///
/// Keys order by their first column, then the second, as rows do in Postgres. A bound of fewer columns lies
/// before all keys that start with it.
pub type Edge = Vec<KeyValue<'static>>;

/// One range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first key in it; `None` for no lower bound.
    pub from: Option<Edge>,
    /// The first key behind it; `None` for no upper bound.
    pub to: Option<Edge>,
    /// Where its rows lie.
    pub shard: ShardId,
}

impl Range {
    /// Whether the upper bound lies behind the lower one, so that a key may be in it.
    pub fn has_room(&self) -> bool {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => compare(from, to) == Some(Ordering::Less),
            _ => true,
        }
    }

    /// Whether a key may be in both.
    pub fn overlaps(&self, other: &Range) -> bool {
        let is_before = |a: &Range, b: &Range| match (&a.to, &b.from) {
            (Some(to), Some(from)) => compare(to, from) != Some(Ordering::Greater),
            _ => false,
        };
        self.has_room() && other.has_room() && !is_before(self, other) && !is_before(other, self)
    }
}

/// Ranges that do not overlap, in their order. Keys between them have no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeMap {
    ranges: Vec<Range>,
    all: ShardSet,
}

impl RangeMap {
    /// Sorts the ranges; `None` where two overlap or one has no room.
    pub fn new(mut ranges: Vec<Range>) -> Option<RangeMap> {
        ranges.sort_by(|a, b| match (&a.from, &b.from) {
            (Some(a), Some(b)) => compare(a, b).unwrap_or(Ordering::Equal),
            (a, b) => a.is_some().cmp(&b.is_some()),
        });
        let is_ordered = ranges.windows(2).all(|pair| matches!(pair, [a, b] if !a.overlaps(b)));
        let all = ranges.iter().map(|range| range.shard).collect();
        (is_ordered && ranges.iter().all(Range::has_room)).then_some(RangeMap { ranges, all })
    }

    /// The ranges in their order.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// The shard of a key; `None` for one in no range.
    pub fn shard(&self, key: &[KeyValue<'_>]) -> Option<ShardId> {
        let is_from_before = |range: &Range| {
            range.from.as_ref().is_none_or(|from| compare(from, key) != Some(Ordering::Greater))
        };
        let last = self.ranges.partition_point(is_from_before).checked_sub(1)?;
        let range = self.ranges.get(last)?;
        let is_in = range.to.as_ref().is_none_or(|to| compare(key, to) == Some(Ordering::Less));
        is_in.then_some(range.shard)
    }

    /// The shards that may hold keys whose first column lies between the bounds.
    pub fn between(&self, low: Bound<&KeyValue<'_>>, high: Bound<&KeyValue<'_>>) -> ShardSet {
        self.ranges.iter().filter(|range| reaches(range, low, high)).map(|range| range.shard).collect()
    }

    /// The shards that hold a range.
    pub fn all(&self) -> &ShardSet {
        &self.all
    }

    /// Keys that have no place, in words: `before 5`, `from 10 to 20`, `from 99`.
    pub fn gaps(&self) -> Vec<(Option<&Edge>, Option<&Edge>)> {
        let mut gaps = Vec::new();
        let mut end: Option<Option<&Edge>> = None;
        for range in &self.ranges {
            match (end, &range.from) {
                (None, Some(from)) => gaps.push((None, Some(from))),
                (Some(Some(to)), Some(from)) if compare(to, from) == Some(Ordering::Less) => {
                    gaps.push((Some(to), Some(from)));
                }
                _ => {}
            }
            end = Some(range.to.as_ref());
        }
        if let Some(Some(to)) = end {
            gaps.push((Some(to), None));
        }
        gaps
    }
}

/// Rows' order; a shorter one lies before all that it starts. `None` for values of different types.
fn compare(a: &[KeyValue<'_>], b: &[KeyValue<'_>]) -> Option<Ordering> {
    for (a, b) in a.iter().zip(b) {
        match a.compare(b)? {
            Ordering::Equal => {}
            order => return Some(order),
        }
    }
    Some(a.len().cmp(&b.len()))
}

/// Whether a range may hold a key whose first column lies between the bounds.
///
/// Values of a type that is not the key's do not compare, and exclude nothing.
fn reaches(range: &Range, low: Bound<&KeyValue<'_>>, high: Bound<&KeyValue<'_>>) -> bool {
    let is_above = match (range.to.as_deref(), low) {
        // Keys that start like an upper bound of more columns may lie before it; with one column none does.
        (Some([to, more @ ..]), Bound::Included(low)) => match low.compare(to) {
            Some(Ordering::Equal) => !more.is_empty(),
            order => order != Some(Ordering::Greater),
        },
        (Some([to, ..]), Bound::Excluded(low)) => {
            !matches!(low.compare(to), Some(Ordering::Greater | Ordering::Equal))
        }
        _ => true,
    };
    let is_below = match (range.from.as_deref(), high) {
        (Some([from, ..]), Bound::Included(high)) => high.compare(from) != Some(Ordering::Less),
        (Some([from, ..]), Bound::Excluded(high)) => {
            !matches!(high.compare(from), Some(Ordering::Less | Ordering::Equal))
        }
        _ => true,
    };
    is_above && is_below
}
