//! The simple protocol: one Query message, perhaps of several statements.

use super::describe::{self, Described};
use super::expected::{Expected, Kind, OnError, Outcomes};
use super::extended::{Doing, NESTING_MAX};
use super::hold::Step;
use super::materialise::sync_own;
use super::outcome::Outcome;
use super::server_state::ServerState;
use super::settings::Change;
use super::statements::{Traits, Undo};
use super::{Pooling, Session, Tools, push_simple};
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
    ) -> Step {
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
            traits.commits |= describe::commits(statement);
            traits.opens_block |= statement.kind == crate::sql::Kind::Begin;
            traits.ends_block |= describe::ends_block(statement);
        }
        if plain {
            self.note_sequence(traits, server);
            self.send_query(frame, None, traits, server, to_server);
            return Step::Taken;
        }
        let mut described: Vec<Described> =
            tools.scanned.iter().map(|statement| describe::describe(sql, statement, scs, hidden)).collect();
        let says_names = described.iter().any(|one| one.traits.lists_prepared || !one.refers_to.is_empty());
        let prepares = says_names || described.iter().any(|one| one.traits.reads_sequence_state);
        // Not before it is known whether the Query will be skipped, for the next Sync would be Howdah's own.
        if (says_names && server.expected.has_unsettled()) || (prepares && server.expected.may_skip_next()) {
            return Step::Held;
        }
        for one in &mut described {
            self.add_what_is_executed(one);
            traits = traits.and(one.traits);
        }
        if let Some(error) = self.refusal(&described, server) {
            Session::fail(server, true, error, to_server);
            return Step::Taken;
        }
        self.send_described(frame, described, traits, server, tools, to_server);
        Step::Taken
    }

    /// Sends a Query that does something to the session, and before it what its statements need.
    fn send_described(
        &mut self,
        frame: &[u8],
        described: Vec<Described>,
        traits: Traits,
        server: &mut ServerState,
        tools: &Tools<'_>,
        to_server: &mut Vec<u8>,
    ) {
        let sql = query_text(frame);
        let scs = server.parameters.standard_conforming_strings();
        let owed = server.expected.len();
        // Inside messages that await their Sync, the Sync of ours comes after the Query, or it would end their
        // transaction.
        let is_apart = !server.unsynced;
        server.own_error = None;
        for one in &described {
            self.pin(one.pins);
            self.forget_others_sequences(one.traits, server, to_server);
            self.note_sequence(one.traits, server);
            if one.traits.lists_prepared {
                self.materialise_all(server, to_server, is_apart);
            }
            self.materialise_names(&one.refers_to, NESTING_MAX, server, to_server);
        }
        let is_prepared = server.expected.len() > owed;
        if is_prepared && is_apart {
            sync_own(server, to_server);
        }
        let mut outcomes = Vec::new();
        let mut hidden = Vec::new();
        let mut added = Added { text: Vec::new(), copied: 0, characters: 0, places: Vec::new() };
        for (at, one) in described.into_iter().enumerate() {
            let restored = self.restored_after(&one.outcome);
            outcomes.push(one.outcome);
            let end = tools.scanned.get(at).map_or(sql.len(), |statement| statement.end);
            for (change, replay) in restored {
                added.add(sql, end, &replay);
                let mut scanned = Default::default();
                scan(&replay, scs, &mut scanned);
                for _ in scanned.iter() {
                    hidden.push(outcomes.len());
                    outcomes.push(Outcome::Settings(vec![change.clone()]));
                }
            }
        }
        let nothing = outcomes.iter().all(|outcome| matches!(outcome, Outcome::Nothing));
        let outcomes = (!nothing).then(|| Outcomes::new(outcomes, hidden));
        if added.places.is_empty() {
            self.send_query(frame, outcomes, traits, server, to_server);
            if let Some(entry) = server.expected.back_mut().filter(|_| is_prepared) {
                entry.on_error = Some(OnError::Preceding);
            }
        } else {
            added.copy(sql, sql.len());
            let mut longer = Vec::with_capacity(added.text.len() + 8);
            write::query(&mut longer, &added.text);
            self.send_query(&longer, outcomes, traits, server, to_server);
            if let Some(entry) = server.expected.back_mut() {
                entry.on_error = Some(OnError::Shift(added.places));
            }
        }
        if is_prepared && !is_apart {
            sync_own(server, to_server);
        }
    }

    /// EXECUTE does what the statement does that it names.
    fn add_what_is_executed(&self, one: &mut Described) {
        if one.refers_to.is_empty() {
            return;
        }
        let mut doing =
            Doing { outcome: std::mem::take(&mut one.outcome), pins: one.pins, traits: one.traits };
        self.add_referred(&one.refers_to, NESTING_MAX, &mut doing);
        (one.outcome, one.pins, one.traits) = (doing.outcome, doing.pins, doing.traits);
    }

    fn send_query(
        &mut self,
        frame: &[u8],
        outcomes: Option<Outcomes>,
        traits: Traits,
        server: &mut ServerState,
        to_server: &mut Vec<u8>,
    ) {
        // A Query drops the unnamed statement.
        let (before, unnamed) = (self.unnamed.take(), std::mem::take(&mut server.unnamed));
        let mut entry = Expected::client(Kind::Query);
        entry.outcomes = outcomes.map(Box::new);
        let may_be_skipped = server.unsynced && (before.is_some() || unnamed != 0);
        if may_be_skipped || server.expected.has_noted_unnamed() {
            // It may be skipped; or what is taken back of those before it is not to come back behind it.
            entry.undo = Some(Box::new(Undo::Unnamed { before, server: unnamed }));
        }
        push_simple(server, entry);
        if traits.opens_block {
            server.expected.note_opening();
        }
        if traits.ends_block {
            server.expected.note_ending();
        }
        server.committing |= traits.commits;
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
                Change::Set { .. } | Change::Know { .. } => Vec::new(),
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
