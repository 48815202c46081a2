//! An immutable snapshot of what the shards' schema looks like, as far as planning needs it.

mod search_path;

pub use search_path::SearchPath;

/// Tables, views, functions, triggers of one database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {}

/// The statement that reads the catalog from a shard: one row set of text columns, for
/// [`Catalog::from_rows`].
pub const LOAD_SQL: &str = "";

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
        let _ = rows.into_iter().count();
        Ok(Catalog {})
    }
}

/// A row of the catalog query that is not shaped as expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unexpected row of the catalog query: {0}")]
pub struct BadRow(pub String);
