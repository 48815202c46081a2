//! The simple protocol: one Query message, perhaps of several statements.

use super::describe::{self, Described};
use super::expected::{Expected, Kind, OnError, Outcomes};
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
        let mut outcomes = Outcomes { list: Vec::new(), done: 0, hidden: Vec::new() };
        let mut added = Added { text: Vec::new(), copied: 0, characters: 0, places: Vec::new() };
        for (at, one) in described.into_iter().enumerate() {
            self.pin(one.pins);
            self.forget_others_sequences(one.traits, true, server, to_server);
            self.note_sequence(one.traits, server);
            if one.traits.lists_prepared {
                self.materialise_all(server, to_server, true);
            }
            for name in &one.refers_to {
                self.materialise(name, server, to_server, true);
            }
            let restored = self.restored_after(&one.outcome);
            outcomes.list.push(one.outcome);
            let end = tools.scanned.get(at).map_or(sql.len(), |statement| statement.end);
            for (change, replay) in restored {
                added.add(sql, end, &replay);
                let mut scanned = Default::default();
                scan(&replay, scs, &mut scanned);
                for _ in scanned.iter() {
                    outcomes.hidden.push(outcomes.list.len());
                    outcomes.list.push(Outcome::Settings(vec![change.clone()]));
                }
            }
        }
        let nothing = outcomes.list.iter().all(|outcome| matches!(outcome, Outcome::Nothing));
        if nothing {
            self.send_query(frame, None, server, to_server);
            return;
        }
        if added.places.is_empty() {
            self.send_query(frame, Some(outcomes), server, to_server);
            return;
        }
        added.copy(sql, sql.len());
        let mut longer = Vec::with_capacity(added.text.len() + 8);
        write::query(&mut longer, &added.text);
        self.send_query(&longer, Some(outcomes), server, to_server);
        if let Some(entry) = server.expected.back_mut() {
            entry.on_error = Some(OnError::Shift(added.places));
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
    /// know: what is to be run after the RESET that has this outcome, in the same transaction.
    pub(super) fn restored_after(&self, outcome: &Outcome) -> Vec<(Change, Box<[u8]>)> {
        let Outcome::Settings(changes) = outcome else { return Vec::new() };
        let startup = self.tracker.startup();
        let restored = |change: &Change| -> Vec<(&str, &[u8])> {
            match change {
                Change::Reset { name } => {
                    startup.iter().filter(|(known, _)| *known == name.as_ref()).collect()
                }
                Change::ResetAll { .. } => startup.iter().collect(),
                Change::Set { .. } => Vec::new(),
            }
        };
        let list = changes.iter().flat_map(restored);
        list.map(|(name, replay)| (Change::Set { name: name.into(), replay: replay.into() }, replay.into()))
            .collect()
    }
}

/// A Query's text as it is sent, with what Howdah adds between the client's statements.
struct Added {
    text: Vec<u8>,
    /// How much of the client's text is in `text`.
    copied: usize,
    /// How many characters are in `text`.
    characters: usize,
    /// Where something was added, and how much, in characters.
    places: Vec<(usize, usize)>,
}

impl Added {
    fn copy(&mut self, sql: &[u8], end: usize) {
        let part = sql.get(self.copied..end).unwrap_or_default();
        self.push(part);
        self.copied = end;
    }

    fn add(&mut self, sql: &[u8], end: usize, statement: &[u8]) {
        self.copy(sql, end);
        let before = self.characters;
        // A line comment may end here.
        self.push(b"\n;");
        self.push(statement);
        self.places.push((before, self.characters - before));
    }

    fn push(&mut self, part: &[u8]) {
        self.characters += part.iter().filter(|byte| *byte & 0xc0 != 0x80).count();
        self.text.extend_from_slice(part);
    }
}

pub(super) fn blocks_refused() -> SqlError {
    SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, "transaction blocks are not allowed in statement pooling")
        .with_hint("Use pooling = \"transaction\" for this database.")
}
