//! Constants and parameters as sources of keys.

use super::params::{ParamUses, element_type, key_type_of};
use super::prune::{Arithmetic, ArraySource, Computed, KeySource};
use super::types::Types;
use crate::datum::key::{self, KeyRead, KeyType, ReadContext};
use crate::datum::oid;
use crate::sql::lexer::TokenKind;
use crate::sql::literal::decode_string;
use crate::sql::query::{Expr, Literal, LiteralKind, LiteralValue, TypeName};
use std::borrow::Cow;

/// Whether the expression depends on nothing but constants and parameters, and is of a kind that may be read
/// as a key.
pub(super) fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(_) | Expr::Param(_) => true,
        Expr::Cast(inner, _) => is_constant(inner),
        Expr::Operator(name, operands) => arithmetic(name).is_some() && operands.iter().all(is_constant),
        _ => false,
    }
}

fn arithmetic(name: &str) -> Option<Arithmetic> {
    Some(match name {
        "+" => Arithmetic::Plus,
        "-" => Arithmetic::Minus,
        "*" => Arithmetic::Times,
        "/" => Arithmetic::Divide,
        "%" => Arithmetic::Modulo,
        _ => return None,
    })
}

/// Reads constants as sources of keys.
pub(super) struct Constants<'a> {
    pub(super) types: Types<'a>,
    pub(super) uses: ParamUses,
}

impl Constants<'_> {
    /// Where the key's value is found; `None` where the expression is not certain to be compared by the key
    /// type's own operators, or its value is not certain.
    pub(super) fn source(&self, expr: &Expr, key_type: KeyType) -> Option<KeySource> {
        match expr {
            Expr::Literal(literal) => self.literal(literal, key_type, false, 0),
            Expr::Param(number) => {
                let typing = self.uses.typing(*number, key_type, false);
                Some(KeySource::Param { number: *number, typing, cast: 0 })
            }
            Expr::Operator(name, operands) => match (&**name, &operands[..]) {
                ("-" | "+", [Expr::Literal(literal)]) => self.literal(literal, key_type, name == "-", 0),
                _ => self.computed_source(expr, key_type),
            },
            Expr::Cast(inner, to) => self.cast(inner, to, key_type),
            _ => None,
        }
    }

    fn cast(&self, inner: &Expr, to: &TypeName, key_type: KeyType) -> Option<KeySource> {
        let cast = self.types.named(to).filter(|cast| *cast != 0)?;
        if to.has_modifier || !key_type.is_read_from(cast) {
            return None;
        }
        match inner {
            Expr::Literal(literal) => self.literal(literal, key_type, false, cast),
            Expr::Operator(name, operands) => match (&**name, &operands[..]) {
                ("-" | "+", [Expr::Literal(literal)]) => self.literal(literal, key_type, name == "-", cast),
                _ => self.computed_cast(inner, cast, key_type),
            },
            Expr::Param(number) => {
                let typing = self.uses.typing(*number, key_type_of(cast)?, false);
                Some(KeySource::Param { number: *number, typing, cast })
            }
            Expr::Cast(..) => self.computed_cast(inner, cast, key_type),
            _ => None,
        }
    }

    /// A literal, perhaps negated, perhaps cast.
    fn literal(
        &self,
        literal: &Literal,
        key_type: KeyType,
        is_negated: bool,
        cast: u32,
    ) -> Option<KeySource> {
        let own = match literal.kind {
            LiteralKind::Null if !is_negated => return Some(KeySource::Null),
            LiteralKind::Int4 => oid::INT4,
            LiteralKind::Int8 => oid::INT8,
            LiteralKind::Numeric => oid::NUMERIC,
            // Of others the text does not say alone what they stand for.
            LiteralKind::String if !is_negated => oid::UNKNOWN,
            _ => return None,
        };
        // A cast must not change a number: digits are exact as any integer or numeric.
        let keeps = cast == 0
            || own == oid::UNKNOWN
            || cast == own
            || (oid::is_integer(own) && (oid::is_integer(cast) || cast == oid::NUMERIC));
        if !keeps || !key_type.is_read_from(own) {
            return None;
        }
        match &literal.value {
            LiteralValue::Lifted(index) => Some(KeySource::Literal { index: *index, is_negated }),
            LiteralValue::Text(text) => {
                let content = literal_content(text);
                let content = if is_negated { Cow::Owned([b"-", &*content].concat()) } else { content };
                match key::read(key_type, own, 0, &content, &ReadContext::default()) {
                    KeyRead::Value(value) => Some(KeySource::Fixed(value.into_owned())),
                    _ => None,
                }
            }
        }
    }

    fn computed_source(&self, expr: &Expr, key_type: KeyType) -> Option<KeySource> {
        if !matches!(key_type, KeyType::Int8 | KeyType::Numeric) {
            return None;
        }
        let computed = self.computed(expr)?;
        // A parameter alone has no type to compute in.
        matches!(computed, Computed::Binary(..) | Computed::Negated(_) | Computed::Cast(..))
            .then(|| KeySource::Computed(Box::new(computed)))
    }

    fn computed_cast(&self, inner: &Expr, cast: u32, key_type: KeyType) -> Option<KeySource> {
        let inner = self.computed_source(inner, key_type)?;
        let KeySource::Computed(computed) = inner else { return None };
        let width = width(cast)?;
        Some(KeySource::Computed(Box::new(Computed::Cast(computed, width))))
    }

    fn computed(&self, expr: &Expr) -> Option<Computed> {
        match expr {
            Expr::Literal(literal) if matches!(literal.kind, LiteralKind::Int4 | LiteralKind::Int8) => {
                match &literal.value {
                    LiteralValue::Lifted(index) => Some(Computed::Literal(*index)),
                    LiteralValue::Text(text) => {
                        Some(Computed::Fixed(std::str::from_utf8(text).ok()?.parse().ok()?))
                    }
                }
            }
            Expr::Param(number) if self.uses.is_used_once(*number) => Some(Computed::Param(*number)),
            Expr::Cast(inner, to) if !to.has_modifier => {
                let width = width(self.types.named(to)?)?;
                let inner = match &**inner {
                    Expr::Param(_) | Expr::Cast(..) | Expr::Operator(..) => self.computed(inner)?,
                    Expr::Literal(literal)
                        if matches!(literal.kind, LiteralKind::Int4 | LiteralKind::Int8) =>
                    {
                        self.computed(inner)?
                    }
                    _ => return None,
                };
                Some(Computed::Cast(Box::new(inner), width))
            }
            Expr::Operator(name, operands) => match (&**name, &operands[..]) {
                // A sign before an untyped parameter has several meanings.
                ("-", [inner]) if !matches!(inner, Expr::Param(_)) => {
                    Some(Computed::Negated(Box::new(self.computed(inner)?)))
                }
                ("+", [inner]) if !matches!(inner, Expr::Param(_)) => self.computed(inner),
                (_, [left, right]) => {
                    if matches!((left, right), (Expr::Param(_), Expr::Param(_))) {
                        return None;
                    }
                    let (left, right) = (self.computed(left)?, self.computed(right)?);
                    Some(Computed::Binary(arithmetic(name)?, Box::new(left), Box::new(right)))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Where the array of `= ANY` is found.
    pub(super) fn array(&self, expr: &Expr, key_type: KeyType) -> Option<ArraySource> {
        match expr {
            Expr::Literal(literal) => array_literal(literal),
            Expr::Param(number) => {
                let typing = self.uses.typing(*number, key_type, true);
                Some(ArraySource::Param { number: *number, typing, cast: 0 })
            }
            Expr::Cast(inner, to) if !to.has_modifier => {
                let cast = self.types.named(to)?;
                let element = element_type(cast).filter(|element| key_type.is_read_from(*element))?;
                match &**inner {
                    Expr::Literal(literal) => array_literal(literal),
                    Expr::Param(number) => {
                        let typing = self.uses.typing(*number, key_type_of(element)?, true);
                        Some(ArraySource::Param { number: *number, typing, cast })
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

fn array_literal(literal: &Literal) -> Option<ArraySource> {
    match (&literal.kind, &literal.value) {
        (LiteralKind::String, LiteralValue::Lifted(index)) => Some(ArraySource::Literal(*index)),
        (LiteralKind::String, LiteralValue::Text(text)) => {
            Some(ArraySource::Fixed(literal_content(text).into_owned().into()))
        }
        _ => None,
    }
}

/// The width of an integer type in bytes.
fn width(type_oid: u32) -> Option<u8> {
    Some(match type_oid {
        oid::INT2 => 2,
        oid::INT4 => 4,
        oid::INT8 => 8,
        _ => return None,
    })
}

/// What a number or plain string as written stands for.
pub(super) fn literal_content(text: &[u8]) -> Cow<'_, [u8]> {
    match text {
        // Most have no quote inside.
        [b'\'', inner @ .., b'\''] if !inner.contains(&b'\'') => Cow::Borrowed(inner),
        [b'\'', ..] => decode_string(text, TokenKind::String),
        _ => Cow::Borrowed(text),
    }
}
