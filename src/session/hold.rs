//! Which messages wait for replies to come, because what they mean depends on them.
//!
//! Most never do: a message builds on what was sent before it in its own stretch, which the server skips together
//! with it. What waits: everything behind a statement that decides on names or settings; a name, or the statement
//! behind it, whose making or closing in an earlier stretch may have failed. The owner of the sockets holds the
//! input and asks the server to answer (Flush).

use super::server_state::ServerState;
use super::statements::{Origin, Undo};
use super::{Session, expected::Kind};
use crate::protocol::frontend;

/// How far back earlier stretches are looked through before a message waits without more ado.
const LOOK_BACK_MAX: u64 = 256;

/// What became of a client's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// It is done with.
    Taken,
    /// It is to be given again when the server has answered.
    Held,
}

/// What a message does with the prepared statement of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Bind and Describe: the server fails it where the statement is missing.
    Run,
    /// Parse and Close.
    Change,
}

impl Session {
    /// Whether a message of this type waits, whatever it says. Only asked while replies are owed.
    pub(super) fn awaits_replies(&self, tag: u8, server: &ServerState) -> bool {
        let owed = &server.expected;
        match tag {
            frontend::QUERY | frontend::PARSE => owed.is_deciding() || self.has_unsettled_settings(server),
            frontend::BIND | frontend::DESCRIBE | frontend::EXECUTE | frontend::CLOSE => owed.is_deciding(),
            _ => false,
        }
    }

    /// Whether the end of a transaction, not yet told, may change how a text is to be read: settings go back.
    fn has_unsettled_settings(&self, server: &ServerState) -> bool {
        (self.tracker.has_changes() || !server.parameters.standard_conforming_strings())
            && server.expected.may_end_transaction()
    }

    /// Whether what `name` means to the client is not settled.
    pub(super) fn is_name_unsettled(&self, name: &[u8], how: Use, server: &ServerState) -> bool {
        if name.is_empty() {
            return how == Use::Run && server.expected.is_unnamed_unsettled();
        }
        if !server.expected.has_unsettled() {
            return false;
        }
        let known = self.statement(name);
        let id = known.map_or(0, |statement| statement.id);
        // Whether what the server has under the client's own name plays a part.
        let is_sql = how == Use::Change || known.is_some_and(|statement| statement.origin == Origin::Sql);
        server.expected.look_back(LOOK_BACK_MAX, |entry, undo| match undo {
            Undo::Statement { name: noted, before, prepared } if noted.as_ref() == name => {
                // Where that Parse fails, the server lacks the statement, and says so.
                let fails_too = how == Use::Run && entry.kind == Kind::Parse && before.is_none();
                !(fails_too && *prepared == Some(id))
            }
            Undo::Statement { prepared: Some(noted), .. } | Undo::Prepared(noted) => *noted == id,
            Undo::Closed { id: noted, .. } => *noted == id,
            Undo::Named(noted) | Undo::NamedClosed { name: noted, .. } => is_sql && noted.as_ref() == name,
            Undo::Statement { .. } | Undo::Unnamed { .. } | Undo::Portal(_) | Undo::SequenceOwner(_) => false,
        })
    }

    /// Whether the server's having this statement is not settled.
    pub(super) fn is_statement_unsettled(id: u64, server: &ServerState) -> bool {
        server.expected.has_unsettled()
            && server.expected.look_back(LOOK_BACK_MAX, |_, undo| match undo {
                Undo::Statement { prepared: Some(noted), .. } | Undo::Prepared(noted) => *noted == id,
                Undo::Closed { id: noted, .. } => *noted == id,
                _ => false,
            })
    }
}
