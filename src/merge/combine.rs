//! Combining one column's values of several rows into one: exactly, or not at all.

use super::columns::Column;
use super::keys::{in_style, other_columns, unreadable};
use super::row::Row;
use super::state::{Bits, Extreme, Integer, State};
use super::{Combine, OutputColumn};
use crate::datum::order::{Order, Style};
use crate::datum::{float, oid};
use crate::error::SqlError;
use std::cmp::Ordering;

/// One column of the merged row, so far.
#[derive(Debug)]
pub(super) struct Cell {
    source: Source,
    /// The name, for messages.
    name: Box<str>,
    /// The format of the merged value.
    is_binary: bool,
    float_digits: i32,
}

#[derive(Debug)]
enum Source {
    /// The value of the first row.
    First { column: usize, value: Option<Vec<u8>>, is_set: bool },
    /// A column's values, combined.
    Combined { column: usize, is_binary: bool, state: State },
    /// `avg`.
    Average { sum: (usize, bool), state: State, count: (usize, bool), counted: Integer },
}

/// The cells of a merged row, and how the client sees its columns.
///
/// # Errors
/// `0A000` where a column's values cannot be combined exactly.
pub(super) fn cells(
    outputs: &[OutputColumn],
    columns: &[Column],
    formats: &[i16],
    style: Style,
) -> Result<(Vec<Cell>, Vec<Column>), SqlError> {
    let mut cells = Vec::with_capacity(outputs.len());
    let mut shown = Vec::with_capacity(outputs.len());
    for (at, output) in outputs.iter().enumerate() {
        let input = |column: usize| columns.get(column).ok_or_else(other_columns);
        let (source, column) = match *output {
            OutputColumn::Input(column) => {
                (Source::First { column, value: None, is_set: false }, input(column)?.clone())
            }
            OutputColumn::Combine(combine, column) => {
                let described = input(column)?;
                let state = state(combine, described, style)?;
                (Source::Combined { column, is_binary: described.is_binary(), state }, described.clone())
            }
            OutputColumn::Avg { sum, count } => {
                let (summed, counted) = (input(sum)?, input(count)?);
                let mut described = summed.clone();
                described.format = format_of(formats, at);
                let state = average(&mut described).filter(|_| counted.type_oid == oid::INT8);
                let state = state.ok_or_else(|| not_exact("avg", "this type", summed))?;
                let source = Source::Average {
                    sum: (sum, summed.is_binary()),
                    state,
                    count: (count, counted.is_binary()),
                    counted: Integer::count(),
                };
                (source, described)
            }
        };
        cells.push(Cell {
            source,
            name: column.shown_name().into(),
            is_binary: column.is_binary(),
            float_digits: style.float_digits,
        });
        shown.push(column);
    }
    Ok((cells, shown))
}

/// The format of a column by a Bind message's format codes.
pub(super) fn format_of(formats: &[i16], at: usize) -> i16 {
    match formats {
        [] => 0,
        [one] => *one,
        many => many.get(at).copied().unwrap_or(0),
    }
}

/// The sum's state, and the average's type.
fn average(column: &mut Column) -> Option<State> {
    let state = match column.type_oid {
        oid::INT8 => State::Integer(Integer::sum()),
        oid::NUMERIC => State::Numeric(None),
        oid::FLOAT8 => State::Float(None),
        _ => return None,
    };
    if column.type_oid == oid::INT8 {
        column.type_oid = oid::NUMERIC;
        column.type_len = -1;
    }
    column.type_modifier = -1;
    column.table_oid = 0;
    column.number = 0;
    Some(state)
}

fn state(combine: Combine, column: &Column, style: Style) -> Result<State, SqlError> {
    let extreme = |function, text_is_c, replaces| {
        let order = Order::of(column.type_oid, text_is_c);
        let order = order.ok_or_else(|| not_exact(function, "this type", column))?;
        if !order.is_exact(column.is_binary(), style) {
            return Err(not_exact(function, in_style(order), column));
        }
        Ok(State::Extreme(Extreme::new(order, replaces)))
    };
    let bits = |function| match column.type_oid {
        oid::INT2 | oid::INT4 | oid::INT8 => Ok(State::Bits(Bits::integer(combine, column.type_oid))),
        oid::BIT | oid::VARBIT => Ok(State::Bits(Bits::string(combine))),
        _ => Err(not_exact(function, "this type", column)),
    };
    match (combine, column.type_oid) {
        (Combine::Count, oid::INT8) => Ok(State::Integer(Integer::count())),
        (Combine::Count, _) => Err(not_exact("count", "this type", column)),
        (Combine::Sum, oid::INT8) => Ok(State::Integer(Integer::sum())),
        (Combine::Sum, oid::NUMERIC) => Ok(State::Numeric(None)),
        // With fewer digits the parts would be rounded before they are added.
        (Combine::Sum, oid::FLOAT8) if column.is_binary() || style.float_digits > 0 => Ok(State::Float(None)),
        (Combine::Sum, oid::FLOAT8) => Err(not_exact("sum", in_style(Order::Float8), column)),
        (Combine::Sum, _) => Err(not_exact("sum", "this type", column)),
        (Combine::Min { text_is_c }, _) => extreme("min", text_is_c, Ordering::Less),
        (Combine::Max { text_is_c }, _) => extreme("max", text_is_c, Ordering::Greater),
        (Combine::BoolAnd | Combine::BoolOr, oid::BOOL) => {
            Ok(State::Bool { decisive: combine == Combine::BoolOr, value: None })
        }
        (Combine::BoolAnd, _) => Err(not_exact("bool_and", "this type", column)),
        (Combine::BoolOr, _) => Err(not_exact("bool_or", "this type", column)),
        (Combine::BitAnd, _) => bits("bit_and"),
        (Combine::BitOr, _) => bits("bit_or"),
        (Combine::BitXor, _) => bits("bit_xor"),
    }
}

fn not_exact(function: &str, what: &str, column: &Column) -> SqlError {
    SqlError::refused(
        format!(
            "{function}() of {what} over several shards is not supported yet (column \"{}\")",
            column.shown_name()
        ),
        "Add a condition on the sharding key; or cast the argument: sum() and avg() work on integers, numeric and double precision, min() and max() also on dates, times, uuid, bytea and text COLLATE \"C\".",
    )
}

impl Cell {
    /// Forgets what was taken.
    pub(super) fn reset(&mut self) {
        match &mut self.source {
            Source::First { is_set, .. } => *is_set = false,
            Source::Combined { state, .. } => state.reset(),
            Source::Average { state, counted, .. } => {
                state.reset();
                counted.reset();
            }
        }
    }

    /// Takes a row's part.
    ///
    /// # Errors
    /// `0A000` where a value cannot be read; what Postgres says where one does not go with the others.
    pub(super) fn take(&mut self, row: &Row<'_>) -> Result<(), SqlError> {
        match &mut self.source {
            Source::First { is_set: true, .. } => {}
            Source::First { column, value, is_set } => {
                *is_set = true;
                match row.field(*column) {
                    None => *value = None,
                    Some(bytes) => {
                        let value = value.get_or_insert_default();
                        value.clear();
                        value.extend_from_slice(bytes);
                    }
                }
            }
            Source::Combined { column, is_binary, state } => {
                if let Some(value) = row.field(*column) {
                    state.take(value, *is_binary)?.ok_or_else(|| unreadable(&self.name))?;
                }
            }
            Source::Average { sum, state, count, counted } => {
                let count = row.field(count.0).map(|value| counted.take(value, count.1));
                if count == Some(None) {
                    return Err(unreadable(&self.name));
                }
                if let Some(value) = row.field(sum.0) {
                    state.take(value, sum.1)?.ok_or_else(|| unreadable(&self.name))?;
                }
            }
        }
        Ok(())
    }

    /// Appends the value as a DataRow's field.
    ///
    /// # Errors
    /// `22003` where a sum leaves its type's range.
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        let is_null = match &self.source {
            Source::First { value: None, .. } => true,
            Source::First { value: Some(value), .. } => {
                out.extend_from_slice(value);
                false
            }
            Source::Combined { state, .. } => !state.put(self.is_binary, self.float_digits, out)?,
            Source::Average { state, counted, .. } => !self.put_average(state, counted, out),
        };
        let len = if is_null { -1 } else { i32::try_from(out.len() - at - 4).unwrap_or(i32::MAX) };
        if let Some(slot) = out.get_mut(at..at + 4) {
            slot.copy_from_slice(&len.to_be_bytes());
        }
        Ok(())
    }

    /// Whether there is one: nothing has no average.
    fn put_average(&self, state: &State, count: &Integer, out: &mut Vec<u8>) -> bool {
        let count = count.value().and_then(|count| i64::try_from(count).ok()).unwrap_or(0);
        match state {
            State::Float(Some(sum)) if count > 0 => {
                let average = sum / count as f64;
                if self.is_binary {
                    out.extend_from_slice(&average.to_be_bytes());
                } else {
                    float::write_text(average, self.float_digits, out);
                }
                true
            }
            _ => {
                let average = state.to_numeric().and_then(|sum| sum.divide(count));
                let bytes =
                    average.map(|value| if self.is_binary { value.to_binary() } else { value.to_text() });
                out.extend_from_slice(bytes.as_deref().unwrap_or_default());
                bytes.is_some()
            }
        }
    }
}
