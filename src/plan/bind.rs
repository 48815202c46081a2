//! Binding: a plan and one execution's values give the shard.
//!
//! Costs about a hash of the key and allocates nothing unless it fails.

use super::limit::limits;
use super::{Bound, KeyPurpose, KeyRoute, KeySource, ParamType, Planned, Route};
use crate::datum::int8::{self, Int8Text};
use crate::datum::key::KeyValue;
use crate::datum::oid;
use crate::error::SqlError;
use crate::ids::{ShardId, ShardSet};
use crate::rules::{Placement, Rules};
use crate::sqlstate;

/// A parameter's value as Bind carries it.
#[derive(Clone, Copy, Debug)]
pub struct Param<'a> {
    /// The type that Parse declared; 0 where it declared none.
    pub type_oid: u32,
    /// The format code: 0 text, 1 binary.
    pub format: i16,
    /// `None` is NULL.
    pub value: Option<&'a [u8]>,
}

/// The values of one execution.
pub trait Values {
    /// The raw bytes (quotes included) of a literal that the template lifted, counted from 0; `None` behind
    /// the last.
    fn literal(&self, index: usize) -> Option<&[u8]>;
    /// The parameter `$number`, from 1; `None` behind the last.
    fn param(&self, number: usize) -> Option<Param<'_>>;
}

/// What a key's value says of the shard.
#[derive(Clone, Copy)]
enum Key {
    /// A bigint.
    Value(i64),
    /// NULL, or a number that no bigint equals.
    Nothing,
    /// A text that every server refuses as an integer: any shard says so.
    Invalid,
}

/// Finds the shard, or shards, that one execution of `planned` goes to.
///
/// # Errors
/// The plan's own refusal; `23514` for a row to be placed whose key is NULL; `0A000` for a key given in
/// a type that the hash is not defined for, or keys on several shards.
#[inline]
pub fn bind<'p, V: Values>(planned: &'p Planned, rules: &Rules, values: &V) -> Result<Bound<'p>, SqlError> {
    match &planned.route {
        Route::Home(shard) => Ok(Bound::Single(*shard)),
        Route::Key(route) => key_shard(route, rules, values).map(Bound::Single),
        Route::Scatter(scatter) => {
            time_independent(values)?;
            let shards = ShardSet::all(rules.shard_count());
            Ok(Bound::Scatter { scatter, shards, limits: limits(&scatter.merge, values)? })
        }
        Route::Explain(explain) => Ok(Bound::Explain(explain)),
        Route::Refused(error) => Err(SqlError::clone(error)),
    }
}

fn key_shard<V: Values>(route: &KeyRoute, rules: &Rules, values: &V) -> Result<ShardId, SqlError> {
    let Some(group) = rules.group(route.group) else {
        return Err(SqlError::new(sqlstate::INTERNAL_ERROR, "the plan's colocation group does not exist"));
    };
    let mut found: Option<ShardId> = None;
    for source in &route.keys {
        let key = match source {
            KeySource::Literal { index, is_negated } => literal_key(values.literal(*index), *is_negated)?,
            KeySource::Fixed(value) => Key::Value(*value),
            KeySource::Param { number, typing, is_cast } => {
                param_key(values.param(*number), *number, *typing, *is_cast)?
            }
        };
        let value = match (key, route.purpose) {
            (Key::Value(value), _) => value,
            // The server says what is wrong with it.
            (Key::Invalid, _) | (Key::Nothing, KeyPurpose::Find) => continue,
            (Key::Nothing, KeyPurpose::Place) => {
                if is_null(source, values) {
                    return Err(null_key());
                }
                continue;
            }
        };
        let Some(shard) = shard_of(&group.placement, value) else {
            match route.purpose {
                KeyPurpose::Find => continue,
                KeyPurpose::Place => return Err(no_place()),
            }
        };
        match found {
            Some(other) if other != shard => return Err(several_shards()),
            _ => found = Some(shard),
        }
    }
    Ok(found.unwrap_or_else(|| rules.home()))
}

/// The shard of an integer key.
#[inline]
fn shard_of(placement: &Placement, value: i64) -> Option<ShardId> {
    placement.shard(&[KeyValue::Int8(value)])
}

fn is_null<V: Values>(source: &KeySource, values: &V) -> bool {
    match source {
        KeySource::Literal { .. } | KeySource::Fixed(_) => false,
        KeySource::Param { number, .. } => values.param(*number).is_some_and(|param| param.value.is_none()),
    }
}

/// A literal: digits, or a plain quoted string.
fn literal_key(text: Option<&[u8]>, is_negated: bool) -> Result<Key, SqlError> {
    let Some(text) = text else { return Err(missing_value()) };
    match text {
        [b'\'', inner @ .., b'\''] if !is_negated => match int8::from_text(inner) {
            Int8Text::Value(value) => Ok(Key::Value(value)),
            Int8Text::OutOfRange => Ok(Key::Invalid),
            // A quote inside is a doubled one, or goes on behind a newline: too rare to read.
            _ if inner.contains(&b'\'') => Err(unclear_key()),
            Int8Text::Invalid => Ok(Key::Invalid),
            Int8Text::Unclear => Err(unclear_key()),
        },
        digits if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            Ok(integer(digits, is_negated).map_or(Key::Nothing, Key::Value))
        }
        _ => Err(unclear_key()),
    }
}

/// A literal whose value the plan may hold; `None` where it is no integer.
pub(super) fn fixed_key(text: &[u8], is_negated: bool) -> Option<i64> {
    match literal_key(Some(text), is_negated) {
        Ok(Key::Value(value)) => Some(value),
        Ok(Key::Nothing | Key::Invalid) | Err(_) => None,
    }
}

/// Digits with a sign; `None` beyond a bigint.
fn integer(digits: &[u8], is_negated: bool) -> Option<i64> {
    digits.iter().try_fold(0_i64, |value, digit| {
        let digit = i64::from(digit - b'0');
        let value = value.checked_mul(10)?;
        if is_negated { value.checked_sub(digit) } else { value.checked_add(digit) }
    })
}

fn param_key(
    param: Option<Param<'_>>,
    number: usize,
    typing: ParamType,
    is_cast: bool,
) -> Result<Key, SqlError> {
    // The server says that there are too few.
    let Some(param) = param else { return Ok(Key::Invalid) };
    let is_text_type = matches!(param.type_oid, oid::TEXT | oid::VARCHAR);
    let is_read = match param.type_oid {
        0 | oid::UNKNOWN => typing == ParamType::FromKey,
        other => oid::is_integer(other) || (is_text_type && is_cast),
    };
    if !is_read {
        return Err(SqlError::refused(
            format!("parameter ${number}, a sharding key, is not known to be an integer"),
            format!(
                "Write ${number}::bigint where it is the key, and use another parameter elsewhere; or declare its type as bigint."
            ),
        ));
    }
    let Some(value) = param.value else { return Ok(Key::Nothing) };
    if param.format == 0 || is_text_type {
        return match int8::from_text(value) {
            Int8Text::Value(value) => Ok(Key::Value(value)),
            Int8Text::OutOfRange | Int8Text::Invalid => Ok(Key::Invalid),
            Int8Text::Unclear => Err(unclear_key()),
        };
    }
    let type_oid = if param.type_oid == oid::UNKNOWN { 0 } else { param.type_oid };
    // A length that does not fit the type is the server's to refuse.
    Ok(int8::from_binary(type_oid, value).map_or(Key::Invalid, Key::Value))
}

/// Longest text that Postgres reads as a date or time.
const DATETIME_BYTES_MAX: usize = 256;

/// Shards must not each read the clock: `'now'`, `'today'` and their kin do when they become a date.
fn time_independent<V: Values>(values: &V) -> Result<(), SqlError> {
    let mut index = 0;
    while let Some(text) = values.literal(index) {
        if names_a_moment(text) {
            return Err(moment());
        }
        index += 1;
    }
    let mut number = 1;
    while let Some(param) = values.param(number) {
        if param.value.is_some_and(names_a_moment) {
            return Err(moment());
        }
        number += 1;
    }
    Ok(())
}

pub(super) fn names_a_moment(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 4] = [b"now", b"today", b"tomorrow", b"yesterday"];
    text.len() <= DATETIME_BYTES_MAX
        && text
            .split(|byte| !byte.is_ascii_alphabetic())
            .any(|run| WORDS.iter().any(|word| run.eq_ignore_ascii_case(word)))
}

#[cold]
fn moment() -> SqlError {
    SqlError::refused(
        "a text with the word now, today, tomorrow or yesterday may be a time, which several shards would read differently",
        "Give the time itself.",
    )
}

#[cold]
fn several_shards() -> SqlError {
    SqlError::refused(
        "the statement's sharding keys lie on different shards, which is not supported yet",
        "Ask for the keys one by one.",
    )
}

#[cold]
fn unclear_key() -> SqlError {
    SqlError::refused("the sharding key is not a plain integer", "Write it in decimal digits.")
}

#[cold]
fn null_key() -> SqlError {
    SqlError::new(sqlstate::CHECK_VIOLATION, "null value in the sharding key of a new row")
        .with_hint("Give the row a key: it decides the shard that the row lies on.")
}

#[cold]
fn no_place() -> SqlError {
    SqlError::new(sqlstate::CHECK_VIOLATION, "no shard takes rows with this sharding key")
        .with_hint("Add a range or list entry for it to the sharding rules.")
}

#[cold]
pub(super) fn missing_value() -> SqlError {
    SqlError::protocol("bind message supplies too few parameters")
}
