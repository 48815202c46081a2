//! Random SELECTs, held against one plain Postgres: the same, or refused with `0A000` and a hint.
//!
//! A run takes the same few hundred statements each time; `HOWDAH_RANDOM_SELECTS=100000` takes more, and
//! `HOWDAH_RANDOM_SEED=7` others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod routing_support;
mod support;

use routing_support::Stage;
use routing_support::generate::{Generated, Generator};
use std::collections::BTreeMap;
use support::cases::{Answer, Case, Mode, answer, ask, contrast};
use support::wire::Wire;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().expect(name))
}

fn asked(wire: &mut Wire, generated: &Generated, mode: Mode) -> Answer {
    let case = Case { sql: generated.sql.clone(), parameters: None, by_chance: false };
    let asked = std::panic::AssertUnwindSafe(|| answer(&ask(wire, &case, mode), generated.is_ordered));
    std::panic::catch_unwind(asked).unwrap_or_else(|_| panic!("{} ({mode:?}): not read", generated.sql))
}

fn random_selects_are_the_same_or_refused(shards: usize, icu: bool, seed: u64) {
    let stage = Stage::new(shards, icu);
    let (mut through, mut direct) = (Wire::app(stage.howdah.port), stage.plain.app());
    for wire in [&mut through, &mut direct] {
        wire.run("set statement_timeout = '5s'");
    }
    let count = number("HOWDAH_RANDOM_SELECTS", 400);
    let mut generator = Generator::new(number("HOWDAH_RANDOM_SEED", seed));
    let (mut same, mut failed, mut wrong) = (0, 0, Vec::new());
    let mut refused: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for at in 0..count {
        let generated = generator.statement();
        let mode = [Mode::Simple, Mode::Text, Mode::Binary][usize::try_from(at % 3).unwrap()];
        let found = asked(&mut through, &generated, mode);
        if found.is_refusal() {
            let told = if found.detail.is_empty() { found.told() } else { &found.detail };
            let reason = refused.entry(told.to_owned()).or_insert_with(|| (0, generated.sql.clone()));
            reason.0 += 1;
            if !found.has_hint {
                wrong.push(format!("{}\n  refused without a hint: {}", generated.sql, found.told()));
            }
            continue;
        }
        let expected = asked(&mut direct, &generated, mode);
        if expected.is_like(&found) {
            same += usize::from(!expected.is_error());
            failed += usize::from(expected.is_error());
        } else {
            wrong.push(format!("{} ({mode:?})\n  {}", generated.sql, contrast(&expected, &found)));
        }
    }
    let mut reasons: Vec<_> = refused.iter().collect();
    reasons.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let total: usize = reasons.iter().map(|(_, (count, _))| count).sum();
    eprintln!("{same} the same, {failed} the same error, {total} refused, {} wrong", wrong.len());
    for (reason, (count, sql)) in reasons {
        eprintln!("{count:6} {reason}\n       {sql}");
    }
    assert!(wrong.is_empty(), "{} of {count} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same > count.try_into().unwrap_or(usize::MAX) / 5, "hardly anything was answered: {same}");
    assert!(failed < count.try_into().unwrap_or(usize::MAX) / 10, "{failed} statements are errors");
}

#[test]
fn on_three_shards() {
    random_selects_are_the_same_or_refused(3, false, 1);
}

#[test]
fn on_two_shards_that_sort_by_icu() {
    random_selects_are_the_same_or_refused(2, true, 2);
}
