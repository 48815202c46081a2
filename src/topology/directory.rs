//! Finds the database, with its pools, for a name and a user.

use super::database::{Database, Parts};
use crate::auth::md5::Md5Hash;
use crate::auth::{ScramKeys, Secret};
use crate::backend::connect::{Credential, Login, Target};
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::pool::{PoolOptions, PoolServer, ServerPool};
use crate::rules::Rules;
use crate::session::{Pooling, Shared};
use crate::sqlstate;
use crate::store::View;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A shard of a cluster.
#[derive(Clone, Debug)]
pub struct ShardSettings {
    /// Its name.
    pub name: String,
    /// Its primary.
    pub target: Target,
    /// The database there; `None`: the name the client asked for.
    pub database: Option<String>,
}

/// A cluster.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// The database name clients use; `*` is any.
    pub name: String,
    /// When connections go back.
    pub pooling: Pooling,
    /// Its shards, in order of shard id.
    pub shards: Vec<ShardSettings>,
    /// Sharding rules.
    pub rules: Arc<Rules>,
    /// What the cluster's proxies agree on.
    pub view: Option<Arc<View>>,
    /// Pools.
    pub pool: PoolOptions,
    /// How many statements a server connection keeps prepared.
    pub prepared_statements_max: usize,
    /// Changes with everything above, but for rules under a view, which follows them: pools of another fingerprint are replaced.
    pub fingerprint: String,
}

/// How a user logs in at the shards.
#[derive(Clone, Debug, Default)]
pub struct UserCredential {
    /// A configured password.
    pub password: Option<Secret>,
    /// An md5 hash, which logs in where a server asks for md5.
    pub md5: Option<Md5Hash>,
    /// Instead of the cluster's pool size.
    pub pool_size: Option<u32>,
    /// Instead of the cluster's pooling.
    pub pooling: Option<Pooling>,
}

/// All clusters and users, and the pools made so far.
#[derive(Debug)]
pub struct Directory {
    shared: Arc<Shared>,
    state: Mutex<State>,
    next_key: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    clusters: HashMap<String, Arc<ClusterSettings>>,
    users: HashMap<String, UserCredential>,
    databases: HashMap<(String, String), Entry>,
    paused: Paused,
}

/// What PAUSE stopped; pools made later are stopped too.
#[derive(Debug, Default)]
struct Paused {
    all: bool,
    names: HashSet<String>,
}

impl Paused {
    fn holds(&self, name: &str) -> bool {
        self.all || self.names.contains(name)
    }
}

#[derive(Debug)]
struct Entry {
    database: Arc<Database>,
    fingerprint: String,
    keys: Option<ScramKeys>,
}

/// One database and its pools, for SHOW.
pub type PoolOverview = Vec<Arc<Database>>;

impl Directory {
    /// With no cluster yet.
    pub fn new(shared: Arc<Shared>) -> Self {
        Directory { shared, state: Mutex::default(), next_key: AtomicU64::new(1) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes new settings; databases whose settings changed get new pools.
    pub fn configure(&self, clusters: Vec<ClusterSettings>, users: HashMap<String, UserCredential>) {
        let mut state = self.lock();
        state.clusters =
            clusters.into_iter().map(|cluster| (cluster.name.clone(), Arc::new(cluster))).collect();
        state.users = users;
        let State { clusters, users, databases, paused: _ } = &mut *state;
        databases.retain(|(name, user), entry| {
            let cluster = clusters.get(name).or_else(|| clusters.get("*"));
            let keep =
                cluster.is_some_and(|cluster| fingerprint(cluster, users.get(user)) == entry.fingerprint);
            if !keep {
                for pool in &entry.database.pools {
                    pool.retire();
                }
            }
            keep
        });
    }

    /// All databases that were asked for.
    pub fn databases(&self) -> PoolOverview {
        let state = self.lock();
        let mut list: Vec<_> = state.databases.values().map(|entry| Arc::clone(&entry.database)).collect();
        list.sort_by(|a, b| (&a.name, &a.user).cmp(&(&b.name, &b.user)));
        list
    }

    /// Closes idle connections to databases that `statement` names, if it is about databases, and to
    /// `template1`: DROP, ALTER and CREATE DATABASE (of its template) wait 5 seconds for others to be
    /// gone, and on a Postgres without pools those would be.
    pub fn leave_databases(&self, statement: &[u8]) {
        let lower = statement.to_ascii_lowercase();
        let names = |name: &str| memchr::memmem::find(&lower, name.to_ascii_lowercase().as_bytes()).is_some();
        if !names("database") {
            return;
        }
        for database in self.databases() {
            for pool in &database.pools {
                let name: &str = &pool.manager().login().database;
                if pool.manager().open() > 0 && (names(name) || name == "template1") {
                    pool.close_all();
                }
            }
        }
    }

    /// Pauses or resumes the pools of one database, or of all (`None`), those made later included. A
    /// database that was paused by its name stays so when all are resumed. Whether that changed anything.
    pub fn set_paused(&self, name: Option<&str>, paused: bool) -> bool {
        let mut state = self.lock();
        let changed = match (name, paused) {
            (None, _) => std::mem::replace(&mut state.paused.all, paused) != paused,
            (Some(name), true) => state.paused.names.insert(name.to_owned()),
            (Some(name), false) => state.paused.names.remove(name),
        };
        for entry in state.databases.values() {
            let paused = state.paused.holds(&entry.database.name);
            entry.database.pools.iter().for_each(|pool| pool.set_paused(paused));
        }
        changed
    }

    /// Whether the pools of a database are paused; `None`: those of all.
    pub fn is_paused(&self, name: Option<&str>) -> bool {
        let state = self.lock();
        name.map_or(state.paused.all, |name| state.paused.holds(name))
    }

    /// The clusters whose proxies agree on something, with this proxy's view of it.
    pub fn views(&self) -> Vec<(String, Arc<View>)> {
        let state = self.lock();
        let mut views: Vec<_> = state
            .clusters
            .values()
            .filter_map(|cluster| Some((cluster.name.clone(), cluster.view.clone()?)))
            .collect();
        views.sort_by(|a, b| a.0.cmp(&b.0));
        views
    }

    /// Whether a cluster of this name is configured.
    pub fn has_cluster(&self, name: &str) -> bool {
        let state = self.lock();
        state.clusters.contains_key(name) || state.clusters.contains_key("*")
    }

    /// The database `name` for `user`; `keys` are those recovered from the client's proof, used where
    /// no password is configured.
    ///
    /// # Errors
    /// `3D000` where there is no such database.
    pub fn resolve(
        &self,
        name: &str,
        user: &str,
        keys: Option<&ScramKeys>,
    ) -> Result<Arc<Database>, SqlError> {
        let mut state = self.lock();
        let id = (name.to_owned(), user.to_owned());
        if let Some(entry) = state.databases.get(&id) {
            // A changed password means other keys, and other connections.
            let has_password = state.users.get(user).is_some_and(|user| user.password.is_some());
            if keys.is_none() || has_password || entry.keys.as_ref() == keys {
                return Ok(Arc::clone(&entry.database));
            }
        }
        let cluster =
            state.clusters.get(name).or_else(|| state.clusters.get("*")).cloned().ok_or_else(|| {
                SqlError::fatal(sqlstate::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
            })?;
        let credential = state.users.get(user).cloned().unwrap_or_default();
        let database = Arc::new(self.build(name, user, &cluster, &credential, keys));
        if state.paused.holds(name) {
            database.pools.iter().for_each(|pool| pool.set_paused(true));
        }
        let entry = Entry {
            database: Arc::clone(&database),
            fingerprint: fingerprint(&cluster, state.users.get(user)),
            keys: if credential.password.is_some() { None } else { keys.cloned() },
        };
        if let Some(old) = state.databases.insert(id, entry) {
            for pool in &old.database.pools {
                pool.retire();
            }
        }
        Ok(database)
    }

    fn build(
        &self,
        name: &str,
        user: &str,
        cluster: &ClusterSettings,
        user_credential: &UserCredential,
        keys: Option<&ScramKeys>,
    ) -> Database {
        let credential = match (&user_credential.password, keys) {
            (Some(password), _) => Credential::Password(password.clone()),
            (None, Some(keys)) => Credential::ScramKeys(keys.clone()),
            (None, None) => user_credential.md5.map_or(Credential::None, Credential::Md5Hash),
        };
        let mut options = cluster.pool;
        options.size = user_credential.pool_size.unwrap_or(options.size);
        let pools = cluster
            .shards
            .iter()
            .zip((0..).map(ShardId))
            .map(|(shard, id)| {
                let login = Login {
                    user: user.into(),
                    database: shard.database.as_deref().unwrap_or(name).into(),
                    credential: credential.clone(),
                };
                let oids = cluster.view.as_ref().and_then(|view| view.oids(id)).cloned();
                let server = PoolServer { target: shard.target.clone(), login, oids };
                ServerPool::new(&shard.name, server, options, Arc::clone(&self.shared))
            })
            .collect();
        Database::new(Parts {
            name: name.into(),
            user: user.into(),
            key: self.next_key.fetch_add(1, Ordering::Relaxed),
            pooling: user_credential.pooling.unwrap_or(cluster.pooling),
            pools,
            rules: Arc::clone(&cluster.rules),
            view: cluster.view.clone(),
            prepared_statements_max: cluster.prepared_statements_max,
        })
    }
}

/// Changes with the cluster's settings and the user's; holds no secret.
fn fingerprint(cluster: &ClusterSettings, user: Option<&UserCredential>) -> String {
    let mut hasher = DefaultHasher::new();
    if let Some(user) = user {
        user.password.as_ref().map(Secret::expose).hash(&mut hasher);
        user.md5.map(|hash| hash.response([0; 4])).hash(&mut hasher);
    }
    let overrides = user.map(|user| (user.pool_size, user.pooling));
    format!("{}\n{overrides:?} {:x}", cluster.fingerprint, hasher.finish())
}
