//! On which shards a query's rows lie, block by block from the inside out.
//!
//! D is all data, Dₛ what shard s sees of it: its own rows of sharded tables, and all of reference tables. A
//! block Q is
//!
//! - *everywhere* if Q(Dₛ) = Q(D) for every s — seen from a row of an outer block that lies on s: for that s;
//! - *by key* if Q(D) is the sum of Q(Dₛ) over all s, each row on the shard of its key. Columns hold the key:
//!   *strong* ones in every row; *weak* ones, of the side of an outer join that may be filled with NULLs, hold
//!   it or NULL;
//! - neither, for a reason.
//!
//! Besides, each block has its *reach*: shards such that leaving out the rows of sharded tables on all others
//! does not change the block's rows. Where the reach of a whole statement is one shard, that shard answers it,
//! whatever it is.
//!
//! Must not: look at ORDER BY and LIMIT of the statement itself, or at how answers are merged (`push`).

mod block;
mod classes;
mod facts;
mod from;
mod keys;
mod outer;
mod reach;
mod select;
mod subquery;

pub(super) use block::{Block, sorted_value};
pub(super) use keys::has_key;
pub(super) use select::Selected;

use super::constant::Constants;
use super::prune::Prune;
use super::schema::{Meaning, Schema};
use super::types::Types;
use crate::rules::GroupId;
use crate::sql::query::{Expr, ItemId, Statement};
use facts::Fact;
use keys::Key;

/// A column of an entry of FROM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Col(pub(super) ItemId, pub(super) usize);

/// Where a block's rows lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// The same rows on every shard.
    Everywhere,
    /// Each row on the shard of its key.
    ByKey(GroupId),
    /// Neither; why, in words.
    Not(String),
}

/// What is known of an outer block while one inside is looked at.
struct Frame<'q> {
    /// Keys of the outer row's items.
    keys: Vec<Key>,
    /// What the outer row's columns are known to be.
    facts: Vec<(Col, Fact<'q>)>,
}

/// The search through one statement.
pub(super) struct Locate<'q> {
    pub(super) schema: &'q Schema,
    pub(super) statement: &'q Statement,
    pub(super) constants: Constants<'q>,
    frames: Vec<Frame<'q>>,
    /// The items of the SELECTs that are being looked at, outermost first.
    levels: Vec<Vec<ItemId>>,
}

impl<'q> Locate<'q> {
    pub(super) fn new(sql: &[u8], schema: &'q Schema, statement: &'q Statement) -> Locate<'q> {
        let types = Types { schema, statement };
        let uses = super::params::ParamUses::of(sql, &types);
        Locate {
            schema,
            statement,
            constants: Constants { types, uses },
            frames: Vec::new(),
            levels: Vec::new(),
        }
    }

    pub(super) fn types(&self) -> Types<'q> {
        self.constants.types
    }

    /// The column that an expression is, under casts that keep equality and order: varchar to text, and to a
    /// wider integer.
    fn column(&self, expr: &Expr) -> Option<Col> {
        match expr {
            Expr::Column(item, column) => Some(Col(*item, *column)),
            Expr::Cast(inner, to) if !to.has_modifier => {
                let column = self.column(inner)?;
                let from = self.types().of_column(column.0, column.1)?;
                let to = self.types().named(to)?;
                keeps_order(from, to).then_some(column)
            }
            _ => None,
        }
    }

    /// Whether two columns are compared by the operators of one key type, texts by their bytes.
    fn are_kin(&self, a: Col, b: Col) -> bool {
        let types = self.types();
        match (types.key_type(a.0, a.1), types.key_type(b.0, b.1)) {
            (Some(one), Some(other)) if one == other => {
                let is_deterministic = |col: Col| {
                    one != crate::datum::key::KeyType::Text
                        || types.text_order(&Expr::Column(col.0, col.1)).is_deterministic
                };
                is_deterministic(a) && is_deterministic(b)
            }
            _ => false,
        }
    }

    fn meaning(&self, oid: u32) -> Option<&'q Meaning> {
        self.schema.meaning(oid)
    }

    /// The set of all shards that may hold rows of a group.
    fn whole(group: GroupId) -> Prune {
        Prune::Group(group)
    }
}

fn keeps_order(from: u32, to: u32) -> bool {
    use crate::datum::oid;
    let width = |type_oid| match type_oid {
        oid::INT2 => Some(2),
        oid::INT4 => Some(4),
        oid::INT8 => Some(8),
        _ => None,
    };
    match (width(from), width(to)) {
        (Some(from), Some(to)) => from <= to,
        _ => from == to || (from == oid::VARCHAR && to == oid::TEXT),
    }
}
