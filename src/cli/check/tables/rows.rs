//! Do rows of sharded tables lie on the shard where the rules put them.

use super::ask::{Depth, Questions, estimated_rows, quoted, words};
use super::{Cluster, Finding, shown};
use crate::catalog::Relation;
use crate::datum::key::{self, KeyRead, KeyValue, ReadContext};
use crate::rules::{Group, ShardedTable};
use futures_util::StreamExt;
use std::pin::pin;
use tokio_postgres::Client;
use tokio_postgres::binary_copy::{BinaryCopyOutRow, BinaryCopyOutStream};
use tokio_postgres::types::{FromSql, Type};

/// What to do where the maintenance user may not read a table.
pub(super) const GRANT: &str =
    "for this check, the maintenance user needs SELECT on it, and BYPASSRLS where it has row security";
/// Rows of a sample, about.
const SAMPLE_ROWS: f64 = 20_000.0;

/// Rows of one table on one shard that should not lie there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Strays {
    /// How many were looked at.
    looked: u64,
    /// That belong on another shard.
    elsewhere: u64,
    /// That no shard takes: the key is NULL, or in no range or list.
    nowhere: u64,
    /// Whose key cannot be read.
    unread: u64,
    /// A key of the first that is not right, in words.
    example: Option<String>,
}

/// Looks at the keys of a table on one shard.
pub(super) async fn ask(
    client: &Client,
    questions: Questions<'_>,
    rule: &ShardedTable,
    relation: &Relation,
) -> Result<Strays, String> {
    let group = questions.rules.group(rule.group).ok_or("its group does not exist")?;
    let columns: Option<Vec<u32>> =
        rule.keys.iter().map(|key| relation.column(key).map(|column| column.type_oid)).collect();
    let types = columns.ok_or("it has not all columns of its key")?;
    let is_key = types.iter().zip(&group.key_types).all(|(oid, key_type)| key_type.is_column_type(*oid));
    if !is_key {
        return Err("its key's type is not that of its group".to_owned());
    }
    let query = query(client, questions.depth, rule, relation).await.map_err(words)?;
    let known: Option<Vec<Type>> = types.iter().map(|oid| Type::from_oid(*oid)).collect();
    let known = known.ok_or("its key's type is not known")?;
    let stream = client.copy_out(&query).await.map_err(words)?;
    let mut rows = pin!(BinaryCopyOutStream::new(stream, &known));
    let mut strays = Strays::default();
    while let Some(row) = rows.next().await {
        strays.count(&row.map_err(words)?, (group, &types), questions.shard);
    }
    Ok(strays)
}

/// COPY of the key columns: of all rows, or of a sample where there are many.
async fn query(
    client: &Client,
    depth: Depth,
    rule: &ShardedTable,
    relation: &Relation,
) -> Result<String, tokio_postgres::Error> {
    let name = format!("{}.{}", quoted(&relation.schema), quoted(&relation.name));
    let mut sample = String::new();
    if depth == Depth::Sample {
        let rows = estimated_rows(client, &name).await?;
        if rows > SAMPLE_ROWS {
            sample = format!(" TABLESAMPLE SYSTEM ({})", 100.0 * SAMPLE_ROWS / rows);
        }
    }
    let keys: Vec<String> = rule.keys.iter().map(|key| quoted(key)).collect();
    Ok(format!("COPY (SELECT {} FROM {name}{sample}) TO STDOUT (FORMAT binary)", keys.join(", ")))
}

/// A value's bytes, of any type.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Raw<'a>, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(bytes))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Strays {
    fn count(&mut self, row: &BinaryCopyOutRow, (group, types): (&Group, &[u32]), here: crate::ids::ShardId) {
        self.looked += 1;
        let context = ReadContext { is_utc: true, is_server_encoding: true };
        let mut key: smallvec::SmallVec<[KeyValue<'_>; 4]> = smallvec::SmallVec::new();
        for (column, (type_oid, key_type)) in types.iter().zip(&group.key_types).enumerate() {
            let Ok(value) = row.try_get::<Option<Raw<'_>>>(column) else {
                self.unread += 1;
                return;
            };
            let Some(Raw(bytes)) = value else {
                self.nowhere += 1;
                self.example.get_or_insert_with(|| "NULL".to_owned());
                return;
            };
            match key::read(*key_type, *type_oid, 1, bytes, &context) {
                KeyRead::Value(value) => key.push(value),
                _ => {
                    self.unread += 1;
                    return;
                }
            }
        }
        match group.placement.shard(&key) {
            Some(shard) if shard == here => return,
            Some(_) => self.elsewhere += 1,
            None => self.nowhere += 1,
        }
        self.example
            .get_or_insert_with(|| key.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    }
}

pub(super) fn judge(cluster: Cluster<'_>, findings: &mut Vec<Finding>) {
    for rule in cluster.rules.sharded() {
        let table = shown(&rule.schema, &rule.table);
        for shard in cluster.shards {
            let strays = match shard.tables.strays.get(&(rule.schema.clone(), rule.table.clone())) {
                None => continue,
                Some(Ok(strays)) => strays,
                Some(Err(error)) => {
                    let found = format!("cannot look whether rows of {table} lie where they should: {error}");
                    findings.push(Finding::warning(shard.subject, found).hint(GRANT));
                    continue;
                }
            };
            let example = strays.example.as_deref().unwrap_or_default();
            let looked = strays.looked;
            if strays.elsewhere > 0 {
                let found = format!(
                    "{} of {looked} rows of {table} belong on another shard, such as that of key {example}: they are not found by their key",
                    strays.elsewhere
                );
                let hint = "move them: insert them through Howdah, and delete them here";
                findings.push(Finding::error(shard.subject, found).hint(hint));
            }
            if strays.nowhere > 0 {
                let found = format!(
                    "{} of {looked} rows of {table} have a key that no shard takes, such as {example}",
                    strays.nowhere
                );
                let hint = "give them another key, or the rules a place for it";
                findings.push(Finding::error(shard.subject, found).hint(hint));
            }
            if strays.unread > 0 {
                let found = format!("{} keys of {table} cannot be read", strays.unread);
                findings.push(Finding::error(shard.subject, found).hint("please report this"));
            }
        }
    }
}
