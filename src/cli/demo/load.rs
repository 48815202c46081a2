//! Fills the shards: each on a connection of its own, all at once, each row on the shard of its key.

use super::Error;
use super::progress::Counter;
use super::shop::{self, Table};
use crate::datum::key::KeyValue;
use crate::diagnostic::{Diagnostics, SourceText};
use crate::ids::ShardId;
use crate::rules::{self, Rules};
use crate::throwaway::Server;
use bytes::Bytes;
use futures_util::SinkExt;
use std::pin::pin;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_postgres::{Client, Config, NoTls};

/// Seconds from 1970-01-01 to 2000-01-01, from which Postgres counts.
const POSTGRES_EPOCH: u64 = 946_684_800;
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
    let rules = Arc::new(shop_rules(shards).ok_or(Error::Rules)?);
    let mut loads = JoinSet::new();
    for (shard, server) in (0..shards).map(ShardId).zip(servers) {
        let (first, own) = (server.config("postgres"), server.config(database));
        let (roles, rules, counter) = (roles.clone(), Arc::clone(&rules), counter.clone());
        loads.spawn(async move {
            create_database(&first, database, &roles).await?;
            let rows = load_shard(&own, &roles, (shard, &rules), &counter).await?;
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
             CREATE ROLE {maintenance} LOGIN PASSWORD '{maintenance_password}' 
             IN ROLE pg_monitor, pg_read_all_data, pg_write_all_data;"
        ))
        .await?;
    client.batch_execute(&format!("CREATE DATABASE {database} OWNER {user}")).await?;
    // For the schema `howdah`, in which the cluster's proxies keep what they agree on.
    client.batch_execute(&format!("GRANT CREATE ON DATABASE {database} TO {maintenance}")).await?;
    Ok(())
}

/// Loads one shard in one transaction.
async fn load_shard(
    config: &Config,
    roles: &Roles,
    (shard, rules): (ShardId, &Rules),
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
    client.batch_execute(shop::SCHEMA).await?;
    let is_here = |table: &str, key: u64| shard_of(rules, table, key) == Some(shard);
    let mut rows = copy(&client, "countries", std::iter::once(shop::append_countries), counter).await?;
    for table in Table::ALL {
        // Orders and their lines lie with their customer.
        let customers = (1..=shop::CUSTOMERS).filter(|&id| is_here("customers", id));
        let parts = customers.map(|id| move |text: &mut String| shop::append_rows(table, id, text));
        rows += copy(&client, table.name(), parts, counter).await?;
    }
    let products = (1..=shop::PRODUCTS).filter(|&id| is_here("products", id));
    let parts = products.map(|id| move |text: &mut String| shop::append_product(id, text));
    rows += copy(&client, "products", parts, counter).await?;
    let archived = (1..=shop::ARCHIVED).filter(|&id| is_here("order_archive", shop::archived_at(id)));
    let parts = archived.map(|id| move |text: &mut String| shop::append_archived(id, text));
    rows += copy(&client, "order_archive", parts, counter).await?;
    if shard == ShardId(0) {
        client.batch_execute(shop::HOME_SCHEMA).await?;
        counter.advance(shop::COUPONS);
        rows += shop::COUPONS;
    }
    client.batch_execute("COMMIT; ANALYZE").await?;
    Ok(rows)
}

/// The shop's rules over so many shards.
fn shop_rules(shards: u16) -> Option<Rules> {
    let names = (0..shards).map(|shard| format!("shard-{shard}")).collect();
    let source = SourceText::new("shop.toml", super::front::RULES);
    rules::read(&[source], names, ShardId(0), &mut Diagnostics::new())
}

/// Where the rules put a row: by its number, or by its moment in seconds since 1970-01-01.
fn shard_of(rules: &Rules, table: &str, key: u64) -> Option<ShardId> {
    let rule = rules.sharded().iter().find(|rule| rule.table == table)?;
    let key = match table {
        "order_archive" => KeyValue::Timestamp((key - POSTGRES_EPOCH).cast_signed() * 1_000_000),
        _ => KeyValue::Int8(key.cast_signed()),
    };
    rules.group(rule.group)?.placement.shard(&[key])
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
    fn every_shard_gets_a_fair_part() {
        let rules = shop_rules(3).unwrap();
        let fair = |table: &str, keys: &mut dyn Iterator<Item = u64>| {
            let mut counts = [0_u64; 3];
            keys.for_each(|key| counts[shard_of(&rules, table, key).unwrap().index()] += 1);
            let all: u64 = counts.iter().sum();
            assert!(counts.iter().all(|count| (all / 4..all / 2).contains(count)), "{table}: {counts:?}");
        };
        fair("customers", &mut (1..=shop::CUSTOMERS));
        fair("products", &mut (1..=shop::PRODUCTS));
        fair("order_archive", &mut (1..=shop::ARCHIVED).map(shop::archived_at));
    }

    #[test]
    fn rows_lie_where_postgres_computes_that_they_lie() {
        // SELECT id, (hashint8extended(id, 0) & 4095) * 3 / 4096 FROM unnest(ARRAY[1, 2, 42, 3000]) id
        let rules = shop_rules(3).unwrap();
        let placed = [1, 2, 42, 3000].map(|id| shard_of(&rules, "customers", id).unwrap().0);
        assert_eq!(placed, [1, 2, 2, 0]);
    }

    #[test]
    fn the_rules_hold_for_any_number_of_shards() {
        assert!([1, 2, 5, 64].into_iter().all(|shards| shop_rules(shards).is_some()));
    }
}
