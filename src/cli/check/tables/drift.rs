//! Are tables that lie on several shards the same there: columns, constraints, indexes, triggers, policies,
//! privileges; and what they are made of.

use super::ask::Definitions;
use super::{Cluster, Finding, Name, OnShard, Place, place, shown};
use crate::catalog::{Catalog, Relation};
use std::collections::{BTreeMap, BTreeSet};

/// Longest piece of a definition that is shown, in characters.
const SHOWN_MAX: usize = 160;

pub(super) fn judge(cluster: Cluster<'_>, findings: &mut Vec<Finding>) {
    let home = cluster.shards.iter().find(|shard| shard.id == cluster.rules.home());
    let Some(base) = home.or(cluster.shards.first()) else { return };
    for shard in cluster.shards.iter().filter(|shard| shard.id != base.id) {
        let spread = |one: &OnShard<'_>| spread(cluster, &one.tables.catalog);
        let major = |one: &OnShard<'_>| one.tables.catalog.database().server_version / 10_000;
        let is_same_version = major(base) == major(shard);
        for name in spread(base).union(&spread(shard)) {
            let (here, there) = (shard.tables.definitions.get(name), base.tables.definitions.get(name));
            // A table that is missing is told as such.
            if let (Some(here), Some(there)) = (here, there) {
                compare(name, (here, there), (shard, base), is_same_version, findings);
            }
        }
        objects(shard, base, findings);
    }
}

/// The relations that must be on every shard.
fn spread(cluster: Cluster<'_>, catalog: &Catalog) -> BTreeSet<Name> {
    let is_spread = |relation: &&Relation| place(cluster.rules, catalog, relation) == Place::Everywhere;
    let name = |relation: &Relation| (relation.schema.clone(), relation.name.clone());
    catalog.relations().filter(is_spread).map(name).collect()
}

type Parts = BTreeMap<(String, String), String>;

/// Each part of one table that differs.
fn compare(
    name: &Name,
    (here, there): (&Parts, &Parts),
    (shard, base): (&OnShard<'_>, &OnShard<'_>),
    is_same_version: bool,
    findings: &mut Vec<Finding>,
) {
    let table = shown(&name.0, &name.1);
    let keys: BTreeSet<&(String, String)> = here.keys().chain(there.keys()).collect();
    // A column that is missing puts the others out of order too.
    let has_same_columns =
        keys.iter().all(|key| key.0 != "column" || (here.contains_key(*key) && there.contains_key(*key)));
    for key in keys {
        let (what, part) = (&*key.0, &*key.1);
        let subject = if part.is_empty() { what.to_owned() } else { format!("{what} \"{part}\"") };
        let found = match (here.get(key), there.get(key)) {
            (Some(here), Some(there)) if here == there => continue,
            // Versions print queries differently.
            (Some(_), Some(_)) if !is_same_version && matches!(what, "definition" | "rule" | "policy") => {
                continue;
            }
            (Some(_), Some(_)) if what == "order of columns" && !has_same_columns => continue,
            (Some(here), Some(there)) => {
                format!("{table}: {subject} is {}, not {} as on {}", cut(here), cut(there), base.subject)
            }
            (Some(here), None) => {
                format!("{table} has {subject}, which {} lacks: {}", base.subject, cut(here))
            }
            (None, Some(there)) => {
                format!("{table} lacks {subject}, which {} has: {}", base.subject, cut(there))
            }
            (None, None) => continue,
        };
        let finding = match what {
            "index" | "owner" | "privileges of" => Finding::warning(shard.subject, found),
            _ => Finding::error(shard.subject, found),
        };
        findings.push(finding.hint("make the shards alike"));
    }
}

/// Types, functions and extensions that two shards both have, and that differ; extensions of one only.
fn objects(shard: &OnShard<'_>, base: &OnShard<'_>, findings: &mut Vec<Finding>) {
    let (here, there) = (&shard.tables.definitions, &base.tables.definitions);
    let names: BTreeSet<&Name> = here.keys().chain(there.keys()).collect();
    for name in names {
        for what in ["type", "function", "extension"] {
            let (ours, theirs) = (part(here, name, what), part(there, name, what));
            let shown_name =
                if name.0.is_empty() { name.1.clone() } else { format!("{}.{}", name.0, name.1) };
            let found = match (ours, theirs) {
                (Some(_), Some(_)) if what == "function" && ours != theirs => {
                    format!("function {shown_name} is not the same as on {}", base.subject)
                }
                (Some(a), Some(b)) if a != b => {
                    format!("{what} {shown_name} is {}, not {} as on {}", cut(a), cut(b), base.subject)
                }
                (None, Some(_)) if what == "extension" => {
                    format!("extension {shown_name} is missing; {} has it", base.subject)
                }
                _ => continue,
            };
            let finding = match what {
                "type" => Finding::error(shard.subject, found),
                _ => Finding::warning(shard.subject, found),
            };
            findings.push(finding.hint("answers may differ: make the shards alike"));
        }
    }
}

fn part<'a>(definitions: &'a Definitions, name: &Name, what: &str) -> Option<&'a str> {
    definitions.get(name)?.get(&(what.to_owned(), String::new())).map(String::as_str)
}

/// A definition on one line, not too long.
fn cut(definition: &str) -> String {
    let words = definition.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", words.get(..end).unwrap_or_default()),
        None => words,
    }
}
