//! What this proxy knows of a cluster, for those who plan: the schema as of one moment, and whether it may be
//! planned by.

use super::error::StoreError;
use super::layout::Subject;
use crate::backend::OidSlot;
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::plan::Schema;
use crate::rules::Rules;
use crate::sqlstate;
use arc_swap::ArcSwapOption;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot};

/// Who changed the catalog is told so at last after this long, whatever the store does.
const SETTLE_ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// A snapshot's version, unique while the process runs.
static VERSIONS: AtomicU64 = AtomicU64::new(1);

/// Rules and catalog as of one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Unique while the process runs; greater than any before it.
    pub version: u64,
    /// Rules, with the store's bucket maps, and the home shard's catalog.
    pub schema: Arc<Schema>,
    /// The same rules.
    pub rules: Arc<Rules>,
    /// Which shards may be used.
    pub(super) shards: Vec<Usable>,
    /// What the shards' schemas differ in.
    pub drift: Arc<[String]>,
}

impl Snapshot {
    pub(super) fn new(schema: Schema, rules: Arc<Rules>, shards: Vec<Usable>, drift: Arc<[String]>) -> Self {
        let version = VERSIONS.fetch_add(1, Ordering::Relaxed);
        Snapshot { version, schema: Arc::new(schema), rules, shards, drift }
    }

    /// By shard: whether it is known to be the one that the configuration says.
    pub fn usable_shards(&self) -> Box<[bool]> {
        self.shards.iter().map(|usable| *usable == Usable::Yes).collect()
    }

    /// Whether a shard may be used.
    pub(super) fn usable(&self, shard: ShardId) -> &Usable {
        self.shards.get(shard.index()).unwrap_or(&Usable::Yes)
    }
}

/// Whether a shard may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Usable {
    /// It is what the configuration says.
    Yes,
    /// It was not looked at yet; its name.
    NotYet(String),
    /// It is something else.
    No(String),
}

/// What clients ask of the keeper.
#[derive(Debug)]
pub(super) enum Request {
    /// To come back once every proxy has taken in what is committed now.
    Settle(oneshot::Sender<Result<(), Unsettled>>),
    /// To put other rules in force.
    Rules(Arc<Rules>, oneshot::Sender<Result<(), StoreError>>),
}

/// Proxies that may plan by the catalog of before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", unsettled(.0))]
pub struct Unsettled(pub Vec<String>);

/// The present snapshot, and the leases under which it may be planned by.
#[derive(Debug)]
pub struct View {
    base: Instant,
    home: ShardId,
    /// Until when each shard's lease holds, in microseconds since `base`; 0 is not at all.
    leases: Box<[AtomicU64]>,
    version: AtomicU64,
    snapshot: ArcSwapOption<Snapshot>,
    oids: Box<[Arc<OidSlot>]>,
    trouble: Mutex<Option<SqlError>>,
    changed: Notify,
    requests: mpsc::Sender<Request>,
}

impl View {
    pub(super) fn new(shards: usize, home: ShardId, requests: mpsc::Sender<Request>) -> View {
        View {
            base: Instant::now(),
            home,
            leases: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            version: AtomicU64::new(0),
            snapshot: ArcSwapOption::empty(),
            oids: (0..shards).map(|_| Arc::default()).collect(),
            trouble: Mutex::new(None),
            changed: Notify::new(),
            requests,
        }
    }

    /// The OIDs of a shard other than the home shard, whose OIDs clients are told.
    pub fn oids(&self, shard: ShardId) -> Option<&Arc<OidSlot>> {
        self.oids.get(shard.index()).filter(|_| shard != self.home)
    }

    /// The version of the present snapshot; 0 before the first.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// Whether the present snapshot may be planned by at this moment: some shard's lease holds.
    #[inline]
    pub fn is_valid(&self, now: Instant) -> bool {
        let now = self.since_base(now);
        let holds = |lease: &AtomicU64| lease.load(Ordering::Acquire) > now;
        self.leases.get(self.home.index()).is_some_and(holds) || self.leases.iter().any(holds)
    }

    /// The present snapshot.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    /// Waits until there is a snapshot that may be planned by.
    ///
    /// # Errors
    /// Why there is none within `limit`.
    pub async fn ready(&self, limit: Duration) -> Result<Arc<Snapshot>, SqlError> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let changed = self.changed.notified();
            if self.is_valid(Instant::now())
                && let Some(snapshot) = self.snapshot()
            {
                return Ok(snapshot);
            }
            if tokio::time::timeout_at(end, changed).await.is_err() {
                return Err(self.trouble().unwrap_or_else(out_of_sight));
            }
        }
    }

    /// Waits until there is another snapshot than that of `version`; `false` where there is none within `limit`.
    pub async fn changed_from(&self, version: u64, limit: Duration) -> bool {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let changed = self.changed.notified();
            if self.version() != version {
                return true;
            }
            if tokio::time::timeout_at(end, changed).await.is_err() {
                return false;
            }
        }
    }

    /// Waits until it is known that a shard is the one that the configuration says.
    ///
    /// # Errors
    /// Why it must not be used, or `57P03` where that is not known within `limit`.
    pub async fn shard_ready(&self, shard: ShardId, limit: Duration) -> Result<(), SqlError> {
        // Mostly it is known, and nothing has to be waited for.
        if matches!(self.usable(shard), Some(Usable::Yes)) {
            return Ok(());
        }
        let end = tokio::time::Instant::now() + limit;
        loop {
            let changed = self.changed.notified();
            let reason = match self.usable(shard) {
                None => return Err(out_of_sight()),
                Some(Usable::Yes) => return Ok(()),
                Some(Usable::No(reason)) => return Err(SqlError::new(sqlstate::CANNOT_CONNECT_NOW, reason)),
                Some(Usable::NotYet(name)) => {
                    format!("shard \"{name}\" was not reached by the maintenance user yet")
                }
            };
            if tokio::time::timeout_at(end, changed).await.is_err() {
                return Err(SqlError::new(sqlstate::CANNOT_CONNECT_NOW, reason));
            }
        }
    }

    /// Waits until every shard was looked at, but no longer than `limit`.
    pub async fn shards_ready(&self, limit: Duration) {
        let end = tokio::time::Instant::now() + limit;
        for shard in (0..self.leases.len()).filter_map(|at| u16::try_from(at).ok()) {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            // Who needs a shard that is down is told so.
            let _not_reached = self.shard_ready(ShardId(shard), left).await;
        }
    }

    fn usable(&self, shard: ShardId) -> Option<Usable> {
        self.snapshot.load().as_ref().map(|snapshot| snapshot.usable(shard).clone())
    }

    /// After a commit that changed the catalog: waits until every proxy plans by it, this one included.
    ///
    /// # Errors
    /// The proxies that may not; empty where the store is out of reach.
    pub async fn settle(&self) -> Result<(), Unsettled> {
        let settle = async {
            let (done, answer) = oneshot::channel();
            self.requests.send(Request::Settle(done)).await.ok()?;
            answer.await.ok()
        };
        let settled = tokio::time::timeout(SETTLE_ANSWER_TIMEOUT, settle).await;
        settled.ok().flatten().unwrap_or(Err(Unsettled(Vec::new())))
    }

    /// Puts other rules in force, on this proxy and for all.
    ///
    /// # Errors
    /// Why not; the rules before stay.
    pub async fn change_rules(&self, rules: Arc<Rules>) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        let asked = self.requests.send(Request::Rules(rules, done)).await;
        match (asked, answer.await) {
            (Ok(()), Ok(answer)) => answer,
            _ => Err(StoreError::NotAgreed("the proxy is ending".to_owned())),
        }
    }

    /// Why nothing can be planned, as last known.
    pub fn trouble(&self) -> Option<SqlError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_trouble(&self, trouble: Option<SqlError>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    pub(super) fn publish(&self, snapshot: Snapshot) {
        let version = snapshot.version;
        self.snapshot.store(Some(Arc::new(snapshot)));
        self.version.store(version, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// The shard's lease holds until `until`.
    pub(super) fn extend(&self, shard: ShardId, until: Instant) {
        if let Some(lease) = self.leases.get(shard.index()) {
            lease.store(self.since_base(until), Ordering::Release);
            self.changed.notify_waiters();
        }
    }

    /// The shard's lease holds no more.
    pub(super) fn lapse(&self, shard: ShardId) {
        if let Some(lease) = self.leases.get(shard.index()) {
            lease.store(0, Ordering::Release);
        }
    }

    /// Whether the home shard's lease holds.
    pub(super) fn holds_home(&self, now: Instant) -> bool {
        let now = self.since_base(now);
        self.leases.get(self.home.index()).is_some_and(|lease| lease.load(Ordering::Acquire) > now)
    }

    fn since_base(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.base).as_micros()).unwrap_or(u64::MAX)
    }
}

/// What a client is told where no store is in sight.
pub fn out_of_sight() -> SqlError {
    SqlError::new(
        sqlstate::CANNOT_CONNECT_NOW,
        "the cluster's store is out of reach, so nothing can be planned",
    )
    .with_hint("Try again once the home shard answers the maintenance user.")
}

fn unsettled(behind: &[String]) -> String {
    match behind {
        [] => {
            "whether every proxy has taken in the change is not known: the store is out of reach".to_owned()
        }
        behind => format!("not every proxy has taken in the change: {}", behind.join(", ")),
    }
}

/// What who uses a table is told that is to lie elsewhere.
pub(super) fn blocked(subject: &Subject, is_under_way: bool) -> SqlError {
    let name = super::layout::name_of(subject);
    if is_under_way {
        let message = format!("the sharding rule of {name} is being changed");
        return SqlError::new(sqlstate::LOCK_NOT_AVAILABLE, message).with_hint("Try again in a moment.");
    }
    SqlError::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!(
            "this proxy's sharding rules put {name} elsewhere than the cluster's do: reload its configuration"
        ),
    )
    .with_hint("Every proxy of the cluster must have the same sharding rules; other tables can be used.")
}
