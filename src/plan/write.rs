//! Writes: which shards they reach, and what must hold before one of them may run on the shard of its key:
//! nothing that one Postgres would check or compute over all rows may be left to one shard.

mod checks;

use super::Scatter;
use super::constant::Constants;
use super::locate::{Locate, Spread};
use super::planner::Subject;
use super::prune::Prune;
use super::push::Answer;
use super::tables::{ShardedUse, Uses};
use crate::error::SqlError;
use crate::merge::{MergeKind, MergePlan};
use crate::sql::query::{Expr, Insert, InsertSource, ItemId, Kind, LiteralKind, Modify, Source, Statement};
use crate::sqlstate;

/// The shards that a write reaches, and what to do with several.
pub(super) fn plan<'q>(
    subject: &Subject<'_>,
    locate: &mut Locate<'q>,
    statement: &'q Statement,
    uses: &Uses<'_>,
) -> Result<(Prune, Answer), SqlError> {
    let unsupported = |what: &str| Err(format!("{what} over several shards is not supported yet"));
    match &statement.kind {
        Kind::Select(_) | Kind::Call(_) => Ok((Prune::Nothing, unsupported("this"))),
        Kind::Insert(insert) => {
            let used = used(statement, insert.target, uses);
            if let Some(used) = used {
                checks::check(subject, used, &statement.kind)?;
            }
            let mut sets = match used {
                Some(used) => placed(&locate.constants, subject, used, insert)?,
                None => vec![single(subject, statement, insert.target)],
            };
            sets.extend(read(locate, insert));
            Ok((Prune::any(sets), unsupported("INSERT")))
        }
        Kind::Modify(modify) => {
            if let Some(used) = used(statement, modify.target, uses) {
                checks::check(subject, used, &statement.kind)?;
            }
            let (reach, spread) = modified(locate, modify);
            Ok((reach, each_its_own(spread)))
        }
    }
}

/// The sharded table that a target is.
fn used<'a>(statement: &Statement, target: ItemId, uses: &Uses<'a>) -> Option<ShardedUse<'a>> {
    let Source::Relation(named) = &statement.item(target)?.source else { return None };
    uses.sharded.iter().copied().find(|used| Some(used.relation.oid) == named.oid)
}

/// The shard of a target that is no sharded table.
fn single(subject: &Subject<'_>, statement: &Statement, target: ItemId) -> Prune {
    use super::schema::Meaning;
    let oid = match statement.item(target).map(|item| &item.source) {
        Some(Source::Relation(named)) => named.oid,
        _ => None,
    };
    match oid.and_then(|oid| subject.schema().meaning(oid)) {
        Some(Meaning::Single(single)) => Prune::Shard(single.shard),
        _ => Prune::Shard(subject.home()),
    }
}

/// The shards that an INSERT reads.
fn read<'q>(locate: &mut Locate<'q>, insert: &'q Insert) -> Vec<Prune> {
    let mut sets = Vec::new();
    let mut values: Vec<&'q Expr> = insert.returning.iter().map(|output| &output.value).collect();
    match &insert.source {
        InsertSource::Rows(rows) => values.extend(rows.iter().flatten()),
        InsertSource::Query(query) => sets.push(locate.query(query).reach),
        InsertSource::Defaults => {}
    }
    if let Some((assigned, filter)) = insert.conflict.as_ref().and_then(|conflict| conflict.update.as_ref()) {
        values.extend(assigned.iter().filter_map(|set| set.value.as_ref()).chain(filter));
    }
    for value in values {
        // One shard evaluates them: only what they read bears on which.
        let mut spread = Spread::Everywhere;
        locate.value(value, &mut spread, &mut sets);
    }
    sets
}

/// Where the rows to be written lie by key, each shard writes its own.
fn each_its_own(spread: Spread) -> Answer {
    match spread {
        Spread::ByKey(_) => {
            let merge = std::sync::Arc::new(MergePlan::new(MergeKind::Concat));
            Ok(Scatter { edits: Vec::new(), merge, declared: Vec::new(), writes: true })
        }
        Spread::Everywhere => Err("every shard has all of its rows".to_owned()),
        Spread::Not(reason) => Err(reason),
    }
}

fn modified<'q>(locate: &mut Locate<'q>, modify: &'q Modify) -> (Prune, Spread) {
    let sets = modify.sets.iter().flatten().filter_map(|set| set.value.as_ref());
    let beside = sets.chain(&modify.assigned).collect();
    let block = locate.select_beside(&modify.block, &[], beside).block;
    (block.reach, block.spread)
}

/// Where the new rows lie.
fn placed(
    constants: &Constants<'_>,
    subject: &Subject<'_>,
    used: ShardedUse<'_>,
    insert: &Insert,
) -> Result<Vec<Prune>, SqlError> {
    let name = &used.relation.name;
    let rows = match &insert.source {
        InsertSource::Rows(rows) => rows,
        InsertSource::Query(_) => {
            return Err(SqlError::refused(
                format!("INSERT ... SELECT into sharded table \"{name}\" is not supported yet"),
                "Select the rows and insert them by their values.",
            ));
        }
        InsertSource::Defaults => return Err(no_key(used, &used.table.keys.join(", "))),
    };
    let Some(group) = subject.schema().rules().group(used.table.group) else {
        return Err(SqlError::new(sqlstate::INTERNAL_ERROR, "the table's colocation group does not exist"));
    };
    let mut sets = Vec::new();
    for row in rows {
        let mut key = Vec::new();
        let mut typmods = Vec::new();
        for (column, key_type) in used.table.keys.iter().zip(&group.key_types) {
            let place = if insert.columns.is_empty() {
                used.relation.columns.iter().position(|other| other.name == *column)
            } else {
                insert.columns.iter().position(|other| other == column)
            };
            let value = match place.and_then(|place| row.get(place)) {
                None | Some(Expr::Default) => return Err(no_key(used, column)),
                Some(Expr::Literal(literal)) if literal.kind == LiteralKind::Null => {
                    return Err(null_key(name, column));
                }
                Some(value) => value,
            };
            let Some(source) = constants.source(value, *key_type) else {
                return Err(SqlError::refused(
                    format!(
                        "the sharding key \"{column}\" of a new row of \"{name}\" is given by an expression that is not computed here"
                    ),
                    "Give it as a constant or parameter of the column's type.",
                ));
            };
            key.push(source);
            typmods.push(used.relation.column(column).map_or(-1, |column| column.typmod));
        }
        let group = used.table.group;
        sets.push(Prune::Place { group, key, typmods });
    }
    Ok(sets)
}

fn no_key(used: ShardedUse<'_>, column: &str) -> SqlError {
    SqlError::refused(
        format!(
            "no value is given for the sharding key \"{column}\" of sharded table \"{}\", which is not supported yet",
            used.relation.name
        ),
        format!("Give \"{column}\" a value in the statement."),
    )
}

fn null_key(name: &str, column: &str) -> SqlError {
    SqlError::new(
        sqlstate::CHECK_VIOLATION,
        format!("null value in sharding key \"{column}\" of table \"{name}\""),
    )
    .with_hint("Give the row a key: it decides the shard that the row lies on.")
}
