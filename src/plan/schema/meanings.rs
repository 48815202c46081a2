//! What every relation of the catalog means under the rules.

use super::{Meaning, Single};
use crate::catalog::{Catalog, Relation};
use crate::ids::ShardId;
use crate::plan::hazard::{Hazards, Reach};
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
    let is_spread = rules.has_sharded() || !rules.references().is_empty();
    let reach = Reach::new(rules, catalog);
    for relation in catalog.relations() {
        let Entry::Vacant(slot) = meanings.entry(relation.oid) else { continue };
        if let Some(how) = reach.reaching(relation.oid) {
            slot.insert(Meaning::Reaches(how.to_owned()));
            continue;
        }
        let shard = shard(rules, relation);
        let hazards = if is_spread { reach.of_single(relation, shard) } else { Hazards::default() };
        if shard != rules.home() || !hazards.is_empty() {
            slot.insert(Meaning::Single(Single { shard, hazards }));
        }
    }
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
