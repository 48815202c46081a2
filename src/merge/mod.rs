//! Puts the shards' answers together: a push machine without I/O.
//!
//! The executor pushes each shard's messages in; the machine says what goes on to the client. It never
//! guesses: where the shards' answers cannot be combined exactly it fails before the first row went out.

mod aggregate;
mod columns;

use crate::error::SqlError;
use crate::ids::ShardId;
use crate::protocol::write;
use crate::sqlstate;
use aggregate::Accumulator;
use columns::Column;

/// How answers are put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeKind {
    /// All rows, in any order.
    Concat,
    /// One row: each column is combined from one value per shard.
    Aggregate(Vec<Combine>),
}

/// How one column of an aggregate's row is combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// `count`: the sum of bigints, never NULL.
    Count,
    /// `sum`.
    Sum,
    /// `min`.
    Min,
    /// `max`.
    Max,
}

/// What to do with a RowDescription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Described {
    /// Other shards have not described their rows yet: send nothing, and no row of any shard.
    Waiting,
    /// All shards agree: send [`Merge::description`], once, if the client asked for it; rows may flow.
    Ready,
}

/// The machine for one execution.
#[derive(Debug)]
pub struct Merge {
    kind: MergeKind,
    home: ShardId,
    /// Shards that have not described their rows.
    undescribed: u16,
    /// The body that clients see: the home shard's once it is there, until then another's.
    description: Vec<u8>,
    columns: Vec<Column>,
    accumulators: Vec<Accumulator>,
    rows: u64,
}

impl Merge {
    /// For one execution over `shards` shards; `home` is the shard whose RowDescription clients see.
    pub fn new(kind: &MergeKind, shards: u16, home: ShardId) -> Merge {
        Merge {
            kind: kind.clone(),
            home,
            undescribed: shards,
            description: Vec::new(),
            columns: Vec::new(),
            accumulators: Vec::new(),
            rows: 0,
        }
    }

    /// Whether DataRow frames go on to the client as they are, without [`Merge::data_row`].
    pub fn forwards_rows(&self) -> bool {
        self.kind == MergeKind::Concat
    }

    /// Takes a shard's RowDescription body, once per shard. Aggregates need it (the executor asks for it
    /// with Describe in the extended protocol, whether the client did or not).
    ///
    /// # Errors
    /// `0A000` where the shards' columns differ, or a type cannot be combined exactly; `08P01` for a body
    /// that is none.
    pub fn row_description(&mut self, shard: ShardId, body: &[u8]) -> Result<Described, SqlError> {
        let columns = columns::read(body)?;
        if self.description.is_empty() {
            if let MergeKind::Aggregate(combines) = &self.kind {
                self.accumulators = aggregate::accumulators(combines, &columns)?;
            }
            self.description = body.to_vec();
            self.columns = columns;
        } else {
            columns::agree(&self.columns, &columns)?;
            if shard == self.home {
                self.description = body.to_vec();
            }
        }
        self.undescribed = self.undescribed.saturating_sub(1);
        Ok(if self.undescribed == 0 { Described::Ready } else { Described::Waiting })
    }

    /// The RowDescription body for the client, once [`Described::Ready`].
    pub fn description(&self) -> Option<&[u8]> {
        (self.undescribed == 0).then_some(&self.description)
    }

    /// Takes a DataRow body, where [`Merge::forwards_rows`] is false.
    ///
    /// # Errors
    /// `0A000` where a value cannot be read exactly (a date that is not in ISO style).
    pub fn data_row(&mut self, body: &[u8]) -> Result<(), SqlError> {
        aggregate::take_row(&mut self.accumulators, body)
    }

    /// Takes a shard's CommandComplete body: `SELECT n`, with or without its final zero.
    ///
    /// # Errors
    /// `XX000` for a tag that a SELECT cannot give.
    pub fn complete(&mut self, tag: &[u8]) -> Result<(), SqlError> {
        let tag = tag.strip_suffix(&[0]).unwrap_or(tag);
        let count = tag.strip_prefix(b"SELECT ").and_then(|count| std::str::from_utf8(count).ok());
        let count: Option<u64> = count.and_then(|count| count.parse().ok());
        let Some(count) = count else {
            return Err(SqlError::new(sqlstate::INTERNAL_ERROR, "unexpected command tag from a shard"));
        };
        self.rows += count;
        Ok(())
    }

    /// Appends what is left to send: rows that were held, then CommandComplete.
    ///
    /// # Errors
    /// `22003` where a sum leaves its type's range.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let rows = match self.kind {
            MergeKind::Concat => self.rows,
            MergeKind::Aggregate(_) => {
                let values = self.accumulators.into_iter().map(Accumulator::finish);
                let values = values.collect::<Result<Vec<_>, _>>()?;
                let values: Vec<Option<&[u8]>> = values.iter().map(Option::as_deref).collect();
                write::data_row(out, &values);
                1
            }
        };
        write::command_complete(out, &format!("SELECT {rows}"));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
