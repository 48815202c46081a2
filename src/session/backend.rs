//! Server messages: what they end, what the client sees of them.

use super::expected::{Audience, Expected, Kind};
use super::failure::{is_cancellation, timeout_error};
use super::oids::in_home_oids;
use super::outcome::Outcome;
use super::pin::Pins;
use super::server_state::{Copy, ServerState};
use super::settings::Settings;
use super::statements::Undo;
use super::{SchemaNews, Session, Shared};
use crate::error::SqlError;
use crate::protocol::{TransactionStatus, backend, read, write};
use crate::sql::encoding::is_scannable;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What to do with a server message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward its bytes as they are.
    Forward,
    /// Not for the client; a replacement, if there is one, was written.
    Swallow,
}

impl Session {
    /// Takes one whole server message other than DataRow and CopyData; `body` is without the header.
    ///
    /// A replacement is appended to `to_client`; where [`ServerState::owes_synthetic`] afterwards,
    /// [`Session::synthetic`] is to be called after the message was forwarded.
    ///
    /// # Errors
    /// Where the message makes no sense here: the connection's state is unknown, and it must be closed.
    pub fn backend(
        &mut self,
        tag: u8,
        body: &[u8],
        server: &mut ServerState,
        shared: &Shared,
        to_client: &mut Vec<u8>,
    ) -> Result<Verdict, OutOfStep> {
        match tag {
            backend::READY_FOR_QUERY => self.ready_for_query(body, server, shared),
            backend::COMMAND_COMPLETE | backend::EMPTY_QUERY_RESPONSE => {
                self.command_complete(tag, body, server, shared)
            }
            backend::PARSE_COMPLETE => self.parse_complete(server),
            backend::BIND_COMPLETE => pop(server, &[Kind::Bind]),
            backend::CLOSE_COMPLETE => pop(server, &[Kind::Close]),
            backend::PORTAL_SUSPENDED => self.portal_suspended(server, shared),
            backend::ROW_DESCRIPTION => {
                let translated = server.oids.as_ref().and_then(|oids| in_home_oids(body, oids));
                let verdict = self.described(translated.as_deref().unwrap_or(body), server)?;
                match translated {
                    Some(told) if verdict == Verdict::Forward => {
                        write::message(to_client, tag, |b| b.extend_from_slice(&told));
                        Ok(Verdict::Swallow)
                    }
                    _ => Ok(verdict),
                }
            }
            backend::NO_DATA => self.described(body, server),
            backend::ERROR_RESPONSE if server.is_expired && is_cancellation(body) => {
                let verdict = self.error_response(body, server, shared, to_client)?;
                if verdict == Verdict::Forward {
                    timeout_error(body, to_client);
                }
                Ok(Verdict::Swallow)
            }
            backend::ERROR_RESPONSE => self.error_response(body, server, shared, to_client),
            backend::COPY_IN_RESPONSE => copy_in(server),
            backend::PARAMETER_STATUS => self.parameter_status(body, server, shared),
            backend::NOTICE_RESPONSE => Ok(server.expected.front().map_or(Verdict::Forward, Expected::aside)),
            backend::NOTIFICATION_RESPONSE => Ok(notification(body, server, shared, to_client)),
            backend::PARAMETER_DESCRIPTION
            | backend::COPY_OUT_RESPONSE
            | backend::COPY_DONE
            | backend::FUNCTION_CALL_RESPONSE
            | backend::DATA_ROW
            | backend::COPY_DATA => Ok(front(server)?.verdict()),
            _ => Err(OutOfStep { tag }),
        }
    }

    /// Writes the answers that are Howdah's own to give and whose turn has come.
    pub fn synthetic(server: &mut ServerState, to_client: &mut Vec<u8>) {
        while let Some(front) = server.expected.front() {
            match front.kind {
                Kind::ParseDone => write::message(to_client, backend::PARSE_COMPLETE, |_| ()),
                Kind::CloseDone => write::message(to_client, backend::CLOSE_COMPLETE, |_| ()),
                // A COPY that never began is not to be ended.
                Kind::CopyEnd | Kind::Nothing => {}
                _ => return,
            }
            server.expected.pop_front();
        }
    }

    fn described(&mut self, body: &[u8], server: &mut ServerState) -> Result<Verdict, OutOfStep> {
        match front(server)?.kind {
            Kind::DescribePortal | Kind::DescribeStatement => {
                self.compare_columns(body, server);
                pop(server, &[Kind::DescribePortal, Kind::DescribeStatement])
            }
            _ => Ok(front(server)?.verdict()),
        }
    }

    /// Its client decodes a statement's rows by the columns that it was told of before, perhaps on another server.
    fn compare_columns(&mut self, body: &[u8], server: &mut ServerState) {
        let asked = server.expected.front().and_then(|entry| entry.columns_of.as_ref());
        if let Some(statement) = asked.filter(|statement| !statement.has_columns(columns(body))) {
            let id = statement.id;
            server.prepared.remove(id);
            server.changed = id;
            self.note_stale();
        }
    }

    fn portal_suspended(&mut self, server: &mut ServerState, shared: &Shared) -> Result<Verdict, OutOfStep> {
        // What a row's functions did is done, also when the row was the last.
        let list = server.expected.take_outcomes().map(|outcomes| outcomes.list).unwrap_or_default();
        let verdict = pop(server, &[Kind::Execute])?;
        for outcome in list {
            self.apply(outcome, server, shared);
        }
        Ok(verdict)
    }

    fn parse_complete(&mut self, server: &mut ServerState) -> Result<Verdict, OutOfStep> {
        if let Some(Undo::Statement { name, prepared: Some(_), .. }) =
            server.expected.front().and_then(|entry| entry.undo.as_deref())
            && let Some(statement) = self.statement(name)
        {
            statement.is_proven.store(true, Ordering::Relaxed);
        }
        pop(server, &[Kind::Parse])
    }

    fn ready_for_query(
        &mut self,
        body: &[u8],
        server: &mut ServerState,
        shared: &Shared,
    ) -> Result<Verdict, OutOfStep> {
        let out_of_step = OutOfStep { tag: backend::READY_FOR_QUERY };
        let status = body.first().copied().and_then(TransactionStatus::from_byte).ok_or(out_of_step)?;
        let entry = server.expected.pop_front().ok_or(out_of_step)?;
        if !matches!(entry.kind, Kind::Query | Kind::Sync | Kind::FunctionCall) {
            return Err(out_of_step);
        }
        server.status = status;
        server.copy = Copy::None;
        server.has_begun = false;
        let failed = std::mem::take(&mut server.failed);
        server.has_failed = failed;
        if status == TransactionStatus::Idle {
            if entry.audience == Audience::Howdah {
                // The client's transaction, if one is open, is on another connection.
            } else if failed {
                self.roll_back(server);
            } else if self.tracker.has_changes() {
                if let Some(value) = server.parameters.get(b"DateStyle") {
                    let told = Settings::same(&server.settings, self.tracker.current());
                    self.tracker.complete_partial(value, &shared.settings);
                    if told {
                        server.settings = Arc::clone(self.tracker.current());
                    }
                }
                self.tracker.commit();
            } else {
                self.tracker.commit();
            }
            self.transaction_ended(server, shared);
            self.settle_pins(!failed, server);
        }
        if server.expected.is_empty() {
            server.committing = false;
        }
        if entry.audience == Audience::Howdah || entry.hides_ready {
            return Ok(Verdict::Swallow);
        }
        self.status = status;
        Ok(Verdict::Forward)
    }

    /// The settings go back to those before the transaction, here and on the server.
    pub(super) fn roll_back(&mut self, server: &mut ServerState) {
        self.tracker.rollback();
        if !Arc::ptr_eq(&server.settings, self.tracker.current()) {
            server.settings = Arc::clone(self.tracker.current());
        }
    }

    /// The schema is not the one that a statement was prepared under.
    pub(super) fn note_stale(&mut self) {
        if self.schema == SchemaNews::None {
            self.schema = SchemaNews::Found;
        }
    }

    fn transaction_ended(&mut self, server: &ServerState, shared: &Shared) {
        // Portals that were bound since are of the next transaction.
        if server.expected.is_empty() && !server.unsynced {
            self.clear_portals();
        }
        let news = std::mem::take(&mut self.schema);
        if news != SchemaNews::None {
            shared.statements.schema_changed();
            self.catalog_changed |= news == SchemaNews::Changed;
        }
    }

    fn command_complete(
        &mut self,
        tag: u8,
        body: &[u8],
        server: &mut ServerState,
        shared: &Shared,
    ) -> Result<Verdict, OutOfStep> {
        let out_of_step = OutOfStep { tag };
        let entry = server.expected.front_mut().ok_or(out_of_step)?;
        server.copy = Copy::None;
        server.completed = server.completed.wrapping_add(1);
        let verdict = entry.verdict();
        match entry.kind {
            Kind::Query => {
                let is_clients = entry.audience == Audience::Client;
                let Some(outcomes) = &mut entry.outcomes else {
                    if is_clients {
                        self.note_tag(body, &Outcome::Nothing, server);
                    }
                    return Ok(verdict);
                };
                let at = outcomes.done;
                outcomes.done += 1;
                let shown = !outcomes.hidden.contains(&at);
                let outcome = outcomes.list.get_mut(at).map(std::mem::take).unwrap_or_default();
                self.note_tag(body, &outcome, server);
                self.apply(outcome, server, shared);
                Ok(if shown { verdict } else { Verdict::Swallow })
            }
            Kind::Execute => {
                let outcomes = server.expected.take_outcomes();
                let outcome = outcomes.and_then(|mut outcomes| outcomes.list.pop()).unwrap_or_default();
                server.expected.pop_front();
                self.note_tag(body, &outcome, server);
                self.apply(outcome, server, shared);
                Ok(verdict)
            }
            _ => Err(out_of_step),
        }
    }

    /// COMMIT and ROLLBACK decide on the settings changed in the block.
    fn note_tag(&mut self, tag: &[u8], outcome: &Outcome, server: &mut ServerState) {
        match tag {
            [b'C', b'O', b'M', ..] => self.tracker.commit(),
            [b'R', b'O', b'L', ..] if !matches!(outcome, Outcome::RollbackTo(_)) => {
                self.roll_back(server);
                self.pins_ending = Pins::default();
            }
            [b'P', b'R', b'E', b'P', b'A', b'R', b'E', b' ', b'T', ..] => self.tracker.commit(),
            [b'B', b'E', b'G', ..] | [b'S', b'T', b'A', ..] => server.has_begun = true,
            _ => {}
        }
    }

    fn parameter_status(
        &mut self,
        body: &[u8],
        server: &mut ServerState,
        shared: &Shared,
    ) -> Result<Verdict, OutOfStep> {
        let mut reader = read::Reader::new(body);
        let (Ok(name), Ok(value)) = (reader.cstr(), reader.cstr()) else {
            return Err(OutOfStep { tag: backend::PARAMETER_STATUS });
        };
        server.parameters = shared.parameters.intern(server.parameters.with(name, value));
        // Postgres tells what changed before ReadyForQuery: behind the last step.
        let verdict = match server.expected.front() {
            Some(entry) if entry.hides_ready => Verdict::Swallow,
            Some(entry) => entry.aside(),
            None => Verdict::Forward,
        };
        if name == b"client_encoding" && !is_scannable(value) {
            self.pins.insert(Pins::OPAQUE);
        }
        if verdict == Verdict::Forward {
            self.parameters = shared.parameters.intern(self.parameters.with(name, value));
        }
        Ok(verdict)
    }
}

impl Expected {
    /// Of what is said beside the answers: notices, parameters.
    fn aside(&self) -> Verdict {
        match self.audience {
            Audience::Client => Verdict::Forward,
            Audience::Howdah => Verdict::Swallow,
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        if self.is_shown() { Verdict::Forward } else { Verdict::Swallow }
    }
}

/// What Postgres compares of a result's columns: names, types, lengths and modifiers.
fn columns(body: &[u8]) -> Box<[u8]> {
    let mut reader = read::Reader::new(body);
    let mut columns = Vec::new();
    let _count = reader.i16();
    while let Ok(name) = reader.cstr() {
        let Ok(rest) = reader.bytes(18) else { break };
        columns.extend_from_slice(name);
        columns.push(0);
        columns.extend_from_slice(rest.get(6..16).unwrap_or_default());
    }
    columns.into()
}

fn front(server: &ServerState) -> Result<&Expected, OutOfStep> {
    server.expected.front().ok_or(OutOfStep { tag: 0 })
}

fn pop(server: &mut ServerState, kinds: &[Kind]) -> Result<Verdict, OutOfStep> {
    match server.expected.pop_front() {
        Some(entry) if kinds.contains(&entry.kind) => Ok(entry.verdict()),
        _ => Err(OutOfStep { tag: 0 }),
    }
}

/// The client that sent a notification is told by the process id that it was told itself, where it is known.
fn notification(body: &[u8], server: &ServerState, shared: &Shared, to_client: &mut Vec<u8>) -> Verdict {
    let Some((id, rest)) = body.split_first_chunk::<4>() else { return Verdict::Forward };
    let Some(client) = shared.senders.client_of(&server.sender, i32::from_be_bytes(*id)) else {
        return Verdict::Forward;
    };
    write::message(to_client, backend::NOTIFICATION_RESPONSE, |b| {
        b.extend_from_slice(&client.to_be_bytes());
        b.extend_from_slice(rest);
    });
    Verdict::Swallow
}

/// The server now takes CopyData. It ignores each Sync that was sent before the end of the data.
fn copy_in(server: &mut ServerState) -> Result<Verdict, OutOfStep> {
    let copy = front(server)?;
    let verdict = copy.verdict();
    let is_extended = copy.kind == Kind::Execute;
    server.copy = Copy::In;
    let mut ignores_sync = false;
    for entry in server.expected.iter_mut() {
        match entry.kind {
            Kind::Sync => {
                entry.kind = Kind::Nothing;
                ignores_sync = true;
            }
            Kind::CopyEnd => {
                entry.kind = Kind::Nothing;
                server.copy = Copy::None;
                break;
            }
            _ => {}
        }
    }
    if ignores_sync && is_extended && !server.expected.iter().any(|entry| entry.kind == Kind::Sync) {
        server.unsynced = true;
    }
    Ok(verdict)
}

/// A server message that fits nothing that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("server message 0x{tag:02X} answers nothing that was asked")]
pub struct OutOfStep {
    /// The message's type.
    pub tag: u8,
}

impl From<OutOfStep> for SqlError {
    fn from(error: OutOfStep) -> Self {
        SqlError::new(crate::sqlstate::INTERNAL_ERROR, error.to_string())
    }
}
