//! One shard's part of an execution: what it has sent, and how far it is.

use super::inbox::{Head, Inbox};
use crate::error::SqlError;
use crate::protocol::backend;
use crate::protocol::frame::BadLength;

/// While a leg that is ahead of the others holds less than this, it may be read, so that its end or error
/// shows.
pub(super) const READ_AHEAD_MAX: usize = 32 * 1024;

/// Whether a leg is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Nothing goes on without it.
    Bytes,
    /// It is ahead, and there is room for some more.
    Ahead,
    /// No.
    Nothing,
}

/// How far a leg is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has not described its columns.
    #[default]
    Opening,
    /// It sends rows.
    Rows,
    /// It has told its command's completion.
    Ended,
    /// It owes nothing.
    Closed,
}

#[derive(Debug, Default)]
pub(super) struct Leg {
    pub(super) inbox: Inbox,
    pub(super) phase: Phase,
    /// Bytes of a row to be dropped that have not come.
    dropping: usize,
}

impl Leg {
    #[inline]
    pub(super) fn head(&self) -> Result<Head, SqlError> {
        self.inbox.head().map_err(|bad: BadLength| SqlError::protocol(bad.to_string()))
    }

    /// Drops rows, whole or not, up to the next message that is none.
    pub(super) fn drop_rows(&mut self) -> Result<(), SqlError> {
        loop {
            let part = self.dropping.min(self.inbox.len());
            self.inbox.take(part);
            self.dropping -= part;
            if self.dropping > 0 {
                return Ok(());
            }
            match self.head()? {
                Head::Frame(backend::DATA_ROW, len) => self.inbox.take(len),
                Head::Partial(Some((backend::DATA_ROW, len))) => self.dropping = len,
                Head::Frame(..) | Head::Partial(_) => return Ok(()),
            }
        }
    }

    /// Whether a whole message is there.
    pub(super) fn has_message(&self) -> bool {
        matches!(self.inbox.head(), Ok(Head::Frame(..)) | Err(_))
    }
}
