//! Keys in words, for findings and messages: as Postgres shows them in ISO style, times in UTC.

use super::{Finite, KeyValue, NumericKey};
use crate::datum::calendar;
use std::fmt;

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

impl fmt::Display for KeyValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyValue::Int8(value) => write!(f, "{value}"),
            KeyValue::Numeric(value) => write!(f, "{value}"),
            KeyValue::Text(value) => write!(f, "'{}'", String::from_utf8_lossy(value).replace('\'', "''")),
            KeyValue::Uuid(value) => uuid(value, f),
            KeyValue::Date(i32::MIN) | KeyValue::Timestamp(i64::MIN) | KeyValue::Timestamptz(i64::MIN) => {
                f.write_str("-infinity")
            }
            KeyValue::Date(i32::MAX) | KeyValue::Timestamp(i64::MAX) | KeyValue::Timestamptz(i64::MAX) => {
                f.write_str("infinity")
            }
            KeyValue::Date(day) => moment(i64::from(*day), None, "", f),
            KeyValue::Timestamp(value) => split(*value, "", f),
            KeyValue::Timestamptz(value) => split(*value, "+00", f),
        }
    }
}

fn split(microseconds: i64, zone: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let clock = microseconds.rem_euclid(MICROSECONDS_PER_DAY);
    moment(microseconds.div_euclid(MICROSECONDS_PER_DAY), Some(clock), zone, f)
}

/// A day since 2000-01-01, and the microseconds since its midnight.
fn moment(day: i64, clock: Option<i64>, zone: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (months, day_of_month) = calendar::months_and_day(day);
    let (year, month) = (2000 + months.div_euclid(12), months.rem_euclid(12) + 1);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    write!(f, "{year:04}-{month:02}-{day_of_month:02}")?;
    if let Some(clock) = clock {
        let (seconds, fraction) = (clock / 1_000_000, clock % 1_000_000);
        write!(f, " {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        if fraction > 0 {
            let digits = format!("{fraction:06}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
    }
    write!(f, "{zone}{era}")
}

fn uuid(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (number, byte) in bytes.iter().enumerate() {
        if matches!(number, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

impl fmt::Display for NumericKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NumericKey::NegativeInfinity => f.write_str("-Infinity"),
            NumericKey::Infinity => f.write_str("Infinity"),
            NumericKey::NaN => f.write_str("NaN"),
            NumericKey::Finite(value) => finite(value, f),
        }
    }
}

fn finite(value: &Finite, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let group = |weight: i32| {
        let at = usize::try_from(value.weight - weight).ok();
        at.and_then(|at| value.digits.get(at)).copied().unwrap_or(0)
    };
    if value.is_negative {
        f.write_str("-")?;
    }
    let top = value.weight.max(0);
    write!(f, "{}", group(top))?;
    for weight in (0..top).rev() {
        write!(f, "{:04}", group(weight))?;
    }
    let last = value.weight + 1 - i32::try_from(value.digits.len()).unwrap_or(i32::MAX);
    if last < 0 {
        let fraction: String = (last..0).rev().map(|weight| format!("{:04}", group(weight))).collect();
        write!(f, ".{}", fraction.trim_end_matches('0'))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::datum::key::{KeyRead, KeyType, ReadContext, read};

    #[test]
    fn keys_are_shown_as_they_are_read() {
        for (key_type, text) in [
            (KeyType::Int8, "-7"),
            (KeyType::Numeric, "0"),
            (KeyType::Numeric, "-12345678.0009"),
            (KeyType::Numeric, "100000000"),
            (KeyType::Numeric, "0.00000012"),
            (KeyType::Numeric, "NaN"),
            (KeyType::Uuid, "00112233-4455-6677-8899-aabbccddeeff"),
            (KeyType::Date, "2024-02-29"),
            (KeyType::Date, "0044-03-15 BC"),
            (KeyType::Date, "-infinity"),
            (KeyType::Timestamp, "1999-12-31 23:59:59.5"),
            (KeyType::Timestamptz, "2024-02-29 00:00:00+00"),
            (KeyType::Timestamptz, "infinity"),
        ] {
            let KeyRead::Value(value) = read(key_type, 0, 0, text.as_bytes(), &ReadContext::default()) else {
                panic!("{text}");
            };
            assert_eq!(value.to_string(), text);
        }
        let KeyRead::Value(value) = read(KeyType::Text, 0, 0, b"it's", &ReadContext::default()) else {
            panic!()
        };
        assert_eq!(value.to_string(), "'it''s'");
    }
}
