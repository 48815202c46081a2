//! Routing, held against one plain Postgres: each statement of `tests/corpus/routing/` over 1, 2, 3 and 5
//! shards, some of them empty, answers the same, cell by cell, or is refused with `0A000` and a hint.
//! Those of `same.txt` must answer the same.
//!
//! The rows are loaded on the shards' own connections, and placed by SQL of Postgres's own, so that nothing
//! of Howdah decides where they lie.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod routing_support;
mod support;

use routing_support::corpus::{same, traps};
use routing_support::{Outcome, Stage, compare};

fn traps_are_answered_the_same_or_refused(shards: usize, icu: bool) {
    let stage = Stage::new(shards, icu);
    let Outcome { same, refused, wrong } = compare(&stage, &traps());
    let counts = format!("{same} statements the same, {} answers refused", refused.len());
    assert!(wrong.is_empty(), "{counts}; {} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn what_must_be_the_same_is(shards: usize, icu: bool) {
    let stage = Stage::new(shards, icu);
    let Outcome { refused, wrong, .. } = compare(&stage, &same());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused.is_empty(), "{} refused:\n{}", refused.len(), refused.join("\n"));
}

#[test]
fn the_corpora_are_large_enough() {
    assert!(traps().len() + same().len() >= 500, "{} and {}", traps().len(), same().len());
    assert!(same().len() >= 150, "{}", same().len());
}

#[test]
fn traps_on_one_shard() {
    traps_are_answered_the_same_or_refused(1, false);
}

#[test]
fn traps_on_two_shards_that_sort_by_icu() {
    traps_are_answered_the_same_or_refused(2, true);
}

#[test]
fn traps_on_three_shards() {
    traps_are_answered_the_same_or_refused(3, false);
}

#[test]
fn traps_on_five_shards_that_sort_by_icu() {
    traps_are_answered_the_same_or_refused(5, true);
}

#[test]
fn the_same_on_one_shard() {
    what_must_be_the_same_is(1, true);
}

#[test]
fn the_same_on_two_shards() {
    what_must_be_the_same_is(2, false);
}

#[test]
fn the_same_on_three_shards_that_sort_by_icu() {
    what_must_be_the_same_is(3, true);
}

#[test]
fn the_same_on_five_shards() {
    what_must_be_the_same_is(5, false);
}
