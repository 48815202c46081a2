//! What stands in the way of using a table that lies on one shard: functions of users that it runs, and
//! foreign keys that reach what lies elsewhere.

use super::{Meaning, Single};
use crate::catalog::{Catalog, Column, ColumnDefault, Relation};
use crate::ids::ShardId;
use crate::rules::{FunctionTouches, Rules, TriggerTouches};
use std::collections::{BTreeMap, BTreeSet};

/// What the search needs.
pub(super) struct Hazards<'a> {
    rules: &'a Rules,
    catalog: &'a Catalog,
    meanings: &'a BTreeMap<u32, Meaning>,
    /// Which relations reference a relation by a foreign key.
    references: BTreeMap<u32, Vec<u32>>,
}

impl<'a> Hazards<'a> {
    pub(super) fn new(
        rules: &'a Rules,
        catalog: &'a Catalog,
        meanings: &'a BTreeMap<u32, Meaning>,
    ) -> Hazards<'a> {
        let mut references: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for relation in catalog.relations() {
            for key in &relation.foreign_keys {
                references.entry(key.references).or_default().push(relation.oid);
            }
        }
        Hazards { rules, catalog, meanings, references }
    }

    /// The hazards of a relation that reaches no sharded table and lies on `shard`.
    pub(super) fn of(&self, relation: &Relation, shard: ShardId) -> Single {
        let mut single = Single::plain(shard);
        if !self.rules.has_sharded() && self.rules.references().is_empty() {
            return single;
        }
        let mut seen = BTreeSet::new();
        // A relation, and whether it is reached only by what a foreign key's cascade writes.
        let mut queue = vec![(relation.oid, false)];
        while let Some((oid, is_cascade)) = queue.pop() {
            let Some(part) = self.catalog.relation_by_oid(oid).filter(|_| seen.insert(oid)) else { continue };
            if self.meanings.get(&oid) == Some(&Meaning::Reference) {
                let name = &part.name;
                single.refuse_write = Some(format!("it would write to reference table \"{name}\""));
                continue;
            }
            self.functions(part, shard, &mut single);
            let is_spread =
                |oid: &u32| matches!(self.meanings.get(oid), Some(Meaning::Sharded(_) | Meaning::Reaches(_)));
            let referencing = self.references.get(&oid).map_or(&[][..], Vec::as_slice);
            let to_sharded = part.foreign_keys.iter().any(|key| is_spread(&key.references));
            if (to_sharded && !is_cascade) || referencing.iter().any(is_spread) {
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

    /// Functions of users that using or writing to a relation runs.
    fn functions(&self, part: &Relation, shard: ShardId, single: &mut Single) {
        let name = &part.name;
        if let Some(function) = part.calls.iter().find(|function| !self.is_harmless(function, shard)) {
            single.refuse_use = Some(format!("\"{name}\" calls the user function {function}()"));
        }
        let trigger = part.triggers.iter().find(|trigger| {
            let rule = self.rules.triggers().iter().find(|rule| {
                rule.schema == part.schema && rule.table == part.name && rule.name == trigger.name
            });
            match rule.map(|rule| rule.touches) {
                Some(TriggerTouches::Pure) => false,
                Some(TriggerTouches::Home) => shard != self.rules.home(),
                Some(TriggerTouches::ByKey) | None => !self.is_harmless(&trigger.function, shard),
            }
        });
        if let Some(trigger) = trigger {
            let (trigger, function) = (&trigger.name, &trigger.function);
            single.refuse_write =
                Some(format!("\"{name}\" has trigger \"{trigger}\", which calls {function}()"));
        }
        if part.columns.iter().any(|c: &Column| c.default == ColumnDefault::Function) {
            single.refuse_write = Some(format!("\"{name}\" has a default that calls a user function"));
        }
        if let Some(function) = part.checks_call.iter().find(|function| !self.is_harmless(function, shard)) {
            single.refuse_write = Some(format!("a check of \"{name}\" calls the user function {function}()"));
        }
    }

    /// Whether a rule declares that the function, `schema.name`, touches nothing beyond a table on `shard`.
    fn is_harmless(&self, function: &str, shard: ShardId) -> bool {
        self.rules.functions().iter().any(|rule| {
            let is_it = function.strip_prefix(&*rule.schema).and_then(|rest| rest.strip_prefix('.'))
                == Some(&rule.name);
            is_it
                && match rule.touches {
                    FunctionTouches::Pure => true,
                    FunctionTouches::Home => shard == self.rules.home(),
                    FunctionTouches::ByKey { .. } => false,
                }
        })
    }
}
