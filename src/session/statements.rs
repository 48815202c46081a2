//! Prepared statements: what a client calls them, what the servers call them.
//!
//! A statement that a client prepares by Parse is known on every server connection by one name of
//! Howdah's, shared by all clients that prepared the same text with the same parameter types under
//! the same settings and schema. A statement made by SQL `PREPARE` keeps the client's own name,
//! since SQL may say it (`EXECUTE name`); two clients' statements of one name replace each other.

use super::Tools;
use super::outcome::Outcome;
use super::pin::Pins;
use super::settings::Settings;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// What the servers' names of prepared statements begin with; letters and digits follow.
pub const NAME_PREFIX: &[u8] = b"__howdah_";

/// The name, in a Parse's reply, of a statement that does not exist on any server.
pub const MISSING: &[u8] = b"__howdah_missing";

/// How a statement came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By a Parse message; `sql` is its text.
    Protocol,
    /// By SQL; `sql` is the whole PREPARE statement.
    Sql,
}

/// A prepared statement, the same for everybody who prepared it.
#[derive(Debug)]
pub struct Statement {
    /// Unique while the process runs; never 0.
    pub id: u64,
    /// Its name on the servers.
    pub server_name: Box<[u8]>,
    /// Its text.
    pub sql: Box<[u8]>,
    /// What follows the text in the Parse message: the parameter types' count and OIDs.
    pub tail: Box<[u8]>,
    /// Where it came from.
    pub origin: Origin,
    /// What one execution does to the session.
    pub outcome: Outcome,
    /// What one execution makes the client hold its connection for.
    pub pins: Pins,
    /// Settings that one execution gives the values of parameters (from 1).
    pub params: Vec<(Box<str>, usize)>,
    /// Names of prepared statements that an execution says in SQL.
    pub refers_to: Vec<Reference>,
    /// What the lexer said of it.
    pub traits: Traits,
    /// Whether a server has taken it, under the schema and settings that it is shared under.
    pub is_proven: AtomicBool,
    /// Its result's columns, as the first server described them: another must say the same.
    pub columns: OnceLock<Box<[u8]>>,
}

/// A prepared statement's name in SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The name.
    pub name: Box<[u8]>,
    /// What is done with it.
    pub need: Need,
}

/// What SQL needs of a prepared statement that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// EXECUTE: the statement.
    Statement,
    /// PREPARE and DEALLOCATE: whether there is one.
    Name,
}

/// What executing a statement needs beyond sending it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// It reads `currval`/`lastval`.
    pub reads_sequence_state: bool,
    /// It may advance a sequence.
    pub advances_sequence: bool,
    /// It reads `pg_prepared_statements`.
    pub lists_prepared: bool,
    /// It opens a transaction block.
    pub opens_block: bool,
    /// It commits: where its answer is lost, so is the transaction's outcome.
    pub commits: bool,
    /// It ends a transaction block, or takes back a part of it.
    pub ends_block: bool,
}

impl Traits {
    /// What either needs.
    #[must_use]
    pub fn and(self, other: Traits) -> Traits {
        Traits {
            reads_sequence_state: self.reads_sequence_state || other.reads_sequence_state,
            advances_sequence: self.advances_sequence || other.advances_sequence,
            lists_prepared: self.lists_prepared || other.lists_prepared,
            opens_block: self.opens_block || other.opens_block,
            commits: self.commits || other.commits,
            ends_block: self.ends_block || other.ends_block,
        }
    }
}

impl Statement {
    /// Whether these are the columns that it had from the first; `false`: the schema changed.
    pub fn has_columns(&self, columns: Box<[u8]>) -> bool {
        match self.columns.get() {
            Some(known) => *known == columns,
            None => self.columns.set(columns).is_ok(),
        }
    }

    /// The same where executing it has this outcome.
    pub(super) fn with_outcome(&self, outcome: Outcome, pins: Pins) -> Statement {
        Statement {
            id: self.id,
            server_name: self.server_name.clone(),
            sql: self.sql.clone(),
            tail: self.tail.clone(),
            origin: self.origin,
            outcome,
            pins,
            params: Vec::new(),
            refers_to: self.refers_to.clone(),
            traits: self.traits,
            is_proven: AtomicBool::new(false),
            columns: OnceLock::new(),
        }
    }

    /// Whether it is plain, advances no sequence and ends no transaction or part of one.
    pub(super) fn is_ordinary(&self) -> bool {
        self.is_plain() && !self.traits.advances_sequence && !self.traits.commits && !self.traits.ends_block
    }

    /// Whether executing it does nothing but what its text says to the database (and perhaps advance
    /// a sequence).
    pub fn is_plain(&self) -> bool {
        matches!(self.outcome, Outcome::Nothing)
            && self.pins.is_empty()
            && self.params.is_empty()
            && self.refers_to.is_empty()
            && Traits { advances_sequence: false, commits: false, ends_block: false, ..self.traits }
                == Traits::default()
    }
}

/// The statement without a name.
#[derive(Clone, Debug)]
pub struct Unnamed {
    /// The number of the Parse that made it: a server has it only if that Parse was sent there.
    pub parse: u64,
    /// What it is.
    pub statement: Arc<Statement>,
}

/// What the meaning of a Parse depends on, besides its contents and the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    standard_conforming_strings: bool,
    epoch: u64,
    hidden_epoch: u64,
}

impl Context {
    pub(super) fn new(standard_conforming_strings: bool, tools: &Tools<'_>) -> Self {
        Context {
            standard_conforming_strings,
            epoch: tools.shared.statements.epoch(),
            hidden_epoch: tools.hidden.epoch,
        }
    }
}

/// What the last Parse without a name made.
#[derive(Debug)]
pub(super) struct Repeated {
    statement: Arc<Statement>,
    settings: Arc<Settings>,
    context: Context,
}

impl Repeated {
    pub(super) fn new(statement: &Arc<Statement>, settings: &Arc<Settings>, context: Context) -> Self {
        Repeated { statement: Arc::clone(statement), settings: Arc::clone(settings), context }
    }

    /// The statement, if a Parse of these contents would make it again.
    pub(super) fn again(
        &self,
        sql: &[u8],
        tail: &[u8],
        settings: &Arc<Settings>,
        context: Context,
    ) -> Option<&Arc<Statement>> {
        let is_same = *self.statement.sql == *sql
            && *self.statement.tail == *tail
            && Settings::same(&self.settings, settings)
            && self.context == context;
        is_same.then_some(&self.statement)
    }
}

/// What to put back when a message failed or was skipped.
#[derive(Debug)]
pub enum Undo {
    /// The client's statement of this name was this before.
    Statement {
        /// Client's name.
        name: Box<[u8]>,
        /// What it was.
        before: Option<Arc<Statement>>,
        /// Prepared on the server by the message that failed.
        prepared: Option<u64>,
    },
    /// The unnamed statement, and whose it was on the server, before.
    Unnamed {
        /// What it was.
        before: Option<Unnamed>,
        /// Which one the server had.
        server: u64,
    },
    /// Only the server's knowledge: this statement is not prepared there after all.
    Prepared(u64),
    /// Only the server's knowledge: a statement under a name of a client's is not there after all.
    Named(Box<[u8]>),
    /// Only the server's knowledge: the statement that was to be closed is there still.
    Closed {
        /// Its id.
        id: u64,
        /// Its name on the server.
        name: Box<[u8]>,
    },
    /// Likewise of a statement under a name of a client's.
    NamedClosed {
        /// Its id.
        id: u64,
        /// Its name.
        name: Box<[u8]>,
    },
    /// The portal of this name was not made.
    Portal(Box<[u8]>),
    /// Only the server's knowledge: this client's sequences are remembered there still.
    SequenceOwner(u64),
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    sql: Box<[u8]>,
    tail: Box<[u8]>,
    settings: Arc<Settings>,
    epoch: u64,
    database: u64,
}

/// The shared statements of all clients.
#[derive(Debug, Default)]
pub struct StatementCache {
    next_id: AtomicU64,
    epoch: AtomicU64,
    known: Mutex<HashMap<Key, Weak<Statement>>>,
}

impl StatementCache {
    /// A fresh id, never 0.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The schema changed: a Parse from now on shares nothing with one before.
    pub fn schema_changed(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// The schema's epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The shared statement for these contents, made by `make` (given its id) when there is none.
    pub fn share(
        &self,
        sql: &[u8],
        tail: &[u8],
        settings: &Arc<Settings>,
        database: u64,
        make: impl FnOnce(u64) -> Statement,
    ) -> Arc<Statement> {
        let key = Key {
            sql: sql.into(),
            tail: tail.into(),
            settings: Arc::clone(settings),
            epoch: self.epoch(),
            database,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&key).and_then(Weak::upgrade) {
            return found;
        }
        if known.len() >= 1024 && known.len().is_power_of_two() {
            known.retain(|_, weak| weak.strong_count() > 0);
        }
        let fresh = Arc::new(make(self.next_id()));
        known.insert(key, Arc::downgrade(&fresh));
        fresh
    }
}

/// A hasher for ids that are already spread: a multiplication.
#[derive(Debug, Default, Clone, Copy)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A map keyed by statement id.
pub type IdMap<V> = HashMap<u64, V, BuildHasherDefault<IdHasher>>;

/// The statements prepared on one server connection under Howdah's names, least recently used first out.
#[derive(Debug, Default)]
pub struct PreparedSet {
    used: IdMap<(u64, Box<[u8]>)>,
    clock: u64,
}

impl PreparedSet {
    /// Whether `id` is prepared; marks it as used.
    pub fn touch(&mut self, id: u64) -> bool {
        self.clock += 1;
        match self.used.get_mut(&id) {
            Some((used, _)) => {
                *used = self.clock;
                true
            }
            None => false,
        }
    }

    /// Notes that `id` was prepared under `name`.
    pub fn insert(&mut self, id: u64, name: &[u8]) {
        self.clock += 1;
        self.used.insert(id, (self.clock, name.into()));
    }

    /// Notes that `id` is not prepared.
    pub fn remove(&mut self, id: u64) {
        self.used.remove(&id);
    }

    /// Notes that nothing is prepared.
    pub fn clear(&mut self) {
        self.used.clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// Takes out the least recently used one, when there are more than `max`: its name is to be closed.
    pub fn evict(&mut self, max: usize) -> Option<(u64, Box<[u8]>)> {
        if self.used.len() <= max.max(8) {
            return None;
        }
        let oldest = self.used.iter().min_by_key(|(_, (used, _))| *used).map(|(id, _)| *id)?;
        self.used.remove(&oldest).map(|(_, name)| (oldest, name))
    }

    /// Takes out all: their ids, and the names that are to be closed.
    pub fn take_all(&mut self) -> Vec<(u64, Box<[u8]>)> {
        self.used.drain().map(|(id, (_, name))| (id, name)).collect()
    }
}
