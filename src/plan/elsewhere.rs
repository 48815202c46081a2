//! Tables of other shards, which the catalog of the home shard lacks: single tables and schemas that a rule puts
//! on one of them.
//!
//! A statement is planned against one shard's catalog. Which one says this: where each name is looked up first
//! along the search path, each schema on the shard that has it. A statement whose names turn out to lie on
//! several shards is refused by what comes after.

use super::mention::Notable;
use super::planner::Subject;
use super::schema::{Meaning, Schema};
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::sql::query::{Source, Statement};

/// The other shard against whose schema the statement is planned; `None`: the home shard.
///
/// # Errors
/// `0A000` where a name may mean a table of another shard, and it is not certain which.
pub(super) fn schema<'a>(subject: &Subject<'a>) -> Result<Option<(ShardId, &'a Schema)>, SqlError> {
    let schema = subject.schema();
    let away = schema.rules().shards_of_single_tables();
    if away.is_empty() {
        return Ok(None);
    }
    let mentions = &subject.mentions;
    let mut found = None;
    for name in &mentions.qualified {
        found = found.or(place(subject, name)?);
    }
    // A schema before a dot may also be that of a function or a type.
    let named = mentions.schemas.iter().map(|name| schema.shard_of_schema(name));
    let found = found.or(named.into_iter().find(|shard| *shard != subject.home()));
    let found = found.or_else(|| mentions.qualified.is_empty().then(|| function_or_type(subject)).flatten());
    // What the other shard's catalog says is not known: the statement is judged by its names alone.
    Ok(found.and_then(|shard| Some((shard, schema.other(shard)?))))
}

/// The shard other than the home shard on which a relation's name is found.
fn place(subject: &Subject<'_>, named: &Notable) -> Result<Option<ShardId>, SqlError> {
    let (schema, name) = (subject.schema(), &named.name);
    if let Some(of) = &named.schema {
        return Ok(own_shard(schema, of, name).filter(|shard| *shard != subject.home()));
    }
    let path = subject.context.search_path.schemas();
    if !path.iter().any(|of| of == "pg_catalog") && schema.catalog().is_system_relation(name) {
        return Ok(None);
    }
    for (at, of) in path.iter().enumerate() {
        let Some(shard) = own_shard(schema, of, name).filter(|shard| *shard != subject.home()) else {
            let is_system = of == "pg_catalog" && schema.catalog().is_system_relation(name);
            if is_system || schema.catalog().relation(of, name).is_some() {
                return Ok(None);
            }
            continue;
        };
        let Some(other) = schema.other(shard) else {
            if schema.meanings(name).next().is_some() {
                // A rule names the very table.
                return Ok(Some(shard));
            }
            return Err(unclear(name, of, "whose tables are not known at the moment"));
        };
        if other.catalog().relation(of, name).is_none() {
            continue;
        }
        // There the name must mean the same.
        let before = path.get(..at).unwrap_or_default();
        if before.iter().any(|before| other.catalog().relation(before, name).is_some()) {
            return Err(unclear(name, of, "and another one there"));
        }
        return Ok(Some(shard));
    }
    Ok(None)
}

/// The shard of a function or type that the search path leads to.
fn function_or_type(subject: &Subject<'_>) -> Option<ShardId> {
    let schema = subject.schema();
    let mut ways = subject.context.search_path.schemas().iter().filter_map(|of| {
        let shard = schema.rules().schema(of)?.shard;
        Some((of, shard, schema.other(shard)?.catalog()))
    });
    ways.find_map(|(of, shard, catalog)| {
        let is_there = |name: &String| {
            catalog.type_named(of, name).is_some()
                || catalog.functions_named(name).iter().any(|function| function.schema == *of)
        };
        subject.mentions.names.iter().any(is_there).then_some(shard)
    })
}

/// The first name of a statement that is planned against another shard which means a table of the home shard
/// only.
pub(super) fn home_table<'a>(subject: &'a Subject<'_>) -> Option<&'a str> {
    let (_, home) = subject.elsewhere?;
    let is_own = |of: &str, name: &str| {
        let relation = home.catalog().relation(of, name)?;
        let is_away = own_shard(home, of, name).is_some_and(|shard| shard != subject.home());
        let is_spread = matches!(home.meaning(relation.oid), Some(Meaning::Sharded(_) | Meaning::Reference));
        Some(!is_away && !is_spread)
    };
    let is_home = |named: &&Notable| match &named.schema {
        Some(of) => is_own(of, &named.name) == Some(true),
        None => {
            let path = subject.context.search_path.schemas().iter();
            // The other shard's own comes first where it has one.
            let other = subject.schema();
            let is_there = |of: &&String| {
                other.rules().schema(of).is_some() && other.catalog().relation(of, &named.name).is_some()
            };
            path.take_while(|of| !is_there(of)).find_map(|of| is_own(of, &named.name)) == Some(true)
        }
    };
    subject.mentions.qualified.iter().find(is_home).map(|named| named.name.as_str())
}

/// The shard that a rule puts a table, or all tables of its schema, on.
fn own_shard(schema: &Schema, of: &str, name: &str) -> Option<ShardId> {
    let rules = schema.rules();
    let single = rules.singles().iter().find(|rule| rule.schema == of && rule.table == name);
    single.map(|rule| rule.shard).or_else(|| rules.schema(of).map(|rule| rule.shard))
}

fn unclear(name: &str, schema: &str, why: &str) -> SqlError {
    SqlError::refused(
        format!("\"{name}\" may mean a table of schema \"{schema}\", which is on another shard, {why}"),
        "Write the table's schema before its name.",
    )
}

/// Whether the statement names a table that the rules put on another shard and that the catalog in use does not
/// have.
pub(super) fn names_unseen(subject: &Subject<'_>, statement: &Statement) -> bool {
    let schema = subject.schema();
    let is_unseen = |name: &[String], oid: Option<u32>| {
        let is_known = oid.is_some_and(|oid| schema.catalog().relation_by_oid(oid).is_some());
        let by_schema = || match name {
            [.., of, _] => schema.rules().schema(of).is_some_and(|rule| rule.shard != subject.home()),
            _ => false,
        };
        let by_name = || matches!(schema.resolve(subject.context.search_path, name), Some(Meaning::Single(single)) if single.shard != subject.home());
        !is_known && (by_schema() || by_name())
    };
    let items = statement.items.iter().filter_map(|item| match &item.source {
        Source::Relation(named) => Some(named),
        _ => None,
    });
    items.chain(&statement.unused).any(|named| is_unseen(&named.name, named.oid))
}
