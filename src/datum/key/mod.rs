//! Values of sharding keys: reading them as Postgres reads them, comparing and hashing them.
//!
//! A value is read only where it is certain what every supported server would make of it; the rest is
//! [`KeyRead::Unclear`], which is refused and never guessed.
//!
//! Must not: know tables, rules or messages.

mod date_time;
mod display;
mod numeric;
mod read;
mod uuid;

use crate::fault::Fault;
pub use numeric::{Finite, NumericKey};
pub use read::{KeyRead, ReadContext, is_utc, read};

use super::hash::{hash_int8, hash_text, hash_timestamp, hash_uuid};
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
    let seed = u64::from(Fault::WrongSeed.is_planted());
    let columns = if Fault::FirstColumnHashed.is_planted() { 1 } else { key.len() };
    key.iter().take(columns).fold(seed, |seed, value| value.seeded_hash(seed))
}

#[cfg(test)]
mod tests {
    use super::*;

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
