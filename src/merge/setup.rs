//! What an execution is merged by, and what it comes to.

use super::{Limits, MergePlan};
use crate::datum::order::Style;
use std::sync::Arc;

/// What an execution is merged by.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The plan.
    pub plan: &'a Arc<MergePlan>,
    /// The plan's LIMIT and OFFSET.
    pub limits: Limits,
    /// What of the session decides how values look.
    pub style: Style,
    /// The format codes that the client asked for: none (all text), one for all columns, or one each.
    pub formats: &'a [i16],
    /// Whether the client is told the columns.
    pub describes: bool,
    /// How many shards answer: legs are counted from 0.
    pub legs: usize,
    /// The leg whose description of the columns clients see.
    pub home: usize,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until one of the legs that are wanted has given more.
    Blocked,
    /// The client's buffer holds enough for now.
    Full,
    /// A leg has a message that is no row: [`super::Merge::body`]. The next poll goes on behind it.
    Message {
        /// The leg.
        leg: usize,
        /// The message's type.
        tag: u8,
    },
    /// As many rows as [`super::Merge::fetch`] allowed went out, and there may be more.
    Suspended,
    /// All rows went out: what [`super::Merge::finish`] writes follows.
    Done,
}

/// What is kept of a [`Setup`].
#[derive(Debug)]
pub(super) struct OwnSetup {
    pub(super) plan: Arc<MergePlan>,
    pub(super) style: Style,
    pub(super) formats: Vec<i16>,
    pub(super) describes: bool,
    pub(super) home: usize,
}

impl OwnSetup {
    pub(super) fn of(setup: &Setup<'_>) -> OwnSetup {
        OwnSetup {
            plan: Arc::clone(setup.plan),
            style: setup.style,
            formats: setup.formats.to_vec(),
            describes: setup.describes,
            home: setup.home,
        }
    }
}
