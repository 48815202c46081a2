//! Durations and sizes as they are written: `"250ms"`, `"10s"`, `"5min"`; `"64MB"`.

use std::time::Duration;

/// What a duration may look like.
pub const DURATION_ALLOWED: &str =
    "a whole number of seconds, or text such as \"250ms\", \"10s\", \"5min\", \"1h\", \"1d\"";

/// What a size may look like.
pub const SIZE_ALLOWED: &str = "a whole number of bytes, or text such as \"512kB\", \"64MB\", \"1GB\"";

/// Longest duration: 100 years, far from any overflow of the clock.
const DURATION_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reads a duration with its unit; the units are those of Postgres's settings.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let duration = match unit {
        "ms" => Duration::from_millis(number),
        "s" | "" => Duration::from_secs(number),
        "min" => Duration::from_secs(number.checked_mul(60)?),
        "h" => Duration::from_secs(number.checked_mul(3600)?),
        "d" => Duration::from_secs(number.checked_mul(86_400)?),
        _ => return None,
    };
    (duration <= DURATION_MAX).then_some(duration)
}

/// Reads a size in bytes with its unit; units are powers of 1024, as in Postgres's settings.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let shift = match unit {
        "B" | "" => 0,
        "kB" | "KB" => 10,
        "MB" => 20,
        "GB" => 30,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text.get(..digits)?.parse().ok()?;
    Some((number, text.get(digits..)?.trim_start()))
}

/// Writes a duration in the largest unit that holds it exactly; [`parse_duration`] reads it back.
pub fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)] {
        if ms >= length && ms.is_multiple_of(length) {
            return format!("{}{unit}", ms / length);
        }
    }
    if ms == 0 { "0s".to_owned() } else { format!("{ms}ms") }
}

/// Writes a size in the largest unit that holds it exactly; [`parse_size`] reads it back.
pub fn show_size(bytes: u64) -> String {
    for (unit, length) in [("GB", 1u64 << 30), ("MB", 1 << 20), ("kB", 1 << 10)] {
        if bytes >= length && bytes.is_multiple_of(length) {
            return format!("{}{unit}", bytes / length);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::{parse_duration, parse_size, show_duration, show_size};
    use std::time::Duration;

    #[test]
    fn durations_are_read_with_their_units_and_shown_so_that_they_read_back() {
        for (text, ms) in [
            ("250ms", 250),
            ("10s", 10_000),
            ("5min", 300_000),
            ("5 min", 300_000),
            ("1h", 3_600_000),
            ("2d", 172_800_000),
            ("0s", 0),
            ("7", 7000),
        ] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(text), Some(duration), "{text}");
            assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }
        for bad in [
            "",
            "s",
            "5m",
            "-1s",
            "1.5s",
            "10 parsecs",
            "99999999999999999999s",
            "40000d",
            "18446744073709551615h",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_units_and_shown_so_that_they_read_back() {
        for (text, bytes) in
            [("1B", 1), ("64MB", 64 << 20), ("512 kB", 512 << 10), ("1GB", 1 << 30), ("10", 10)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
            assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
        }
        for bad in ["", "MB", "1TB ", "1mb", "18446744073709551615GB", "-5"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }
}
