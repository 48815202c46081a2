//! What a statement does to the session once it has succeeded.

use super::pin::Pins;
use super::settings::Change;

/// The effect of one completed statement.
#[derive(Clone, Debug, Default)]
pub enum Outcome {
    /// Nothing that outlives the transaction.
    #[default]
    Nothing,
    /// Settings change.
    Settings(Vec<Change>),
    /// SAVEPOINT.
    Savepoint(Box<[u8]>),
    /// RELEASE SAVEPOINT.
    Release(Box<[u8]>),
    /// ROLLBACK TO SAVEPOINT.
    RollbackTo(Box<[u8]>),
    /// PREPARE: the name, and the whole statement's text.
    Prepare {
        /// The statement's name.
        name: Box<[u8]>,
        /// `PREPARE name ... AS ...`.
        sql: Box<[u8]>,
    },
    /// DEALLOCATE of one statement.
    Deallocate(Box<[u8]>),
    /// DEALLOCATE ALL.
    DeallocateAll,
    /// DISCARD ALL.
    DiscardAll,
    /// The client keeps its connection from now on.
    Pin(Pins),
    /// The reasons to stay on the connection are gone.
    Unpin(Pins),
    /// The schema changed: statements are to be parsed afresh.
    SchemaChange {
        /// Defaults of roles or databases changed: connections must log in again.
        defaults: bool,
    },
}
