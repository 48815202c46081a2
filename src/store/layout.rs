//! Where the rules put each table, in the words that the store keeps; and what two such layouts differ in.
//! Pure.

use crate::rules::{Edge, Group, Placement, Rules, Step};
use std::collections::{BTreeMap, BTreeSet};

/// A table: schema and name. An empty name is all tables of the schema that have no place of their own.
pub type Subject = (String, String);

/// Where tables lie, as far as that is not "whole on the home shard".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The home shard's name.
    pub home: String,
    /// Colocation groups by name.
    pub groups: BTreeMap<String, GroupLayout>,
    /// Tables and schemas.
    pub places: BTreeMap<Subject, Place>,
}

/// A colocation group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLayout {
    /// Its key types, as the rules name them.
    pub key_types: Vec<String>,
    /// Its sharding function.
    pub function: String,
    /// Of hash: how many buckets; else 0. Where they lie is the bucket map's.
    pub buckets: u32,
    /// Of other functions: each range, list value or interval with its shard, in words.
    pub entries: Vec<String>,
}

/// Where a table lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// By its key columns, in a group.
    Sharded {
        /// The columns.
        keys: Vec<String>,
        /// The group.
        group: String,
    },
    /// On every shard.
    Reference,
    /// On the shard of this name.
    Single(String),
}

/// A table, or a schema, whose place two layouts differ in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub subject: Subject,
    /// Whether rows that have a place keep it: only keys that had none get one.
    pub is_extension: bool,
    /// Its place before, in words.
    pub before: String,
    /// Its place afterwards, in words.
    pub after: String,
}

impl Layout {
    /// The layout of rules.
    pub fn of(rules: &Rules) -> Layout {
        let name = |shard: crate::ids::ShardId| {
            rules.shard_names().get(shard.index()).cloned().unwrap_or_else(|| shard.to_string())
        };
        let mut layout = Layout { home: name(rules.home()), ..Layout::default() };
        for group in rules.groups() {
            layout.groups.insert(group.name.clone(), GroupLayout::of(group, &name));
        }
        let mut put = |schema: &str, table: &str, place| {
            layout.places.insert((schema.to_owned(), table.to_owned()), place);
        };
        for rule in rules.schemas() {
            put(&rule.schema, "", Place::Single(name(rule.shard)));
        }
        for rule in rules.singles() {
            put(&rule.schema, &rule.table, Place::Single(name(rule.shard)));
        }
        for rule in rules.references() {
            put(&rule.schema, &rule.table, Place::Reference);
        }
        for rule in rules.sharded() {
            let group = rules.group(rule.group).map(|group| group.name.clone()).unwrap_or_default();
            put(&rule.schema, &rule.table, Place::Sharded { keys: rule.keys.clone(), group });
        }
        layout
    }

    /// The place of a table, or of a schema's tables.
    fn place(&self, (schema, table): &Subject) -> Place {
        let of_schema = || self.places.get(&(schema.clone(), String::new()));
        let own = self.places.get(&(schema.clone(), table.clone())).or_else(of_schema);
        own.cloned().unwrap_or_else(|| Place::Single(self.home.clone()))
    }

    /// What has another place in `after` than here, in order of names.
    pub fn differences(&self, after: &Layout) -> Vec<Difference> {
        let subjects: BTreeSet<&Subject> = self.places.keys().chain(after.places.keys()).collect();
        subjects.into_iter().filter_map(|subject| self.difference(subject, after)).collect()
    }

    fn difference(&self, subject: &Subject, after: &Layout) -> Option<Difference> {
        let (old, new) = (self.place(subject), after.place(subject));
        let mut is_extension = false;
        if old == new {
            let Place::Sharded { group, .. } = &old else { return None };
            let (a, b) = (self.groups.get(group)?, after.groups.get(group)?);
            if a.is_same(b) {
                return None;
            }
            is_extension = a.is_extended_by(b);
        }
        let (before, after) = (self.in_words(&old), after.in_words(&new));
        Some(Difference { subject: subject.clone(), is_extension, before, after })
    }

    fn in_words(&self, place: &Place) -> String {
        match place {
            Place::Reference => "on every shard".to_owned(),
            Place::Single(shard) => format!("whole on shard \"{shard}\""),
            Place::Sharded { keys, group } => {
                let keys = keys.join(", ");
                let how = self.groups.get(group).map(GroupLayout::in_words).unwrap_or_default();
                format!("by ({keys}) in group \"{group}\" ({how})")
            }
        }
    }
}

impl GroupLayout {
    fn of(group: &Group, name: &dyn Fn(crate::ids::ShardId) -> String) -> GroupLayout {
        let edge = |edge: &Option<Edge>| edge.as_ref().map_or("any".to_owned(), |edge| format!("{edge:?}"));
        let mut buckets = 0;
        let mut entries = match &group.placement {
            Placement::Hash(map) => {
                buckets = u32::try_from(map.buckets()).unwrap_or(u32::MAX);
                Vec::new()
            }
            Placement::Range(map) => map
                .ranges()
                .iter()
                .map(|range| format!("{} to {} on {}", edge(&range.from), edge(&range.to), name(range.shard)))
                .collect(),
            Placement::List(map) => {
                map.values().map(|(value, shard)| format!("{value:?} on {}", name(shard))).collect()
            }
            Placement::Interval(map) => {
                let shards: Vec<String> = map.shards().iter().map(|shard| name(*shard)).collect();
                let step = match map.step() {
                    Step::Months(months) => format!("{months} months"),
                    Step::Microseconds(length) => format!("{length} microseconds"),
                };
                vec![format!("{step} from {} on {}", map.anchor(), shards.join(", "))]
            }
        };
        entries.sort();
        GroupLayout {
            key_types: group.key_types.iter().map(ToString::to_string).collect(),
            function: group.placement.name().to_owned(),
            buckets,
            entries,
        }
    }

    fn is_same(&self, other: &GroupLayout) -> bool {
        self.is_like(other) && self.entries == other.entries
    }

    fn is_like(&self, other: &GroupLayout) -> bool {
        (&self.key_types, &self.function, self.buckets) == (&other.key_types, &other.function, other.buckets)
    }

    /// Whether the other keeps every range or value with its shard. Intervals cover all keys: none is
    /// extended.
    fn is_extended_by(&self, other: &GroupLayout) -> bool {
        self.is_like(other) && self.entries.iter().all(|entry| other.entries.contains(entry))
    }

    fn in_words(&self) -> String {
        let types = self.key_types.join(", ");
        match (self.function.as_str(), self.entries.as_slice()) {
            ("hash", _) => format!("hash of {types} over {} buckets", self.buckets),
            (function, [one]) => format!("{function} of {types}: {one}"),
            (function, entries) => format!("{function} of {types} with {} entries", entries.len()),
        }
    }
}

/// A subject as people write it.
pub fn name_of((schema, table): &Subject) -> String {
    if table.is_empty() { format!("schema {schema}") } else { format!("{schema}.{table}") }
}
