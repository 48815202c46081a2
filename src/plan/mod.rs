//! The plan of a statement, as a value.
//!
//! [`plan`] reads one statement's text against the sharding rules and the catalog and gives a
//! [`Planned`]: which rung of the ladder answers it, or why none does. The same inputs give an equal
//! plan; it holds no host, connection or closure. Literals stay out of it: a plan names them by their
//! place, so that one plan serves every statement of the same normalised text. [`bind`] adds the values
//! of one execution and gives the shard.
//!
//! Must not: send anything, read a clock, or change a statement's text. Nothing that is not proven
//! exact gets a route; the rest is [`Route::Refused`].

mod bind;
mod builtin;
pub mod explain;
mod limit;
mod mention;
mod pins;
mod planner;
mod scatter;
mod schema;
mod single;
mod utility;
mod verify;
mod write;

pub use bind::{Param, Values, bind};
pub use planner::plan;
pub use schema::Schema;

use crate::catalog::SearchPath;
use crate::error::SqlError;
use crate::ids::{ShardId, ShardSet};
use crate::merge::{Limits, MergePlan};
use crate::rules::{GroupId, Rules};
use crate::sql::splice::Edit;

/// What a statement is planned against.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The sharding rules and the catalog, joined.
    pub schema: &'a Schema,
    /// The session's `search_path`, with `"$user"` replaced.
    pub search_path: &'a SearchPath,
    /// The session's `standard_conforming_strings`; a plan made under one is none under the other.
    pub standard_conforming_strings: bool,
}

/// A planned statement, good for every statement of the same normalised text under the same search
/// path, rules and catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// How it is answered.
    pub route: Route,
    /// The sharded tables it touches, as `schema.table`, for EXPLAIN and messages.
    pub tables: Vec<String>,
    /// Why the rungs before the chosen one declined, in the order they were tried.
    pub declined: Vec<Declined>,
    /// Whether running it may change what the catalog holds (DDL): reload the catalog after it.
    pub changes_catalog: bool,
}

/// A rung that did not take the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declined {
    /// Which.
    pub rung: Rung,
    /// Why, in words for the user.
    pub reason: String,
}

/// The rungs of the ladder that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// One shard answers with its own bytes.
    Single,
    /// Every shard answers, and the answers are put together.
    Scatter,
}

/// How a statement is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Touches no sharded table: its bytes go unchanged to this shard (the home shard, or the one that
    /// the rules name for its single tables).
    Home(ShardId),
    /// All of it lies on the shard of one sharding key: its bytes go there unchanged.
    Key(KeyRoute),
    /// Its bytes go unchanged to every shard, and the answers are merged.
    Scatter(Scatter),
    /// `EXPLAIN (howdah)`: the proxy answers with the plan of the statement inside.
    Explain(Box<Explain>),
    /// Cannot be answered exactly. Boxed: it is the rare and the largest case.
    Refused(Box<SqlError>),
}

/// A statement that one sharding key's shard answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRoute {
    /// The colocation group whose bucket map is asked.
    pub group: GroupId,
    /// Where the keys' values are found; never empty.
    pub keys: Vec<KeySource>,
    /// What the key is used for.
    pub purpose: KeyPurpose,
}

/// What a statement's keys are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPurpose {
    /// Each pins a table of the statement: all must lie on one shard. A NULL one pins a table of which no
    /// row counts.
    Find,
    /// It places a new row: NULL is refused (`23514`).
    Place,
}

/// Where a key's value is found when a statement runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A literal that the template lifted: its place among them, from 0.
    Literal {
        /// Index into the template's literals.
        index: usize,
        /// Whether an odd number of minus signs stands before it.
        is_negated: bool,
    },
    /// A literal that the template kept, so that its value is the plan's.
    Fixed(i64),
    /// The parameter `$number`.
    Param {
        /// From 1.
        number: usize,
        /// How its type is known.
        typing: ParamType,
        /// Whether it is cast to an integer type where it is the key, so that it may be a text.
        is_cast: bool,
    },
}

/// How a parameter that holds a key gets its type where the client declares none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamType {
    /// It is used with keys only, so the server gives it an integer type.
    FromKey,
    /// It is used elsewhere too: only a type that the client declares tells.
    Declared,
}

/// A statement that several shards answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scatter {
    /// What is changed in the text that the shards get, in order and without overlap; most often nothing.
    pub edits: Vec<Edit>,
    /// How the answers are put together.
    pub merge: MergePlan,
}

/// `EXPLAIN (howdah) ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explain {
    /// The plan of the statement inside; its literals are counted in the whole text.
    pub inner: Planned,
    /// Text or JSON.
    pub format: explain::Format,
}

/// A plan with the values of one execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound<'p> {
    /// Send the statement's bytes to this shard.
    Single(ShardId),
    /// Send them, with the plan's edits, to these shards and merge.
    Scatter {
        /// The plan.
        scatter: &'p Scatter,
        /// The shards; at least one.
        shards: ShardSet,
        /// The numbers of LIMIT and OFFSET.
        limits: Limits,
    },
    /// Answer from the plan inside: see [`explain::rows`].
    Explain(&'p Explain),
}

impl Planned {
    /// The shard to ask for a statement's parameter and column types (Parse, Describe without Bind);
    /// `None` where the proxy itself answers or refuses.
    pub fn describe_shard(&self, rules: &Rules) -> Option<ShardId> {
        match &self.route {
            Route::Home(shard) => Some(*shard),
            Route::Key(_) | Route::Scatter(_) => Some(rules.home()),
            Route::Explain(_) | Route::Refused(_) => None,
        }
    }
}
