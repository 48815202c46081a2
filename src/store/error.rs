//! What goes wrong with the store.

use super::layout::{Difference, name_of};
use super::maps::BadMap;
use crate::backend::connect::ConnectError;
use crate::catalog::BadRow;
use crate::error::SqlError;
use crate::rules::NoSuchShard;
use crate::sqlstate;

/// Why the store, or a shard, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection.
    #[error("cannot connect to shard \"{shard}\": {source}")]
    Connect {
        /// The shard.
        shard: String,
        /// Why.
        source: ConnectError,
    },
    /// The maintenance user was refused, or its connection broke.
    #[error("shard \"{shard}\": {}", reason(source))]
    Postgres {
        /// The shard.
        shard: String,
        /// What it said.
        source: tokio_postgres::Error,
    },
    /// No answer in time.
    #[error("shard \"{shard}\" does not answer the maintenance user")]
    Timeout {
        /// The shard.
        shard: String,
    },
    /// The maintenance user lacks a right.
    #[error("shard \"{shard}\": the maintenance user lacks a right: {found}")]
    Rights {
        /// The shard.
        shard: String,
        /// What the server said.
        found: String,
        /// What grants it.
        grant: String,
    },
    /// The store was made by a later Howdah.
    #[error(
        "the store on shard \"{shard}\" has version {found}, and this Howdah knows versions up to {known}"
    )]
    Newer {
        /// The shard.
        shard: String,
        /// Its version.
        found: i32,
        /// Ours.
        known: i32,
    },
    /// The server behind a shard's address is another shard, or of another cluster.
    #[error("the server configured as shard \"{shard}\" {found}")]
    Identity {
        /// The shard.
        shard: String,
        /// What it is.
        found: String,
    },
    /// The bucket map is not one of this cluster.
    #[error(transparent)]
    Map(#[from] BadMap),
    /// The bucket map does not fit the rules.
    #[error(transparent)]
    Shard(#[from] NoSuchShard),
    /// The catalog's rows make no sense.
    #[error("the catalog cannot be read: {0}")]
    Catalog(#[from] BadRow),
    /// The rules would leave rows where they do not belong.
    #[error("the sharding rules put \"{table}\" {after}, but it holds rows that lie {before}")]
    RowsWouldMove {
        /// The table.
        table: String,
        /// Its place before.
        before: String,
        /// Its place by the new rules.
        after: String,
    },
    /// Another proxy changes rules at this moment.
    #[error("another proxy is changing the sharding rules")]
    Raced,
    /// Changed rules could not be agreed on now.
    #[error("the changed sharding rules are not in force yet: {0}")]
    NotAgreed(String),
    /// The store changed while it was read, or lacks what it should hold.
    #[error("the store on the home shard {0}")]
    Broken(&'static str),
}

/// Whether nobody of that name, with that password, gets into that database.
fn is_refused_login(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("28") || code.code() == "3D000")
}

/// What the server said, or what happened to the connection.
fn reason(error: &tokio_postgres::Error) -> String {
    if let Some(told) = error.as_db_error() {
        return format!("{} ({})", told.message(), told.code().code());
    }
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl StoreError {
    /// From what Postgres said to a statement on this shard; `grant` is what gives the right that it may lack.
    pub(super) fn of(shard: &str, grant: &str, source: tokio_postgres::Error) -> StoreError {
        let lacks_right = source.code() == Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE);
        let shard = shard.to_owned();
        if lacks_right {
            return StoreError::Rights { shard, found: reason(&source), grant: grant.to_owned() };
        }
        StoreError::Postgres { shard, source }
    }

    /// Rows of a table would have to move first.
    pub(super) fn would_move(difference: &Difference) -> StoreError {
        StoreError::RowsWouldMove {
            table: name_of(&difference.subject),
            before: difference.before.clone(),
            after: difference.after.clone(),
        }
    }

    /// Whether trying again may help with nothing changed by hand.
    pub fn is_passing(&self) -> bool {
        match self {
            StoreError::Connect { source, .. } => source.is_transient(),
            StoreError::Postgres { source, .. } => !is_refused_login(source),
            StoreError::Timeout { .. } | StoreError::Raced | StoreError::NotAgreed(_) => true,
            _ => false,
        }
    }

    /// What helps.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            StoreError::Rights { grant, .. } => grant.clone(),
            StoreError::Newer { .. } => "Upgrade this Howdah.".to_owned(),
            StoreError::Identity { .. } => {
                "Correct the shards' addresses and databases in the configuration; to give up what a database was before: DROP SCHEMA howdah CASCADE there.".to_owned()
            }
            StoreError::Map(BadMap::ShardIsGone { shard, .. }) => {
                format!("Put shard \"{shard}\" back into the configuration; a shard can leave once its buckets were moved.")
            }
            StoreError::RowsWouldMove { table, .. } => {
                format!("Take the rule back, or move the rows with: howdah distribute {table}")
            }
            StoreError::Postgres { source, .. } if is_refused_login(source) => {
                "Let the maintenance user log in on every shard: maintenance_user and maintenance_password in the configuration, a role of that name that may log in, and the server's pg_hba.conf.".to_owned()
            }
            _ => return None,
        })
    }

    /// What a client is told whose statement cannot be planned for this reason.
    pub fn to_sql_error(&self) -> SqlError {
        let code = if self.is_passing() {
            sqlstate::CANNOT_CONNECT_NOW
        } else {
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE
        };
        // Hosts are in the log; a client is told shards' names.
        let detail = match self {
            StoreError::Connect { shard, .. } => {
                format!("shard \"{shard}\" cannot be connected to by the maintenance user")
            }
            other => other.to_string(),
        };
        let error = SqlError::new(code, "the cluster's store is not usable, so nothing can be planned")
            .with_detail(detail);
        match self.hint() {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}
