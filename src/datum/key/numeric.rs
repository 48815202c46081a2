//! A numeric as a key: what is equal is one value, whatever zeros it was written with.
//!
//! Source: PostgreSQL, `src/backend/utils/adt/numeric.c` (`numeric_in`, `numeric_recv`,
//! `hash_numeric_extended`, `cmp_numerics`).

use super::read::Reading;
use crate::datum::hash::hash_bytes;
use smallvec::SmallVec;
use std::cmp::Ordering;

/// Longest text that is read, and largest exponent either way: far inside what every server takes.
const TEXT_BYTES_MAX: usize = 1000;
const EXPONENT_MAX: i32 = 1000;

/// Digits in base 10,000, most significant first.
type Digits = SmallVec<[u16; 8]>;

/// A numeric without its display scale.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NumericKey {
    /// `-Infinity`
    NegativeInfinity,
    /// A number.
    Finite(Finite),
    /// `Infinity`
    Infinity,
    /// `NaN`: greater than everything, equal to itself.
    NaN,
}

/// A finite number: no leading and no trailing zero digits, and no negative zero, so that equal numbers are
/// equal values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finite {
    pub(super) is_negative: bool,
    /// The first digit is worth 10000^weight.
    pub(super) weight: i32,
    pub(super) digits: Digits,
}

const BINARY_NEGATIVE: u16 = 0x4000;
const BINARY_NAN: u16 = 0xC000;
const BINARY_INFINITY: u16 = 0xD000;
const BINARY_NEGATIVE_INFINITY: u16 = 0xF000;

impl NumericKey {
    /// An integer.
    pub fn from_i64(value: i64) -> NumericKey {
        let mut rest = value.unsigned_abs();
        let mut digits = Digits::new();
        while rest > 0 {
            digits.push((rest % 10_000) as u16);
            rest /= 10_000;
        }
        digits.reverse();
        NumericKey::Finite(
            Finite { is_negative: value < 0, weight: digits.len() as i32 - 1, digits }.normal(),
        )
    }

    /// Reads text as `numeric_in` does.
    pub(super) fn from_text(text: &[u8]) -> Reading<NumericKey> {
        if text.len() > TEXT_BYTES_MAX || !text.is_ascii() {
            return Reading::Unclear;
        }
        let text = super::read::trim(text);
        let is = |word: &str| text.eq_ignore_ascii_case(word.as_bytes());
        if is("nan") {
            return Reading::Value(NumericKey::NaN);
        }
        if ["inf", "+inf", "infinity", "+infinity"].into_iter().any(is) {
            return Reading::Value(NumericKey::Infinity);
        }
        if ["-inf", "-infinity"].into_iter().any(is) {
            return Reading::Value(NumericKey::NegativeInfinity);
        }
        Decimal::split(text).and_then(|decimal| decimal.value()).map(NumericKey::Finite)
    }

    /// Reads the binary format as `numeric_recv` does.
    pub(super) fn from_binary(bytes: &[u8]) -> Reading<NumericKey> {
        let (words, rest) = bytes.as_chunks::<2>();
        let mut words = words.iter().map(|word| u16::from_be_bytes(*word));
        let (Some(count), Some(weight), Some(sign), Some(scale)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Reading::Invalid;
        };
        let digits: Digits = words.collect();
        if !rest.is_empty() || digits.len() != usize::from(count) {
            return Reading::Invalid;
        }
        let is_negative = match sign {
            BINARY_NAN if digits.is_empty() => return Reading::Value(NumericKey::NaN),
            BINARY_INFINITY if digits.is_empty() => return Reading::Value(NumericKey::Infinity),
            BINARY_NEGATIVE_INFINITY if digits.is_empty() => {
                return Reading::Value(NumericKey::NegativeInfinity);
            }
            0 => false,
            BINARY_NEGATIVE => true,
            _ => return Reading::Unclear,
        };
        if scale > 0x3FFF || digits.iter().any(|digit| *digit > 9999) {
            return Reading::Unclear;
        }
        let value = Finite { is_negative, weight: i32::from(weight as i16), digits }.normal();
        // The server cuts off what lies behind the display scale.
        match value.decimals() > i32::from(scale) {
            true => Reading::Unclear,
            false => Reading::Value(NumericKey::Finite(value)),
        }
    }

    /// Postgres's order.
    pub fn compare(&self, other: &NumericKey) -> Ordering {
        let rank = |value: &NumericKey| match value {
            NumericKey::NegativeInfinity => 0,
            NumericKey::Finite(_) => 1,
            NumericKey::Infinity => 2,
            NumericKey::NaN => 3,
        };
        match (self, other) {
            (NumericKey::Finite(a), NumericKey::Finite(b)) => a.compare(b),
            _ => rank(self).cmp(&rank(other)),
        }
    }

    /// `hash_numeric_extended`: sign and special values do not count.
    pub fn seeded_hash(&self, seed: u64) -> u64 {
        match self {
            NumericKey::Finite(value) if value.digits.is_empty() => seed.wrapping_sub(1),
            NumericKey::Finite(value) => {
                // As they lie in memory on every common machine: little-endian.
                let bytes: SmallVec<[u8; 16]> =
                    value.digits.iter().flat_map(|digit| digit.to_le_bytes()).collect();
                hash_bytes(&bytes, seed) ^ i64::from(value.weight) as u64
            }
            NumericKey::NegativeInfinity | NumericKey::Infinity | NumericKey::NaN => seed,
        }
    }
}

impl Finite {
    fn normal(mut self) -> Finite {
        let leading = self.digits.iter().take_while(|digit| **digit == 0).count();
        self.digits.drain(..leading);
        self.weight -= leading as i32;
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            return Finite { is_negative: false, weight: 0, digits: self.digits };
        }
        self
    }

    /// How many decimals it has that are not trailing zeros; negative where it is a multiple of a power of ten.
    fn decimals(&self) -> i32 {
        let Some(last) = self.digits.last() else { return 0 };
        let zeros = (1..4).take_while(|zeros| last % 10_u16.pow(*zeros) == 0).count() as i32;
        4 * (self.digits.len() as i32 - 1 - self.weight) - zeros
    }

    /// How many decimal digits stand before the point.
    fn whole_digits(&self) -> i32 {
        let Some(first) = self.digits.first() else { return 0 };
        4 * self.weight + 1 + first.checked_ilog10().unwrap_or(0) as i32
    }

    fn compare(&self, other: &Finite) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.compare_magnitude(other),
            (true, true) => other.compare_magnitude(self),
        }
    }

    fn compare_magnitude(&self, other: &Finite) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.weight.cmp(&other.weight).then_with(|| self.digits.cmp(&other.digits)),
        }
    }

    /// Whether a `numeric(precision, scale)` stores it as it is.
    fn fits(&self, precision: i32, scale: i32) -> bool {
        self.decimals() <= scale && self.whole_digits() <= precision - scale
    }
}

impl NumericKey {
    /// Whether a column of this type modifier stores it as it is, without rounding or an error.
    pub(super) fn fits(&self, typmod: i32) -> bool {
        // Source: numeric.c, `numeric_typmod_precision` and `numeric_typmod_scale` of PostgreSQL 15: the
        // scale is an 11-bit number with a sign.
        let bits = typmod.wrapping_sub(4);
        let (precision, scale) = ((bits >> 16) & 0xffff, ((bits & 0x7ff) ^ 1024) - 1024);
        match self {
            NumericKey::Finite(value) => value.fits(precision, scale),
            NumericKey::NaN => true,
            NumericKey::Infinity | NumericKey::NegativeInfinity => false,
        }
    }
}

/// A number's text in its parts.
struct Decimal<'a> {
    is_negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i32,
}

impl<'a> Decimal<'a> {
    fn split(text: &'a [u8]) -> Reading<Decimal<'a>> {
        // PostgreSQL 16 reads `0x1F` and `1_000`.
        let is_based = |digits: &[u8]| matches!(digits, [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', ..]);
        let (is_negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if is_based(rest) || text.contains(&b'_') {
            return Reading::Unclear;
        }
        let (mantissa, exponent) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => {
                let Some(exponent) = rest.get(at + 1..).and_then(exponent) else { return Reading::Unclear };
                (rest.get(..at).unwrap_or_default(), exponent)
            }
            None => (rest, 0),
        };
        let point = mantissa.iter().position(|byte| *byte == b'.');
        let whole = mantissa.get(..point.unwrap_or(mantissa.len())).unwrap_or_default();
        let fraction = point.and_then(|at| mantissa.get(at + 1..)).unwrap_or_default();
        let has_digits = !(whole.is_empty() && fraction.is_empty());
        if !has_digits || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
            return Reading::Invalid;
        }
        Reading::Value(Decimal { is_negative, whole, fraction, exponent })
    }

    fn value(&self) -> Reading<Finite> {
        // The decimal place of the first digit, counted from the point.
        let top = self.whole.len() as i32 + self.exponent - 1;
        let weight = top.div_euclid(4);
        let mut digits = Digits::new();
        // Of the first base-10,000 digit, the places above the first decimal digit are zeros.
        let mut place = 3 - top.rem_euclid(4);
        let mut group = 0_u16;
        for byte in self.whole.iter().chain(self.fraction) {
            group = group * 10 + u16::from(byte - b'0');
            place += 1;
            if place == 4 {
                digits.push(group);
                (group, place) = (0, 0);
            }
        }
        if place > 0 {
            digits.push((place..4).fold(group, |group, _| group * 10));
        }
        Reading::Value(Finite { is_negative: self.is_negative, weight, digits }.normal())
    }
}

/// A plain exponent that is not too large.
fn exponent(text: &[u8]) -> Option<i32> {
    let digits = text.strip_prefix(b"+").or_else(|| text.strip_prefix(b"-")).unwrap_or(text);
    if digits.is_empty() || digits.len() > 6 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value: i32 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (value.abs() <= EXPONENT_MAX).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> NumericKey {
        match NumericKey::from_text(text.as_bytes()) {
            Reading::Value(value) => value,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn spellings_of_one_number_are_one_value() {
        for (a, b) in [
            ("1", "1.000"),
            ("-0", "0.00"),
            ("0e5", "0"),
            ("00012.5", "1.25e1"),
            ("12345678.9", "+12345678.90000"),
            ("1e4", "10000"),
            ("1e-4", ".0001"),
            ("123e-6", "0.000123"),
            ("9e1000", "90e999"),
            (" 7. ", "7"),
            ("inf", "+Infinity"),
        ] {
            assert_eq!(read(a), read(b), "{a} {b}");
        }
        for value in [0, 1, -1, 9999, 10_000, 100_000_000, i64::MAX, i64::MIN] {
            assert_eq!(NumericKey::from_i64(value), read(&value.to_string()));
        }
    }

    #[test]
    fn order_is_postgres_own() {
        let rising = [
            "-inf",
            "-1e20",
            "-10000",
            "-9999.9999",
            "-1",
            "-0.0001",
            "0",
            "1e-10",
            "0.0001",
            "0.01",
            "1",
            "1.0001",
            "9999",
            "10000",
            "10000.5",
            "1e20",
            "inf",
            "nan",
        ];
        for (i, a) in rising.iter().enumerate() {
            for (j, b) in rising.iter().enumerate() {
                assert_eq!(read(a).compare(&read(b)), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn what_servers_refuse_or_differ_on_is_told_apart() {
        for text in ["", " ", ".", "-", "1.2.3", "1 2", "--1", "+nan", "1,5", "infinit"] {
            assert_eq!(NumericKey::from_text(text.as_bytes()), Reading::Invalid, "{text:?}");
        }
        for text in ["0x10", "1_000", "1e 5", "1e", "1e99999999", "1e2000", "\u{a0}1"] {
            assert_eq!(NumericKey::from_text(text.as_bytes()), Reading::Unclear, "{text:?}");
        }
        assert_eq!(NumericKey::from_text(&[b'1'; 1001]), Reading::Unclear);
    }

    #[test]
    fn binary_digits_behind_the_scale_are_unclear() {
        let binary =
            |words: &[u16]| -> Vec<u8> { words.iter().flat_map(|word| word.to_be_bytes()).collect() };
        // 1.5 as numeric_send gives it, with more scale, and with less than it has.
        for (words, expected) in [
            (vec![2, 0, 0, 1, 1, 5000], Reading::Value(read("1.5"))),
            (vec![3, 1, 0, 9, 0, 1, 5000], Reading::Value(read("1.5"))),
            (vec![2, 0, 0, 0, 1, 5000], Reading::Unclear),
            (vec![0, 0, BINARY_NAN, 0], Reading::Value(NumericKey::NaN)),
            (vec![1, 0, 0, 0], Reading::Invalid),
            (vec![1, 0, 0, 0, 10_000], Reading::Unclear),
            (vec![0, 0, 1, 0], Reading::Unclear),
            (vec![0, 0, 0], Reading::Invalid),
        ] {
            assert_eq!(NumericKey::from_binary(&binary(&words)), expected, "{words:?}");
        }
    }

    #[test]
    fn what_a_type_modifier_changes_does_not_fit() {
        let typmod = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + 4;
        for (text, precision, scale, fits) in [
            ("1.5", 3, 1, true),
            ("1.55", 3, 1, false),
            ("99.9", 3, 1, true),
            ("100", 3, 1, false),
            ("0.001", 3, 3, true),
            ("1", 3, 3, false),
            ("0.00012", 2, 5, true),
            ("0.01", 2, 5, false),
            ("1200", 2, -2, true),
            ("1250", 2, -2, false),
            ("0", 1, 0, true),
            ("nan", 3, 1, true),
            ("inf", 3, 1, false),
        ] {
            assert_eq!(read(text).fits(typmod(precision, scale)), fits, "{text} {precision},{scale}");
        }
    }
}
