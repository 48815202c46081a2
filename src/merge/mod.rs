//! Puts the shards' answers together: a push machine without I/O.
//!
//! The executor pushes each shard's messages in; the machine says what goes on to the client. It never
//! guesses: where the shards' answers cannot be combined exactly it fails before the first row went out.

mod aggregate;
mod columns;
mod plan;

pub use plan::{Combine, LimitSource, Limits, MergeKind, MergePlan, OutputColumn, SortKey};

use crate::error::SqlError;
use crate::ids::ShardId;
use crate::protocol::write;
use crate::sqlstate;
use aggregate::Accumulator;
use columns::Column;

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
    plan: MergePlan,
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
    pub fn new(plan: &MergePlan, shards: u16, home: ShardId) -> Merge {
        Merge {
            plan: plan.clone(),
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
        self.plan.kind == MergeKind::Concat
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
            match &self.plan.kind {
                MergeKind::Concat => {}
                MergeKind::Aggregate(outputs) => {
                    self.accumulators = aggregate::accumulators(outputs, &columns)?;
                }
                MergeKind::Ordered(_) | MergeKind::Grouped { .. } => {
                    return Err(SqlError::new(sqlstate::INTERNAL_ERROR, "a merge of this kind is not built"));
                }
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
        let rows = match self.plan.kind {
            MergeKind::Concat | MergeKind::Ordered(_) | MergeKind::Grouped { .. } => self.rows,
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
