//! Would the corpus of the routing tests find an analysis that is wrong? A debug build with a fault planted
//! (`howdah::fault`) must give at least one answer that one Postgres does not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod routing_support;
mod support;

use howdah::fault::Fault;
use routing_support::{Stage, corpus};
use support::cases::{Answer, Case, Mode, answer, ask, contrast};
use support::wire::Wire;

/// The statements that only read, with what one Postgres answers.
fn expected(stage: &Stage) -> Vec<(Case, Answer)> {
    let reads =
        corpus::same().into_iter().chain(corpus::traps()).filter(|case| !case.writes() && !case.by_chance);
    let mut direct = stage.plain.app();
    // Functions that write would have later statements see it.
    direct.run("set default_transaction_read_only = on");
    reads
        .map(|case| {
            let found = answer(&ask(&mut direct, &case, Mode::Text), case.is_ordered());
            (case, found)
        })
        .filter(|(_, answer)| !answer.is_error())
        .collect()
}

/// The first statement that a Howdah answers otherwise.
fn first_wrong(port: u16, statements: &[(Case, Answer)]) -> Option<String> {
    let mut through = Wire::app(port);
    statements.iter().find_map(|(case, expected)| {
        let found = answer(&ask(&mut through, case, Mode::Text), case.is_ordered());
        let is_wrong = !found.is_refusal() && !expected.is_like(&found);
        is_wrong.then(|| format!("{}\n  {}", case.sql, contrast(expected, &found)))
    })
}

#[test]
fn every_planted_fault_is_found() {
    let stage = Stage::new(3, true);
    let statements = expected(&stage);
    assert_eq!(first_wrong(stage.howdah.port, &statements), None, "without a fault");
    let mut unfound = Vec::new();
    for fault in Fault::ALL {
        let howdah = stage.howdah_with(fault.name());
        match first_wrong(howdah.port, &statements) {
            Some(sql) => eprintln!("{fault:?}: {sql}"),
            None => unfound.push(*fault),
        }
    }
    assert!(Fault::ALL.len() >= 20);
    assert!(unfound.is_empty(), "not found: {unfound:?}");
}
