//! The extended protocol: Bind, Describe, Execute, Close.

use super::expected::{Audience, Expected, Kind, OnError, Outcomes};
use super::hold::{Step, Use};
use super::materialise::{Ensured, make_room, run_utility};
use super::outcome::Outcome;
use super::server_state::ServerState;
use super::settings::Change;
use super::simple::blocks_refused;
use super::statements::{MISSING, Need, Reference, Statement, Undo, Unnamed};
use super::{Pooling, Session, Tools};
use crate::protocol::frame::HEADER_LEN;
use crate::protocol::read::Reader;
use crate::protocol::{frontend, write};
use std::sync::Arc;

/// How many EXECUTEs of EXECUTEs are looked through.
pub(super) const NESTING_MAX: usize = 8;

pub(super) fn body(frame: &[u8]) -> &[u8] {
    frame.get(HEADER_LEN..).unwrap_or_default()
}

impl Session {
    pub(super) fn bind(
        &mut self,
        frame: &[u8],
        server: &mut ServerState,
        tools: &mut Tools<'_>,
        to_server: &mut Vec<u8>,
    ) -> Step {
        let mut reader = Reader::new(body(frame));
        let (Ok(portal), Ok(name)) = (reader.cstr(), reader.cstr()) else {
            return forward(Kind::Bind, frame, server, to_server);
        };
        if self.is_name_unsettled(name, Use::Run, server) {
            return Step::Held;
        }
        let rest = reader.rest();
        if name.is_empty() {
            if self.unnamed.as_ref().is_some_and(|one| says_unsettled(&one.statement, server)) {
                return Step::Held;
            }
            self.ensure_unnamed(server, to_server);
            let has_portals = self.names.as_ref().is_some_and(|names| !names.portals.is_empty());
            if let Some(Unnamed { statement, .. }) =
                self.unnamed.as_ref().filter(|one| has_portals || !one.statement.is_ordinary())
            {
                let statement = Arc::clone(statement);
                self.materialise_referred(&statement, server, to_server);
                let undo = self.bound(portal, &statement, server);
                push(server, Kind::Bind, undo, None);
                to_server.extend_from_slice(frame);
                return Step::Taken;
            }
            return forward(Kind::Bind, frame, server, to_server);
        }
        let statement = self.statement(name).cloned();
        let Some(statement) = statement else {
            let rename = OnError::Rename(name.into());
            push(server, Kind::Bind, None, Some(rename));
            write_bind(to_server, portal, MISSING, rest);
            return Step::Taken;
        };
        if says_unsettled(&statement, server) {
            return Step::Held;
        }
        make_room(server, tools, to_server);
        match self.ensure(&statement, name, server, to_server) {
            Ensured::Ready => {}
            Ensured::Asked => return Step::Held,
            Ensured::Changed => return Step::Taken,
        }
        self.materialise_referred(&statement, server, to_server);
        let undo = self.bound(portal, &statement, server);
        push(server, Kind::Bind, undo, Some(OnError::Rename(name.into())));
        write_bind(to_server, portal, &statement.server_name, rest);
        Step::Taken
    }

    pub(super) fn describe(
        &mut self,
        frame: &[u8],
        server: &mut ServerState,
        tools: &mut Tools<'_>,
        to_server: &mut Vec<u8>,
    ) -> Step {
        let mut reader = Reader::new(body(frame));
        let (Ok(kind), Ok(name)) = (reader.u8(), reader.cstr()) else {
            return forward(Kind::DescribePortal, frame, server, to_server);
        };
        if kind != b'S' {
            return forward(Kind::DescribePortal, frame, server, to_server);
        }
        if self.is_name_unsettled(name, Use::Run, server)
            || self.prepared(name).is_some_and(|statement| says_unsettled(statement, server))
        {
            return Step::Held;
        }
        if name.is_empty() {
            self.ensure_unnamed(server, to_server);
            if let Some(Unnamed { statement, .. }) = self.unnamed.clone() {
                self.materialise_referred(&statement, server, to_server);
            }
            return forward(Kind::DescribeStatement, frame, server, to_server);
        }
        match self.statement(name).cloned() {
            Some(statement) => {
                make_room(server, tools, to_server);
                match self.ensure(&statement, name, server, to_server) {
                    Ensured::Ready => {}
                    Ensured::Asked => return Step::Held,
                    Ensured::Changed => return Step::Taken,
                }
                self.materialise_referred(&statement, server, to_server);
                push(server, Kind::DescribeStatement, None, Some(OnError::Rename(name.into())));
                write::describe(to_server, b'S', &statement.server_name);
            }
            None => {
                let rename = OnError::Rename(name.into());
                push(server, Kind::DescribeStatement, None, Some(rename));
                write::describe(to_server, b'S', MISSING);
            }
        }
        Step::Taken
    }

    pub(super) fn execute(
        &mut self,
        frame: &[u8],
        server: &mut ServerState,
        to_server: &mut Vec<u8>,
    ) -> Step {
        let special = self
            .names
            .as_ref()
            .filter(|names| !names.portals.is_empty())
            .and_then(|names| names.portals.get(Reader::new(body(frame)).cstr().ok()?).cloned());
        let Some(statement) = special else {
            return forward(Kind::Execute, frame, server, to_server);
        };
        let mut doing = Doing::of(&statement);
        self.add_referred(&statement.refers_to, NESTING_MAX, &mut doing);
        if says_unsettled(&statement, server) || (doing.traits.lists_prepared && is_unsettled(server)) {
            return Step::Held;
        }
        let refused = if self.pooling == Pooling::Statement && doing.traits.opens_block {
            Some(blocks_refused())
        } else {
            self.misses_sequence_state(doing.traits, server)
        };
        if let Some(error) = refused {
            Session::fail(server, false, error, to_server);
            return Step::Taken;
        }
        server.unsynced = true;
        self.pin(doing.pins);
        self.forget_others_sequences(doing.traits, server, to_server);
        self.note_sequence(doing.traits, server);
        if doing.traits.lists_prepared {
            self.materialise_all(server, to_server, false);
        }
        self.materialise_referred(&statement, server, to_server);
        let mut entry = Expected::client(Kind::Execute);
        if !matches!(doing.outcome, Outcome::Nothing) {
            entry.outcomes = Some(Outcomes::one(doing.outcome.clone()));
        }
        server.expected.push_back(entry);
        if doing.traits.opens_block {
            server.expected.note_opening();
        }
        if doing.traits.ends_block {
            server.expected.note_ending();
        }
        to_server.extend_from_slice(frame);
        // As one statement of several DISCARD ALL would be refused: there it is restored afterwards.
        let outcome = match doing.outcome {
            Outcome::DiscardAll => Outcome::Settings(vec![Change::ResetAll { identity: true }]),
            other => other,
        };
        for (change, replay) in self.restored_after(&outcome) {
            // Two statements in one value (a DateStyle in parts) are restored after the Sync.
            if !replay.contains(&b';') {
                run_utility(&replay, None, Outcome::Settings(vec![change]), server, to_server);
            }
        }
        Step::Taken
    }

    pub(super) fn close(&mut self, frame: &[u8], server: &mut ServerState, to_server: &mut Vec<u8>) -> Step {
        let mut reader = Reader::new(body(frame));
        let (Ok(kind), Ok(name)) = (reader.u8(), reader.cstr()) else {
            return forward(Kind::Close, frame, server, to_server);
        };
        if kind != b'S' {
            if let Some(names) = &mut self.names {
                names.portals.remove(name);
            }
            return forward(Kind::Close, frame, server, to_server);
        }
        if self.is_name_unsettled(name, Use::Change, server) {
            return Step::Held;
        }
        server.unsynced = true;
        if name.is_empty() {
            let before = self.unnamed.take();
            let undo = Undo::Unnamed { before, server: server.unnamed };
            server.unnamed = 0;
            push(server, Kind::Close, Some(undo), None);
            to_server.extend_from_slice(frame);
            return Step::Taken;
        }
        let removed = self.names.as_mut().and_then(|names| names.statements.remove(name));
        match removed {
            Some(statement) if server.named.get(name) == Some(&statement.id) => {
                server.named.remove(name);
                own_undone(server, Kind::Close, Undo::NamedClosed { id: statement.id, name: name.into() });
                write::close(to_server, b'S', name);
                let undo = Undo::Statement { name: name.into(), before: Some(statement), prepared: None };
                push(server, Kind::Close, Some(undo), None);
                to_server.extend_from_slice(frame);
            }
            before => {
                // The servers keep it, for others who prepare the same.
                let undo = before.map(|before| Undo::Statement {
                    name: name.into(),
                    before: Some(before),
                    prepared: None,
                });
                push(server, Kind::CloseDone, undo, None);
            }
        }
        Step::Taken
    }

    /// Notes what executing the portal will do to the session; gives what takes that back.
    pub(super) fn bound(
        &mut self,
        portal: &[u8],
        statement: &Arc<Statement>,
        server: &mut ServerState,
    ) -> Option<Undo> {
        self.note_sequence(statement.traits, server);
        server.committing |= statement.traits.commits;
        if statement.traits.ends_block {
            server.expected.note_ending();
        }
        if !statement.is_plain() {
            self.names().portals.insert(portal.into(), Arc::clone(statement));
            return Some(Undo::Portal(portal.into()));
        }
        if let Some(names) = self.names.as_mut().filter(|names| !names.portals.is_empty()) {
            names.portals.remove(portal);
        }
        None
    }

    /// What EXECUTE does is what the statements do that it names.
    pub(super) fn add_referred(&self, refers_to: &[Reference], nesting: usize, doing: &mut Doing) {
        for reference in refers_to.iter().filter(|reference| reference.need == Need::Statement) {
            let Some(statement) = self.statement(&reference.name) else { continue };
            doing.pins = doing.pins | statement.pins;
            doing.traits = doing.traits.and(statement.traits);
            if matches!(doing.outcome, Outcome::Nothing) {
                doing.outcome = statement.outcome.clone();
            }
            if nesting > 0 {
                self.add_referred(&statement.refers_to, nesting - 1, doing);
            }
        }
    }
}

/// What the execution of a statement does to the session.
#[derive(Debug)]
pub(super) struct Doing {
    pub(super) outcome: Outcome,
    pub(super) pins: super::Pins,
    pub(super) traits: super::statements::Traits,
}

impl Doing {
    fn of(statement: &Statement) -> Self {
        Doing { outcome: statement.outcome.clone(), pins: statement.pins, traits: statement.traits }
    }
}

/// Whether what the names mean that a statement says is not settled.
pub(super) fn says_unsettled(statement: &Statement, server: &ServerState) -> bool {
    !statement.refers_to.is_empty() && is_unsettled(server)
}

/// Whether what names mean is not settled, or whether they can be made to mean it.
pub(super) fn is_unsettled(server: &ServerState) -> bool {
    server.expected.has_unsettled() || (server.may_have_failed() && !server.expected.is_empty())
}

pub(super) fn write_bind(out: &mut Vec<u8>, portal: &[u8], statement: &[u8], rest: &[u8]) {
    write::message(out, frontend::BIND, |b| {
        write::cstr(b, portal);
        write::cstr(b, statement);
        b.extend_from_slice(rest);
    });
}

pub(super) fn forward(kind: Kind, frame: &[u8], server: &mut ServerState, to_server: &mut Vec<u8>) -> Step {
    server.expected.push_back(Expected::client(kind));
    server.unsynced = true;
    to_server.extend_from_slice(frame);
    Step::Taken
}

pub(super) fn push(server: &mut ServerState, kind: Kind, undo: Option<Undo>, on_error: Option<OnError>) {
    server.unsynced = true;
    server.expected.push_back(Expected {
        kind,
        audience: Audience::Client,
        outcomes: None,
        undo: undo.map(Box::new),
        on_error,
        columns_of: None,
        hides_ready: false,
    });
}

pub(super) fn own(server: &mut ServerState, kind: Kind) {
    server.expected.push_back(Expected::own(kind));
}

pub(super) fn own_undone(server: &mut ServerState, kind: Kind, undo: Undo) {
    let mut entry = Expected::own(kind);
    entry.undo = Some(Box::new(undo));
    server.expected.push_back(entry);
}
