//! The store's rows on the home shard: identity, layout, bucket maps, a change under way.

use super::error::StoreError;
use super::layout::{GroupLayout, Layout, Place, Subject};
use super::link::Link;
use super::maps::{BucketRange, map_of, ranges_of};
use crate::rules::{Placement, Rules};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the home shard's store says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// Goes up with every change of the rest.
    pub(super) version: i64,
    /// Where tables lie.
    pub(super) layout: Layout,
    /// The hash groups' buckets.
    pub(super) maps: BTreeMap<String, Vec<BucketRange>>,
    /// A change of rules under way.
    pub(super) change: Option<Change>,
}

/// A change of rules under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) id: i64,
    /// Of the proxy that makes it.
    pub(super) epoch: i64,
    /// What is to lie elsewhere.
    pub(super) subjects: Vec<Subject>,
}

/// Which shard of which cluster a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The cluster's id, a uuid.
    pub(super) cluster: String,
    pub(super) shard: String,
    pub(super) is_home: bool,
}

/// The mark of a database; `None` where it has none yet.
pub(super) async fn identity(link: &Link) -> Result<Option<Identity>, StoreError> {
    let rows = link.rows("SELECT cluster::text, shard, is_home FROM howdah.identity", &[]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (cluster, shard, is_home) = (link.value(row, 0)?, link.value(row, 1)?, link.value(row, 2)?);
    Ok(Some(Identity { cluster, shard, is_home }))
}

/// Marks a database that has no mark; gives the mark that it has then.
pub(super) async fn mark(link: &Link, identity: &Identity) -> Result<Identity, StoreError> {
    let sql = "INSERT INTO howdah.identity (cluster, shard, is_home) VALUES ($1::text::uuid, $2, $3) ON CONFLICT DO NOTHING";
    link.rows(sql, &[&identity.cluster, &identity.shard, &identity.is_home]).await?;
    self::identity(link).await?.ok_or(StoreError::Broken("has no mark of its shard"))
}

/// Whether a mark is the expected one; the error says what the server is instead.
pub(super) fn check(found: &Identity, wanted: &Identity) -> Result<(), StoreError> {
    if found == wanted {
        return Ok(());
    }
    let what = if found.cluster != wanted.cluster {
        "belongs to another cluster".to_owned()
    } else if found.shard != wanted.shard {
        format!("is shard \"{}\" of this cluster", found.shard)
    } else if found.is_home {
        "is the cluster's home shard, but the configuration names another one".to_owned()
    } else {
        "is not the cluster's home shard".to_owned()
    };
    Err(StoreError::Identity { shard: wanted.shard.clone(), found: what })
}

/// Reads everything as of one moment; `None` before the first start.
pub(super) async fn read(link: &Link) -> Result<Option<Stored>, StoreError> {
    link.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let stored = read_all(link).await;
    link.run("ROLLBACK").await?;
    stored
}

async fn read_all(link: &Link) -> Result<Option<Stored>, StoreError> {
    let rows = link.rows("SELECT version FROM howdah.state", &[]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let version = link.value(row, 0)?;
    let identity = identity(link).await?.ok_or(StoreError::Broken("has no mark of its shard"))?;
    let mut layout = Layout { home: identity.shard, ..Layout::default() };
    let sql = "SELECT name, key_types, function, buckets, entries FROM howdah.colocation_group";
    for row in link.rows(sql, &[]).await? {
        let group = GroupLayout {
            key_types: link.value(&row, 1)?,
            function: link.value(&row, 2)?,
            buckets: link.value::<i32>(&row, 3)?.unsigned_abs(),
            entries: link.value(&row, 4)?,
        };
        layout.groups.insert(link.value(&row, 0)?, group);
    }
    for row in
        link.rows("SELECT schema_name, table_name, kind, keys, place FROM howdah.placement", &[]).await?
    {
        let place = match link.value::<&str>(&row, 2)? {
            "sharded" => Place::Sharded { keys: link.value(&row, 3)?, group: link.value(&row, 4)? },
            "reference" => Place::Reference,
            _ => Place::Single(link.value(&row, 4)?),
        };
        layout.places.insert((link.value(&row, 0)?, link.value(&row, 1)?), place);
    }
    let mut maps: BTreeMap<String, Vec<BucketRange>> = BTreeMap::new();
    for row in link.rows("SELECT colocation_group, first, last, shard FROM howdah.bucket_range", &[]).await? {
        let (first, last): (i32, i32) = (link.value(&row, 1)?, link.value(&row, 2)?);
        let range = BucketRange {
            first: first.unsigned_abs(),
            last: last.unsigned_abs(),
            shard: link.value(&row, 3)?,
        };
        maps.entry(link.value(&row, 0)?).or_default().push(range);
    }
    let change = change(link).await?;
    Ok(Some(Stored { version, layout, maps, change }))
}

async fn change(link: &Link) -> Result<Option<Change>, StoreError> {
    let rows = link.rows("SELECT id, epoch, subjects FROM howdah.rules_change", &[]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let names: Vec<String> = link.value(row, 2)?;
    let subjects = names.chunks_exact(2).filter_map(|pair| match pair {
        [schema, table] => Some((schema.clone(), table.clone())),
        _ => None,
    });
    let subjects = subjects.collect();
    Ok(Some(Change { id: link.value(row, 0)?, epoch: link.value(row, 1)?, subjects }))
}

/// Writes the layout of rules in place of the stored one, inside the transaction that is open. Maps of hash
/// groups that stay as they are stay; a new or altered group starts with the default map.
pub(super) async fn write(link: &Link, rules: &Rules, stored: Option<&Stored>) -> Result<(), StoreError> {
    let layout = Layout::of(rules);
    link.run("DELETE FROM howdah.placement").await?;
    for ((schema, table), place) in &layout.places {
        let (kind, keys, at) = match place {
            Place::Sharded { keys, group } => ("sharded", keys.as_slice(), group.as_str()),
            Place::Reference => ("reference", &[][..], ""),
            Place::Single(shard) => ("single", &[][..], shard.as_str()),
        };
        let sql = "INSERT INTO howdah.placement (schema_name, table_name, kind, keys, place) VALUES ($1, $2, $3, $4, $5)";
        link.rows(sql, &[schema, table, &kind, &keys, &at]).await?;
    }
    for name in stored.iter().flat_map(|stored| stored.layout.groups.keys()) {
        let is_kept = layout.groups.get(name) == stored.and_then(|stored| stored.layout.groups.get(name));
        if !is_kept {
            link.rows("DELETE FROM howdah.colocation_group WHERE name = $1", &[name]).await?;
        }
    }
    let version = stored.map_or(1, |stored| stored.version + 1);
    for group in rules.groups() {
        let Some(written) = layout.groups.get(&group.name) else { continue };
        if stored.and_then(|stored| stored.layout.groups.get(&group.name)) == Some(written) {
            continue;
        }
        let buckets = i32::try_from(written.buckets).unwrap_or(i32::MAX);
        let sql = "INSERT INTO howdah.colocation_group (name, key_types, function, buckets, entries, epoch) VALUES ($1, $2, $3, $4, $5, $6)";
        let GroupLayout { key_types, function, entries, .. } = written;
        link.rows(sql, &[&group.name, key_types, function, &buckets, entries, &version]).await?;
        let Placement::Hash(map) = &group.placement else { continue };
        for range in ranges_of(map, rules.shard_names()) {
            let sql = "INSERT INTO howdah.bucket_range (colocation_group, first, last, shard, epoch) VALUES ($1, $2, $3, $4, $5)";
            let bucket = |bucket| i32::try_from(bucket).unwrap_or(i32::MAX);
            let (first, last) = (bucket(range.first), bucket(range.last));
            link.rows(sql, &[&group.name, &first, &last, &range.shard, &version]).await?;
        }
    }
    let sql =
        "INSERT INTO howdah.state (version) VALUES ($1) ON CONFLICT (is_only_row) DO UPDATE SET version = $1";
    link.rows(sql, &[&version]).await?;
    Ok(())
}

/// The rules with the store's bucket maps. A group that the store knows otherwise keeps its default map: no
/// table of it is used until both agree.
pub(super) fn with_maps(rules: &Arc<Rules>, stored: &Stored) -> Result<Arc<Rules>, StoreError> {
    let shards = rules.shard_names().to_vec();
    // A shard that holds buckets must not be missing, whether a table uses them or not.
    for (group, ranges) in &stored.maps {
        let buckets = stored.layout.groups.get(group).map_or(0, |group| group.buckets);
        map_of(group, buckets, ranges, &shards)?;
    }
    let rules = Rules::clone(rules).with_maps(|group| {
        let known = stored.layout.groups.get(&group.name)?;
        let is_same = matches!(&group.placement, Placement::Hash(map) if map.buckets() as u64 == u64::from(known.buckets));
        let ranges = stored.maps.get(&group.name).filter(|_| is_same)?;
        map_of(&group.name, known.buckets, ranges, &shards).ok()
    })?;
    Ok(Arc::new(rules))
}
