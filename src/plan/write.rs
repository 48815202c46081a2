//! What must hold before a write to a sharded table may run on the shard of its key: nothing that one
//! Postgres would check or compute over all rows may be left to one shard.

use super::foreign_key::{self, Change};
use super::hazard::family;
use super::pins::ShardedItem;
use super::planner::Subject;
use crate::catalog::{ColumnDefault, Relation};
use crate::error::SqlError;
use crate::rules::ShardedTable;
use crate::sql::analysis::{Analysis, Given, Insert, InsertSource, Kind};

/// Checks the target of a write; reads pass.
pub(super) fn check(
    subject: &Subject<'_>,
    analysis: &Analysis,
    items: &[ShardedItem<'_>],
) -> Result<(), SqlError> {
    let target = items.first().filter(|item| item.level == 0 && item.item == 0);
    let (Some(target), false) = (target, analysis.kind == Kind::Select) else { return Ok(()) };
    let (table, name) = (target.table, &target.table.table);
    let sets: &[String] = match &analysis.kind {
        Kind::Update(sets) => sets,
        Kind::Insert(insert) => &insert.conflict_sets,
        Kind::Select | Kind::Delete => &[],
    };
    if table.keys.iter().any(|key| sets.contains(key)) {
        return Err(SqlError::refused(
            format!("changing the sharding key \"{}\" of \"{name}\" is not supported yet", table.key()),
            "Delete the row and insert it with the new key.",
        ));
    }
    let Some(relation) = subject.schema().sharded_relation(table) else { return Ok(()) };
    for member in family(subject.schema().catalog(), relation) {
        if let Some(trigger) = member.triggers.first() {
            let trigger = &trigger.name;
            return Err(SqlError::refused(
                format!("sharded table \"{name}\" has trigger \"{trigger}\", which may reach other tables"),
                "Drop the trigger; declaring it harmless in the rules comes later.",
            ));
        }
        unique_keys(member, table, &analysis.kind, sets)?;
    }
    foreign_key::check(subject.schema(), table, &changes(&analysis.kind))?;
    if let Kind::Insert(insert) = &analysis.kind {
        insert_refusal(insert, table)?;
        defaults(relation, insert)?;
    }
    Ok(())
}

/// What the statement does to rows of its target.
fn changes(kind: &Kind) -> Vec<Change> {
    match kind {
        Kind::Insert(insert) if insert.conflict_sets.is_empty() => vec![Change::Insert],
        Kind::Insert(insert) => vec![Change::Insert, Change::Update(insert.conflict_sets.clone())],
        Kind::Update(sets) => vec![Change::Update(sets.clone())],
        Kind::Delete => vec![Change::Delete],
        Kind::Select => Vec::new(),
    }
}

/// A unique key without the sharding key holds on each shard only.
fn unique_keys(
    relation: &Relation,
    table: &ShardedTable,
    kind: &Kind,
    sets: &[String],
) -> Result<(), SqlError> {
    for columns in
        relation.unique_keys.iter().filter(|columns| !table.keys.iter().all(|key| columns.contains(key)))
    {
        let is_touched = match kind {
            Kind::Insert(_) => true,
            Kind::Update(_) => columns.iter().any(|c| c.is_empty() || sets.contains(c)),
            Kind::Select | Kind::Delete => false,
        };
        if is_touched {
            let columns = columns.join(", ");
            return Err(SqlError::refused(
                format!(
                    "a unique key ({columns}) of sharded table \"{}\" does not contain its sharding key \"{}\", so no shard can check it",
                    table.table,
                    table.key()
                ),
                "Add the sharding key to the unique key.",
            ));
        }
    }
    Ok(())
}

fn insert_refusal(insert: &Insert, table: &ShardedTable) -> Result<(), SqlError> {
    let (name, key) = (&table.table, table.key());
    match &insert.source {
        InsertSource::Rows(rows) => Err(SqlError::refused(
            format!("INSERT of {rows} rows into sharded table \"{name}\" is not supported yet"),
            "Insert one row per statement.",
        )),
        InsertSource::Query => Err(SqlError::refused(
            format!("INSERT ... SELECT into sharded table \"{name}\" is not supported yet"),
            "Select the rows and insert them one per statement.",
        )),
        InsertSource::Row(row) => {
            let place = insert.columns.iter().position(|column| column == key);
            match place.and_then(|place| row.get(place)) {
                Some(Given::Null) => Err(SqlError::new(
                    crate::sqlstate::CHECK_VIOLATION,
                    format!("null value in sharding key \"{key}\" of table \"{name}\""),
                )
                .with_hint("Give the row a key: it decides the shard that the row lies on.")),
                _ => Ok(()),
            }
        }
        InsertSource::Defaults => Ok(()),
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
        let given = match &insert.source {
            InsertSource::Row(row) => place.and_then(|place| row.get(place)),
            _ => None,
        };
        if given.is_some_and(|given| *given != Given::Default) {
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
