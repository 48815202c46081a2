//! Postgres's `numeric`, exactly: reading both formats, adding, comparing, writing.
//!
//! Only what combining sums and comparing needs. A value keeps its display scale, so that a sum is written
//! with as many decimals as Postgres would.
//!
//! Source: PostgreSQL, `src/backend/utils/adt/numeric.c` (`numeric_send`, `add_var`, `numeric_cmp`).

mod divide;

use std::cmp::Ordering;

/// A numeric value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numeric {
    /// `NaN`: greater than everything, equal to itself.
    NaN,
    /// `-Infinity`
    NegativeInfinity,
    /// `Infinity`
    Infinity,
    /// A finite number.
    Finite(Decimal),
}

/// A finite decimal number: sign, and decimal digits with the last `scale` behind the point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    is_negative: bool,
    /// Digits 0 to 9, least significant first; none beyond the scale is missing.
    digits: Vec<u8>,
    scale: usize,
}

const BINARY_NEGATIVE: u16 = 0x4000;
const BINARY_NAN: u16 = 0xC000;
const BINARY_INFINITY: u16 = 0xD000;
const BINARY_NEGATIVE_INFINITY: u16 = 0xF000;

impl Numeric {
    /// Reads Postgres's text output.
    pub fn from_text(text: &[u8]) -> Option<Numeric> {
        match text {
            b"NaN" => return Some(Numeric::NaN),
            b"Infinity" => return Some(Numeric::Infinity),
            b"-Infinity" => return Some(Numeric::NegativeInfinity),
            _ => {}
        }
        let (is_negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let point = rest.iter().position(|byte| *byte == b'.');
        let scale = point.map_or(0, |at| rest.len() - at - 1);
        let mut digits = Vec::with_capacity(rest.len());
        for (at, byte) in rest.iter().enumerate().rev() {
            if Some(at) == point {
                continue;
            }
            if !byte.is_ascii_digit() {
                return None;
            }
            digits.push(byte - b'0');
        }
        if digits.is_empty() {
            return None;
        }
        Some(Numeric::Finite(Decimal { is_negative, digits, scale }.normal()))
    }

    /// Reads the binary format.
    pub fn from_binary(bytes: &[u8]) -> Option<Numeric> {
        let (words, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() {
            return None;
        }
        let word = |at: usize| words.get(at).map(|word| u16::from_be_bytes(*word));
        let count = usize::from(word(0)?);
        let weight = i32::from(word(1)? as i16);
        let sign = word(2)?;
        let scale = usize::from(word(3)?);
        match sign {
            BINARY_NAN => return Some(Numeric::NaN),
            BINARY_INFINITY => return Some(Numeric::Infinity),
            BINARY_NEGATIVE_INFINITY => return Some(Numeric::NegativeInfinity),
            0 | BINARY_NEGATIVE => {}
            _ => return None,
        }
        if words.len() != count + 4 {
            return None;
        }
        // Each group holds four decimal digits; group 0 is worth 10000^weight.
        let mut digits = vec![0_u8; scale + 4 * usize::try_from(weight + 1).unwrap_or(0)];
        for group in 0..count {
            let mut value = word(group + 4)?;
            let lowest = (i64::from(weight) - group as i64) * 4 + scale as i64;
            for place in 0..4 {
                let digit = (value % 10) as u8;
                value /= 10;
                let at = lowest + place;
                match usize::try_from(at).ok().and_then(|at| digits.get_mut(at)) {
                    Some(slot) => *slot = digit,
                    // Digits beyond the display scale are not shown and cannot come from the server.
                    None if digit == 0 => {}
                    None => return None,
                }
            }
        }
        Some(Numeric::Finite(Decimal { is_negative: sign == BINARY_NEGATIVE, digits, scale }.normal()))
    }

    /// An integer.
    pub fn from_integer(value: i128) -> Numeric {
        let mut rest = value.unsigned_abs();
        let mut digits = Vec::new();
        while rest > 0 {
            digits.push((rest % 10) as u8);
            rest /= 10;
        }
        Numeric::Finite(Decimal { is_negative: value < 0, digits, scale: 0 }.normal())
    }

    /// The sum, with the greater display scale of the two.
    #[must_use]
    pub fn add(&self, other: &Numeric) -> Numeric {
        match (self, other) {
            (Numeric::NaN, _) | (_, Numeric::NaN) => Numeric::NaN,
            (Numeric::Infinity, Numeric::NegativeInfinity)
            | (Numeric::NegativeInfinity, Numeric::Infinity) => Numeric::NaN,
            (Numeric::Finite(a), Numeric::Finite(b)) => Numeric::Finite(a.add(b)),
            (Numeric::Finite(_), infinite) | (infinite, _) => infinite.clone(),
        }
    }

    /// How many digits stand before the point.
    pub fn whole_digits(&self) -> usize {
        match self {
            Numeric::Finite(decimal) => decimal.digits.len() - decimal.scale,
            Numeric::NaN | Numeric::Infinity | Numeric::NegativeInfinity => 0,
        }
    }

    /// Postgres's order.
    pub fn compare(&self, other: &Numeric) -> Ordering {
        let rank = |value: &Numeric| match value {
            Numeric::NegativeInfinity => 0,
            Numeric::Finite(_) => 1,
            Numeric::Infinity => 2,
            Numeric::NaN => 3,
        };
        match (self, other) {
            (Numeric::Finite(a), Numeric::Finite(b)) => a.compare(b),
            _ => rank(self).cmp(&rank(other)),
        }
    }

    /// Writes Postgres's text output.
    pub fn to_text(&self) -> Vec<u8> {
        match self {
            Numeric::NaN => b"NaN".to_vec(),
            Numeric::Infinity => b"Infinity".to_vec(),
            Numeric::NegativeInfinity => b"-Infinity".to_vec(),
            Numeric::Finite(decimal) => decimal.to_text(),
        }
    }

    /// Writes the binary format.
    pub fn to_binary(&self) -> Vec<u8> {
        match self {
            Numeric::NaN => special(BINARY_NAN),
            Numeric::Infinity => special(BINARY_INFINITY),
            Numeric::NegativeInfinity => special(BINARY_NEGATIVE_INFINITY),
            Numeric::Finite(decimal) => decimal.to_binary(),
        }
    }
}

fn special(sign: u16) -> Vec<u8> {
    [0, 0, sign, 0].iter().flat_map(|word: &u16| word.to_be_bytes()).collect()
}

impl Decimal {
    /// At least one digit before the point, no leading zeros beyond it, no negative zero.
    fn normal(mut self) -> Decimal {
        while self.digits.len() > self.scale + 1 && self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        while self.digits.len() < self.scale + 1 {
            self.digits.push(0);
        }
        self.is_negative &= self.digits.iter().any(|digit| *digit != 0);
        self
    }

    /// The digit worth 10^`place`, counted from 10^-`scale` of the given scale.
    fn digit(&self, place: usize, scale: usize) -> u8 {
        let shift = scale - self.scale;
        place.checked_sub(shift).and_then(|at| self.digits.get(at)).copied().unwrap_or(0)
    }

    fn places(&self, other: &Decimal) -> (usize, usize) {
        let scale = self.scale.max(other.scale);
        let whole = (self.digits.len() - self.scale).max(other.digits.len() - other.scale);
        (scale, whole + scale)
    }

    fn compare_magnitude(&self, other: &Decimal) -> Ordering {
        let (scale, places) = self.places(other);
        (0..places)
            .rev()
            .map(|place| self.digit(place, scale).cmp(&other.digit(place, scale)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    fn compare(&self, other: &Decimal) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.compare_magnitude(other),
            (true, true) => other.compare_magnitude(self),
        }
    }

    fn add(&self, other: &Decimal) -> Decimal {
        let (scale, places) = self.places(other);
        if self.is_negative == other.is_negative {
            let mut digits = Vec::with_capacity(places + 1);
            let mut carry = 0;
            for place in 0..places {
                let sum = self.digit(place, scale) + other.digit(place, scale) + carry;
                digits.push(sum % 10);
                carry = sum / 10;
            }
            digits.push(carry);
            return Decimal { is_negative: self.is_negative, digits, scale }.normal();
        }
        let (large, small) = match self.compare_magnitude(other) {
            Ordering::Less => (other, self),
            Ordering::Equal | Ordering::Greater => (self, other),
        };
        let mut digits = Vec::with_capacity(places);
        let mut borrow = 0;
        for place in 0..places {
            let minuend = large.digit(place, scale) + 10 - borrow;
            let difference = minuend - small.digit(place, scale);
            digits.push(difference % 10);
            borrow = u8::from(difference < 10);
        }
        Decimal { is_negative: large.is_negative, digits, scale }.normal()
    }

    fn to_text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.digits.len() + 2);
        if self.is_negative {
            text.push(b'-');
        }
        for (place, digit) in self.digits.iter().enumerate().rev() {
            text.push(b'0' + digit);
            if place == self.scale && self.scale > 0 {
                text.push(b'.');
            }
        }
        text
    }

    fn to_binary(&self) -> Vec<u8> {
        let whole = self.digits.len() - self.scale;
        let whole_groups = whole.div_ceil(4);
        let groups = whole_groups + self.scale.div_ceil(4);
        let digit_at = |place: i64| {
            usize::try_from(place).ok().and_then(|place| self.digits.get(place)).map_or(0, |d| u16::from(*d))
        };
        let mut values: Vec<u16> = Vec::with_capacity(groups);
        for group in 0..groups {
            let lowest = (whole_groups as i64 - 1 - group as i64) * 4 + self.scale as i64;
            values.push((0..4).rev().fold(0, |value, place| value * 10 + digit_at(lowest + place)));
        }
        let leading = values.iter().take_while(|value| **value == 0).count();
        let trailing = values.iter().skip(leading).rev().take_while(|value| **value == 0).count();
        let shown: Vec<u16> =
            values.iter().skip(leading).take(values.len() - leading - trailing).copied().collect();
        let weight = if shown.is_empty() { 0 } else { whole_groups as i64 - 1 - leading as i64 };
        let sign = if self.is_negative { BINARY_NEGATIVE } else { 0 };
        let head = [shown.len() as u16, weight as i16 as u16, sign, self.scale as u16];
        head.iter().chain(&shown).flat_map(|word| word.to_be_bytes()).collect()
    }
}

#[cfg(test)]
mod tests;
