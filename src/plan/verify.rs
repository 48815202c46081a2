//! What every plan must satisfy. Changes nothing; runs in debug and test builds.

use super::prune::{KeyList, KeySource, Prune};
use super::{Planned, Route, Scatter, Several};
use crate::merge::{MergeKind, OutputColumn, SortKey};
use crate::rules::Rules;
use crate::sql::splice::{Edit, Piece};

/// The first rule that a plan breaks, in words.
pub(super) fn check(planned: &Planned, rules: &Rules) -> Result<(), String> {
    match &planned.route {
        Route::Home(shard) => {
            ensure(shard.0 < rules.shard_count(), "the shard exists")?;
            ensure(planned.tables.is_empty(), "a statement of one known shard touches no sharded table")
        }
        Route::Sharded(sharded) => {
            ensure(sharded.describes.0 < rules.shard_count(), "the shard that describes exists")?;
            prune(&sharded.prune, rules)?;
            match &sharded.several {
                Several::Scatter(scatter) => {
                    ensure(!places(&sharded.prune), "new rows are written on their own shard only")?;
                    self::scatter(scatter)
                }
                Several::Explain(explain) => check(&explain.inner, rules),
                Several::Refused(error) => refusal(error),
            }
        }
        Route::Explain(explain) => {
            ensure(!matches!(explain.inner.route, Route::Explain(_)), "EXPLAIN is not nested")?;
            check(&explain.inner, rules)
        }
        Route::Refused(error) => refusal(error),
    }
}

fn refusal(error: &crate::error::SqlError) -> Result<(), String> {
    ensure(
        error.hint.is_some() || error.code != crate::sqlstate::FEATURE_NOT_SUPPORTED,
        "a refusal has a hint",
    )
}

fn prune(set: &Prune, rules: &Rules) -> Result<(), String> {
    let of = |group| rules.group(group).ok_or_else(|| "the colocation group exists".to_owned());
    match set {
        Prune::Nothing => Ok(()),
        Prune::Shard(shard) => ensure(shard.0 < rules.shard_count(), "the shard exists"),
        Prune::Group(group) => of(*group).map(drop),
        Prune::Key { group, columns } => {
            let group = of(*group)?;
            ensure(!columns.is_empty(), "a key has columns")?;
            ensure(columns.len() <= group.key_types.len(), "a key has no more columns than the group")?;
            columns.iter().try_for_each(|list| match list {
                KeyList::Values(values) => values.iter().try_for_each(source),
                KeyList::Array(_) => Ok(()),
            })
        }
        Prune::Range { group, low, high } => {
            of(*group)?;
            ensure(low.is_some() || high.is_some(), "a range has a bound")?;
            low.iter().chain(high).try_for_each(|limit| source(&limit.value))
        }
        Prune::Place { group, key, .. } => {
            let group = of(*group)?;
            ensure(key.len() == group.key_types.len(), "a new row has its whole key")?;
            key.iter().try_for_each(source)
        }
        Prune::And(sets) | Prune::Or(sets) => {
            ensure(sets.len() > 1, "sets are joined")?;
            sets.iter().try_for_each(|set| prune(set, rules))
        }
    }
}

fn places(set: &Prune) -> bool {
    match set {
        Prune::Place { .. } => true,
        Prune::And(sets) | Prune::Or(sets) => sets.iter().any(places),
        _ => false,
    }
}

fn source(source: &KeySource) -> Result<(), String> {
    ensure(!matches!(source, KeySource::Param { number: 0, .. }), "parameters count from 1")
}

fn scatter(scatter: &Scatter) -> Result<(), String> {
    let merge = &scatter.merge;
    let is_in_rows = |column: usize| merge.width.is_none_or(|width| column < width);
    let key = |key: &SortKey| ensure(is_in_rows(key.column), "merge keys are in the shards' rows");
    let column = |column: &OutputColumn| match column {
        OutputColumn::Input(at) | OutputColumn::Combine(_, at) => is_in_rows(*at),
        OutputColumn::Avg { sum, count } => is_in_rows(*sum) && is_in_rows(*count),
    };
    match &merge.kind {
        MergeKind::Concat => {}
        MergeKind::Ordered(keys) => {
            ensure(!keys.is_empty(), "an ordered merge has keys")?;
            keys.iter().try_for_each(key)?;
        }
        MergeKind::Grouped { keys, by, columns } => {
            ensure(*by > 0 && *by <= keys.len(), "groups are told apart by leading keys")?;
            keys.iter().try_for_each(key)?;
            ensure(columns.iter().all(column), "merged columns are in the shards' rows")?;
        }
        MergeKind::Aggregate(columns) => {
            ensure(!columns.is_empty(), "an aggregate has columns")?;
            ensure(columns.iter().all(column), "merged columns are in the shards' rows")?;
        }
    }
    ensure(merge.shown.is_none() || merge.shown <= merge.width, "what is shown is there")?;
    let replaces_limits = |edit: &Edit| {
        edit.pieces.iter().any(|piece| {
            matches!(piece, Piece::Text(text) if text.starts_with("LIMIT") || text.starts_with("OFFSET"))
        })
    };
    ensure(
        merge.offset.is_none() || scatter.edits.iter().any(replaces_limits),
        "shards leave no rows out themselves",
    )?;
    let places = scatter.edits.iter().flat_map(|edit| [edit.from, edit.to]);
    ensure(places.is_sorted(), "edits are in order and do not overlap")
}

fn ensure(holds: bool, rule: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(rule.to_owned()) }
}
