//! An immutable snapshot of what the shards' schema looks like, as far as planning needs it: relations
//! with columns, what views read and call, partitions and inheritance, triggers, keys, and the functions
//! of users that may hide table access.
//!
//! Must not: know the sharding rules (the planner joins the two), or do I/O: the caller runs
//! [`LOAD_SQL`] and hands the rows in.

mod relation;
mod rows;
mod search_path;

pub use relation::{Column, ColumnDefault, ForeignKey, Relation, RelationKind, Trigger};
pub use rows::BadRow;
pub use search_path::SearchPath;

use std::collections::{BTreeMap, BTreeSet};

/// The statement that reads the catalog from one shard, by the simple protocol: one row set of seven
/// text columns, for [`Catalog::from_rows`].
pub const LOAD_SQL: &str = include_str!("load.sql");

/// Tables, views, functions, triggers of one database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    relations: BTreeMap<u32, Relation>,
    by_name: BTreeMap<String, BTreeMap<String, u32>>,
    system_relations: BTreeSet<String>,
    functions: BTreeMap<String, FunctionName>,
    impure_operators: BTreeSet<String>,
}

/// What is known of all user functions of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionName {
    /// Whether every one of them is IMMUTABLE or of a trusted extension.
    pub is_pure: bool,
    /// Whether one that is not takes a single row: `table.function` calls it without parentheses.
    pub takes_row: bool,
    /// Whether one of them is an aggregate or a window function.
    pub is_aggregate: bool,
}

impl Catalog {
    /// Builds the snapshot from the rows of [`LOAD_SQL`]; each row's columns as text, NULL as `None`.
    ///
    /// # Errors
    /// [`BadRow`] where a row is not shaped as [`LOAD_SQL`] gives it.
    pub fn from_rows<'a, I, R>(rows: I) -> Result<Catalog, BadRow>
    where
        I: IntoIterator<Item = R>,
        R: AsRef<[Option<&'a str>]>,
    {
        rows::build(rows)
    }

    /// The relation of this schema and name.
    pub fn relation(&self, schema: &str, name: &str) -> Option<&Relation> {
        self.relations.get(self.by_name.get(schema)?.get(name)?)
    }

    /// The relation of this OID.
    pub fn relation_by_oid(&self, oid: u32) -> Option<&Relation> {
        self.relations.get(&oid)
    }

    /// All relations, by OID.
    pub fn relations(&self) -> impl Iterator<Item = &Relation> {
        self.relations.values()
    }

    /// Whether `pg_catalog` has a table or view of this name.
    pub fn is_system_relation(&self, name: &str) -> bool {
        self.system_relations.contains(name)
    }

    /// What is known of user functions of this name; `None` where there are none.
    pub fn function(&self, name: &str) -> Option<FunctionName> {
        self.functions.get(name).copied()
    }

    /// Whether an operator of this name runs a user function that is neither IMMUTABLE nor trusted.
    pub fn is_impure_operator(&self, name: &str) -> bool {
        self.impure_operators.contains(name)
    }
}
