//! double precision as Postgres writes it.
//!
//! Source: PostgreSQL 15, `float8out_internal` in `src/backend/utils/adt/float.c`, and `to_chars` in
//! `src/common/d2s.c`.

/// Significant digits that every double keeps (`DBL_DIG`).
const DIGITS: i32 = 15;
/// Significant digits that tell every double from its neighbours.
const DIGITS_MAX: usize = 17;

/// Appends `float8out` under the session's `extra_float_digits`.
pub fn write_text(value: f64, extra_float_digits: i32, out: &mut Vec<u8>) {
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if value.is_infinite() {
        return out.extend_from_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
    }
    // From 1 on: the shortest digits that only this value has.
    let (printed, fixed_end) = if extra_float_digits > 0 {
        (shortest(value), DIGITS)
    } else {
        let digits = (DIGITS + extra_float_digits).max(1);
        let behind = usize::try_from(digits - 1).unwrap_or(0);
        (format!("{value:.behind$e}"), digits)
    };
    let (mantissa, exponent) = printed.split_once('e').unwrap_or((&printed, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let len = digits.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
    let digits = digits.get(..len).unwrap_or_default();
    out.extend_from_slice(sign.as_bytes());
    if (-4..fixed_end).contains(&exponent) {
        write_fixed(digits, exponent, out);
    } else {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, &[]));
        out.extend_from_slice(first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        out.extend_from_slice(format!("e{sign}{:02}", exponent.abs()).as_bytes());
    }
}

/// The shortest digits between those of the neighbours, the middles not counted (which Rust counts).
fn shortest(value: f64) -> String {
    let printed = format!("{value:e}");
    let behind = printed.split_once('e').and_then(|(mantissa, _)| mantissa.split_once('.'));
    let behind = behind.map_or(0, |(_, fraction)| fraction.len());
    let rounded = (behind..DIGITS_MAX).map(|behind| format!("{value:.behind$e}"));
    { rounded }.find(|text| is_inside(text, value)).unwrap_or(printed)
}

/// Whether a number a little less, and one a little greater, is nearest to `value` too.
fn is_inside(text: &str, value: f64) -> bool {
    let Some((mantissa, exponent)) = text.split_once('e') else { return false };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let (Ok(number), Ok(exponent)) = (digits.parse::<u64>(), exponent.parse::<i64>()) else { return false };
    let place = exponent + 1 - i64::try_from(digits.len()).unwrap_or(0) - 9;
    let around =
        [format!("{number}000000001e{place}"), format!("{}999999999e{place}", number.saturating_sub(1))];
    number == 0 || around.iter().all(|text| text.parse() == Ok(value.abs()))
}

/// Digits whose first is worth 10^`exponent`, without an exponent.
fn write_fixed(digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    let whole = usize::try_from(exponent + 1).unwrap_or(0);
    if whole == 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + usize::try_from(-1 - exponent).unwrap_or(0), b'0');
        return out.extend_from_slice(digits);
    }
    match digits.split_at_checked(whole) {
        Some((before, behind)) => {
            out.extend_from_slice(before);
            if !behind.is_empty() {
                out.push(b'.');
                out.extend_from_slice(behind);
            }
        }
        None => {
            out.extend_from_slice(digits);
            out.resize(out.len() + whole - digits.len(), b'0');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: f64, extra_float_digits: i32) -> String {
        let mut out = Vec::new();
        write_text(value, extra_float_digits, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn texts_are_postgres_own() {
        for (value, shown) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (100.0, "100"),
            (1e14, "100000000000000"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e15, "1e+15"),
            (1_234_567_890_123_456.0, "1.234567890123456e+15"),
            (0.0001, "0.0001"),
            (0.000_123, "0.000123"),
            (0.000_01, "1e-05"),
            (2_093_436_276_881_677.0 / 8.0, "261679534610209.62"),
            (2_093_436_276_881_675.0 / 8.0, "261679534610209.38"),
            (1e100, "1e+100"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(text(value, 1), shown);
        }
        for (value, digits, shown) in [
            (0.1 + 0.2, 0, "0.3"),
            (1.0 / 3.0, 0, "0.333333333333333"),
            (1.0 / 3.0, -10, "0.33333"),
            (123_456.0, -12, "1.23e+05"),
            (1e15, 0, "1e+15"),
            (1e14, 0, "100000000000000"),
            (999_999.9, -10, "1e+06"),
        ] {
            assert_eq!(text(value, digits), shown);
        }
    }
}
