//! Rules and catalog joined: what a name means for planning.
//!
//! Built once per version of either; the planner looks names up here.

use crate::catalog::{Catalog, Column, ColumnDefault, Relation, RelationKind, SearchPath};
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
    /// Not to be used now, for this reason.
    Blocked(String),
}

/// A table of one shard, and what stands in the way of using it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Single {
    pub(super) shard: ShardId,
    /// Why it cannot be used at all.
    pub(super) refuse_use: Option<String>,
    /// Why it cannot be written to.
    pub(super) refuse_write: Option<String>,
}

impl Schema {
    /// Joins the two.
    pub fn new(rules: Arc<Rules>, catalog: Arc<Catalog>) -> Schema {
        let relation_names = catalog.relations().map(|relation| relation.name.clone()).collect();
        let mut schema = Schema { rules, catalog, notable: BTreeMap::new(), relation_names };
        schema.note_all();
        schema
    }

    /// Refuses every use of a table, or of all tables of a schema (an empty name), and of what reaches them.
    pub fn block(&mut self, schema: &str, table: &str, reason: &str) {
        let catalog = Arc::clone(&self.catalog);
        let is_it =
            |relation: &&Relation| relation.schema == schema && (table.is_empty() || relation.name == table);
        let starts = catalog.relations().filter(is_it).map(|relation| relation.oid).collect();
        let oids = reaching(&catalog, starts).into_keys();
        let mut names: Vec<(String, String)> = oids
            .filter_map(|oid| catalog.relation_by_oid(oid))
            .map(|relation| (relation.schema.clone(), relation.name.clone()))
            .collect();
        if !table.is_empty() {
            names.push((schema.to_owned(), table.to_owned()));
        }
        for (schema, name) in names {
            self.note(&schema, &name, Meaning::Blocked(reason.to_owned()));
        }
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

    /// Whether any relation of this schema reaches a sharded table.
    pub(super) fn schema_reaches_sharded(&self, schema: &str) -> bool {
        let reaches = |meaning: &Meaning| !matches!(meaning, Meaning::Single(_));
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

    /// A sharded table's relation in the catalog.
    pub(super) fn sharded_relation(&self, table: &ShardedTable) -> Option<&Relation> {
        self.catalog.relation(&table.schema, &table.table)
    }

    fn note_all(&mut self) {
        let rules = Arc::clone(&self.rules);
        let catalog = Arc::clone(&self.catalog);
        if rules.has_sharded() {
            let reaching = reaching_sharded(&rules, &catalog);
            let references = references(&catalog);
            for relation in catalog.relations() {
                if let Some(how) = reaching.get(&relation.oid) {
                    self.note(&relation.schema, &relation.name, Meaning::Reaches(how.clone()));
                    continue;
                }
                let single = hazards(relation, &catalog, (&reaching, &references), rules.home());
                if single.refuse_use.is_some() || single.refuse_write.is_some() {
                    self.note(&relation.schema, &relation.name, Meaning::Single(single));
                }
            }
        }
        for rule in rules.singles() {
            match self.notable.entry(rule.table.clone()).or_default().get_mut(&rule.schema) {
                Some(Meaning::Single(single)) => single.shard = rule.shard,
                Some(_) => {}
                None if rule.shard == rules.home() => {}
                None => {
                    let single = Single { shard: rule.shard, refuse_use: None, refuse_write: None };
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

/// Relations that are, or reach, a sharded table, with how, by OID.
fn reaching_sharded(rules: &Rules, catalog: &Catalog) -> BTreeMap<u32, String> {
    let tables = rules.sharded().iter().filter_map(|rule| catalog.relation(&rule.schema, &rule.table));
    reaching(catalog, tables.map(|relation| relation.oid).collect())
}

/// Relations that are among `starts`, or reach one of them, with how, by OID.
fn reaching(catalog: &Catalog, starts: Vec<u32>) -> BTreeMap<u32, String> {
    let named = |oid: &u32| catalog.relation_by_oid(*oid).map_or("", |relation| relation.name.as_str());
    let mut reaching: BTreeMap<u32, String> =
        starts.iter().map(|oid| (*oid, format!("sharded table \"{}\"", named(oid)))).collect();
    let mut queue = starts;
    let mut readers: BTreeMap<u32, Vec<&Relation>> = BTreeMap::new();
    for relation in catalog.relations() {
        for read in &relation.reads {
            readers.entry(*read).or_default().push(relation);
        }
    }
    while let Some(oid) = queue.pop() {
        let Some(relation) = catalog.relation_by_oid(oid) else { continue };
        let mut add = |other: u32, how: String| {
            if let std::collections::btree_map::Entry::Vacant(slot) = reaching.entry(other) {
                slot.insert(how);
                queue.push(other);
            }
        };
        for child in &relation.children {
            add(*child, format!("a partition or child of \"{}\"", relation.name));
        }
        for parent in &relation.parents {
            add(*parent, format!("a parent of \"{}\"", relation.name));
        }
        for reader in readers.get(&oid).into_iter().flatten() {
            let what = match reader.kind {
                RelationKind::View => "a view over",
                RelationKind::MaterializedView => "a materialized view over",
                _ => "a table with a rule or policy that reads",
            };
            add(reader.oid, format!("{what} \"{}\"", relation.name));
        }
    }
    reaching
}

/// Which relations reference a relation by a foreign key, by OID.
fn references(catalog: &Catalog) -> BTreeMap<u32, Vec<u32>> {
    let mut references: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for relation in catalog.relations() {
        for key in &relation.foreign_keys {
            references.entry(key.references).or_default().push(relation.oid);
        }
    }
    references
}

/// What stands in the way of using a table that reaches no sharded one.
fn hazards(
    relation: &Relation,
    catalog: &Catalog,
    (reaching, references): (&BTreeMap<u32, String>, &BTreeMap<u32, Vec<u32>>),
    home: ShardId,
) -> Single {
    let mut single = Single { shard: home, refuse_use: None, refuse_write: None };
    let mut seen = BTreeSet::new();
    // A relation, and whether it is reached only by what a foreign key's cascade writes.
    let mut queue = vec![(relation.oid, false)];
    while let Some((oid, is_cascade)) = queue.pop() {
        let Some(part) = catalog.relation_by_oid(oid).filter(|_| seen.insert(oid)) else { continue };
        if let Some(function) = part.calls.first() {
            single.refuse_use = Some(format!("\"{}\" calls the user function {function}()", part.name));
        }
        if let Some(trigger) = part.triggers.first() {
            let (name, function) = (&trigger.name, &trigger.function);
            single.refuse_write =
                Some(format!("\"{}\" has trigger \"{name}\", which calls {function}()", part.name));
        }
        if part.columns.iter().any(|c: &Column| c.default == ColumnDefault::Function) {
            single.refuse_write = Some(format!("\"{}\" has a default that calls a user function", part.name));
        }
        if let Some(function) = part.checks_call.first() {
            let name = &part.name;
            single.refuse_write = Some(format!("a check of \"{name}\" calls the user function {function}()"));
        }
        let to_sharded = part.foreign_keys.iter().any(|key| reaching.contains_key(&key.references));
        let referencing = references.get(&oid).map_or(&[][..], Vec::as_slice);
        let from_sharded = referencing.iter().any(|other| reaching.contains_key(other));
        if (to_sharded && !is_cascade) || from_sharded {
            single.refuse_write =
                Some(format!("a foreign key connects \"{}\" and a sharded table", part.name));
        }
        let family = part.reads.iter().chain(&part.children).chain(&part.parents);
        queue.extend(family.map(|oid| (*oid, is_cascade)));
        // A foreign key's cascade writes to the referencing table, whose triggers then run.
        queue.extend(referencing.iter().map(|oid| (*oid, true)));
    }
    single
}
