//! Sort keys: a row's, as bytes that compare as the shards sorted the rows.

use super::SortKey;
use super::columns::Column;
use super::row::Row;
use crate::datum::order::{Order, Style};
use crate::error::SqlError;
use crate::sqlstate;

/// Before the bytes of a value that is not NULL; NULL has the lower or the higher one, and no bytes.
const NULL_FIRST: u8 = 0;
const PRESENT: u8 = 1;
const NULL_LAST: u8 = 2;
const END: u8 = 3;

/// The keys of an execution, resolved by what the shards say of their columns.
#[derive(Debug, Default)]
pub(super) struct Keys {
    list: Vec<Key>,
    /// How many leading keys make a group.
    by: usize,
    /// How many leading columns have to be looked at.
    pub(super) columns: usize,
}

#[derive(Clone, Debug)]
struct Key {
    column: usize,
    order: Order,
    is_binary: bool,
    descending: bool,
    null: u8,
    name: Box<str>,
}

/// A row's keys.
#[derive(Debug, Default)]
pub(super) struct KeyBytes {
    /// They compare as the rows are sorted.
    pub(super) bytes: Vec<u8>,
    /// How many of them tell the group.
    group_len: usize,
}

impl KeyBytes {
    /// Behind the last row: higher than every key.
    pub(super) fn end(&mut self) {
        self.bytes.clear();
        self.bytes.push(END);
        self.group_len = 0;
    }

    /// The bytes by which rows are grouped.
    pub(super) fn group(&self) -> &[u8] {
        self.bytes.get(..self.group_len).unwrap_or_default()
    }
}

impl Keys {
    /// # Errors
    /// `0A000` where values of a column cannot be compared exactly.
    pub(super) fn new(
        keys: &[SortKey],
        by: usize,
        columns: &[Column],
        style: Style,
    ) -> Result<Keys, SqlError> {
        let key = |key: &SortKey| {
            let column = columns.get(key.column).ok_or_else(other_columns)?;
            let order = Order::of(column.type_oid, key.text_is_c)
                .ok_or_else(|| not_comparable(column, "this type"))?;
            if !order.is_exact(column.is_binary(), style) {
                return Err(not_comparable(column, in_style(order)));
            }
            Ok(Key {
                column: key.column,
                order,
                is_binary: column.is_binary(),
                descending: key.descending,
                null: if key.nulls_first { NULL_FIRST } else { NULL_LAST },
                name: column.shown_name().into(),
            })
        };
        let list = keys.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        let columns = keys.iter().map(|key| key.column + 1).max().unwrap_or(0);
        Ok(Keys { list, by, columns })
    }

    /// Writes a row's keys.
    ///
    /// # Errors
    /// `0A000` where a value cannot be read.
    #[inline]
    pub(super) fn encode(&self, row: &Row<'_>, out: &mut KeyBytes) -> Result<(), SqlError> {
        out.bytes.clear();
        for (at, key) in self.list.iter().enumerate() {
            if at == self.by {
                out.group_len = out.bytes.len();
            }
            let Some(value) = row.field(key.column) else {
                out.bytes.push(key.null);
                continue;
            };
            out.bytes.push(PRESENT);
            let start = out.bytes.len();
            key.order.encode(key.is_binary, value, &mut out.bytes).ok_or_else(|| unreadable(&key.name))?;
            if key.descending {
                for byte in out.bytes.get_mut(start..).unwrap_or_default() {
                    *byte = !*byte;
                }
            }
        }
        if self.by >= self.list.len() {
            out.group_len = out.bytes.len();
        }
        Ok(())
    }
}

/// What of the session keeps a type's values from being compared.
pub(super) fn in_style(order: Order) -> &'static str {
    match order {
        Order::Date | Order::Timestamp | Order::Timestamptz => "dates and times in another style than ISO",
        Order::Float4 | Order::Float8 => "floats that are not written with all their digits",
        Order::Text | Order::PaddedText => "texts in another encoding than the server's",
        Order::Interval | Order::Money => "values of this type in text format",
        _ => "this type",
    }
}

#[cold]
fn not_comparable(column: &Column, what: &str) -> SqlError {
    SqlError::refused(
        format!(
            "sorting or grouping {what} over several shards is not supported yet (column \"{}\")",
            column.shown_name()
        ),
        "Add a condition on the sharding key; or sort by a number, date, time, uuid, bytea, or text COLLATE \"C\", with DateStyle ISO and extra_float_digits at 1 or more.",
    )
}

#[cold]
pub(super) fn unreadable(column: &str) -> SqlError {
    SqlError::refused(
        format!("a value from a shard cannot be compared or combined exactly (column \"{column}\")"),
        "Add a condition on the sharding key.",
    )
}

#[cold]
pub(super) fn other_columns() -> SqlError {
    SqlError::new(sqlstate::INTERNAL_ERROR, "a shard answered with other columns than planned")
}
