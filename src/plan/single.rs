//! The first rung: everything that the statement touches lies on the shard of one key.

use super::pins::{self, Pins, ShardedItem};
use super::planner::{Answer, Subject};
use super::{KeyPurpose, KeyRoute, Route, builtin};
use crate::sql::analysis::{Analysis, Constant, Given, InsertSource, Kind};
use crate::sql::lexer::TokenKind;

/// Routes by key, or says why not.
pub(super) fn route(subject: &Subject<'_>, analysis: &Analysis, items: &[ShardedItem<'_>]) -> Answer {
    let Some(first) = items.first() else { return Err("no sharded table is used".to_owned()) };
    if let Some(other) = items.iter().find(|item| item.table.group != first.table.group) {
        return Err(format!(
            "\"{}\" and \"{}\" are not in one colocation group",
            first.table.table, other.table.table
        ));
    }
    if let Some(call) = analysis.calls.iter().find(|call| builtin::is_beyond_shard(call)) {
        return Err(format!("{}() is not run on the shard of a key", call.join(".")));
    }
    let mentions_tableoid = |level: &crate::sql::analysis::Level| {
        level.columns.iter().any(|column| column.last().is_some_and(|name| name == "tableoid"))
    };
    if analysis.levels.iter().any(mentions_tableoid) {
        return Err("tableoid differs from shard to shard".to_owned());
    }
    let (pinnable, placed) = match &analysis.kind {
        Kind::Insert(insert) => {
            let rest = items.get(1..).unwrap_or(&[]);
            (rest, inserted_key(subject, first, insert)?)
        }
        Kind::Select | Kind::Update(_) | Kind::Delete => (items, None),
    };
    let pins = Pins { analysis, schema: subject.schema(), items: pinnable };
    let mut constants = pins.find().map_err(|item| {
        format!(
            "no condition {} = constant or parameter restricts all rows of \"{}\" that count",
            item.table.key(),
            item.table.table
        )
    })?;
    if let Some(placed) = placed {
        constants.retain(|constant| *constant != placed);
        constants.insert(0, placed);
    }
    let is_key_only = |number: usize| {
        let as_key = usize::from(matches!(placed, Some(Constant::Param { number: n, .. }) if n == number));
        uses(subject, number) == as_key + pins.key_uses(number)
    };
    let keys = pins::sources(&constants, subject.sql, &subject.template.literals, is_key_only)
        .filter(|keys| !keys.is_empty())
        .ok_or("the key's value is not a plain integer")?;
    let purpose = if placed.is_some() { KeyPurpose::Place } else { KeyPurpose::Find };
    Ok(Route::Key(KeyRoute { group: first.table.group, keys, purpose }))
}

/// How often `$number` stands in the statement.
fn uses(subject: &Subject<'_>, number: usize) -> usize {
    let is_it = |token: &&crate::sql::lexer::Token| {
        let digits = token.text(subject.sql).strip_prefix(b"$");
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        token.kind == TokenKind::Param && digits.and_then(|d| d.parse::<usize>().ok()) == Some(number)
    };
    subject.mentions.tokens.iter().filter(is_it).count()
}

/// The key of an INSERT's one row.
fn inserted_key(
    subject: &Subject<'_>,
    target: &ShardedItem<'_>,
    insert: &crate::sql::analysis::Insert,
) -> Result<Option<Constant>, String> {
    let (name, key) = (&target.table.table, target.table.key());
    let row = match &insert.source {
        InsertSource::Row(row) => row,
        InsertSource::Rows(_) => return Err(format!("INSERT of several rows into \"{name}\"")),
        InsertSource::Query => return Err(format!("INSERT ... SELECT into \"{name}\"")),
        InsertSource::Defaults => return Err(format!("no value is given for the key \"{key}\"")),
    };
    let place = if insert.columns.is_empty() {
        let relation = subject.schema().sharded_relation(target.table);
        let relation = relation.ok_or_else(|| format!("the columns of \"{name}\" are not known"))?;
        relation.columns.iter().position(|column| column.name == key)
    } else {
        insert.columns.iter().position(|column| column == key)
    };
    match place.and_then(|place| row.get(place)) {
        Some(Given::Constant(constant)) => Ok(Some(*constant)),
        Some(Given::Null) => Err(format!("the key \"{key}\" is NULL")),
        Some(Given::Expression) => {
            Err(format!("the key \"{key}\" is given by an expression, not by a constant or parameter"))
        }
        Some(Given::Default) | None => Err(format!("no value is given for the key \"{key}\"")),
    }
}
