//! Planning by what the cluster's proxies agree on: statements are planned by the present snapshot of the
//! cluster's view, while one of this proxy's leases holds, and are sent under the same.
//!
//! docs/decisions/0015-leases.md has the protocol and why it is right.

use super::super::client::{Checkout, Client, End};
use super::{Routed, cancelled};
use crate::error::SqlError;
use crate::exec::Router;
use crate::ids::ShardId;
use crate::sqlstate;
use crate::store::{Snapshot, View};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a statement waits for the cluster's view to be in force.
const VIEW_TIMEOUT: Duration = Duration::from_secs(5);

impl Client {
    /// The version that a statement may be planned by at this moment, if that is the one of `routed`; the
    /// statement counts as under way from here.
    #[inline]
    pub(super) fn version_in(&self, view: &View, routed: &Routed, now: Instant) -> Option<u64> {
        let version = self.handle.begin_plan(|| view.version());
        (version != 0 && version == routed.version && view.is_valid(now)).then_some(version)
    }

    /// Takes the router of the view's present snapshot, and waits a while for one that may be planned by.
    pub(super) async fn ensure_view(&mut self, view: &Arc<View>) -> Result<Result<(), SqlError>, End> {
        loop {
            let routed = self.routed.as_deref();
            if routed.is_some_and(|routed| self.version_in(view, routed, Instant::now()).is_some()) {
                return Ok(Ok(()));
            }
            if self.is_quiet() {
                // Nobody has to wait for a statement that is not planned yet.
                self.handle.end_plan();
            }
            let snapshot = match view.ready(VIEW_TIMEOUT).await {
                Ok(snapshot) => snapshot,
                Err(error) => return Ok(Err(error)),
            };
            let router = self.service.router(&self.database);
            if router.version() == 0
                && let Err(error) = self.load_path(&router, &snapshot).await?
            {
                return Ok(Err(error));
            }
            let routed = self.routed()?;
            routed.version = router.version();
            routed.router = router;
        }
    }

    /// Right before the statement at hand is sent: whether what it was planned by is still in force, however
    /// long it waited for its connections.
    ///
    /// A change of rules waits for statements that are under way, unless this proxy's leases have lapsed. So
    /// inside a block, where nothing can be taken back, only those count.
    pub(super) fn check_plan(&mut self) -> Result<Result<(), SqlError>, End> {
        let Some(view) = self.database.view.clone() else { return Ok(Ok(())) };
        let is_valid = view.is_valid(Instant::now());
        let routed = self.routed()?;
        if is_valid && routed.version == view.version() {
            return Ok(Ok(()));
        }
        let is_untouched = self.routed()?.is_untouched && !self.routed()?.in_steps;
        if is_untouched && self.is_outside() && self.is_between_messages() {
            self.release_all();
            return Err(End::Stale);
        }
        if !is_valid {
            return Ok(Err(view.trouble().unwrap_or_else(crate::store::out_of_sight)));
        }
        let routed = self.routed()?;
        let is_same = view.snapshot().is_some_and(|now| *now.rules == *routed.router.rules());
        if is_same {
            return Ok(Ok(()));
        }
        Ok(Err(SqlError::new(
            sqlstate::SERIALIZATION_FAILURE,
            "the sharding rules changed while the statement waited for a server connection",
        )
        .with_hint("Run the transaction again.")))
    }

    /// A statement cannot be planned. Where that is so because the rule of a table is being changed, waits a
    /// while until it is planned anew; else, or where something of the message was done, gives the error back.
    pub(super) async fn wait_for_rules(&mut self, error: SqlError) -> Result<SqlError, End> {
        let Some(view) = self.database.view.clone() else { return Ok(error) };
        let is_untouched = self.routed()?.is_untouched && !self.routed()?.in_steps;
        if error.code != sqlstate::LOCK_NOT_AVAILABLE
            || !is_untouched
            || !self.is_outside()
            || !self.is_quiet()
        {
            return Ok(error);
        }
        let version = self.routed()?.version;
        // Who changes the rule waits for statements that are under way: this one is not.
        self.handle.end_plan();
        if view.changed_from(version, VIEW_TIMEOUT).await { Err(End::Stale) } else { Ok(error) }
    }

    /// Whether a shard was known to be the one that the configuration says when what is planned by was made.
    pub(super) fn may_use(&self, shard: ShardId) -> bool {
        self.routed.as_deref().is_none_or(|routed| routed.router.may_use(shard))
    }

    /// Whether a shard is known to be the one that the configuration says; waits a while until it is.
    pub(super) async fn shard_ready(&mut self, shard: ShardId) -> Result<(), SqlError> {
        match &self.database.view {
            _ if self.may_use(shard) => Ok(()),
            Some(view) => view.shard_ready(shard, VIEW_TIMEOUT).await,
            None => Ok(()),
        }
    }

    /// Reads the user's search_path on a connection of the user's own that nobody uses at the moment.
    async fn load_path(&mut self, router: &Router, snapshot: &Snapshot) -> Result<Result<(), SqlError>, End> {
        let Some(pool) = self.database.pool(snapshot.rules.home()).cloned() else { return Ok(Ok(())) };
        let mut lease = match self.checkout(&pool).await? {
            Checkout::Done(Ok(lease)) => lease,
            Checkout::Done(Err(error)) => {
                return Ok(Err(crate::topology::checkout_error(&error, &pool.shard)));
            }
            Checkout::Cancelled => return Ok(Err(cancelled())),
        };
        let Some(connection) = lease.connection() else { return Ok(Ok(())) };
        let loaded = router.load_path(connection, snapshot).await;
        Ok(loaded.map_err(|error| {
            let code = sqlstate::CONNECTION_FAILURE;
            SqlError::new(code, "the user's search_path could not be read").with_detail(error.to_string())
        }))
    }
}
