//! Names that the search path may lead to a schema of another shard.
//!
//! The catalog is the home shard's, so what such a schema holds is not known: a bare name may mean a table
//! of it, whatever else has that name further down the path.

use super::planner::Subject;
use super::schema::Meaning;
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::sql::query::{Source, Statement};

const READS: [&str; 6] = ["select", "with", "values", "table", "explain", "declare"];
const OTHERS: [&str; 18] = [
    "insert", "update", "delete", "merge", "truncate", "copy", "lock", "alter", "drop", "comment", "grant",
    "revoke", "analyze", "vacuum", "reindex", "refresh", "cluster", "security",
];
const WRITES: [&str; 4] = ["insert", "update", "delete", "merge"];

/// The shard of the statement, where its path reaches a schema of another shard before its names: that
/// shard resolves them as one server would. `None` where the path reaches none.
pub(super) fn shard(subject: &Subject<'_>) -> Result<Option<ShardId>, SqlError> {
    let schema = subject.schema();
    let mentions = &subject.mentions;
    let word = mentions.word(0);
    let is_read = READS.contains(&word);
    if mentions.relations.is_empty() || !(is_read || OTHERS.contains(&word)) {
        return Ok(None);
    }
    let path = subject.context.search_path.schemas();
    let away = |name: &String| {
        schema.rules().schema(name).map(|rule| rule.shard).filter(|shard| *shard != subject.home())
    };
    let Some((at, shard)) = path.iter().enumerate().find_map(|(at, name)| Some((at, away(name)?))) else {
        return Ok(None);
    };
    let is_write = WRITES.iter().any(|write| mentions.has(write));
    let catalog = schema.catalog();
    let mut leads = false;
    for name in mentions.relations.iter().filter(|name| !catalog.is_system_relation(name)) {
        let is_first = path.iter().take(at).any(|schema| catalog.relation(schema, name).is_some());
        let is_everywhere = schema.meanings(name).all(|meaning| *meaning == Meaning::Reference);
        let is_known = schema.is_notable(name) || schema.is_relation(name);
        if is_first || (is_known && !(is_everywhere && schema.is_notable(name) && is_read && !is_write)) {
            return Err(unclear(name, path.get(at).map_or("", String::as_str)));
        }
        leads = true;
    }
    for other in path.iter().skip(at).filter_map(away).chain(mentions.schemas.iter().filter_map(away)) {
        if other != shard {
            return Err(unclear("a table", "the schemas of other shards"));
        }
    }
    Ok(leads.then_some(shard))
}

fn unclear(name: &str, schema: &str) -> SqlError {
    SqlError::refused(
        format!("{name} may mean a table of {schema}, which is on another shard, by search_path"),
        "Write the table's schema before its name, and leave schemas of other shards out of search_path.",
    )
}

/// Whether the statement names a table that the rules put on another shard and that the catalog, which is
/// the home shard's, does not have.
pub(super) fn names_unseen(subject: &Subject<'_>, statement: &Statement) -> bool {
    let schema = subject.schema();
    let is_unseen = |name: &[String], oid: Option<u32>| {
        let is_known = oid.is_some_and(|oid| schema.catalog().relation_by_oid(oid).is_some());
        let by_schema = || match name {
            [.., of, _] => schema.rules().schema(of).is_some_and(|rule| rule.shard != subject.home()),
            _ => false,
        };
        let by_name = || {
            matches!(schema.resolve(subject.context.search_path, name), Some(Meaning::Single(single)) if single.shard != subject.home())
        };
        !is_known && (by_schema() || by_name())
    };
    let items = statement.items.iter().filter_map(|item| match &item.source {
        Source::Relation(named) => Some(named),
        _ => None,
    });
    items.chain(&statement.unused).any(|named| is_unseen(&named.name, named.oid))
}
