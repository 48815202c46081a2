//! What a cluster's store is made of, and what its tasks share.

use super::error::StoreError;
use super::link::{Link, MaintenanceLogin, StoreShard};
use super::records::Identity;
use super::view::View;
use crate::ids::ShardId;
use crate::session::Shared;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// Whether no statement is under way that was planned by a snapshot before this version.
pub type IsDrained = Arc<dyn Fn(u64) -> bool + Send + Sync>;

/// A cluster's store.
#[derive(Clone)]
pub struct StoreSettings {
    /// The cluster's name.
    pub cluster: String,
    /// This proxy's name, for people.
    pub proxy: String,
    /// The shards, in order of their ids.
    pub shards: Vec<StoreShard>,
    /// The home shard.
    pub home: ShardId,
    /// Who works on it.
    pub login: MaintenanceLogin,
    /// Asked before this proxy says that it has stopped using a table.
    pub is_drained: IsDrained,
    /// Told when prepared statements may describe themselves otherwise.
    pub shared: Arc<Shared>,
}

impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSettings").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

/// What the tasks of a cluster share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) settings: StoreSettings,
    pub(super) view: Arc<View>,
    /// Wakes the keeper.
    pub(super) wake: Arc<Notify>,
    /// This proxy's epoch, and the cluster's id; once the home shard was reached.
    pub(super) joined: OnceLock<(i64, String)>,
    /// Told once when `joined` is set.
    pub(super) has_joined: Notify,
    /// The home shard's lease is held, and says what this proxy plans by.
    pub(super) is_acknowledged: AtomicBool,
    /// The home shard's catalog changed.
    pub(super) is_home_changed: AtomicBool,
}

impl Common {
    /// This proxy's epoch; 0 before the home shard was reached.
    pub(super) fn epoch(&self) -> i64 {
        self.joined.get().map_or(0, |(epoch, _)| *epoch)
    }

    /// The mark that the shard's database must have; waits until the cluster is known.
    pub(super) async fn identity(&self, shard: ShardId) -> Identity {
        loop {
            let joined = self.has_joined.notified();
            if let Some((_, cluster)) = self.joined.get() {
                let is_home = shard == self.settings.home;
                return Identity { cluster: cluster.clone(), shard: self.name(shard).to_owned(), is_home };
            }
            joined.await;
        }
    }

    /// The shard's name.
    pub(super) fn name(&self, shard: ShardId) -> &str {
        self.settings.shards.get(shard.index()).map_or("", |shard| shard.name.as_str())
    }

    /// The shard's database.
    pub(super) fn database(&self, shard: ShardId) -> &str {
        self.settings.shards.get(shard.index()).map_or("", |shard| shard.database.as_str())
    }

    /// A new connection to the shard.
    pub(super) async fn open(&self, shard: ShardId, wake: Arc<Notify>) -> Result<Link, StoreError> {
        let shard = self.settings.shards.get(shard.index()).ok_or(StoreError::Broken("is not configured"))?;
        Link::open(shard, &self.settings.login, wake).await
    }
}
