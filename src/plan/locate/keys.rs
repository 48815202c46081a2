//! Which expressions hold the sharding key of the rows of a part of FROM, or of a block.

use super::classes::Classes;
use super::{Col, Spread};
use crate::fault::Fault;
use crate::rules::GroupId;
use crate::sql::query::Expr;

/// A key of rows: for each key column, the expressions that hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) struct Key {
    pub(in crate::plan) group: GroupId,
    /// Whether every row has it; else it may be NULL.
    pub(in crate::plan) is_strong: bool,
    /// For each key column, columns or merged columns that hold it; never empty.
    pub(in crate::plan) holders: Vec<Vec<Expr>>,
}

/// A key of a block's output: for each key column, the output columns that hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) struct OutKey {
    pub(in crate::plan) group: GroupId,
    pub(in crate::plan) is_strong: bool,
    pub(in crate::plan) columns: Vec<Vec<usize>>,
}

impl Key {
    /// The key of a table: its columns.
    pub(super) fn of_columns(group: GroupId, columns: &[Col]) -> Key {
        let holders = columns.iter().map(|col| vec![Expr::Column(col.0, col.1)]).collect();
        Key { group, is_strong: true, holders }
    }

    /// The same key where the rows may be filled with NULLs.
    pub(super) fn weakened(&self) -> Key {
        Key { is_strong: false, ..self.clone() }
    }

    /// Whether expressions of the two keys are equal, column for column.
    pub(super) fn is_linked(&self, other: &Key, classes: &Classes<'_>) -> bool {
        (self.group == other.group || Fault::GroupsMixed.is_planted())
            && self.holders.len() == other.holders.len()
            && self.holders.iter().zip(&other.holders).all(|(mine, theirs)| {
                mine.iter().any(|mine| theirs.iter().any(|theirs| classes.are_equal(mine, theirs)))
            })
    }

    /// The key with all that its columns equal.
    pub(super) fn expanded(&self, classes: &Classes<'_>) -> Key {
        let mut holders = self.holders.clone();
        for position in &mut holders {
            for equal in classes.equals_of(position) {
                let equal = Expr::Column(equal.0, equal.1);
                if !position.contains(&equal) {
                    position.push(equal);
                }
            }
        }
        // A column in a condition that holds of every row is not NULL.
        let is_never_null = |position: &Vec<Expr>| position.iter().any(|holder| classes.is_compared(holder));
        let is_strong = self.is_strong || holders.iter().all(is_never_null);
        Key { group: self.group, is_strong, holders }
    }

    /// Whether the key is among these expressions: each of its columns is.
    pub(in crate::plan) fn is_in<'e>(&self, exprs: impl Iterator<Item = &'e Expr> + Clone) -> bool {
        self.is_strong
            && self.holders.iter().all(|position| exprs.clone().any(|expr| position.contains(expr)))
    }

    /// The key in terms of output columns; `None` where one of its columns is not put out.
    pub(super) fn out(&self, outputs: &[&Expr]) -> Option<OutKey> {
        let columns: Vec<Vec<usize>> = self
            .holders
            .iter()
            .map(|position| {
                let holds = |(at, output): (usize, &&Expr)| position.contains(*output).then_some(at);
                outputs.iter().enumerate().filter_map(holds).collect()
            })
            .collect();
        let is_whole = columns.iter().all(|position: &Vec<usize>| !position.is_empty());
        is_whole.then_some(OutKey { group: self.group, is_strong: self.is_strong, columns })
    }
}

/// Whether a strong key of the group that rows lie by is among the expressions.
pub(in crate::plan) fn has_key<'e>(
    spread: &Spread,
    keys: &[Key],
    exprs: impl Iterator<Item = &'e Expr> + Clone,
) -> bool {
    match spread {
        Spread::ByKey(group) => keys.iter().any(|key| key.group == *group && key.is_in(exprs.clone())),
        Spread::Everywhere | Spread::Not(_) => false,
    }
}
