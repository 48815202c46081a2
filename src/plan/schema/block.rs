//! Tables that must not be used for now, because proxies do not agree on where they lie.

use super::{Meaning, Schema};
use crate::catalog::{Catalog, Relation};
use crate::error::SqlError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Schema {
    /// Refuses every use of a table, or of all tables of a schema (an empty name), and of what reaches them.
    pub fn block(&mut self, schema: &str, table: &str, error: &SqlError) {
        let catalog = Arc::clone(&self.catalog);
        let is_it =
            |relation: &&Relation| relation.schema == schema && (table.is_empty() || relation.name == table);
        let blocked = Meaning::Blocked(Box::new(error.clone()));
        let mut names = Vec::new();
        for oid in reaching(&catalog, catalog.relations().filter(is_it).map(|relation| relation.oid)) {
            self.meanings.insert(oid, blocked.clone());
            if let Some(relation) = catalog.relation_by_oid(oid) {
                names.push((relation.schema.as_str(), relation.name.as_str()));
                names.extend(relation.indexes.iter().map(|index| (relation.schema.as_str(), index.as_str())));
            }
        }
        if !table.is_empty() {
            names.push((schema, table));
        }
        for (schema, name) in names {
            let by_schema = self.notable.entry(name.to_owned()).or_default();
            by_schema.insert(schema.to_owned(), blocked.clone());
        }
    }
}

/// The relations that are among `starts`, or read one of them, or are its parents or children.
fn reaching(catalog: &Catalog, starts: impl Iterator<Item = u32>) -> BTreeSet<u32> {
    let mut readers: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for relation in catalog.relations() {
        for read in &relation.reads {
            readers.entry(*read).or_default().push(relation.oid);
        }
    }
    let mut queue: Vec<u32> = starts.collect();
    let mut found: BTreeSet<u32> = queue.iter().copied().collect();
    while let Some(oid) = queue.pop() {
        let Some(relation) = catalog.relation_by_oid(oid) else { continue };
        let near =
            relation.children.iter().chain(&relation.parents).chain(readers.get(&oid).into_iter().flatten());
        for other in near {
            if found.insert(*other) {
                queue.push(*other);
            }
        }
    }
    found
}
