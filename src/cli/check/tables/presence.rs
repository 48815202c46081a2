//! Are the tables where the rules put them.

use super::{Cluster, Finding, Place, listed, place, shown};
use crate::catalog::RelationKind;
use crate::rules::Rules;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn judge(cluster: Cluster<'_>, findings: &mut Vec<Finding>) {
    named_nowhere(cluster, findings);
    missing_somewhere(cluster, findings);
    for shard in cluster.shards {
        strays(cluster, shard, findings);
    }
}

/// The tables that rules name, with the kind of rule.
fn named(rules: &Rules) -> Vec<(&str, &str, &'static str)> {
    let sharded = rules.sharded().iter().map(|rule| (&*rule.schema, &*rule.table, "sharded"));
    let references = rules.references().iter().map(|rule| (&*rule.schema, &*rule.table, "reference"));
    let singles = rules.singles().iter().map(|rule| (&*rule.schema, &*rule.table, "single"));
    sharded.chain(references).chain(singles).collect()
}

/// Tables that have a rule and are on no shard.
fn named_nowhere(cluster: Cluster<'_>, findings: &mut Vec<Finding>) {
    if cluster.has_failed_shards() {
        return;
    }
    for (schema, table, kind) in named(cluster.rules) {
        if cluster.first_with(schema, table).is_none() {
            let found = format!("{kind} table {} is on no shard", shown(schema, table));
            findings.push(Finding::warning(cluster.name, found).hint("create it, or remove its rule"));
        }
    }
    for rule in cluster.rules.schemas() {
        if !cluster.shards.iter().any(|shard| shard.tables.catalog.has_schema(&rule.schema)) {
            let found = format!("schema \"{}\", which has a rule, is on no shard", rule.schema);
            findings.push(Finding::warning(cluster.name, found).hint("create it, or remove its rule"));
        }
    }
}

/// Relations that must be on every shard, or on one, and are not there but elsewhere.
fn missing_somewhere(cluster: Cluster<'_>, findings: &mut Vec<Finding>) {
    let mut places: BTreeMap<(&str, &str), (Place, &str, RelationKind)> = BTreeMap::new();
    for shard in cluster.shards {
        let catalog = &shard.tables.catalog;
        for relation in catalog.relations().filter(|relation| relation.kind != RelationKind::Sequence) {
            let key = (&*relation.schema, &*relation.name);
            let place = place(cluster.rules, catalog, relation);
            places.entry(key).or_insert((place, shard.subject, relation.kind));
        }
    }
    let named: BTreeSet<(&str, &str)> = named(cluster.rules).iter().map(|(s, t, _)| (*s, *t)).collect();
    for ((schema, table), (place, elsewhere, kind)) in places {
        for shard in cluster.shards {
            let is_due = match place {
                Place::Everywhere => true,
                // What has no rule of its own and is missing at home is told as a stray where it is.
                Place::One(one) => one == shard.id && named.contains(&(schema, table)),
            };
            if !is_due || shard.tables.catalog.relation(schema, table).is_some() {
                continue;
            }
            let (what, hint) = match kind {
                RelationKind::View | RelationKind::MaterializedView => {
                    ("view", "create it there too: it reads sharded tables")
                }
                _ => ("table", "create it there, alike"),
            };
            let found = format!("{what} {} is missing; {elsewhere} has it", shown(schema, table));
            findings.push(Finding::error(shard.subject, found).hint(hint));
        }
    }
}

/// Tables on a shard where nothing reads them.
fn strays(cluster: Cluster<'_>, shard: &super::OnShard<'_>, findings: &mut Vec<Finding>) {
    let catalog = &shard.tables.catalog;
    let mut of_home = BTreeSet::new();
    for relation in catalog.relations() {
        let is_table = matches!(
            relation.kind,
            RelationKind::Table | RelationKind::Partitioned | RelationKind::ForeignTable
        );
        let name = (relation.schema.clone(), relation.name.clone());
        let is_own = relation.schema == "howdah";
        let member = ("of extension".to_owned(), String::new());
        let is_member = shard.tables.definitions.get(&name).is_some_and(|parts| parts.contains_key(&member));
        let Place::One(one) = place(cluster.rules, catalog, relation) else { continue };
        if !is_table || is_own || is_member || one == shard.id {
            continue;
        }
        if one == cluster.rules.home() {
            of_home.insert(format!("{}.{}", relation.schema, relation.name));
            continue;
        }
        let there = cluster.rules.shard_names().get(one.index()).map_or("", String::as_str);
        let found = format!(
            "table {} is here too, but only that of shard {there} is used",
            shown(&relation.schema, &relation.name)
        );
        findings.push(Finding::warning(shard.subject, found).hint("drop it here, or change its rule"));
    }
    if !of_home.is_empty() {
        let found = format!(
            "{} without a rule that spreads them: only those of the home shard are used: {}",
            if of_home.len() == 1 { "a table".to_owned() } else { format!("{} tables", of_home.len()) },
            listed(&of_home)
        );
        let hint = "drop them here, or add [[sharded]], [[reference]] or [[single]] rules";
        findings.push(Finding::warning(shard.subject, found).hint(hint));
    }
}
