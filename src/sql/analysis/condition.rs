//! Equalities under AND, and the constants in them.

use super::{Applies, Condition, Constant, Operand};
use crate::sql::parse::{self, ast};
use ast::{BinaryOperator, CastKind, DataType, Expr, UnaryOperator, Value};

/// Adds every equality that is a top-level conjunct of `expr`.
pub(super) fn collect(expr: &Expr, applies: &Applies, out: &mut Vec<Condition>) {
    let mut todo = vec![expr];
    while let Some(expr) = todo.pop() {
        match expr {
            Expr::Nested(inner) => todo.push(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => todo.extend([&**right, &**left]),
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                if let (Some(left), Some(right)) = (operand(left), operand(right)) {
                    out.push(Condition { left, right, applies: applies.clone() });
                }
            }
            _ => {}
        }
    }
}

fn operand(expr: &Expr) -> Option<Operand> {
    match expr {
        Expr::Nested(inner) => operand(inner),
        Expr::Identifier(ident) if !is_value_word(ident) => {
            Some(Operand::Column(vec![parse::ident_name(ident)]))
        }
        Expr::CompoundIdentifier(parts) => {
            Some(Operand::Column(parts.iter().map(parse::ident_name).collect()))
        }
        _ => constant(expr).map(Operand::Constant),
    }
}

/// Unquoted words that are values, not columns.
pub(super) fn is_value_word(ident: &ast::Ident) -> bool {
    const WORDS: [&str; 14] = [
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "default",
        "localtime",
        "localtimestamp",
        "session_user",
        "system_user",
        "user",
        "null",
    ];
    ident.quote_style.is_none() && WORDS.iter().any(|word| ident.value.eq_ignore_ascii_case(word))
}

/// Reads an expression as a constant whose type is certain to be an integer or unknown.
pub(super) fn constant(expr: &Expr) -> Option<Constant> {
    match expr {
        Expr::Nested(inner) => constant(inner),
        Expr::Value(value) => literal(value),
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } if is_integer(expr) => constant(expr),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } if is_integer(expr) => match constant(expr)? {
            Constant::Literal { offset, is_negated } => {
                Some(Constant::Literal { offset, is_negated: !is_negated })
            }
            Constant::Param { .. } => None,
        },
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None } => {
            if !is_integer_type(data_type) {
                return None;
            }
            match constant(expr)? {
                Constant::Param { number, .. } => Some(Constant::Param { number, is_cast: true }),
                literal @ Constant::Literal { .. } => Some(literal),
            }
        }
        Expr::TypedString(typed) if is_integer_type(&typed.data_type) && !typed.uses_odbc_syntax => {
            match typed.value.value {
                Value::SingleQuotedString(_) => literal(&typed.value),
                _ => None,
            }
        }
        _ => None,
    }
}

fn literal(value: &ast::ValueWithSpan) -> Option<Constant> {
    match &value.value {
        Value::Number(text, false) if !text.contains('.') => {
            Some(Constant::Literal { offset: parse::offset(value.span)?, is_negated: false })
        }
        Value::SingleQuotedString(_) => {
            Some(Constant::Literal { offset: parse::offset(value.span)?, is_negated: false })
        }
        Value::Placeholder(text) => {
            let number = text.strip_prefix('$')?.parse().ok()?;
            Some(Constant::Param { number, is_cast: false })
        }
        _ => None,
    }
}

/// Whether an expression is an integer literal, perhaps in parentheses, with signs or cast: what a minus
/// sign before it negates without a doubt about its type.
fn is_integer(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_integer(inner),
        Expr::Value(value) => matches!(&value.value, Value::Number(text, false) if !text.contains('.')),
        Expr::UnaryOp { op: UnaryOperator::Plus | UnaryOperator::Minus, expr } => is_integer(expr),
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None } => {
            is_integer_type(data_type) && is_integer(expr)
        }
        _ => false,
    }
}

fn is_integer_type(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int(None)
            | DataType::Integer(None)
            | DataType::BigInt(None)
            | DataType::SmallInt(None)
            | DataType::Int2(None)
            | DataType::Int4(None)
            | DataType::Int8(None)
    )
}
