//! Asks one shard what its tables are, and counts rows.

use super::contents::Checksum;
use super::rows::Strays;
use super::{Name, contents, rows};
use crate::catalog::{Catalog, LOAD_SQL, Relation};
use crate::ids::ShardId;
use crate::rules::Rules;
use std::collections::BTreeMap;
use tokio_postgres::{Client, SimpleQueryMessage};

/// Names in definitions come with their schemas, and values in one form on every server.
const SETTINGS: &str = "SET search_path = pg_catalog; SET row_security = off; SET TimeZone = 'UTC'; SET DateStyle = 'ISO';
    SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex'; SET xmlbinary = 'base64';
    SET quote_all_identifiers = off; SET default_transaction_read_only = on";

const DEFINITIONS: &str = include_str!("definitions.sql");

/// How much of the rows is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli::check) enum Depth {
    /// Of each table a sample, and reference tables only if they are not large.
    Sample,
    /// Every row.
    All,
}

/// What a shard is asked.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli::check) struct Questions<'a> {
    pub(in crate::cli::check) rules: &'a Rules,
    pub(in crate::cli::check) shard: ShardId,
    pub(in crate::cli::check) depth: Depth,
}

/// What one shard's tables are.
#[derive(Debug, Default)]
pub(in crate::cli::check) struct Tables {
    pub(super) catalog: Catalog,
    pub(super) definitions: Definitions,
    /// Of each reference table; in words why it was not taken.
    pub(super) checksums: BTreeMap<Name, Result<Checksum, String>>,
    /// Of each sharded table, rows that should lie elsewhere; in words why they were not counted.
    pub(super) strays: BTreeMap<Name, Result<Strays, String>>,
}

impl Tables {
    /// How a constraint is defined.
    pub(super) fn constraint(&self, relation: &Relation, name: &str) -> Option<&str> {
        let table = self.definitions.get(&(relation.schema.clone(), relation.name.clone()))?;
        table.get(&("constraint".to_owned(), name.to_owned())).map(String::as_str)
    }
}

/// What tables, views, types, functions and extensions are made of: what (`column`, `constraint`, ...) and its
/// name, and how it is defined.
pub(super) type Definitions = BTreeMap<Name, BTreeMap<(String, String), String>>;

/// Why a shard's tables could not be read.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli::check) enum TablesError {
    #[error(transparent)]
    Query(#[from] tokio_postgres::Error),
    #[error("the catalog makes no sense: {0}")]
    Catalog(#[from] crate::catalog::BadRow),
}

impl TablesError {
    /// In words.
    pub(in crate::cli::check) fn reason(&self) -> String {
        match self {
            TablesError::Query(error) => crate::cli::check::live::reason(error),
            TablesError::Catalog(error) => error.to_string(),
        }
    }
}

/// Asks everything on one connection, which changes nothing.
pub(in crate::cli::check) async fn ask(
    client: &Client,
    questions: Questions<'_>,
) -> Result<Tables, TablesError> {
    client.batch_execute(SETTINGS).await?;
    let mut tables = Tables { catalog: read_catalog(client).await?, ..Tables::default() };
    let rows = client.simple_query(DEFINITIONS).await?;
    for row in texts(&rows) {
        if let [Some(schema), Some(table), Some(what), Some(name), Some(text)] = row[..] {
            let table = tables.definitions.entry((schema.to_owned(), table.to_owned())).or_default();
            table.insert((what.to_owned(), name.to_owned()), text.to_owned());
        }
    }
    for rule in questions.rules.references() {
        if let Some(relation) = tables.catalog.relation(&rule.schema, &rule.table) {
            let checksum = contents::ask(client, relation, questions.depth).await;
            tables.checksums.insert((rule.schema.clone(), rule.table.clone()), checksum.map_err(words));
        }
    }
    for rule in questions.rules.sharded() {
        if let Some(relation) = tables.catalog.relation(&rule.schema, &rule.table) {
            let strays = rows::ask(client, questions, rule, relation).await;
            tables.strays.insert((rule.schema.clone(), rule.table.clone()), strays);
        }
    }
    Ok(tables)
}

/// Reads what tables there are.
pub(in crate::cli::check) async fn read_catalog(client: &Client) -> Result<Catalog, TablesError> {
    let rows = client.simple_query(LOAD_SQL).await?;
    Ok(Catalog::from_rows(texts(&rows))?)
}

fn texts(messages: &[SimpleQueryMessage]) -> impl Iterator<Item = Vec<Option<&str>>> {
    messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|column| row.get(column)).collect()),
        _ => None,
    })
}

/// What the server said of a question about rows, which need not end the check.
pub(super) fn words(error: tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |told| told.message().to_owned())
}

/// About how many rows a table has with its partitions and children; of one that was never analysed, a guess
/// by its size.
pub(super) async fn estimated_rows(client: &Client, name: &str) -> Result<f64, tokio_postgres::Error> {
    let query = "WITH RECURSIVE family AS (SELECT $1::text::regclass::oid AS oid
          UNION SELECT i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.oid)
        SELECT coalesce(sum(CASE WHEN c.reltuples >= 0 THEN c.reltuples ELSE pg_relation_size(c.oid) / 60.0 END), 0)::float8
          FROM family f JOIN pg_class c ON c.oid = f.oid WHERE c.relkind <> 'p'";
    client.query_one(query, &[&name]).await?.try_get(0)
}

/// A name as in SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
