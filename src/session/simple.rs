//! The simple protocol: one Query message, perhaps of several statements.

use super::describe::{self, Described};
use super::expected::{Expected, Kind, Outcomes};
use super::outcome::Outcome;
use super::server_state::ServerState;
use super::settings::Change;
use super::statements::Traits;
use super::{Pooling, Session, Tools};
use crate::error::SqlError;
use crate::protocol::frame::HEADER_LEN;
use crate::protocol::write;
use crate::sql::scan::scan;
use crate::sqlstate;

/// A Query message's text: without the header and the terminating zero.
pub fn query_text(frame: &[u8]) -> &[u8] {
    let body = frame.get(HEADER_LEN..).unwrap_or_default();
    let end = memchr::memchr(0, body).unwrap_or(body.len());
    body.get(..end).unwrap_or_default()
}

impl Session {
    pub(super) fn query(
        &mut self,
        frame: &[u8],
        server: &mut ServerState,
        tools: &mut Tools<'_>,
        to_server: &mut Vec<u8>,
    ) {
        let sql = query_text(frame);
        let scs = server.parameters.standard_conforming_strings();
        scan(sql, scs, tools.scanned);
        let hidden = tools.hidden;
        let mut plain = true;
        let mut traits = Traits::default();
        for statement in tools.scanned.iter() {
            plain &= describe::is_plain(statement, hidden)
                || (statement.kind == crate::sql::Kind::Begin && self.pooling != Pooling::Statement);
            traits.advances_sequence |= describe::may_advance_sequence(statement);
            server.committing |= describe::commits(statement);
        }
        if plain {
            self.note_sequence(traits, server);
            self.send_query(frame, None, server, to_server);
            return;
        }
        let described: Vec<Described> =
            tools.scanned.iter().map(|statement| describe::describe(sql, statement, scs, hidden)).collect();
        if let Some(error) = self.refusal(&described, server) {
            Session::fail(server, true, error, to_server);
            return;
        }
        let mut outcomes = Outcomes { list: Vec::new(), done: 0, visible: described.len() };
        for one in described {
            self.pin(one.pins);
            self.forget_others_sequences(one.traits, true, server, to_server);
            self.note_sequence(one.traits, server);
            if one.traits.lists_prepared {
                self.materialise_all(server, to_server, true);
            }
            for name in &one.refers_to {
                self.materialise(name, server, to_server, true);
            }
            outcomes.list.push(one.outcome);
        }
        let nothing = outcomes.list.iter().all(|outcome| matches!(outcome, Outcome::Nothing));
        if nothing {
            self.send_query(frame, None, server, to_server);
            return;
        }
        match self.restored_after_reset(&outcomes) {
            Some(suffix) => {
                let mut text = sql.to_vec();
                text.extend_from_slice(b"\n;");
                text.extend_from_slice(&suffix.0);
                outcomes.list.push(Outcome::Settings(suffix.1));
                let mut longer = Vec::with_capacity(text.len() + 8);
                write::query(&mut longer, &text);
                self.send_query(&longer, Some(outcomes), server, to_server);
            }
            None => self.send_query(frame, Some(outcomes), server, to_server),
        }
    }

    fn send_query(
        &mut self,
        frame: &[u8],
        outcomes: Option<Outcomes>,
        server: &mut ServerState,
        to_server: &mut Vec<u8>,
    ) {
        // A Query drops the unnamed statement.
        self.unnamed = None;
        server.unnamed = 0;
        let mut entry = Expected::client(Kind::Query);
        entry.outcomes = outcomes.map(Box::new);
        server.expected.push_back(entry);
        to_server.extend_from_slice(frame);
    }

    fn refusal(&self, described: &[Described], server: &ServerState) -> Option<SqlError> {
        if self.pooling == Pooling::Statement && described.iter().any(|one| one.traits.opens_block) {
            return Some(blocks_refused());
        }
        let mut advanced = false;
        described.iter().find_map(|one| {
            advanced |= one.traits.advances_sequence;
            if advanced { None } else { self.misses_sequence_state(one.traits, server) }
        })
    }

    /// RESET returns a setting to the startup packet's value, which the pooled connection does not
    /// know: the SET that does it is appended to the statement, in the same implicit transaction, so
    /// that the client is told of the outcome only.
    fn restored_after_reset(&self, outcomes: &Outcomes) -> Option<(Vec<u8>, Vec<Change>)> {
        let [Outcome::Settings(changes)] = outcomes.list.as_slice() else { return None };
        let startup = self.tracker.startup();
        let restored: Vec<(&str, &[u8])> = match changes.as_slice() {
            [Change::Reset { name }] => {
                startup.get(name).map(|replay| vec![(name.as_ref(), replay)]).unwrap_or_default()
            }
            [Change::ResetAll { .. }] => startup.iter().collect(),
            _ => Vec::new(),
        };
        if restored.is_empty() {
            return None;
        }
        let sql: Vec<&[u8]> = restored.iter().map(|(_, replay)| *replay).collect();
        let changes = restored
            .iter()
            .map(|(name, replay)| Change::Set { name: (*name).into(), replay: (*replay).into() })
            .collect();
        Some((sql.join(&b"\n;"[..]), changes))
    }
}

pub(super) fn blocks_refused() -> SqlError {
    SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, "transaction blocks are not allowed in statement pooling")
        .with_hint("Use pooling = \"transaction\" for this database.")
}
