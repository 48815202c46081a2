//! Dividing a sum by a count, with the scale that Postgres gives an average.
//!
//! Source: PostgreSQL 15, `select_div_scale`, `div_var` and `numeric_avg` in
//! `src/backend/utils/adt/numeric.c`.

use super::{Decimal, Numeric};

/// Significant digits that a quotient has at least (`NUMERIC_MIN_SIG_DIGITS`).
const SIGNIFICANT_DIGITS_MIN: i64 = 16;
/// `NUMERIC_MAX_DISPLAY_SCALE`
const SCALE_MAX: i64 = 1000;
/// Decimal digits in a digit of Postgres's.
const DIGITS_PER_GROUP: i64 = 4;

impl Numeric {
    /// `self / count`, rounded away from zero at halves; `None` where the count is 0 or less.
    pub fn divide(&self, count: i64) -> Option<Numeric> {
        let divisor = u64::try_from(count).ok().filter(|count| *count > 0)?;
        Some(match self {
            Numeric::Finite(decimal) => Numeric::Finite(decimal.divide(divisor)),
            special => special.clone(),
        })
    }
}

impl Decimal {
    fn divide(&self, divisor: u64) -> Decimal {
        let (weight, first) = self.first_group();
        let (divisor_weight, divisor_first) = first_group_of(divisor);
        let quotient_weight = weight - divisor_weight - i64::from(first <= divisor_first);
        let scale = (SIGNIFICANT_DIGITS_MIN - quotient_weight * DIGITS_PER_GROUP)
            .max(self.scale as i64)
            .clamp(0, SCALE_MAX);
        let scale = usize::try_from(scale).unwrap_or(0);
        // Schoolbook division, one place beyond the scale, which rounds.
        let digits = self.digits.iter().rev().copied().chain(std::iter::repeat(0));
        let whole = self.digits.len() - self.scale;
        let mut quotient: Vec<u8> = Vec::with_capacity(whole + scale + 1);
        let mut rest = 0_u128;
        for digit in digits.take(whole + scale + 1) {
            let value = rest * 10 + u128::from(digit);
            quotient.push((value / u128::from(divisor)) as u8);
            rest = value % u128::from(divisor);
        }
        let rounds_up = quotient.pop().is_some_and(|digit| digit >= 5);
        quotient.reverse();
        let mut carry = rounds_up;
        for digit in &mut quotient {
            if !carry {
                break;
            }
            carry = *digit == 9;
            *digit = if carry { 0 } else { *digit + 1 };
        }
        if carry {
            quotient.push(1);
        }
        Decimal { is_negative: self.is_negative, digits: quotient, scale }.normal()
    }

    /// The weight of the first digit in base 10,000 that is not 0, and that digit.
    fn first_group(&self) -> (i64, u64) {
        let Some(first) = self.digits.iter().rposition(|digit| *digit != 0) else { return (0, 0) };
        let place = first as i64 - self.scale as i64;
        let weight = place.div_euclid(DIGITS_PER_GROUP);
        let lowest = weight * DIGITS_PER_GROUP + self.scale as i64;
        let digit_at = |place: i64| {
            usize::try_from(place)
                .ok()
                .and_then(|at| self.digits.get(at))
                .map_or(0, |digit| u64::from(*digit))
        };
        (
            weight,
            (lowest..lowest + DIGITS_PER_GROUP).rev().fold(0, |value, place| value * 10 + digit_at(place)),
        )
    }
}

/// As [`Decimal::first_group`], of an integer.
fn first_group_of(mut value: u64) -> (i64, u64) {
    let mut weight = 0;
    while value >= 10_000 {
        value /= 10_000;
        weight += 1;
    }
    (weight, value)
}
