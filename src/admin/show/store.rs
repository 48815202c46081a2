//! SHOW STORE and DRIFT: what this proxy knows of its clusters' stores and shards.

use super::super::Admin;
use super::super::table::{Column, Row, int4, text};
use std::time::Instant;

/// One row per cluster with a store.
pub const STORE: [Column; 5] =
    [text("cluster"), text("lease"), int4("snapshot"), int4("drift"), text("trouble")];

/// One row per difference between the shards.
pub const DRIFT: [Column; 2] = [text("cluster"), text("difference")];

/// The rows of SHOW STORE.
pub fn store(admin: &Admin) -> Vec<Row> {
    let row = |(cluster, view): (String, std::sync::Arc<crate::store::View>)| {
        let lease = if view.is_valid(Instant::now()) { "held" } else { "lapsed" };
        let drift = view.snapshot().map_or(0, |snapshot| snapshot.drift.len());
        let trouble =
            view.trouble().map(|error| error.detail.map_or(error.message.to_string(), String::from));
        vec![
            cluster.into(),
            lease.into(),
            u32::try_from(view.version()).unwrap_or(u32::MAX).into(),
            drift.into(),
            trouble.into(),
        ]
    };
    admin.service.directory.views().into_iter().map(row).collect()
}

/// The rows of SHOW DRIFT.
pub fn drift(admin: &Admin) -> Vec<Row> {
    let mut rows = Vec::new();
    for (cluster, view) in admin.service.directory.views() {
        let Some(snapshot) = view.snapshot() else { continue };
        rows.extend(snapshot.drift.iter().map(|one| vec![cluster.clone().into(), one.clone().into()]));
    }
    rows
}
