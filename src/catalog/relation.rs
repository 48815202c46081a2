//! One relation of the catalog, and what hangs on it.

/// A table, view, sequence or foreign table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// OID on the shard that the catalog was read from.
    pub oid: u32,
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: RelationKind,
    /// Whether row-level security is on.
    pub has_row_security: bool,
    /// Columns in the order of `*`.
    pub columns: Vec<Column>,
    /// The partitioned table or inheritance parents directly above it (OIDs).
    pub parents: Vec<u32>,
    /// Partitions or inheritance children directly below it (OIDs).
    pub children: Vec<u32>,
    /// For a view: the relations that its definition or rules name; for a table: those that its rules and
    /// policies name (OIDs).
    pub reads: Vec<u32>,
    /// User functions called by its definition, rules or policies that are neither IMMUTABLE nor trusted.
    pub calls: Vec<String>,
    /// Whether it has rewrite rules besides a view's own.
    pub has_rules: bool,
    /// Triggers whose functions are neither IMMUTABLE nor trusted.
    pub triggers: Vec<Trigger>,
    /// Each unique or exclusion index's columns; an expression is an empty name.
    pub unique_keys: Vec<Vec<String>>,
    /// Foreign keys from it.
    pub foreign_keys: Vec<ForeignKey>,
}

/// `pg_class.relkind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// `r`
    Table,
    /// `p`
    Partitioned,
    /// `v`
    View,
    /// `m`
    MaterializedView,
    /// `f`
    ForeignTable,
    /// `S`
    Sequence,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Attribute number.
    pub number: i16,
    /// Name.
    pub name: String,
    /// Type; a domain's base type.
    pub type_oid: u32,
    /// What fills it where an INSERT does not.
    pub default: ColumnDefault,
}

/// What fills a column that an INSERT leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnDefault {
    /// NULL.
    None,
    /// An expression of built-in or pure functions.
    Plain,
    /// A generated column.
    Generated,
    /// A sequence or identity: its value must be unique over all shards.
    Sequence,
    /// An expression that calls a user function which is neither IMMUTABLE nor trusted.
    Function,
}

/// A trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Name.
    pub name: String,
    /// Its function, as `schema.name`.
    pub function: String,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// OID of the constraint.
    pub oid: u32,
    /// The referenced relation's OID.
    pub references: u32,
    /// Pairs of referencing and referenced column.
    pub columns: Vec<(String, String)>,
}

impl Relation {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
