//! The plan of a statement, as a value.
//!
//! [`plan`] reads one statement's text against the sharding rules and the catalog and gives a
//! [`Planned`]: which rung of the ladder answers it, or why none does. The same inputs give an equal
//! plan; it holds no host, connection or closure. Literals stay out of it: a plan names them by their
//! place, so that one plan serves every statement of the same normalised text. [`bind()`] adds the values
//! of one execution and gives the shards.
//!
//! | module | owns |
//! | --- | --- |
//! | `mention`, `utility` | statements decided by their words, and what hides table access |
//! | `schema` | rules and catalog joined |
//! | `locate` | on which shards a query's rows lie, block by block |
//! | `push` | what every shard runs, and how the answers are merged |
//! | `bind`, `limit` | one execution's shards and numbers |
//! | `hazard`, `foreign_key`, `physical`, `every_shard` | what is reached without being named |
//! | `write` | what a write must not leave to one shard |
//! | `explain`, `verify` | the plan in words, and what every plan must satisfy |
//!
//! Must not: send anything, read a clock, or print a tree back to SQL. Nothing that is not proven exact
//! gets a route; the rest is [`Route::Refused`].

mod bind;
mod builtin;
mod constant;
mod elsewhere;
mod every_shard;
pub mod explain;
mod foreign_key;
mod hazard;
mod hint;
mod limit;
mod locate;
mod mention;
mod params;
mod physical;
mod planner;
mod prune;
mod push;
mod schema;
mod steady;
mod tables;
mod types;
mod utility;
mod verify;
mod write;

pub use bind::{Param, Values, bind};
pub use planner::plan;
pub use prune::{ArraySource, Computed, KeyList, KeySource, Limit, ParamType, Prune};
pub use schema::Schema;

use crate::catalog::SearchPath;
use crate::error::SqlError;
use crate::ids::{ShardId, ShardSet};
use crate::merge::{Limits, MergePlan};
use crate::rules::Rules;
use crate::sql::splice::Edit;
use std::sync::Arc;

/// What a statement is planned against.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The sharding rules and the catalog, joined.
    pub schema: &'a Schema,
    /// The session's `search_path`, with `"$user"` replaced.
    pub search_path: &'a SearchPath,
    /// The session's `standard_conforming_strings`; a plan made under one is none under the other.
    pub standard_conforming_strings: bool,
    /// What the session and the configuration say of hints.
    pub hints: Hints<'a>,
}

/// Hints that force a shard: `/* howdah: shard=2 */` in a statement, and `SET howdah.shard = 2`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints<'a> {
    /// Whether the configuration allows them; a statement with one is refused where it does not.
    pub are_allowed: bool,
    /// The session's `howdah.shard`; empty or `None`: not set.
    pub session: Option<&'a str>,
}

/// A planned statement, good for every statement of the same normalised text under the same search
/// path, rules, catalog and hints.
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
    /// What the client is told beside the answer.
    pub warning: Option<Box<SqlError>>,
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
    /// Several shards answer, and the answers are put together.
    Scatter,
}

/// How a statement is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Its bytes go unchanged to this shard: the home shard, the one that the rules name for its tables, or
    /// the one that a hint names.
    Home(ShardId),
    /// The values of one execution say which shards may hold its rows. Where that is one shard, or none, its
    /// bytes go there unchanged, whatever it is.
    Sharded(Box<Sharded>),
    /// `EXPLAIN (howdah)`: the proxy answers with the plan of the statement inside.
    Explain(Box<Explain>),
    /// Cannot be answered exactly. Boxed: it is the rare and the largest case.
    Refused(Box<SqlError>),
}

/// A statement of sharded tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharded {
    /// Which shards may hold rows that bear on the result. None: any one shard finds none.
    pub prune: Prune,
    /// What to do where it is more than one.
    pub several: Several,
    /// The shard to ask for the statement's parameter and column types.
    pub describes: ShardId,
}

/// What to do with a statement that more than one shard bears on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Several {
    /// They answer, and their answers are merged.
    Scatter(Arc<Scatter>),
    /// It is an ordinary EXPLAIN: the proxy answers with its own plan.
    Explain(Box<Explain>),
    /// Nothing: it is refused.
    Refused(Box<SqlError>),
}

/// A statement that several shards answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scatter {
    /// What is changed in the text that every shard gets, in the order of its tokens.
    pub edits: Vec<Edit>,
    /// How the answers are put together.
    pub merge: Arc<MergePlan>,
    /// Parameters that the edits repeat, so that their types must not depend on where they stand: the client
    /// has to have declared them.
    pub declared: Vec<usize>,
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
    /// Send them, edited, to these shards, at least two, and merge.
    Scatter {
        /// What to send and how to merge.
        scatter: &'p Arc<Scatter>,
        /// The shards.
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
    pub fn describe_shard(&self, _rules: &Rules) -> Option<ShardId> {
        match &self.route {
            Route::Home(shard) => Some(*shard),
            Route::Sharded(sharded) => Some(sharded.describes),
            Route::Explain(_) | Route::Refused(_) => None,
        }
    }
}
