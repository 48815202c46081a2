//! Makes the server have what a message needs: the unnamed statement, shared ones, and names that SQL says.
//!
//! What is sent for it are messages of Howdah's own, which fit between the client's.

use super::expected::{Expected, Kind, Outcomes};
use super::extended::{NESTING_MAX, own, own_undone, write_bind};
use super::outcome::Outcome;
use super::server_state::ServerState;
use super::statements::{Need, Origin, Reference, Statement, Undo};
use super::{Session, Tools};
use crate::error::SqlError;
use crate::protocol::{TransactionStatus, frontend, write};
use crate::sqlstate;
use std::sync::Arc;

/// Name of statements and portals that Howdah makes for a moment.
const TEMPORARY: &[u8] = b"__howdah_tmp";

/// Name of a statement that is made to be there already.
pub(super) const TAKEN: &[u8] = b"__howdah_taken";

/// What stands for a statement of which only the name matters: it can be prepared in a failed transaction too, and
/// takes no snapshot.
pub(super) const STAND_IN: &[u8] = b"rollback";

/// Its id; no statement has it.
const STAND_IN_ID: u64 = 0;

impl Session {
    /// Makes the server's unnamed statement the client's.
    pub(super) fn ensure_unnamed(&mut self, server: &mut ServerState, to_server: &mut Vec<u8>) {
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
    pub(super) fn ensure(
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
    pub(super) fn materialise_referred(
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
}

/// Whether the server has a statement.
pub(super) enum Ensured {
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

/// Ends messages of Howdah's own that a Query follows.
pub(super) fn sync_own(server: &mut ServerState, to_server: &mut Vec<u8>) {
    own(server, Kind::Sync);
    server.unsynced = false;
    write::sync(to_server);
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
pub(super) fn ask_columns(statement: &Arc<Statement>, server: &mut ServerState, to_server: &mut Vec<u8>) {
    server.expected.push_back(Expected {
        columns_of: Some(Arc::clone(statement)),
        ..Expected::own(Kind::DescribeStatement)
    });
    write::describe(to_server, b'S', &statement.server_name);
}

pub(super) fn make_room(server: &mut ServerState, tools: &Tools<'_>, to_server: &mut Vec<u8>) {
    while let Some((id, name)) = server.prepared.evict(tools.prepared_statements_max) {
        write::close(to_server, b'S', &name);
        own_undone(server, Kind::Close, Undo::Closed { id, name });
    }
}
