//! Dates, times and intervals as servers write them, in ISO style and in binary.
//!
//! Source: PostgreSQL 15, `EncodeDateTime`, `EncodeTimezone` in `src/backend/utils/adt/datetime.c`;
//! `timetz_cmp_internal`, `interval_cmp_value`.

use super::put;
use crate::datum::calendar;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Days since 2000-01-01.
pub(super) fn date(text: &[u8]) -> Option<i32> {
    match text {
        b"infinity" => return Some(i32::MAX),
        b"-infinity" => return Some(i32::MIN),
        _ => {}
    }
    let (text, is_before_christ) = era(text);
    let mut rest = Rest(text);
    let days = rest.date(is_before_christ)?;
    rest.0.is_empty().then_some(())?;
    i32::try_from(days).ok()
}

/// Microseconds since 2000-01-01.
pub(super) fn timestamp(text: &[u8]) -> Option<i64> {
    moment(text, |rest| rest.0.is_empty().then_some(0))
}

/// Microseconds since 2000-01-01 UTC.
pub(super) fn timestamptz(text: &[u8]) -> Option<i64> {
    moment(text, |rest| rest.zone())
}

fn moment(text: &[u8], zone: impl Fn(&mut Rest<'_>) -> Option<i32>) -> Option<i64> {
    match text {
        b"infinity" => return Some(i64::MAX),
        b"-infinity" => return Some(i64::MIN),
        _ => {}
    }
    let (text, is_before_christ) = era(text);
    let mut rest = Rest(text);
    let days = rest.date(is_before_christ)?;
    rest.byte(b' ')?;
    let clock = rest.clock()?;
    let zone = zone(&mut rest)?;
    rest.0.is_empty().then_some(())?;
    // The local time may lie a day outside the range that the moment lies in.
    let moment =
        i128::from(days) * i128::from(DAY) + i128::from(clock) + i128::from(zone) * i128::from(SECOND);
    i64::try_from(moment).ok()
}

/// Microseconds since midnight.
pub(super) fn time(text: &[u8]) -> Option<i64> {
    let mut rest = Rest(text);
    let clock = rest.clock()?;
    rest.0.is_empty().then_some(clock)
}

/// Microseconds since midnight, and the zone in seconds west of UTC.
pub(super) fn timetz(text: &[u8]) -> Option<(i64, i32)> {
    let mut rest = Rest(text);
    let clock = rest.clock()?;
    let zone = rest.zone()?;
    rest.0.is_empty().then_some((clock, zone))
}

/// As [`timetz`], of `timetz_send`.
pub(super) fn timetz_binary(bytes: &[u8]) -> Option<(i64, i32)> {
    let (time, zone) = bytes.split_first_chunk::<8>()?;
    Some((i64::from_be_bytes(*time), i32::from_be_bytes(zone.try_into().ok()?)))
}

/// `interval_send`: intervals compare by their length, with 30 days to a month and 24 hours to a day.
pub(super) fn interval(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (time, rest) = bytes.split_first_chunk::<8>()?;
    let (days, months) = rest.split_first_chunk::<4>()?;
    let time = i64::from_be_bytes(*time);
    let days = i64::from(i32::from_be_bytes(*days));
    let months = i64::from(i32::from_be_bytes(months.try_into().ok()?));
    // Two's complement of the whole, so that the upper half is signed and the lower is not.
    let value = i128::from(time) + i128::from(months * 30 + days) * i128::from(DAY);
    put(out, (value >> 64) as i64);
    out.extend_from_slice(&(value as u64).to_be_bytes());
    Some(())
}

fn era(text: &[u8]) -> (&[u8], bool) {
    match text.strip_suffix(b" BC") {
        Some(text) => (text, true),
        None => (text, false),
    }
}

/// What of a text is left to read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn byte(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn two(&mut self) -> Option<i64> {
        let (&[a, b], rest) = self.0.split_first_chunk::<2>()?;
        let (a, b) = (a.wrapping_sub(b'0'), b.wrapping_sub(b'0'));
        self.0 = rest;
        (a < 10 && b < 10).then(|| i64::from(a * 10 + b))
    }

    /// Decimal digits up to something else.
    fn number(&mut self) -> Option<(i64, usize)> {
        let len = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        let value = digits.iter().fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'));
        (1..=9).contains(&len).then_some((value, len))
    }

    /// `2000-01-31`, in days since 2000-01-01.
    fn date(&mut self, is_before_christ: bool) -> Option<i64> {
        let (year, len) = self.number()?;
        self.byte(b'-')?;
        let month = self.two()?;
        self.byte(b'-')?;
        let day = self.two()?;
        if len < 4 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        Some(calendar::days(if is_before_christ { 1 - year } else { year }, month, day))
    }

    /// `12:34:56[.789]`, in microseconds.
    fn clock(&mut self) -> Option<i64> {
        let hour = self.two()?;
        self.byte(b':')?;
        let minute = self.two()?;
        self.byte(b':')?;
        let mut clock = (hour * 3600 + minute * 60 + self.two()?) * SECOND;
        if self.byte(b'.').is_some() {
            let (fraction, len) = self.number()?;
            let missing = u32::try_from(6_usize.checked_sub(len)?).ok()?;
            clock += fraction * 10_i64.pow(missing);
        }
        Some(clock)
    }

    /// `+05`, `-03:30`, `+00:19:32`: seconds west of UTC.
    fn zone(&mut self) -> Option<i32> {
        let (sign, rest) = self.0.split_first()?;
        self.0 = rest;
        let mut seconds = self.two()? * 3600;
        if self.byte(b':').is_some() {
            seconds += self.two()? * 60;
            if self.byte(b':').is_some() {
                seconds += self.two()?;
            }
        }
        let seconds = i32::try_from(seconds).ok()?;
        match sign {
            b'+' => Some(-seconds),
            b'-' => Some(seconds),
            _ => None,
        }
    }
}
