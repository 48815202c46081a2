//! Ranges and lists of keys.

use super::{Check, place};
use crate::datum::key::{self, KeyRead, KeyValue, ReadContext};
use crate::diagnostic::{At, OneOrMore, SourceText};
use crate::ids::ShardId;
use crate::rules::KeyType;
use crate::rules::placement::{Edge, ListMap, Range, RangeMap};
use crate::rules::raw::{RawList, RawRange, RawValue};
use std::collections::HashMap;
use std::ops;

impl Check<'_> {
    pub(super) fn ranges(
        &mut self,
        source: &SourceText,
        raw: &At<Vec<At<RawRange>>>,
        key_types: &[KeyType],
    ) -> Option<RangeMap> {
        let mut ranges: Vec<(Range, ops::Range<usize>)> = Vec::new();
        let mut is_valid = !raw.get().is_empty();
        if !is_valid {
            self.error(source, raw.span(), "no range".to_owned(), "at least one");
        }
        for entry in raw.get() {
            let Some(range) = self.range(source, entry, key_types) else {
                is_valid = false;
                continue;
            };
            if let Some((_, other)) = ranges.iter().find(|(other, _)| other.overlaps(&range)) {
                let error = source.error(entry.span(), "the range overlaps another one");
                let hint = format!("the other one is at {}", place(source, other.clone()));
                self.diagnostics.push(error.allowed("ranges of which no key is in two").hint(hint));
                is_valid = false;
                continue;
            }
            ranges.push((range, entry.span()));
        }
        RangeMap::new(ranges.into_iter().map(|(range, _)| range).collect()).filter(|_| is_valid)
    }

    fn range(&mut self, source: &SourceText, raw: &At<RawRange>, key_types: &[KeyType]) -> Option<Range> {
        let range = raw.get();
        let shard = range.shard.as_ref().and_then(|shard| self.shard(source, shard));
        let from = range.from.as_ref().map(|from| self.edge(source, from, key_types));
        let to = range.to.as_ref().map(|to| self.edge(source, to, key_types));
        let (from, to) = (transpose(from)?, transpose(to)?);
        let range = Range { from, to, shard: shard? };
        if !range.has_room() {
            let error = source.error(raw.span(), "no key is in the range");
            let allowed = "`from` (the first key in it) below `to` (the first key behind it)";
            self.diagnostics.push(error.allowed(allowed));
            return None;
        }
        Some(range)
    }

    /// The values of a bound: of the first key columns, or of all.
    fn edge(
        &mut self,
        source: &SourceText,
        raw: &At<OneOrMore<RawValue>>,
        key_types: &[KeyType],
    ) -> Option<Edge> {
        let values = raw.values();
        if values.is_empty() || values.len() > key_types.len() {
            let found = format!("a bound of {} values", values.len());
            let allowed = format!("1 to {} values, one for each key column", key_types.len());
            self.error(source, raw.span(), found, &allowed);
            return None;
        }
        let values: Vec<Option<KeyValue<'static>>> = values
            .into_iter()
            .zip(key_types)
            .map(|((value, span), key_type)| self.value(source, (value, span), *key_type))
            .collect();
        values.into_iter().collect()
    }

    pub(super) fn list(
        &mut self,
        source: &SourceText,
        raw: &At<Vec<At<RawList>>>,
        key_types: &[KeyType],
    ) -> Option<ListMap> {
        let key_type = key_types.first().copied()?;
        let mut known: Vec<(KeyValue<'static>, ShardId)> = Vec::new();
        let mut places: HashMap<KeyValue<'static>, ops::Range<usize>> = HashMap::new();
        let mut is_valid = true;
        for entry in raw.get() {
            let shard = entry.get().shard.as_ref().and_then(|shard| self.shard(source, shard));
            let values = entry.get().values.as_ref().map(At::values).unwrap_or_default();
            is_valid &= shard.is_some();
            for (value, span) in values {
                let Some(read) = self.value(source, (value, span.clone()), key_type) else {
                    is_valid = false;
                    continue;
                };
                if let Some(other) = places.get(&read) {
                    let error = source.error(span, format!("the value `{value}` is listed twice"));
                    let hint = format!("the other one is at {}", place(source, other.clone()));
                    self.diagnostics.push(error.allowed("each value once").hint(hint));
                    is_valid = false;
                    continue;
                }
                places.insert(read.clone(), span);
                known.push((read, shard.unwrap_or(self.rules.home)));
            }
        }
        if known.is_empty() && is_valid {
            self.error(source, raw.span(), "no value is listed".to_owned(), "at least one");
            is_valid = false;
        }
        ListMap::new(known).filter(|_| is_valid)
    }

    /// A key's value, as the servers read it: times without an offset are UTC.
    pub(super) fn value(
        &mut self,
        source: &SourceText,
        (value, span): (&RawValue, ops::Range<usize>),
        key_type: KeyType,
    ) -> Option<KeyValue<'static>> {
        let text = match (value, key_type) {
            (RawValue::Integer(number), KeyType::Int8 | KeyType::Numeric) => Some(number.to_string()),
            (RawValue::Integer(_), _) | (RawValue::Text(_), KeyType::Int8) => None,
            (RawValue::Text(text), _) => Some(text.clone()),
        };
        let context = ReadContext { is_utc: true, is_server_encoding: true };
        let read = text.as_ref().map(|text| key::read(key_type, 0, 0, text.as_bytes(), &context));
        if let Some(KeyRead::Value(value)) = read {
            return Some(value.into_owned());
        }
        let allowed = match key_type {
            KeyType::Int8 => "a whole number, without quotes",
            KeyType::Numeric => "a whole number, or a number in quotes",
            KeyType::Text => "a text in quotes",
            KeyType::Uuid => "a uuid in quotes",
            KeyType::Date => "a date in quotes, such as \"2024-12-31\"",
            KeyType::Timestamp => "a time in quotes, such as \"2024-12-31 23:59:59\"",
            KeyType::Timestamptz => "a time in quotes, such as \"2024-12-31 23:59:59+00\"",
        };
        self.error(source, span, format!("`{value}` is not read as {key_type}"), allowed);
        None
    }
}

/// `None` where a bound is there and could not be read.
#[expect(clippy::option_option, reason = "no bound is not a bound that cannot be read")]
fn transpose(edge: Option<Option<Edge>>) -> Option<Option<Edge>> {
    match edge {
        None => Some(None),
        Some(edge) => edge.map(Some),
    }
}
