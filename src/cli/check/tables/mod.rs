//! The rules against the shards: are the tables where the rules say, alike, and can what the rules promise be
//! kept there.
//!
//! `ask` reads one shard; the other modules judge what was read, and change nothing.

mod ask;
mod contents;
mod drift;
mod foreign;
mod keys;
mod placement;
mod presence;
mod routines;
mod rows;

pub(super) use ask::{Depth, Questions, Tables, ask, read_catalog};
pub(super) use placement::about_rules;

use super::Finding;
use crate::catalog::{Catalog, Relation, RelationKind};
use crate::ids::ShardId;
use crate::rules::{Rules, ShardedTable};
use std::collections::{BTreeSet, VecDeque};

/// Schema and name.
type Name = (String, String);

/// A shard that answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnShard<'a> {
    pub(super) id: ShardId,
    /// `cluster/shard`.
    pub(super) subject: &'a str,
    pub(super) tables: &'a Tables,
}

/// The rules, and all shards that answered.
#[derive(Clone, Copy, Debug)]
struct Cluster<'a> {
    rules: &'a Rules,
    name: &'a str,
    shards: &'a [OnShard<'a>],
}

/// Findings about tables, functions and rows; `shards` are those that answered.
pub(super) fn judge(rules: &Rules, name: &str, shards: &[OnShard<'_>], findings: &mut Vec<Finding>) {
    if rules.is_home_only() {
        return;
    }
    let cluster = Cluster { rules, name, shards };
    presence::judge(cluster, findings);
    keys::judge(cluster, findings);
    foreign::judge(cluster, findings);
    routines::judge(cluster, findings);
    drift::judge(cluster, findings);
    contents::judge(cluster, findings);
    rows::judge(cluster, findings);
}

/// Where a relation has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// On every shard.
    Everywhere,
    /// On this shard only.
    One(ShardId),
}

impl<'a> Cluster<'a> {
    /// The first shard, the home shard before all others, that has a relation of this name.
    fn first_with(&self, schema: &str, table: &str) -> Option<(OnShard<'a>, &'a Relation)> {
        let home = self.shards.iter().filter(|shard| shard.id == self.rules.home());
        let others = self.shards.iter().filter(|shard| shard.id != self.rules.home());
        home.chain(others).find_map(|shard| Some((*shard, shard.tables.catalog.relation(schema, table)?)))
    }

    fn has_failed_shards(&self) -> bool {
        self.shards.len() < usize::from(self.rules.shard_count())
    }
}

/// Where the rules put a relation. A view lies where what it reads lies; what a spread table is a child of is
/// there where it is.
fn place(rules: &Rules, catalog: &Catalog, relation: &Relation) -> Place {
    let above = reach(catalog, relation, |part| {
        let reads = if part.kind == RelationKind::View { &part.reads[..] } else { &[] };
        part.parents.iter().chain(reads)
    });
    // A view over reference tables lies on one shard.
    let is_spread = |part: &Relation| {
        ruled(rules, part) == Some(Place::Everywhere)
            && (!is_reference(rules, part) || relation.kind != RelationKind::View)
    };
    if above.into_iter().chain(family(catalog, relation)).any(is_spread) {
        return Place::Everywhere;
    }
    let of_family = ancestors(catalog, relation).into_iter().find_map(|part| ruled(rules, part));
    of_family.unwrap_or(Place::One(rules.home()))
}

fn is_reference(rules: &Rules, relation: &Relation) -> bool {
    rules.references().iter().any(|rule| rule.schema == relation.schema && rule.table == relation.name)
}

/// Where a rule for this very relation, or its schema, puts it.
fn ruled(rules: &Rules, relation: &Relation) -> Option<Place> {
    let is_it = |schema: &str, table: &str| schema == relation.schema && table == relation.name;
    if rules.sharded().iter().any(|rule| is_it(&rule.schema, &rule.table)) || is_reference(rules, relation) {
        return Some(Place::Everywhere);
    }
    let single = rules.singles().iter().find(|rule| is_it(&rule.schema, &rule.table)).map(|rule| rule.shard);
    single.or_else(|| rules.schema(&relation.schema).map(|rule| rule.shard)).map(Place::One)
}

/// The sharded table that a relation is, or is a partition or child of.
fn sharded_rule<'a>(rules: &'a Rules, catalog: &Catalog, relation: &Relation) -> Option<&'a ShardedTable> {
    ancestors(catalog, relation).into_iter().find_map(|part| {
        rules.sharded().iter().find(|rule| rule.schema == part.schema && rule.table == part.name)
    })
}

/// Whether a relation is a reference table, or a partition or child of one.
fn is_of_reference(rules: &Rules, catalog: &Catalog, relation: &Relation) -> bool {
    ancestors(catalog, relation).into_iter().any(|part| is_reference(rules, part))
}

/// A relation and all above it.
fn ancestors<'a>(catalog: &'a Catalog, relation: &'a Relation) -> Vec<&'a Relation> {
    reach(catalog, relation, |part| part.parents.iter())
}

/// A relation and its partitions and children, at all depths.
fn family<'a>(catalog: &'a Catalog, relation: &'a Relation) -> Vec<&'a Relation> {
    reach(catalog, relation, |part| part.children.iter())
}

fn reach<'a, I: Iterator<Item = &'a u32>>(
    catalog: &'a Catalog,
    relation: &'a Relation,
    next: impl Fn(&'a Relation) -> I,
) -> Vec<&'a Relation> {
    let mut found: BTreeSet<u32> = BTreeSet::new();
    let mut order = Vec::new();
    let mut queue = VecDeque::from([relation]);
    while let Some(part) = queue.pop_front() {
        if found.insert(part.oid) {
            order.push(part);
            queue.extend(next(part).filter_map(|oid| catalog.relation_by_oid(*oid)));
        }
    }
    order
}

fn shown(schema: &str, table: &str) -> String {
    format!("\"{schema}.{table}\"")
}

/// Up to ten names, and how many more there are.
fn listed(names: &BTreeSet<String>) -> String {
    let mut text = names.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 10 {
        text += &format!(" and {} more", names.len() - 10);
    }
    text
}
