//! Postgres's order of values, for `min` and `max` over several shards.
//!
//! Only types and formats that compare exactly here are known; the rest gives `None`.

use super::numeric::Numeric;
use super::oid;
use std::cmp::Ordering;

/// A value that compares as Postgres compares it.
#[derive(Clone, Debug)]
pub enum Comparable {
    /// An integer; dates and timestamps as days and microseconds.
    Integer(i128),
    /// A numeric.
    Numeric(Numeric),
    /// A float: NaN is greater than everything and equal to itself, -0 equals 0.
    Float(f64),
}

impl Comparable {
    /// Postgres's order of two values of one type.
    pub fn compare(&self, other: &Comparable) -> Option<Ordering> {
        match (self, other) {
            (Comparable::Integer(a), Comparable::Integer(b)) => Some(a.cmp(b)),
            (Comparable::Numeric(a), Comparable::Numeric(b)) => Some(a.compare(b)),
            (Comparable::Float(a), Comparable::Float(b)) => {
                Some(a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())))
            }
            _ => None,
        }
    }
}

/// Whether values of the type are comparable at all.
pub fn is_comparable(type_oid: u32) -> bool {
    matches!(
        type_oid,
        oid::INT2
            | oid::INT4
            | oid::INT8
            | oid::NUMERIC
            | oid::FLOAT4
            | oid::FLOAT8
            | oid::DATE
            | oid::TIMESTAMP
            | oid::TIMESTAMPTZ
    )
}

/// Reads a value; `None` where it cannot be read exactly (a date in another style than ISO, a type that
/// is not known).
pub fn read(type_oid: u32, is_binary: bool, bytes: &[u8]) -> Option<Comparable> {
    match (type_oid, is_binary) {
        (oid::INT2 | oid::INT4 | oid::INT8, false) => {
            let text = std::str::from_utf8(bytes).ok()?;
            Some(Comparable::Integer(i128::from(text.parse::<i64>().ok()?)))
        }
        (oid::INT2 | oid::INT4 | oid::INT8, true) => {
            super::int8::from_binary(type_oid, bytes).map(|value| Comparable::Integer(i128::from(value)))
        }
        (oid::NUMERIC, false) => Numeric::from_text(bytes).map(Comparable::Numeric),
        (oid::NUMERIC, true) => Numeric::from_binary(bytes).map(Comparable::Numeric),
        (oid::FLOAT4 | oid::FLOAT8, false) => float(bytes).map(Comparable::Float),
        (oid::FLOAT4, true) => Some(Comparable::Float(f64::from(f32::from_be_bytes(bytes.try_into().ok()?)))),
        (oid::FLOAT8, true) => Some(Comparable::Float(f64::from_be_bytes(bytes.try_into().ok()?))),
        (oid::DATE, true) => {
            Some(Comparable::Integer(i128::from(i32::from_be_bytes(bytes.try_into().ok()?))))
        }
        (oid::TIMESTAMP | oid::TIMESTAMPTZ, true) => {
            Some(Comparable::Integer(i128::from(i64::from_be_bytes(bytes.try_into().ok()?))))
        }
        (oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ, false) => {
            moment(std::str::from_utf8(bytes).ok()?, type_oid).map(Comparable::Integer)
        }
        _ => None,
    }
}

/// `float8out` and `float4out`. With fewer than all digits (`extra_float_digits` below 1) different values
/// may print the same, and then either is the answer that one Postgres would print.
fn float(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ => std::str::from_utf8(text).ok()?.parse().ok(),
    }
}

const MICROSECONDS_PER_DAY: i128 = 86_400_000_000;

/// A date or timestamp in ISO style, in microseconds since 0000-03-01 UTC.
fn moment(text: &str, type_oid: u32) -> Option<i128> {
    match text {
        "infinity" => return Some(i128::MAX),
        "-infinity" => return Some(i128::MIN),
        _ => {}
    }
    let (text, is_before_christ) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (date, time) = match text.split_once(' ') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    if time.is_some() == (type_oid == oid::DATE) {
        return None;
    }
    let days = days(date, is_before_christ)?;
    let Some(time) = time else { return Some(days * MICROSECONDS_PER_DAY) };
    let (time, offset) = match time.find(['+', '-']) {
        Some(at) => (time.get(..at)?, Some(time.get(at..)?)),
        None => (time, None),
    };
    if offset.is_some() != (type_oid == oid::TIMESTAMPTZ) {
        return None;
    }
    let offset = offset.map_or(Some(0), zone_offset)?;
    Some(days * MICROSECONDS_PER_DAY + clock(time)? - offset)
}

fn days(date: &str, is_before_christ: bool) -> Option<i128> {
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() < 4 {
        return None;
    }
    let year = i128::from(number(year, year.len())?);
    let (month, day) = (i128::from(number(month, 2)?), i128::from(number(day, 2)?));
    let year = if is_before_christ { 1 - year } else { year };
    // Years that start in March put the leap day last; Euclidean division serves years before 0 too.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1)
}

/// `12:34:56[.789]` in microseconds.
fn clock(time: &str) -> Option<i128> {
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = whole.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || fraction.len() > 6 {
        return None;
    }
    let seconds = number(hour, 2)? * 3600 + number(minute, 2)? * 60 + number(second, 2)?;
    let scale = 10_u64.pow(u32::try_from(6 - fraction.len()).ok()?);
    let fraction = number(fraction, fraction.len())? * scale;
    Some(i128::from(seconds) * 1_000_000 + i128::from(fraction))
}

/// `+05`, `-03:30`, `+00:19:32` in microseconds.
fn zone_offset(offset: &str) -> Option<i128> {
    let (is_west, rest) = match offset.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, offset.strip_prefix('+')?),
    };
    let mut seconds = 0_u64;
    let mut unit = 3600;
    for part in rest.split(':') {
        seconds += number(part, 2)? * unit;
        unit = if unit == 3600 { 60 } else { 1 };
    }
    let microseconds = i128::from(seconds) * 1_000_000;
    Some(if is_west { -microseconds } else { microseconds })
}

/// Exactly `len` decimal digits.
fn number(text: &str, len: usize) -> Option<u64> {
    let is_digits = text.len() == len && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rises(type_oid: u32, values: &[&str]) {
        for (i, a) in values.iter().enumerate() {
            for (j, b) in values.iter().enumerate() {
                let [left, right] = [a, b].map(|v| read(type_oid, false, v.as_bytes()).expect(v));
                assert_eq!(left.compare(&right), Some(i.cmp(&j)), "{a} {b}");
            }
        }
    }

    #[test]
    fn texts_order_as_their_values() {
        rises(oid::INT8, &["-9223372036854775808", "-1", "0", "9", "10"]);
        rises(oid::FLOAT8, &["-Infinity", "-1e+20", "-1", "0", "1e-05", "2", "1e+20", "Infinity", "NaN"]);
        rises(
            oid::DATE,
            &[
                "-infinity",
                "4714-01-01 BC",
                "0044-03-15 BC",
                "0001-01-01",
                "1999-12-31",
                "2000-02-29",
                "2000-03-01",
                "10000-01-01",
                "infinity",
            ],
        );
        rises(
            oid::TIMESTAMP,
            &[
                "0044-03-15 12:00:00 BC",
                "2000-01-01 00:00:00",
                "2000-01-01 00:00:00.000001",
                "2000-01-01 00:00:01",
                "2000-01-02 00:00:00",
            ],
        );
        rises(
            oid::TIMESTAMPTZ,
            &[
                "2000-01-01 00:00:00+02",
                "2000-01-01 00:00:00+01:30",
                "2000-01-01 00:00:00+00",
                "1999-12-31 23:30:00-01",
            ],
        );
    }

    #[test]
    fn zeros_and_nans_are_equal_to_themselves() {
        let float = |text: &str| read(oid::FLOAT8, false, text.as_bytes()).unwrap();
        assert_eq!(float("-0").compare(&float("0")), Some(Ordering::Equal));
        assert_eq!(float("NaN").compare(&float("NaN")), Some(Ordering::Equal));
    }

    #[test]
    fn other_date_styles_are_not_read() {
        for (type_oid, text) in [
            (oid::DATE, "12/31/1999"),
            (oid::DATE, "31.12.1999"),
            (oid::DATE, "12-31-1999"),
            (oid::TIMESTAMPTZ, "Fri Dec 31 23:59:59 1999 UTC"),
            (oid::TIMESTAMPTZ, "1999-12-31 23:59:59"),
            (oid::TEXT, "a"),
        ] {
            assert!(read(type_oid, false, text.as_bytes()).is_none(), "{text}");
        }
    }
}
