//! What a statement does to the session once it has succeeded.

use super::pin::Pins;
use super::settings::{Change, is_custom};

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

impl Outcome {
    /// Whether what the client's names and settings mean depends on it. (What ROLLBACK TO does to settings is
    /// that a transaction's end, or a part of it, takes them back.)
    pub fn decides(&self) -> bool {
        match self {
            Outcome::Settings(changes) => changes.iter().any(|change| !matches!(change, Change::Know { .. })),
            Outcome::Prepare { .. }
            | Outcome::Deallocate(_)
            | Outcome::DeallocateAll
            | Outcome::DiscardAll => true,
            Outcome::Nothing
            | Outcome::Savepoint(_)
            | Outcome::Release(_)
            | Outcome::RollbackTo(_)
            | Outcome::Pin(_)
            | Outcome::Unpin(_)
            | Outcome::SchemaChange { .. } => false,
        }
    }

    /// The custom settings that are known afterwards, perhaps also when it failed.
    pub fn custom_settings(&self) -> impl Iterator<Item = &str> {
        let changes = match self {
            Outcome::Settings(changes) => changes.as_slice(),
            _ => &[],
        };
        let names = changes.iter().filter_map(|change| match change {
            Change::Set { name, .. } | Change::Know { name } => Some(name.as_ref()),
            Change::Reset { .. } | Change::ResetAll { .. } => None,
        });
        names.filter(|name| is_custom(name))
    }
}
