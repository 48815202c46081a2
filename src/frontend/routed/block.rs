//! A transaction block over shards: opened lazily on each, ended on all.

use super::super::client::{Client, End};
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::protocol::TransactionStatus;
use crate::session::settings::{Settings, transition_sql};
use crate::sql::transaction::{Isolation, Modes, TransactionCommand, parse_transaction};
use crate::sqlstate;
use std::sync::Arc;

/// An open block.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// The statement that opened it.
    begin: Vec<u8>,
    /// Statements since then that a shard which joins later must run too: savepoints, settings.
    replay: Vec<Vec<u8>>,
    /// The session's settings as those statements make them; `None`: as before the block.
    settings: Option<Arc<Settings>>,
    /// The shard that was written to.
    pub(super) wrote: Option<ShardId>,
    /// The shards that have joined.
    joined: Vec<ShardId>,
    /// The client did not begin it: it ends with the messages that need it.
    pub(super) is_implicit: bool,
    /// One snapshot serves the whole block: it cannot be had of several shards yet.
    is_one_snapshot: bool,
}

impl Block {
    pub(super) fn new(begin: &[u8], modes: &Modes) -> Self {
        let one = is_one_snapshot(modes);
        Block { begin: begin.to_vec(), is_one_snapshot: one, ..Block::default() }
    }

    /// A transaction that the client did not begin.
    pub(super) fn implicit() -> Self {
        Block { begin: b"BEGIN".to_vec(), is_implicit: true, ..Block::default() }
    }

    /// The block that follows by AND CHAIN, with the characteristics of this one.
    pub(super) fn chained(&self) -> Block {
        let is_mode = |sql: &&Vec<u8>| {
            matches!(parse_transaction(sql, true), Some(TransactionCommand::SetTransaction(_)))
        };
        Block {
            begin: self.begin.clone(),
            replay: self.replay.iter().filter(is_mode).cloned().collect(),
            is_one_snapshot: self.is_one_snapshot,
            ..Block::default()
        }
    }

    /// The block with these statements run in it, as every shard that joins has to.
    pub(super) fn with_replay(mut self, statements: impl IntoIterator<Item = Vec<u8>>) -> Block {
        self.replay.extend(statements);
        self
    }

    /// The block after `shard` has joined.
    pub(super) fn with_joined(mut self, shard: ShardId) -> Block {
        self.joined.push(shard);
        self
    }

    /// Whether it is whole on `shard`: no other has joined.
    pub(super) fn is_only_on(&self, shard: ShardId) -> bool {
        self.joined.iter().all(|joined| *joined == shard) && self.wrote.is_none_or(|wrote| wrote == shard)
    }

    /// Whether a SET LOCAL in it may be of a setting of this name.
    pub(super) fn sets(&self, name: &str) -> bool {
        self.replay
            .iter()
            .any(|sql| memchr::memmem::find(&sql.to_ascii_lowercase(), name.as_bytes()).is_some())
    }

    /// Whether a statement ran in it.
    pub(super) fn has_joined(&self) -> bool {
        !self.joined.is_empty()
    }
}

fn is_one_snapshot(modes: &Modes) -> bool {
    matches!(modes.isolation, Some(Isolation::RepeatableRead | Isolation::Serializable))
}

/// Why one snapshot cannot serve statements over several shards.
pub(super) fn torn_snapshot() -> SqlError {
    SqlError::refused(
        "a REPEATABLE READ or SERIALIZABLE transaction over several shards is not supported yet",
        "Use READ COMMITTED, or keep the transaction to one sharding key.",
    )
}

/// What a transaction command means to a routed session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Begin,
    /// COMMIT or ROLLBACK.
    End {
        is_commit: bool,
        /// The next block begins at once.
        chains: bool,
    },
    /// To be run on every shard of the block, now and later.
    Everywhere,
    /// PREPARE TRANSACTION.
    Prepare,
    /// Goes to one shard and means nothing to others.
    Plain,
    /// Not with several shards.
    Refused,
}

pub(super) fn command(text: &[u8], scs: bool) -> (Command, Modes) {
    match parse_transaction(text, scs) {
        Some(TransactionCommand::Begin(modes)) => (Command::Begin, modes),
        Some(TransactionCommand::Commit { and_chain }) => {
            (Command::End { is_commit: true, chains: and_chain }, Modes::default())
        }
        Some(TransactionCommand::Rollback { and_chain }) => {
            (Command::End { is_commit: false, chains: and_chain }, Modes::default())
        }
        Some(
            TransactionCommand::Savepoint(_)
            | TransactionCommand::Release(_)
            | TransactionCommand::RollbackTo(_),
        ) => (Command::Everywhere, Modes::default()),
        Some(TransactionCommand::SetTransaction(modes)) => (Command::Everywhere, modes),
        Some(TransactionCommand::SetSnapshot) => (Command::Refused, Modes::default()),
        Some(TransactionCommand::PrepareTransaction(_)) => (Command::Prepare, Modes::default()),
        Some(TransactionCommand::CommitPrepared(_) | TransactionCommand::RollbackPrepared(_)) | None => {
            (Command::Plain, Modes::default())
        }
    }
}

impl Client {
    /// Opens the block without any shard.
    pub(super) fn open_block(&mut self, begin: &[u8], modes: &Modes) -> Result<(), End> {
        self.session.set_status(TransactionStatus::InBlock);
        self.routed()?.block = Some(Block::new(begin, modes));
        Ok(())
    }

    /// The connection in use is new to the open block: it joins.
    pub(super) async fn join_block(&mut self) -> Result<Result<(), SqlError>, End> {
        match self.session.status() {
            TransactionStatus::Idle if !self.is_implicit() => return Ok(Ok(())),
            TransactionStatus::Failed => {
                // The block was lost with its servers: this one gets a failed one, so that everything
                // up to ROLLBACK is answered as Postgres answers it.
                if let Err(error) = self.run_own(b"BEGIN").await? {
                    return Ok(Err(error));
                }
                let _expected_to_fail = self.run_own(b"howdah_transaction_lost").await?;
                return Ok(Ok(()));
            }
            TransactionStatus::Idle | TransactionStatus::InBlock => {}
        }
        let routed = self.routed()?;
        let Some(block) = &routed.block else { return Ok(Ok(())) };
        let current = routed.current;
        if block.wrote == Some(current) && block.joined.contains(&current) {
            // It was of the block before, and what it wrote is gone with its connection.
            let error = SqlError::new(
                sqlstate::CONNECTION_FAILURE,
                "the connection to a shard that the transaction wrote to was lost: its writes are undone",
            )
            .with_hint("Roll back, and run the transaction again.");
            self.drop_joining();
            return Ok(Err(error));
        }
        let joined = routed.parked.iter_mut().any(|(_, lease)| {
            lease.connection().is_some_and(|connection| connection.state.status != TransactionStatus::Idle)
        });
        let is_one_snapshot = block.is_one_snapshot;
        if joined && (is_one_snapshot || self.has_one_snapshot_default()) {
            self.drop_joining();
            return Ok(Err(torn_snapshot()));
        }
        let Some(block) = &self.routed()?.block else { return Ok(Ok(())) };
        let settings = block.settings.clone();
        let mut statements = vec![block.begin.clone()];
        statements.extend(block.replay.iter().cloned());
        for sql in statements {
            if let Err(error) = self.run_own(&sql).await? {
                self.drop_joining();
                return Ok(Err(error));
            }
        }
        if let Some(settings) = settings
            && let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection())
        {
            connection.state.settings = settings;
        }
        if let Some(block) = &mut self.routed()?.block
            && !block.joined.contains(&current)
        {
            block.joined.push(current);
        }
        Ok(Ok(()))
    }

    /// Whether transactions of the session are REPEATABLE READ or SERIALIZABLE where they do not say.
    pub(super) fn has_one_snapshot_default(&self) -> bool {
        self.session.settings().get("default_transaction_isolation").is_some_and(|replay| {
            let replay = replay.to_ascii_lowercase();
            [&b"repeatable"[..], b"serializable"]
                .iter()
                .any(|word| memchr::memmem::find(&replay, word).is_some())
        })
    }

    /// SET TRANSACTION in an open block.
    pub(super) fn note_modes(&mut self, modes: &Modes) -> Result<Result<(), SqlError>, End> {
        if !is_one_snapshot(modes) {
            return Ok(Ok(()));
        }
        let routed = self.routed()?;
        if !routed.parked.is_empty() {
            return Ok(Err(torn_snapshot()));
        }
        if let Some(block) = &mut routed.block {
            block.is_one_snapshot = true;
        }
        Ok(Ok(()))
    }

    /// Lets go of a connection that could not join; another of the block is in use again.
    fn drop_joining(&mut self) {
        self.drop_lease();
        let Some(routed) = self.routed.as_deref_mut() else { return };
        if let Some((shard, lease)) = routed.parked.pop() {
            routed.current = shard;
            self.lease = Some(lease);
            self.mark_attached(shard);
        }
    }

    /// Whether a statement that writes may go to `shard`; notes that it does.
    pub(super) fn note_write(&mut self, shard: ShardId) -> Result<Result<(), SqlError>, End> {
        let Some(block) = &mut self.routed()?.block else { return Ok(Ok(())) };
        match block.wrote {
            Some(other) if other != shard => Ok(Err(SqlError::refused(
                "a transaction that writes to several shards is not supported yet",
                "Keep each transaction's writes to rows of one sharding key.",
            ))),
            _ => {
                block.wrote = Some(shard);
                Ok(Ok(()))
            }
        }
    }

    /// Runs a statement, which the shard in use has just run, on the others of the block; and on those
    /// that join later.
    pub(super) async fn run_on_parked(&mut self, sql: &[u8]) -> Result<(), End> {
        let settings = Arc::clone(self.session.settings());
        if let Some(block) = &mut self.routed()?.block {
            block.replay.push(sql.to_vec());
            block.settings = Some(settings);
        }
        self.on_each_parked(sql).await
    }

    /// What statements of the block set on the shard in use is set on its other shards, before anything else runs
    /// there: so a savepoint, and the end of the block, mean the same to the settings of each.
    pub(super) async fn spread_settings(&mut self) -> Result<(), End> {
        let Some(routed) = self.routed.as_deref() else { return Ok(()) };
        let Some(block) = routed.block.as_ref() else { return Ok(()) };
        let current = self.session.settings();
        let known = block.settings.as_ref().unwrap_or(self.session.settings_before_block());
        if Settings::same(known, current) || self.session.status() == TransactionStatus::Failed {
            return Ok(());
        }
        let sql = transition_sql(known, current);
        self.run_on_parked(&sql).await
    }

    /// Runs `sql` on each parked connection; one that fails is closed, and the block with it. Afterwards their
    /// settings are the session's, or those from before the block.
    pub(super) async fn on_each_parked(&mut self, sql: &[u8]) -> Result<(), End> {
        let parked = std::mem::take(&mut self.routed()?.parked);
        if parked.is_empty() {
            return Ok(());
        }
        let used = (self.routed()?.current, self.lease.take());
        let status = self.session.status();
        let ends = matches!(sql, b"COMMIT" | b"ROLLBACK");
        let settings = match sql {
            b"ROLLBACK" => Arc::clone(self.session.settings_before_block()),
            _ => Arc::clone(self.session.settings()),
        };
        let mut is_lost = false;
        let mut back = Vec::new();
        for (shard, mut lease) in parked {
            let is_inside = lease
                .connection()
                .is_some_and(|connection| connection.state.status != TransactionStatus::Idle);
            if !is_inside {
                back.push((shard, lease));
                continue;
            }
            self.lease = Some(lease);
            self.mark_attached(shard);
            if self.run_own(sql).await?.is_err() {
                tracing::warn!(%shard, "a shard of a transaction did not follow: its connection is closed");
                self.drop_lease();
                is_lost = !ends;
            }
            if let Some(mut lease) = self.lease.take() {
                if let Some(connection) = lease.connection() {
                    connection.state.settings = Arc::clone(&settings);
                }
                back.push((shard, lease));
            }
        }
        let routed = self.routed()?;
        routed.parked = back;
        routed.current = used.0;
        self.lease = used.1;
        self.mark_attached(used.0);
        self.session.set_status(status);
        if is_lost {
            // The block is not whole any more: it has failed, and only ROLLBACK ends it.
            self.drop_lease();
            self.discard_parked();
            self.session.server_lost();
            self.session.set_status(TransactionStatus::Failed);
        }
        Ok(())
    }
}
