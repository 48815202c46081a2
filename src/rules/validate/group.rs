//! Rules of colocation groups.

use super::{Check, Subject};
use crate::diagnostic::{At, OneOrMore, SourceText};
use crate::rules::placement::{BucketMap, Placement};
use crate::rules::raw::RawGroup;
use crate::rules::{Group, KeyType};
use std::ops::Range;

const BUCKETS_DEFAULT: u32 = 4096;
const BUCKETS_MAX: u32 = 1 << 16;
/// Most columns that an index of Postgres has.
const KEYS_MAX: usize = 32;
const FUNCTIONS: [&str; 4] = ["hash", "range", "list", "interval"];

/// Other names of types, with the key type that serves them.
const ALIASES: [(&str, &str); 14] = [
    ("smallint", "int8"),
    ("int2", "int8"),
    ("int", "int8"),
    ("integer", "int8"),
    ("int4", "int8"),
    ("bigint", "int8"),
    ("serial", "int8"),
    ("bigserial", "int8"),
    ("decimal", "numeric"),
    ("varchar", "text"),
    ("character varying", "text"),
    ("string", "text"),
    ("timestamp without time zone", "timestamp"),
    ("timestamp with time zone", "timestamptz"),
];
/// Types whose equality is not that of their values' bytes.
const NEVER_KEYS: [&str; 6] = ["char", "character", "bpchar", "citext", "name", "float8"];

impl Check<'_> {
    pub(super) fn group(&mut self, source: &SourceText, raw: &At<RawGroup>) {
        let Some(name) = &raw.get().name else { return };
        if name.get().is_empty() {
            self.error(source, name.span(), "a group without a name".to_owned(), "any other text");
            return;
        }
        let shown = format!("group `{}`", name.get());
        if !self.take(source, name.span(), Subject::Group(name.get().clone()), &shown) {
            return;
        }
        let key_types = self.key_types(source, raw.get().key_type.as_ref());
        let placement = self.placement(source, raw, &key_types);
        // A group with errors is known all the same, so that its tables tell only what is wrong with them.
        let placement = placement.unwrap_or_else(|| Placement::Hash(self.default_map(BUCKETS_DEFAULT)));
        if self.rules.groups.len() >= usize::from(u16::MAX) {
            self.error(source, name.span(), "too many groups".to_owned(), "at most 65535");
            return;
        }
        self.rules.groups.push(Group { name: name.get().clone(), key_types, placement });
    }

    fn default_map(&self, buckets: u32) -> BucketMap {
        BucketMap::default_map(buckets, self.rules.shard_count())
    }

    /// The key types, int8 standing for those that are none.
    fn key_types(&mut self, source: &SourceText, raw: Option<&At<OneOrMore<String>>>) -> Vec<KeyType> {
        let Some(raw) = raw else { return vec![KeyType::Int8] };
        let values = raw.values();
        if values.is_empty() || values.len() > KEYS_MAX {
            let found = format!("a key of {} columns", values.len());
            self.error(source, raw.span(), found, &format!("1 to {KEYS_MAX} columns"));
            return vec![KeyType::Int8];
        }
        let types = values.into_iter().map(|(name, span)| self.key_type(source, name, span));
        types.map(|key_type| key_type.unwrap_or(KeyType::Int8)).collect()
    }

    fn key_type(&mut self, source: &SourceText, name: &str, span: Range<usize>) -> Option<KeyType> {
        let known = KeyType::ALL.into_iter().find(|key_type| key_type.name() == name);
        if known.is_some() {
            return known;
        }
        let names = KeyType::ALL.map(KeyType::name);
        let lower = name.to_ascii_lowercase();
        let error = source.error(span, format!("`{name}` is not a key type")).allowed(super::listed(&names));
        let alias = ALIASES.iter().find(|(alias, _)| *alias == lower);
        self.diagnostics.push(match alias {
            Some((_, key_type)) => error.hint(format!("`{key_type}` serves columns of that type")),
            None if NEVER_KEYS.contains(&lower.as_str()) => {
                error.hint("columns of that type cannot be keys: what is equal there is not the same bytes")
            }
            None => error.suggest(name, names),
        });
        None
    }

    fn placement(
        &mut self,
        source: &SourceText,
        raw: &At<RawGroup>,
        key_types: &[KeyType],
    ) -> Option<Placement> {
        let group = raw.get();
        let function = group.function.as_ref().map_or("hash", |function| function.get());
        let keys = [
            ("hash", "buckets", group.buckets.as_ref().map(At::span)),
            ("range", "range", group.range.as_ref().map(At::span)),
            ("list", "list", group.list.as_ref().map(At::span)),
            ("interval", "interval", group.interval.as_ref().map(At::span)),
            ("interval", "anchor", group.anchor.as_ref().map(At::span)),
            ("interval", "shards", group.shards.as_ref().map(At::span)),
        ];
        for (wanted, key, span) in keys {
            if let Some(span) = span.filter(|_| wanted != function && FUNCTIONS.contains(&function)) {
                let found = format!("`{key}` does not go with the sharding function `{function}`");
                self.error(source, span, found, &format!("only with function = \"{wanted}\""));
            }
        }
        match (function, &group.range, &group.list, &group.interval) {
            ("hash", ..) => self.buckets(source, raw).map(Placement::Hash),
            ("range", Some(ranges), ..) => self.ranges(source, ranges, key_types).map(Placement::Range),
            ("list", _, Some(list), _) => self.list(source, list, key_types).map(Placement::List),
            ("interval", _, _, Some(interval)) => {
                self.interval(source, (group, interval), key_types).map(Placement::Interval)
            }
            _ => {
                self.no_placement(source, group.function.as_ref()?);
                None
            }
        }
    }

    /// A function that is not known, or lacks what it needs.
    fn no_placement(&mut self, source: &SourceText, function: &At<String>) {
        let found = function.get().as_str();
        let missing = match found {
            "range" => "range = [{ from = ..., to = ..., shard = \"...\" }]",
            "list" => "list = [{ values = [...], shard = \"...\" }]",
            "interval" => "interval = \"1 month\"",
            _ => {
                let what = if found == "lookup" { "is not supported yet" } else { "is not known" };
                let error = source.error(function.span(), format!("sharding function `{found}` {what}"));
                self.diagnostics.push(error.allowed(super::listed(&FUNCTIONS)).suggest(found, FUNCTIONS));
                return;
            }
        };
        let error = source.error(function.span(), format!("the sharding function `{found}` needs more"));
        self.diagnostics.push(error.hint(format!("add `{missing}`")));
    }

    fn buckets(&mut self, source: &SourceText, raw: &At<RawGroup>) -> Option<BucketMap> {
        let given = raw.get().buckets.as_ref();
        let buckets = given.map_or(BUCKETS_DEFAULT, |buckets| *buckets.get());
        let shards = u32::from(self.rules.shard_count());
        if !buckets.is_power_of_two() || buckets > BUCKETS_MAX || buckets < shards {
            let span = given.map_or(raw.span(), At::span);
            let least = shards.max(1).next_power_of_two();
            let allowed = format!("a power of two from {least} to {BUCKETS_MAX}");
            self.error(source, span, format!("{buckets} buckets cannot be"), &allowed);
            return None;
        }
        Some(self.default_map(buckets))
    }
}
