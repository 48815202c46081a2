//! User-defined functions, casts and operators of the catalog.

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

/// A function or procedure that is not Postgres's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: FunctionKind,
    /// As declared.
    pub volatility: Volatility,
    /// Its language.
    pub language: String,
    /// Types of its arguments.
    pub arguments: Vec<u32>,
    /// Type of its result.
    pub result: u32,
    /// Whether it gives a set of rows.
    pub returns_set: bool,
    /// Whether it comes from an extension that Postgres calls trusted.
    pub is_trusted: bool,
    /// Whether it is IMMUTABLE (an aggregate: all its parts) or trusted.
    pub is_pure: bool,
}

/// `pg_proc.prokind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// `f`
    Plain,
    /// `p`
    Procedure,
    /// `a`
    Aggregate,
    /// `w`
    Window,
}

/// `pg_proc.provolatile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volatility {
    /// `i`
    Immutable,
    /// `s`
    Stable,
    /// `v`
    Volatile,
}

/// A cast that calls a user function which is neither IMMUTABLE nor trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cast {
    /// The type that is cast.
    pub source: u32,
    /// The type that it is cast to.
    pub target: u32,
    /// Whether it is applied without being written: in assignments, or everywhere.
    pub is_implicit: bool,
    /// The function, as `schema.name`.
    pub function: String,
}
