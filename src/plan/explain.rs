//! The plan in words: `EXPLAIN (howdah)` and `howdah explain`.

use super::{Bound, Planned};
use crate::error::SqlError;

/// How a plan is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// The rows of the one text column `QUERY PLAN`.
///
/// `bound` is what [`super::bind`] said of the values at hand; `None` where there are none (a prepared
/// statement's parameters). `shard_names` are in shard order.
pub fn rows(
    planned: &Planned,
    bound: Option<&Result<Bound<'_>, SqlError>>,
    shard_names: &[String],
    format: Format,
) -> Vec<String> {
    let _ = (planned, bound, shard_names, format);
    Vec::new()
}
