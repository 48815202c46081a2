//! Binding: a plan and one execution's values give the shard.
//!
//! Costs about a hash of the key and allocates nothing unless it fails.

use super::{Bound, Planned};
use crate::error::SqlError;
use crate::rules::Rules;

/// A parameter's value as Bind carries it.
#[derive(Clone, Copy, Debug)]
pub struct Param<'a> {
    /// The type that Parse declared; 0 where it declared none.
    pub type_oid: u32,
    /// The format code: 0 text, 1 binary.
    pub format: i16,
    /// `None` is NULL.
    pub value: Option<&'a [u8]>,
}

/// The values of one execution.
pub trait Values {
    /// The raw bytes of a literal in the statement's text (quotes included), counted from 0.
    fn literal(&self, index: usize) -> Option<&[u8]>;
    /// The parameter `$number`, from 1.
    fn param(&self, number: usize) -> Option<Param<'_>>;
}

/// Finds the shard, or shards, that one execution of `planned` goes to.
///
/// # Errors
/// The plan's own refusal; `23514` for a row to be placed whose key is NULL; `0A000` for a key given in
/// a type that the hash is not defined for.
pub fn bind<'p, V: Values>(planned: &'p Planned, rules: &Rules, values: &V) -> Result<Bound<'p>, SqlError> {
    let _ = (planned, rules, values.literal(0));
    Err(SqlError::refused("nothing is bound yet", "wait"))
}
