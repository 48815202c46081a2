//! Makes a snapshot of what was read of the shards and the store.

use super::drift::drift;
use super::error::StoreError;
use super::layout::{Layout, Subject};
use super::pulse::Found;
use super::records::{self, Stored};
use super::settings::Common;
use super::view::{self, Snapshot, Usable};
use crate::catalog::{Catalog, OidMap};
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::plan::Schema;
use crate::rules::Rules;
use std::sync::Arc;

/// What was read, and the rules of this proxy.
#[derive(Debug)]
pub(super) struct Known {
    /// As the configuration gives them, with default bucket maps.
    pub(super) rules: Arc<Rules>,
    /// The home shard's catalog.
    pub(super) home: Option<Arc<Catalog>>,
    shards: Vec<Shard>,
    /// A catalog changed since the last snapshot.
    is_catalog_changed: bool,
    /// How many changes of the rules by this proxy are under way.
    pub(super) changing: usize,
    /// The present snapshot is of all this.
    pub(super) is_composed: bool,
    drift: Arc<[String]>,
}

/// A shard other than the home shard.
#[derive(Clone, Debug)]
enum Shard {
    /// It was not looked at yet.
    Unknown,
    /// Its catalog.
    Read(Arc<Catalog>),
    /// It must not be used.
    Wrong(String),
}

impl Known {
    pub(super) fn new(rules: Arc<Rules>, shards: usize) -> Known {
        Known {
            rules,
            home: None,
            shards: vec![Shard::Unknown; shards],
            is_catalog_changed: false,
            changing: 0,
            is_composed: false,
            drift: Arc::default(),
        }
    }

    pub(super) fn take_home(&mut self, catalog: Arc<Catalog>) {
        if self.home.as_ref() != Some(&catalog) {
            self.home = Some(catalog);
            self.is_catalog_changed = true;
            self.is_composed = false;
        }
    }

    pub(super) fn take(&mut self, found: Found) {
        let Some(slot) = self.shards.get_mut(found.shard.index()) else { return };
        let now = match found.what {
            Ok(catalog) => Shard::Read(catalog),
            Err(error) => Shard::Wrong(error.to_string()),
        };
        match (&*slot, &now) {
            (Shard::Read(before), Shard::Read(after)) if before == after => return,
            (Shard::Wrong(before), Shard::Wrong(after)) if before == after => return,
            _ => {}
        }
        *slot = now;
        self.is_catalog_changed = true;
        self.is_composed = false;
    }

    fn drift(&mut self, home: ShardId, names: &[String]) -> Arc<[String]> {
        let Some(catalog) = &self.home else { return Arc::default() };
        let mut found = Vec::new();
        for (at, shard) in self.shards.iter().enumerate() {
            if let (Shard::Read(other), true) = (shard, at != home.index()) {
                let name = names.get(at).map_or("", String::as_str);
                found.extend(drift(&self.rules, catalog, other, name));
            }
        }
        for new in found.iter().filter(|one| !self.drift.contains(one)) {
            tracing::warn!("drift: {new}");
        }
        for gone in self.drift.iter().filter(|one| !found.contains(one)) {
            tracing::info!("drift ended: {gone}");
        }
        self.drift = found.into();
        Arc::clone(&self.drift)
    }

    /// Whether each shard may be used.
    fn usable(&self, common: &Common) -> Vec<Usable> {
        let usable = |(at, shard): (usize, &Shard)| match shard {
            _ if at == common.settings.home.index() => Usable::Yes,
            Shard::Read(_) => Usable::Yes,
            Shard::Unknown => Usable::NotYet(
                common.settings.shards.get(at).map(|shard| shard.name.clone()).unwrap_or_default(),
            ),
            Shard::Wrong(reason) => Usable::No(reason.clone()),
        };
        self.shards.iter().enumerate().map(usable).collect()
    }
}

/// A snapshot, and whether a catalog in it differs from the one before.
pub(super) async fn compose(
    known: &mut Known,
    stored: &Stored,
    common: &Common,
) -> Result<(Snapshot, bool), StoreError> {
    let rules = records::with_maps(&known.rules, stored)?;
    let catalog = known.home.clone().ok_or(StoreError::Broken("gives no catalog"))?;
    if known.is_catalog_changed {
        tell_oids(known, &catalog, common);
    }
    let blocked = blocked(&known.rules, stored, known.changing > 0);
    let drift = known.drift(common.settings.home, rules.shard_names());
    let of = Arc::clone(&rules);
    let joined = tokio::task::spawn_blocking(move || {
        let mut schema = Schema::new(of, catalog);
        for ((schema_name, table), error) in &blocked {
            schema.block(schema_name, table, error);
        }
        schema
    });
    let schema =
        joined.await.map_err(|_ended| StoreError::Broken("could not be read: the proxy is ending"))?;
    let snapshot = Snapshot::new(schema, rules, known.usable(common), drift);
    Ok((snapshot, std::mem::take(&mut known.is_catalog_changed)))
}

/// Tells connections to other shards which of their OIDs are which of the home shard's.
fn tell_oids(known: &Known, home: &Catalog, common: &Common) {
    for (at, shard) in (0..).zip(&known.shards) {
        if let (Shard::Read(catalog), Some(slot)) = (shard, common.view.oids(ShardId(at))) {
            slot.set(OidMap::between(home, catalog));
        }
    }
}

/// The tables that must not be used, with what who uses them is told.
fn blocked(rules: &Rules, stored: &Stored, is_changing: bool) -> Vec<(Subject, SqlError)> {
    let differences = stored.layout.differences(&Layout::of(rules));
    let mut blocked: Vec<(Subject, SqlError)> = Vec::new();
    if let Some(change) = &stored.change {
        blocked.extend(change.subjects.iter().map(|subject| (subject.clone(), view::blocked(subject, true))));
    }
    for difference in differences {
        if !blocked.iter().any(|(subject, _)| *subject == difference.subject) {
            let error = view::blocked(&difference.subject, is_changing);
            blocked.push((difference.subject, error));
        }
    }
    blocked
}
