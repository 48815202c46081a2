//! Parse: prepared statements come to be, under the client's names and shared with other clients.

use super::describe;
use super::expected::{Kind, OnError};
use super::extended::{body, forward, is_unsettled, own, push, says_unsettled};
use super::hold::{Step, Use};
use super::materialise::{STAND_IN, TAKEN, ask_columns, make_room};
use super::outcome::Outcome;
use super::server_state::ServerState;
use super::statements::{Context, Origin, Repeated, Statement, Undo, Unnamed};
use super::{Session, Tools};
use crate::protocol::read::Reader;
use crate::protocol::{TransactionStatus, write};
use crate::sql::scan::scan;
use crate::sql::{Effects, Kind as SqlKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A longer text is not kept to be known again.
const REPEATED_LEN_MAX: usize = 4096;

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

/// Whether no other Parse of the same text will do.
fn is_own(tools: &Tools<'_>) -> bool {
    // 'now' and its like are constants as of the Parse.
    // What EXECUTE and FETCH return is settled at Parse, by the client's own statement or cursor.
    tools.scanned.iter().any(|one| {
        one.effects.intersects(Effects(Effects::DATETIME_WORD.0 | Effects::EXECUTES_PREPARED.0))
            || matches!(one.kind, SqlKind::Execute | SqlKind::Fetch)
    })
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
