//! What stands in the way of using a relation, or of writing to it: what its definition reaches without a
//! statement's naming it.
//!
//! Protects from: rows read from one shard only by user functions in views, policies, rules, triggers,
//! CHECK constraints, defaults, casts and comparisons; foreign keys that one shard cannot check; and drops
//! that take along what other shards keep.

use crate::catalog::{Catalog, ColumnDefault, Relation, RelationKind};
use crate::rules::Rules;
use std::collections::{BTreeMap, BTreeSet};

/// Reasons against using a relation, in words for the user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hazards {
    /// Why it cannot be used at all.
    pub(super) refuse_use: Option<String>,
    /// Why it cannot be written to.
    pub(super) refuse_write: Option<String>,
    /// Why it cannot be dropped with what depends on it.
    pub(super) refuse_cascade: Option<String>,
}

impl Hazards {
    pub(super) fn is_empty(&self) -> bool {
        *self == Hazards::default()
    }
}

/// How relations hang together, as far as sharded tables are concerned.
#[derive(Debug)]
pub(super) struct Reach<'a> {
    catalog: &'a Catalog,
    /// Relations that are, or reach, a sharded table, with how, by OID.
    reaching: BTreeMap<u32, String>,
    /// Views, and tables with rules or policies, by what they read.
    readers: BTreeMap<u32, Vec<u32>>,
    /// Tables with foreign keys, by what they reference.
    referencing: BTreeMap<u32, Vec<u32>>,
}

impl<'a> Reach<'a> {
    pub(super) fn new(rules: &Rules, catalog: &'a Catalog) -> Reach<'a> {
        let mut reach = Reach {
            catalog,
            reaching: BTreeMap::new(),
            readers: BTreeMap::new(),
            referencing: BTreeMap::new(),
        };
        for relation in catalog.relations() {
            for read in &relation.reads {
                reach.readers.entry(*read).or_default().push(relation.oid);
            }
            for key in &relation.foreign_keys {
                reach.referencing.entry(key.references).or_default().push(relation.oid);
            }
        }
        reach.follow(rules);
        reach
    }

    /// How a relation reaches a sharded table, if it does.
    pub(super) fn reaching(&self, oid: u32) -> Option<&str> {
        self.reaching.get(&oid).map(String::as_str)
    }

    fn follow(&mut self, rules: &Rules) {
        let mut queue: Vec<u32> = Vec::new();
        for rule in rules.sharded() {
            if let Some(relation) = self.catalog.relation(&rule.schema, &rule.table) {
                self.reaching.insert(relation.oid, format!("sharded table \"{}\"", rule.table));
                queue.push(relation.oid);
            }
        }
        while let Some(oid) = queue.pop() {
            let Some(relation) = self.catalog.relation_by_oid(oid) else { continue };
            let mut near: Vec<(u32, String)> = Vec::new();
            for child in &relation.children {
                near.push((*child, format!("a partition or child of \"{}\"", relation.name)));
            }
            for parent in &relation.parents {
                near.push((*parent, format!("a parent of \"{}\"", relation.name)));
            }
            for reader in self.near(&self.readers, oid) {
                let what = match reader.kind {
                    RelationKind::View => "a view over",
                    RelationKind::MaterializedView => "a materialized view over",
                    _ => "a table with a rule or policy that reads",
                };
                near.push((reader.oid, format!("{what} \"{}\"", relation.name)));
            }
            for (other, how) in near {
                if let std::collections::btree_map::Entry::Vacant(slot) = self.reaching.entry(other) {
                    slot.insert(how);
                    queue.push(other);
                }
            }
        }
    }

    fn near(&self, of: &'a BTreeMap<u32, Vec<u32>>, oid: u32) -> impl Iterator<Item = &'a Relation> {
        of.get(&oid).into_iter().flatten().filter_map(|oid| self.catalog.relation_by_oid(*oid))
    }

    /// What stands in the way of a table that reaches no sharded one.
    pub(super) fn of_single(&self, relation: &Relation) -> Hazards {
        let mut found = Hazards::default();
        let mut seen = BTreeSet::new();
        // A relation, and whether it is reached only by what a foreign key's cascade writes.
        let mut queue = vec![(relation.oid, false)];
        while let Some((oid, is_cascade)) = queue.pop() {
            let Some(part) = self.catalog.relation_by_oid(oid).filter(|_| seen.insert(oid)) else { continue };
            found.refuse_use = found.refuse_use.or_else(|| self.use_of(part));
            found.refuse_write = found.refuse_write.or_else(|| write_to(part));
            let to_sharded = part.foreign_keys.iter().any(|key| self.reaching.contains_key(&key.references));
            let referencing = self.referencing.get(&oid).map_or(&[][..], Vec::as_slice);
            let from_sharded = referencing.iter().any(|other| self.reaching.contains_key(other));
            if (to_sharded && !is_cascade) || from_sharded {
                found.refuse_write =
                    Some(format!("a foreign key connects \"{}\" and a sharded table", part.name));
            }
            let family = part.reads.iter().chain(&part.children).chain(&part.parents);
            queue.extend(family.map(|oid| (*oid, is_cascade)));
            // A foreign key's cascade writes to the referencing table, whose triggers then run.
            queue.extend(referencing.iter().map(|oid| (*oid, true)));
        }
        found.refuse_cascade = self.cascade_from(relation);
        found
    }

    /// Dropped with CASCADE, a relation takes along its readers and children, and foreign keys to it.
    fn cascade_from(&self, relation: &Relation) -> Option<String> {
        let mut seen = BTreeSet::new();
        let mut queue = vec![relation.oid];
        while let Some(oid) = queue.pop() {
            if !seen.insert(oid) {
                continue;
            }
            let dropped =
                [&self.readers, &self.referencing].into_iter().flat_map(|near| self.near(near, oid));
            for other in dropped {
                if let Some(how) = self.reaching(other.oid) {
                    return Some(format!("\"{}\" depends on \"{}\" and is {how}", other.name, relation.name));
                }
            }
            let children = self.catalog.relation_by_oid(oid).map_or(&[][..], |of| &of.children);
            queue.extend(self.readers.get(&oid).into_iter().flatten().chain(children));
        }
        None
    }

    /// What stands in the way of a sharded table itself, with its partitions and children.
    pub(super) fn of_sharded(&self, relation: &Relation) -> Hazards {
        let mut found = Hazards::default();
        let family = family(self.catalog, relation);
        for part in &family {
            let elsewhere = |oid: &&u32| family.iter().all(|member| member.oid != **oid);
            let reads = part.reads.iter().find(elsewhere).and_then(|oid| self.catalog.relation_by_oid(*oid));
            let reads = reads
                .map(|other| format!("\"{}\" has a rule or policy that reads \"{}\"", part.name, other.name));
            found.refuse_use = found.refuse_use.or_else(|| self.use_of(part)).or(reads);
            found.refuse_write = found.refuse_write.or_else(|| check_of(part));
        }
        found
    }

    /// The user function that using a relation runs, in words.
    fn use_of(&self, part: &Relation) -> Option<String> {
        if let Some(function) = part.calls.first() {
            return Some(format!("\"{}\" calls the user function {function}()", part.name));
        }
        part.columns.iter().find_map(|column| {
            let element = self.catalog.array_element(column.declared_type).map(|element| element.oid);
            let calls = |oid: u32| self.catalog.used_type_calls(oid).next();
            let function = calls(column.declared_type).or_else(|| element.and_then(calls))?;
            let (table, column) = (&part.name, &column.name);
            Some(format!(
                "column \"{column}\" of \"{table}\" has a type whose casts or comparisons call the user function {function}()"
            ))
        })
    }
}

/// A table with its partitions and inheritance children, itself first.
pub(super) fn family<'a>(catalog: &'a Catalog, relation: &'a Relation) -> Vec<&'a Relation> {
    let mut members = vec![relation];
    let mut at = 0;
    while let Some(member) = members.get(at).copied() {
        for child in member.children.iter().filter_map(|oid| catalog.relation_by_oid(*oid)) {
            if !members.iter().any(|known| known.oid == child.oid) {
                members.push(child);
            }
        }
        at += 1;
    }
    members
}

/// The user function that a write to the relation runs, in words.
fn write_to(part: &Relation) -> Option<String> {
    if let Some(trigger) = part.triggers.first() {
        let (name, function) = (&trigger.name, &trigger.function);
        return Some(format!("\"{}\" has trigger \"{name}\", which calls {function}()", part.name));
    }
    if part.columns.iter().any(|column| column.default == ColumnDefault::Function) {
        return Some(format!("\"{}\" has a default that calls a user function", part.name));
    }
    check_of(part)
}

fn check_of(part: &Relation) -> Option<String> {
    let function = part.checks_call.first()?;
    Some(format!(
        "a constraint, domain, index or generated column of \"{}\" calls the user function {function}()",
        part.name
    ))
}
