//! Reading a key's value from a literal's content or a parameter, in both formats.

use super::{KeyType, KeyValue, NumericKey, date_time, uuid};
use crate::datum::int8::{self, Int8Text};
use crate::datum::oid;
use std::borrow::Cow;

/// What bytes are as a key's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRead<'a> {
    /// This value.
    Value(KeyValue<'a>),
    /// No stored key can equal it.
    Nothing,
    /// Every supported server refuses it as the key's type, so any server may say so.
    Invalid,
    /// Cannot be read with certainty: servers differ on it, or settings decide what it is.
    Unclear,
    /// Its type is compared by an operator outside the key type's own: it says nothing of the shard.
    Unrelated,
}

/// The settings that decide what a text is. What is not known of a session is `false`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadContext {
    /// Whether the session's time zone is UTC (see [`is_utc`]): else a timestamptz needs an offset of its own.
    pub is_utc: bool,
    /// Whether the client's encoding is the server's: else only ASCII texts are read.
    pub is_server_encoding: bool,
}

/// Whether a value of the setting `TimeZone` is UTC.
pub fn is_utc(time_zone: &[u8]) -> bool {
    const NAMES: [&[u8]; 8] =
        [b"utc", b"etc/utc", b"gmt", b"etc/gmt", b"uct", b"etc/uct", b"zulu", b"universal"];
    NAMES.iter().any(|name| time_zone.eq_ignore_ascii_case(name))
}

/// Reads a value that is not NULL: a literal's content or a parameter.
///
/// `type_oid` is its type where it has one of its own (a typed literal, a number, a declared parameter);
/// 0 or unknown where it takes the key's. `format` is 0 for text, 1 for binary.
///
/// Text dates are read in ISO style with the year first, which every `DateStyle` reads alike.
#[inline]
pub fn read<'a>(
    key_type: KeyType,
    type_oid: u32,
    format: i16,
    bytes: &'a [u8],
    context: &ReadContext,
) -> KeyRead<'a> {
    if !key_type.is_read_from(type_oid) {
        return KeyRead::Unrelated;
    }
    let is_binary = match format {
        0 => false,
        1 => true,
        _ => return KeyRead::Invalid,
    };
    match key_type {
        KeyType::Int8 => integer(type_oid, is_binary, bytes).map(KeyValue::Int8),
        KeyType::Numeric if oid::is_integer(type_oid) => {
            integer(type_oid, is_binary, bytes).map(|value| KeyValue::Numeric(NumericKey::from_i64(value)))
        }
        KeyType::Numeric if is_binary => NumericKey::from_binary(bytes).map(KeyValue::Numeric),
        KeyType::Numeric => NumericKey::from_text(bytes).map(KeyValue::Numeric),
        KeyType::Text => text(bytes, context),
        KeyType::Uuid if is_binary => {
            <[u8; 16]>::try_from(bytes).map_or(Reading::Invalid, Reading::Value).map(KeyValue::Uuid)
        }
        KeyType::Uuid => uuid::from_text(bytes).map(KeyValue::Uuid),
        KeyType::Date if is_binary => binary_date(bytes).map(KeyValue::Date),
        KeyType::Date => date_time::date_from_text(bytes).map(KeyValue::Date),
        KeyType::Timestamp if is_binary => binary_timestamp(bytes).map(KeyValue::Timestamp),
        KeyType::Timestamp => date_time::timestamp_from_text(bytes).map(KeyValue::Timestamp),
        KeyType::Timestamptz if is_binary => binary_timestamp(bytes).map(KeyValue::Timestamptz),
        KeyType::Timestamptz => {
            date_time::timestamptz_from_text(bytes, context.is_utc).map(KeyValue::Timestamptz)
        }
    }
    .into()
}

/// A value being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading<T> {
    Value(T),
    Invalid,
    Unclear,
}

impl<T> Reading<T> {
    #[inline]
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Reading::Value(value) => Reading::Value(f(value)),
            Reading::Invalid => Reading::Invalid,
            Reading::Unclear => Reading::Unclear,
        }
    }

    pub(super) fn and_then<U>(self, f: impl FnOnce(T) -> Reading<U>) -> Reading<U> {
        match self {
            Reading::Value(value) => f(value),
            Reading::Invalid => Reading::Invalid,
            Reading::Unclear => Reading::Unclear,
        }
    }
}

fn integer(type_oid: u32, is_binary: bool, bytes: &[u8]) -> Reading<i64> {
    if is_binary {
        let type_oid = if type_oid == oid::UNKNOWN { 0 } else { type_oid };
        // A length that does not fit the type is the server's to refuse.
        return int8::from_binary(type_oid, bytes).map_or(Reading::Invalid, Reading::Value);
    }
    match int8::from_text(bytes) {
        Int8Text::Value(value) => Reading::Value(value),
        Int8Text::OutOfRange | Int8Text::Invalid => Reading::Invalid,
        Int8Text::Unclear => Reading::Unclear,
    }
}

fn text<'a>(bytes: &'a [u8], context: &ReadContext) -> Reading<KeyValue<'a>> {
    match context.is_server_encoding || bytes.is_ascii() {
        true => Reading::Value(KeyValue::Text(Cow::Borrowed(bytes))),
        false => Reading::Unclear,
    }
}

fn binary_date(bytes: &[u8]) -> Reading<i32> {
    <[u8; 4]>::try_from(bytes).map_or(Reading::Invalid, |bytes| Reading::Value(i32::from_be_bytes(bytes)))
}

fn binary_timestamp(bytes: &[u8]) -> Reading<i64> {
    <[u8; 8]>::try_from(bytes).map_or(Reading::Invalid, |bytes| Reading::Value(i64::from_be_bytes(bytes)))
}

/// Without ASCII white space around it, which is what every locale takes for white space.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let Some(start) = text.iter().position(|byte| !is_space(byte)) else { return &[] };
    let end = text.iter().rposition(|byte| !is_space(byte)).map_or(0, |last| last + 1);
    text.get(start..end).unwrap_or(&[])
}

impl<'a> From<Reading<KeyValue<'a>>> for KeyRead<'a> {
    #[inline]
    fn from(reading: Reading<KeyValue<'a>>) -> KeyRead<'a> {
        match reading {
            Reading::Value(value) => KeyRead::Value(value),
            Reading::Invalid => KeyRead::Invalid,
            Reading::Unclear => KeyRead::Unclear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: ReadContext = ReadContext { is_utc: false, is_server_encoding: false };

    #[test]
    fn only_types_of_the_keys_own_family_are_read() {
        let one = |key_type, type_oid| read(key_type, type_oid, 0, b"1", &PLAIN);
        for (key_type, type_oid) in [
            (KeyType::Int8, oid::NUMERIC),
            (KeyType::Int8, oid::TEXT),
            (KeyType::Text, oid::INT4),
            (KeyType::Numeric, oid::FLOAT8),
            (KeyType::Date, oid::TIMESTAMP),
            (KeyType::Timestamp, oid::TIMESTAMPTZ),
            (KeyType::Timestamptz, oid::DATE),
        ] {
            assert_eq!(one(key_type, type_oid), KeyRead::Unrelated, "{key_type} {type_oid}");
        }
        let numeric = KeyValue::Numeric(NumericKey::from_i64(1));
        for (key_type, type_oid, expected) in [
            (KeyType::Int8, oid::INT2, KeyValue::Int8(1)),
            (KeyType::Numeric, oid::INT8, numeric.clone()),
            (KeyType::Numeric, oid::UNKNOWN, numeric),
            (KeyType::Text, oid::VARCHAR, KeyValue::Text(b"1".into())),
        ] {
            assert_eq!(one(key_type, type_oid), KeyRead::Value(expected));
        }
        assert_eq!(one(KeyType::Date, 0), KeyRead::Unclear);
        assert_eq!(read(KeyType::Int8, 0, 7, b"1", &PLAIN), KeyRead::Invalid);
    }

    #[test]
    fn texts_beyond_ascii_need_the_servers_encoding() {
        let text = "café".as_bytes();
        let known = ReadContext { is_server_encoding: true, ..PLAIN };
        assert_eq!(read(KeyType::Text, 0, 0, text, &PLAIN), KeyRead::Unclear);
        assert_eq!(read(KeyType::Text, 0, 1, text, &known), KeyRead::Value(KeyValue::Text(text.into())));
    }
}
