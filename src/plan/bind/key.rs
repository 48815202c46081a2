//! One key's value.

use super::{Values, computed};
use crate::datum::key::{self, KeyRead, KeyType, KeyValue, NumericKey};
use crate::datum::oid;
use crate::error::SqlError;
use crate::plan::constant::literal_content;
use crate::plan::prune::{KeySource, ParamType};
use std::borrow::Cow;

/// What a key's value says of the shard.
#[derive(Clone, Debug)]
pub(super) enum Key<'v> {
    /// A value.
    Value(KeyValue<'v>),
    /// NULL.
    Null,
    /// No stored key can equal it.
    Nothing,
    /// Every server refuses it: any shard says so.
    Invalid,
    /// Cannot be read; of which parameter, if of one.
    Unclear(Option<usize>),
}

/// Reads a key's value.
#[inline]
pub(super) fn read<'v, V: Values>(source: &KeySource, key_type: KeyType, values: &'v V) -> Key<'v> {
    match source {
        KeySource::Literal { index, is_negated } => match values.literal(*index) {
            Some(text) => literal(text, *is_negated, key_type, values),
            None => Key::Unclear(None),
        },
        KeySource::Fixed(value) => Key::Value(value.clone()),
        KeySource::Null => Key::Null,
        KeySource::Param { number, typing, cast } => param(*number, *typing, *cast, key_type, values),
        KeySource::Computed(computed) => match computed::value(computed, values) {
            computed::Outcome::Integer(value, _) => Key::Value(match key_type {
                KeyType::Numeric => KeyValue::Numeric(NumericKey::from_i64(value)),
                _ => KeyValue::Int8(value),
            }),
            computed::Outcome::Null => Key::Null,
            computed::Outcome::Invalid => Key::Invalid,
            computed::Outcome::Unclear(number) => Key::Unclear(number),
        },
    }
}

fn of<'v>(read: KeyRead<'v>, param: Option<usize>) -> Key<'v> {
    match read {
        KeyRead::Value(value) => Key::Value(value),
        KeyRead::Nothing => Key::Nothing,
        KeyRead::Invalid => Key::Invalid,
        KeyRead::Unclear | KeyRead::Unrelated => Key::Unclear(param),
    }
}

/// A literal: a number or a plain quoted string.
#[inline]
fn literal<'v, V: Values>(text: &'v [u8], is_negated: bool, key_type: KeyType, values: &V) -> Key<'v> {
    if key_type == KeyType::Int8 && text.first().is_some_and(u8::is_ascii_digit) {
        // The template tells digits that fit a bigint from others; only those come here.
        return integer(text, is_negated)
            .map_or(Key::Unclear(None), |value| Key::Value(KeyValue::Int8(value)));
    }
    let context = values.read_context();
    let type_oid = if text.first() == Some(&b'\'') { oid::UNKNOWN } else { oid::NUMERIC };
    match literal_content(text) {
        Cow::Borrowed(content) if !is_negated => {
            of(key::read(key_type, type_oid, 0, content, &context), None)
        }
        content => {
            let content = if is_negated { [b"-", &*content].concat() } else { content.into_owned() };
            match key::read(key_type, type_oid, 0, &content, &context) {
                KeyRead::Value(value) => Key::Value(value.into_owned()),
                KeyRead::Nothing => Key::Nothing,
                KeyRead::Invalid => Key::Invalid,
                KeyRead::Unclear | KeyRead::Unrelated => Key::Unclear(None),
            }
        }
    }
}

/// Digits with a sign; `None` beyond a bigint.
pub(super) fn integer(digits: &[u8], is_negated: bool) -> Option<i64> {
    digits.iter().try_fold(0_i64, |value, digit| {
        if !digit.is_ascii_digit() {
            return None;
        }
        let digit = i64::from(digit - b'0');
        let value = value.checked_mul(10)?;
        if is_negated { value.checked_sub(digit) } else { value.checked_add(digit) }
    })
}

#[inline]
fn param<V: Values>(number: usize, typing: ParamType, cast: u32, key_type: KeyType, values: &V) -> Key<'_> {
    // The server says that there are too few.
    let Some(param) = values.param(number) else { return Key::Invalid };
    let (type_oid, format) = match (param.type_oid, cast) {
        // The server gives it the type of what it is compared with, or cast to.
        (0 | oid::UNKNOWN, cast) if typing == ParamType::FromKey => (cast, param.format),
        (0 | oid::UNKNOWN, _) => return Key::Unclear(Some(number)),
        (declared, 0) => (declared, param.format),
        // A text becomes what its content says; both formats of a text are its bytes.
        (oid::TEXT | oid::VARCHAR, _) => (oid::UNKNOWN, 0),
        (declared, cast) if keeps(declared, cast) => (declared, param.format),
        _ => return Key::Unclear(Some(number)),
    };
    let Some(value) = param.value else {
        return if key_type.is_read_from(type_oid) { Key::Null } else { Key::Unclear(Some(number)) };
    };
    of(key::read(key_type, type_oid, format, value, &values.read_context()), Some(number))
}

/// Whether a cast changes no value that it does not refuse.
pub(super) fn keeps(from: u32, to: u32) -> bool {
    from == to || (oid::is_integer(from) && (oid::is_integer(to) || to == oid::NUMERIC))
}

#[cold]
pub(super) fn unread(param: Option<usize>, key_type: KeyType) -> SqlError {
    match param {
        Some(number) => SqlError::refused(
            format!(
                "parameter ${number}, a sharding key, is not known to be of type {key_type}, or cannot be read as one"
            ),
            format!(
                "Write ${number}::{key_type} where it is the key, and use another parameter elsewhere; or declare its type as {key_type}."
            ),
        ),
        None => SqlError::refused(
            format!("the sharding key cannot be read as {key_type} with certainty"),
            "Write it plainly: digits, or an ISO date and time with its offset.",
        ),
    }
}

#[cold]
pub(super) fn changed() -> SqlError {
    SqlError::refused(
        "the sharding key of the new row does not fit its column's length or precision, so the row would be stored with another key",
        "Give the key as it is to be stored.",
    )
}
