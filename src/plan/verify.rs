//! What every plan must satisfy. Changes nothing; runs in debug and test builds.

use super::{KeyPurpose, KeySource, Planned, Route};
use crate::merge::MergeKind;
use crate::rules::Rules;

/// The first rule that a plan breaks, in words.
pub fn check(planned: &Planned, rules: &Rules) -> Result<(), String> {
    match &planned.route {
        Route::Home(shard) => {
            ensure(shard.0 < rules.shard_count(), "the shard exists")?;
            ensure(planned.tables.is_empty(), "a statement of single tables touches no sharded one")
        }
        Route::Key(route) => {
            ensure(rules.group(route.group).is_some(), "the colocation group exists")?;
            ensure(!route.keys.is_empty(), "a key is found somewhere")?;
            ensure(!planned.tables.is_empty(), "a key is for a sharded table")?;
            let is_numbered = |key: &KeySource| !matches!(key, KeySource::Param { number: 0, .. });
            ensure(route.keys.iter().all(is_numbered), "parameters count from 1")?;
            ensure(
                route.purpose == KeyPurpose::Find || !planned.changes_catalog,
                "placing a row changes no catalog",
            )
        }
        Route::Scatter(scatter) => {
            ensure(planned.tables.len() == 1, "one sharded table is scattered over")?;
            let has_columns = match &scatter.merge.kind {
                MergeKind::Concat => true,
                MergeKind::Ordered(keys) => !keys.is_empty(),
                MergeKind::Grouped { keys, by, columns } => {
                    *by > 0 && *by <= keys.len() && !columns.is_empty()
                }
                MergeKind::Aggregate(columns) => !columns.is_empty(),
            };
            let places = scatter.edits.iter().flat_map(|edit| [edit.from, edit.to]);
            ensure(places.is_sorted(), "edits are in order and do not overlap")?;
            ensure(has_columns, "what is merged has keys and columns")?;
            ensure(!planned.declined.is_empty(), "the first rung said why it declined")
        }
        Route::Explain(explain) => {
            ensure(!matches!(explain.inner.route, Route::Explain(_)), "EXPLAIN is not nested")?;
            check(&explain.inner, rules)
        }
        Route::Refused(error) => ensure(
            error.hint.is_some() || error.code != crate::sqlstate::FEATURE_NOT_SUPPORTED,
            "a refusal has a hint",
        ),
    }
}

fn ensure(holds: bool, rule: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(rule.to_owned()) }
}
