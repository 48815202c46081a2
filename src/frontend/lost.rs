//! Messages that could not be served, and servers that were lost while they served: what the client is told.

use super::client::{Client, End};
use super::routed::Routed;
use crate::backend::ServerConnection;
use crate::error::{Severity, SqlError};
use crate::protocol::{TransactionStatus, frontend, write};
use crate::session::expected::Kind;
use crate::sqlstate;

/// What the client waits for when the server is lost.
enum Owed {
    Nothing,
    /// An error, and ReadyForQuery.
    Ready,
    /// An error; the client has yet to send Sync.
    UntilSync,
    /// An error; what follows is told by whoever runs the step.
    Step,
}

impl Client {
    /// Tells the client that its message could not be served.
    pub(super) fn tell_failure(&mut self, tag: u8, error: &SqlError) -> Result<(), End> {
        if error.severity == Severity::Fatal {
            return Err(End::Told(error.clone()));
        }
        self.note_stop();
        write::error_response(&mut self.out, error);
        match tag {
            frontend::QUERY | frontend::FUNCTION_CALL => {
                write::ready_for_query(&mut self.out, self.session.status());
            }
            frontend::SYNC => write::ready_for_query(&mut self.out, self.session.status()),
            _ => self.session.set_skipping(true),
        }
        Ok(())
    }

    /// The server connection broke while it was held.
    pub(super) fn server_gone(&mut self, in_message: bool, reason: Option<&'static str>) -> Result<(), End> {
        let shard = self.lease.as_ref().map(|lease| lease.pool().shard.clone()).unwrap_or_default();
        if let Some(reason) = reason {
            tracing::error!(%shard, reason, "closing a server connection that is out of step");
        }
        let pinned = !self.session.pins().is_empty();
        let in_steps = self.routed.as_deref().is_some_and(Routed::is_in_steps);
        let awaits_sync = self.is_implicit();
        let (owed, told, committing) = match self.lease.as_mut().and_then(|lease| lease.connection()) {
            Some(connection) => {
                let state = &connection.state;
                (
                    owed(connection, in_steps, awaits_sync),
                    state.failed || (pinned && state.is_ending),
                    state.committing,
                )
            }
            None => (Owed::Nothing, false, false),
        };
        let lost = if committing { lost_in_commit(&shard) } else { lost(&shard) };
        self.drop_lease();
        self.discard_parked();
        self.session.server_lost();
        if in_message || pinned {
            // What the session kept on the server, or the message half told, cannot be made good.
            return Err(if in_message || told {
                End::Gone
            } else {
                End::Told(SqlError { severity: Severity::Fatal, ..lost })
            });
        }
        let was = self.session.status();
        if was != TransactionStatus::Idle {
            self.session.set_status(TransactionStatus::Failed);
        }
        self.note_stop();
        match owed {
            Owed::Nothing if was == TransactionStatus::Idle => {}
            Owed::Nothing => self.untold = Some(Box::new(lost)),
            Owed::Ready => {
                if !told {
                    write::error_response(&mut self.out, &lost);
                }
                write::ready_for_query(&mut self.out, self.session.status());
            }
            Owed::UntilSync => {
                if !told {
                    write::error_response(&mut self.out, &lost);
                }
                self.session.set_skipping(true);
            }
            Owed::Step if told => {}
            Owed::Step => write::error_response(&mut self.out, &lost),
        }
        Ok(())
    }
}

fn owed(connection: &ServerConnection, in_steps: bool, awaits_sync: bool) -> Owed {
    let mut list = connection
        .state
        .expected
        .iter()
        .filter(|entry| entry.audience == crate::session::expected::Audience::Client);
    if in_steps || list.clone().any(|entry| entry.hides_ready) {
        Owed::Step
    } else if list.clone().any(|entry| matches!(entry.kind, Kind::Query | Kind::Sync | Kind::FunctionCall)) {
        Owed::Ready
    } else if list.next().is_some() || connection.state.skipping || connection.state.unsynced || awaits_sync {
        Owed::UntilSync
    } else {
        Owed::Nothing
    }
}

pub(super) fn lost(shard: &str) -> SqlError {
    SqlError::new(
        sqlstate::CONNECTION_FAILURE,
        format!(
            "the connection to shard \"{shard}\" was lost: whether the statement took effect is not known"
        ),
    )
}

fn lost_in_commit(shard: &str) -> SqlError {
    SqlError::new(
        sqlstate::TRANSACTION_RESOLUTION_UNKNOWN,
        format!(
            "the connection to shard \"{shard}\" was lost during COMMIT: whether the transaction is committed is not known"
        ),
    )
    .with_hint("Look whether its changes are there before doing it again.")
}
