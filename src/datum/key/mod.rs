//! Values of sharding keys: reading them as Postgres reads them, comparing and hashing them.
//!
//! A value is read only where it is certain what every supported server would make of it; the rest is
//! [`KeyRead::Unclear`], which is refused and never guessed.
//!
//! Must not: know tables, rules or messages.

mod date_time;
mod numeric;
mod uuid;

pub use numeric::NumericKey;

use super::hash::{hash_int8, hash_text, hash_timestamp, hash_uuid};
use super::int8::{self, Int8Text};
use super::oid;
use std::borrow::Cow;
use std::cmp::Ordering;

/// The canonical type that a group's key column is hashed and compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// smallint, integer, bigint
    Int8,
    /// numeric
    Numeric,
    /// text, varchar; by bytes, so only under deterministic collations
    Text,
    /// uuid
    Uuid,
    /// date
    Date,
    /// timestamp without time zone
    Timestamp,
    /// timestamp with time zone
    Timestamptz,
}

impl KeyType {
    /// All of them.
    pub const ALL: [KeyType; 7] = [
        KeyType::Int8,
        KeyType::Numeric,
        KeyType::Text,
        KeyType::Uuid,
        KeyType::Date,
        KeyType::Timestamp,
        KeyType::Timestamptz,
    ];

    /// As the rules name it.
    pub fn name(self) -> &'static str {
        match self {
            KeyType::Int8 => "int8",
            KeyType::Numeric => "numeric",
            KeyType::Text => "text",
            KeyType::Uuid => "uuid",
            KeyType::Date => "date",
            KeyType::Timestamp => "timestamp",
            KeyType::Timestamptz => "timestamptz",
        }
    }

    /// Whether a column of this type may be such a key; a domain by its base type.
    pub fn is_column_type(self, type_oid: u32) -> bool {
        match self {
            KeyType::Int8 => oid::is_integer(type_oid),
            KeyType::Numeric => type_oid == oid::NUMERIC,
            KeyType::Text => matches!(type_oid, oid::TEXT | oid::VARCHAR),
            KeyType::Uuid => type_oid == oid::UUID,
            KeyType::Date => type_oid == oid::DATE,
            KeyType::Timestamp => type_oid == oid::TIMESTAMP,
            KeyType::Timestamptz => type_oid == oid::TIMESTAMPTZ,
        }
    }

    /// Whether a constant or parameter of this type is compared with such a key by an operator that keeps
    /// the key's own equality and order, so that [`read`] reads it; 0 and unknown take the key's type.
    ///
    /// Integers are turned into numerics exactly. Dates and timestamps have operators of one family between
    /// them, but need conversions that depend on the time zone, so only the same type is read.
    pub fn is_read_from(self, type_oid: u32) -> bool {
        matches!(type_oid, 0 | oid::UNKNOWN)
            || self.is_column_type(type_oid)
            || (self == KeyType::Numeric && oid::is_integer(type_oid))
    }
}

impl std::fmt::Display for KeyType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One key column's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyValue<'a> {
    /// An integer of any width.
    Int8(i64),
    /// A numeric, without its display scale.
    Numeric(NumericKey),
    /// A text, in the server's encoding.
    Text(Cow<'a, [u8]>),
    /// A uuid.
    Uuid([u8; 16]),
    /// Days since 2000-01-01; the extremes are the infinities.
    Date(i32),
    /// Microseconds since 2000-01-01; the extremes are the infinities.
    Timestamp(i64),
    /// Microseconds since 2000-01-01 UTC; the extremes are the infinities.
    Timestamptz(i64),
}

impl KeyValue<'_> {
    /// The type it is a value of.
    pub fn key_type(&self) -> KeyType {
        match self {
            KeyValue::Int8(_) => KeyType::Int8,
            KeyValue::Numeric(_) => KeyType::Numeric,
            KeyValue::Text(_) => KeyType::Text,
            KeyValue::Uuid(_) => KeyType::Uuid,
            KeyValue::Date(_) => KeyType::Date,
            KeyValue::Timestamp(_) => KeyType::Timestamp,
            KeyValue::Timestamptz(_) => KeyType::Timestamptz,
        }
    }

    /// The same value, borrowing nothing.
    pub fn into_owned(self) -> KeyValue<'static> {
        match self {
            KeyValue::Int8(value) => KeyValue::Int8(value),
            KeyValue::Numeric(value) => KeyValue::Numeric(value),
            KeyValue::Text(value) => KeyValue::Text(Cow::Owned(value.into_owned())),
            KeyValue::Uuid(value) => KeyValue::Uuid(value),
            KeyValue::Date(value) => KeyValue::Date(value),
            KeyValue::Timestamp(value) => KeyValue::Timestamp(value),
            KeyValue::Timestamptz(value) => KeyValue::Timestamptz(value),
        }
    }

    /// Postgres's order of two values of one type, texts as under collation C; `None` for two types.
    pub fn compare(&self, other: &KeyValue<'_>) -> Option<Ordering> {
        Some(match (self, other) {
            (KeyValue::Numeric(a), KeyValue::Numeric(b)) => a.compare(b),
            (KeyValue::Text(a), KeyValue::Text(b)) => a.as_ref().cmp(b.as_ref()),
            (KeyValue::Uuid(a), KeyValue::Uuid(b)) => a.cmp(b),
            (KeyValue::Date(a), KeyValue::Date(b)) => a.cmp(b),
            (KeyValue::Int8(a), KeyValue::Int8(b))
            | (KeyValue::Timestamp(a), KeyValue::Timestamp(b))
            | (KeyValue::Timestamptz(a), KeyValue::Timestamptz(b)) => a.cmp(b),
            _ => return None,
        })
    }

    /// Whether it is a date's infinity, whose day number no shard can compute.
    pub fn is_infinite_date(&self) -> bool {
        matches!(self, KeyValue::Date(i32::MIN | i32::MAX))
    }

    /// Whether a column of this type modifier (-1 for none) certainly stores it as it is: an assignment to
    /// `numeric(10,2)`, `varchar(5)` or `timestamp(0)` may round or cut, and then the row's key is another.
    pub fn is_stored_as_is(&self, typmod: i32) -> bool {
        match self {
            _ if typmod < 0 => true,
            KeyValue::Numeric(value) => value.fits(typmod),
            // Characters have a byte each at least, in every encoding.
            KeyValue::Text(value) => i32::try_from(value.len()).is_ok_and(|len| len <= typmod - 4),
            KeyValue::Timestamp(i64::MIN | i64::MAX) | KeyValue::Timestamptz(i64::MIN | i64::MAX) => true,
            KeyValue::Timestamp(moment) | KeyValue::Timestamptz(moment) => {
                let digits = u32::try_from(6 - typmod.min(6)).unwrap_or(0);
                moment % 10_i64.pow(digits) == 0
            }
            KeyValue::Int8(_) | KeyValue::Uuid(_) | KeyValue::Date(_) => true,
        }
    }

    #[inline]
    fn seeded_hash(&self, seed: u64) -> u64 {
        match self {
            KeyValue::Int8(value) => hash_int8(*value, seed),
            KeyValue::Numeric(value) => value.seeded_hash(seed),
            KeyValue::Text(value) => hash_text(value, seed),
            KeyValue::Uuid(value) => hash_uuid(value, seed),
            KeyValue::Date(value) => hash_int8(i64::from(*value), seed),
            KeyValue::Timestamp(value) | KeyValue::Timestamptz(value) => hash_timestamp(*value, seed),
        }
    }
}

/// The hash of a key: Postgres's extended hash of each column's value, seeded with the hash so far.
#[inline]
pub fn hash(key: &[KeyValue<'_>]) -> u64 {
    key.iter().fold(0, |seed, value| value.seeded_hash(seed))
}

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
enum Reading<T> {
    Value(T),
    Invalid,
    Unclear,
}

impl<T> Reading<T> {
    #[inline]
    fn map<U>(self, f: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Reading::Value(value) => Reading::Value(f(value)),
            Reading::Invalid => Reading::Invalid,
            Reading::Unclear => Reading::Unclear,
        }
    }

    fn and_then<U>(self, f: impl FnOnce(T) -> Reading<U>) -> Reading<U> {
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
fn trim(text: &[u8]) -> &[u8] {
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

    #[test]
    fn a_column_may_change_what_it_stores() {
        let text = |value: &str| KeyValue::Text(Cow::Owned(value.as_bytes().to_vec()));
        for (value, typmod, is_same) in [
            (text("abcde"), 9, true),
            (text("abcdef"), 9, false),
            (text("abcdef"), -1, true),
            (KeyValue::Timestamp(1_000_000), 0, true),
            (KeyValue::Timestamp(1_000_001), 0, false),
            (KeyValue::Timestamptz(-1_500_000), 1, true),
            (KeyValue::Timestamptz(1), 6, true),
            (KeyValue::Timestamp(i64::MAX), 0, true),
            (KeyValue::Int8(1), 4, true),
        ] {
            assert_eq!(value.is_stored_as_is(typmod), is_same, "{value:?} {typmod}");
        }
    }

    #[test]
    fn columns_hash_one_after_the_other() {
        let key = [KeyValue::Int8(1), KeyValue::Text(b"a".into())];
        assert_eq!(hash(&key), hash_text(b"a", hash_int8(1, 0)));
        assert_eq!(hash(&[]), 0);
    }
}
