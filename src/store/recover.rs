//! Finishes transactions over several shards that were left behind: by a proxy that died, a shard that could not be
//! reached, a reply that was lost. Every proxy does so, at its start and every two seconds; they may do so at once.
//!
//! What it relies on: the decision record is made before any shard prepares, so a transaction that is prepared has its
//! record, or its decider's transaction is open still, or it can never be committed any more. To settle it is to insert
//! an *aborted* record under the same key, which waits for the second and meets the first.

use super::error::StoreError;
use super::link::Link;
use super::settings::Common;
use crate::ids::ShardId;
use crate::txn::verdict::{AtWork, Prepared, Question, questions};
use crate::txn::{Gid, ShardTag, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How often is looked for what was left behind.
const LOOK: Duration = Duration::from_secs(2);

/// Most records that are forgotten at once.
const FORGET_MAX: i64 = 5_000;

/// The task that recovers one cluster's transactions.
#[derive(Debug)]
pub(super) struct Recovery {
    common: Arc<Common>,
    links: Vec<Option<Link>>,
    /// What was logged last, so that it is logged once.
    trouble: BTreeMap<ShardId, String>,
}

impl Recovery {
    pub(super) fn new(common: Arc<Common>) -> Recovery {
        let links = common.settings.shards.iter().map(|_| None).collect();
        Recovery { common, links, trouble: BTreeMap::new() }
    }

    /// Looks until it is aborted.
    pub(super) async fn run(mut self) {
        self.common.identity(self.common.settings.home).await;
        let mut every = tokio::time::interval(LOOK);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let common = Arc::clone(&self.common);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = common.view.commits().left_behind.notified() => {}
            }
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let Some((own, cluster)) = self.common.view.commits().joined() else { return };
        let before = self.decided_before().await;
        // First what is prepared, then who is at work: see `questions`.
        let mut prepared: BTreeMap<ShardId, Vec<Prepared>> = BTreeMap::new();
        let mut all_seen = true;
        for shard in self.shards() {
            match self.prepared_on(shard, &cluster).await {
                Some(found) => drop(prepared.insert(shard, found)),
                None => all_seen = false,
            }
        }
        let at_work =
            AtWork { own, living: self.living().await, running: self.common.view.commits().running() };
        let asked = questions(prepared.values().flatten(), &at_work);
        let outcomes = self.ask(&asked, prepared.values().flatten()).await;
        for (shard, found) in &prepared {
            for one in found {
                if let Some(is_commit) = outcomes.get(&one.gid.transaction) {
                    self.finish(*shard, one, *is_commit).await;
                }
            }
        }
        if all_seen {
            let in_doubt = prepared.values().flatten().map(|one| one.gid.transaction).collect();
            self.forget(before, &in_doubt).await;
        }
    }

    fn shards(&self) -> Vec<ShardId> {
        (0..self.links.len()).filter_map(|at| u16::try_from(at).ok()).map(ShardId).collect()
    }

    /// A connection to the shard; `None` where there is none to be had now.
    async fn link(&mut self, shard: ShardId) -> Option<&Link> {
        let place = self.links.get_mut(shard.index())?;
        if place.as_ref().is_none_or(Link::is_closed) {
            *place = None;
            match self.common.open(shard, Arc::default()).await {
                Ok(link) => *place = Some(link),
                Err(error) => {
                    self.failed(shard, &error);
                    return None;
                }
            }
        }
        self.links.get(shard.index())?.as_ref()
    }

    fn failed(&mut self, shard: ShardId, error: &StoreError) {
        let text = error.to_string();
        if self.trouble.get(&shard) != Some(&text) {
            tracing::warn!(
                hint = error.hint(),
                "transactions over several shards are not looked after: {text}"
            );
            self.trouble.insert(shard, text);
        }
    }

    /// What is prepared there of this cluster's; `None` where that cannot be seen.
    async fn prepared_on(&mut self, shard: ShardId, cluster: &str) -> Option<Vec<Prepared>> {
        let sql = "SELECT gid, owner::text, extract(epoch FROM clock_timestamp() - prepared)::float8
            FROM pg_prepared_xacts WHERE database = current_database() AND starts_with(gid, $1)";
        let prefix = format!("howdah_{cluster}_");
        let link = self.link(shard).await?;
        let read = async {
            let mut found = Vec::new();
            for row in link.rows(sql, &[&prefix]).await? {
                let (gid, owner, age): (String, String, f64) =
                    (link.value(&row, 0)?, link.value(&row, 1)?, link.value(&row, 2)?);
                // What only begins like ours is somebody else's.
                let Ok(gid) = Gid::parse(&gid) else { continue };
                found.push(Prepared { gid, owner, age: Duration::from_secs_f64(age.clamp(0.0, 1e9)) });
            }
            Ok::<_, StoreError>(found)
        };
        match read.await {
            Ok(found) => {
                self.trouble.remove(&shard);
                Some(found)
            }
            Err(error) => {
                self.failed(shard, &error);
                None
            }
        }
    }

    /// The proxies that live.
    async fn living(&mut self) -> Option<BTreeSet<i64>> {
        let link = self.link(self.common.settings.home).await?;
        let sql = "SELECT epoch FROM howdah.lease WHERE expires_at > clock_timestamp()";
        let rows = link.rows(sql, &[]).await.ok()?;
        rows.iter().map(|row| link.value(row, 0).ok()).collect()
    }

    /// The outcomes of the transactions that are asked for, as far as they can be told now.
    async fn ask<'a>(
        &mut self,
        questions: &BTreeMap<Transaction, Question>,
        prepared: impl Iterator<Item = &'a Prepared>,
    ) -> BTreeMap<Transaction, bool> {
        let mut outcomes = BTreeMap::new();
        for one in prepared {
            let Some(question) = questions.get(&one.gid.transaction) else { continue };
            if outcomes.contains_key(&one.gid.transaction) {
                continue;
            }
            let decider = self
                .shards()
                .into_iter()
                .find(|shard| ShardTag::of(self.common.name(*shard)) == one.gid.decider);
            let Some(decider) = decider else {
                tracing::warn!(gid = %one.gid, "a prepared transaction waits for a shard that is not configured");
                continue;
            };
            let Some(link) = self.link(decider).await else { continue };
            match outcome(link, one.gid.transaction, one.gid.epoch, *question).await {
                Ok(Some(is_commit)) => drop(outcomes.insert(one.gid.transaction, is_commit)),
                Ok(None) => {}
                Err(error) => self.failed(decider, &error),
            }
        }
        outcomes
    }

    /// COMMIT PREPARED or ROLLBACK PREPARED, as the role that prepared: no other may.
    async fn finish(&mut self, shard: ShardId, one: &Prepared, is_commit: bool) {
        let command = if is_commit { "COMMIT PREPARED" } else { "ROLLBACK PREPARED" };
        let role = one.owner.replace('"', "\"\"");
        let Some(link) = self.link(shard).await else { return };
        let finished = async {
            link.run(&format!("SET ROLE \"{role}\"")).await?;
            let finished = link.run(&format!("{command} '{}'", one.gid)).await;
            link.run("RESET ROLE").await?;
            finished
        };
        match finished.await {
            Ok(()) => {
                tracing::info!(gid = %one.gid, command, "a transaction that was left behind is finished")
            }
            // Another proxy was faster.
            Err(error) if error.is_undefined_object() => {}
            Err(error) => self.failed(shard, &error),
        }
    }

    /// On each shard: transactions whose records are a while old, as of now. Of those that a shard took part in which
    /// is not configured any more nobody could say that they are finished.
    async fn decided_before(&mut self) -> BTreeMap<ShardId, Vec<String>> {
        let names: Vec<String> = self.common.settings.shards.iter().map(|shard| shard.name.clone()).collect();
        let sql = "SELECT transaction FROM howdah.decision WHERE participants <@ $2 AND decided_at < clock_timestamp() - interval '10 seconds' ORDER BY decided_at LIMIT $1";
        let mut before = BTreeMap::new();
        for shard in self.shards() {
            let Some(link) = self.link(shard).await else { continue };
            let Ok(rows) = link.rows(sql, &[&FORGET_MAX, &names]).await else { continue };
            let found = rows.iter().filter_map(|row| link.value(row, 0).ok()).collect();
            before.insert(shard, found);
        }
        before
    }

    /// Forgets the records of transactions of which nothing is prepared any more. A record that could be seen before
    /// the prepared ones were read is of a transaction that prepares nothing any more.
    async fn forget(&mut self, before: BTreeMap<ShardId, Vec<String>>, in_doubt: &BTreeSet<Transaction>) {
        for (shard, mut decided) in before {
            decided.retain(|one| Transaction::parse(one).is_some_and(|one| !in_doubt.contains(&one)));
            if decided.is_empty() {
                continue;
            }
            let Some(link) = self.link(shard).await else { continue };
            let sql = "DELETE FROM howdah.decision WHERE transaction = ANY($1)";
            if let Err(error) = link.rows(sql, &[&decided]).await {
                self.failed(shard, &error);
            }
        }
    }
}

/// What was decided; `None`: nothing yet.
pub(super) async fn outcome(
    decider: &Link,
    transaction: Transaction,
    epoch: i64,
    question: Question,
) -> Result<Option<bool>, StoreError> {
    let key = transaction.to_string();
    if question == Question::Settle {
        let sql = "INSERT INTO howdah.decision (transaction, epoch, is_commit, participants)
            VALUES ($1, $2, false, '{}') ON CONFLICT DO NOTHING";
        decider.rows(sql, &[&key, &epoch]).await?;
    }
    let rows = decider.rows("SELECT is_commit FROM howdah.decision WHERE transaction = $1", &[&key]).await?;
    rows.first().map(|row| decider.value(row, 0)).transpose()
}
