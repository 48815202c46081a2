//! What every relation of the catalog means under the rules.

use super::{Meaning, Single, hazards};
use crate::catalog::{Catalog, Relation, RelationKind};
use crate::ids::ShardId;
use crate::rules::Rules;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// By OID; none for plain tables of the home shard.
pub(super) fn of_catalog(rules: &Rules, catalog: &Catalog) -> BTreeMap<u32, Meaning> {
    let mut meanings = BTreeMap::new();
    for (index, rule) in rules.sharded().iter().enumerate() {
        spread(catalog, (&rule.schema, &rule.table), &Meaning::Sharded(index), &mut meanings);
    }
    for rule in rules.references() {
        spread(catalog, (&rule.schema, &rule.table), &Meaning::Reference, &mut meanings);
    }
    let seeds: Vec<u32> = meanings
        .iter()
        .filter(|(_, meaning)| matches!(meaning, Meaning::Sharded(_)))
        .map(|(oid, _)| *oid)
        .collect();
    for (oid, how) in reaching(catalog, seeds) {
        if let Entry::Vacant(slot) = meanings.entry(oid) {
            slot.insert(Meaning::Reaches(how));
        }
    }
    let hazards = hazards::Hazards::new(rules, catalog, &meanings);
    let mut singles = Vec::new();
    for relation in catalog.relations().filter(|relation| !meanings.contains_key(&relation.oid)) {
        let single = hazards.of(relation, shard(rules, relation));
        if single != Single::plain(rules.home()) {
            singles.push((relation.oid, Meaning::Single(single)));
        }
    }
    meanings.extend(singles);
    meanings
}

/// Tables that rules name, whether the catalog has them or not: schema, table and meaning.
pub(super) fn of_rules(rules: &Rules) -> Vec<(String, String, Meaning)> {
    let singles = rules.singles().iter().filter(|rule| rule.shard != rules.home());
    let singles = singles
        .map(|rule| (rule.schema.clone(), rule.table.clone(), Meaning::Single(Single::plain(rule.shard))));
    let references = rules.references().iter();
    let references = references.map(|rule| (rule.schema.clone(), rule.table.clone(), Meaning::Reference));
    let sharded = rules.sharded().iter().enumerate();
    let sharded = sharded.map(|(at, rule)| (rule.schema.clone(), rule.table.clone(), Meaning::Sharded(at)));
    singles.chain(references).chain(sharded).collect()
}

/// Where a table that lies whole on one shard lies.
fn shard(rules: &Rules, relation: &Relation) -> ShardId {
    let own = rules
        .singles()
        .iter()
        .find(|rule| rule.schema == relation.schema && rule.table == relation.name)
        .map(|rule| rule.shard);
    own.or_else(|| rules.schema(&relation.schema).map(|rule| rule.shard)).unwrap_or(rules.home())
}

/// A rule covers a table's partitions and children, but for those with a rule of their own.
fn spread(
    catalog: &Catalog,
    (schema, table): (&str, &str),
    meaning: &Meaning,
    meanings: &mut BTreeMap<u32, Meaning>,
) {
    let Some(relation) = catalog.relation(schema, table) else { return };
    meanings.insert(relation.oid, meaning.clone());
    let mut queue = relation.children.clone();
    while let Some(oid) = queue.pop() {
        let Some(child) = catalog.relation_by_oid(oid) else { continue };
        if let Entry::Vacant(slot) = meanings.entry(oid) {
            slot.insert(meaning.clone());
            queue.extend(&child.children);
        }
    }
}

/// Relations that reach a sharded table without being one: its parents, and what reads it; with how.
fn reaching(catalog: &Catalog, seeds: Vec<u32>) -> BTreeMap<u32, String> {
    let mut readers: BTreeMap<u32, Vec<&Relation>> = BTreeMap::new();
    for relation in catalog.relations() {
        for read in &relation.reads {
            readers.entry(*read).or_default().push(relation);
        }
    }
    let mut found: BTreeMap<u32, String> = BTreeMap::new();
    let mut queue = seeds;
    while let Some(oid) = queue.pop() {
        let Some(relation) = catalog.relation_by_oid(oid) else { continue };
        let mut add = |other: u32, how: String| {
            if let Entry::Vacant(slot) = found.entry(other) {
                slot.insert(how);
                queue.push(other);
            }
        };
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
    found
}
