//! Can each foreign key be checked on the shard of the row that it is checked for.

use super::{Cluster, Finding, Place, ancestors, is_of_reference, place, sharded_rule, shown};
use crate::catalog::{Catalog, ForeignKey, ForeignKeyAction, Relation};
use crate::ids::ShardId;
use crate::rules::{Rules, ShardedTable};

pub(super) fn judge(cluster: Cluster<'_>, findings: &mut Vec<Finding>) {
    let mut told: Vec<(String, String, String)> = Vec::new();
    for shard in cluster.shards {
        let catalog = &shard.tables.catalog;
        for relation in catalog.relations() {
            // A table that counts on another shard only is told as a stray.
            if matches!(place(cluster.rules, catalog, relation), Place::One(one) if one != shard.id) {
                continue;
            }
            for key in &relation.foreign_keys {
                let Some(other) = catalog.relation_by_oid(key.references) else { continue };
                if is_copy(catalog, (relation, key, other)) {
                    continue;
                }
                let definition = shard.tables.constraint(relation, &key.name).unwrap_or_default();
                let Some((problem, hint)) =
                    problem(cluster.rules, catalog, (relation, key, other), definition)
                else {
                    continue;
                };
                let name = (relation.schema.clone(), relation.name.clone(), key.name.clone());
                if !told.contains(&name) {
                    told.push(name);
                    let found = format!(
                        "foreign key \"{}\" from {} to {} {problem}",
                        key.name,
                        shown(&relation.schema, &relation.name),
                        shown(&other.schema, &other.name)
                    );
                    findings.push(Finding::error(shard.subject, found).hint(hint));
                }
            }
        }
    }
}

/// What a relation is to foreign keys.
enum Side<'a> {
    Sharded(&'a ShardedTable),
    Reference,
    One(ShardId),
}

fn side<'a>(rules: &'a Rules, catalog: &Catalog, relation: &Relation) -> Side<'a> {
    if let Some(rule) = sharded_rule(rules, catalog, relation) {
        return Side::Sharded(rule);
    }
    if is_of_reference(rules, catalog, relation) {
        return Side::Reference;
    }
    match place(rules, catalog, relation) {
        Place::One(shard) => Side::One(shard),
        Place::Everywhere => Side::Reference,
    }
}

/// Why no shard can check a foreign key, and what to do.
fn problem(
    rules: &Rules,
    catalog: &Catalog,
    (from, key, to): (&Relation, &ForeignKey, &Relation),
    definition: &str,
) -> Option<(String, &'static str)> {
    match (side(rules, catalog, from), side(rules, catalog, to)) {
        (Side::Sharded(mine), Side::Sharded(theirs)) if mine.group != theirs.group => Some((
            "connects tables of two colocation groups: their rows lie apart".to_owned(),
            "put both tables into one group, or drop the foreign key",
        )),
        (Side::Sharded(mine), Side::Sharded(theirs)) => {
            let is_connected = mine
                .keys
                .iter()
                .zip(&theirs.keys)
                .all(|(a, b)| key.columns.iter().any(|(mine, theirs)| mine == a && theirs == b));
            if !is_connected {
                return Some((
                    format!(
                        "does not connect the sharding keys ({}) and ({})",
                        mine.keys.join(", "),
                        theirs.keys.join(", ")
                    ),
                    "add the sharding key to both of its sides, or drop it",
                ));
            }
            changes_key(key, mine, definition).map(|action| {
                (
                    format!("changes the sharding key {action}"),
                    "use NO ACTION, RESTRICT or CASCADE, or name the columns to be set",
                )
            })
        }
        (Side::Sharded(_) | Side::Reference | Side::One(_), Side::Reference) => None,
        (Side::Reference, Side::Sharded(_)) => Some((
            "points from a reference table to a sharded one: each shard has only some of the rows".to_owned(),
            "drop it, or shard both tables",
        )),
        (Side::Sharded(_) | Side::Reference, Side::One(_)) => Some((
            "points to a table of one shard".to_owned(),
            "make the referenced table a reference table, or drop the foreign key",
        )),
        (Side::One(_), Side::Sharded(_)) => Some((
            "points from a table of one shard to a sharded one".to_owned(),
            "shard both tables by the same key, or drop the foreign key",
        )),
        (Side::One(a), Side::One(b)) if a != b => Some((
            "connects tables of two shards".to_owned(),
            "let the rules put both on one shard, or drop the foreign key",
        )),
        (Side::One(_), Side::One(_)) => None,
    }
}

/// When what happens to the referenced row would set the referencing row's key to another value.
fn changes_key(key: &ForeignKey, mine: &ShardedTable, definition: &str) -> Option<&'static str> {
    // `ON DELETE SET NULL (a, b)` sets these columns only.
    let behind =
        definition.find(" ON DELETE SET ").and_then(|at| definition.get(at + 15..)).unwrap_or_default();
    let listed = behind.split_once(" (").filter(|(word, _)| matches!(*word, "NULL" | "DEFAULT"));
    let listed = listed.and_then(|(_, columns)| columns.split(')').next());
    let is_deleted_set = |column: &String| {
        listed.is_none_or(|listed| listed.split(", ").any(|name| name.trim_matches('"') == column))
    };
    let is_key = |column: &&String| mine.keys.contains(*column);
    let keys = key.columns.iter().map(|(column, _)| column).filter(is_key);
    let sets = |action| matches!(action, ForeignKeyAction::SetNull | ForeignKeyAction::SetDefault);
    match (sets(key.on_update), sets(key.on_delete)) {
        (true, _) if keys.clone().next().is_some() => Some("when the referenced row is updated"),
        (_, true) if keys.clone().any(is_deleted_set) => Some("when the referenced row is deleted"),
        _ => None,
    }
}

/// Whether Postgres made it for a partition from the foreign key of the whole table.
fn is_copy(catalog: &Catalog, (from, key, to): (&Relation, &ForeignKey, &Relation)) -> bool {
    let targets: Vec<u32> = ancestors(catalog, to).into_iter().map(|part| part.oid).collect();
    ancestors(catalog, from).into_iter().any(|part| {
        part.foreign_keys.iter().any(|other| {
            other.oid != key.oid
                && other.columns == key.columns
                && targets.contains(&other.references)
                && (part.oid != from.oid || other.references != to.oid)
        })
    })
}
