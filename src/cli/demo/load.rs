//! Fills the shards: each on a connection of its own, all at once, each row on the shard of its key.

use super::Error;
use super::progress::Counter;
use super::shop::{self, Table};
use crate::datum::hash::hash_int8;
use crate::ids::ShardId;
use crate::rules::BucketMap;
use crate::throwaway::Server;
use bytes::Bytes;
use futures_util::SinkExt;
use std::pin::pin;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_postgres::{Client, Config, NoTls};

/// Buckets of the demo's colocation group: the default of the rules.
const BUCKETS: u32 = 4096;
/// How much is handed to a COPY at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// The two roles that are made on every shard.
#[derive(Clone, Debug)]
pub(super) struct Roles {
    /// Who shops: owns the tables, and is no superuser.
    pub(super) user: &'static str,
    pub(super) user_password: &'static str,
    /// Howdah's own role.
    pub(super) maintenance: &'static str,
    pub(super) maintenance_password: String,
}

/// Makes roles, database, tables and rows on all servers, and says how many rows each got.
pub(super) async fn load(
    servers: &[Server],
    database: &'static str,
    roles: &Roles,
    counter: Counter,
) -> Result<Vec<u64>, Error> {
    let shards = u16::try_from(servers.len()).unwrap_or(u16::MAX);
    let map = Arc::new(BucketMap::default_map(BUCKETS, shards));
    let mut loads = JoinSet::new();
    for (shard, server) in (0..shards).map(ShardId).zip(servers) {
        let (first, own) = (server.config("postgres"), server.config(database));
        let (roles, map, counter) = (roles.clone(), Arc::clone(&map), counter.clone());
        loads.spawn(async move {
            create_database(&first, database, &roles).await?;
            let rows = load_shard(&own, &roles, (shard, &map), &counter).await?;
            Ok::<_, Error>((shard, rows))
        });
    }
    let mut rows = vec![0; servers.len()];
    while let Some(loaded) = loads.join_next().await {
        let (shard, count) = loaded.map_err(|_| Error::LoadPanicked)??;
        if let Some(slot) = rows.get_mut(shard.index()) {
            *slot = count;
        }
    }
    Ok(rows)
}

async fn create_database(config: &Config, database: &str, roles: &Roles) -> Result<(), Error> {
    let client = connect(config).await?;
    let Roles { user, user_password, maintenance, maintenance_password } = roles;
    client
        .batch_execute(&format!(
            "CREATE ROLE {user} LOGIN PASSWORD '{user_password}';
             CREATE ROLE {maintenance} LOGIN PASSWORD '{maintenance_password}' IN ROLE pg_monitor;"
        ))
        .await?;
    client.batch_execute(&format!("CREATE DATABASE {database} OWNER {user}")).await?;
    Ok(())
}

/// Loads one shard in one transaction.
async fn load_shard(
    config: &Config,
    roles: &Roles,
    (shard, map): (ShardId, &BucketMap),
    counter: &Counter,
) -> Result<u64, Error> {
    let client = connect(config).await?;
    let Roles { user, maintenance, .. } = roles;
    // `howdah check` compares the verifiers; rights on pg_authid are each database's own.
    client
        .batch_execute(&format!(
            "GRANT SELECT ON pg_catalog.pg_authid TO {maintenance}; BEGIN; SET LOCAL ROLE {user}"
        ))
        .await?;
    client.batch_execute(shop::SHARDED_SCHEMA).await?;
    let mut rows = 0;
    for table in Table::ALL {
        let customers = (1..=shop::CUSTOMERS).filter(|&id| shard_of(id, map) == shard);
        let parts = customers.map(|id| move |text: &mut String| shop::append_rows(table, id, text));
        rows += copy(&client, table.name(), parts, counter).await?;
    }
    if shard == ShardId(0) {
        client.batch_execute(shop::HOME_SCHEMA).await?;
        rows += copy(&client, "products", std::iter::once(shop::append_products), counter).await?;
    }
    client.batch_execute("COMMIT; ANALYZE").await?;
    Ok(rows)
}

/// Where the rules put a customer and everything that belongs to them.
fn shard_of(customer: u64, map: &BucketMap) -> ShardId {
    map.shard(hash_int8(customer.cast_signed(), 0))
}

/// Streams rows into a table, and says how many.
async fn copy<F: FnOnce(&mut String) -> u64>(
    client: &Client,
    table: &str,
    parts: impl Iterator<Item = F>,
    counter: &Counter,
) -> Result<u64, Error> {
    let mut sink = pin!(client.copy_in::<_, Bytes>(&format!("COPY {table} FROM STDIN")).await?);
    let mut text = String::new();
    let mut rows = 0;
    for append in parts {
        let added = append(&mut text);
        rows += added;
        counter.advance(added);
        if text.len() >= CHUNK_BYTES {
            sink.send(Bytes::from(std::mem::take(&mut text))).await?;
        }
    }
    sink.send(Bytes::from(text)).await?;
    sink.finish().await?;
    Ok(rows)
}

/// Connects as the superuser; the connection ends with the client.
async fn connect(config: &Config) -> Result<Client, Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_gets_a_fair_part_of_the_customers() {
        let map = BucketMap::default_map(BUCKETS, 3);
        let mut counts = [0_u64; 3];
        for id in 1..=shop::CUSTOMERS {
            counts[shard_of(id, &map).index()] += 1;
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
    }

    #[test]
    fn customers_lie_where_postgres_computes_that_they_lie() {
        // SELECT id, (hashint8extended(id, 0) & 4095) * 3 / 4096 FROM unnest(ARRAY[1, 2, 42, 3000]) id
        let map = BucketMap::default_map(BUCKETS, 3);
        let placed: Vec<u16> = [1, 2, 42, 3000].iter().map(|&id| shard_of(id, &map).0).collect();
        assert_eq!(placed, PLACED_BY_POSTGRES);
    }

    const PLACED_BY_POSTGRES: [u16; 4] = [1, 2, 2, 0];
}
