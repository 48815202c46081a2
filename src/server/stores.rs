//! The clusters' stores: which clusters have one, and their keepers.

use super::assemble;
use crate::config::{Cluster, Config};
use crate::frontend::Registry;
use crate::rules::Rules;
use crate::session::Shared;
use crate::store::{Keeper, MaintenanceLogin, StoreError, StoreSettings, StoreShard, View};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How long the start waits for a store; where it is out of reach, the proxy starts without.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it waits besides for shards other than the home shard.
const SHARDS_TIMEOUT: Duration = Duration::from_secs(2);

/// Changed rules that could not be agreed on are tried again after this long.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// The keepers by cluster.
#[derive(Debug, Default)]
pub(super) struct Stores {
    kept: Mutex<HashMap<String, Kept>>,
}

#[derive(Debug)]
struct Kept {
    keeper: Keeper,
    /// Changes with everything but the rules.
    fingerprint: String,
    /// As last given to the keeper.
    wanted: watch::Sender<Arc<Rules>>,
    started: Option<oneshot::Receiver<Result<(), StoreError>>>,
}

/// What a store needs besides the configuration.
pub(super) struct Surroundings<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) registry: &'a Arc<Registry>,
}

impl Stores {
    /// The view of a cluster that needs a store: one with a maintenance user, and rules that put a table
    /// elsewhere than on the home shard. A keeper is made where there is none, or the servers are others.
    pub(super) fn view(
        &self,
        config: &Config,
        cluster: &Cluster,
        rules: &Arc<Rules>,
        surroundings: &Surroundings<'_>,
    ) -> Result<Option<Arc<View>>, String> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.get(&cluster.name);
        // Rules that were taken back have to be agreed on too.
        let needs_store = known.is_some() || !rules.is_home_only();
        let (Some(maintenance), true, false) = (&cluster.maintenance, needs_store, cluster.is_any_database())
        else {
            drop(kept.remove(&cluster.name));
            return Ok(None);
        };
        let password = maintenance.password.as_ref().map(|password| password.expose());
        let mut hasher = DefaultHasher::new();
        password.hash(&mut hasher);
        let secret = hasher.finish();
        let user = &maintenance.user;
        let fingerprint = format!("{:?} {:?} {user:?} {secret:x}", cluster.shards, cluster.home_shard);
        if let Some(known) = known.filter(|known| known.fingerprint == fingerprint) {
            return Ok(Some(Arc::clone(known.keeper.view())));
        }
        let mut shards = Vec::new();
        for shard in &cluster.shards {
            let database = shard.database.clone().unwrap_or_else(|| cluster.name.clone());
            let target = assemble::target(config, shard, cluster.pool.connect_timeout)?;
            shards.push(StoreShard { name: shard.name.clone(), target, database });
        }
        let registry: Weak<Registry> = Arc::downgrade(surroundings.registry);
        let settings = StoreSettings {
            cluster: cluster.name.clone(),
            proxy: proxy_name(),
            shards,
            home: cluster.home_shard,
            login: MaintenanceLogin { user: maintenance.user.clone(), password: password.map(Into::into) },
            is_drained: Arc::new(move |version| {
                registry
                    .upgrade()
                    .is_none_or(|clients| !clients.list().iter().any(|client| client.plans_before(version)))
            }),
            shared: Arc::clone(surroundings.shared),
        };
        let (keeper, started) = Keeper::new(settings, Arc::clone(rules));
        let view = Arc::clone(keeper.view());
        let wanted = watch::Sender::new(Arc::clone(rules));
        let new = Kept { keeper, fingerprint, wanted, started: Some(started) };
        if let Some(old) = kept.insert(cluster.name.clone(), new)
            && tokio::runtime::Handle::try_current().is_ok()
        {
            tokio::spawn(old.keeper.end());
        }
        Ok(Some(view))
    }

    /// Starts the keepers, on this thread's runtime.
    pub(super) fn start(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for one in kept.values_mut() {
            one.keeper.start();
        }
    }

    /// After a reload: starts the keepers that do not run yet, and gives the others the rules.
    pub(super) fn change(&self, config: &Config) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|name, _| config.clusters.contains_key(name));
        for (name, one) in kept.iter_mut() {
            if one.keeper.start() {
                continue;
            }
            let Some(cluster) = config.clusters.get(name) else { continue };
            let Ok(rules) = assemble::rules(cluster) else { continue };
            // Also where they are as before: an attempt that failed is made again.
            one.wanted.send_replace(Arc::clone(&rules));
            let change = Change {
                cluster: name.clone(),
                view: Arc::clone(one.keeper.view()),
                rules,
                wanted: one.wanted.subscribe(),
            };
            tokio::spawn(change.make());
        }
    }

    /// Waits until the stores were looked at.
    ///
    /// # Errors
    /// What nobody but the operator can put right.
    pub(super) async fn started(&self) -> Result<(), String> {
        let outcomes: Vec<_> = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let started = |(name, one): (&String, &mut Kept)| {
                Some((name.clone(), Arc::clone(one.keeper.view()), one.started.take()?))
            };
            kept.iter_mut().filter_map(started).collect()
        };
        let end = tokio::time::Instant::now() + START_TIMEOUT;
        for (cluster, view, outcome) in outcomes {
            match tokio::time::timeout_at(end, outcome).await {
                Ok(Ok(Err(error))) if !error.is_passing() => {
                    let hint = error.hint().map(|hint| format!("\nHINT: {hint}")).unwrap_or_default();
                    return Err(format!("cluster \"{cluster}\": {error}{hint}"));
                }
                Ok(Ok(Err(error))) => tracing::error!(cluster, "{error}"),
                Ok(Ok(Ok(())) | Err(_)) => view.shards_ready(SHARDS_TIMEOUT).await,
                Err(_elapsed) => {
                    tracing::warn!(cluster, "the store is out of reach: statements wait for it");
                }
            }
        }
        Ok(())
    }

    /// Gives all leases back.
    pub(super) async fn end(&self) {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        for (_, one) in kept {
            one.keeper.end().await;
        }
    }
}

/// Rules on their way into force.
struct Change {
    cluster: String,
    view: Arc<View>,
    rules: Arc<Rules>,
    wanted: watch::Receiver<Arc<Rules>>,
}

impl Change {
    /// Tries until it is done, can only be put right by hand, or other rules are wanted.
    async fn make(mut self) {
        let mut told = None;
        loop {
            let Err(error) = self.view.change_rules(Arc::clone(&self.rules)).await else {
                tracing::info!(cluster = self.cluster, "the sharding rules are in force");
                return;
            };
            let text = error.to_string();
            if told.as_ref() != Some(&text) {
                let hint = error.hint();
                tracing::error!(cluster = self.cluster, hint, "the sharding rules are not changed: {text}");
                told = Some(text);
            }
            if !error.is_passing() {
                return;
            }
            tokio::select! {
                _other_wanted = self.wanted.changed() => return,
                () = tokio::time::sleep(RETRY_PAUSE) => {}
            }
        }
    }
}

/// This proxy, for people.
fn proxy_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    format!("{} (process {})", if host.is_empty() { "howdah" } else { host }, std::process::id())
}
