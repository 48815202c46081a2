//! What a shard is asked, and its answers.

use crate::config::Secret;
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// Settings whose difference between shards changes answers.
const SETTINGS: [&str; 11] = [
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "bytea_output",
    "default_text_search_config",
    "default_transaction_isolation",
    "extra_float_digits",
    "lc_monetary",
    "lc_numeric",
    "standard_conforming_strings",
    "timezone_abbreviations",
];

/// A shard's answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// As `server_version_num`: 150004.
    pub version: i32,
    /// As `server_version`.
    pub version_text: String,
    pub encoding: String,
    pub is_standby: bool,
    pub max_connections: i32,
    pub max_prepared_transactions: i32,
    pub wal_level: String,
    pub password_encryption: String,
    /// Locale, provider and collation version of the database.
    pub locale: String,
    /// A hash over the versions of all collations that have one.
    pub collations: String,
    /// Collations, the database's among them, whose version differs from the one recorded.
    pub stale_collations: i64,
    /// A hash over time zones' offsets at some instants.
    pub time_zones: String,
    pub settings: BTreeMap<String, String>,
    /// Roles that may log in.
    pub roles: Vec<String>,
    /// Verifiers by role; `None` if the user may not read them.
    pub verifiers: Option<BTreeMap<String, Secret>>,
    /// Tells two addresses of one server apart from two servers; `None` if not readable.
    pub system_identifier: Option<i64>,
    pub is_monitor: bool,
    /// Whether the user owns the schema `howdah`, or may make it where it is missing.
    pub may_store: bool,
}

const SERVER: &str = "SELECT current_setting('server_version_num')::int4, current_setting('server_version'),
    current_setting('server_encoding'), pg_catalog.pg_is_in_recovery(), current_setting('max_connections')::int4,
    current_setting('max_prepared_transactions')::int4, current_setting('wal_level'),
    current_setting('password_encryption'), pg_catalog.pg_has_role(current_user, 'pg_monitor', 'USAGE'),
    coalesce((SELECT pg_catalog.pg_has_role(current_user, nspowner, 'USAGE') FROM pg_catalog.pg_namespace WHERE nspname = 'howdah'),
      pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'))";

// The columns' names differ between versions (daticulocale, datlocale), hence the detour over jsonb.
const LOCALE: &str = "SELECT pg_catalog.concat_ws(' ', d.datcollate, d.datctype, j->>'datlocprovider',
        j->>'daticulocale', j->>'datlocale', pg_catalog.pg_database_collation_actual_version(d.oid)),
    (d.datcollversion IS DISTINCT FROM pg_catalog.pg_database_collation_actual_version(d.oid))::int4::int8
  FROM pg_catalog.pg_database d, LATERAL pg_catalog.to_jsonb(d) j
  WHERE d.datname = pg_catalog.current_database()";

const COLLATIONS: &str = "SELECT coalesce(pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ',
        c.collname, c.collprovider, c.collencoding, v), ',' ORDER BY c.collname COLLATE \"C\", c.collencoding)), ''),
    count(*) FILTER (WHERE v IS DISTINCT FROM c.collversion)
  FROM pg_catalog.pg_collation c, LATERAL pg_catalog.pg_collation_actual_version(c.oid) v
  WHERE c.collversion IS NOT NULL";

const TIME_ZONES: &str = "SELECT coalesce(pg_catalog.md5(pg_catalog.string_agg(
        z.name || extract(epoch FROM t AT TIME ZONE z.name)::text, ',' ORDER BY z.name COLLATE \"C\", t)), '')
  FROM pg_catalog.pg_timezone_names z, pg_catalog.unnest(ARRAY['1950-01-01', '1975-07-01', '1999-07-01',
        '2015-07-01', '2026-07-01', '2035-07-01']::timestamp[]) t
  WHERE z.name NOT LIKE 'posix%' AND z.name NOT IN ('localtime', 'Factory')";

/// Asks a shard everything.
pub(super) async fn ask(client: &Client) -> Result<Facts, tokio_postgres::Error> {
    let row = client.query_one(SERVER, &[]).await?;
    let mut facts = Facts {
        version: row.try_get(0)?,
        version_text: row.try_get(1)?,
        encoding: row.try_get(2)?,
        is_standby: row.try_get(3)?,
        max_connections: row.try_get(4)?,
        max_prepared_transactions: row.try_get(5)?,
        wal_level: row.try_get(6)?,
        password_encryption: row.try_get(7)?,
        is_monitor: row.try_get(8)?,
        may_store: row.try_get(9)?,
        ..Facts::default()
    };
    if facts.version < super::compare::VERSION_MIN {
        return Ok(facts);
    }
    let row = client.query_one(LOCALE, &[]).await?;
    facts.locale = row.try_get(0)?;
    facts.stale_collations = row.try_get(1)?;
    let row = client.query_one(COLLATIONS, &[]).await?;
    facts.collations = row.try_get(0)?;
    facts.stale_collations += row.try_get::<_, i64>(1)?;
    facts.time_zones = client.query_one(TIME_ZONES, &[]).await?.try_get(0)?;
    let names: Vec<&str> = SETTINGS.to_vec();
    let query = "SELECT name, setting FROM pg_catalog.pg_settings WHERE name = ANY($1)";
    facts.settings = pairs(client.query(query, &[&names]).await?)?;
    let query = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolcanlogin";
    for row in client.query(query, &[]).await? {
        facts.roles.push(row.try_get(0)?);
    }
    let query = "SELECT rolname::text, rolpassword FROM pg_catalog.pg_authid WHERE rolcanlogin AND rolpassword IS NOT NULL";
    let verifiers = client.query(query, &[]).await.ok().map(pairs).transpose()?;
    facts.verifiers =
        verifiers.map(|pairs| pairs.into_iter().map(|(role, text)| (role, Secret::new(text))).collect());
    let query = "SELECT system_identifier FROM pg_catalog.pg_control_system()";
    facts.system_identifier = client.query_one(query, &[]).await.ok().and_then(|row| row.try_get(0).ok());
    Ok(facts)
}

fn pairs(rows: Vec<tokio_postgres::Row>) -> Result<BTreeMap<String, String>, tokio_postgres::Error> {
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
