//! Rules and catalog joined: what a relation means for planning.
//!
//! Built once per version of either; the planner looks relations up here.

mod block;
mod meanings;

use super::hazard::{Hazards, Reach};
use crate::catalog::{Catalog, Function, SearchPath};
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::rules::{FunctionRule, FunctionTouches, Rules, ShardedTable};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rules and catalog of one cluster, and what every relation means under them.
#[derive(Clone, Debug)]
pub struct Schema {
    rules: Arc<Rules>,
    catalog: Arc<Catalog>,
    /// What relations of the catalog mean, by OID; none for plain tables of the home shard.
    meanings: BTreeMap<u32, Meaning>,
    /// The same by name and schema, with tables that rules name and the catalog lacks.
    notable: BTreeMap<String, BTreeMap<String, Meaning>>,
    relation_names: BTreeSet<String>,
    /// What stands in the way of each sharded table, in the rules' order.
    sharded_hazards: Vec<Hazards>,
}

/// What a relation is to the planner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A sharded table, or a partition or child of one: the rule's place in the rules.
    Sharded(usize),
    /// A reference table, or a partition or child of one.
    Reference,
    /// Reaches a sharded table in another way: by being its parent, or by reading it. In words.
    Reaches(String),
    /// A table that lies whole on one shard, or a view over such and reference tables.
    Single(Single),
    /// Not to be used now: who does is told this.
    Blocked(Box<SqlError>),
}

/// A table of one shard, and what stands in the way of using it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Single {
    pub(super) shard: ShardId,
    pub(super) hazards: Hazards,
}

impl Single {
    /// A table with nothing in the way.
    pub(super) fn plain(shard: ShardId) -> Single {
        Single { shard, hazards: Hazards::default() }
    }
}

impl Schema {
    /// Joins the two.
    pub fn new(rules: Arc<Rules>, catalog: Arc<Catalog>) -> Schema {
        let relation_names = catalog.relations().map(|relation| relation.name.clone()).collect();
        let meanings = meanings::of_catalog(&rules, &catalog);
        let mut notable: BTreeMap<String, BTreeMap<String, Meaning>> = BTreeMap::new();
        for (schema, name, meaning) in meanings::of_rules(&rules) {
            notable.entry(name).or_default().insert(schema, meaning);
        }
        for (oid, meaning) in &meanings {
            let Some(relation) = catalog.relation_by_oid(*oid) else { continue };
            let by_schema = notable.entry(relation.name.clone()).or_default();
            by_schema.insert(relation.schema.clone(), meaning.clone());
            if !matches!(meaning, Meaning::Single(_)) {
                for index in &relation.indexes {
                    let how = format!("an index of \"{}\"", relation.name);
                    let by_schema = notable.entry(index.clone()).or_default();
                    by_schema.insert(relation.schema.clone(), Meaning::Reaches(how));
                }
            }
        }
        let reach = Reach::new(&rules, &catalog);
        let of_sharded = |rule: &ShardedTable| {
            catalog.relation(&rule.schema, &rule.table).map(|relation| reach.of_sharded(relation))
        };
        let sharded_hazards =
            rules.sharded().iter().map(|rule| of_sharded(rule).unwrap_or_default()).collect();
        Schema { rules, catalog, meanings, notable, relation_names, sharded_hazards }
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The catalog.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What a relation of the catalog means; `None` for a plain table of the home shard.
    pub(super) fn meaning(&self, oid: u32) -> Option<&Meaning> {
        self.meanings.get(&oid)
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

    /// Whether any relation of this schema lies on, or reaches, more than one shard, or takes one that does
    /// along when it is dropped.
    pub(super) fn schema_is_spread(&self, schema: &str) -> bool {
        let is_spread = |meaning: &Meaning| match meaning {
            Meaning::Single(single) => single.hazards.refuse_cascade.is_some(),
            Meaning::Sharded(_) | Meaning::Reference | Meaning::Reaches(_) | Meaning::Blocked(_) => true,
        };
        self.notable.values().any(|by_schema| by_schema.get(schema).is_some_and(is_spread))
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

    /// What stands in the way of using a sharded table.
    pub(super) fn sharded_hazards(&self, index: usize) -> Option<&Hazards> {
        self.sharded_hazards.get(index)
    }

    /// The rule of a sharded table.
    pub(super) fn sharded(&self, index: usize) -> Option<&ShardedTable> {
        self.rules.sharded().get(index)
    }

    /// The shard of a new object of this schema.
    pub(super) fn shard_of_schema(&self, schema: &str) -> ShardId {
        self.rules.schema(schema).map_or(self.rules.home(), |rule| rule.shard)
    }

    /// What the rules say of the function that a call by this name means; `None` where they say nothing,
    /// or not of all that it may mean.
    pub(super) fn function_rule(&self, name: &[String]) -> Option<&FunctionRule> {
        let (bare, schema) = match name {
            [bare] => (bare, None),
            [.., schema, bare] => (bare, Some(schema)),
            [] => return None,
        };
        let mut meant = self
            .catalog
            .functions_named(bare)
            .iter()
            .filter(|function| schema.is_none_or(|schema| function.schema == *schema));
        let rule = self.rule_of(meant.next()?)?;
        let is_same = |other: &Function| self.rule_of(other).is_some_and(|r| r.touches == rule.touches);
        meant.all(is_same).then_some(rule)
    }

    fn rule_of(&self, function: &Function) -> Option<&FunctionRule> {
        self.rules
            .functions()
            .iter()
            .find(|rule| rule.name == function.name && rule.schema == function.schema)
    }

    /// Whether a user function, given as `schema.name`, is declared to touch nothing.
    pub(super) fn is_declared_pure(&self, function: &str) -> bool {
        self.rules.functions().iter().any(|rule| {
            rule.touches == FunctionTouches::Pure
                && function.strip_prefix(&*rule.schema).and_then(|rest| rest.strip_prefix('.'))
                    == Some(&rule.name)
        })
    }
}
