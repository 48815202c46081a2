//! The connections of a scatter: taken from the client's, and given back.

use super::super::super::client::{Client, End};
use crate::backend::ServerConnection;
use crate::ids::ShardId;
use crate::pool::Lease;
use crate::protocol::TransactionStatus;

/// One shard's part.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) shard: ShardId,
    pub(super) lease: Lease,
    /// It owes nothing more.
    pub(super) is_done: bool,
    /// How many rows it was last asked for, where more is to be asked for later.
    pub(super) rows: Option<u64>,
}

impl Leg {
    pub(super) fn connection(&mut self) -> Option<&mut ServerConnection> {
        self.lease.connection()
    }

    fn is_failed(&mut self) -> bool {
        self.connection().is_some_and(|connection| connection.state.status == TransactionStatus::Failed)
    }
}

impl Client {
    /// The parked connections of these shards, in their order.
    pub(super) fn take_legs(&mut self, shards: &[ShardId]) -> Result<Vec<Leg>, End> {
        let routed = self.routed()?;
        let (mine, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut routed.parked).into_iter().partition(|(shard, _)| shards.contains(shard));
        routed.parked = rest;
        let leg = |(shard, lease)| Leg { shard, lease, is_done: false, rows: None };
        let mut legs: Vec<Leg> = mine.into_iter().map(leg).collect();
        legs.sort_by_key(|leg| shards.iter().position(|shard| *shard == leg.shard));
        Ok(legs)
    }

    /// The connections are the client's again. The one in use is the one that failed, or the home shard's.
    pub(super) fn put_legs_back(&mut self, legs: Vec<Leg>, failed: bool) -> Result<(), End> {
        let home = self.routed()?.home();
        let mut in_use = None;
        for mut leg in legs {
            let is_usable =
                leg.is_done && leg.connection().is_some_and(|connection| connection.state.is_quiet());
            if !is_usable {
                leg.lease.discard();
                continue;
            }
            let is_preferred = leg.is_failed() || (!failed && leg.shard == home);
            if in_use.is_none() && is_preferred {
                in_use = Some((leg.shard, leg.lease));
            } else {
                self.routed()?.parked.push((leg.shard, leg.lease));
            }
        }
        if in_use.is_none() {
            in_use = self.routed()?.parked.pop();
        }
        if let Some((shard, lease)) = in_use {
            self.routed()?.current = shard;
            self.lease = Some(lease);
            self.mark_attached(shard);
        }
        if failed && self.session.status() == TransactionStatus::InBlock {
            self.session.set_status(TransactionStatus::Failed);
            let has_failed = self
                .lease
                .as_mut()
                .and_then(|lease| lease.connection())
                .is_some_and(|connection| connection.state.status == TransactionStatus::Failed);
            if !has_failed {
                // No server knows that the block failed: a new connection will be told.
                self.drop_lease();
                self.discard_parked();
            }
        }
        Ok(())
    }
}
