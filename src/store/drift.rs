//! What the shards' schemas differ in, as far as tables that lie on several shards are concerned. Pure.

use crate::catalog::{Catalog, Column, Relation, Type, TypeKind};
use crate::rules::Rules;
use std::collections::BTreeSet;

/// What `other`, the catalog of the shard of this name, differs from `home` in, in words.
pub fn drift(rules: &Rules, home: &Catalog, other: &Catalog, shard: &str) -> Vec<String> {
    let sharded = rules.sharded().iter().map(|rule| (&rule.schema, &rule.table));
    let references = rules.references().iter().map(|rule| (&rule.schema, &rule.table));
    let mut compare = Compare { home, other, shard, found: Vec::new(), types: BTreeSet::new() };
    for (schema, table) in sharded.chain(references) {
        compare.family(schema, table, &mut BTreeSet::new());
    }
    compare.found
}

struct Compare<'a> {
    home: &'a Catalog,
    other: &'a Catalog,
    shard: &'a str,
    found: Vec<String>,
    /// Types that were compared.
    types: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Compare<'a> {
    /// A table with its partitions and children.
    fn family(&mut self, schema: &str, table: &str, seen: &mut BTreeSet<u32>) {
        let name = format!("{schema}.{table}");
        match (self.home.relation(schema, table), self.other.relation(schema, table)) {
            (None, None) => {}
            (Some(_), None) => self.tell(format!("table {name} is missing on shard \"{}\"", self.shard)),
            (None, Some(_)) => {
                self.tell(format!("table {name} is on shard \"{}\" but not on the home shard", self.shard));
            }
            (Some(mine), Some(theirs)) if seen.insert(mine.oid) => {
                self.relation(&name, mine, theirs);
                let children = |catalog: &Catalog, relation: &Relation| -> BTreeSet<(String, String)> {
                    let child = |oid: &u32| catalog.relation_by_oid(*oid);
                    let children = relation.children.iter().filter_map(child);
                    children.map(|child| (child.schema.clone(), child.name.clone())).collect()
                };
                let mut all = children(self.home, mine);
                all.extend(children(self.other, theirs));
                for (schema, table) in all {
                    self.family(&schema, &table, seen);
                }
            }
            (Some(_), Some(_)) => {}
        }
    }

    fn relation(&mut self, name: &str, mine: &'a Relation, theirs: &Relation) {
        let columns = |catalog: &Catalog, relation: &Relation| -> Vec<String> {
            relation.columns.iter().map(|column| in_words(catalog, column)).collect()
        };
        let (ours, others) = (columns(self.home, mine), columns(self.other, theirs));
        if ours != others {
            let first = ours.iter().zip(&others).find(|(a, b)| a != b);
            let how = match first {
                Some((a, b)) => format!("{b} instead of {a}"),
                None if ours.len() > others.len() => {
                    format!("no {}", ours.get(others.len()).map_or("", String::as_str))
                }
                None => format!("{} besides", others.get(ours.len()).map_or("", String::as_str)),
            };
            self.tell(format!("table {name} has on shard \"{}\" {how}", self.shard));
        }
        self.differs(name, "kind", mine.kind == theirs.kind);
        self.differs(name, "row-level security", mine.has_row_security == theirs.has_row_security);
        self.differs(name, "triggers", mine.triggers == theirs.triggers);
        self.differs(name, "rules", mine.has_rules == theirs.has_rules);
        self.differs(name, "checks", mine.checks_call == theirs.checks_call);
        self.differs(name, "partition bounds", mine.partition_bound == theirs.partition_bound);
        let keys =
            |relation: &Relation| -> BTreeSet<Vec<String>> { relation.unique_keys.iter().cloned().collect() };
        self.differs(name, "unique keys", keys(mine) == keys(theirs));
        for column in &mine.columns {
            self.type_of(column.declared_type);
        }
    }

    fn differs(&mut self, name: &str, what: &str, is_same: bool) {
        if !is_same {
            self.tell(format!("table {name} has other {what} on shard \"{}\"", self.shard));
        }
    }

    /// A user-defined type, and those that it is made of.
    fn type_of(&mut self, oid: u32) {
        let home = self.home;
        let Some(mine) = home.type_by_oid(oid).or_else(|| home.array_element(oid)) else { return };
        if !self.types.insert((&mine.schema, &mine.name)) {
            return;
        }
        let name = format!("{}.{}", mine.schema, mine.name);
        match self.other.type_named(&mine.schema, &mine.name) {
            None => self.tell(format!("type {name} is missing on shard \"{}\"", self.shard)),
            Some(theirs) if made_of(home, mine) != made_of(self.other, theirs) => {
                self.tell(format!("type {name} is made of something else on shard \"{}\"", self.shard));
            }
            Some(_) => {}
        }
        match &mine.kind {
            TypeKind::Domain { base, .. } => self.type_of(*base),
            TypeKind::Composite(attributes) => attributes.iter().for_each(|one| self.type_of(one.type_oid)),
            TypeKind::Range(inner) | TypeKind::Multirange(inner) => self.type_of(*inner),
            TypeKind::Base | TypeKind::Enum(_) | TypeKind::Row(_) | TypeKind::Pseudo => {}
        }
    }

    fn tell(&mut self, what: String) {
        self.found.push(what);
    }
}

/// A column, with names where OIDs differ from server to server.
fn in_words(catalog: &Catalog, column: &Column) -> String {
    let mut words =
        format!("column \"{}\" of type {}", column.name, type_name(catalog, column.declared_type));
    if column.typmod >= 0 {
        words.push_str(&format!(" ({})", column.typmod));
    }
    if column.is_not_null {
        words.push_str(" not null");
    }
    let collation = catalog
        .collation(column.collation)
        .filter(|collation| collation.oid != crate::catalog::DEFAULT_COLLATION);
    if let Some(collation) = collation {
        words.push_str(&format!(" collate \"{}\"", collation.name));
    }
    words
}

/// A type's name where its OID is not the same everywhere.
fn type_name(catalog: &Catalog, oid: u32) -> String {
    match (catalog.type_by_oid(oid), catalog.array_element(oid)) {
        (Some(one), _) => format!("{}.{}", one.schema, one.name),
        (None, Some(element)) => format!("{}.{}[]", element.schema, element.name),
        (None, None) => format!("with OID {oid}"),
    }
}

fn made_of(catalog: &Catalog, one: &Type) -> String {
    match &one.kind {
        TypeKind::Base => "base".to_owned(),
        TypeKind::Enum(labels) => format!("enum {labels:?}"),
        TypeKind::Domain { base, typmod, is_not_null } => {
            format!("domain {} {typmod} {is_not_null}", type_name(catalog, *base))
        }
        TypeKind::Composite(attributes) => {
            let part = |one: &crate::catalog::Attribute| {
                format!("{} {}", one.name, type_name(catalog, one.type_oid))
            };
            format!("composite {:?}", attributes.iter().map(part).collect::<Vec<_>>())
        }
        // What a table's row is made of is told of the table.
        TypeKind::Row(_) => "row".to_owned(),
        TypeKind::Range(inner) => format!("range {}", type_name(catalog, *inner)),
        TypeKind::Multirange(inner) => format!("multirange {}", type_name(catalog, *inner)),
        TypeKind::Pseudo => "pseudo".to_owned(),
    }
}
