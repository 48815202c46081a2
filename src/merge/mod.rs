//! Puts the shards' answers together: a push machine without I/O.
//!
//! The executor pushes each shard's messages in; the machine says what goes on to the client. It never
//! guesses: where the shards' answers cannot be combined exactly it fails before the first row went out.

use crate::error::SqlError;
use crate::ids::ShardId;

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
}

impl Merge {
    /// For one execution over `shards` shards; `home` is the shard whose RowDescription clients see.
    pub fn new(kind: &MergeKind, shards: u16, home: ShardId) -> Merge {
        let _ = (shards, home);
        Merge { kind: kind.clone() }
    }

    /// Whether DataRow frames go on to the client as they are, without [`Merge::data_row`].
    pub fn forwards_rows(&self) -> bool {
        self.kind == MergeKind::Concat
    }

    /// Takes a shard's RowDescription body. Aggregates need it (the executor asks for it with Describe in
    /// the extended protocol, whether the client did or not).
    ///
    /// # Errors
    /// `0A000` where the shards' columns differ, or a type cannot be combined exactly.
    pub fn row_description(&mut self, shard: ShardId, body: &[u8]) -> Result<Described, SqlError> {
        let _ = (shard, body);
        Ok(Described::Waiting)
    }

    /// The home shard's RowDescription body, once [`Described::Ready`].
    pub fn description(&self) -> Option<&[u8]> {
        None
    }

    /// Takes a DataRow body, where [`Merge::forwards_rows`] is false.
    ///
    /// # Errors
    /// `22003` where a sum leaves its type's range; `0A000` where a value cannot be read exactly.
    pub fn data_row(&mut self, body: &[u8]) -> Result<(), SqlError> {
        let _ = body;
        Ok(())
    }

    /// Takes a shard's CommandComplete body (its tag's bytes, with or without the final zero).
    ///
    /// # Errors
    /// `XX000` for a tag that a SELECT cannot give.
    pub fn complete(&mut self, tag: &[u8]) -> Result<(), SqlError> {
        let _ = tag;
        Ok(())
    }

    /// Appends what is left to send: rows that were held, then CommandComplete.
    ///
    /// # Errors
    /// `22003` where a sum leaves its type's range.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let _ = out;
        Ok(())
    }
}
