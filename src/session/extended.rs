//! The extended protocol: Parse, Bind, Describe, Execute, Close.

use super::describe;
use super::expected::{Audience, Expected, Kind, OnError, Outcomes};
use super::hold::{Step, Use};
use super::outcome::Outcome;
use super::server_state::ServerState;
use super::settings::Change;
use super::simple::blocks_refused;
use super::statements::{Context, MISSING, Need, Origin, Reference, Repeated, Statement, Undo, Unnamed};
use super::{Pooling, Session, Tools};
use crate::error::SqlError;
use crate::protocol::frame::HEADER_LEN;
use crate::protocol::read::Reader;
use crate::protocol::{TransactionStatus, frontend, write};
use crate::sql::scan::scan;
use crate::sql::{Effects, Kind as SqlKind};
use crate::sqlstate;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A longer text is not kept to be known again.
const REPEATED_LEN_MAX: usize = 4096;

/// Name of statements and portals that Howdah makes for a moment.
const TEMPORARY: &[u8] = b"__howdah_tmp";

/// Name of a statement that is made to be there already.
const TAKEN: &[u8] = b"__howdah_taken";

/// How many EXECUTEs of EXECUTEs are looked through.
pub(super) const NESTING_MAX: usize = 8;

/// What stands for a statement of which only the name matters: it can be prepared in a failed transaction too, and
/// takes no snapshot.
const STAND_IN: &[u8] = b"rollback";

/// Its id; no statement has it.
const STAND_IN_ID: u64 = 0;

fn body(frame: &[u8]) -> &[u8] {
    frame.get(HEADER_LEN..).unwrap_or_default()
}

impl Session {
    pub(super) fn parse(
        &mut self,
        frame: &[u8],
        server: &mut ServerState,
        tools: &mut Tools<'_>,
        to_server: &mut Vec<u8>,
    ) -> Step {
        let mut reader = Reader::new(body(frame));
        let (Ok(name), Ok(sql)) = (reader.cstr(), reader.cstr()) else {
            // Malformed: Postgres says how.
            return forward(Kind::Parse, frame, server, to_server);
        };
        if self.is_name_unsettled(name, Use::Change, server) {
            return Step::Held;
        }
        let tail = reader.rest();
        let scs = server.parameters.standard_conforming_strings();
        if name.is_empty() {
            let unnamed = self.parsed_unnamed(sql, tail, scs, tools);
            if !unnamed.statement.refers_to.is_empty() {
                if is_unsettled(server) {
                    return Step::Held;
                }
                self.materialise_referred(&unnamed.statement, server, to_server);
            }
            let there = std::mem::replace(&mut server.unnamed, unnamed.parse);
            let before = self.unnamed.replace(unnamed);
            let undo = Undo::Unnamed { before, server: there };
            push(server, Kind::Parse, Some(undo), None);
            to_server.extend_from_slice(frame);
            return Step::Taken;
        }
        scan(sql, scs, tools.scanned);
        if self.statement(name).is_some() {
            return parse_duplicate(name, sql, tail, server, to_server);
        }
        if server.expected.is_redefining() {
            // What others share is of the schema as it was.
            return Step::Held;
        }
        let statement = self.shared_statement(sql, tail, scs, tools);
        if Session::is_statement_unsettled(statement.id, server) || says_unsettled(&statement, server) {
            return Step::Held;
        }
        self.parse_named(name, statement, server, tools, to_server);
        Step::Taken
    }

    /// What a Parse without a name makes; `tools.scanned` holds what the lexer found, or nothing where it
    /// did not have to look.
    fn parsed_unnamed(&mut self, sql: &[u8], tail: &[u8], scs: bool, tools: &mut Tools<'_>) -> Unnamed {
        let parse = tools.shared.statements.next_id();
        let settings = self.tracker.current();
        let context = Context::new(scs, tools);
        let known = self.repeated.as_ref().and_then(|one| one.again(sql, tail, settings, context));
        if let Some(statement) = known {
            tools.scanned.clear();
            return Unnamed { parse, statement: Arc::clone(statement) };
        }
        scan(sql, scs, tools.scanned);
        let statement = Arc::new(make(parse, sql, tail, scs, tools));
        let may_repeat = sql.len() <= REPEATED_LEN_MAX && statement.is_plain() && !is_own(tools);
        self.repeated = may_repeat.then(|| Repeated::new(&statement, settings, context));
        Unnamed { parse, statement }
    }

    /// The statement of these contents that this client shares with others; `tools.scanned` holds what
    /// the lexer found.
    fn shared_statement(&self, sql: &[u8], tail: &[u8], scs: bool, tools: &Tools<'_>) -> Arc<Statement> {
        let statements = &tools.shared.statements;
        if is_own(tools) {
            return Arc::new(make(statements.next_id(), sql, tail, scs, tools));
        }
        let settings = self.tracker.current();
        statements.share(sql, tail, settings, self.database_key, |id| make(id, sql, tail, scs, tools))
    }

    /// Answers a Parse without any server, if a server has taken the same statement before; `true`:
    /// ParseComplete is to be told.
    ///
    /// Without this, a driver that waits for its Parse while other sessions of its own keep all
    /// connections of the pool in open transactions would wait for ever.
    pub fn parse_without_server(&mut self, frame: &[u8], tools: &mut Tools<'_>) -> bool {
        let mut reader = Reader::new(body(frame));
        let (Ok(name), Ok(sql)) = (reader.cstr(), reader.cstr()) else { return false };
        if name.is_empty() || self.status != TransactionStatus::Idle || self.statement(name).is_some() {
            return false;
        }
        let scs = self.parameters.standard_conforming_strings();
        scan(sql, scs, tools.scanned);
        let statement = self.shared_statement(sql, reader.rest(), scs, tools);
        let is_proven = statement.is_proven.load(Ordering::Relaxed);
        if is_proven {
            self.names().statements.insert(name.into(), statement);
        }
        is_proven
    }

    /// Knows a statement that the client prepared and that no server has been sent yet.
    pub fn adopt(&mut self, frame: &[u8], tools: &mut Tools<'_>) {
        let mut reader = Reader::new(body(frame));
        let (Ok(name), Ok(sql)) = (reader.cstr(), reader.cstr()) else { return };
        let scs = self.parameters.standard_conforming_strings();
        let tail = reader.rest();
        if name.is_empty() {
            self.unnamed = Some(self.parsed_unnamed(sql, tail, scs, tools));
        } else {
            scan(sql, scs, tools.scanned);
            let statement = self.shared_statement(sql, tail, scs, tools);
            self.names().statements.insert(name.into(), statement);
        }
    }

    /// Whether the client has a prepared statement of this name.
    pub fn has_statement(&self, name: &[u8]) -> bool {
        self.statement(name).is_some()
    }

    /// What a prepared statement of the client's was made of; the unnamed one's name is empty.
    pub fn prepared(&self, name: &[u8]) -> Option<&Statement> {
        let statement = match name {
            b"" => self.unnamed.as_ref().map(|unnamed| &unnamed.statement),
            _ => self.statement(name),
        };
        statement.map(AsRef::as_ref)
    }

    /// Forgets a prepared statement that the client closed; the servers may keep theirs.
    pub fn forget(&mut self, name: &[u8]) {
        if name.is_empty() {
            self.unnamed = None;
        } else if let Some(names) = &mut self.names {
            names.statements.remove(name);
        }
    }

    fn parse_named(
        &mut self,
        name: &[u8],
        statement: Arc<Statement>,
        server: &mut ServerState,
        tools: &Tools<'_>,
        to_server: &mut Vec<u8>,
    ) {
        let id = statement.id;
        let before = self.names().statements.insert(name.into(), Arc::clone(&statement));
        let known = server.prepared.touch(id);
        if known && !server.may_have_failed() {
            let undo = Undo::Statement { name: name.into(), before, prepared: None };
            push(server, Kind::ParseDone, Some(undo), None);
            return;
        }
        if known {
            // In a failed transaction Postgres answers by what the statement is: let it, under another name.
            own(server, Kind::Close);
            write::close(to_server, b'S', TAKEN);
            let undo = Undo::Statement { name: name.into(), before, prepared: None };
            push(server, Kind::Parse, Some(undo), None);
            write::parse(to_server, TAKEN, &statement.sql, &statement.tail);
            return;
        }
        make_room(server, tools, to_server);
        self.materialise_referred(&statement, server, to_server);
        server.prepared.insert(id, &statement.server_name);
        let undo = Undo::Statement { name: name.into(), before, prepared: Some(id) };
        push(server, Kind::Parse, Some(undo), None);
        write::parse(to_server, &statement.server_name, &statement.sql, &statement.tail);
        ask_columns(&statement, server, to_server);
    }

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
    fn bound(&mut self, portal: &[u8], statement: &Arc<Statement>, server: &mut ServerState) -> Option<Undo> {
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

    /// Makes the server's unnamed statement the client's.
    fn ensure_unnamed(&mut self, server: &mut ServerState, to_server: &mut Vec<u8>) {
        match &self.unnamed {
            Some(unnamed) if unnamed.parse == server.unnamed => {}
            Some(unnamed) => {
                let unnamed = unnamed.clone();
                let statement = &unnamed.statement;
                self.materialise_referred(statement, server, to_server);
                let there = std::mem::replace(&mut server.unnamed, unnamed.parse);
                write::parse(to_server, b"", &statement.sql, &statement.tail);
                own_undone(server, Kind::Parse, Undo::Unnamed { before: Some(unnamed), server: there });
            }
            None if server.unnamed != 0 => {
                own_undone(server, Kind::Close, Undo::Unnamed { before: None, server: server.unnamed });
                server.unnamed = 0;
                write::close(to_server, b'S', b"");
            }
            None => {}
        }
    }

    /// Makes sure that the server has `statement`, which the client calls `name`, prepared.
    fn ensure(
        &mut self,
        statement: &Arc<Statement>,
        name: &[u8],
        server: &mut ServerState,
        to_server: &mut Vec<u8>,
    ) -> Ensured {
        server.unsynced = true;
        if statement.origin == Origin::Sql {
            self.materialise(name, Need::Statement, server, to_server);
            return Ensured::Ready;
        }
        if server.prepared.touch(statement.id) {
            return Ensured::Ready;
        }
        if server.changed == statement.id {
            server.changed = 0;
            own(server, Kind::Close);
            write::close(to_server, b'S', &statement.server_name);
            Session::fail(server, false, plan_changed(), to_server);
            return Ensured::Changed;
        }
        self.materialise_referred(statement, server, to_server);
        server.prepared.insert(statement.id, &statement.server_name);
        own_undone(server, Kind::Parse, Undo::Prepared(statement.id));
        write::parse(to_server, &statement.server_name, &statement.sql, &statement.tail);
        ask_columns(statement, server, to_server);
        // The client reads its rows by the columns that it was told of, on whichever server that was.
        let is_told = statement.columns.get().is_some_and(|columns| !columns.is_empty());
        if is_told { Ensured::Asked } else { Ensured::Ready }
    }

    /// Makes the names that `statement` says (`EXECUTE name`) mean the client's: the server looks at
    /// them when it parses, binds and executes the statement.
    fn materialise_referred(
        &mut self,
        statement: &Statement,
        server: &mut ServerState,
        to_server: &mut Vec<u8>,
    ) {
        // In a failed transaction they are not looked at, and nothing can be prepared.
        if !statement.refers_to.is_empty() && server.status != TransactionStatus::Failed {
            self.materialise_names(&statement.refers_to, NESTING_MAX, server, to_server);
        }
    }

    /// Makes names mean the client's; also those that an EXECUTE's statement says itself.
    pub(super) fn materialise_names(
        &mut self,
        refers_to: &[Reference],
        nesting: usize,
        server: &mut ServerState,
        to_server: &mut Vec<u8>,
    ) {
        for reference in refers_to {
            self.materialise(&reference.name, reference.need, server, to_server);
            let nested = self.statement(&reference.name).filter(|known| !known.refers_to.is_empty());
            if let (Some(nested), Need::Statement, 1..) = (nested.cloned(), reference.need, nesting) {
                self.materialise_names(&nested.refers_to, nesting - 1, server, to_server);
            }
        }
    }

    /// Makes `name`, as SQL says it, mean on the server what it means to the client: its statement of
    /// that name, or none. Where only its being there matters, another may stand for it.
    pub(super) fn materialise(
        &mut self,
        name: &[u8],
        need: Need,
        server: &mut ServerState,
        to_server: &mut Vec<u8>,
    ) {
        let wanted = self.statement(name).cloned();
        let there = server.named.get(name).copied();
        let is_right = match need {
            Need::Statement => wanted.as_ref().map(|statement| statement.id) == there,
            Need::Name => wanted.is_some() == there.is_some(),
        };
        if is_right {
            return;
        }
        if let Some(id) = there {
            server.named.remove(name);
            own_undone(server, Kind::Close, Undo::NamedClosed { id, name: name.into() });
            write::close(to_server, b'S', name);
        }
        let Some(statement) = wanted else { return };
        if need == Need::Name {
            server.named.insert(name.into(), STAND_IN_ID);
            own_undone(server, Kind::Parse, Undo::Named(name.into()));
            write::parse(to_server, name, STAND_IN, &[0, 0]);
            return;
        }
        server.named.insert(name.into(), statement.id);
        match statement.origin {
            Origin::Protocol => {
                own_undone(server, Kind::Parse, Undo::Named(name.into()));
                write::parse(to_server, name, &statement.sql, &statement.tail);
            }
            Origin::Sql => {
                let undo = Some(Undo::Named(name.into()));
                run_utility(&statement.sql, undo, Outcome::Nothing, server, to_server);
            }
        }
    }

    /// Makes the server's list of prepared statements exactly the client's. Those that are there stay,
    /// with what the server counted of them. `apart`: what fails for one leaves the others.
    pub(super) fn materialise_all(&mut self, server: &mut ServerState, to_server: &mut Vec<u8>, apart: bool) {
        let Some(()) = (server.status != TransactionStatus::Failed).then_some(()) else { return };
        for name in [TEMPORARY, TAKEN] {
            own(server, Kind::Close);
            write::close(to_server, b'S', name);
        }
        let mine: Vec<Box<[u8]>> =
            self.names.as_ref().map(|names| names.statements.keys().cloned().collect()).unwrap_or_default();
        for (id, name) in server.prepared.take_all() {
            write::close(to_server, b'S', &name);
            own_undone(server, Kind::Close, Undo::Closed { id, name });
        }
        let strangers: Vec<Box<[u8]>> =
            server.named.keys().filter(|name| !mine.contains(name)).cloned().collect();
        for name in strangers {
            self.materialise(&name, Need::Statement, server, to_server);
        }
        for name in mine {
            if apart {
                sync_own(server, to_server);
            }
            self.materialise(&name, Need::Statement, server, to_server);
        }
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
fn says_unsettled(statement: &Statement, server: &ServerState) -> bool {
    !statement.refers_to.is_empty() && is_unsettled(server)
}

/// Whether what names mean is not settled, or whether they can be made to mean it.
fn is_unsettled(server: &ServerState) -> bool {
    server.expected.has_unsettled() || (server.may_have_failed() && !server.expected.is_empty())
}

/// Whether the server has a statement.
enum Ensured {
    /// It has, or will have when it comes to what is sent next.
    Ready,
    /// It was asked what the statement's columns are: what is sent next depends on them.
    Asked,
    /// It has, with other columns than the client was told of: the client's message was failed.
    Changed,
}

/// What Postgres says of a statement that was prepared when its table was another.
fn plan_changed() -> SqlError {
    SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, "cached plan must not change result type")
}

/// The name is taken: Postgres is to say so, after what else it has to say of the statement.
fn parse_duplicate(
    name: &[u8],
    sql: &[u8],
    tail: &[u8],
    server: &mut ServerState,
    to_server: &mut Vec<u8>,
) -> Step {
    own(server, Kind::Close);
    write::close(to_server, b'S', TAKEN);
    own(server, Kind::Parse);
    write::parse(to_server, TAKEN, STAND_IN, &[0, 0]);
    push(server, Kind::Parse, None, Some(OnError::Rename(name.into())));
    write::parse(to_server, TAKEN, sql, tail);
    Step::Taken
}

/// Ends messages of Howdah's own that a Query follows.
pub(super) fn sync_own(server: &mut ServerState, to_server: &mut Vec<u8>) {
    own(server, Kind::Sync);
    server.unsynced = false;
    write::sync(to_server);
}

/// Whether no other Parse of the same text will do.
fn is_own(tools: &Tools<'_>) -> bool {
    // 'now' and its like are constants as of the Parse.
    // What EXECUTE and FETCH return is settled at Parse, by the client's own statement or cursor.
    tools.scanned.iter().any(|one| {
        one.effects.intersects(Effects(Effects::DATETIME_WORD.0 | Effects::EXECUTES_PREPARED.0))
            || matches!(one.kind, SqlKind::Execute | SqlKind::Fetch)
    })
}

/// Runs a utility statement by messages of its own names, which fit between any others. `undo` is of the statement's
/// failure, `outcome` of its success.
pub(super) fn run_utility(
    sql: &[u8],
    undo: Option<Undo>,
    outcome: Outcome,
    server: &mut ServerState,
    to_server: &mut Vec<u8>,
) {
    // One that failed was not closed.
    own(server, Kind::Close);
    write::close(to_server, b'S', TEMPORARY);
    own(server, Kind::Parse);
    write::parse(to_server, TEMPORARY, sql, &[0, 0]);
    own(server, Kind::Bind);
    write_bind(to_server, TEMPORARY, TEMPORARY, &[0, 0, 0, 0, 0, 0]);
    let mut entry = Expected::own(Kind::Execute);
    entry.undo = undo.map(Box::new);
    if !matches!(outcome, Outcome::Nothing) {
        entry.outcomes = Some(Outcomes::one(outcome));
    }
    server.expected.push_back(entry);
    server.unsynced = true;
    write::message(to_server, frontend::EXECUTE, |b| {
        write::cstr(b, TEMPORARY);
        b.extend_from_slice(&[0; 4]);
    });
    own(server, Kind::Close);
    write::close(to_server, b'P', TEMPORARY);
    own(server, Kind::Close);
    write::close(to_server, b'S', TEMPORARY);
}

/// After a Parse: has the server say what columns the statement gives.
fn ask_columns(statement: &Arc<Statement>, server: &mut ServerState, to_server: &mut Vec<u8>) {
    server.expected.push_back(Expected {
        columns_of: Some(Arc::clone(statement)),
        ..Expected::own(Kind::DescribeStatement)
    });
    write::describe(to_server, b'S', &statement.server_name);
}

fn write_bind(out: &mut Vec<u8>, portal: &[u8], statement: &[u8], rest: &[u8]) {
    write::message(out, frontend::BIND, |b| {
        write::cstr(b, portal);
        write::cstr(b, statement);
        b.extend_from_slice(rest);
    });
}

fn forward(kind: Kind, frame: &[u8], server: &mut ServerState, to_server: &mut Vec<u8>) -> Step {
    server.expected.push_back(Expected::client(kind));
    server.unsynced = true;
    to_server.extend_from_slice(frame);
    Step::Taken
}

fn push(server: &mut ServerState, kind: Kind, undo: Option<Undo>, on_error: Option<OnError>) {
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

fn own(server: &mut ServerState, kind: Kind) {
    server.expected.push_back(Expected::own(kind));
}

fn own_undone(server: &mut ServerState, kind: Kind, undo: Undo) {
    let mut entry = Expected::own(kind);
    entry.undo = Some(Box::new(undo));
    server.expected.push_back(entry);
}

fn make_room(server: &mut ServerState, tools: &Tools<'_>, to_server: &mut Vec<u8>) {
    while let Some((id, name)) = server.prepared.evict(tools.prepared_statements_max) {
        write::close(to_server, b'S', &name);
        own_undone(server, Kind::Close, Undo::Closed { id, name });
    }
}

/// The statement that a Parse makes; `tools.scanned` holds what the lexer found.
fn make(id: u64, sql: &[u8], tail: &[u8], scs: bool, tools: &Tools<'_>) -> Statement {
    let mut statement = Statement {
        id,
        server_name: format!("__howdah_{id:x}").into_bytes().into(),
        sql: sql.into(),
        tail: tail.into(),
        origin: Origin::Protocol,
        outcome: Outcome::Nothing,
        pins: super::Pins::default(),
        refers_to: Vec::new(),
        traits: super::statements::Traits::default(),
        is_proven: AtomicBool::new(false),
        columns: OnceLock::new(),
    };
    // More than one statement is an error in the extended protocol; the first is all there can be.
    let first = tools.scanned.iter().next();
    statement.traits.advances_sequence = first.is_some_and(describe::may_advance_sequence);
    statement.traits.commits = first.is_some_and(describe::commits);
    statement.traits.ends_block = first.is_some_and(describe::ends_block);
    if let Some(first) = first.filter(|one| !describe::is_plain(one, tools.hidden)) {
        let described = describe::describe(sql, first, scs, tools.hidden);
        statement.outcome = described.outcome;
        statement.pins = described.pins;
        statement.refers_to = described.refers_to;
        statement.traits = described.traits;
    }
    statement
}
