//! A statement's queries with their names resolved against the catalog, as Postgres resolves them: search
//! path, quoting and case, WITH queries and aliases that shadow, USING and NATURAL, LATERAL, whole rows,
//! system columns, functions called like columns. Views are there by their definition.
//!
//! An allow-list: every node of the parser's tree is named in `build`, and one that is not makes the whole
//! statement not understood. Literals that the template lifts are known by their place and kind only, so
//! nothing that is read here can depend on their values.
//!
//! Must not: know sharding rules, print SQL.

mod build;
mod clauses;
mod expression;
mod names;
mod scope;
mod tree;
mod walk;

pub use clauses::{Clauses, Spans};
pub use expression::{
    CALLED_LIKE_A_COLUMN, Call, Compare, Expr, Literal, LiteralKind, LiteralValue, Over, Place, Quantified,
    Subquery, SubqueryKind, TypeName,
};
pub(crate) use names::type_oid;
pub use scope::missing_column;
pub use tree::*;

use super::parse::{self, NotParsed};
use super::template;
use crate::catalog::{Catalog, SearchPath};

/// What a statement is read against.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The catalog.
    pub catalog: &'a Catalog,
    /// The session's `search_path`.
    pub search_path: &'a SearchPath,
    /// The session's `standard_conforming_strings`.
    pub standard_conforming_strings: bool,
}

/// Why a statement was not read, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRead(pub String);

impl From<NotParsed> for NotRead {
    fn from(error: NotParsed) -> NotRead {
        NotRead(error.0)
    }
}

/// Reads the statement that starts at byte `from` of the text; `lifted` are the literals that the template of
/// the whole text lifts.
///
/// `None` where it is none of SELECT, VALUES, INSERT, UPDATE, DELETE.
///
/// # Errors
/// [`NotRead`] where it, or a part of it, is not understood.
pub fn read(
    sql: &[u8],
    from: usize,
    lifted: &[template::Literal],
    names: &Names<'_>,
) -> Result<Option<Statement>, NotRead> {
    let parsed = parse::parse_from(sql, from, names.standard_conforming_strings)?;
    build::statement(sql, parsed, lifted, names)
}
