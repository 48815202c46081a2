//! A client's session as a state machine: messages in, messages and verdicts out.
//!
//! It owns what a session on one Postgres would own (settings, prepared statements, transaction
//! status) and knows no socket, pool or shard. `frontend` steps take one client message and write what
//! goes to the server; `backend` steps take one server message and say whether the client sees it.

mod apply;
mod backend;
pub mod describe;
pub mod expected;
mod extended;
mod failure;
mod hold;
mod lending;
mod materialise;
mod oids;
pub mod outcome;
pub mod params;
mod parse;
mod pin;
pub mod replies;
pub mod senders;
mod sequences;
pub mod server_state;
pub mod settings;
mod simple;
pub mod statements;
pub mod take;

pub use backend::Verdict;
pub use failure::{is_cancellation, timeout_error};
pub use hold::Step;
pub use outcome::Outcome;
pub use pin::Pins;
pub use simple::query_text;

use crate::error::SqlError;
use crate::protocol::{TransactionStatus, frontend, write};
use crate::sql::encoding::is_scannable;
use crate::sql::scan::Statements as Scanned;
use expected::{Expected, Kind, OnError};
use params::Parameters;
use server_state::{Copy, ServerState};
use settings::{Settings, Tracker};
use statements::{Repeated, Statement, StatementCache, Unnamed};
use std::collections::BTreeMap;
use std::sync::Arc;

/// When a server connection goes back to the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pooling {
    /// At the end of each transaction.
    #[default]
    Transaction,
    /// When the client disconnects.
    Session,
    /// After each statement; transaction blocks are refused.
    Statement,
}

/// What all sessions of a process share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Settings with equal contents are one allocation.
    pub settings: settings::Interner,
    /// Reported parameters likewise.
    pub parameters: params::Interner,
    /// Prepared statements by text.
    pub statements: StatementCache,
    /// Server connections as senders of notifications.
    pub senders: senders::Senders,
}

/// What a step needs besides the session itself; lent for the step.
#[derive(Debug)]
pub struct Tools<'a> {
    /// Process-wide tables.
    pub shared: &'a Shared,
    /// Reused by the lexer.
    pub scanned: &'a mut Scanned,
    /// What is known of code in the database that leaves marks on the session.
    pub hidden: &'a describe::HiddenState,
    /// How many statements a server connection keeps prepared.
    pub prepared_statements_max: usize,
}

/// One client's session.
#[derive(Debug)]
pub struct Session {
    /// Unique while the process runs; never 0.
    pub id: u64,
    /// Which database of which cluster: statements are shared within it.
    pub database_key: u64,
    pooling: Pooling,
    tracker: Tracker,
    /// What the client was last told.
    parameters: Arc<Parameters>,
    status: TransactionStatus,
    pins: Pins,
    /// Those added since the session was last outside a transaction with nothing owed.
    pins_in_transaction: Pins,
    /// Those that end when the present transaction commits.
    pins_ending: Pins,
    names: Option<Box<Names>>,
    unnamed: Option<Unnamed>,
    /// What the last Parse without a name made: the next one is most often the same.
    repeated: Option<Repeated>,
    /// Without a server: an error was answered, and messages are ignored until Sync.
    skipping: bool,
    sequence_used: bool,
    /// What the transaction that has not ended yet did to the schema, or found out about it.
    schema: SchemaNews,
    defaults_changed: bool,
    /// A statement that changes the catalog was committed.
    catalog_changed: bool,
}

/// What a transaction knows of the schema that others do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SchemaNews {
    #[default]
    None,
    /// Somebody else changed it.
    Found,
    /// It changed it.
    Changed,
}

/// What a client has names for; most clients have none.
#[derive(Debug, Default)]
struct Names {
    statements: BTreeMap<Box<[u8]>, Arc<Statement>>,
    /// Portals of statements whose execution does something to the session.
    portals: BTreeMap<Box<[u8]>, Arc<Statement>>,
}

impl Session {
    /// A session right after login.
    pub fn new(
        id: u64,
        database_key: u64,
        pooling: Pooling,
        startup: Arc<Settings>,
        parameters: Arc<Parameters>,
    ) -> Self {
        let mut pins = if pooling == Pooling::Session { Pins::SESSION } else { Pins::default() };
        if parameters.get(b"client_encoding").is_some_and(|name| !is_scannable(name)) {
            // Its statements cannot be read: anything may be in them.
            pins.insert(Pins::OPAQUE);
        }
        let path = startup.get("search_path").unwrap_or_default().to_ascii_lowercase();
        if memchr::memmem::find(&path, b"pg_temp").is_some() {
            // What it makes is temporary without saying so.
            pins.insert(Pins::TEMP);
        }
        Session {
            id,
            database_key,
            pooling,
            tracker: Tracker::new(startup),
            parameters,
            status: TransactionStatus::Idle,
            pins,
            pins_in_transaction: Pins::default(),
            pins_ending: Pins::default(),
            names: None,
            unnamed: None,
            repeated: None,
            skipping: false,
            sequence_used: false,
            schema: SchemaNews::None,
            defaults_changed: false,
            catalog_changed: false,
        }
    }

    /// The transaction status that the client was last told.
    pub fn status(&self) -> TransactionStatus {
        self.status
    }

    /// Tells the session what Howdah itself told the client.
    pub fn set_status(&mut self, status: TransactionStatus) {
        self.status = status;
    }

    /// Why the client holds its connection.
    pub fn pins(&self) -> Pins {
        self.pins
    }

    /// Settings that hold now.
    pub fn settings(&self) -> &Arc<Settings> {
        self.tracker.current()
    }

    /// The settings' history, for transactions that Howdah keeps itself.
    pub fn tracker_mut(&mut self) -> &mut Tracker {
        &mut self.tracker
    }

    /// What the client was last told of reported parameters.
    pub fn parameters(&self) -> &Arc<Parameters> {
        &self.parameters
    }

    /// Whether a schema or default change was committed since last asked.
    pub fn take_defaults_changed(&mut self) -> bool {
        std::mem::take(&mut self.defaults_changed)
    }

    /// Whether a transaction ended, since last asked, in which a statement changed the catalog.
    #[inline]
    pub fn take_catalog_changed(&mut self) -> bool {
        std::mem::take(&mut self.catalog_changed)
    }

    /// How the pool is used.
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// Takes one client message that goes to `server`; `frame` is whole, header included.
    ///
    /// Where it depends on replies to come, it is [`Step::Held`]: it is to be given again when the server has
    /// answered everything, or takes COPY data. Something of Howdah's own may have been written all the same.
    ///
    /// # Errors
    /// An error that ends the session (08P01).
    pub fn frontend(
        &mut self,
        frame: &[u8],
        server: &mut ServerState,
        tools: &mut Tools<'_>,
        to_server: &mut Vec<u8>,
    ) -> Result<Step, SqlError> {
        let Some(&tag) = frame.first() else { return Ok(Step::Taken) };
        server.is_lent_to(self.id);
        if server.copy == Copy::In {
            self.during_copy_in(tag, frame, server, to_server);
            return Ok(Step::Taken);
        }
        if server.skipping {
            if tag == frontend::SYNC {
                server.skipping = false;
                server.unsynced = false;
                server.expected.push_back(Expected::client(Kind::Sync));
                to_server.extend_from_slice(frame);
            }
            return Ok(Step::Taken);
        }
        if !server.expected.is_empty() && self.awaits_replies(tag, server) {
            return Ok(Step::Held);
        }
        Ok(match tag {
            frontend::QUERY => self.query(frame, server, tools, to_server),
            frontend::PARSE => self.parse(frame, server, tools, to_server),
            frontend::BIND => {
                server.has_bound = true;
                self.bind(frame, server, tools, to_server)
            }
            frontend::DESCRIBE => self.describe(frame, server, tools, to_server),
            frontend::EXECUTE => {
                server.has_bound = true;
                self.execute(frame, server, to_server)
            }
            frontend::CLOSE => self.close(frame, server, to_server),
            frontend::SYNC => {
                server.unsynced = false;
                server.expected.push_back(Expected::client(Kind::Sync));
                to_server.extend_from_slice(frame);
                Step::Taken
            }
            frontend::FUNCTION_CALL => {
                // A function may do anything to the session.
                self.pins.insert(Pins::OPAQUE);
                push_simple(server, Expected::client(Kind::FunctionCall));
                to_server.extend_from_slice(frame);
                Step::Taken
            }
            frontend::COPY_DONE | frontend::COPY_FAIL => {
                if !server.expected.is_empty() {
                    server.expected.push_back(Expected::client(Kind::CopyEnd));
                }
                to_server.extend_from_slice(frame);
                Step::Taken
            }
            frontend::FLUSH | frontend::COPY_DATA => {
                to_server.extend_from_slice(frame);
                Step::Taken
            }
            _ => {
                return Err(SqlError::protocol(format!("invalid frontend message type {tag}")));
            }
        })
    }

    fn during_copy_in(&mut self, tag: u8, frame: &[u8], server: &mut ServerState, to_server: &mut Vec<u8>) {
        match tag {
            frontend::COPY_DATA => to_server.extend_from_slice(frame),
            frontend::COPY_DONE | frontend::COPY_FAIL => {
                server.copy = Copy::None;
                to_server.extend_from_slice(frame);
            }
            // The server ignores them, for the convenience of client libraries.
            frontend::FLUSH | frontend::SYNC => {}
            _ => {
                // Postgres fails the COPY, and ends the connection, which is out of step.
                server.copy = Copy::None;
                self.pins.insert(Pins::OPAQUE);
                to_server.extend_from_slice(frame);
            }
        }
    }

    /// Sends something that fails in the server's present transaction, and tells `error` instead of
    /// what the server says: so the transaction, implicit or not, ends as an error of Postgres's own
    /// would end it. `simple` says which protocol the client's message was of.
    pub fn fail(server: &mut ServerState, simple: bool, error: SqlError, to_server: &mut Vec<u8>) {
        let replace = Some(OnError::Replace(Box::new(error)));
        if simple {
            write::query(to_server, b"howdah_refused");
            server.unnamed = 0;
            push_simple(server, Expected { on_error: replace, ..Expected::client(Kind::Query) });
        } else {
            write::describe(to_server, b'S', statements::MISSING);
            server.unsynced = true;
            server
                .expected
                .push_back(Expected { on_error: replace, ..Expected::client(Kind::DescribeStatement) });
        }
    }

    /// Takes a client message without any server, after an error that Howdah answered: everything up to
    /// Sync is ignored.
    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// See [`Self::is_skipping`].
    pub fn set_skipping(&mut self, skipping: bool) {
        self.skipping = skipping;
    }

    /// The server connection is gone, with the transaction that was on it.
    pub fn server_lost(&mut self) {
        self.tracker.rollback();
        self.clear_portals();
        self.schema = SchemaNews::None;
    }

    fn pin(&mut self, pins: Pins) {
        self.pins.insert(pins);
        self.pins_in_transaction.insert(pins);
    }

    /// What ends a pin (UNLISTEN, DISCARD) counts only now, and not for what was pinned besides.
    fn settle_pins(&mut self, committed: bool, server: &ServerState) {
        if committed {
            let mut ending = std::mem::take(&mut self.pins_ending);
            ending.remove(self.pins_in_transaction);
            self.pins.remove(ending);
        }
        self.pins_ending = Pins::default();
        if server.expected.is_empty() {
            self.pins_in_transaction = Pins::default();
        }
    }

    fn names(&mut self) -> &mut Names {
        self.names.get_or_insert_default()
    }

    /// The text of a prepared statement, by the client's name.
    pub fn text_of(&self, name: &[u8]) -> Option<&[u8]> {
        self.statement(name).map(|statement| &*statement.sql)
    }

    fn statement(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        self.names.as_ref()?.statements.get(name)
    }

    fn clear_portals(&mut self) {
        if let Some(names) = &mut self.names {
            names.portals.clear();
        }
    }

    fn forget_statements(&mut self) {
        if let Some(names) = &mut self.names {
            names.statements.clear();
        }
    }
}

/// A message was sent that ReadyForQuery answers, also without a Sync.
fn push_simple(server: &mut ServerState, entry: Expected) {
    // Behind messages that await their Sync, an error of theirs skips it, and what follows.
    let may_be_skipped = server.expected.may_skip_next();
    server.expected.push_back(entry);
    server.unsynced = false;
    if !may_be_skipped {
        server.expected.end_stretch();
    }
}

#[cfg(test)]
mod tests;
