//! Changes of the sharding rules, agreed on between all proxies: a table's place changes only while no proxy
//! uses the table and no row of it has a place that it would lose.
//!
//! docs/decisions/0015-leases.md has the protocol and why it is right.

use super::error::StoreError;
use super::layout::{Difference, Layout, Subject};
use super::lease;
use super::link::Link;
use super::records::{self, Identity, Stored};
use super::settings::Common;
use super::settle::{SETTLE_TIMEOUT, wait_for};
use crate::ids::ShardId;
use crate::rules::Rules;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Held while the store is made or its rules change, so that two proxies do not do it at once.
const LOCK: i64 = 0x486f_7764_6168_0002;

/// How long a change waits where another is under way.
const RACED_PAUSE: Duration = Duration::from_millis(100);

/// Makes the store of a cluster that has none: its id, and the layout of the rules as they are.
pub(super) async fn first_start(home: &Link, shard: &str, rules: &Rules) -> Result<Identity, StoreError> {
    let made = make(home, shard, rules).await;
    home.run(if made.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    made
}

async fn make(home: &Link, shard: &str, rules: &Rules) -> Result<Identity, StoreError> {
    home.run(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
    if let Some(identity) = records::identity(home).await? {
        return Ok(identity);
    }
    let rows = home.rows("SELECT gen_random_uuid()::text", &[]).await?;
    let cluster = home.value(rows.first().ok_or(StoreError::Broken("gives no id"))?, 0)?;
    let identity = Identity { cluster, shard: shard.to_owned(), is_home: true };
    records::mark(home, &identity).await?;
    records::write(home, rules, None).await?;
    tracing::info!(shard, "the cluster's store was made");
    Ok(identity)
}

/// Puts the layout of these rules in place of the stored one, after what other proxies are changing.
pub(super) async fn change_rules(common: &Common, rules: &Rules) -> Result<(), StoreError> {
    let end = Instant::now() + SETTLE_TIMEOUT;
    loop {
        match try_change(common, rules).await {
            Err(StoreError::Raced) if Instant::now() < end => tokio::time::sleep(RACED_PAUSE).await,
            changed => return changed,
        }
    }
}

/// Puts the layout of these rules in place of the stored one. The proxies use none of the tables that change
/// from before the rows are looked for until after the layout is written.
async fn try_change(common: &Common, rules: &Rules) -> Result<(), StoreError> {
    let home = common.open(common.settings.home, Arc::default()).await?;
    let stored = records::read(&home).await?.ok_or(StoreError::Broken("is empty"))?;
    let layout = Layout::of(rules);
    if stored.layout == layout {
        return Ok(());
    }
    let differences = stored.layout.differences(&layout);
    if differences.is_empty() {
        // Groups without tables, or the same in other words: nobody plans by it.
        return write(&home, rules, &stored, None).await;
    }
    let shards = Shards::open(common).await?;
    if let Err(error) = shards.find_rows(&differences, false).await {
        // The rows may lie where another proxy's change has put them in the meantime.
        let now = records::read(&home).await?;
        let is_same = now.is_some_and(|now| now.version == stored.version);
        return Err(if is_same { error } else { StoreError::Raced });
    }
    let change = announce(common, &home, &differences, stored.version).await?;
    let changed = agree(common, &home, &shards, (change, &differences), (rules, &stored)).await;
    if changed.is_err() {
        let sql = "DELETE FROM howdah.rules_change WHERE id = $1";
        home.rows(sql, &[&change]).await?;
        home.run("NOTIFY howdah").await?;
    }
    changed
}

/// Tells all proxies to stop using the tables, if the store is still at `version`; the change's id.
async fn announce(
    common: &Common,
    home: &Link,
    differences: &[Difference],
    version: i64,
) -> Result<i64, StoreError> {
    let subjects: Vec<&str> = differences
        .iter()
        .flat_map(|difference| [difference.subject.0.as_str(), difference.subject.1.as_str()])
        .collect();
    // What a proxy left behind that is gone.
    home.run(
        "DELETE FROM howdah.rules_change c WHERE NOT EXISTS
         (SELECT FROM howdah.lease l WHERE l.epoch = c.epoch AND l.expires_at > clock_timestamp())",
    )
    .await?;
    let sql = "INSERT INTO howdah.rules_change (epoch, subjects)
        SELECT $1, $2 FROM howdah.state WHERE version = $3 ON CONFLICT DO NOTHING RETURNING id";
    let rows = home.rows(sql, &[&common.epoch(), &subjects, &version]).await?;
    let Some(row) = rows.first() else {
        return Err(StoreError::Raced);
    };
    home.run("NOTIFY howdah").await?;
    home.value(row, 0)
}

async fn agree(
    common: &Common,
    home: &Link,
    shards: &Shards,
    (change, differences): (i64, &[Difference]),
    (rules, stored): (&Rules, &Stored),
) -> Result<(), StoreError> {
    let behind = wait_for(common, || lease::behind_rules(home, change)).await?;
    if !behind.is_empty() {
        let who = behind.join(", ");
        return Err(StoreError::NotAgreed(format!("statements on the tables are under way at {who}")));
    }
    let locked = shards.find_rows(differences, true).await;
    let written = match locked {
        Ok(()) => write(home, rules, stored, Some(change)).await,
        Err(error) => Err(error),
    };
    shards.unlock().await;
    written
}

/// Writes the layout, unless the store changed, or the change was taken back, in the meantime.
async fn write(home: &Link, rules: &Rules, stored: &Stored, change: Option<i64>) -> Result<(), StoreError> {
    home.run(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
    let written = async {
        let sql = "SELECT FROM howdah.state WHERE version = $1 FOR UPDATE";
        if home.rows(sql, &[&stored.version]).await?.is_empty() {
            return Err(StoreError::Raced);
        }
        if let Some(change) = change {
            let sql = "DELETE FROM howdah.rules_change WHERE id = $1 RETURNING true";
            if home.rows(sql, &[&change]).await?.is_empty() {
                return Err(StoreError::Raced);
            }
        }
        records::write(home, rules, Some(stored)).await?;
        home.run("NOTIFY howdah").await
    };
    let written = written.await;
    home.run(if written.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    written
}

/// Connections to all shards.
#[derive(Debug)]
struct Shards {
    links: Vec<Link>,
}

impl Shards {
    async fn open(common: &Common) -> Result<Shards, StoreError> {
        let mut links = Vec::new();
        for shard in (0..common.settings.shards.len()).filter_map(|at| u16::try_from(at).ok()) {
            links.push(common.open(ShardId(shard), Arc::default()).await?);
        }
        Ok(Shards { links })
    }

    /// Looks on every shard whether tables hold rows that would lose their place; `is_locking`: the tables are
    /// locked against writers first, which waits for those that write, and stay so until [`Self::unlock`].
    async fn find_rows(&self, differences: &[Difference], is_locking: bool) -> Result<(), StoreError> {
        for link in &self.links {
            if is_locking {
                link.run("BEGIN").await?;
            }
            for difference in differences {
                for table in tables(link, &difference.subject).await? {
                    let lacks = |error| with_grant(error, &table);
                    if is_locking {
                        link.run(&format!("LOCK TABLE {table} IN SHARE MODE")).await.map_err(lacks)?;
                    }
                    if difference.is_extension {
                        continue;
                    }
                    let sql = format!("SELECT EXISTS (SELECT FROM {table})");
                    let rows = link.rows(&sql, &[]).await.map_err(lacks)?;
                    let row = rows.first().ok_or(StoreError::Broken("does not answer"))?;
                    if link.value::<bool>(row, 0)? {
                        return Err(StoreError::would_move(difference));
                    }
                }
            }
        }
        Ok(())
    }

    async fn unlock(&self) {
        for link in &self.links {
            // A connection that is lost holds no lock.
            let _lost_or_done = link.run("ROLLBACK").await;
        }
    }
}

fn with_grant(error: StoreError, table: &str) -> StoreError {
    match error {
        StoreError::Rights { shard, found, .. } => {
            let grant = format!(
                "GRANT SELECT, UPDATE ON {table} TO the maintenance user on every shard (or pg_read_all_data and pg_write_all_data): where a rule changes, it looks whether the table holds rows, and locks it meanwhile."
            );
            StoreError::Rights { shard, found, grant }
        }
        other => other,
    }
}

/// The tables that a subject stands for on a shard, quoted; none where it is not there.
async fn tables(link: &Link, (schema, table): &Subject) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND ($2 = '' OR c.relname = $2) AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
        ORDER BY c.relname";
    let rows = link.rows(sql, &[schema, table]).await?;
    rows.iter().map(|row| link.value(row, 0)).collect()
}
