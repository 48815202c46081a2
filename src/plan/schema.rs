//! Rules and catalog joined: what a name means for planning.
//!
//! Built once per version of either; the planner looks names up here.

use super::hazard::{Hazards, Reach};
use crate::catalog::{Catalog, Relation, SearchPath};
use crate::ids::ShardId;
use crate::rules::{Rules, ShardedTable};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rules and catalog of one cluster, and what every relation's name means under them.
#[derive(Clone, Debug)]
pub struct Schema {
    rules: Arc<Rules>,
    catalog: Arc<Catalog>,
    notable: BTreeMap<String, BTreeMap<String, Meaning>>,
    relation_names: BTreeSet<String>,
    /// Of each sharded table in the rules' order; empty where none is.
    sharded_hazards: Vec<Hazards>,
}

/// What a relation is to the planner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A sharded table: its place in the rules.
    Sharded(usize),
    /// Reaches a sharded table: by being its partition, child or parent, or by reading it. In words.
    Reaches(String),
    /// A table that lies whole on one shard.
    Single(Single),
}

/// A table of one shard, and what stands in the way of using it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Single {
    pub(super) shard: ShardId,
    pub(super) hazards: Hazards,
}

impl Schema {
    /// Joins the two.
    pub fn new(rules: Arc<Rules>, catalog: Arc<Catalog>) -> Schema {
        let relation_names = catalog.relations().map(|relation| relation.name.clone()).collect();
        let mut schema =
            Schema { rules, catalog, notable: BTreeMap::new(), relation_names, sharded_hazards: Vec::new() };
        schema.note_all();
        schema
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The catalog.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Whether a relation of this bare name, in any schema, is more than a plain table of the home shard.
    pub(super) fn is_notable(&self, name: &str) -> bool {
        self.notable.contains_key(name)
    }

    /// What relations of this bare name mean, in any schema.
    pub(super) fn meanings(&self, name: &str) -> impl Iterator<Item = &Meaning> {
        self.notable.get(name).into_iter().flat_map(BTreeMap::values)
    }

    /// Whether the catalog has a relation of this bare name, in any schema.
    pub(super) fn is_relation(&self, name: &str) -> bool {
        self.relation_names.contains(name)
    }

    /// Whether any relation of this schema reaches a sharded table, or takes one that does along when it is
    /// dropped.
    pub(super) fn schema_reaches_sharded(&self, schema: &str) -> bool {
        let reaches = |meaning: &Meaning| match meaning {
            Meaning::Single(single) => single.hazards.refuse_cascade.is_some(),
            Meaning::Sharded(_) | Meaning::Reaches(_) => true,
        };
        self.notable.values().any(|by_schema| by_schema.get(schema).is_some_and(reaches))
    }

    /// What a name of one, two or three parts means; `None` for a plain table of the home shard, a system
    /// relation, or one that does not exist.
    pub(super) fn resolve(&self, path: &SearchPath, name: &[String]) -> Option<&Meaning> {
        let by_schema = self.notable.get(name.last()?)?;
        match name {
            [table] => {
                let has_system = path.schemas().iter().any(|s| s == "pg_catalog");
                if !has_system && self.catalog.is_system_relation(table) {
                    return None;
                }
                for schema in path.schemas() {
                    if let Some(meaning) = by_schema.get(schema) {
                        return Some(meaning);
                    }
                    let is_system = schema == "pg_catalog" && self.catalog.is_system_relation(table);
                    if is_system || self.catalog.relation(schema, table).is_some() {
                        return None;
                    }
                }
                None
            }
            [.., schema, _] => by_schema.get(schema),
            [] => None,
        }
    }

    /// The rule of a sharded table.
    pub(super) fn sharded(&self, index: usize) -> Option<&ShardedTable> {
        self.rules.sharded().get(index)
    }

    /// What stands in the way of using a sharded table.
    pub(super) fn sharded_hazards(&self, index: usize) -> Option<&Hazards> {
        self.sharded_hazards.get(index)
    }

    /// A sharded table's relation in the catalog.
    pub(super) fn sharded_relation(&self, table: &ShardedTable) -> Option<&Relation> {
        self.catalog.relation(&table.schema, &table.table)
    }

    fn note_all(&mut self) {
        let rules = Arc::clone(&self.rules);
        let catalog = Arc::clone(&self.catalog);
        if rules.has_sharded() {
            let reach = Reach::new(&rules, &catalog);
            for relation in catalog.relations() {
                if let Some(how) = reach.reaching(relation.oid) {
                    self.note(&relation.schema, &relation.name, Meaning::Reaches(how.to_owned()));
                    for index in &relation.indexes {
                        let how = format!("an index of \"{}\"", relation.name);
                        self.note(&relation.schema, index, Meaning::Reaches(how));
                    }
                    continue;
                }
                let hazards = reach.of_single(relation);
                if !hazards.is_empty() {
                    let single = Single { shard: rules.home(), hazards };
                    self.note(&relation.schema, &relation.name, Meaning::Single(single));
                }
            }
            let of_sharded = |rule| Some(reach.of_sharded(self.sharded_relation(rule)?));
            self.sharded_hazards =
                rules.sharded().iter().map(|rule| of_sharded(rule).unwrap_or_default()).collect();
        }
        for rule in rules.singles() {
            match self.notable.entry(rule.table.clone()).or_default().get_mut(&rule.schema) {
                Some(Meaning::Single(single)) => single.shard = rule.shard,
                Some(_) => {}
                None if rule.shard == rules.home() => {}
                None => {
                    let single = Single { shard: rule.shard, hazards: Hazards::default() };
                    self.note(&rule.schema, &rule.table, Meaning::Single(single));
                }
            }
        }
        for (index, rule) in rules.sharded().iter().enumerate() {
            self.note(&rule.schema, &rule.table, Meaning::Sharded(index));
        }
        self.notable.retain(|_, by_schema| !by_schema.is_empty());
    }

    fn note(&mut self, schema: &str, name: &str, meaning: Meaning) {
        self.notable.entry(name.to_owned()).or_default().insert(schema.to_owned(), meaning);
    }
}
