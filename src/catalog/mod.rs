//! An immutable snapshot of what the shards' schema looks like, as far as planning needs it: relations
//! with columns, what views read and call, partitions and inheritance, triggers, keys, and the functions
//! of users that may hide table access.
//!
//! Must not: know the sharding rules (the planner joins the two), or do I/O: the caller runs
//! [`LOAD_SQL`] and hands the rows in.

pub mod builtin;
mod database;
mod function;
mod impure;
mod oids;
mod relation;
mod rows;
mod search_path;
mod types;

pub use database::{Collation, CollationProvider, DEFAULT_COLLATION, DatabaseFacts};
pub use function::{Cast, Function, FunctionKind, FunctionName, Volatility};
pub use oids::OidMap;
pub use relation::{
    Column, ColumnDefault, Constraint, ConstraintKind, ForeignKey, ForeignKeyAction, Identity, PartitionKey,
    PartitionStrategy, Relation, RelationKind, Trigger, View,
};
pub use rows::BadRow;
pub use search_path::SearchPath;
pub use types::{Attribute, Type, TypeKind};

use impure::Impure;
use types::Types;

use std::collections::{BTreeMap, BTreeSet};

/// The statements that read the catalog from one shard, as one simple query: one row set of twelve text
/// columns, for [`Catalog::from_rows`].
///
/// The settings hold for this query only. Names come with their schemas, values in one form wherever they
/// are read, whoever had the session before; compiling the query to machine code would take longer than
/// running it.
///
/// It waits for no lock on a table: a client may have changed one in a block that is open while it asks for
/// the catalog. So `pg_get_expr` is given no relation, which it would lock, and a view whose relations are
/// locked comes without its definition. The timeout is for locks taken in between.
pub const LOAD_SQL: &str = concat!(
    "SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL client_encoding = 'UTF8'; \
     SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '1s'; \
     SET LOCAL search_path = pg_catalog; SET LOCAL jit = off; \
     SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'postgres'; \
     SET LOCAL quote_all_identifiers = off; SET LOCAL standard_conforming_strings = on;\n",
    include_str!("load.sql")
);

/// Tables, views, types, functions, triggers of one database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    relations: BTreeMap<u32, Relation>,
    by_name: BTreeMap<String, BTreeMap<String, u32>>,
    system_relations: BTreeSet<String>,
    types: Types,
    collations: BTreeMap<u32, Collation>,
    function_names: BTreeMap<String, FunctionName>,
    functions: BTreeMap<String, Vec<Function>>,
    casts: Vec<Cast>,
    operators: BTreeSet<String>,
    impure: Impure,
    event_triggers: Vec<Trigger>,
    database: DatabaseFacts,
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

    /// Whether there is a schema of this name, other than Postgres's own.
    pub fn has_schema(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Whether `pg_catalog` has a table or view of this name.
    pub fn is_system_relation(&self, name: &str) -> bool {
        self.system_relations.contains(name)
    }

    /// The user-defined type of this schema and name.
    pub fn type_named(&self, schema: &str, name: &str) -> Option<&Type> {
        self.types.named(schema, name)
    }

    /// The user-defined type of this OID; `None` for arrays and for Postgres's own.
    pub fn type_by_oid(&self, oid: u32) -> Option<&Type> {
        self.types.get(oid)
    }

    /// The element type of a user-defined type's array type.
    pub fn array_element(&self, array: u32) -> Option<&Type> {
        self.types.get(self.types.element(array)?)
    }

    /// All user-defined types, by OID, without array types.
    pub fn types(&self) -> impl Iterator<Item = &Type> {
        self.types.iter()
    }

    /// The collation of this OID: the database's, those that compare as bytes, those of columns and those
    /// of users are known.
    pub fn collation(&self, oid: u32) -> Option<&Collation> {
        self.collations.get(&oid)
    }

    /// The collations that are known, by OID.
    pub fn collations(&self) -> impl Iterator<Item = &Collation> {
        self.collations.values()
    }

    /// The database's own collation.
    pub fn default_collation(&self) -> Option<&Collation> {
        self.collations.get(&DEFAULT_COLLATION)
    }

    /// What is known of user functions of this name; `None` where there are none.
    pub fn function(&self, name: &str) -> Option<FunctionName> {
        self.function_names.get(name).copied()
    }

    /// The user functions and procedures of this name, in any schema.
    pub fn functions_named(&self, name: &str) -> &[Function] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// All user functions and procedures, by name.
    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.functions.values().flatten()
    }

    /// Casts that call user functions which are neither IMMUTABLE nor trusted.
    pub fn impure_casts(&self) -> &[Cast] {
        &self.casts
    }

    /// Whether users or extensions have an operator of this name.
    pub fn is_user_operator(&self, name: &str) -> bool {
        self.operators.contains(name)
    }

    /// Whether an operator of this name runs a user function that is neither IMMUTABLE nor trusted.
    pub fn is_impure_operator(&self, name: &str) -> bool {
        self.impure.is_operator(name)
    }

    /// The user functions, neither IMMUTABLE nor trusted, that may run wherever a value of this type is used:
    /// in a cast or comparison that is not written.
    pub fn used_type_calls(&self, type_oid: u32) -> impl Iterator<Item = &str> {
        self.impure.used_type(type_oid)
    }

    /// The user functions, neither IMMUTABLE nor trusted, that may run where a statement names a type.
    pub fn type_name_calls(&self, name: &str) -> impl Iterator<Item = &str> {
        self.impure.type_name(name)
    }

    /// The user functions, neither IMMUTABLE nor trusted, that may run in any statement: by a cast between
    /// types of Postgres's own, or an operator on them that is not written out.
    pub fn anything_calls(&self) -> impl Iterator<Item = &str> {
        self.impure.anything()
    }

    /// Event triggers that are on and whose functions are neither IMMUTABLE nor trusted.
    pub fn event_triggers(&self) -> &[Trigger] {
        &self.event_triggers
    }

    /// The database as a whole.
    pub fn database(&self) -> &DatabaseFacts {
        &self.database
    }
}
