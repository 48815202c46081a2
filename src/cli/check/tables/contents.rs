//! Do reference tables hold the same rows on every shard.

use super::ask::{Depth, estimated_rows, quoted};
use super::{Cluster, Finding, shown};
use crate::catalog::Relation;
use tokio_postgres::Client;

/// A reference table of more rows, by the server's own estimate, is counted only where all rows are asked for.
const ROWS_MAX: f64 = 1_000_000.0;

/// How many rows there are, and a sum over the hashes of their texts, which no order changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checksum {
    Taken {
        rows: i64,
        sum: String,
    },
    /// The table is large.
    Skipped,
}

/// Takes the checksum of a table on one shard.
pub(super) async fn ask(
    client: &Client,
    relation: &Relation,
    depth: Depth,
) -> Result<Checksum, tokio_postgres::Error> {
    let name = format!("{}.{}", quoted(&relation.schema), quoted(&relation.name));
    if depth == Depth::Sample && estimated_rows(client, &name).await? > ROWS_MAX {
        return Ok(Checksum::Skipped);
    }
    // The row's text has its columns in order: by name, so that another order of columns is no difference.
    let mut columns: Vec<&str> = relation.columns.iter().map(|column| &*column.name).collect();
    columns.sort_unstable();
    let columns: Vec<String> = columns.into_iter().map(quoted).collect();
    let query = format!(
        "SELECT count(*), coalesce(sum(hashtextextended(ROW({})::text COLLATE \"C\", 0)::numeric), 0)::text FROM {name}",
        columns.join(", ")
    );
    let row = client.query_one(&query, &[]).await?;
    Ok(Checksum::Taken { rows: row.try_get(0)?, sum: row.try_get(1)? })
}

pub(super) fn judge(cluster: Cluster<'_>, findings: &mut Vec<Finding>) {
    for rule in cluster.rules.references() {
        let name = (rule.schema.clone(), rule.table.clone());
        let table = shown(&rule.schema, &rule.table);
        let mut first: Option<(&str, &Checksum)> = None;
        for shard in cluster.shards {
            let checksum = match shard.tables.checksums.get(&name) {
                None => continue,
                Some(Ok(Checksum::Skipped)) => {
                    let found =
                        format!("reference table {table} is large: not looked whether it is the same");
                    findings.push(Finding::ok(shard.subject, found).hint("howdah check --deep looks"));
                    continue;
                }
                Some(Ok(checksum)) => checksum,
                Some(Err(error)) => {
                    let found = format!("cannot read reference table {table}: {error}");
                    findings.push(Finding::warning(shard.subject, found).hint(super::rows::GRANT));
                    continue;
                }
            };
            match first {
                None => first = Some((shard.subject, checksum)),
                Some((_, expected)) if expected == checksum => {}
                Some((subject, expected)) => {
                    findings.push(differs(&table, (shard.subject, checksum), (subject, expected)));
                }
            }
        }
    }
}

fn differs(table: &str, here: (&str, &Checksum), there: (&str, &Checksum)) -> Finding {
    let rows = |checksum: &Checksum| match checksum {
        Checksum::Taken { rows, .. } => *rows,
        Checksum::Skipped => 0,
    };
    let (ours, theirs) = (rows(here.1), rows(there.1));
    let what = if ours == theirs {
        format!("has other contents than on {}, in as many rows ({ours})", there.0)
    } else {
        format!("has {ours} rows, where {} has {theirs}", there.0)
    };
    let hint = "if nothing was being written to it, copy it from the shard where it is right";
    Finding::error(here.0, format!("reference table {table} {what}")).hint(hint)
}
