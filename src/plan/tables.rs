//! The tables, views and functions that a statement uses, and those that it must not.

use super::builtin;
use super::hazard::Hazards;
use super::planner::Subject;
use super::schema::{Meaning, Schema};
use crate::catalog::{Column, ColumnDefault, Relation};
use crate::datum::key::KeyType;
use crate::error::SqlError;
use crate::rules::ShardedTable;
use crate::sql::query::{Expr, Kind, Named, Query, Source, Statement};
use crate::sqlstate;

/// A table of a statement: its relation and its rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShardedUse<'a> {
    pub(super) relation: &'a Relation,
    pub(super) table: &'a ShardedTable,
}

/// The tables of a statement by what they mean.
#[derive(Debug, Default)]
pub(super) struct Uses<'a> {
    pub(super) sharded: Vec<ShardedUse<'a>>,
    pub(super) references: Vec<&'a Relation>,
}

/// What the statement's relations mean; those that cannot be used are refused.
pub(super) fn uses<'a>(subject: &Subject<'a>, statement: &Statement) -> Result<Uses<'a>, SqlError> {
    let mut found = Uses::default();
    let target = match &statement.kind {
        Kind::Select(_) | Kind::Call(_) => None,
        Kind::Insert(insert) => Some(insert.target),
        Kind::Modify(modify) => Some(modify.target),
    };
    let target = target.and_then(|id| statement.item(id)).map(std::ptr::from_ref);
    for item in &statement.items {
        let is_target = target == Some(std::ptr::from_ref(item));
        match &item.source {
            Source::Relation(named) => relation(subject, named, is_target, &mut found)?,
            Source::Query(query) => view(subject, query)?,
            Source::Recursion | Source::Function(_) | Source::Excluded => {}
        }
    }
    for named in &statement.unused {
        relation(subject, named, false, &mut found)?;
    }
    Ok(found)
}

fn relation<'a>(
    subject: &Subject<'a>,
    named: &Named,
    is_target: bool,
    found: &mut Uses<'a>,
) -> Result<(), SqlError> {
    let schema = subject.schema();
    let shown = named.name.join(".");
    let Some(relation) = named.oid.and_then(|oid| schema.catalog().relation_by_oid(oid)) else {
        if let Some(meaning) = schema.resolve(subject.context.search_path, &named.name) {
            if let Meaning::Blocked(error) = meaning {
                return Err(SqlError::clone(error));
            }
            return Err(SqlError::new(
                sqlstate::UNDEFINED_TABLE,
                format!("relation \"{shown}\" does not exist"),
            )
            .with_detail("The sharding rules name it, but the catalog does not have it.")
            .with_hint("Create it on every shard, on connections to the shards themselves."));
        }
        return Ok(());
    };
    match schema.meaning(relation.oid) {
        None => Ok(()),
        Some(Meaning::Single(single)) => allowed(&single.hazards, is_target),
        Some(Meaning::Blocked(error)) => Err(SqlError::clone(error)),
        Some(Meaning::Reaches(how)) => Err(SqlError::refused(
            format!("\"{shown}\" is {how}, which is sharded; using it is not supported yet"),
            "Use the sharded table itself, with a condition on its key.",
        )),
        Some(Meaning::Reference) if is_target => Err(SqlError::refused(
            format!("writing to reference table \"{shown}\" is not supported yet"),
            "Write to it on each shard, on connections to the shards themselves.",
        )),
        Some(Meaning::Reference) => {
            found.references.push(relation);
            Ok(())
        }
        Some(Meaning::Sharded(rule)) => {
            if let Some(hazards) = schema.sharded_hazards(*rule) {
                allowed(hazards, is_target)?;
            }
            if let Some(table) = schema.sharded(*rule) {
                found.sharded.push(ShardedUse { relation, table });
            }
            Ok(())
        }
    }
}

/// A view's definition may call what is not seen in the statement.
fn view(subject: &Subject<'_>, query: &Query) -> Result<(), SqlError> {
    let schema = subject.schema();
    let Some(relation) = query.view.and_then(|oid| schema.catalog().relation_by_oid(oid)) else {
        return Ok(());
    };
    if let Some(Meaning::Single(single)) = schema.meaning(relation.oid) {
        allowed(&single.hazards, false)?;
    }
    match relation.calls.iter().find(|function| !schema.is_declared_pure(function)) {
        Some(function) => Err(SqlError::refused(
            format!(
                "view \"{}\" calls the user function {function}(), which may reach a sharded table",
                relation.name
            ),
            "Make the function IMMUTABLE, or declare it in the sharding rules as pure.",
        )),
        None => Ok(()),
    }
}

/// What Postgres would say of a name that means nothing.
pub(super) fn wrong(statement: &Statement) -> Option<Box<SqlError>> {
    let mut found = None;
    statement.for_each_expr(&mut |expr| {
        expr.any(&mut |part| {
            if let Expr::Wrong(error) = part {
                found.get_or_insert_with(|| error.clone());
            }
            false
        });
    });
    found
}

/// Operators that run user functions, in views.
pub(super) fn impure_operators(subject: &Subject<'_>, statement: &Statement) -> Result<(), SqlError> {
    let catalog = subject.schema().catalog();
    let mut found = None;
    statement.for_each_expr(&mut |expr| {
        expr.any(&mut |part| {
            if let Expr::Operator(name, _) = part
                && catalog.is_impure_operator(name)
            {
                found = Some(name.clone());
            }
            false
        });
    });
    match found {
        Some(name) => Err(SqlError::refused(
            format!(
                "operator {name}, which calls a user function, may reach a sharded table, so calling it is not supported yet"
            ),
            "Make the function IMMUTABLE, or declare it in the sharding rules as pure.",
        )),
        None => Ok(()),
    }
}

/// Functions and columns that reach beyond the shard that a statement of sharded tables runs on.
pub(super) fn beyond_shard(statement: &Statement) -> Result<(), SqlError> {
    let mut found = None;
    statement.for_each_expr(&mut |expr| {
        expr.any(&mut |part| {
            let what = match part {
                Expr::Call(call) if builtin::is_beyond_shard(&call.name) => {
                    Some(format!("{}()", call.name.join(".")))
                }
                Expr::System(_, name) if name == "tableoid" => Some("the system column tableoid".to_owned()),
                _ => None,
            };
            found = found.take().or(what);
            false
        });
    });
    match found {
        Some(what) => Err(SqlError::refused(
            format!("{what} in a statement of sharded tables would answer for one shard only"),
            "Ask for it in a statement of its own.",
        )),
        None => Ok(()),
    }
}

/// A row of a reference table that is locked on one shard is not locked on the others.
pub(super) fn locks(statement: &Statement, uses: &Uses<'_>) -> Result<(), SqlError> {
    let Kind::Select(query) = &statement.kind else { return Ok(()) };
    let is_locking = !query.locks.is_empty()
        || statement
            .items
            .iter()
            .any(|item| matches!(&item.source, Source::Query(query) if !query.locks.is_empty()));
    if !is_locking || uses.references.is_empty() || uses.sharded.is_empty() {
        return Ok(());
    }
    let is_of_sharded = |name: &Vec<String>| {
        let item = statement.items.iter().find(|item| item.name.as_ref() == name.last());
        item.is_some_and(|item| match &item.source {
            Source::Relation(named) => uses.sharded.iter().any(|used| Some(used.relation.oid) == named.oid),
            _ => false,
        })
    };
    if !query.locks.is_empty() && query.locks.iter().all(|name| !name.is_empty() && is_of_sharded(name)) {
        return Ok(());
    }
    let name = uses.references.first().map_or("", |relation| &relation.name);
    Err(SqlError::refused(
        format!(
            "locking rows of reference table \"{name}\" together with those of sharded tables is not supported"
        ),
        "Name the sharded tables behind FOR UPDATE OF.",
    ))
}

/// Whether a table may be used, and written to where it is the target.
pub(super) fn allowed(found: &Hazards, is_target: bool) -> Result<(), SqlError> {
    let hint = "Where the cluster has sharded tables, functions of users run only if they are IMMUTABLE or the sharding rules declare them.";
    if let Some(reason) = &found.refuse_use {
        return Err(SqlError::refused(format!("{reason}, which may reach a sharded table"), hint));
    }
    match &found.refuse_write {
        Some(reason) if is_target => {
            Err(SqlError::refused(format!("writing is not supported yet: {reason}"), hint))
        }
        _ => Ok(()),
    }
}

/// Whether a sharded table can be used at all.
pub(super) fn usable(schema: &Schema, used: &ShardedUse<'_>) -> Result<(), SqlError> {
    let (relation, table) = (used.relation, used.table);
    let name = &relation.name;
    let key_types = schema.rules().group(table.group).map_or(&[][..], |group| &group.key_types);
    for (key, key_type) in table.keys.iter().zip(key_types) {
        let Some(column) = relation.column(key) else {
            return Err(SqlError::refused(
                format!("sharded table \"{name}\" has no column \"{key}\", its sharding key"),
                "Correct the sharding rules.",
            ));
        };
        key_column(schema, name, column, *key_type)?;
    }
    if relation.has_rules {
        return Err(SqlError::refused(
            format!("sharded table \"{name}\" has rewrite rules"),
            "Remove them; they are not supported on sharded tables.",
        ));
    }
    Ok(())
}

fn key_column(schema: &Schema, name: &str, column: &Column, key_type: KeyType) -> Result<(), SqlError> {
    let key = &column.name;
    if !key_type.is_column_type(column.type_oid) {
        return Err(SqlError::refused(
            format!("the sharding key \"{key}\" of \"{name}\" is not of a type that is hashed as {key_type}"),
            "Correct the group's key type in the sharding rules.",
        ));
    }
    let collation = schema.catalog().collation(column.collation);
    if key_type == KeyType::Text && !collation.is_some_and(|collation| collation.is_deterministic) {
        return Err(SqlError::refused(
            format!("the sharding key \"{key}\" of \"{name}\" has a collation that is not deterministic"),
            "Give the column a deterministic collation.",
        ));
    }
    if column.default == ColumnDefault::Generated {
        return Err(SqlError::refused(
            format!("the sharding key \"{key}\" of \"{name}\" is a generated column"),
            "Make it a plain column.",
        ));
    }
    Ok(())
}
