//! Reading an integer key as Postgres's `int8in` and `int8recv` (and int4's and int2's) do.

use super::oid;

/// What a text is as a bigint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Int8Text {
    /// A bigint.
    Value(i64),
    /// Digits whose value is beyond a bigint.
    OutOfRange,
    /// Every supported server says `22P02`.
    Invalid,
    /// Servers differ on it: PostgreSQL 16 and later read `0x1F` and `1_000`, and what counts as a space
    /// beyond ASCII is the locale's.
    Unclear,
}

/// Reads text as `int8in` does: ASCII white space around, one sign, decimal digits.
///
/// Source: PostgreSQL 15, `pg_strtoint64` in `src/backend/utils/adt/numutils.c`.
pub fn from_text(text: &[u8]) -> Int8Text {
    let trimmed = trim(text);
    let (is_negative, digits) = match trimmed {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let is_based = matches!(digits, [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', ..]);
    if is_based || text.iter().any(|byte| *byte >= 0x80 || *byte == b'_') {
        return Int8Text::Unclear;
    }
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Int8Text::Invalid;
    }
    let mut value = 0_i64;
    for digit in digits {
        let digit = i64::from(digit - b'0');
        let next = value
            .checked_mul(10)
            .and_then(|v| if is_negative { v.checked_sub(digit) } else { v.checked_add(digit) });
        match next {
            Some(next) => value = next,
            None => return Int8Text::OutOfRange,
        }
    }
    Int8Text::Value(value)
}

/// Reads a binary value of the integer type `type_oid`; `None` where type and length do not agree.
///
/// With `type_oid` 0 the length alone tells: the server gave the parameter an integer type.
pub fn from_binary(type_oid: u32, bytes: &[u8]) -> Option<i64> {
    match (type_oid, bytes) {
        (0 | oid::INT2, &[a, b]) => Some(i64::from(i16::from_be_bytes([a, b]))),
        (0 | oid::INT4, &[a, b, c, d]) => Some(i64::from(i32::from_be_bytes([a, b, c, d]))),
        (0 | oid::INT8, &[a, b, c, d, e, f, g, h]) => Some(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
        _ => None,
    }
}

/// Reads what `int8out`, `int4out`, `int2out` or `oidout` write, and nothing else.
#[inline]
pub fn from_output(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut value = 0_u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    // 19 digits are below 2^64, so that nothing wrapped.
    if is_negative {
        (value <= 1 << 63).then(|| (value as i64).wrapping_neg())
    } else {
        i64::try_from(value).ok()
    }
}

fn trim(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let Some(start) = text.iter().position(|b| !is_space(b)) else { return &[] };
    let end = text.iter().rposition(|b| !is_space(b)).map_or(0, |last| last + 1);
    text.get(start..end).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_postgres_reads_it() {
        for (text, value) in [
            ("0", Int8Text::Value(0)),
            ("-0", Int8Text::Value(0)),
            (" \t\n\x0b\x0c\r42 \r\n", Int8Text::Value(42)),
            ("+7", Int8Text::Value(7)),
            ("007", Int8Text::Value(7)),
            ("9223372036854775807", Int8Text::Value(i64::MAX)),
            ("-9223372036854775808", Int8Text::Value(i64::MIN)),
            ("9223372036854775808", Int8Text::OutOfRange),
            ("-9223372036854775809", Int8Text::OutOfRange),
            ("", Int8Text::Invalid),
            (" ", Int8Text::Invalid),
            ("-", Int8Text::Invalid),
            ("- 1", Int8Text::Invalid),
            ("--1", Int8Text::Invalid),
            ("1.0", Int8Text::Invalid),
            ("1 2", Int8Text::Invalid),
            ("1e3", Int8Text::Invalid),
            ("0x10", Int8Text::Unclear),
            ("1_000", Int8Text::Unclear),
            ("\u{a0}1", Int8Text::Unclear),
        ] {
            assert_eq!(from_text(text.as_bytes()), value, "{text:?}");
        }
    }

    #[test]
    fn binary_needs_the_type_and_length_to_agree() {
        assert_eq!(from_binary(oid::INT2, &(-5_i16).to_be_bytes()), Some(-5));
        assert_eq!(from_binary(oid::INT4, &(-5_i32).to_be_bytes()), Some(-5));
        assert_eq!(from_binary(oid::INT8, &(-5_i64).to_be_bytes()), Some(-5));
        assert_eq!(from_binary(0, &(-5_i32).to_be_bytes()), Some(-5));
        assert_eq!(from_binary(oid::INT8, &(-5_i32).to_be_bytes()), None);
        assert_eq!(from_binary(oid::NUMERIC, &[0; 8]), None);
        assert_eq!(from_binary(0, &[0; 3]), None);
    }
}
