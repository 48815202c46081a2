//! Reads a shard's catalog, and tells cheaply whether it changed.

use super::error::StoreError;
use super::link::Link;
use crate::catalog::{Catalog, LOAD_SQL};
use std::sync::Arc;

/// A digest of what the catalog is made of: each row's place and the transaction that wrote it. Temporary
/// relations do not count. It may change without anything being different (TRUNCATE), never stay when
/// something is.
const SIGNATURE_SQL: &str = include_str!("signature.sql");

/// Reads the whole catalog.
pub(super) async fn catalog(link: &Link) -> Result<Arc<Catalog>, StoreError> {
    let rows = link.texts(LOAD_SQL).await?;
    // A catalog of thousands of tables takes a while to build: other clients of this thread go on.
    let built = tokio::task::spawn_blocking(move || {
        let columns = |row: &tokio_postgres::SimpleQueryRow| row.len();
        Catalog::from_rows(rows.iter().map(|row| (0..columns(row)).map(|at| row.get(at)).collect::<Vec<_>>()))
    });
    match built.await {
        Ok(built) => Ok(Arc::new(built?)),
        Err(_ended) => Err(StoreError::Broken("could not be read: the proxy is ending")),
    }
}

/// The digest, as somebody took it within the last two seconds, or else taken now for everybody.
pub(super) async fn signature(link: &Link) -> Result<String, StoreError> {
    let recent =
        "SELECT digest FROM howdah.signature WHERE taken_at > clock_timestamp() - interval '2 seconds'
        AND taken_at <= clock_timestamp()";
    if let Some(row) = link.rows(recent, &[]).await?.first() {
        return link.value(row, 0);
    }
    take_signature(link).await
}

/// The digest, taken now, for everybody.
pub(super) async fn take_signature(link: &Link) -> Result<String, StoreError> {
    let sql = format!(
        "INSERT INTO howdah.signature (digest, taken_at) SELECT md5, clock_timestamp() FROM ({SIGNATURE_SQL}) AS taken (md5)
         ON CONFLICT (is_only_row) DO UPDATE SET digest = EXCLUDED.digest, taken_at = EXCLUDED.taken_at RETURNING digest"
    );
    let rows = link.rows(&sql, &[]).await?;
    link.value(rows.first().ok_or(StoreError::Broken("gives no signature"))?, 0)
}

/// What is committed on this server now, as transaction ids see it.
pub(super) async fn moment(link: &Link) -> Result<String, StoreError> {
    let rows = link.rows("SELECT pg_current_snapshot()::text", &[]).await?;
    link.value(rows.first().ok_or(StoreError::Broken("gives no snapshot"))?, 0)
}
