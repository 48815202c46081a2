//! Postgres's B-tree order of values, as bytes: [`Order::encode`] turns a value as a server sends it into
//! bytes that compare (`memcmp`) as Postgres compares the values.
//!
//! Encodings of one [`Order`] and format are prefix-free, so that those of several sort keys can be put one
//! behind another; equal values give equal bytes. Only types and formats whose order is exact are known:
//! the rest is refused before any value is looked at.
//!
//! Source: PostgreSQL 15, the `*_cmp` functions of the default B-tree operator classes
//! (`src/backend/utils/adt/`, `src/backend/access/nbtree/nbtcompare.c`).

mod bytes;
mod decimal;
mod moment;

use super::{int8, oid};

/// A type's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// smallint
    Int2,
    /// integer
    Int4,
    /// bigint
    Int8,
    /// oid
    Oid,
    /// money; only in binary
    Money,
    /// numeric
    Numeric,
    /// real
    Float4,
    /// double precision
    Float8,
    /// boolean
    Bool,
    /// date
    Date,
    /// time without time zone
    Time,
    /// time with time zone
    Timetz,
    /// timestamp without time zone
    Timestamp,
    /// timestamp with time zone
    Timestamptz,
    /// interval; only in binary
    Interval,
    /// uuid
    Uuid,
    /// bytea
    Bytea,
    /// bit and bit varying
    Bits,
    /// text and varchar under a collation that compares bytes, and name
    Text,
    /// character(n) under a collation that compares bytes
    PaddedText,
    /// "char"
    Char,
}

/// What of a session decides how its values look, and so whether their order can be told from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// `DateStyle` is ISO.
    pub has_iso_dates: bool,
    /// `extra_float_digits`: from 1 on, different floats have different texts.
    pub float_digits: i32,
    /// Texts reach the client in the server's encoding, or in one that orders alike.
    pub has_server_encoding: bool,
}

impl Default for Style {
    /// As sessions are where nobody has changed anything.
    fn default() -> Self {
        Style { has_iso_dates: true, float_digits: 1, has_server_encoding: true }
    }
}

impl Order {
    /// The order of a built-in type; `None` where it is not known, or depends on a collation that does not
    /// compare bytes (`text_is_c` is false).
    pub fn of(type_oid: u32, text_is_c: bool) -> Option<Order> {
        Some(match type_oid {
            oid::INT2 => Order::Int2,
            oid::INT4 => Order::Int4,
            oid::INT8 => Order::Int8,
            oid::OID => Order::Oid,
            oid::MONEY => Order::Money,
            oid::NUMERIC => Order::Numeric,
            oid::FLOAT4 => Order::Float4,
            oid::FLOAT8 => Order::Float8,
            oid::BOOL => Order::Bool,
            oid::DATE => Order::Date,
            oid::TIME => Order::Time,
            oid::TIMETZ => Order::Timetz,
            oid::TIMESTAMP => Order::Timestamp,
            oid::TIMESTAMPTZ => Order::Timestamptz,
            oid::INTERVAL => Order::Interval,
            oid::UUID => Order::Uuid,
            oid::BYTEA => Order::Bytea,
            oid::BIT | oid::VARBIT => Order::Bits,
            oid::TEXT | oid::VARCHAR if text_is_c => Order::Text,
            // Its own collation is C whatever the database's.
            oid::NAME => Order::Text,
            oid::BPCHAR if text_is_c => Order::PaddedText,
            oid::CHAR => Order::Char,
            _ => return None,
        })
    }

    /// Whether values in this format, in a session of this style, tell their order exactly.
    pub fn is_exact(self, is_binary: bool, style: Style) -> bool {
        match self {
            Order::Date | Order::Timestamp | Order::Timestamptz => is_binary || style.has_iso_dates,
            Order::Float4 | Order::Float8 => is_binary || style.float_digits > 0,
            // Their texts are the locale's, and the interval style's.
            Order::Money | Order::Interval => is_binary,
            Order::Text | Order::PaddedText => style.has_server_encoding,
            Order::Int2
            | Order::Int4
            | Order::Int8
            | Order::Oid
            | Order::Numeric
            | Order::Bool
            | Order::Time
            | Order::Timetz
            | Order::Uuid
            | Order::Bytea
            | Order::Bits
            | Order::Char => true,
        }
    }

    /// Appends the value's order to `out`; `None` where the bytes are no value that a server sends in this
    /// format (`out` may then hold a part).
    #[inline]
    pub fn encode(self, is_binary: bool, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
        match (self, is_binary) {
            (Order::Int2 | Order::Int4 | Order::Int8 | Order::Oid, false) => {
                put(out, int8::from_output(value)?);
            }
            (Order::Int2, true) => put(out, i64::from(i16::from_be_bytes(value.try_into().ok()?))),
            (Order::Int4, true) => put(out, i64::from(i32::from_be_bytes(value.try_into().ok()?))),
            (Order::Int8 | Order::Money, true) => put(out, i64::from_be_bytes(value.try_into().ok()?)),
            (Order::Oid, true) => put(out, i64::from(u32::from_be_bytes(value.try_into().ok()?))),
            (Order::Numeric, false) => decimal::from_text(value, out)?,
            (Order::Numeric, true) => decimal::from_binary(value, out)?,
            (Order::Float4, false) => put_float(out, f64::from(float_text::<f32>(value)?)),
            (Order::Float8, false) => put_float(out, float_text::<f64>(value)?),
            (Order::Float4, true) => {
                put_float(out, f64::from(f32::from_be_bytes(value.try_into().ok()?)));
            }
            (Order::Float8, true) => put_float(out, f64::from_be_bytes(value.try_into().ok()?)),
            (Order::Bool, _) => out.push(boolean(value, is_binary)?.into()),
            (Order::Date, false) => put(out, i64::from(moment::date(value)?)),
            (Order::Date, true) => put(out, i64::from(i32::from_be_bytes(value.try_into().ok()?))),
            (Order::Timestamp, false) => put(out, moment::timestamp(value)?),
            (Order::Timestamptz, false) => put(out, moment::timestamptz(value)?),
            (Order::Time, false) => put(out, moment::time(value)?),
            (Order::Time | Order::Timestamp | Order::Timestamptz, true) => {
                put(out, i64::from_be_bytes(value.try_into().ok()?));
            }
            (Order::Timetz, _) => {
                let (time, zone) =
                    if is_binary { moment::timetz_binary(value)? } else { moment::timetz(value)? };
                // The moment in UTC, and then the zone.
                put(out, time + i64::from(zone) * 1_000_000);
                put(out, i64::from(zone));
            }
            (Order::Interval, true) => moment::interval(value, out)?,
            (Order::Money | Order::Interval, false) => return None,
            (Order::Uuid, false) => bytes::uuid_text(value, out)?,
            (Order::Uuid, true) => out.extend_from_slice(&<[u8; 16]>::try_from(value).ok()?),
            (Order::Bytea, false) => bytes::bytea_text(value, out)?,
            (Order::Bytea, true) => bytes::escaped(value, out),
            (Order::Bits, false) => bytes::bits_text(value, out)?,
            (Order::Bits, true) => bytes::bits_binary(value, out)?,
            (Order::Text, _) => bytes::text(value, out)?,
            (Order::PaddedText, _) => {
                let len = value.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
                bytes::text(value.get(..len)?, out)?;
            }
            (Order::Char, _) => out.push(bytes::one_char(value, is_binary)?),
        }
        Some(())
    }
}

/// A signed integer whose bytes compare as it does.
#[inline]
fn put(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&((value as u64) ^ (1 << 63)).to_be_bytes());
}

/// NaN is greater than everything and equal to itself; -0 equals 0.
fn put_float(out: &mut Vec<u8>, value: f64) {
    let bits = if value.is_nan() {
        u64::MAX
    } else if value == 0.0 {
        1 << 63
    } else {
        let bits = value.to_bits();
        if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
    };
    out.extend_from_slice(&bits.to_be_bytes());
}

/// `float8out` and `float4out`.
pub(crate) fn float_text<F: std::str::FromStr>(text: &[u8]) -> Option<F> {
    // Besides numbers, Rust reads the three words that Postgres writes.
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A boolean in either format.
pub(crate) fn boolean(value: &[u8], is_binary: bool) -> Option<bool> {
    match (value, is_binary) {
        (b"t", false) | ([1], true) => Some(true),
        (b"f", false) | ([0], true) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
