//! Reading dates and times as Postgres reads them under every `DateStyle`: ISO style, year first.
//!
//! Of what `ParseDateTime` takes, only the forms whose meaning no setting changes are read.
//!
//! Source: PostgreSQL 15, `src/backend/utils/adt/datetime.c` (`DecodeDateTime`, `DecodeTimezone`),
//! `src/include/datatype/timestamp.h` (limits).

use super::read::Reading;
use crate::datum::calendar;

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
const MICROSECONDS_PER_DAY: i64 = 86_400 * MICROSECONDS_PER_SECOND;
/// Julian day 0, in days since 2000-01-01: the first date and timestamp.
const FIRST_DAY: i64 = -2_451_545;
/// 5874898-01-01, the first day that is no date.
const DATE_END: i64 = 2_145_031_949;
/// 294277-01-01 00:00, the first moment that is no timestamp.
const TIMESTAMP_END: i64 = 9_223_371_331_200_000_000;

/// Days since 2000-01-01; a time of day behind the date is checked and dropped, as Postgres does.
pub(super) fn date_from_text(text: &[u8]) -> Reading<i32> {
    if let Some(is_negative) = infinity(text) {
        return Reading::Value(if is_negative { i32::MIN } else { i32::MAX });
    }
    parts(text).and_then(|parts| match i32::try_from(parts.days) {
        Ok(days) if (FIRST_DAY..DATE_END).contains(&parts.days) => Reading::Value(days),
        _ => Reading::Unclear,
    })
}

/// Microseconds since 2000-01-01; an offset behind the time is dropped, as Postgres does.
pub(super) fn timestamp_from_text(text: &[u8]) -> Reading<i64> {
    if let Some(is_negative) = infinity(text) {
        return Reading::Value(if is_negative { i64::MIN } else { i64::MAX });
    }
    parts(text).and_then(|parts| moment(&parts, 0))
}

/// Microseconds since 2000-01-01 UTC; without an offset only where the session's time zone is UTC.
pub(super) fn timestamptz_from_text(text: &[u8], is_utc: bool) -> Reading<i64> {
    if let Some(is_negative) = infinity(text) {
        return Reading::Value(if is_negative { i64::MIN } else { i64::MAX });
    }
    parts(text).and_then(|parts| match parts.offset {
        Some(offset) => moment(&parts, offset),
        None if is_utc => moment(&parts, 0),
        None => Reading::Unclear,
    })
}

fn moment(parts: &Parts, offset: i64) -> Reading<i64> {
    let moment = i128::from(parts.days) * i128::from(MICROSECONDS_PER_DAY)
        + i128::from(parts.clock - offset * MICROSECONDS_PER_SECOND);
    match i64::try_from(moment) {
        Ok(moment) if (FIRST_DAY * MICROSECONDS_PER_DAY..TIMESTAMP_END).contains(&moment) => {
            Reading::Value(moment)
        }
        _ => Reading::Unclear,
    }
}

/// `infinity` is false, `-infinity` true.
fn infinity(text: &[u8]) -> Option<bool> {
    let text = super::read::trim(text);
    if text.eq_ignore_ascii_case(b"infinity") {
        return Some(false);
    }
    text.eq_ignore_ascii_case(b"-infinity").then_some(true)
}

/// A date with what stands behind it.
#[derive(Clone, Copy, Debug)]
struct Parts {
    /// Since 2000-01-01.
    days: i64,
    /// Microseconds since midnight.
    clock: i64,
    /// Seconds east of Greenwich.
    offset: Option<i64>,
}

fn parts(text: &[u8]) -> Reading<Parts> {
    let Ok(text) = std::str::from_utf8(super::read::trim(text)) else { return Reading::Unclear };
    let Some((date, clock, offset)) = split(text) else { return Reading::Unclear };
    // In this form each field is what it is, so a month or day that no year has is an error everywhere.
    let Some(days) = days(date) else { return Reading::Invalid };
    Reading::Value(Parts { days, clock, offset })
}

/// Year (0 is 1 BC), month, day.
type Date = (i64, i64, i64);

/// The date, the time in microseconds, the offset in seconds; `None` where the form is not known.
fn split(text: &str) -> Option<(Date, i64, Option<i64>)> {
    let mut scan = Scan(text);
    // There is no year 0.
    let year = scan.number(4..=7).filter(|year| *year > 0)?;
    scan.exactly("-")?;
    let month = scan.number(1..=2)?;
    scan.exactly("-")?;
    let day = scan.number(1..=2)?;
    let (mut clock, mut offset) = (0, None);
    let before = scan;
    let is_time = scan.spaces() || scan.exactly("T").is_some() || scan.exactly("t").is_some();
    if is_time && scan.0.starts_with(|c: char| c.is_ascii_digit()) {
        clock = scan.clock()?;
        offset = scan.offset()?;
    } else {
        scan = before;
    }
    let mut year = year;
    if !scan.0.is_empty() {
        if !scan.spaces() {
            return None;
        }
        match scan.0 {
            "BC" | "bc" => year = 1 - year,
            "AD" | "ad" => {}
            _ => return None,
        }
    }
    Some(((year, month, day), clock, offset))
}

/// A text read from its start.
#[derive(Clone, Copy)]
struct Scan<'a>(&'a str);

impl Scan<'_> {
    /// A number of so many decimal digits.
    fn number(&mut self, digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
        let len = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let value = self.0.get(..len).filter(|_| digits.contains(&len))?.parse().ok()?;
        self.0 = self.0.get(len..)?;
        Some(value)
    }

    fn exactly(&mut self, word: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }

    /// Skips spaces; whether there were any.
    fn spaces(&mut self) -> bool {
        let rest = self.0.trim_start_matches(' ');
        let found = rest.len() < self.0.len();
        self.0 = rest;
        found
    }

    /// `12:34[:56[.789]]` in microseconds since midnight. Leap seconds and 24:00 are left to the servers.
    fn clock(&mut self) -> Option<i64> {
        let hour = self.number(1..=2)?;
        self.exactly(":")?;
        let minute = self.number(2..=2)?;
        let (mut second, mut fraction) = (0, 0);
        if self.exactly(":").is_some() {
            second = self.number(2..=2)?;
            if self.exactly(".").is_some() {
                let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
                // More digits are rounded, through a float.
                let scale = 10_i64.pow(6_u32.checked_sub(u32::try_from(digits).ok()?)?);
                fraction = self.number(1..=6)? * scale;
            }
        }
        let is_valid = hour < 24 && minute < 60 && second < 60;
        is_valid.then_some((hour * 3600 + minute * 60 + second) * MICROSECONDS_PER_SECOND + fraction)
    }

    /// `Z`, `UTC`, `+05`, `-03:30`, `+0530` or nothing, in seconds; `None` for what is none.
    #[expect(clippy::option_option, reason = "no offset is not an offset that cannot be read")]
    fn offset(&mut self) -> Option<Option<i64>> {
        let before = *self;
        self.spaces();
        for name in ["Z", "z", "UTC", "utc"] {
            if self.exactly(name).is_some() {
                return Some(Some(0));
            }
        }
        let is_west = match self.0.as_bytes().first() {
            Some(b'-') => true,
            Some(b'+') => false,
            _ => {
                *self = before;
                return Some(None);
            }
        };
        self.0 = self.0.get(1..)?;
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (hours, mut minutes, mut seconds) = match digits {
            4 => {
                let number = self.number(4..=4)?;
                (number / 100, number % 100, 0)
            }
            _ => (self.number(1..=2)?, 0, 0),
        };
        if digits != 4 && self.exactly(":").is_some() {
            minutes = self.number(2..=2)?;
            if self.exactly(":").is_some() {
                seconds = self.number(2..=2)?;
            }
        }
        let is_valid = hours < 16 && minutes < 60 && seconds < 60;
        let offset = hours * 3600 + minutes * 60 + seconds;
        is_valid.then_some(Some(if is_west { -offset } else { offset }))
    }
}

/// Days since 2000-01-01; `None` where no year has such a month or day.
fn days((year, month, day): Date) -> Option<i64> {
    let last = calendar::month_days(year, month)?;
    (1..=last).contains(&day).then(|| calendar::days(year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_from_2000() {
        for (text, expected) in [
            ("2000-01-01", 0),
            ("2000-02-29", 59),
            ("1999-12-31", -1),
            ("2024-3-1", 8826),
            (" 2024-03-01\n", 8826),
            ("2024-03-01 12:00:00+02", 8826),
            ("0001-01-01", -730_119),
            ("0001-12-31 BC", -730_120),
            ("4714-11-24 BC", -2_451_545),
            ("5874897-12-31", 2_145_031_948),
            ("infinity", i32::MAX),
            ("-Infinity", i32::MIN),
        ] {
            assert_eq!(date_from_text(text.as_bytes()), Reading::Value(expected), "{text}");
        }
    }

    #[test]
    fn timestamps_keep_or_drop_their_offset_by_type() {
        let second = MICROSECONDS_PER_SECOND;
        for (text, local, utc) in [
            ("2000-01-01 00:00:01", second, None),
            ("2000-01-01T00:00:01Z", second, Some(second)),
            ("2000-01-01 00:00:01.000002+01", second + 2, Some(-3599 * second + 2)),
            ("2000-01-01 00:01:00.5 -0030", 60 * second + 500_000, Some(1860 * second + 500_000)),
            ("2000-01-01 00:00 +00:00:07", 0, Some(-7 * second)),
            ("2000-01-01", 0, None),
            ("0044-03-15 12:00:00+00 BC", -64_464_465_600 * second, Some(-64_464_465_600 * second)),
        ] {
            assert_eq!(timestamp_from_text(text.as_bytes()), Reading::Value(local), "{text}");
            let expected = utc.map_or(Reading::Unclear, Reading::Value);
            assert_eq!(timestamptz_from_text(text.as_bytes(), false), expected, "{text}");
            assert_eq!(timestamptz_from_text(text.as_bytes(), true), Reading::Value(utc.unwrap_or(local)));
        }
    }

    #[test]
    fn impossible_dates_are_invalid_and_other_forms_unclear() {
        for text in ["2023-02-29", "2023-13-01", "2023-00-01", "2023-01-00", "2023-04-31"] {
            assert_eq!(date_from_text(text.as_bytes()), Reading::Invalid, "{text}");
        }
        for text in [
            "",
            "now",
            "today",
            "epoch",
            "01/02/2023",
            "2023-01",
            "20230102",
            "23-01-02",
            "2023-Jan-02",
            "2023-01-02 24:00:00",
            "2023-01-02 12:00:60",
            "2023-01-02 12:00 PM",
            "2023-01-02 1:2:3.1234567",
            "2023-01-02 12:00 Europe/Berlin",
            "2023-01-02 12:00 CEST",
            "2023-01-02 12:00+99",
            "0000-01-01",
            "2023-01-02x",
            "4714-11-23 BC",
            "5874898-01-01",
            "2023-01-02 BC AD",
            "J2451545",
        ] {
            assert_eq!(date_from_text(text.as_bytes()), Reading::Unclear, "{text}");
            assert_eq!(timestamp_from_text(text.as_bytes()), Reading::Unclear, "{text}");
        }
        assert_eq!(timestamp_from_text(b"294277-01-01"), Reading::Unclear);
    }
}
