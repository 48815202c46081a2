//! Expressions: every kind of node by name.

use super::select::is_word_value;
use super::{Builder, Read, ident, not_understood};
use crate::sql::parse::{self, ast};
use crate::sql::query::expression::{
    Literal, LiteralKind, LiteralValue, Quantified, Subquery, SubqueryKind, TypeName,
};
use crate::sql::query::names::{data_type, object_name};
use crate::sql::query::scope::Scope;
use crate::sql::query::{CALLED_LIKE_A_COLUMN, Compare, Expr};
use ast::{AccessExpr, BinaryOperator, Subscript, UnaryOperator};

/// How an operator is read.
enum Operator {
    And,
    Or,
    Compare(Compare),
    Named(String),
    Beyond,
}

impl Builder<'_> {
    pub(super) fn exprs<'e>(
        &mut self,
        exprs: impl IntoIterator<Item = &'e ast::Expr>,
        scope: &Scope<'_>,
    ) -> Read<Vec<Expr>> {
        exprs.into_iter().map(|expr| self.expr(expr, scope)).collect()
    }

    /// Reads an expression; chains of binary operators, which lean to the left, in a loop.
    pub(super) fn expr(&mut self, expr: &ast::Expr, scope: &Scope<'_>) -> Read<Expr> {
        let mut chain = Vec::new();
        let mut at = expr;
        while let ast::Expr::BinaryOp { left, op, right } = at {
            chain.push((binary_operator(op)?, &**right));
            at = left;
        }
        let mut left = self.node(at, scope)?;
        while let Some((operator, right)) = chain.pop() {
            let right = self.expr(right, scope)?;
            left = match operator {
                Operator::And => joined(left, right, |e| matches!(e, Expr::And(_)), Expr::And),
                Operator::Or => joined(left, right, |e| matches!(e, Expr::Or(_)), Expr::Or),
                Operator::Compare(compare) => Expr::Compare(compare, Box::new(left), Box::new(right)),
                Operator::Named(name) => Expr::Operator(name, vec![left, right]),
                Operator::Beyond => Expr::Beyond("an operator of this kind", vec![left, right]),
            };
        }
        Ok(left)
    }

    fn boxed(&mut self, expr: &ast::Expr, scope: &Scope<'_>) -> Read<Box<Expr>> {
        self.expr(expr, scope).map(Box::new)
    }

    fn plain<'e>(
        &mut self,
        what: &'static str,
        operands: impl IntoIterator<Item = &'e ast::Expr>,
        scope: &Scope<'_>,
    ) -> Read<Expr> {
        Ok(Expr::Plain(what, self.exprs(operands, scope)?))
    }

    fn node(&mut self, expr: &ast::Expr, scope: &Scope<'_>) -> Read<Expr> {
        match expr {
            ast::Expr::BinaryOp { .. } => self.expr(expr, scope),
            ast::Expr::Nested(inner) => self.expr(inner, scope),
            ast::Expr::Identifier(name) if is_word_value(name) => Ok(word_value(&ident(name))),
            ast::Expr::Identifier(name) => Ok(scope.resolve(&[ident(name)], &self.items)),
            ast::Expr::CompoundIdentifier(parts) => {
                let parts: Vec<String> = parts.iter().map(ident).collect();
                Ok(match (scope.resolve(&parts, &self.items), parts.last()) {
                    (Expr::Wrong(_), Some(name)) if self.is_function(name) => {
                        Expr::Beyond(CALLED_LIKE_A_COLUMN, Vec::new())
                    }
                    (resolved, _) => resolved,
                })
            }
            ast::Expr::Value(value) => self.value(value),
            ast::Expr::TypedString(typed) if !typed.uses_odbc_syntax => {
                let literal = self.literal(parse::place(typed.value.span))?;
                Ok(Expr::Cast(Box::new(literal), data_type(&typed.data_type)?))
            }
            ast::Expr::Interval(interval) => {
                let has_modifier = interval.leading_field.is_some()
                    || interval.last_field.is_some()
                    || interval.fractional_seconds_precision.is_some();
                let name = vec!["interval".to_owned()];
                let to = TypeName { name, has_modifier, is_array: false };
                Ok(Expr::Cast(self.boxed(&interval.value, scope)?, to))
            }
            ast::Expr::IsNull(inner) => Ok(Expr::IsNull(self.boxed(inner, scope)?, false)),
            ast::Expr::IsNotNull(inner) => Ok(Expr::IsNull(self.boxed(inner, scope)?, true)),
            ast::Expr::IsFalse(e)
            | ast::Expr::IsNotFalse(e)
            | ast::Expr::IsTrue(e)
            | ast::Expr::IsNotTrue(e)
            | ast::Expr::IsUnknown(e)
            | ast::Expr::IsNotUnknown(e) => self.plain("IS", [&**e], scope),
            ast::Expr::IsDistinctFrom(a, b) | ast::Expr::IsNotDistinctFrom(a, b) => {
                self.plain("IS DISTINCT FROM", [&**a, &**b], scope)
            }
            ast::Expr::InList { expr, list, negated } => Ok(Expr::InList {
                expr: self.boxed(expr, scope)?,
                list: self.exprs(list, scope)?,
                is_negated: *negated,
            }),
            ast::Expr::Between { expr, low, high, negated } => Ok(Expr::Between {
                expr: self.boxed(expr, scope)?,
                low: self.boxed(low, scope)?,
                high: self.boxed(high, scope)?,
                is_negated: *negated,
            }),
            ast::Expr::UnaryOp { op, expr } => self.unary(*op, expr, scope),
            ast::Expr::Cast {
                kind: ast::CastKind::Cast | ast::CastKind::DoubleColon,
                expr,
                data_type: to,
                format: None,
            } => Ok(Expr::Cast(self.boxed(expr, scope)?, data_type(to)?)),
            ast::Expr::Function(function) => self.call(function, scope),
            ast::Expr::Tuple(exprs) => Ok(Expr::Row(self.exprs(exprs, scope)?)),
            ast::Expr::Array(array) => Ok(Expr::Array(self.exprs(&array.elem, scope)?)),
            ast::Expr::Collate { expr, collation } => {
                Ok(Expr::Collate(self.boxed(expr, scope)?, object_name(collation)?))
            }
            ast::Expr::Case { operand, conditions, else_result, .. } => {
                let mut operands: Vec<&ast::Expr> = operand.as_deref().into_iter().collect();
                for when in conditions {
                    operands.extend([&when.condition, &when.result]);
                }
                operands.extend(else_result.as_deref());
                self.plain("CASE", operands, scope)
            }
            ast::Expr::Subquery(_)
            | ast::Expr::Exists { .. }
            | ast::Expr::InSubquery { .. }
            | ast::Expr::AnyOp { .. }
            | ast::Expr::AllOp { .. } => self.subquery_node(expr, scope),
            _ => self.rare(expr, scope),
        }
    }

    fn is_function(&self, name: &str) -> bool {
        self.names.catalog.function(name).is_some() || !crate::catalog::builtin::functions(name).is_empty()
    }

    fn value(&self, value: &ast::ValueWithSpan) -> Read<Expr> {
        let fixed =
            |kind, text: &[u8]| Expr::Literal(Literal { kind, value: LiteralValue::Text(text.into()) });
        match &value.value {
            ast::Value::Null => Ok(fixed(LiteralKind::Null, b"NULL")),
            ast::Value::Boolean(true) => Ok(fixed(LiteralKind::Boolean, b"true")),
            ast::Value::Boolean(false) => Ok(fixed(LiteralKind::Boolean, b"false")),
            ast::Value::Placeholder(text) => {
                match text.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok()) {
                    // There is no `$0`: the server says so.
                    Some(number) if number > 0 => Ok(Expr::Param(number)),
                    _ => not_understood("a parameter of this number"),
                }
            }
            ast::Value::Number(_, false)
            | ast::Value::SingleQuotedString(_)
            | ast::Value::DollarQuotedString(_)
            | ast::Value::EscapedStringLiteral(_)
            | ast::Value::UnicodeStringLiteral(_)
            | ast::Value::SingleQuotedByteStringLiteral(_)
            | ast::Value::HexStringLiteral(_) => self.literal(parse::place(value.span)),
            _ => not_understood("a constant of this kind"),
        }
    }

    fn unary(&mut self, op: UnaryOperator, expr: &ast::Expr, scope: &Scope<'_>) -> Read<Expr> {
        let inner = self.expr(expr, scope)?;
        let name = match op {
            UnaryOperator::Not => return Ok(Expr::Not(Box::new(inner))),
            UnaryOperator::Plus => "+",
            UnaryOperator::Minus => "-",
            UnaryOperator::BitwiseNot => "~",
            UnaryOperator::PGAbs => "@",
            UnaryOperator::PGSquareRoot => "|/",
            UnaryOperator::PGCubeRoot => "||/",
            _ => return not_understood("an operator of this kind"),
        };
        Ok(Expr::Operator(name.to_owned(), vec![inner]))
    }

    /// Subqueries, and ANY and ALL over arrays.
    fn subquery_node(&mut self, expr: &ast::Expr, scope: &Scope<'_>) -> Read<Expr> {
        let (left, compare, right, is_all) = match expr {
            ast::Expr::Subquery(query) => return self.subquery(SubqueryKind::Scalar, query, scope),
            ast::Expr::Exists { subquery, negated } => {
                let exists = self.subquery(SubqueryKind::Exists, subquery, scope)?;
                return Ok(if *negated { Expr::Not(Box::new(exists)) } else { exists });
            }
            ast::Expr::InSubquery { expr, subquery, negated } => {
                let compare = if *negated { Compare::NotEqual } else { Compare::Equal };
                let left = self.expr(expr, scope)?;
                let kind = SubqueryKind::Quantified { left, compare: Some(compare), is_all: *negated };
                return self.subquery(kind, subquery, scope);
            }
            ast::Expr::AnyOp { left, compare_op, right, .. } => (left, compare_op, right, false),
            ast::Expr::AllOp { left, compare_op, right } => (left, compare_op, right, true),
            _ => return not_understood("a subquery of this kind"),
        };
        let compare = match binary_operator(compare)? {
            Operator::Compare(compare) => Some(compare),
            Operator::Named(_) => None,
            Operator::And | Operator::Or | Operator::Beyond => {
                return not_understood("ANY or ALL with an operator of this kind");
            }
        };
        let left = self.expr(left, scope)?;
        let mut right = &**right;
        while let ast::Expr::Nested(inner) = right {
            right = inner;
        }
        if let ast::Expr::Subquery(query) = right {
            return self.subquery(SubqueryKind::Quantified { left, compare, is_all }, query, scope);
        }
        let array = self.expr(right, scope)?;
        Ok(Expr::Quantified(Box::new(Quantified { left, compare, array, is_all })))
    }

    /// A subquery that is used in this way.
    pub(super) fn subquery(
        &mut self,
        kind: SubqueryKind,
        query: &ast::Query,
        scope: &Scope<'_>,
    ) -> Read<Expr> {
        let query = self.query(query, scope)?;
        Ok(Expr::Subquery(Box::new(Subquery { kind, query })))
    }

    /// Nodes that are seldom seen.
    fn rare(&mut self, expr: &ast::Expr, scope: &Scope<'_>) -> Read<Expr> {
        match expr {
            ast::Expr::Extract { expr, .. } => self.plain("extract", [&**expr], scope),
            ast::Expr::Ceil {
                expr,
                field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime),
            } => self.plain("ceil", [&**expr], scope),
            ast::Expr::Floor {
                expr,
                field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime),
            } => self.plain("floor", [&**expr], scope),
            ast::Expr::AtTimeZone { timestamp, time_zone } => {
                self.plain("AT TIME ZONE", [&**timestamp, &**time_zone], scope)
            }
            ast::Expr::Position { expr, r#in } => self.plain("position", [&**expr, &**r#in], scope),
            ast::Expr::Like { expr, pattern, escape_char, .. }
            | ast::Expr::ILike { expr, pattern, escape_char, .. }
            | ast::Expr::SimilarTo { expr, pattern, escape_char, .. } => {
                let operands = [&**expr, &**pattern].into_iter().chain(escape_char.as_deref());
                self.plain("LIKE", operands, scope)
            }
            ast::Expr::Substring { expr, substring_from, substring_for, .. } => {
                let rest = substring_from.as_deref().into_iter().chain(substring_for.as_deref());
                self.plain("substring", [&**expr].into_iter().chain(rest), scope)
            }
            ast::Expr::Trim { trim_what, expr, trim_characters, .. } => {
                let rest = trim_what.as_deref().into_iter().chain(trim_characters.iter().flatten());
                self.plain("trim", [&**expr].into_iter().chain(rest), scope)
            }
            ast::Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let operands = [&**expr, &**overlay_what, &**overlay_from].into_iter();
                self.plain("overlay", operands.chain(overlay_for.as_deref()), scope)
            }
            ast::Expr::CompoundFieldAccess { root, access_chain } => {
                let mut read = self.expr(root, scope)?;
                for access in access_chain {
                    read = self.access(read, access, scope)?;
                }
                Ok(read)
            }
            _ => not_understood("an expression of this kind"),
        }
    }

    fn access(&mut self, root: Expr, access: &AccessExpr, scope: &Scope<'_>) -> Read<Expr> {
        let mut operands = vec![root];
        match access {
            // `(row).name` may call the function `name`.
            AccessExpr::Dot(ast::Expr::Identifier(_)) => {
                return Ok(Expr::Beyond("a field of a row", operands));
            }
            AccessExpr::Subscript(Subscript::Index { index }) => operands.push(self.expr(index, scope)?),
            AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride: None }) => {
                operands.extend(self.exprs(lower_bound.iter().chain(upper_bound), scope)?);
            }
            AccessExpr::Dot(_) | AccessExpr::Subscript(_) => {
                return not_understood("a field or subscript of this kind");
            }
        }
        Ok(Expr::Plain("subscript", operands))
    }
}

/// AND and OR, flattened to the left.
fn joined(
    left: Expr,
    right: Expr,
    is_same: impl Fn(&Expr) -> bool,
    make: impl Fn(Vec<Expr>) -> Expr,
) -> Expr {
    let mut list = match left {
        Expr::And(list) if is_same(&Expr::And(Vec::new())) => list,
        Expr::Or(list) if is_same(&Expr::Or(Vec::new())) => list,
        other => vec![other],
    };
    list.push(right);
    make(list)
}

/// A word that is a value.
fn word_value(word: &str) -> Expr {
    match word {
        "default" => Expr::Default,
        "null" => {
            Expr::Literal(Literal { kind: LiteralKind::Null, value: LiteralValue::Text(b"NULL"[..].into()) })
        }
        _ => Expr::Beyond("a value of the session or the clock", Vec::new()),
    }
}

fn binary_operator(op: &BinaryOperator) -> Read<Operator> {
    Ok(match op {
        BinaryOperator::And => Operator::And,
        BinaryOperator::Or => Operator::Or,
        BinaryOperator::Eq => Operator::Compare(Compare::Equal),
        BinaryOperator::NotEq => Operator::Compare(Compare::NotEqual),
        BinaryOperator::Lt => Operator::Compare(Compare::Less),
        BinaryOperator::LtEq => Operator::Compare(Compare::LessOrEqual),
        BinaryOperator::Gt => Operator::Compare(Compare::Greater),
        BinaryOperator::GtEq => Operator::Compare(Compare::GreaterOrEqual),
        // Of other databases.
        BinaryOperator::Xor
        | BinaryOperator::DuckIntegerDivide
        | BinaryOperator::MyIntegerDivide
        | BinaryOperator::Match
        | BinaryOperator::Regexp
        | BinaryOperator::Glob
        | BinaryOperator::Spaceship
        | BinaryOperator::BitwiseXor
        | BinaryOperator::Assignment => return not_understood("an operator of this kind"),
        BinaryOperator::PGCustomBinaryOperator(parts) => match &parts[..] {
            [schema, name] if schema == "pg_catalog" => named(name),
            [name] => named(name),
            _ => Operator::Beyond,
        },
        other => Operator::Named(other.to_string()),
    })
}

fn named(name: &str) -> Operator {
    match name {
        "=" => Operator::Compare(Compare::Equal),
        "<>" => Operator::Compare(Compare::NotEqual),
        "<" => Operator::Compare(Compare::Less),
        "<=" => Operator::Compare(Compare::LessOrEqual),
        ">" => Operator::Compare(Compare::Greater),
        ">=" => Operator::Compare(Compare::GreaterOrEqual),
        other => Operator::Named(other.to_owned()),
    }
}
