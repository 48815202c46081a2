//! A SELECT as a block: its FROM and WHERE, then grouping, windows and DISTINCT.

use super::block::{Block, sorted_value};
use super::from::Part;
use super::keys::{Key, has_key};
use super::{Col, Frame, Locate, Spread};
use crate::fault::Fault;
use crate::plan::prune::Prune;
use crate::plan::steady::{depends_on_order, is_aggregate, unsteady};
use crate::sql::query::{Call, Distinct, Expr, Over, Select, SortItem, SubqueryKind};

/// A SELECT looked at.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Selected<'q> {
    /// Where the rows of FROM and WHERE lie, before they are grouped.
    pub(in crate::plan) rows: Spread,
    /// The keys of those rows.
    pub(in crate::plan) row_keys: Vec<Key>,
    /// The SELECT's own rows.
    pub(in crate::plan) block: Block<'q>,
    /// Whether it groups, by GROUP BY or by an aggregate.
    pub(in crate::plan) is_grouped: bool,
    /// Whether it has a window function.
    pub(in crate::plan) has_windows: bool,
}

impl<'q> Locate<'q> {
    /// Looks at a SELECT, with the ORDER BY behind it.
    pub(in crate::plan) fn select(&mut self, select: &'q Select, order_by: &'q [SortItem]) -> Selected<'q> {
        self.select_beside(select, order_by, Vec::new())
    }

    /// The same, with further expressions over its rows.
    pub(in crate::plan) fn select_beside(
        &mut self,
        select: &'q Select,
        order_by: &'q [SortItem],
        mut beside: Vec<&'q Expr>,
    ) -> Selected<'q> {
        self.levels.push(select.items());
        let joins: Vec<_> = select.from.iter().collect();
        let mut conjuncts: Vec<&'q Expr> = select.filter.iter().flat_map(Expr::conjuncts).collect();
        if Fault::FilterRestricts.is_planted() {
            let calls = calls_of(select, order_by).into_iter();
            conjuncts.extend(calls.flat_map(|call| &call.filter).flat_map(Expr::conjuncts));
        }
        if Fault::SelectListRestricts.is_planted() {
            conjuncts.extend(select.outputs.iter().flat_map(|output| output.value.conjuncts()));
        }
        let mut rows = self.region(&joins, conjuncts);
        let mut sets: Vec<Prune> = rows.reaches.iter().map(|reach| reach.prune.clone()).collect();
        select.for_each_expr(&mut |expr| beside.push(expr));
        beside.extend(order_by.iter().filter_map(SortItem::expr));
        self.expressions(select, &beside, &mut rows, &mut sets);
        let selected = self.finish(select, order_by, rows, sets);
        self.levels.pop();
        selected
    }

    /// All expressions of the SELECT: each must give the same wherever its row lies.
    fn expressions(
        &mut self,
        select: &'q Select,
        exprs: &[&'q Expr],
        rows: &mut Part<'q>,
        sets: &mut Vec<Prune>,
    ) {
        self.frames.push(Frame { keys: rows.keys.clone(), facts: rows.facts.clone() });
        for expr in exprs {
            let is_filter = select.filter.as_ref().is_some_and(|filter| std::ptr::eq(filter, *expr));
            // A conjunct of WHERE may be NULL where it would be false.
            let parts = if is_filter { expr.conjuncts() } else { vec![*expr] };
            for part in parts {
                let reason = unsteady(part, self.schema)
                    .or_else(|| self.subqueries(part, is_filter, sets))
                    .or_else(|| self.calls(part, &rows.keys.clone(), sets))
                    .or_else(|| self.outer_aggregate(part));
                if let Some(reason) = reason {
                    rows.refuse(reason);
                }
            }
        }
        self.frames.pop();
    }

    /// An aggregate over nothing but columns of an outer query is that query's own.
    fn outer_aggregate(&self, expr: &Expr) -> Option<String> {
        let own = self.levels.last()?;
        let mut found = None;
        expr.any(&mut |part| {
            if let Expr::Call(call) = part
                && is_aggregate(call, self.schema)
            {
                let (mut has_own, mut has_outer) = (false, false);
                part.any(&mut |inside| {
                    let item = match inside {
                        Expr::Column(item, _)
                        | Expr::Unknown(item, _)
                        | Expr::System(item, _)
                        | Expr::WholeRow(item) => Some(item),
                        _ => None,
                    };
                    has_own |= item.is_some_and(|item| own.contains(item));
                    has_outer |= item.is_some_and(|item| !own.contains(item));
                    false
                });
                if has_outer && !has_own {
                    found = Some("an aggregate of an outer query inside a subquery".to_owned());
                }
            }
            false
        });
        found
    }

    fn finish(
        &self,
        select: &'q Select,
        order_by: &'q [SortItem],
        rows: Part<'q>,
        mut sets: Vec<Prune>,
    ) -> Selected<'q> {
        let calls = calls_of(select, order_by);
        let aggregates: Vec<&Call> =
            calls.iter().copied().filter(|call| is_aggregate(call, self.schema)).collect();
        let is_grouped = !aggregates.is_empty()
            || !select.group_by.is_empty()
            || select.has_grouping_sets
            || select.having.is_some();
        let windows: Vec<&Over> = calls.iter().filter_map(|call| call.over.as_ref()).collect();
        let mut spread = rows.spread.clone();
        let reason = match &spread {
            Spread::ByKey(_) => self.beyond_key(select, &rows, is_grouped, &windows),
            Spread::Everywhere if !rows.is_anchored && rows.has_tables => {
                self.by_chance(select, &aggregates, &windows)
            }
            Spread::Everywhere | Spread::Not(_) => None,
        };
        if let Some(reason) = reason {
            spread = Spread::Not(reason);
        }
        let outputs: Vec<&Expr> = select.outputs.iter().map(|output| &output.value).collect();
        let keys = rows.keys.iter().filter_map(|key| key.out(&outputs)).collect();
        let facts = outputs.iter().enumerate().flat_map(|(at, output)| {
            let of_output = match output {
                Expr::Column(item, column) => Some(Col(*item, *column)),
                _ => None,
            };
            let facts = rows.facts.iter().filter(move |(column, _)| Some(*column) == of_output);
            facts.map(move |(_, fact)| (at, fact.clone()))
        });
        let block = Block {
            spread,
            is_anchored: rows.is_anchored,
            has_tables: rows.has_tables,
            keys,
            facts: facts.collect(),
            reach: match sets.pop() {
                Some(last) if Fault::SubqueryRestricts.is_planted() => last,
                last => Prune::any(sets.into_iter().chain(last)),
            },
            name: rows.name.clone(),
        };
        let has_windows = !windows.is_empty();
        Selected { rows: rows.spread, row_keys: rows.keys, block, is_grouped, has_windows }
    }

    /// What takes rows of several keys together.
    fn beyond_key(
        &self,
        select: &'q Select,
        rows: &Part<'q>,
        is_grouped: bool,
        windows: &[&Over],
    ) -> Option<String> {
        if select.has_grouping_sets {
            return Some("GROUPING SETS, ROLLUP or CUBE over several shards".to_owned());
        }
        let is_keyed = |exprs: &[&Expr]| has_key(&rows.spread, &rows.keys, exprs.iter().copied());
        if is_grouped {
            let keys: Vec<&Expr> =
                select.group_by.iter().filter_map(|key| sorted_value(key, select)).collect();
            if keys.is_empty() {
                return Some("an aggregate over the rows of several shards".to_owned());
            }
            if !is_keyed(&keys) && !Fault::GroupByShard.is_planted() {
                return Some("GROUP BY without the sharding key".to_owned());
            }
        }
        for over in windows {
            let Some(parts) = partition(over, &select.windows) else {
                return Some("a window that is not known".to_owned());
            };
            if !is_keyed(&parts) && !Fault::WindowByShard.is_planted() {
                return Some("a window function without PARTITION BY the sharding key".to_owned());
            }
        }
        let outputs: Vec<&Expr> = select.outputs.iter().map(|output| &output.value).collect();
        match &select.distinct {
            Distinct::No => None,
            Distinct::All if is_keyed(&outputs) || Fault::DistinctByShard.is_planted() => None,
            Distinct::All => Some("DISTINCT without the sharding key".to_owned()),
            Distinct::On(keys) => {
                let keys: Vec<&Expr> = keys.iter().filter_map(|key| sorted_value(key, select)).collect();
                (!is_keyed(&keys)).then(|| "DISTINCT ON without the sharding key".to_owned())
            }
        }
    }

    /// What may be different on every shard though its input is the same.
    fn by_chance(&self, select: &'q Select, aggregates: &[&Call], windows: &[&Over]) -> Option<String> {
        if let Some(call) = aggregates.iter().find(|call| depends_on_order(call, self.schema)) {
            return Some(format!(
                "{}() without ORDER BY may give another value on every shard",
                call.name.join(".")
            ));
        }
        if !windows.is_empty() {
            return Some(
                "a window function over a reference table may number rows otherwise on every shard"
                    .to_owned(),
            );
        }
        matches!(select.distinct, Distinct::On(_))
            .then(|| "DISTINCT ON over a reference table may keep other rows on every shard".to_owned())
    }
}

/// The calls of the select list, HAVING and ORDER BY, subqueries' insides left out.
fn calls_of<'q>(select: &'q Select, order_by: &'q [SortItem]) -> Vec<&'q Call> {
    let mut found = Vec::new();
    let exprs = select
        .outputs
        .iter()
        .map(|output| &output.value)
        .chain(&select.having)
        .chain(order_by.iter().filter_map(SortItem::expr));
    for expr in exprs {
        collect_calls(expr, &mut found);
    }
    if let Distinct::On(keys) = &select.distinct {
        keys.iter().filter_map(|key| key.expr()).for_each(|expr| collect_calls(expr, &mut found));
    }
    found
}

fn collect_calls<'q>(expr: &'q Expr, found: &mut Vec<&'q Call>) {
    if let Expr::Call(call) = expr {
        found.push(call);
    }
    expr.for_each_child(&mut |child| collect_calls(child, found));
}

/// PARTITION BY of a window, which may be that of the window it builds on.
fn partition<'q>(over: &'q Over, windows: &'q [Over]) -> Option<Vec<&'q Expr>> {
    let mut at = over;
    // As many steps as there are windows: a ring would not end.
    for _ in 0..=windows.len() {
        if !at.partition_by.is_empty() {
            return Some(at.partition_by.iter().collect());
        }
        match &at.base {
            None => return Some(Vec::new()),
            Some(name) => at = windows.iter().find(|window| window.name.as_ref() == Some(name))?,
        }
    }
    None
}

impl<'q> Locate<'q> {
    /// Looks into the subqueries of an expression: why one does not give the same where the row lies. Their
    /// reaches go into `sets`. `is_conjunct`: it counts as false where it is NULL.
    pub(in crate::plan) fn subqueries(
        &mut self,
        expr: &'q Expr,
        is_conjunct: bool,
        sets: &mut Vec<Prune>,
    ) -> Option<String> {
        let mut reason = None;
        for subquery in expr.subqueries() {
            let is_whole = matches!(expr, Expr::Subquery(whole) if std::ptr::eq(&**whole, subquery));
            let block = self.query(&subquery.query);
            sets.push(block.reach.clone());
            let why = match &block.spread {
                Spread::Everywhere => None,
                Spread::Not(why) => Some(why.clone()),
                Spread::ByKey(_) if Fault::SubqueryByShard.is_planted() => None,
                Spread::ByKey(_) => match &subquery.kind {
                    SubqueryKind::Quantified { left, compare, is_all } => {
                        let is_sure =
                            self.is_found_by_key(left, (*compare, *is_all), &block, is_conjunct && is_whole);
                        (!is_sure).then(|| {
                            format!(
                                "a subquery reads \"{}\" on all shards, not by the key of the row",
                                block.name
                            )
                        })
                    }
                    SubqueryKind::Scalar | SubqueryKind::Array | SubqueryKind::Exists => Some(format!(
                        "a subquery reads \"{}\" on all shards, not by the key of the row",
                        block.name
                    )),
                },
            };
            reason = reason.or(why);
        }
        reason
    }
}
