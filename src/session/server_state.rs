//! What Howdah knows of the session on one server connection.

use super::expected::{Expected, Kind};
use super::params::Parameters;
use super::replies::Replies;
use super::senders::Sender;
use super::settings::Settings;
use super::statements::PreparedSet;
use crate::catalog::OidMap;
use crate::protocol::TransactionStatus;
use std::collections::HashMap;
use std::sync::Arc;

/// A COPY on a server connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copy {
    /// None.
    #[default]
    None,
    /// The server takes CopyData.
    In,
}

/// Some client that had a connection before: what its functions and triggers did with sequences was not seen.
pub const OTHERS: u64 = u64::MAX;

/// The state of one server connection's session, as far as it matters to the next client.
#[derive(Debug)]
pub struct ServerState {
    /// As of the last ReadyForQuery.
    pub status: TransactionStatus,
    /// Settings that differ from a fresh connection's.
    pub settings: Arc<Settings>,
    /// Last reported values.
    pub parameters: Arc<Parameters>,
    /// Statements under Howdah's names.
    pub prepared: PreparedSet,
    /// Statements under names of clients', with the statement's id.
    pub named: HashMap<Box<[u8]>, u64>,
    /// Which unnamed statement it holds: the number of the Parse that made it, or 0.
    pub unnamed: u64,
    /// Replies owed.
    pub expected: Replies,
    /// An error was reported since the last ReadyForQuery.
    pub failed: bool,
    /// The server said that it ends the connection.
    pub is_ending: bool,
    /// Something may be left in it that no command takes away: it is closed when its client gives it back.
    pub is_spoilt: bool,
    /// Whether an error was reported before the last ReadyForQuery.
    pub has_failed: bool,
    /// A transaction block was opened since the last ReadyForQuery.
    pub has_begun: bool,
    /// Counts statements that are done, and wraps around.
    pub completed: u32,
    /// The statement is being cancelled because it ran for too long.
    pub is_expired: bool,
    /// After an error the server ignores messages until Sync, and that Sync was not sent yet.
    pub skipping: bool,
    /// Messages of the extended protocol were sent since the last Sync: the server is in the
    /// transaction that they began, also when it owes nothing.
    pub unsynced: bool,
    /// A COMMIT was sent, and its ReadyForQuery has not come.
    pub committing: bool,
    /// COPY FROM STDIN in progress.
    pub copy: Copy,
    /// What a message of Howdah's own was answered with, when that was an error: the ErrorResponse's body.
    pub own_error: Option<Box<[u8]>>,
    /// The client that last advanced a sequence here; 0 is none, and [`OTHERS`] any that had it before.
    pub sequence_owner: u64,
    /// The shard's OIDs, where columns are to be described in the home shard's.
    pub oids: Option<Arc<OidMap>>,
    /// The client that has it, or had it last; 0 is none.
    pub client: u64,
    /// A statement that was prepared just now, and that turned out to give other columns than elsewhere: its id, or 0.
    pub changed: u64,
    /// Who uses it, for those who are notified from it.
    pub sender: Arc<Sender>,
}

impl ServerState {
    /// Right after login.
    pub fn new(parameters: Arc<Parameters>) -> Self {
        ServerState {
            status: TransactionStatus::Idle,
            settings: Arc::default(),
            parameters,
            prepared: PreparedSet::default(),
            named: HashMap::new(),
            unnamed: 0,
            expected: Replies::default(),
            failed: false,
            is_ending: false,
            is_spoilt: false,
            has_failed: false,
            has_begun: false,
            completed: 0,
            is_expired: false,
            skipping: false,
            unsynced: false,
            committing: false,
            copy: Copy::None,
            own_error: None,
            sequence_owner: 0,
            oids: None,
            client: 0,
            changed: 0,
            sender: Arc::default(),
        }
    }

    /// It is a client's now.
    pub fn is_lent_to(&mut self, client: u64) {
        if self.client != client {
            if self.client != 0 {
                self.sequence_owner = OTHERS;
            }
            self.client = client;
        }
    }

    /// Whether it owes no reply and stands outside any transaction: another client may have it.
    pub fn is_clean(&self) -> bool {
        self.expected.is_empty()
            && self.status == TransactionStatus::Idle
            && !self.skipping
            && !self.unsynced
            && self.copy == Copy::None
            && !self.is_ending
    }

    /// Whether it owes no reply, perhaps inside a transaction block.
    pub fn is_quiet(&self) -> bool {
        self.expected.is_empty() && !self.skipping
    }

    /// Whether it owes no reply and awaits no Sync: a Query may be sent without ending anything.
    pub fn is_between_messages(&self) -> bool {
        self.is_quiet() && !self.unsynced
    }

    /// Whether answers may stay with the server until it is told to send them (Flush): nothing behind the messages
    /// that it was sent makes it.
    pub fn keeps_answers(&self) -> bool {
        let is_last = |entry: &Expected| entry.kind == Kind::CopyEnd;
        // A Sync before the end of a COPY may turn out to be ignored.
        self.expected.back().is_some_and(|last| self.unsynced || is_last(last))
    }

    /// Whether it says nothing more before it is sent more: it owes nothing, takes COPY data, or skips to Sync.
    /// What was held is to be given again.
    pub fn awaits_messages(&self) -> bool {
        self.expected.is_empty() || self.skipping || self.copy == Copy::In
    }

    /// Whether it is in a transaction block that has not failed, as far as it has said.
    pub fn stands_in_block(&self) -> bool {
        self.status == TransactionStatus::InBlock && !self.failed
    }

    /// Whether the transaction may have failed when the server comes to what is sent next, unless that is skipped.
    pub fn may_have_failed(&self) -> bool {
        let may_be_in_block =
            self.status != TransactionStatus::Idle || self.has_begun || self.expected.may_open_block();
        self.status == TransactionStatus::Failed || (may_be_in_block && self.expected.may_fail_unskipped())
    }

    /// Whether the next answer in turn is Howdah's own to give.
    pub fn owes_synthetic(&self) -> bool {
        matches!(
            self.expected.front(),
            Some(Expected { kind: Kind::ParseDone | Kind::CloseDone | Kind::CopyEnd | Kind::Nothing, .. })
        )
    }

    /// Gives back the queue's memory when a long pipeline made it large.
    pub fn shrink(&mut self) {
        self.expected.shrink();
    }
}
