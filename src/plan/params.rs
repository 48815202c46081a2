//! How a statement uses its parameters, and so what types the server gives those that the client does not
//! declare.

use super::prune::ParamType;
use super::types::Types;
use crate::datum::key::KeyType;
use crate::sql::lexer::TokenKind;
use crate::sql::query::{Expr, InsertSource, Kind};
use std::collections::BTreeMap;

/// How a statement uses its parameters.
#[derive(Debug, Default)]
pub(super) struct ParamUses {
    /// How often `$number` stands in the text.
    tokens: BTreeMap<usize, usize>,
    /// How often it is compared with, or cast to, a key type; or an array of it.
    uses: BTreeMap<(usize, u8, bool), usize>,
}

fn class(key_type: KeyType) -> u8 {
    KeyType::ALL
        .iter()
        .position(|other| *other == key_type)
        .map_or(u8::MAX, |at| u8::try_from(at).unwrap_or(u8::MAX))
}

/// The key type that a type belongs to.
pub(super) fn key_type_of(type_oid: u32) -> Option<KeyType> {
    KeyType::ALL.into_iter().find(|key_type| key_type.is_column_type(type_oid))
}

/// The key type whose array type this is.
pub(super) fn array_key_type(array: u32) -> Option<KeyType> {
    key_type_of(element_type(array)?)
}

/// The element type of an array of a type that keys may have.
pub(super) fn element_type(array: u32) -> Option<u32> {
    const NAMES: [&str; 9] =
        ["int2", "int4", "int8", "numeric", "text", "varchar", "uuid", "date", "timestamp"];
    let named = NAMES.iter().chain(&["timestamptz"]);
    let mut types = named.filter_map(|name| crate::catalog::builtin::type_named(name));
    types.find(|(_, of)| *of == array).map(|(element, _)| element)
}

impl ParamUses {
    /// Counts the uses in a statement.
    pub(super) fn of(sql: &[u8], types: &Types<'_>) -> ParamUses {
        let mut found = ParamUses::default();
        for token in types.statement.tokens.iter().filter(|token| token.kind == TokenKind::Param) {
            let digits = token.text(sql).get(1..).and_then(|digits| std::str::from_utf8(digits).ok());
            if let Some(number) = digits.and_then(|digits| digits.parse().ok()) {
                *found.tokens.entry(number).or_default() += 1;
            }
        }
        if !found.tokens.is_empty() {
            types.statement.for_each_expr(&mut |expr| found.expr(expr, types));
            found.inserted(types);
        }
        found
    }

    fn note(&mut self, number: usize, key_type: KeyType, is_array: bool) {
        *self.uses.entry((number, class(key_type), is_array)).or_default() += 1;
    }

    /// An expression and all below it, subqueries' insides left out: those are visited as queries.
    fn expr(&mut self, expr: &Expr, types: &Types<'_>) {
        match expr {
            Expr::Compare(_, left, right) => {
                self.compared(left, [&**right], types);
                self.compared(right, [&**left], types);
            }
            Expr::InList { expr, list, .. } => self.compared(expr, list, types),
            Expr::Between { expr, low, high, .. } => {
                self.compared(expr, [&**low], types);
                self.compared(expr, [&**high], types);
            }
            Expr::Quantified(quantified) => {
                if let (Expr::Column(item, column), Expr::Param(number)) =
                    (&quantified.left, &quantified.array)
                    && let Some(key_type) = types.key_type(*item, *column)
                {
                    self.note(*number, key_type, true);
                }
                if let Expr::Array(list) = &quantified.array {
                    self.compared(&quantified.left, list, types);
                }
            }
            Expr::Cast(inner, to) => {
                if let Expr::Param(number) = &**inner
                    && let Some(type_oid) = types.named(to)
                {
                    match (key_type_of(type_oid), array_key_type(type_oid)) {
                        (Some(key_type), _) => self.note(*number, key_type, false),
                        (None, Some(key_type)) => self.note(*number, key_type, true),
                        (None, None) => {}
                    }
                }
            }
            _ => {}
        }
        expr.for_each_child(&mut |child| self.expr(child, types));
    }

    /// `column` is compared with each of `others`, which are coerced together.
    fn compared<'e>(
        &mut self,
        column: &Expr,
        others: impl IntoIterator<Item = &'e Expr> + Clone,
        types: &Types<'_>,
    ) {
        match column {
            Expr::Column(item, at) => {
                let Some(key_type) = types.key_type(*item, *at) else { return };
                let is_kin = |other: &Expr| match other {
                    Expr::Param(_) => true,
                    Expr::Column(item, at) => types.key_type(*item, *at) == Some(key_type),
                    other => types.of(other).is_some_and(|given| key_type.is_read_from(given)),
                };
                if others.clone().into_iter().all(is_kin) {
                    for other in others {
                        if let Expr::Param(number) = other {
                            self.note(*number, key_type, false);
                        }
                    }
                }
            }
            Expr::Row(columns) => {
                for (at, column) in columns.iter().enumerate() {
                    let nth = others.clone().into_iter().map(|other| match other {
                        Expr::Row(row) => row.get(at),
                        _ => None,
                    });
                    if let Some(nth) = nth.collect::<Option<Vec<&Expr>>>() {
                        self.compared(column, nth, types);
                    }
                }
            }
            _ => {}
        }
    }

    /// Values of an INSERT take their columns' types.
    fn inserted(&mut self, types: &Types<'_>) {
        let Kind::Insert(insert) = &types.statement.kind else { return };
        let InsertSource::Rows(rows) = &insert.source else { return };
        let Some(columns) = types.statement.item(insert.target).and_then(|item| item.columns.as_ref()) else {
            return;
        };
        for row in rows {
            for (at, value) in row.iter().enumerate() {
                let Expr::Param(number) = value else { continue };
                let column = match insert.columns.get(at) {
                    Some(name) => columns.iter().position(|column| column == name),
                    None if insert.columns.is_empty() => Some(at),
                    None => None,
                };
                if let Some(key_type) = column.and_then(|column| types.key_type(insert.target, column)) {
                    self.note(*number, key_type, false);
                }
            }
        }
    }

    /// How the type of `$number` is known, where it is compared with a key of this type, or an array of it.
    pub(super) fn typing(&self, number: usize, key_type: KeyType, is_array: bool) -> ParamType {
        let uses = self.uses.get(&(number, class(key_type), is_array)).copied().unwrap_or(0);
        match self.tokens.get(&number) {
            Some(tokens) if *tokens == uses => ParamType::FromKey,
            _ => ParamType::Declared,
        }
    }

    /// Whether `$number` stands in the statement once.
    pub(super) fn is_used_once(&self, number: usize) -> bool {
        self.tokens.get(&number) == Some(&1)
    }
}
