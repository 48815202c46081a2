//! What clients need of the store to commit over several shards.

use super::error::StoreError;
use super::recover;
use super::settings::Common;
use crate::ids::ShardId;
use crate::txn::verdict::Question;
use crate::txn::{Gid, ShardTag, Transaction};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// How long a decider is asked for an outcome that was not told.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two attempts.
const OUTCOME_PAUSE: Duration = Duration::from_millis(100);

/// The commits over several shards that this proxy is at.
#[derive(Debug, Default)]
pub struct Commits {
    common: OnceLock<Weak<Common>>,
    running: Mutex<BTreeSet<Transaction>>,
    /// Told when one ended, perhaps with something left behind.
    pub(super) left_behind: Notify,
}

impl Commits {
    /// Where the shards are.
    pub(super) fn serve(&self, common: &Arc<Common>) {
        // Nobody else sets it.
        let _set_once = self.common.set(Arc::downgrade(common));
    }

    fn common(&self) -> Option<Arc<Common>> {
        self.common.get()?.upgrade()
    }

    /// This proxy's epoch, and the cluster's id without hyphens; once the home shard was reached.
    pub(super) fn joined(&self) -> Option<(i64, String)> {
        self.common()?.joined.get().map(|(epoch, cluster)| (*epoch, cluster.replace('-', "")))
    }

    /// The transactions that are being committed.
    pub(super) fn running(&self) -> BTreeSet<Transaction> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins a commit; `None` before the store was reached.
    pub fn begin(self: &Arc<Self>) -> Option<Commit> {
        let (epoch, cluster) = self.joined()?;
        let secret: [u8; 16] = rand::random();
        let transaction = Transaction::of_secret(&secret);
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(transaction);
        Some(Commit { commits: Arc::clone(self), secret, transaction, epoch, cluster, is_over: false })
    }
}

/// A commit over several shards; until it is dropped, nobody of this proxy settles what it prepared.
#[derive(Debug)]
pub struct Commit {
    commits: Arc<Commits>,
    secret: [u8; 16],
    transaction: Transaction,
    epoch: i64,
    cluster: String,
    is_over: bool,
}

impl Commit {
    /// Its key.
    pub fn transaction(&self) -> Transaction {
        self.transaction
    }

    /// The statement that makes the decision record, to be run inside the decider's transaction before any other
    /// shard prepares. The commit that follows must outlive a crash of the decider.
    pub fn decide(&self, participants: &[&str]) -> String {
        let secret: String = self.secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let names: Vec<String> = participants.iter().map(|name| quoted(name)).collect();
        format!(
            "SELECT pg_catalog.set_config('synchronous_commit', 'on', true) \
               WHERE pg_catalog.current_setting('synchronous_commit') IN ('off', 'local'); \
             SELECT howdah.decide('\\x{secret}', {}, ARRAY[{}]::text[])",
            self.epoch,
            names.join(", ")
        )
    }

    /// The name of what `participant` prepares.
    pub fn gid(&self, decider: &str, participant: &str) -> String {
        Gid {
            cluster: self.cluster.clone(),
            decider: ShardTag::of(decider),
            participant: ShardTag::of(participant),
            epoch: self.epoch,
            transaction: self.transaction,
        }
        .to_string()
    }

    /// What became of it, after the decider's COMMIT was not answered: whether it is committed. After this it is one
    /// or the other for good.
    ///
    /// # Errors
    /// The decider could not be asked for a while.
    pub async fn outcome(&self, decider: ShardId) -> Result<bool, StoreError> {
        let common = self.commits.common().ok_or(StoreError::Broken("is not kept any more"))?;
        let end = tokio::time::Instant::now() + OUTCOME_TIMEOUT;
        loop {
            let ask = async {
                let link = common.open(decider, Arc::default()).await?;
                recover::outcome(&link, self.transaction, self.epoch, Question::Settle).await
            };
            let error = match tokio::time::timeout_at(end, ask).await {
                Ok(Ok(Some(is_commit))) => return Ok(is_commit),
                Ok(Ok(None)) => StoreError::Broken("forgot an outcome"),
                Ok(Err(error)) => error,
                Err(_elapsed) => return Err(StoreError::Timeout { shard: common.name(decider).to_owned() }),
            };
            if !error.is_passing() || tokio::time::Instant::now() + OUTCOME_PAUSE > end {
                return Err(error);
            }
            tokio::time::sleep(OUTCOME_PAUSE).await;
        }
    }

    /// Nothing was left behind.
    pub fn over(mut self) {
        self.is_over = true;
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        self.commits.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.transaction);
        if !self.is_over {
            self.commits.left_behind.notify_one();
        }
    }
}

/// As a literal, whatever `standard_conforming_strings` is.
fn quoted(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
