//! Waits until other proxies have taken in what was committed, and takes the leases of those that do not answer.

use super::error::StoreError;
use super::lease::{self, LEASE, Other};
use super::link::Link;
use super::read;
use super::settings::Common;
use super::view::Unsettled;
use crate::ids::ShardId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How often the others are looked at.
const LOOK: Duration = Duration::from_millis(10);

/// How long a change waits for other proxies: enough to take the lease of one that is gone, twice.
pub(super) const SETTLE_TIMEOUT: Duration = Duration::from_secs(3 * LEASE.as_secs());

/// Answers those who wait for every proxy to plan by what is committed now.
pub(super) async fn settle(
    common: &Common,
    home: Option<&Link>,
    done: Vec<oneshot::Sender<Result<(), Unsettled>>>,
) {
    let answer = match home {
        None => Err(Unsettled(Vec::new())),
        Some(home) => match settle_all(common, home).await {
            Ok(behind) if behind.is_empty() => Ok(()),
            Ok(behind) => Err(Unsettled(behind)),
            Err(error) => {
                tracing::warn!("{error}");
                Err(Unsettled(Vec::new()))
            }
        },
    };
    for done in done {
        // Who waited may be gone.
        let _nobody_waits_any_more = done.send(answer.clone());
    }
}

async fn settle_all(common: &Common, home: &Link) -> Result<Vec<String>, StoreError> {
    let moment = read::moment(home).await?;
    let behind = wait_for(common, || lease::behind_catalog(home, &moment)).await?;
    if behind.is_empty() {
        lease::forget_changes(home).await?;
    }
    Ok(behind)
}

/// Waits until nobody is behind, and gives the names of those that still are when the time is up.
pub(super) async fn wait_for<F, B>(common: &Common, behind: F) -> Result<Vec<String>, StoreError>
where
    F: Fn() -> B,
    B: Future<Output = Result<Vec<Other>, StoreError>>,
{
    let end = Instant::now() + SETTLE_TIMEOUT;
    let mut gone: BTreeMap<i64, bool> = BTreeMap::new();
    loop {
        let others = behind().await?;
        let mut left = Vec::new();
        for other in others {
            let is_gone = match gone.get(&other.epoch) {
                Some(is_gone) => *is_gone,
                None if other.is_expired && other.epoch != common.epoch() => {
                    let is_gone = evict(common, &other).await;
                    if is_gone {
                        gone.insert(other.epoch, true);
                    }
                    is_gone
                }
                None => false,
            };
            if !is_gone {
                left.push(other.name);
            }
        }
        if left.is_empty() || Instant::now() >= end {
            return Ok(left);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Takes the leases, on all shards, of a proxy whose lease on the home shard has expired, and waits until it
/// cannot count on any: it may still see the other shards. Whether that was possible.
async fn evict(common: &Common, other: &Other) -> bool {
    let mut left = Duration::ZERO;
    for shard in (0..common.settings.shards.len()).filter_map(|at| u16::try_from(at).ok()).map(ShardId) {
        if shard == common.settings.home {
            continue;
        }
        let evicted = async {
            let link = common.open(shard, Arc::default()).await?;
            lease::evict(&link, other.epoch).await
        };
        match evicted.await {
            Ok(counted_on) => left = left.max(counted_on),
            Err(error) => {
                tracing::warn!(proxy = other.name, "cannot take the lease of a proxy that is gone: {error}");
                return false;
            }
        }
    }
    tokio::time::sleep(left).await;
    // On the home shard last: who finds no row there may trust that the others are gone.
    let evicted = async {
        let link = common.open(common.settings.home, Arc::default()).await?;
        lease::evict_expired(&link, other.epoch).await
    };
    match evicted.await {
        Ok(is_gone) => {
            if is_gone {
                tracing::info!(proxy = other.name, "took the lease of a proxy that is gone");
            }
            is_gone
        }
        Err(_unknown) => false,
    }
}
