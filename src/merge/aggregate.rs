//! Combining one value per shard into one: exactly, or not at all.

use super::columns::Column;
use super::{Combine, OutputColumn};
use crate::datum::numeric::Numeric;
use crate::datum::order::{self, Comparable};
use crate::datum::{int8, oid};
use crate::error::SqlError;
use crate::protocol::read::{Malformed, Reader};
use crate::sqlstate;
use std::cmp::Ordering;

/// One column's value so far.
#[derive(Debug)]
pub(super) struct Accumulator {
    type_oid: u32,
    is_binary: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// `count`, and `sum` with a bigint result; `None` is NULL. Wide, so that only the end is checked.
    Integer(Option<i128>),
    /// `sum` with a numeric result.
    Numeric(Option<Numeric>),
    /// `min` and `max`: the value's own bytes and what they compare as; a new one replaces it where it
    /// compares as the ordering says.
    Extreme { replaces: Ordering, best: Option<(Vec<u8>, Comparable)> },
}

pub(super) fn accumulators(
    outputs: &[OutputColumn],
    columns: &[Column],
) -> Result<Vec<Accumulator>, SqlError> {
    let differs =
        || SqlError::new(sqlstate::INTERNAL_ERROR, "a shard answered with other columns than planned");
    if outputs.len() != columns.len() {
        return Err(differs());
    }
    let accumulator = |(at, (output, column)): (usize, (&OutputColumn, &Column))| {
        let OutputColumn::Combine(combine, input) = output else { return Err(differs()) };
        if *input != at {
            return Err(differs());
        }
        let state = match (combine, column.type_oid) {
            (Combine::Count, oid::INT8) => State::Integer(Some(0)),
            (Combine::Sum, oid::INT8) => State::Integer(None),
            (Combine::Sum, oid::NUMERIC) => State::Numeric(None),
            (Combine::Min { .. }, type_oid) if order::is_comparable(type_oid) => {
                State::Extreme { replaces: Ordering::Less, best: None }
            }
            (Combine::Max { .. }, type_oid) if order::is_comparable(type_oid) => {
                State::Extreme { replaces: Ordering::Greater, best: None }
            }
            _ => return Err(not_exact(*combine, &column.name)),
        };
        Ok(Accumulator { type_oid: column.type_oid, is_binary: column.is_binary, state })
    };
    outputs.iter().zip(columns).enumerate().map(accumulator).collect()
}

fn not_exact(combine: Combine, column: &[u8]) -> SqlError {
    let function = match combine {
        Combine::Count => "count",
        Combine::Sum => "sum",
        Combine::Min { .. } => "min",
        Combine::Max { .. } => "max",
        Combine::BoolAnd => "bool_and",
        Combine::BoolOr => "bool_or",
        Combine::BitAnd => "bit_and",
        Combine::BitOr => "bit_or",
        Combine::BitXor => "bit_xor",
    };
    let column = String::from_utf8_lossy(column);
    SqlError::refused(
        format!("{function}() of this type over several shards is not supported yet (column \"{column}\")"),
        "sum() works on integers and numerics; min() and max() on integers, numerics, floats, dates and timestamps. For other types, add a condition on the sharding key.",
    )
}

/// Takes one shard's row.
pub(super) fn take_row(accumulators: &mut [Accumulator], body: &[u8]) -> Result<(), SqlError> {
    let malformed = |Malformed| SqlError::protocol("invalid row from a shard");
    let mut reader = Reader::new(body);
    let count = reader.i16().map_err(malformed)?;
    if usize::try_from(count) != Ok(accumulators.len()) {
        return Err(SqlError::protocol("a row from a shard has other columns than described"));
    }
    for accumulator in accumulators {
        let len = reader.i32().map_err(malformed)?;
        let Ok(len) = usize::try_from(len) else { continue };
        let value = reader.bytes(len).map_err(malformed)?;
        accumulator.take(value).ok_or_else(unreadable)?;
    }
    Ok(())
}

fn unreadable() -> SqlError {
    SqlError::refused(
        "a value from a shard cannot be compared or added exactly",
        "Dates and timestamps need the ISO date style: SET datestyle = ISO.",
    )
}

impl Accumulator {
    /// Takes a value that is not NULL; `None` where it cannot be read.
    fn take(&mut self, value: &[u8]) -> Option<()> {
        match &mut self.state {
            State::Integer(sum) => {
                let number = if self.is_binary {
                    int8::from_binary(self.type_oid, value)?
                } else {
                    std::str::from_utf8(value).ok()?.parse().ok()?
                };
                *sum = Some(sum.unwrap_or(0) + i128::from(number));
            }
            State::Numeric(sum) => {
                let number =
                    if self.is_binary { Numeric::from_binary(value)? } else { Numeric::from_text(value)? };
                *sum = Some(match sum {
                    Some(sum) => sum.add(&number),
                    None => number,
                });
            }
            State::Extreme { replaces, best } => {
                let new = order::read(self.type_oid, self.is_binary, value)?;
                let is_better = match best {
                    None => true,
                    Some((_, old)) => new.compare(old)? == *replaces,
                };
                if is_better {
                    *best = Some((value.to_vec(), new));
                }
            }
        }
        Some(())
    }

    /// The value in the column's format; `None` is NULL.
    pub(super) fn finish(self) -> Result<Option<Vec<u8>>, SqlError> {
        match self.state {
            State::Integer(None) => Ok(None),
            State::Integer(Some(sum)) => {
                let sum = i64::try_from(sum).map_err(|_| {
                    SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range")
                })?;
                Ok(Some(if self.is_binary {
                    sum.to_be_bytes().to_vec()
                } else {
                    sum.to_string().into_bytes()
                }))
            }
            State::Numeric(sum) => {
                Ok(sum.map(|sum| if self.is_binary { sum.to_binary() } else { sum.to_text() }))
            }
            State::Extreme { best, .. } => Ok(best.map(|(bytes, _)| bytes)),
        }
    }
}
