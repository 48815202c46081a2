//! Can the keys of sharded tables be keys, and does what must be unique contain them.

use super::{Cluster, Finding, family, shown};
use crate::catalog::{Catalog, Column, ColumnDefault, Relation};
use crate::datum::key::{KeyType, KeyValue};
use crate::rules::{Group, Placement, ShardedTable};
use std::collections::BTreeSet;

pub(super) fn judge(cluster: Cluster<'_>, findings: &mut Vec<Finding>) {
    for rule in cluster.rules.sharded() {
        let Some((shard, relation)) = cluster.first_with(&rule.schema, &rule.table) else { continue };
        let Some(group) = cluster.rules.group(rule.group) else { continue };
        let catalog = &shard.tables.catalog;
        for (key, key_type) in rule.keys.iter().zip(&group.key_types) {
            for member in family(catalog, relation) {
                let column = Key { rule, relation: member, key, key_type: *key_type, group };
                column.judge(catalog, shard.subject, findings);
            }
        }
        unique_keys(rule, catalog, relation, shard.subject, findings);
        encoding(group, catalog, shard.subject, findings);
    }
}

/// A key column of a sharded table, or of its partition or child.
struct Key<'a> {
    rule: &'a ShardedTable,
    relation: &'a Relation,
    key: &'a str,
    key_type: KeyType,
    group: &'a Group,
}

impl Key<'_> {
    fn judge(&self, catalog: &Catalog, subject: &str, findings: &mut Vec<Finding>) {
        let table = shown(&self.relation.schema, &self.relation.name);
        let key = self.key;
        let Some(column) = self.relation.column(key) else {
            let columns: Vec<&str> = self.relation.columns.iter().map(|column| &*column.name).collect();
            let found = format!("sharded table {table} has no column \"{key}\", its sharding key");
            findings
                .push(Finding::error(subject, found).hint(format!("its columns: {}", columns.join(", "))));
            return;
        };
        if !self.key_type.is_column_type(column.type_oid) {
            let found = format!(
                "the sharding key \"{key}\" of {table} is not of a type that group \"{}\" places by {}",
                self.group.name, self.key_type
            );
            findings.push(Finding::error(subject, found).hint(self.types_hint()));
            return;
        }
        if column.default == ColumnDefault::Generated {
            let found = format!("the sharding key \"{key}\" of {table} is a generated column");
            findings.push(Finding::error(subject, found).hint("make it a plain column"));
        }
        if self.key_type == KeyType::Text {
            self.collation(catalog, column, subject, findings);
        }
    }

    fn types_hint(&self) -> String {
        let types = match self.key_type {
            KeyType::Int8 => "smallint, integer or bigint",
            KeyType::Numeric => "numeric",
            KeyType::Text => "text or varchar; char(n) and citext cannot be keys",
            KeyType::Uuid => "uuid",
            KeyType::Date => "date",
            KeyType::Timestamp => "timestamp without time zone",
            KeyType::Timestamptz => "timestamp with time zone",
        };
        format!("allowed: {types}; change the column's type, or the group's key_type")
    }

    /// Equal keys must be equal bytes; and ranges of texts choose shards only where texts order by bytes.
    fn collation(&self, catalog: &Catalog, column: &Column, subject: &str, findings: &mut Vec<Finding>) {
        let Some(collation) = catalog.collation(column.collation) else { return };
        let (table, key) = (shown(&self.relation.schema, &self.relation.name), self.key);
        if !collation.is_deterministic {
            let found = format!(
                "the sharding key \"{key}\" of {table} has the nondeterministic collation \"{}\": equal keys may be different bytes",
                collation.name
            );
            findings.push(Finding::error(subject, found).hint("give it a deterministic collation"));
        } else if !collation.is_c
            && matches!(self.group.placement, Placement::Range(_))
            && self.rule.keys.first().is_some_and(|first| first == key)
        {
            let found = format!(
                "ranges of the sharding key \"{key}\" of {table} order by bytes, its collation \"{}\" does not: conditions such as \"{key}\" < 'x' ask all shards",
                collation.name
            );
            findings.push(Finding::warning(subject, found).hint("give it COLLATE \"C\""));
        }
    }
}

/// A unique key without the sharding key holds on each shard by itself only.
fn unique_keys(
    rule: &ShardedTable,
    catalog: &Catalog,
    relation: &Relation,
    subject: &str,
    findings: &mut Vec<Finding>,
) {
    let mut told: BTreeSet<&[String]> = BTreeSet::new();
    for member in family(catalog, relation) {
        for columns in &member.unique_keys {
            if rule.keys.iter().all(|key| columns.contains(key)) || !told.insert(columns) {
                continue;
            }
            let words = columns.iter().map(|column| if column.is_empty() { "an expression" } else { column });
            let found = format!(
                "a unique key of sharded table {} ({}) does not contain its sharding key ({}): no shard can hold it for all",
                shown(&member.schema, &member.name),
                words.collect::<Vec<_>>().join(", "),
                rule.keys.join(", ")
            );
            let hint = "add the sharding key to it, or drop it: writes that it would check are refused";
            findings.push(Finding::error(subject, found).hint(hint));
        }
    }
}

/// Texts of rules are UTF-8; a server with another encoding stores other bytes.
fn encoding(group: &Group, catalog: &Catalog, subject: &str, findings: &mut Vec<Finding>) {
    let is_foreign = |value: &KeyValue<'_>| matches!(value, KeyValue::Text(text) if !text.is_ascii());
    let has_foreign = match &group.placement {
        Placement::Hash(_) | Placement::Interval(_) => false,
        Placement::List(map) => map.values().any(|(value, _)| is_foreign(value)),
        Placement::Range(map) => {
            let edges = map.ranges().iter().flat_map(|range| range.from.iter().chain(&range.to));
            edges.flatten().any(is_foreign)
        }
    };
    let encoding = &catalog.database().encoding;
    if has_foreign && encoding != "UTF8" {
        let found = format!(
            "group \"{}\" places texts beyond ASCII, which a database of encoding {encoding} stores otherwise",
            group.name
        );
        findings.push(Finding::error(subject, found).hint("use a database of encoding UTF8, or ASCII texts"));
    }
}
