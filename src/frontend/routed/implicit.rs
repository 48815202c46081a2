//! Steps of something longer: statements that follow each other without the client's saying that one
//! ends (a pipeline up to Sync, several statements in one message) and that need several shards.
//!
//! Postgres runs them in one transaction that nobody began. Over shards Howdah begins it: on each shard
//! when a statement first goes there, and ends it on all behind the last. A step is what goes to one
//! shard; its ReadyForQuery is not for the client.

use super::super::client::{Client, End};
use super::block::Block;
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::protocol::{TransactionStatus, write};
use crate::session::Session;
use crate::session::expected::{Expected, Kind, Outcomes};
use crate::session::outcome::Outcome;
use std::time::Instant;

impl Client {
    /// Statements follow that end together.
    pub(super) fn begin_steps(&mut self) -> Result<(), End> {
        self.routed()?.in_steps = true;
        if self.is_outside() { self.open_implicit() } else { Ok(()) }
    }

    /// Begins a transaction that the client did not begin; shards join as their statements come.
    pub(super) fn open_implicit(&mut self) -> Result<(), End> {
        self.routed()?.block = Some(Block::implicit());
        Ok(())
    }

    /// Whether such a transaction is open.
    pub(in crate::frontend) fn is_implicit(&self) -> bool {
        self.routed.as_deref().and_then(|routed| routed.block.as_ref()).is_some_and(|block| block.is_implicit)
    }

    /// Whether the session stands outside any transaction.
    pub(super) fn is_outside(&self) -> bool {
        self.session.status() == TransactionStatus::Idle && !self.is_implicit()
    }

    /// Makes `shard` the one in use for a step; `true`: the client was told why that cannot be.
    pub(super) async fn begin_step(&mut self, shard: ShardId) -> Result<bool, End> {
        match self.use_shard(shard).await? {
            Ok(()) => Ok(false),
            Err(error) => self.fail_step(error).await,
        }
    }

    /// Ends the messages of the extended protocol that were just forwarded, and waits for their answers;
    /// whether one was an error.
    pub(super) async fn end_step(&mut self) -> Result<bool, End> {
        if let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) {
            connection.state.expected.push_back(Expected::end_of_step());
            connection.state.skipping = false;
            connection.state.unsynced = false;
            write::sync(&mut connection.out);
        }
        self.await_step().await
    }

    /// Waits for the answers of a step; whether one was an error.
    pub(super) async fn await_step(&mut self) -> Result<bool, End> {
        self.wait_quiet_keeping().await?;
        let connection = self.lease.as_mut().and_then(|lease| lease.connection());
        // Where the connection was lost, the client was told so.
        let failed = connection.is_none_or(|connection| connection.state.has_failed);
        if failed && self.session.status() == TransactionStatus::InBlock {
            self.session.set_status(TransactionStatus::Failed);
        }
        Ok(failed)
    }

    /// Tells an error of Howdah's own, and makes an open block fail as an error of Postgres would; `true`.
    pub(super) async fn fail_step(&mut self, error: SqlError) -> Result<bool, End> {
        if self.session.status() != TransactionStatus::InBlock {
            write::error_response(&mut self.out, &error);
            return Ok(true);
        }
        if !self.use_any_of_block()? {
            let home = self.routed()?.home();
            if let Err(failed) = self.use_shard_unplanned(home).await? {
                self.session.set_status(TransactionStatus::Failed);
                write::error_response(&mut self.out, &failed);
                return Ok(true);
            }
        }
        if let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) {
            Session::fail(&mut connection.state, false, error, &mut connection.out);
        }
        self.end_step().await?;
        self.session.set_status(TransactionStatus::Failed);
        Ok(true)
    }

    /// Ends the transaction of the messages, if one is open; whether its COMMIT failed, as the client was
    /// told.
    pub(super) async fn end_implicit(&mut self, is_commit: bool) -> Result<bool, End> {
        if !self.is_implicit() {
            return Ok(false);
        }
        let failed = self.end_on_shards(is_commit).await?;
        self.routed()?.block = None;
        self.routed()?.portals.clear();
        Ok(failed)
    }

    /// COMMIT or ROLLBACK on every shard of the open block: first where it was written, since that
    /// decides; whether COMMIT failed there, as the client was told.
    pub(super) async fn end_on_shards(&mut self, is_commit: bool) -> Result<bool, End> {
        let wrote = self.routed()?.block.as_ref().map(|block| block.wrote.clone()).unwrap_or_default();
        if !self.use_any_of_block()? {
            if is_commit && !wrote.is_empty() {
                // Never told COMMIT of what is gone.
                write::error_response(&mut self.out, &writes_are_gone());
                self.session.tracker_mut().rollback();
                return Ok(true);
            }
            let tracker = self.session.tracker_mut();
            if is_commit {
                tracker.commit()
            } else {
                tracker.rollback()
            }
            return Ok(false);
        }
        if is_commit && wrote.len() > 1 {
            self.spread_settings().await?;
            if self.session.status() == TransactionStatus::Failed {
                // A shard was lost over it.
                return self.undone_before_commit().await;
            }
            return self.commit_over_shards(&wrote).await;
        }
        if let Some(shard) = wrote.first().copied().filter(|_| is_commit)
            && let Err(error) = self.use_shard_unplanned(shard).await?
        {
            write::error_response(&mut self.out, &error);
            self.on_each_parked(b"ROLLBACK").await?;
            return Ok(true);
        }
        let failed = self.end_here(if is_commit { b"COMMIT" } else { b"ROLLBACK" }).await?;
        self.on_each_parked(if is_commit && !failed { b"COMMIT" } else { b"ROLLBACK" }).await?;
        Ok(failed)
    }

    /// Runs COMMIT or ROLLBACK on the connection in use: the client is told errors and notices of it, and
    /// nothing else.
    pub(super) async fn end_here(&mut self, sql: &[u8]) -> Result<bool, End> {
        if let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) {
            connection.state.unnamed = 0;
            connection.state.committing = sql == b"COMMIT";
            let outcomes = Outcomes::new(vec![Outcome::Nothing], vec![0]);
            connection.state.expected.push_back(Expected {
                outcomes: Some(Box::new(outcomes)),
                hides_ready: true,
                ..Expected::client(Kind::Query)
            });
            write::query(&mut connection.out, sql);
        }
        self.wait_quiet_keeping().await?;
        let connection = self.lease.as_mut().and_then(|lease| lease.connection());
        Ok(connection.is_none_or(|connection| connection.state.has_failed))
    }

    /// Behind the last step: the client is told that it may go on, and connections go back.
    pub(super) async fn end_of_steps(&mut self) -> Result<(), End> {
        if let Some(routed) = self.routed.as_deref_mut() {
            routed.in_steps = false;
        }
        if self.is_outside()
            // What was undone elsewhere may be in force here: the connection joined after it was set.
            && let Err(error) = self.settle_settings().await?
        {
            tracing::debug!(%error, "settings were not put back: the connection is closed");
        }
        self.tell_parameters();
        write::ready_for_query(&mut self.out, self.session.status());
        self.note_end_of_work(self.is_outside(), Instant::now());
        if self.is_outside() {
            self.release_all();
        }
        Ok(())
    }
}

/// The connections that wrote are lost, and the transaction with them.
pub(super) fn writes_are_gone() -> SqlError {
    SqlError::new(
        crate::sqlstate::CONNECTION_FAILURE,
        "the connections to the shards that the transaction wrote to were lost: the transaction is rolled back",
    )
    .with_hint("Run the transaction again.")
}
