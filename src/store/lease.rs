//! Leases: the rows that say which proxies live, and what they have taken in.
//!
//! docs/decisions/0015-leases.md has the protocol and why it is right.

use super::error::StoreError;
use super::link::Link;
use std::time::Duration;

/// How long a lease holds by the database's clock, from when it is renewed there.
pub(super) const LEASE: Duration = Duration::from_secs(5);

/// How long this proxy counts on it, from before it asked for it: shorter, so that it stops before others see
/// the lease expired, also where clocks run unlike or a crash lost the last renewal.
pub(super) const COUNTED_ON: Duration = Duration::from_millis(3500);

/// How often it is renewed.
pub(super) const RENEWAL: Duration = Duration::from_secs(1);

/// Another proxy's lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Other {
    pub(super) epoch: i64,
    pub(super) name: String,
    pub(super) is_expired: bool,
}

/// A number that no other start of a proxy has.
pub(super) async fn take_epoch(home: &Link) -> Result<i64, StoreError> {
    let rows = home.rows("SELECT pg_catalog.nextval('howdah.proxy_epoch')", &[]).await?;
    home.value(rows.first().ok_or(StoreError::Broken("gives no epoch"))?, 0)
}

/// Takes a lease that is not held. What its holder knew before counts for nothing.
pub(super) async fn register(link: &Link, epoch: i64, name: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO howdah.lease (epoch, name, expires_at)
        VALUES ($1, $2, clock_timestamp() + $3::float8 * interval '1 second')
        ON CONFLICT (epoch) DO UPDATE SET expires_at = EXCLUDED.expires_at, acknowledged = NULL, rules_change = 0";
    link.rows(sql, &[&epoch, &name, &LEASE.as_secs_f64()]).await?;
    Ok(())
}

/// Renews a lease that is held; `false` where it is held no more.
pub(super) async fn renew(link: &Link, epoch: i64) -> Result<bool, StoreError> {
    let sql = "UPDATE howdah.lease SET expires_at = clock_timestamp() + $2::float8 * interval '1 second'
        WHERE epoch = $1 AND expires_at > clock_timestamp() RETURNING true";
    Ok(!link.rows(sql, &[&epoch, &LEASE.as_secs_f64()]).await?.is_empty())
}

/// Says on the home shard what this proxy plans by now, and renews; `false` where the lease is held no more.
pub(super) async fn acknowledge(
    home: &Link,
    epoch: i64,
    snapshot: &str,
    change: i64,
) -> Result<bool, StoreError> {
    let sql = "UPDATE howdah.lease SET acknowledged = $2::text::pg_snapshot, rules_change = $3,
          expires_at = clock_timestamp() + $4::float8 * interval '1 second'
        WHERE epoch = $1 AND expires_at > clock_timestamp() RETURNING true";
    let rows = home.rows(sql, &[&epoch, &snapshot, &change, &LEASE.as_secs_f64()]).await?;
    Ok(!rows.is_empty())
}

/// Says that this proxy has stopped using the tables of a change of rules.
pub(super) async fn acknowledge_rules(home: &Link, epoch: i64, change: i64) -> Result<(), StoreError> {
    home.rows("UPDATE howdah.lease SET rules_change = $2 WHERE epoch = $1", &[&epoch, &change]).await?;
    Ok(())
}

/// Gives a lease back.
pub(super) async fn give_back(link: &Link, epoch: i64) -> Result<(), StoreError> {
    link.rows("DELETE FROM howdah.lease WHERE epoch = $1", &[&epoch]).await?;
    Ok(())
}

/// Takes another proxy's lease away; how long it may still count on it.
pub(super) async fn evict(link: &Link, epoch: i64) -> Result<Duration, StoreError> {
    let sql = "DELETE FROM howdah.lease WHERE epoch = $1
        RETURNING greatest(extract(epoch FROM expires_at - clock_timestamp())::float8, 0)";
    let rows = link.rows(sql, &[&epoch]).await?;
    let left: f64 = match rows.first() {
        Some(row) => link.value(row, 0)?,
        None => 0.0,
    };
    Ok(Duration::from_secs_f64(left.min(LEASE.as_secs_f64())))
}

/// On the home shard: takes the lease of a proxy away if it is expired still; whether it is gone.
pub(super) async fn evict_expired(home: &Link, epoch: i64) -> Result<bool, StoreError> {
    home.rows("DELETE FROM howdah.lease WHERE epoch = $1 AND expires_at <= clock_timestamp()", &[&epoch])
        .await?;
    let rows = home.rows("SELECT FROM howdah.lease WHERE epoch = $1", &[&epoch]).await?;
    Ok(rows.is_empty())
}

/// The proxies that have not taken in all catalog changes visible in `snapshot`.
pub(super) async fn behind_catalog(home: &Link, snapshot: &str) -> Result<Vec<Other>, StoreError> {
    let sql = "SELECT l.epoch, l.name, l.expires_at <= clock_timestamp() FROM howdah.lease l
        WHERE EXISTS (SELECT FROM howdah.catalog_change c WHERE pg_visible_in_snapshot(c.xid, $1::text::pg_snapshot)
          AND (l.acknowledged IS NULL OR NOT pg_visible_in_snapshot(c.xid, l.acknowledged)))";
    others(home, home.rows(sql, &[&snapshot]).await?)
}

/// The proxies that have not stopped using the tables of a change of rules.
pub(super) async fn behind_rules(home: &Link, change: i64) -> Result<Vec<Other>, StoreError> {
    let sql = "SELECT epoch, name, expires_at <= clock_timestamp() FROM howdah.lease WHERE rules_change < $1";
    others(home, home.rows(sql, &[&change]).await?)
}

fn others(home: &Link, rows: Vec<tokio_postgres::Row>) -> Result<Vec<Other>, StoreError> {
    let other = |row: &tokio_postgres::Row| {
        Ok(Other { epoch: home.value(row, 0)?, name: home.value(row, 1)?, is_expired: home.value(row, 2)? })
    };
    rows.iter().map(other).collect()
}

/// Forgets catalog changes that every proxy has taken in.
pub(super) async fn forget_changes(home: &Link) -> Result<(), StoreError> {
    home.run(
        "DELETE FROM howdah.catalog_change c WHERE changed_at < clock_timestamp() - interval '1 minute'
         AND NOT EXISTS (SELECT FROM howdah.lease l
           WHERE l.acknowledged IS NULL OR NOT pg_visible_in_snapshot(c.xid, l.acknowledged))",
    )
    .await
}
