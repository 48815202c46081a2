//! A command's result as a table, and how it is written in text and binary format.
//!
//! Source: PostgreSQL `src/backend/utils/adt/numeric.c` (`numeric_send`) for numeric in binary.

use crate::datum::oid;
use crate::protocol::{backend, write};

/// Types that results have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// text
    Text,
    /// integer
    Int4,
    /// numeric, of which only whole numbers are shown
    Numeric,
}

impl Type {
    fn oid(self) -> u32 {
        match self {
            Type::Text => oid::TEXT,
            Type::Int4 => oid::INT4,
            Type::Numeric => oid::NUMERIC,
        }
    }

    fn len(self) -> i16 {
        match self {
            Type::Int4 => 4,
            Type::Text | Type::Numeric => -1,
        }
    }
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
}

/// A text column.
pub const fn text(name: &'static str) -> Column {
    Column { name, kind: Type::Text }
}

/// An integer column.
pub const fn int4(name: &'static str) -> Column {
    Column { name, kind: Type::Int4 }
}

/// A numeric column.
pub const fn numeric(name: &'static str) -> Column {
    Column { name, kind: Type::Numeric }
}

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// Text.
    Text(String),
    /// A whole number; what is too large for its column is shown as the largest.
    Number(u64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Value::Number(number.into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Number(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Value::Number(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// A row, as long as its table's list of columns.
pub type Row = Vec<Value>;

/// The format codes of a Bind message: none is text for all, one is for all, else one per column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formats(Vec<bool>);

impl Formats {
    /// Text for all columns.
    pub const TEXT: Formats = Formats(Vec::new());

    /// From a flag per code, set for binary.
    pub fn new(binary: Vec<bool>) -> Self {
        Formats(binary)
    }

    /// How many codes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn is_binary(&self, column: usize) -> bool {
        match self.0.as_slice() {
            [] => false,
            [all] => *all,
            each => each.get(column).copied().unwrap_or(false),
        }
    }
}

/// RowDescription.
pub fn write_columns(out: &mut Vec<u8>, columns: &[Column], formats: &Formats) {
    write::message(out, backend::ROW_DESCRIPTION, |b| {
        b.extend_from_slice(&u16::try_from(columns.len()).unwrap_or(u16::MAX).to_be_bytes());
        for (index, column) in columns.iter().enumerate() {
            write::cstr(b, column.name.as_bytes());
            // Of no table.
            b.extend_from_slice(&[0; 6]);
            b.extend_from_slice(&column.kind.oid().to_be_bytes());
            b.extend_from_slice(&column.kind.len().to_be_bytes());
            b.extend_from_slice(&(-1_i32).to_be_bytes());
            b.extend_from_slice(&i16::from(formats.is_binary(index)).to_be_bytes());
        }
    });
}

/// DataRow.
pub fn write_row(out: &mut Vec<u8>, columns: &[Column], row: &[Value], formats: &Formats) {
    write::message(out, backend::DATA_ROW, |b| {
        b.extend_from_slice(&u16::try_from(columns.len()).unwrap_or(u16::MAX).to_be_bytes());
        for (index, column) in columns.iter().enumerate() {
            match row.get(index).and_then(|value| encode(value, column.kind, formats.is_binary(index))) {
                None => b.extend_from_slice(&(-1_i32).to_be_bytes()),
                Some(bytes) => {
                    b.extend_from_slice(&i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
                    b.extend_from_slice(&bytes);
                }
            }
        }
    });
}

fn encode(value: &Value, kind: Type, binary: bool) -> Option<Vec<u8>> {
    Some(match (value, kind) {
        (Value::Null, _) => return None,
        (Value::Text(text), _) => text.replace('\0', "").into_bytes(),
        (Value::Number(number), Type::Int4) => {
            let number = i32::try_from(*number).unwrap_or(i32::MAX);
            if binary { number.to_be_bytes().to_vec() } else { number.to_string().into_bytes() }
        }
        (Value::Number(number), Type::Numeric) if binary => numeric_binary(*number),
        (Value::Number(number), Type::Numeric | Type::Text) => number.to_string().into_bytes(),
    })
}

/// A whole number as numeric in binary: digits of base 10,000, the most significant first.
fn numeric_binary(mut number: u64) -> Vec<u8> {
    let mut digits = Vec::new();
    while number > 0 {
        digits.push(u16::try_from(number % 10_000).unwrap_or_default());
        number /= 10_000;
    }
    let count = u16::try_from(digits.len()).unwrap_or_default();
    let mut out = Vec::with_capacity(8 + digits.len() * 2);
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&count.saturating_sub(1).to_be_bytes());
    // A positive sign, and no digits after the point.
    out.extend_from_slice(&[0; 4]);
    for digit in digits.iter().rev() {
        out.extend_from_slice(&digit.to_be_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_in_binary_is_as_postgres_sends_it() {
        // SELECT numeric_send(0), numeric_send(12345678)
        assert_eq!(numeric_binary(0), [0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(numeric_binary(12_345_678), [0, 2, 0, 1, 0, 0, 0, 0, 0x04, 0xd2, 0x16, 0x2e]);
    }

    #[test]
    fn formats_hold_for_all_columns_or_for_each() {
        assert!(!Formats::TEXT.is_binary(3));
        assert!(Formats::new(vec![true]).is_binary(3));
        let each = Formats::new(vec![false, true]);
        assert!(!each.is_binary(0) && each.is_binary(1));
    }

    #[test]
    fn a_number_too_large_for_its_column_is_shown_as_the_largest() {
        let large = Value::Number(u64::MAX);
        assert_eq!(encode(&large, Type::Int4, false), Some(b"2147483647".to_vec()));
        assert_eq!(encode(&large, Type::Numeric, false), Some(u64::MAX.to_string().into_bytes()));
        assert_eq!(encode(&Value::Null, Type::Text, true), None);
    }
}
