//! Intervals of time.

use super::Check;
use crate::datum::key::KeyValue;
use crate::diagnostic::{At, SourceText};
use crate::ids::ShardId;
use crate::rules::KeyType;
use crate::rules::placement::{IntervalMap, Step};
use crate::rules::raw::{RawGroup, RawValue};

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;
/// Longest interval, in months and days: beyond it every key lies in one.
const MONTHS_MAX: u32 = 12_000;
const DAYS_MAX: i64 = 366_000;

impl Check<'_> {
    pub(super) fn interval(
        &mut self,
        source: &SourceText,
        (group, interval): (&RawGroup, &At<String>),
        key_types: &[KeyType],
    ) -> Option<IntervalMap> {
        let key_type = key_types.first().copied()?;
        if !matches!(key_type, KeyType::Date | KeyType::Timestamp | KeyType::Timestamptz) {
            let span = group.key_type.as_ref().map_or(interval.span(), At::span);
            let found = format!("intervals of the first key column, which is {key_type}");
            self.error(source, span, found, "date, timestamp, timestamptz");
            return None;
        }
        let step = self.step(source, interval, key_type);
        let anchor = match &group.anchor {
            Some(anchor) => self.anchor(source, anchor, key_type),
            None => Some(0),
        };
        let shards = match &group.shards {
            Some(shards) => self.interval_shards(source, shards),
            None => Some((0..self.rules.shard_count()).map(ShardId).collect()),
        };
        let (step, anchor, shards) = (step?, anchor?, shards?);
        let map = IntervalMap::new(step, anchor, shards);
        if let (None, Some(raw)) = (&map, &group.anchor) {
            let found = "intervals of months cannot begin there".to_owned();
            self.error(source, raw.span(), found, "the first day of a month, at midnight");
        }
        map
    }

    fn step(&mut self, source: &SourceText, raw: &At<String>, key_type: KeyType) -> Option<Step> {
        let step = step(raw.get());
        let is_whole = |step: &Step| match step {
            Step::Months(_) => true,
            Step::Microseconds(length) => key_type != KeyType::Date || length % MICROSECONDS_PER_DAY == 0,
        };
        if step.as_ref().is_none_or(|step| !is_whole(step)) {
            let allowed = match key_type {
                KeyType::Date => "a number of days, weeks, months or years, such as `1 month`",
                _ => "a number of minutes, hours, days, weeks, months or years, such as `1 month`",
            };
            self.error(source, raw.span(), format!("`{}` is no interval", raw.get()), allowed);
            return None;
        }
        step
    }

    /// In microseconds since 2000-01-01.
    fn anchor(&mut self, source: &SourceText, raw: &At<String>, key_type: KeyType) -> Option<i64> {
        let value = RawValue::Text(raw.get().clone());
        let moment = match self.value(source, (&value, raw.span()), key_type)? {
            KeyValue::Date(day) if day != i32::MIN && day != i32::MAX => {
                i64::from(day).checked_mul(MICROSECONDS_PER_DAY)
            }
            KeyValue::Timestamp(moment) | KeyValue::Timestamptz(moment)
                if moment != i64::MIN && moment != i64::MAX =>
            {
                Some(moment)
            }
            _ => None,
        };
        if moment.is_none() {
            let found = format!("no interval can begin at `{}`", raw.get());
            self.error(source, raw.span(), found, "a moment before the year 294277");
        }
        moment
    }

    fn interval_shards(&mut self, source: &SourceText, raw: &At<Vec<At<String>>>) -> Option<Vec<ShardId>> {
        if raw.get().is_empty() {
            self.error(source, raw.span(), "no shard".to_owned(), "at least one");
        }
        let shards: Vec<Option<ShardId>> = raw.get().iter().map(|name| self.shard(source, name)).collect();
        shards.into_iter().collect::<Option<Vec<ShardId>>>().filter(|shards| !shards.is_empty())
    }
}

/// Reads `3 months`, `1 day` and the like.
fn step(text: &str) -> Option<Step> {
    let mut words = text.split_whitespace();
    let (number, unit) = (words.next()?, words.next()?);
    let is_plain = words.next().is_none() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = number.parse().ok().filter(|number| is_plain && *number > 0)?;
    let unit = unit.strip_suffix('s').unwrap_or(unit);
    let months = |count: u32| number.checked_mul(count).filter(|months| *months <= MONTHS_MAX);
    let of = |microseconds: i64| {
        let length = i64::from(number).checked_mul(microseconds)?;
        (length <= DAYS_MAX * MICROSECONDS_PER_DAY).then_some(Step::Microseconds(length))
    };
    match unit {
        "year" => months(12).map(Step::Months),
        "month" => months(1).map(Step::Months),
        "week" => of(7 * MICROSECONDS_PER_DAY),
        "day" => of(MICROSECONDS_PER_DAY),
        "hour" => of(MICROSECONDS_PER_DAY / 24),
        "minute" => of(MICROSECONDS_PER_DAY / 1440),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_a_number_and_a_unit() {
        for (text, expected) in [
            ("1 month", Some(Step::Months(1))),
            ("2 years", Some(Step::Months(24))),
            (" 1  week ", Some(Step::Microseconds(7 * MICROSECONDS_PER_DAY))),
            ("36 hours", Some(Step::Microseconds(129_600_000_000))),
            ("0 days", None),
            ("-1 day", None),
            ("1", None),
            ("1 day 2 hours", None),
            ("1 fortnight", None),
            ("99999999 years", None),
            ("4000000000 days", None),
        ] {
            assert_eq!(step(text), expected, "{text}");
        }
    }
}
