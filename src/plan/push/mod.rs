//! The second rung: what every shard runs, and how the answers are merged.
//!
//! Where the rows of the whole statement lie by key, each shard gives its own, concatenated or merged in the
//! order of ORDER BY. Where only the rows of FROM and WHERE do, groups that several shards have are put
//! together: aggregates that have an exact combination, GROUP BY and DISTINCT as merges of sorted streams. What
//! the merge needs and the select list lacks is appended to it, and cut off by the merge.

mod aggregates;
mod distinct;
mod groups;
mod keys;
mod text;

use super::locate::{Block, Locate, Selected, Spread};
use super::prune::{Computed, Prune};
use super::steady::unsteady;
use super::{KeySource, Scatter};
use crate::datum::key::{KeyType, KeyValue};
use crate::merge::{LimitSource, MergeKind, MergePlan};
use crate::sql::query::{Body, Expr, LiteralKind, LiteralValue, Query, Select};
use std::sync::Arc;
use text::Text;

/// A rung's answer: a plan or why it declined.
pub(super) type Answer<T = Scatter> = Result<T, String>;

/// A query as the whole statement: the shards that bear on it, and what to do with several.
pub(super) struct Pushed {
    pub(super) reach: Prune,
    pub(super) scatter: Answer,
    /// Whether every shard alone has all of its rows.
    pub(super) is_everywhere: bool,
}

/// Looks at a statement's query.
pub(super) fn query<'q>(locate: &mut Locate<'q>, query: &'q Query, sql: &'q [u8]) -> Pushed {
    let (block, selected) = match &query.body {
        Body::Select(select) => {
            let selected = locate.select(select, &query.order_by);
            (selected.block.clone(), Some((&**select, selected)))
        }
        _ => (locate.bare(query), None),
    };
    let mut sets = vec![block.reach.clone()];
    let mut reason = None;
    for expr in query.limit.iter().chain(&query.offset) {
        reason = reason
            .or_else(|| unsteady(expr, locate.schema))
            .or_else(|| locate.subqueries(expr, false, &mut sets))
            .or_else(|| locate.calls(expr, &[], &mut sets));
    }
    let reach = Prune::any(sets);
    let is_everywhere = block.spread == Spread::Everywhere && reason.is_none();
    let scatter = match reason {
        Some(reason) => Err(reason),
        None => Push { locate, query, sql }.scatter(&block, selected.as_ref()),
    };
    Pushed { reach, scatter, is_everywhere }
}

/// A query being pushed.
struct Push<'p, 'q> {
    locate: &'p Locate<'q>,
    query: &'q Query,
    sql: &'q [u8],
}

impl<'q> Push<'_, 'q> {
    fn scatter(&self, block: &Block<'q>, selected: Option<&(&'q Select, Selected<'q>)>) -> Answer {
        if !self.query.locks.is_empty() {
            return Err("FOR UPDATE or FOR SHARE over several shards is not supported".to_owned());
        }
        if self.query.has_ties {
            return Err("WITH TIES over several shards is not supported yet".to_owned());
        }
        let mut text = Text::new(self);
        let kind = match (&block.spread, selected) {
            (Spread::ByKey(_), Some((select, _))) => self.by_key(select, &mut text)?,
            (Spread::ByKey(_), None) => self.set_by_key(block)?,
            (Spread::Everywhere, _) => return Err("every shard has all of its rows".to_owned()),
            (Spread::Not(reason), Some((select, selected))) => {
                if !matches!(selected.rows, Spread::ByKey(_)) {
                    return Err(reason.clone());
                }
                self.combined(select, selected, reason, &mut text)?
            }
            (Spread::Not(reason), None) => return Err(reason.clone()),
        };
        let limit = self.query.limit.as_ref().map(|limit| self.limit(limit)).transpose()?;
        let offset = self.query.offset.as_ref().map(|offset| self.limit(offset)).transpose()?;
        let keeps_one = matches!(kind, MergeKind::Aggregate(_));
        if offset.is_some() || (keeps_one && limit.is_some()) {
            text.replace_limits(keeps_one)?;
        }
        let mut merge = MergePlan { limit, offset, ..MergePlan::new(kind) };
        merge.shown = text.shown();
        merge.width = text.width();
        let (edits, declared) = text.finish();
        Ok(Scatter { edits, merge: Arc::new(merge), declared })
    }

    /// Rows that lie by key: each shard gives its own.
    fn by_key(&self, select: &'q Select, text: &mut Text<'_>) -> Answer<MergeKind> {
        if self.query.order_by.is_empty() {
            return Ok(MergeKind::Concat);
        }
        Ok(MergeKind::Ordered(self.sort_keys(select, text)?))
    }

    /// The same of a set operation, whose ORDER BY names output columns.
    fn set_by_key(&self, block: &Block<'q>) -> Answer<MergeKind> {
        debug_assert!(matches!(block.spread, Spread::ByKey(_)));
        if self.query.order_by.is_empty() {
            return Ok(MergeKind::Concat);
        }
        Ok(MergeKind::Ordered(self.output_keys()?))
    }

    /// Rows of several shards put together.
    fn combined(
        &self,
        select: &'q Select,
        selected: &Selected<'q>,
        reason: &str,
        text: &mut Text<'_>,
    ) -> Answer<MergeKind> {
        if select.has_grouping_sets || selected.has_windows {
            return Err(reason.to_owned());
        }
        if select.having.is_some() {
            return Err("HAVING over groups of several shards is not supported yet".to_owned());
        }
        match (selected.is_grouped, select.group_by.is_empty()) {
            (true, _) if select.distinct != crate::sql::query::Distinct::No => {
                Err("DISTINCT over groups of several shards is not supported yet".to_owned())
            }
            (true, true) => self.aggregate(select, selected, text),
            (true, false) => self.grouped(select, selected, text),
            (false, _) => self.distinct(select, text),
        }
    }

    /// Where the number of LIMIT or OFFSET is found.
    fn limit(&self, expr: &Expr) -> Answer<LimitSource> {
        match expr {
            Expr::Param(number) => Ok(LimitSource::Param(*number)),
            Expr::Literal(literal)
                if literal.kind == LiteralKind::Int4 || literal.kind == LiteralKind::Int8 =>
            {
                match &literal.value {
                    LiteralValue::Lifted(index) => Ok(LimitSource::Literal(*index)),
                    LiteralValue::Text(text) => std::str::from_utf8(text)
                        .ok()
                        .and_then(|text| text.parse().ok())
                        .map(LimitSource::Constant)
                        .ok_or_else(|| "the number of LIMIT or OFFSET is too large".to_owned()),
                }
            }
            Expr::Cast(inner, to) if matches!(&**inner, Expr::Param(_)) && !to.has_modifier => {
                match (self.locate.types().named(to), &**inner) {
                    (Some(crate::datum::oid::INT8), Expr::Param(number)) => Ok(LimitSource::Param(*number)),
                    _ => {
                        Err("LIMIT or OFFSET of this kind over several shards is not supported yet"
                            .to_owned())
                    }
                }
            }
            other => match self.locate.constants.source(other, KeyType::Int8) {
                Some(KeySource::Fixed(KeyValue::Int8(value))) => u64::try_from(value)
                    .map(LimitSource::Constant)
                    .map_err(|_| "LIMIT or OFFSET is negative".to_owned()),
                Some(KeySource::Computed(computed)) => {
                    match constant(&computed) {
                        Some(value) => Ok(LimitSource::Constant(value)),
                        None => Err("LIMIT or OFFSET of this kind over several shards is not supported yet"
                            .to_owned()),
                    }
                }
                _ => Err("LIMIT or OFFSET of this kind over several shards is not supported yet".to_owned()),
            },
        }
    }
}

/// The value of arithmetic over constants that the plan has.
fn constant(computed: &Computed) -> Option<u64> {
    super::bind::constant(computed).and_then(|value| u64::try_from(value).ok())
}
