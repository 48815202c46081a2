//! The types of expressions, as far as they are certain; and how texts among them are compared.

use super::schema::Schema;
use crate::catalog::{DEFAULT_COLLATION, builtin};
use crate::datum::key::KeyType;
use crate::datum::oid;
use crate::sql::query::{
    Call, Expr, ItemId, LiteralKind, Source, Statement, SubqueryKind, TypeName, type_oid,
};

/// Finds types in one statement.
#[derive(Clone, Copy)]
pub(super) struct Types<'a> {
    pub(super) schema: &'a Schema,
    pub(super) statement: &'a Statement,
}

/// How a text is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TextOrder {
    /// Whether by bytes.
    pub(super) is_c: bool,
    /// Whether equal texts have equal bytes.
    pub(super) is_deterministic: bool,
}

impl TextOrder {
    const UNKNOWN: TextOrder = TextOrder { is_c: false, is_deterministic: false };

    fn and(self, other: TextOrder) -> TextOrder {
        TextOrder {
            is_c: self.is_c && other.is_c,
            is_deterministic: self.is_deterministic && other.is_deterministic,
        }
    }
}

impl<'a> Types<'a> {
    /// The type of an expression; a domain's base type, `unknown` for an untyped constant, `None` where it
    /// is not certain.
    pub(super) fn of(&self, expr: &Expr) -> Option<u32> {
        match expr {
            Expr::Column(item, column) => self.of_column(*item, *column),
            Expr::Merged(list) => self.common(list.iter()),
            Expr::Literal(literal) => Some(match literal.kind {
                LiteralKind::Int4 => oid::INT4,
                LiteralKind::Int8 => oid::INT8,
                LiteralKind::Numeric => oid::NUMERIC,
                LiteralKind::Bits => oid::BIT,
                LiteralKind::Boolean => oid::BOOL,
                LiteralKind::String | LiteralKind::OtherString | LiteralKind::Null => oid::UNKNOWN,
            }),
            Expr::Cast(_, to) => self.named(to),
            Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::Compare(..)
            | Expr::InList { .. }
            | Expr::Between { .. }
            | Expr::Quantified(_)
            | Expr::IsNull(..) => Some(oid::BOOL),
            Expr::Collate(inner, _) => self.of(inner).map(text_if_unknown),
            Expr::Operator(name, operands) => self.of_operator(name, operands),
            Expr::Plain(what, operands) => self.of_plain(what, operands),
            Expr::Call(call) => self.of_call(call),
            Expr::Subquery(subquery) => match &subquery.kind {
                SubqueryKind::Scalar => self.common(subquery.query.column_values(0).into_iter()),
                SubqueryKind::Exists | SubqueryKind::Quantified { .. } => Some(oid::BOOL),
                SubqueryKind::Array => None,
            },
            Expr::System(..)
            | Expr::Unknown(..)
            | Expr::WholeRow(_)
            | Expr::Wrong(_)
            | Expr::Param(_)
            | Expr::Row(_)
            | Expr::Array(_)
            | Expr::Beyond(..)
            | Expr::Default => None,
        }
    }

    /// The type of a column of an item.
    pub(super) fn of_column(&self, item: ItemId, column: usize) -> Option<u32> {
        match &self.statement.item(item)?.source {
            Source::Relation(named) => {
                let relation = self.schema.catalog().relation_by_oid(named.oid?)?;
                relation.columns.get(column).map(|column| column.type_oid)
            }
            // A view's and a subquery's columns have the types of what they are made of.
            Source::Query(query) => self.common(query.column_values(column).into_iter()).map(text_if_unknown),
            Source::Function(calls) => match &calls[..] {
                [call] if column == 0 => match call {
                    Expr::Call(inner) if has_one_column(inner) => self.of(call),
                    _ => None,
                },
                _ => None,
            },
            Source::Recursion | Source::Excluded => None,
        }
    }

    /// The key type that a column's type belongs to.
    pub(super) fn key_type(&self, item: ItemId, column: usize) -> Option<KeyType> {
        let type_oid = self.of_column(item, column)?;
        KeyType::ALL.into_iter().find(|key_type| key_type.is_column_type(type_oid))
    }

    /// The type of this name.
    pub(super) fn named(&self, name: &TypeName) -> Option<u32> {
        if let Some(oid) = type_oid(name) {
            return Some(oid);
        }
        let user = match &name.name[..] {
            [schema, bare] => self.schema.catalog().type_named(schema, bare)?,
            _ => return None,
        };
        Some(if name.is_array { user.array } else { user.oid })
    }

    /// The one type that all of these have, untyped constants left out.
    fn common<'e>(&self, exprs: impl Iterator<Item = &'e Expr>) -> Option<u32> {
        let mut found = oid::UNKNOWN;
        for expr in exprs {
            match self.of(expr)? {
                oid::UNKNOWN => {}
                known if found == oid::UNKNOWN || found == known => found = known,
                _ => return None,
            }
        }
        Some(found)
    }

    fn of_operator(&self, name: &str, operands: &[Expr]) -> Option<u32> {
        if self.schema.catalog().is_user_operator(name) {
            return None;
        }
        let types: Vec<u32> =
            operands.iter().map(|operand| self.of(operand).map(as_text)).collect::<Option<_>>()?;
        let (left, right) = match types[..] {
            [right] => (0, right),
            [left, right] => (left, right),
            _ => return None,
        };
        // An untyped constant takes the other operand's type, where there is such an operator.
        let (left, right) = match (left, right) {
            (oid::UNKNOWN, oid::UNKNOWN) => return None,
            (oid::UNKNOWN, other) | (other, oid::UNKNOWN) => (other, other),
            both => both,
        };
        let mut found = builtin::operators(name).filter(|o| o.left == left && o.right == right);
        found.next().map(|operator| operator.result)
    }

    fn of_plain(&self, what: &str, operands: &[Expr]) -> Option<u32> {
        match what {
            "IS" | "IS DISTINCT FROM" | "LIKE" => Some(oid::BOOL),
            "coalesce" | "greatest" | "least" => self.common(operands.iter()).map(text_if_unknown),
            "extract" => Some(oid::NUMERIC),
            "position" => Some(oid::INT4),
            "substring" | "trim" | "overlay" => match as_text(self.of(operands.first()?)?) {
                oid::TEXT | oid::UNKNOWN => Some(oid::TEXT),
                _ => None,
            },
            "ceil" | "floor" => match self.of(operands.first()?)? {
                oid::NUMERIC => Some(oid::NUMERIC),
                oid::INT2 | oid::INT4 | oid::INT8 | oid::FLOAT4 | oid::FLOAT8 => Some(oid::FLOAT8),
                _ => None,
            },
            "AT TIME ZONE" => match self.of(operands.first()?)? {
                oid::TIMESTAMPTZ => Some(oid::TIMESTAMP),
                oid::TIMESTAMP => Some(oid::TIMESTAMPTZ),
                _ => None,
            },
            _ => None,
        }
    }

    fn of_call(&self, call: &Call) -> Option<u32> {
        let bare = builtin_name(&call.name)?;
        if self.schema.catalog().function(bare).is_some() {
            return None;
        }
        let functions = builtin::functions(bare);
        let mut candidates: Vec<_> = functions
            .iter()
            .filter(|function| call.is_star || function.arguments.len() == call.arguments.len())
            .collect();
        let types: Vec<Option<u32>> =
            call.arguments.iter().map(|argument| self.of(argument).map(as_text)).collect();
        let exact = |function: &&builtin::BuiltinFunction| -> bool {
            types
                .iter()
                .zip(&function.arguments)
                .all(|(given, wanted)| given.is_some_and(|given| given == *wanted || given == oid::UNKNOWN))
        };
        if candidates.iter().any(exact) {
            candidates.retain(exact);
        }
        let first = candidates.first()?.result;
        (candidates.iter().all(|function| function.result == first) && !is_polymorphic(first))
            .then_some(first)
    }

    /// How texts that the expression gives are compared.
    pub(super) fn text_order(&self, expr: &Expr) -> TextOrder {
        match expr {
            Expr::Column(item, column) => self.column_order(*item, *column),
            Expr::Collate(_, name) => self.named_order(name),
            _ => {
                // A collation comes from columns, or is the database's own.
                let mut order = self.order_of(DEFAULT_COLLATION);
                let mut is_known = true;
                expr.any(&mut |part| {
                    match part {
                        Expr::Column(item, column) => order = order.and(self.column_order(*item, *column)),
                        Expr::Collate(..) | Expr::Subquery(_) | Expr::Unknown(..) | Expr::Beyond(..) => {
                            is_known = false;
                        }
                        _ => {}
                    }
                    false
                });
                if is_known { order } else { TextOrder::UNKNOWN }
            }
        }
    }

    fn column_order(&self, item: ItemId, column: usize) -> TextOrder {
        let Some(item) = self.statement.item(item) else { return TextOrder::UNKNOWN };
        match &item.source {
            Source::Relation(named) => {
                let relation = named.oid.and_then(|oid| self.schema.catalog().relation_by_oid(oid));
                match relation.and_then(|relation| relation.columns.get(column)) {
                    // A type without collation has no say.
                    Some(column) if column.collation == 0 => TextOrder { is_c: true, is_deterministic: true },
                    Some(column) => self.order_of(column.collation),
                    None => TextOrder::UNKNOWN,
                }
            }
            Source::Query(query) => {
                let values = query.column_values(column);
                let orders = values.iter().map(|value| self.text_order(value));
                orders.reduce(TextOrder::and).unwrap_or(TextOrder::UNKNOWN)
            }
            Source::Function(_) => self.order_of(DEFAULT_COLLATION),
            Source::Recursion | Source::Excluded => TextOrder::UNKNOWN,
        }
    }

    fn order_of(&self, collation: u32) -> TextOrder {
        self.schema.catalog().collation(collation).map_or(TextOrder::UNKNOWN, |collation| TextOrder {
            is_c: collation.is_c,
            is_deterministic: collation.is_deterministic,
        })
    }

    fn named_order(&self, name: &[String]) -> TextOrder {
        const BYTES: [&str; 3] = ["C", "POSIX", "ucs_basic"];
        let is_own = match name {
            [name] => self.schema.catalog().collations().all(|c| c.name != *name || c.schema == "pg_catalog"),
            [schema, _] => schema == "pg_catalog",
            _ => false,
        };
        let is_c = is_own && name.last().is_some_and(|name| BYTES.contains(&name.as_str()));
        TextOrder { is_c, is_deterministic: is_c }
    }
}

/// The bare name of a call that may be of a function of `pg_catalog`.
pub(super) fn builtin_name(name: &[String]) -> Option<&str> {
    match name {
        [bare] => Some(bare),
        [schema, bare] if schema == "pg_catalog" => Some(bare),
        _ => None,
    }
}

/// varchar is text to operators and functions.
fn as_text(type_oid: u32) -> u32 {
    if type_oid == oid::VARCHAR { oid::TEXT } else { type_oid }
}

fn text_if_unknown(type_oid: u32) -> u32 {
    if type_oid == oid::UNKNOWN { oid::TEXT } else { type_oid }
}

fn is_polymorphic(type_oid: u32) -> bool {
    // any, anyarray, anyelement, anynonarray, anyenum, anyrange, record, anymultirange, anycompatible...
    matches!(type_oid, 2276 | 2277 | 2283 | 2776 | 3500 | 3831 | 2249 | 4537 | 4538 | 5077..=5080)
}

fn has_one_column(call: &Call) -> bool {
    builtin_name(&call.name).is_some_and(|bare| {
        let functions = builtin::functions(bare);
        !functions.is_empty() && functions.iter().all(|function| function.outputs.len() <= 1)
    })
}
