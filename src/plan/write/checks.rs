//! What would be checked or computed over all rows, and so must not be left to one shard.

use crate::catalog::{ColumnDefault, Relation};
use crate::error::SqlError;
use crate::plan::foreign_key::{self, Change};
use crate::plan::hazard::family;
use crate::plan::planner::Subject;
use crate::plan::tables::ShardedUse;
use crate::rules::{ShardedTable, TriggerTouches};
use crate::sql::query::{Expr, Insert, InsertSource, Kind};

/// What a write does, as far as the checks go.
struct Write<'a> {
    /// The columns that it sets: of UPDATE, and of ON CONFLICT DO UPDATE.
    sets: Vec<&'a String>,
    is_insert: bool,
    is_delete: bool,
}

/// Checks the sharded target of a write.
pub(super) fn check(subject: &Subject<'_>, used: ShardedUse<'_>, kind: &Kind) -> Result<(), SqlError> {
    let (table, name) = (used.table, &used.relation.name);
    let write = match kind {
        Kind::Select(_) | Kind::Call(_) => return Ok(()),
        Kind::Insert(insert) => {
            let sets = insert.conflict.as_ref().and_then(|conflict| conflict.update.as_ref());
            let sets = sets.map(|(sets, _)| sets.iter().map(|set| &set.column).collect());
            Write { sets: sets.unwrap_or_default(), is_insert: true, is_delete: false }
        }
        Kind::Modify(modify) => Write {
            sets: modify.sets.iter().flatten().map(|set| &set.column).collect(),
            is_insert: false,
            is_delete: modify.sets.is_none(),
        },
    };
    if let Some(key) = table.keys.iter().find(|key| write.sets.contains(key)) {
        return Err(SqlError::refused(
            format!("changing the sharding key \"{key}\" of \"{name}\" is not supported yet"),
            "Delete the row and insert it with the new key.",
        ));
    }
    for member in family(subject.schema().catalog(), used.relation) {
        triggers(subject, member, used.relation)?;
        unique_keys(member, table, &write)?;
    }
    foreign_key::check(subject.schema(), used, &changes(&write))?;
    if let Kind::Insert(insert) = kind {
        defaults(used.relation, insert)?;
    }
    Ok(())
}

/// Triggers must be declared to touch nothing beyond the row's shard.
fn triggers(subject: &Subject<'_>, member: &Relation, target: &Relation) -> Result<(), SqlError> {
    let schema = subject.schema();
    let is_harmless = |name: &str, function: &str| {
        let rule = schema.rules().triggers().iter().find(|rule| {
            let is_on = |relation: &Relation| rule.schema == relation.schema && rule.table == relation.name;
            rule.name == name && (is_on(member) || is_on(target))
        });
        match rule.map(|rule| rule.touches) {
            Some(TriggerTouches::Pure | TriggerTouches::ByKey) => true,
            Some(TriggerTouches::Home) => false,
            None => schema.is_declared_pure(function),
        }
    };
    match member.triggers.iter().find(|trigger| !is_harmless(&trigger.name, &trigger.function)) {
        Some(trigger) => Err(SqlError::refused(
            format!(
                "sharded table \"{}\" has trigger \"{}\", which may reach other tables",
                target.name, trigger.name
            ),
            "Drop the trigger, or declare it in the sharding rules as pure or by_key.",
        )),
        None => Ok(()),
    }
}

/// A unique key without the sharding key holds on each shard only.
fn unique_keys(relation: &Relation, table: &ShardedTable, write: &Write<'_>) -> Result<(), SqlError> {
    let lacks_key = |columns: &&Vec<String>| !table.keys.iter().all(|key| columns.contains(key));
    for columns in relation.unique_keys.iter().filter(lacks_key) {
        let is_touched = write.is_insert
            || (!write.is_delete && columns.iter().any(|c| c.is_empty() || write.sets.contains(&c)));
        if is_touched {
            let columns = columns.join(", ");
            return Err(SqlError::refused(
                format!(
                    "a unique key ({columns}) of sharded table \"{}\" does not contain its sharding key \"{}\", so no shard can check it",
                    table.table,
                    table.keys.join(", ")
                ),
                "Add the sharding key to the unique key.",
            ));
        }
    }
    Ok(())
}

/// What the write does to rows of its target, as foreign keys see it.
fn changes(write: &Write<'_>) -> Vec<Change> {
    let sets = || write.sets.iter().map(|set| (*set).clone()).collect();
    match (write.is_insert, write.is_delete) {
        (true, _) if write.sets.is_empty() => vec![Change::Insert],
        (true, _) => vec![Change::Insert, Change::Update(sets())],
        (false, true) => vec![Change::Delete],
        (false, false) => vec![Change::Update(sets())],
    }
}

/// A column that a sequence would fill must be given: each shard has a sequence of its own.
fn defaults(relation: &Relation, insert: &Insert) -> Result<(), SqlError> {
    for (index, column) in relation.columns.iter().enumerate() {
        let place = if insert.columns.is_empty() {
            Some(index)
        } else {
            insert.columns.iter().position(|given| *given == column.name)
        };
        let is_given = match &insert.source {
            InsertSource::Rows(rows) => rows.iter().all(|row| {
                place.and_then(|place| row.get(place)).is_some_and(|value| *value != Expr::Default)
            }),
            InsertSource::Query(_) | InsertSource::Defaults => false,
        };
        if is_given {
            continue;
        }
        let (column_name, table) = (&column.name, &relation.name);
        let hint = format!("Give \"{column_name}\" a value in the statement.");
        match column.default {
            ColumnDefault::Sequence => {
                return Err(SqlError::refused(
                    format!(
                        "filling \"{column_name}\" of sharded table \"{table}\" from a sequence is not supported yet"
                    ),
                    hint,
                ));
            }
            ColumnDefault::Function => {
                return Err(SqlError::refused(
                    format!(
                        "the default of \"{column_name}\" of sharded table \"{table}\" calls a user function"
                    ),
                    hint,
                ));
            }
            ColumnDefault::None | ColumnDefault::Plain | ColumnDefault::Generated => {}
        }
    }
    Ok(())
}
