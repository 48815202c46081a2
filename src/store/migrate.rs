//! Makes the store's tables, and brings them to this version.

use super::error::StoreError;
use super::link::Link;

/// The migrations, from version 1. A migration that was released is never changed.
const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/0001_store.sql")];

/// The version that this Howdah works with.
pub(super) const VERSION: i32 = MIGRATIONS.len() as i32;

/// Held while migrations run, so that two proxies that start at once do not run them twice.
const LOCK: i64 = 0x486f_7764_6168_0001;

/// Brings the shard's store to [`VERSION`]. All or nothing; nothing where it is there already.
pub(super) async fn migrate(link: &Link, shard: &str, database: &str) -> Result<(), StoreError> {
    if version(link, shard).await? == VERSION {
        return Ok(());
    }
    let migrated = migrate_locked(link, shard).await;
    if migrated.is_err() {
        // The connection may be what failed; a transaction that is open dies with it.
        let _nothing_more_to_do = link.run("ROLLBACK").await;
    }
    migrated.map_err(|error| with_grant(error, database))
}

async fn migrate_locked(link: &Link, shard: &str) -> Result<(), StoreError> {
    // Event triggers of users run as in any session.
    link.run(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK}); SET LOCAL search_path TO DEFAULT"))
        .await?;
    let found = version(link, shard).await?;
    let missing = usize::try_from(found).unwrap_or(0);
    for (number, sql) in MIGRATIONS.iter().enumerate().skip(missing) {
        link.run(sql).await?;
        tracing::info!(shard, version = number + 1, "the store was brought to a new version");
    }
    link.run("COMMIT").await
}

/// The version of the store that is there; 0 where there is none.
async fn version(link: &Link, shard: &str) -> Result<i32, StoreError> {
    let known = link.rows("SELECT to_regclass('howdah.migration') IS NOT NULL", &[]).await?;
    let row = known.first().ok_or(StoreError::Broken("does not answer"))?;
    if !link.value::<bool>(row, 0)? {
        return Ok(0);
    }
    let rows = link.rows("SELECT coalesce(max(version), 0) FROM howdah.migration", &[]).await?;
    let row = rows.first().ok_or(StoreError::Broken("does not answer"))?;
    let found: i32 = link.value(row, 0)?;
    if found > VERSION {
        return Err(StoreError::Newer { shard: shard.to_owned(), found, known: VERSION });
    }
    Ok(found)
}

fn with_grant(error: StoreError, database: &str) -> StoreError {
    match error {
        StoreError::Rights { shard, found, .. } => {
            let quoted = database.replace('"', "\"\"");
            let grant = format!(
                "GRANT CREATE ON DATABASE \"{quoted}\" TO the maintenance user on shard \"{shard}\"; the schema howdah is its own."
            );
            StoreError::Rights { shard, found, grant }
        }
        other => other,
    }
}
