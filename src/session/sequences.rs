//! Last values of sequences, which only a server session knows.

use super::Session;
use super::materialise::run_utility;
use super::outcome::Outcome;
use super::server_state::ServerState;
use super::statements::{Traits, Undo};
use crate::error::SqlError;

impl Session {
    /// Whether `statement` asks for a sequence's last value that this connection does not have.
    pub(super) fn misses_sequence_state(&self, traits: Traits, server: &ServerState) -> Option<SqlError> {
        if !traits.reads_sequence_state || traits.advances_sequence || server.sequence_owner == self.id {
            return None;
        }
        self.sequence_used.then(|| {
            SqlError::refused(
                "currval() and lastval() are not known on this server connection",
                "Use INSERT ... RETURNING, call them in the transaction that advanced the sequence, or use pooling = \"session\".",
            )
            .with_detail("The sequence was advanced in an earlier transaction, on a connection that has since served other clients.")
        })
    }

    /// Before a read of a sequence's last value by a client that has advanced none: what other clients
    /// advanced here is forgotten, so that Postgres answers as it answers a session of its own.
    pub(super) fn forget_others_sequences(
        &self,
        traits: Traits,
        server: &mut ServerState,
        to_server: &mut Vec<u8>,
    ) {
        if traits.reads_sequence_state
            && !matches!(server.sequence_owner, 0)
            && server.sequence_owner != self.id
        {
            let owner = std::mem::take(&mut server.sequence_owner);
            let undo = Some(Undo::SequenceOwner(owner));
            run_utility(b"DISCARD SEQUENCES", undo, Outcome::Nothing, server, to_server);
        }
    }

    pub(super) fn note_sequence(&mut self, traits: Traits, server: &mut ServerState) {
        if traits.advances_sequence {
            self.sequence_used = true;
            server.sequence_owner = self.id;
        }
    }
}
