//! The values that combining has come to: one kind of state for each kind of aggregate and type.

use super::Combine;
use crate::datum::numeric::Numeric;
use crate::datum::order::{self, Order};
use crate::datum::{float, int8, oid};
use crate::error::SqlError;
use crate::sqlstate;
use std::cmp::Ordering;

/// Digits that a numeric may have before its point.
///
/// Source: PostgreSQL 15, `NUMERIC_WEIGHT_MAX` in `src/backend/utils/adt/numeric.c`.
const NUMERIC_WHOLE_DIGITS_MAX: usize = 131_072;

/// What the values so far combine to; without any, NULL.
#[derive(Debug)]
pub(super) enum State {
    /// `count`, and `sum` with a bigint result.
    Integer(Integer),
    /// `sum` with a numeric result.
    Numeric(Option<Numeric>),
    /// `sum` of double precision.
    Float(Option<f64>),
    /// `min` and `max`.
    Extreme(Extreme),
    /// `bool_and` and `bool_or`: the value that decides, and the one so far.
    Bool {
        /// True for `bool_or`.
        decisive: bool,
        value: Option<bool>,
    },
    /// `bit_and`, `bit_or`, `bit_xor`.
    Bits(Bits),
}

/// A sum of bigints. Wide, so that only the end is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Integer {
    sum: Option<i128>,
    /// What it is of no values: a count is never NULL.
    empty: Option<i128>,
}

impl Integer {
    pub(super) fn count() -> Integer {
        Integer { sum: Some(0), empty: Some(0) }
    }

    pub(super) fn sum() -> Integer {
        Integer { sum: None, empty: None }
    }

    pub(super) fn value(self) -> Option<i128> {
        self.sum
    }

    pub(super) fn reset(&mut self) {
        self.sum = self.empty;
    }

    /// `None` where the value is no bigint.
    pub(super) fn take(&mut self, value: &[u8], is_binary: bool) -> Option<()> {
        let value = integer(value, is_binary, oid::INT8)?;
        self.sum = Some(self.sum.unwrap_or(0) + i128::from(value));
        Some(())
    }
}

fn integer(value: &[u8], is_binary: bool, type_oid: u32) -> Option<i64> {
    if is_binary { int8::from_binary(type_oid, value) } else { int8::from_output(value) }
}

/// The least or the greatest value.
#[derive(Debug)]
pub(super) struct Extreme {
    order: Order,
    /// How a value compares with the best one where it takes its place.
    replaces: Ordering,
    has_value: bool,
    value: Vec<u8>,
    key: Vec<u8>,
    /// Room for the key of the value at hand.
    candidate: Vec<u8>,
}

impl Extreme {
    pub(super) fn new(order: Order, replaces: Ordering) -> Extreme {
        Extreme {
            order,
            replaces,
            has_value: false,
            value: Vec::new(),
            key: Vec::new(),
            candidate: Vec::new(),
        }
    }

    fn take(&mut self, value: &[u8], is_binary: bool) -> Option<()> {
        self.candidate.clear();
        self.order.encode(is_binary, value, &mut self.candidate)?;
        if !self.has_value || self.candidate.cmp(&self.key) == self.replaces {
            self.has_value = true;
            std::mem::swap(&mut self.key, &mut self.candidate);
            self.value.clear();
            self.value.extend_from_slice(value);
        }
        Some(())
    }
}

/// Bits of an integer, or of a bit string as it came.
#[derive(Debug)]
pub(super) struct Bits {
    how: Combine,
    /// `None`: a bit string.
    type_oid: Option<u32>,
    number: Option<i64>,
    string: Option<Vec<u8>>,
}

impl Bits {
    pub(super) fn integer(how: Combine, type_oid: u32) -> Bits {
        Bits { how, type_oid: Some(type_oid), number: None, string: None }
    }

    pub(super) fn string(how: Combine) -> Bits {
        Bits { how, type_oid: None, number: None, string: None }
    }

    fn combine<T>(&self, a: T, b: T) -> T
    where
        T: std::ops::BitAnd<Output = T> + std::ops::BitOr<Output = T> + std::ops::BitXor<Output = T>,
    {
        match self.how {
            Combine::BitAnd => a & b,
            Combine::BitOr => a | b,
            _ => a ^ b,
        }
    }

    fn take(&mut self, value: &[u8], is_binary: bool) -> Result<Option<()>, SqlError> {
        if let Some(type_oid) = self.type_oid {
            let Some(value) = integer(value, is_binary, type_oid) else { return Ok(None) };
            self.number = Some(self.number.map_or(value, |old| self.combine(old, value)));
            return Ok(Some(()));
        }
        let Some(mut old) = self.string.take() else {
            self.string = Some(value.to_vec());
            return Ok(Some(()));
        };
        // In binary the length stands before the bits.
        let head = if is_binary { 4 } else { 0 };
        if old.len() != value.len() || old.get(..head) != value.get(..head) {
            return Err(self.other_size());
        }
        for (old, new) in old.iter_mut().zip(value).skip(head) {
            // Of the digits 0 and 1 only the last bit differs.
            *old = if is_binary { self.combine(*old, *new) } else { b'0' | self.combine(*old & 1, *new & 1) };
        }
        self.string = Some(old);
        Ok(Some(()))
    }

    #[cold]
    fn other_size(&self) -> SqlError {
        let verb = match self.how {
            Combine::BitAnd => "AND",
            Combine::BitOr => "OR",
            _ => "XOR",
        };
        SqlError::new(
            sqlstate::STRING_DATA_LENGTH_MISMATCH,
            format!("cannot {verb} bit strings of different sizes"),
        )
    }
}

impl State {
    /// Forgets all values.
    pub(super) fn reset(&mut self) {
        match self {
            State::Integer(sum) => sum.reset(),
            State::Numeric(sum) => *sum = None,
            State::Float(sum) => *sum = None,
            State::Extreme(extreme) => extreme.has_value = false,
            State::Bool { value, .. } => *value = None,
            State::Bits(bits) => {
                bits.number = None;
                bits.string = None;
            }
        }
    }

    /// Takes a value that is not NULL; `None` where it cannot be read.
    ///
    /// # Errors
    /// What Postgres says where a value does not go with the others.
    pub(super) fn take(&mut self, value: &[u8], is_binary: bool) -> Result<Option<()>, SqlError> {
        Ok(match self {
            State::Integer(sum) => sum.take(value, is_binary),
            State::Numeric(sum) => take_numeric(sum, value, is_binary),
            State::Float(sum) => {
                let Some(value) = double(value, is_binary) else { return Ok(None) };
                let old = sum.unwrap_or(0.0);
                let new = old + value;
                if new.is_infinite() && !old.is_infinite() && !value.is_infinite() {
                    return Err(out_of_range("value out of range: overflow"));
                }
                // The first value as it is: 0 + -0 would be 0.
                *sum = Some(if sum.is_some() { new } else { value });
                Some(())
            }
            State::Extreme(extreme) => extreme.take(value, is_binary),
            State::Bool { decisive, value: so_far } => order::boolean(value, is_binary).map(|value| {
                if *so_far != Some(*decisive) {
                    *so_far = Some(value);
                }
            }),
            State::Bits(bits) => return bits.take(value, is_binary),
        })
    }

    /// Appends the value; `false` where it is NULL.
    ///
    /// # Errors
    /// `22003` where it leaves its type's range.
    pub(super) fn put(
        &self,
        is_binary: bool,
        float_digits: i32,
        out: &mut Vec<u8>,
    ) -> Result<bool, SqlError> {
        match self {
            State::Integer(sum) => {
                let Some(sum) = sum.value() else { return Ok(false) };
                let sum = i64::try_from(sum).map_err(|_too_large| out_of_range("bigint out of range"))?;
                put_integer(sum, is_binary, oid::INT8, out);
            }
            State::Numeric(sum) => {
                let Some(sum) = sum else { return Ok(false) };
                if sum.whole_digits() > NUMERIC_WHOLE_DIGITS_MAX {
                    return Err(out_of_range("value overflows numeric format"));
                }
                out.extend_from_slice(&if is_binary { sum.to_binary() } else { sum.to_text() });
            }
            State::Float(sum) => {
                let Some(sum) = sum else { return Ok(false) };
                if is_binary {
                    out.extend_from_slice(&sum.to_be_bytes());
                } else {
                    float::write_text(*sum, float_digits, out);
                }
            }
            State::Extreme(extreme) => {
                // What is there without one is the group's before.
                if !extreme.has_value {
                    return Ok(false);
                }
                out.extend_from_slice(&extreme.value);
            }
            State::Bool { value, .. } => {
                let Some(value) = *value else { return Ok(false) };
                out.push(match (value, is_binary) {
                    (value, true) => u8::from(value),
                    (true, false) => b't',
                    (false, false) => b'f',
                });
            }
            State::Bits(bits) => match (&bits.string, bits.number, bits.type_oid) {
                (Some(string), _, _) => out.extend_from_slice(string),
                (None, Some(number), Some(type_oid)) => put_integer(number, is_binary, type_oid, out),
                _ => return Ok(false),
            },
        }
        Ok(true)
    }

    /// A sum as a numeric; `None` where there is none.
    pub(super) fn to_numeric(&self) -> Option<Numeric> {
        match self {
            State::Integer(sum) => sum.value().map(Numeric::from_integer),
            State::Numeric(sum) => sum.clone(),
            State::Float(_) | State::Extreme(_) | State::Bool { .. } | State::Bits(_) => None,
        }
    }
}

fn take_numeric(sum: &mut Option<Numeric>, value: &[u8], is_binary: bool) -> Option<()> {
    let value = if is_binary { Numeric::from_binary(value)? } else { Numeric::from_text(value)? };
    *sum = Some(match sum {
        Some(sum) => sum.add(&value),
        None => value,
    });
    Some(())
}

fn double(value: &[u8], is_binary: bool) -> Option<f64> {
    if is_binary { Some(f64::from_be_bytes(value.try_into().ok()?)) } else { order::float_text(value) }
}

fn put_integer(value: i64, is_binary: bool, type_oid: u32, out: &mut Vec<u8>) {
    let bytes = value.to_be_bytes();
    match (is_binary, type_oid) {
        (false, _) => out.extend_from_slice(value.to_string().as_bytes()),
        (true, oid::INT2) => out.extend_from_slice(bytes.get(6..).unwrap_or_default()),
        (true, oid::INT4) => out.extend_from_slice(bytes.get(4..).unwrap_or_default()),
        (true, _) => out.extend_from_slice(&bytes),
    }
}

#[cold]
fn out_of_range(message: &'static str) -> SqlError {
    SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, message)
}
