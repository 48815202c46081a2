//! Aggregates that have an exact combination, and what the shards give in their place.

use super::text::{Text, has_sets};
use super::{Answer, Push};
use crate::datum::oid;
use crate::datum::order::Order;
use crate::fault::Fault;
use crate::merge::{Combine, MergeKind, OutputColumn};
use crate::plan::locate::{Selected, has_key};
use crate::plan::steady::{is_aggregate, user_functions};
use crate::plan::types::builtin_name;
use crate::sql::query::{Call, Expr, Output, Select};
use crate::sql::splice::{Edit, Piece};

/// How an aggregate is put together.
enum Put {
    Combine(Combine),
    Avg,
}

impl<'q> Push<'_, 'q> {
    /// One row of every shard becomes one.
    pub(super) fn aggregate(
        &self,
        select: &'q Select,
        selected: &Selected<'q>,
        text: &mut Text<'_>,
    ) -> Answer<MergeKind> {
        let columns = self.columns(select, selected, text)?;
        if columns.iter().all(|column| matches!(column, OutputColumn::Input(_))) {
            return Err("an aggregate that is not put out".to_owned());
        }
        Ok(MergeKind::Aggregate(columns))
    }

    /// The columns of a merged row.
    pub(super) fn columns(
        &self,
        select: &'q Select,
        selected: &Selected<'q>,
        text: &mut Text<'_>,
    ) -> Answer<Vec<OutputColumn>> {
        if has_sets(select, self) {
            return Err("a function that gives sets of rows beside groups of several shards".to_owned());
        }
        let mut columns = Vec::new();
        for (at, output) in select.outputs.iter().enumerate() {
            columns.push(match &output.value {
                Expr::Call(call) if is_aggregate(call, self.locate.schema) => {
                    match self.put(call, selected)? {
                        Put::Combine(combine) => OutputColumn::Combine(combine, at),
                        Put::Avg => OutputColumn::Avg { sum: at, count: self.split(output, call, text)? },
                    }
                }
                value if self.has_aggregate(value) => {
                    return Err(
                        "an expression over an aggregate of several shards is not supported yet".to_owned()
                    );
                }
                // It depends on nothing but what the group has in common.
                _ => OutputColumn::Input(at),
            });
        }
        Ok(columns)
    }

    pub(super) fn has_aggregate(&self, value: &Expr) -> bool {
        value.any(&mut |part| matches!(part, Expr::Call(call) if is_aggregate(call, self.locate.schema)))
    }

    fn put(&self, call: &Call, selected: &Selected<'q>) -> Answer<Put> {
        let name = call.name.join(".");
        let own =
            builtin_name(&call.name).filter(|_| user_functions(&call.name, self.locate.schema).is_empty());
        let Some(bare) = own else { return Err(format!("{name}() has no known combination")) };
        if !call.order_by.is_empty() || !call.within_group.is_empty() || call.has_named {
            return Err(format!("{name}() with ORDER BY over several shards is not supported yet"));
        }
        let argument = match (&call.arguments[..], call.is_star) {
            ([], true) if bare == "count" => return Ok(Put::Combine(Combine::Count)),
            ([argument], false) => argument,
            _ => return Err(format!("{name}() of this kind has no known combination")),
        };
        let type_oid = self.locate.types().of(argument);
        let is_of = |types: &[u32]| type_oid.is_none_or(|type_oid| types.contains(&type_oid));
        const SUMMED: [u32; 5] = [oid::INT2, oid::INT4, oid::INT8, oid::NUMERIC, oid::FLOAT8];
        let text_is_c = self.locate.types().text_order(argument).is_c;
        let is_ordered = type_oid.is_none_or(|type_oid| Order::of(type_oid, text_is_c).is_some());
        let (put, ignores_distinct) = match bare {
            "count" => (Put::Combine(Combine::Count), false),
            "sum" if is_of(&SUMMED) => (Put::Combine(Combine::Sum), false),
            "avg" if Fault::AverageOfAverages.is_planted() => {
                (Put::Combine(Combine::Max { text_is_c }), false)
            }
            "avg" if is_of(&SUMMED) => (Put::Avg, false),
            "min" if is_ordered => (Put::Combine(Combine::Min { text_is_c }), true),
            "max" if is_ordered => (Put::Combine(Combine::Max { text_is_c }), true),
            "bool_and" | "every" => (Put::Combine(Combine::BoolAnd), true),
            "bool_or" => (Put::Combine(Combine::BoolOr), true),
            "bit_and" => (Put::Combine(Combine::BitAnd), true),
            "bit_or" => (Put::Combine(Combine::BitOr), true),
            "bit_xor" => (Put::Combine(Combine::BitXor), false),
            "sum" | "avg" | "min" | "max" => {
                return Err(format!("{name}() of a value of this type is not combined here"));
            }
            _ => return Err(format!("{name}() has no exact combination of several shards' values")),
        };
        // Different shards have different keys.
        let is_key = has_key(&selected.rows, &selected.row_keys, std::iter::once(argument));
        let is_exact = ignores_distinct || is_key || Fault::DistinctCountsAdded.is_planted();
        if call.is_distinct && !is_exact {
            return Err(format!("{name}(DISTINCT ...) over several shards is not supported yet"));
        }
        Ok(put)
    }

    /// `avg(x)` becomes `sum(x)` under its name, and `count(x)` is appended.
    fn split(&self, output: &Output, call: &Call, text: &mut Text<'_>) -> Answer<usize> {
        let (entry, expression) = text.entry(output)?;
        let place = call.place.0.filter(|place| *place == expression.start);
        let Some(place) = place else { return Err("avg() in parentheses".to_owned()) };
        let (open, close) = text.parentheses(place)?;
        if close >= expression.end {
            return Err("avg() of this kind".to_owned());
        }
        let name = "pg_catalog.sum".into();
        text.edit(Edit { from: place, to: open, pieces: vec![name] });
        if !output.has_alias {
            let alias = " AS avg".into();
            text.edit(Edit { from: entry.end, to: entry.end, pieces: vec![alias] });
        }
        let mut pieces = vec!["pg_catalog.count".into(), Piece::Tokens(open..close + 1)];
        if close + 1 < expression.end {
            pieces.push(Piece::Tokens(close + 1..expression.end));
        }
        Ok(text.helper(pieces)?.0)
    }
}
