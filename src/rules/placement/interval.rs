//! Intervals: time cut into equal pieces, which go round a list of shards in turn.

use crate::datum::calendar;
use crate::datum::key::KeyValue;
use crate::ids::{ShardId, ShardSet};
use std::ops::Bound;

/// The length of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Whole months of the calendar, from the first of a month at midnight.
    Months(u32),
    /// So many microseconds.
    Microseconds(i64),
}

/// Intervals of one length from an anchor on, in both directions; interval `n` lies on shard `n` modulo the
/// list's length. Timestamptz keys are cut in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntervalMap {
    step: Step,
    /// Where interval 0 begins: microseconds since 2000-01-01; with months, months since then.
    anchor: i64,
    shards: Box<[ShardId]>,
    all: ShardSet,
}

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

impl IntervalMap {
    /// `anchor` is the start of interval 0, in microseconds since 2000-01-01.
    ///
    /// `None` where there is no shard, the step is not above 0, or months do not start at a month's start.
    pub fn new(step: Step, anchor: i64, shards: Vec<ShardId>) -> Option<IntervalMap> {
        let (is_positive, anchor) = match step {
            Step::Microseconds(length) => (length > 0, anchor),
            Step::Months(count) => {
                let day = anchor.div_euclid(MICROSECONDS_PER_DAY);
                let (months, day_of_month) = calendar::months_and_day(day);
                if day_of_month != 1 || anchor.rem_euclid(MICROSECONDS_PER_DAY) != 0 {
                    return None;
                }
                (count > 0, months)
            }
        };
        let all = shards.iter().copied().collect();
        (is_positive && !shards.is_empty()).then(|| IntervalMap { step, anchor, shards: shards.into(), all })
    }

    /// The length of the intervals.
    pub fn step(&self) -> Step {
        self.step
    }

    /// Where interval 0 begins: microseconds since 2000-01-01; with months, months since then.
    pub fn anchor(&self) -> i64 {
        self.anchor
    }

    /// The shards, in turn.
    pub fn shards(&self) -> &[ShardId] {
        &self.shards
    }

    /// The shard of keys that start with this moment; `None` for the infinities, which lie in no interval.
    pub fn shard(&self, first: &KeyValue<'_>) -> Option<ShardId> {
        self.shard_of(self.number(first)?)
    }

    /// The shards that may hold keys whose first column lies between the bounds.
    pub fn between(&self, low: Bound<&KeyValue<'_>>, high: Bound<&KeyValue<'_>>) -> ShardSet {
        // An infinity, and what is not a moment, bounds nothing: the result may only be too large.
        let number = |bound: Bound<&KeyValue<'_>>, inwards: i8| match bound {
            Bound::Unbounded => None,
            Bound::Included(value) => self.number(value),
            Bound::Excluded(value) => self.number(&neighbour(value, inwards)),
        };
        let (Some(first), Some(last)) = (number(low, 1), number(high, -1)) else { return self.all.clone() };
        let count = last.saturating_sub(first).saturating_add(1);
        if count >= i64::try_from(self.shards.len()).unwrap_or(i64::MAX) {
            return self.all.clone();
        }
        (first..=last).filter_map(|number| self.shard_of(number)).collect()
    }

    /// The shards of the list.
    pub fn all(&self) -> &ShardSet {
        &self.all
    }

    fn shard_of(&self, number: i64) -> Option<ShardId> {
        let count = i64::try_from(self.shards.len()).ok()?;
        self.shards.get(usize::try_from(number.rem_euclid(count)).ok()?).copied()
    }

    /// The number of the interval that a moment lies in.
    fn number(&self, value: &KeyValue<'_>) -> Option<i64> {
        let (day, clock) = match *value {
            KeyValue::Date(day) if day != i32::MIN && day != i32::MAX => (i64::from(day), 0),
            KeyValue::Timestamp(moment) | KeyValue::Timestamptz(moment)
                if moment != i64::MIN && moment != i64::MAX =>
            {
                (moment.div_euclid(MICROSECONDS_PER_DAY), moment.rem_euclid(MICROSECONDS_PER_DAY))
            }
            _ => return None,
        };
        match self.step {
            Step::Months(count) => {
                Some((calendar::months_and_day(day).0 - self.anchor).div_euclid(i64::from(count)))
            }
            Step::Microseconds(length) => {
                // Dates reach further than timestamps: beyond 64 bits of microseconds.
                let moment = i128::from(day) * i128::from(MICROSECONDS_PER_DAY) + i128::from(clock);
                i64::try_from((moment - i128::from(self.anchor)).div_euclid(i128::from(length))).ok()
            }
        }
    }
}

/// The next day or microsecond in a direction.
fn neighbour(value: &KeyValue<'_>, direction: i8) -> KeyValue<'static> {
    match *value {
        KeyValue::Date(day) => KeyValue::Date(day.saturating_add(i32::from(direction))),
        KeyValue::Timestamp(moment) => KeyValue::Timestamp(moment.saturating_add(i64::from(direction))),
        KeyValue::Timestamptz(moment) => KeyValue::Timestamptz(moment.saturating_add(i64::from(direction))),
        _ => value.clone().into_owned(),
    }
}
