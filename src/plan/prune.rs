//! Which shards may hold rows that bear on a statement's result, as a value that [`super::bind()`] evaluates
//! over the values of one execution.
//!
//! Every node stands for a set of shards that is large enough: it may hold shards without such rows, and
//! never leaves one out.

use crate::datum::key::KeyValue;
use crate::ids::ShardId;
use crate::rules::GroupId;

/// A set of shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prune {
    /// All that may hold rows of the group.
    Group(GroupId),
    /// None.
    Nothing,
    /// One that the plan knows.
    Shard(ShardId),
    /// Those of keys: each key column has one of these values. One entry for each key column, or, where the
    /// placement goes by the first column, for some of the first.
    Key {
        /// The colocation group whose placement is asked.
        group: GroupId,
        /// The values of each key column.
        columns: Vec<KeyList>,
    },
    /// Those of keys whose first column lies between bounds.
    Range {
        /// The colocation group whose placement is asked.
        group: GroupId,
        /// Lower bound.
        low: Option<Limit>,
        /// Upper bound.
        high: Option<Limit>,
    },
    /// That of a new row's key: a NULL key, or one that has no place, is refused (`23514`), and so is one
    /// that cannot be read.
    Place {
        /// The colocation group whose placement is asked.
        group: GroupId,
        /// The value of each key column.
        key: Vec<KeySource>,
        /// The type modifier of each key column: what the row stores must be what was given.
        typmods: Vec<i32>,
    },
    /// Those in all of these sets.
    And(Vec<Prune>),
    /// Those in any of these sets.
    Or(Vec<Prune>),
}

/// The values that a key column may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyList {
    /// One of these.
    Values(Vec<KeySource>),
    /// An element of an array.
    Array(ArraySource),
}

/// A bound of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its value.
    pub value: KeySource,
    /// Whether the bound itself lies in the range.
    pub is_included: bool,
}

/// Where a key's value is found when a statement runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A literal that the template lifted.
    Literal {
        /// Its place among the template's literals, from 0.
        index: usize,
        /// Whether an odd number of minus signs stands before it (numbers only).
        is_negated: bool,
    },
    /// A value that the plan has.
    Fixed(KeyValue<'static>),
    /// The parameter `$number`.
    Param {
        /// From 1.
        number: usize,
        /// How its type is known.
        typing: ParamType,
        /// The type that it is cast to where it is the key, so that it may be a text; 0 for none.
        cast: u32,
    },
    /// Arithmetic over integers.
    Computed(Box<Computed>),
    /// NULL.
    Null,
}

/// An array where a statement runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArraySource {
    /// A string literal that the template lifted: its place among the literals.
    Literal(usize),
    /// A string literal that the plan has, without its quotes.
    Fixed(Box<[u8]>),
    /// The parameter `$number`.
    Param {
        /// From 1.
        number: usize,
        /// How its type is known.
        typing: ParamType,
        /// The array type that it is cast to; 0 for none.
        cast: u32,
    },
}

/// How a parameter that holds a key gets its type where the client declares none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamType {
    /// It is used with columns of the key's type only, so the server gives it that type.
    FromKey,
    /// It is used elsewhere too: only a type that the client declares tells.
    Declared,
}

/// Arithmetic over integers, as Postgres computes it: in the wider of the operands' types, which it must not
/// leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Computed {
    /// A literal that the template lifted.
    Literal(usize),
    /// A number that the plan has, of type int4 or int8.
    Fixed(i64),
    /// A parameter of an integer type; where the client declares none, what it is used with gives it int4.
    Param(usize),
    /// `-x`
    Negated(Box<Computed>),
    /// `x + y` and its kin.
    Binary(Arithmetic, Box<Computed>, Box<Computed>),
    /// `x::int8` and its kin: the width in bytes.
    Cast(Box<Computed>, u8),
}

/// The operators that are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Times,
    /// `/`
    Divide,
    /// `%`
    Modulo,
}

impl Prune {
    /// The union of sets.
    pub(super) fn any(sets: impl IntoIterator<Item = Prune>) -> Prune {
        let mut list: Vec<Prune> = Vec::new();
        for set in sets {
            match set {
                Prune::Nothing => {}
                Prune::Or(inner) => {
                    for set in inner {
                        if !list.contains(&set) {
                            list.push(set);
                        }
                    }
                }
                set if list.contains(&set) => {}
                set => list.push(set),
            }
        }
        match list.len() {
            0 => Prune::Nothing,
            1 => list.swap_remove(0),
            _ => Prune::Or(list),
        }
    }

    /// The intersection of sets that all lie in `whole`.
    pub(super) fn all(whole: Prune, sets: impl IntoIterator<Item = Prune>) -> Prune {
        let mut list: Vec<Prune> = Vec::new();
        for set in sets {
            match set {
                Prune::And(inner) => {
                    for set in inner {
                        if !list.contains(&set) {
                            list.push(set);
                        }
                    }
                }
                set if set == whole || list.contains(&set) => {}
                set => list.push(set),
            }
        }
        if list.contains(&Prune::Nothing) {
            return Prune::Nothing;
        }
        match list.len() {
            0 => whole,
            1 => list.swap_remove(0),
            _ => Prune::And(list),
        }
    }

    /// The shard that it is whatever the values; `None` where they decide.
    pub(super) fn fixed(&self) -> Option<Option<ShardId>> {
        match self {
            Prune::Nothing => Some(None),
            Prune::Shard(shard) => Some(Some(*shard)),
            _ => None,
        }
    }
}
