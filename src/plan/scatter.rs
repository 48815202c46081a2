//! The second rung: every shard runs the whole statement, and the answers are concatenated or combined.
//!
//! Exact where each row's contribution depends on that row alone: one sharded table, a select list and a
//! WHERE that every shard evaluates alike.

use super::pins::ShardedItem;
use super::planner::{Answer, Subject};
use super::{Route, Scatter, builtin};
use crate::merge::{MergeKind, MergePlan, OutputColumn};
use crate::sql::analysis::{Analysis, Kind, Level, Output};

/// Routes to all shards, or says why not.
pub(super) fn route(subject: &Subject<'_>, analysis: &Analysis, items: &[ShardedItem<'_>]) -> Answer {
    if analysis.kind != Kind::Select {
        return Err("writes to several shards are not supported yet".to_owned());
    }
    if let Some(clause) = analysis.levels.iter().find_map(|level| level.clauses.first()) {
        return Err(format!("{clause} over several shards is not supported yet"));
    }
    if let Some(what) = analysis.levels.iter().find_map(|level| level.beyond_row.first()) {
        return Err(format!("{what} is not evaluated on several shards"));
    }
    let ([level], [item]) = (&analysis.levels[..], items) else {
        return Err("it is more than one SELECT from one sharded table".to_owned());
    };
    if level.items.len() != 1 {
        return Err("it reads more than one sharded table".to_owned());
    }
    let relation = subject.schema().sharded_relation(item.table);
    if relation.is_some_and(|relation| relation.has_row_security) {
        return Err(format!("\"{}\" has row-level security", item.table.table));
    }
    columns(level)?;
    let is_moment = |token: &crate::sql::lexer::Token| {
        token.kind.is_string() && super::bind::names_a_moment(token.text(subject.sql))
    };
    let is_lifted = |start: usize| subject.template.literals.iter().any(|literal| literal.start == start);
    if subject.mentions.tokens.iter().any(|token| is_moment(token) && !is_lifted(token.start)) {
        return Err("a text with the word now, today, tomorrow or yesterday may be a time".to_owned());
    }
    let merge = MergePlan::new(outputs(subject, level)?);
    Ok(Route::Scatter(Scatter { edits: Vec::new(), merge }))
}

/// No system column, and no whole row (its type's OID differs from shard to shard).
fn columns(level: &Level) -> Result<(), String> {
    let named = level.items.iter().filter_map(|item| match (&item.alias, &item.source) {
        (Some(alias), _) => Some(alias),
        (None, crate::sql::analysis::Source::Table(name)) => name.last(),
        (None, _) => None,
    });
    let named: Vec<&String> = named.collect();
    for column in &level.columns {
        let Some(last) = column.last() else { continue };
        if builtin::is_system_column(last) {
            return Err(format!("the system column {last} differs from shard to shard"));
        }
        if column.len() == 1 && named.contains(&last) {
            return Err(format!(
                "the whole row \"{last}\" is a value of a type that differs from shard to shard"
            ));
        }
    }
    Ok(())
}

fn outputs(subject: &Subject<'_>, level: &Level) -> Result<MergeKind, String> {
    let is_aggregate = |name: &Vec<String>| builtin::combine(name).is_some();
    let aggregates = level.calls.iter().filter(|call| is_aggregate(call)).count();
    let others = level.calls.iter().filter(|call| !is_aggregate(call));
    for call in others {
        let is_users = call.last().is_none_or(|name| subject.schema().catalog().function(name).is_some());
        if is_users || !builtin::is_per_row(call) {
            let name = call.join(".");
            return Err(format!("{name}() is not known to give the same for a row on every shard"));
        }
    }
    if aggregates == 0 {
        return Ok(MergeKind::Concat);
    }
    let mut combines = Vec::new();
    for output in &level.outputs {
        let Output::Call { name, is_star, is_modified, arguments } = output else {
            return Err("an expression beside or over an aggregate".to_owned());
        };
        let Some(combine) = builtin::combine(name) else {
            return Err(format!("{}() beside an aggregate", name.join(".")));
        };
        if *is_modified {
            return Err(format!("{}() with DISTINCT, FILTER, ORDER BY or OVER", name.join(".")));
        }
        let takes = if combine == crate::merge::Combine::Count && *is_star { 0 } else { 1 };
        if *arguments != takes || (*is_star && takes == 1) {
            return Err(format!("{}() of this kind", name.join(".")));
        }
        combines.push(OutputColumn::Combine(combine, combines.len()));
    }
    if combines.len() != aggregates {
        return Err("an aggregate inside an expression".to_owned());
    }
    Ok(MergeKind::Aggregate(combines))
}
