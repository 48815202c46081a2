//! Server messages: what they end, what the client sees of them.

use super::expected::{Audience, Expected, Kind, OnError};
use super::oids::in_home_oids;
use super::outcome::Outcome;
use super::pin::Pins;
use super::server_state::{Copy, ServerState};
use super::settings::{Change, KNOWN, Settings};
use super::statements::{NAME_PREFIX, Origin, Statement, Traits, Undo, Unnamed};
use super::{SchemaNews, Session, Shared};
use crate::error::SqlError;
use crate::protocol::{TransactionStatus, backend, read, write};
use crate::sql::encoding::is_scannable;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

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
    fn roll_back(&mut self, server: &mut ServerState) {
        self.tracker.rollback();
        if !Arc::ptr_eq(&server.settings, self.tracker.current()) {
            server.settings = Arc::clone(self.tracker.current());
        }
    }

    /// The schema is not the one that a statement was prepared under.
    fn note_stale(&mut self) {
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

    fn apply(&mut self, outcome: Outcome, server: &mut ServerState, shared: &Shared) {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Settings(changes) => {
                for change in changes {
                    self.apply_setting(&change, server, shared);
                }
            }
            Outcome::Savepoint(name) => self.tracker.savepoint(&name),
            Outcome::Release(name) => self.tracker.release(&name),
            Outcome::RollbackTo(name) => {
                self.tracker.rollback_to(&name);
                server.settings = Arc::clone(self.tracker.current());
            }
            Outcome::Prepare { name, sql } => {
                let id = shared.statements.next_id();
                let statement = Arc::new(Statement {
                    id,
                    server_name: name.clone(),
                    sql,
                    tail: Box::default(),
                    origin: Origin::Sql,
                    outcome: Outcome::Nothing,
                    pins: Pins::default(),
                    refers_to: Vec::new(),
                    traits: Traits::default(),
                    is_proven: AtomicBool::new(false),
                    columns: OnceLock::new(),
                });
                server.named.insert(name.clone(), id);
                self.names().statements.insert(name, statement);
            }
            Outcome::Deallocate(name) => {
                server.named.remove(&name);
                if let Some(names) = &mut self.names {
                    names.statements.remove(&name);
                }
            }
            Outcome::DeallocateAll => {
                server.prepared.clear();
                server.named.clear();
                self.forget_statements();
            }
            Outcome::DiscardAll => {
                self.apply_setting(&Change::ResetAll { identity: true }, server, shared);
                server.prepared.clear();
                server.named.clear();
                server.sequence_owner = 0;
                self.sequence_used = false;
                self.forget_statements();
                server.is_spoilt |= !self.pins.ends_with_discard_all();
                let mut pins = Pins::ALL;
                pins.remove(Pins::SESSION);
                self.pins_ending = pins;
            }
            Outcome::Pin(pins) => self.pin(pins),
            Outcome::Unpin(pins) => self.pins_ending.insert(pins),
            Outcome::SchemaChange { defaults } => {
                // Now, so that this client's next Parse is fresh; and again at the end of the
                // transaction, so that nobody's older view of it is shared.
                shared.statements.schema_changed();
                self.schema = SchemaNews::Changed;
                self.defaults_changed |= defaults;
            }
        }
    }

    fn apply_setting(&mut self, change: &Change, server: &mut ServerState, shared: &Shared) {
        self.tracker.apply(change, &shared.settings);
        match change {
            Change::Set { .. } => server.settings = Arc::clone(self.tracker.current()),
            Change::Reset { name } => {
                // The server went back to its own default, which the startup packet may have changed.
                let left = shared.settings.intern(server.settings.reset(name));
                server.settings = left;
                if self.tracker.startup().get(name).is_none() {
                    server.settings = Arc::clone(self.tracker.current());
                }
            }
            Change::Know { name } => {
                if server.settings.get(name).is_none() {
                    server.settings = shared.settings.intern(server.settings.with(name, KNOWN));
                }
            }
            Change::ResetAll { identity } => {
                let mut left = Settings::default().knowing(&server.settings);
                if !identity {
                    for name in ["session_authorization", "role"] {
                        if let Some(replay) = server.settings.get(name) {
                            left = left.with(name, replay);
                        }
                    }
                }
                server.settings = shared.settings.intern(left);
            }
        }
    }

    fn error_response(
        &mut self,
        body: &[u8],
        server: &mut ServerState,
        shared: &Shared,
        to_client: &mut Vec<u8>,
    ) -> Result<Verdict, OutOfStep> {
        server.copy = Copy::None;
        self.know_custom_settings(server, shared);
        if self.is_stale_plan(body) {
            self.note_stale();
        }
        let Some(entry) = server.expected.front_mut() else {
            // Not an answer: the server is about to end the connection, and says why. That is for the client whose
            // connection it is, and not for one that happens to have it.
            server.is_ending = true;
            server.failed = !self.pins.is_empty();
            return Ok(if server.failed { Verdict::Forward } else { Verdict::Swallow });
        };
        server.failed = true;
        let on_error = entry.on_error.take();
        let (kind, audience) = (entry.kind, entry.audience);
        let verdict = match kind {
            Kind::Query | Kind::FunctionCall | Kind::Sync if audience == Audience::Howdah => Verdict::Swallow,
            Kind::Query | Kind::FunctionCall | Kind::Sync => Verdict::Forward,
            _ => self.skip_to_sync(server),
        };
        if verdict == Verdict::Swallow {
            server.own_error = Some(body.into());
            return Ok(verdict);
        }
        match on_error {
            None => Ok(Verdict::Forward),
            Some(OnError::Preceding) => {
                let code = read::error_field(body, b'C');
                let is_missing = matches!(code, Some(b"26000" | b"25P02"));
                let Some(preceding) = server.own_error.take().filter(|_| is_missing) else {
                    return Ok(Verdict::Forward);
                };
                write::message(to_client, backend::ERROR_RESPONSE, |b| b.extend_from_slice(&preceding));
                Ok(Verdict::Swallow)
            }
            Some(OnError::Replace(error)) => {
                write::error_response(to_client, &error);
                Ok(Verdict::Swallow)
            }
            Some(OnError::Rename(to)) => {
                rewrite_error(body, to_client, |kind, value, out| {
                    if kind == b'M' { rename(value, &to, out) } else { out.extend_from_slice(value) }
                });
                Ok(Verdict::Swallow)
            }
            Some(OnError::Shift(added)) => {
                rewrite_error(body, to_client, |kind, value, out| {
                    if kind == b'P' { shift(value, &added, out) } else { out.extend_from_slice(value) }
                });
                Ok(Verdict::Swallow)
            }
        }
    }

    /// Of a statement that failed: it may have called set_config before.
    fn know_custom_settings(&mut self, server: &mut ServerState, shared: &Shared) {
        let outcomes = server.expected.front().and_then(|entry| entry.outcomes.as_ref());
        let Some(outcome) = outcomes.and_then(|outcomes| outcomes.list.get(outcomes.done)) else { return };
        let names: Vec<Box<str>> = outcome.custom_settings().map(Into::into).collect();
        for name in names {
            self.apply_setting(&Change::Know { name }, server, shared);
        }
    }

    fn is_stale_plan(&self, body: &[u8]) -> bool {
        read::error_field(body, b'C') == Some(b"0A000")
            && read::error_field(body, b'R') == Some(b"RevalidateCachedQuery")
    }

    /// After an error in the extended protocol the server ignores everything up to Sync: what the
    /// ignored messages would have done is undone, last first. Whether the client is told.
    fn skip_to_sync(&mut self, server: &mut ServerState) -> Verdict {
        let sync = server.expected.iter().position(|entry| entry.kind == Kind::Sync);
        let skipped = server.expected.pop_many(sync.unwrap_or(server.expected.len()));
        // What fails of Howdah's own fails the message of the client's that needed it.
        let failed = skipped.iter().position(|entry| entry.audience == Audience::Client);
        let mut unnamed = None;
        for (place, entry) in skipped.into_iter().enumerate().rev() {
            let Some(undo) = entry.undo else { continue };
            match *undo {
                Undo::Unnamed { before, server } => {
                    // A Parse of the unnamed statement that fails drops the one before.
                    let before = before.filter(|_| failed != Some(place));
                    unnamed = Some((before, if place == 0 { 0 } else { server }));
                }
                undo => self.undo(undo, server),
            }
        }
        if let Some((before, id)) = unnamed {
            self.unnamed_was(before, id, server);
        }
        match server.expected.front_mut() {
            Some(sync) if failed.is_some() => sync.audience = Audience::Client,
            Some(sync) => return sync.verdict(),
            None => server.skipping = true,
        }
        Verdict::Forward
    }

    /// The unnamed statement was this, up to what was sent since and not skipped.
    fn unnamed_was(&mut self, was: Option<Unnamed>, id: u64, server: &mut ServerState) {
        let next = server.expected.iter_mut().find_map(|entry| match entry.undo.as_deref_mut() {
            Some(Undo::Unnamed { before, server }) => Some((before, server)),
            _ => None,
        });
        match next {
            Some((before, server_id)) => (*before, *server_id) = (was, id),
            None => (self.unnamed, server.unnamed) = (was, id),
        }
    }

    fn undo(&mut self, undo: Undo, server: &mut ServerState) {
        match undo {
            Undo::Statement { name, before, prepared } => {
                if let Some(id) = prepared {
                    server.prepared.remove(id);
                }
                match before {
                    Some(statement) => {
                        self.names().statements.insert(name, statement);
                    }
                    None => {
                        self.names().statements.remove(&name);
                    }
                }
            }
            Undo::Prepared(id) => server.prepared.remove(id),
            Undo::Closed { id, name } => server.prepared.insert(id, &name),
            Undo::NamedClosed { id, name } => {
                server.named.insert(name, id);
            }
            Undo::Named(name) => {
                server.named.remove(&name);
            }
            Undo::SequenceOwner(id) => server.sequence_owner = id,
            Undo::Portal(name) => {
                let is_made_anew = server.expected.iter().any(
                    |entry| matches!(entry.undo.as_deref(), Some(Undo::Portal(later)) if *later == name),
                );
                if let Some(names) = self.names.as_mut().filter(|_| !is_made_anew) {
                    names.portals.remove(&name);
                }
            }
            // Where it is not the whole of what is undone, its order matters.
            Undo::Unnamed { .. } => {}
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

    fn verdict(&self) -> Verdict {
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

/// Copies an error's fields, each as `field` writes it.
fn rewrite_error(body: &[u8], out: &mut Vec<u8>, field: impl Fn(u8, &[u8], &mut Vec<u8>)) {
    write::message(out, backend::ERROR_RESPONSE, |b| {
        let mut reader = read::Reader::new(body);
        while let Ok(kind) = reader.u8() {
            if kind == 0 {
                break;
            }
            let Ok(value) = reader.cstr() else { break };
            b.push(kind);
            field(kind, value, b);
            b.push(0);
        }
        b.push(0);
    });
}

/// Whether an ErrorResponse says that the statement was cancelled.
pub fn is_cancellation(body: &[u8]) -> bool {
    read::error_field(body, b'C') == Some(crate::sqlstate::QUERY_CANCELED.as_str().as_bytes())
}

/// Writes the ErrorResponse of a cancelled statement as Postgres words it for `statement_timeout`.
pub fn timeout_error(body: &[u8], out: &mut Vec<u8>) {
    rewrite_error(body, out, |kind, value, out| match kind {
        b'M' => out.extend_from_slice(b"canceling statement due to statement timeout"),
        _ => out.extend_from_slice(value),
    });
}

/// Puts the client's name of a prepared statement where the server's stands.
fn rename(message: &[u8], to: &[u8], out: &mut Vec<u8>) {
    let Some(at) = memchr::memmem::find(message, NAME_PREFIX) else {
        out.extend_from_slice(message);
        return;
    };
    out.extend_from_slice(message.get(..at).unwrap_or_default());
    out.extend_from_slice(to);
    let rest = message.get(at + NAME_PREFIX.len()..).unwrap_or_default();
    let len = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    out.extend_from_slice(rest.get(len..).unwrap_or_default());
}

/// An error's position in the text that the client sent.
fn shift(position: &[u8], added: &[(usize, usize)], out: &mut Vec<u8>) {
    let Some(position) = std::str::from_utf8(position).ok().and_then(|text| text.parse::<usize>().ok())
    else {
        out.extend_from_slice(position);
        return;
    };
    let before: usize = added.iter().filter(|(at, _)| *at < position).map(|(_, len)| len).sum();
    out.extend_from_slice(position.saturating_sub(before).to_string().as_bytes());
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
