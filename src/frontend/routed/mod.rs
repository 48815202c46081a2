//! A client of a database whose tables lie on several shards: every statement is routed before it is
//! sent.
//!
//! A transaction block opens on each shard when a statement first goes there. The shard in use is the
//! client's lease, as for an unsharded database; the others of the block are parked, and owe nothing.

mod batch;
mod block;
mod call;
mod implicit;
mod local;
mod quick;
mod scatter;
mod several;
mod simple;
mod steps;
mod under_view;

use super::attach::Checkout;
use super::client::{Client, End};
use super::relay::Event;
use super::settle::give_back_later;
use crate::error::SqlError;
use crate::exec::{Memo, PlannedStatement, Router};
use crate::ids::ShardId;
use crate::pool::Lease;
use crate::protocol::{TransactionStatus, frontend, write};
use crate::session::Session;
use crate::session::server_state::Copy;
use crate::session::settings::{Settings, transition_sql};
use crate::sql::template::Template;
use crate::sqlstate;
use block::Block;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// What a routed client has besides.
#[derive(Debug)]
pub(super) struct Routed {
    router: Arc<Router>,
    /// The version of the cluster's view that `router` is of; 0 where that is not known to be usable.
    version: u64,
    /// The shard of the client's lease.
    current: ShardId,
    /// Other shards of the open block.
    parked: Vec<(ShardId, Lease)>,
    block: Option<Block>,
    /// Whether statements run that end together: parameters are told behind the last.
    in_steps: bool,
    /// A COPY of a step was ended, since it takes data that the step cannot have.
    broke_copy: bool,
    /// Whether nothing was told or sent yet of the message at hand: it can be planned anew.
    is_untouched: bool,
    /// Prepared statements by the client's name; the unnamed one's is empty.
    statements: BTreeMap<Box<[u8]>, Arc<PlannedStatement>>,
    /// Where portals of the open block are.
    portals: BTreeMap<Box<[u8]>, ShardId>,
    lifted: Template,
    memo: Option<Memo>,
}

impl Routed {
    pub(super) fn new(router: Arc<Router>) -> Self {
        Routed {
            current: router.rules().home(),
            router,
            version: 0,
            parked: Vec::new(),
            block: None,
            in_steps: false,
            broke_copy: false,
            is_untouched: false,
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
            lifted: Template::default(),
            memo: None,
        }
    }

    /// Whether a COPY was ended since last asked.
    fn take_broke_copy(&mut self) -> bool {
        std::mem::take(&mut self.broke_copy)
    }

    /// Whether a step is run of something longer.
    pub(super) fn is_in_steps(&self) -> bool {
        self.in_steps
    }

    fn home(&self) -> ShardId {
        self.router.rules().home()
    }
}

impl Client {
    /// Takes the message, or run of messages up to Sync or Flush, that begins at `frame`. `None`: more
    /// of it has to come first.
    pub(super) async fn route(&mut self, tag: u8, frame: Range<usize>) -> Result<Option<usize>, End> {
        loop {
            self.routed()?.is_untouched = true;
            let outcome = self.route_message(tag, frame.clone()).await;
            if self.is_quiet() {
                self.handle.end_plan();
            }
            if !matches!(outcome, Err(End::Stale)) {
                return outcome;
            }
        }
    }

    async fn route_message(&mut self, tag: u8, frame: Range<usize>) -> Result<Option<usize>, End> {
        if matches!(tag, frontend::COPY_DATA | frontend::COPY_DONE | frontend::COPY_FAIL) {
            if self.lease.is_some() {
                self.forward_in_turn(frame.clone()).await?;
            }
            return Ok(Some(frame.end));
        }
        if self.is_quiet() {
            let quick = match tag {
                frontend::QUERY => self.quick_query(frame.clone()).await?.then_some(frame.end),
                frontend::FUNCTION_CALL => None,
                _ => self.quick_batch(frame.start).await?,
            };
            if quick.is_some() {
                return Ok(quick);
            }
        }
        let end = match tag {
            _ if self.is_copying() => frame.end,
            frontend::QUERY | frontend::FUNCTION_CALL => frame.end,
            _ => match self.batch_end(frame.start)? {
                Some(end) => end,
                None => return Ok(None),
            },
        };
        self.wait_answered().await?;
        if self.takes_it_as_it_is() {
            self.forward_in_turn(frame.clone()).await?;
            return Ok(Some(frame.end));
        }
        match tag {
            // After an error up to Sync.
            frontend::QUERY | frontend::FUNCTION_CALL if self.session.is_skipping() => {}
            frontend::QUERY => Box::pin(self.routed_query(frame)).await?,
            frontend::FUNCTION_CALL => Box::pin(self.routed_call(frame)).await?,
            _ => Box::pin(self.routed_batch(frame.start..end)).await?,
        }
        Ok(Some(end))
    }

    /// Whether the server in use knows what becomes of the next message: it takes the data of a COPY, or
    /// has failed and skips what comes before Sync.
    fn takes_it_as_it_is(&mut self) -> bool {
        self.lease
            .as_mut()
            .and_then(|lease| lease.connection())
            .is_some_and(|connection| connection.state.copy == Copy::In || connection.state.skipping)
    }

    fn is_copying(&mut self) -> bool {
        self.lease
            .as_mut()
            .and_then(|lease| lease.connection())
            .is_some_and(|connection| connection.state.copy == Copy::In)
    }

    pub(super) fn routed(&mut self) -> Result<&mut Routed, End> {
        self.routed
            .as_deref_mut()
            .ok_or_else(|| End::Told(SqlError::fatal(sqlstate::INTERNAL_ERROR, "the client is not routed")))
    }

    /// Waits until the connection in use has answered what it was sent, or waits for a COPY's data.
    async fn wait_answered(&mut self) -> Result<(), End> {
        self.ask_for_replies();
        while self.owes_answers() {
            let event = poll_fn(|cx| match self.poll_relay(cx) {
                // A server that has failed, or takes data, has answered without being done.
                Poll::Pending if !self.owes_answers() => Poll::Ready(Event::Settled),
                other => other,
            });
            match event.await {
                Event::Input | Event::Settled => {}
                Event::ClientGone => return Err(End::Gone),
                Event::ServerGone { in_message, reason } => self.server_gone(in_message, reason)?,
            }
        }
        Ok(())
    }

    fn owes_answers(&mut self) -> bool {
        self.lease.as_mut().and_then(|lease| lease.connection()).is_some_and(|connection| {
            connection.state.copy != Copy::In && !connection.state.expected.is_empty()
        })
    }

    /// Makes `shard` the one in use, in the session's state and inside the open block, for a statement that was
    /// planned.
    async fn use_shard(&mut self, shard: ShardId) -> Result<Result<(), SqlError>, End> {
        match self.use_shard_unplanned(shard).await? {
            Ok(()) if self.database.view.is_some() => self.check_plan(),
            outcome => Ok(outcome),
        }
    }

    /// As [`Self::use_shard`], for what needs no plan: the end of a block.
    async fn use_shard_unplanned(&mut self, shard: ShardId) -> Result<Result<(), SqlError>, End> {
        let outcome = self.put_in_use(shard).await?;
        // Only now: joining a block made its local settings hold.
        if outcome.is_ok() && !self.routed()?.in_steps {
            self.tell_parameters();
        }
        Ok(outcome)
    }

    async fn put_in_use(&mut self, shard: ShardId) -> Result<Result<(), SqlError>, End> {
        self.spread_settings().await?;
        if self.handle.is_being_cancelled() {
            // The request meant what was sent before.
            self.handle.cancels_done().await;
        }
        if self.lease.is_some() && self.routed()?.current == shard {
            return self.settle_and_join().await;
        }
        if !self.is_between_messages() {
            return Ok(Err(several_without_sync()));
        }
        if let Err(error) = self.shard_ready(shard).await {
            return Ok(Err(error));
        }
        self.park()?;
        let routed = self.routed()?;
        routed.current = shard;
        let known = routed.parked.iter().position(|(parked, _)| *parked == shard);
        if let Some(at) = known {
            let (_, lease) = routed.parked.swap_remove(at);
            self.lease = Some(lease);
            self.mark_attached(shard);
            return self.settle_and_join().await;
        }
        if let Err(error) = self.attach(shard).await? {
            return Ok(Err(error));
        }
        self.note_retired()?;
        if let Err(error) = self.settle_settings().await? {
            self.drop_lease();
            return Ok(Err(error));
        }
        self.join_block().await
    }

    /// As [`Self::put_in_use`], of the connection in use: one that the client kept between transactions
    /// has yet to join the open block.
    async fn settle_and_join(&mut self) -> Result<Result<(), SqlError>, End> {
        if let Err(error) = self.settle_settings().await? {
            return Ok(Err(error));
        }
        if self.is_to_join() { self.join_block().await } else { Ok(Ok(())) }
    }

    /// Whether the connection in use has no part yet in the open transaction.
    fn is_to_join(&mut self) -> bool {
        !self.is_outside() && !self.is_in_block()
    }

    /// Whether no implicit transaction is open on the connection in use.
    fn is_between_messages(&mut self) -> bool {
        let connection = self.lease.as_mut().and_then(|lease| lease.connection());
        connection.is_none_or(|connection| connection.state.is_between_messages())
    }

    /// Whether the connection in use is inside a transaction, or in the middle of messages.
    fn is_in_block(&mut self) -> bool {
        self.lease.as_mut().and_then(|lease| lease.connection()).is_some_and(|connection| {
            connection.state.status != TransactionStatus::Idle || !connection.state.is_between_messages()
        })
    }

    /// Makes a connection of the open block the one in use; whether there is one.
    fn use_any_of_block(&mut self) -> Result<bool, End> {
        if self.is_in_block() {
            return Ok(true);
        }
        let parked = std::mem::take(&mut self.routed()?.parked);
        let mut found = None;
        for (shard, mut lease) in parked {
            let is_inside = lease
                .connection()
                .is_some_and(|connection| connection.state.status != TransactionStatus::Idle);
            if is_inside && found.is_none() {
                found = Some((shard, lease));
            } else {
                self.routed()?.parked.push((shard, lease));
            }
        }
        let Some((shard, lease)) = found else { return Ok(false) };
        self.park()?;
        self.routed()?.current = shard;
        self.lease = Some(lease);
        self.mark_attached(shard);
        Ok(true)
    }

    /// After a reload the rules may be others; a block that is open goes on under those it began with.
    fn note_retired(&mut self) -> Result<(), End> {
        let database = Arc::clone(&self.database);
        let service = Arc::clone(&self.service);
        if database.view.is_some() {
            // The next statement is planned by what is in force then, whichever the pools.
            return Ok(());
        }
        let routed = self.routed()?;
        if !std::ptr::eq(routed.router.rules(), Arc::as_ptr(&database.rules)) {
            routed.router = service.router(&database);
            routed.statements.clear();
        }
        Ok(())
    }

    /// Puts the connection in use aside.
    fn park(&mut self) -> Result<(), End> {
        if let Some(lease) = self.lease.take() {
            let routed = self.routed()?;
            routed.parked.push((routed.current, lease));
        }
        Ok(())
    }

    /// Makes the settings of the connection in use the session's; those from before the open transaction where it
    /// has yet to join that, since what was set in there is undone with it.
    async fn settle_settings(&mut self) -> Result<Result<(), SqlError>, End> {
        let wanted = match self.is_to_join() {
            true => Arc::clone(self.session.settings_before_block()),
            false => Arc::clone(self.session.settings()),
        };
        let sql = match self.lease.as_mut().and_then(|lease| lease.connection()) {
            Some(connection)
                if connection.state.is_between_messages()
                    && connection.state.status != TransactionStatus::Failed
                    && !Settings::same(&connection.state.settings, &wanted) =>
            {
                transition_sql(&connection.state.settings, &wanted)
            }
            _ => return Ok(Ok(())),
        };
        let outcome = self.run_own(&sql).await?;
        if let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) {
            match &outcome {
                Ok(()) => connection.state.settings = wanted,
                Err(_) => connection.break_it(),
            }
        }
        Ok(outcome)
    }

    /// Answers a message with an error that Howdah itself raises, as Postgres would: in a block, the
    /// block fails.
    async fn refuse(&mut self, tag: u8, error: &SqlError) -> Result<(), End> {
        if self.session.status() == TransactionStatus::Idle && !self.is_in_block() {
            self.release_all();
            return self.tell_failure(tag, error);
        }
        if !self.use_any_of_block()? {
            let home = self.routed()?.home();
            if let Err(failed) = self.use_shard_unplanned(home).await? {
                self.session.set_status(TransactionStatus::Failed);
                return self.tell_failure(tag, &failed);
            }
        }
        let simple = tag == frontend::QUERY || tag == frontend::FUNCTION_CALL;
        if let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) {
            Session::fail(&mut connection.state, simple, error.clone(), &mut connection.out);
        }
        Ok(())
    }

    /// The connection in use owes nothing more: what becomes of the connections.
    pub(super) fn routed_settled(&mut self) -> bool {
        self.handle.end_plan();
        let is_outside = self.is_outside();
        let Some(routed) = self.routed.as_deref_mut() else { return true };
        if !is_outside {
            return false;
        }
        routed.portals.clear();
        routed.block = None;
        if !routed.parked.is_empty() {
            self.release_parked();
        }
        true
    }

    /// Gives all connections back that hold nothing of the client's.
    fn release_all(&mut self) {
        self.release_parked();
        let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) else { return };
        if self.session.may_release(&connection.state) {
            self.release(Instant::now());
        }
    }

    /// Gives the parked connections back; what is pinned is of the one in use.
    fn release_parked(&mut self) {
        let Some(routed) = self.routed.as_deref_mut() else { return };
        let pinned = !self.session.pins().is_empty();
        let mut kept = None;
        for (shard, mut lease) in std::mem::take(&mut routed.parked) {
            let Some(connection) = lease.connection() else { continue };
            if pinned && shard == routed.router.rules().home() && connection.state.is_clean() {
                kept = Some((shard, lease));
                continue;
            }
            if !connection.state.is_clean() {
                lease.discard();
                continue;
            }
            self.session.leave(&mut connection.state);
            if self.handle.may_cancel_earlier() {
                give_back_later(&self.handle, lease);
            }
        }
        if let Some((shard, lease)) = kept {
            // What the client keeps on its server is kept on the home shard, which is in use again.
            if let Some(mut other) = self.lease.take() {
                match other.connection() {
                    Some(connection) if connection.state.is_clean() => {
                        self.session.leave(&mut connection.state);
                        if self.handle.detached() {
                            give_back_later(&self.handle, other);
                        }
                    }
                    _ => other.discard(),
                }
            }
            routed.current = shard;
            self.lease = Some(lease);
            self.mark_attached(shard);
        }
    }

    /// Ends the shards' transactions when the client is gone.
    pub(super) fn discard_parked(&mut self) {
        if let Some(routed) = self.routed.as_deref_mut() {
            for (_, lease) in std::mem::take(&mut routed.parked) {
                lease.discard();
            }
        }
    }

    /// Makes sure that what is planned by is in force.
    pub(super) async fn ensure_catalog(&mut self) -> Result<Result<(), SqlError>, End> {
        self.wait_settled().await;
        if let Some(view) = self.database.view.clone() {
            return self.ensure_view(&view).await;
        }
        let epoch = self.service.shared.statements.epoch();
        let router = Arc::clone(&self.routed()?.router);
        if router.is_current(epoch) {
            return Ok(Ok(()));
        }
        let known = router.version() > 0;
        let home = router.rules().home();
        // On a connection of its own: the client's may be inside a block, or see an own view of it.
        let Some(pool) = self.database.pool(home).cloned() else { return Ok(Ok(())) };
        if known && self.lease.is_some() && pool.idle() == 0 && pool.gate().in_use >= pool.options().size {
            // Waiting for a connection while holding one could wait for ever.
            return Ok(Ok(()));
        }
        let mut lease = match self.checkout(&pool).await? {
            Checkout::Done(Ok(lease)) => lease,
            _ if known => return Ok(Ok(())),
            Checkout::Done(Err(error)) => {
                return Ok(Err(crate::topology::checkout_error(&error, &pool.shard)));
            }
            Checkout::Cancelled => return Ok(Err(cancelled())),
        };
        let Some(connection) = lease.connection() else { return Ok(Ok(())) };
        match router.load(connection, epoch).await {
            Ok(()) => Ok(Ok(())),
            Err(error) => {
                tracing::warn!(%error, database = %self.database.name, "the catalog was not read");
                if known {
                    return Ok(Ok(()));
                }
                let told =
                    SqlError::new(sqlstate::CONNECTION_FAILURE, "the home shard's catalog could not be read")
                        .with_detail(error.to_string());
                Ok(Err(told))
            }
        }
    }

    /// Tells a statement's answer that Howdah itself gives.
    fn tell_complete(&mut self, tag: &str) {
        write::command_complete(&mut self.out, tag);
        write::ready_for_query(&mut self.out, self.session.status());
    }
}

fn cancelled() -> SqlError {
    SqlError::new(sqlstate::QUERY_CANCELED, "canceling statement due to user request")
}

/// Why an implicit transaction, which only Sync ends, stays on one shard.
fn several_without_sync() -> SqlError {
    SqlError::refused(
        "messages without Sync between them that need several shards are not supported yet",
        "Send a Sync after each statement.",
    )
}
