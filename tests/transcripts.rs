//! Byte transcripts: what plain Postgres answers to an exchange, Howdah answers too.
//!
//! The exchanges are in `tests/corpus/transcripts/`, in the notation of `support/script.rs`; the
//! bytes compare as `support/compare.rs` says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use support::compare::difference;
use support::config::Config;
use support::postgres::Postgres;
use support::process;
use support::proxy::Howdah;
use support::relay::{Fault, Relay};
use support::script::{self, Script, Sending, Step};
use support::wire::Event;

const CORPUS: [(&str, &str); 6] = [
    ("simple", include_str!("corpus/transcripts/simple.txt")),
    ("extended", include_str!("corpus/transcripts/extended.txt")),
    ("pipeline", include_str!("corpus/transcripts/pipeline.txt")),
    ("copy", include_str!("corpus/transcripts/copy.txt")),
    ("session", include_str!("corpus/transcripts/session.txt")),
    ("values", include_str!("corpus/transcripts/values.txt")),
];

/// Exchanges share tables: those of all tests here run one after another.
fn run(script: &Script, port: u16, sending: Sending) -> Vec<Step> {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let setup = script.setup();
    if !setup.is_empty() {
        let mut wire = Postgres::shared().app();
        for sql in setup {
            wire.run(sql);
        }
        wire.terminate();
    }
    script.run(port, sending)
}

fn corpus(name: &str) -> Vec<Script> {
    script::parse(CORPUS.iter().find(|(file, _)| *file == name).unwrap().1)
}

/// Runs a corpus file on plain Postgres and through `port`; gives what differs.
fn differences(name: &str, port: u16, sendings: impl Fn(usize) -> Vec<Sending>) -> Vec<String> {
    differences_but(name, port, sendings, |_, _| true)
}

/// The same, of the frames of the answers to an exchange that `counts` lets stand.
fn differences_but(
    name: &str,
    port: u16,
    sendings: impl Fn(usize) -> Vec<Sending>,
    counts: impl Fn(&Script, &Event) -> bool,
) -> Vec<String> {
    let postgres = Postgres::shared().port;
    let mut found = Vec::new();
    for (number, script) in corpus(name).iter().enumerate() {
        let expected = run(script, postgres, Sending::Whole);
        for step in &expected {
            let stuck = step.events.contains(&Event::TimedOut);
            assert!(!stuck, "{name}: {}: Postgres itself does not answer `{}`", script.name, step.line);
        }
        for sending in sendings(number) {
            let mut answered = run(script, port, sending);
            for step in &mut answered {
                step.events.retain(|event| counts(script, event));
            }
            if let Some(difference) = difference(&expected, &answered) {
                found.push(format!("{name}: {} ({sending:?})\n{difference}", script.name));
            }
        }
    }
    found
}

fn holds_through_howdah(name: &str) {
    let howdah = Howdah::start(&Config::new(&[Postgres::shared().port]).pool("size", 2));
    let sendings = |number: usize| match number % 8 {
        0 => vec![Sending::Whole, Sending::Chunks(1)],
        4 => vec![Sending::Whole, Sending::Chunks(7)],
        _ => vec![Sending::Whole],
    };
    let found = differences(name, howdah.port, sendings);
    assert!(found.is_empty(), "{} exchanges differ:\n{}", found.len(), found.join("\n\n"));
}

#[test]
fn simple_queries() {
    holds_through_howdah("simple");
}

#[test]
fn extended_protocol() {
    holds_through_howdah("extended");
}

#[test]
fn pipelines() {
    holds_through_howdah("pipeline");
}

#[test]
fn copy() {
    holds_through_howdah("copy");
}

#[test]
fn sessions() {
    holds_through_howdah("session");
}

#[test]
fn values_and_sizes() {
    holds_through_howdah("values");
}

const UNRELATED: &str = "
[[group]]
name = \"far\"

[[sharded]]
table = \"far.away\"
key = \"id\"
group = \"far\"
";

/// The warning that a view answers for the home shard alone.
fn is_warning_of_home(event: &Event) -> bool {
    let text = b"those of the home shard alone";
    matches!(event, Event::Frame(frame)
        if frame.tag == b'N' && frame.body.windows(text.len()).any(|part| part == text))
}

/// A database of several shards answers the same where no sharded table is asked for; or it refuses, with
/// the code of what it does not support; or it says in a warning of its own, to an exchange that is `warned`,
/// that the answer is the home shard's.
fn holds_when_routed(rules: &str, refused: &[&str], warned: &[&str]) {
    let other = Postgres::start();
    let folder = process::temporary_folder("rules");
    std::fs::write(folder.join("rules.toml"), rules).unwrap();
    let ports = [Postgres::shared().port, other.port];
    let howdah = Howdah::start(&Config::new(&ports).pool("size", 2).rules(folder));
    let mut found: Vec<String> = CORPUS
        .iter()
        .flat_map(|(name, _)| {
            let counts = |script: &Script, event: &Event| {
                !(warned.contains(&script.name.as_str()) && is_warning_of_home(event))
            };
            differences_but(name, howdah.port, |_| vec![Sending::Whole], counts)
        })
        .collect();
    found.retain(|difference| {
        let is_refusal = difference.split("howdah").nth(1).is_some_and(|answer| answer.contains("\"0A000\""));
        !is_refusal || !refused.iter().any(|name| difference.starts_with(name))
    });
    assert!(found.is_empty(), "{} exchanges differ:\n{}", found.len(), found.join("\n\n"));
}

#[test]
fn a_routed_database_answers_the_same_where_no_sharded_table_is_asked_for() {
    // User code, names that are not plain, and settings that cannot be known may lead to a sharded table.
    let refused = [
        "simple: errors raised by a function",
        "simple: context of an error",
        "simple: notice",
        "simple: command tags",
        "simple: call commits inside",
        "simple: unicode escapes",
        "extended: notice in execute",
        "extended: call",
        "extended: do",
        "extended: set_config with parameters",
        "pipeline: notices in a pipeline",
        "session: set_config",
        "session: a function that sets",
        "session: role",
        "session: SQL statement run by the protocol",
        "session: function call message",
        "values: error message of a size",
        "values: notice of a size",
    ];
    // Locks of a transaction may be on other shards, too, under other process ids.
    let warned = ["advisory locks", "advisory transaction lock"];
    holds_when_routed(UNRELATED, &refused, &warned);
}

#[test]
fn the_corpus_has_at_least_300_exchanges_with_names_of_their_own() {
    let mut names: Vec<String> = CORPUS
        .iter()
        .flat_map(|(file, text)| script::parse(text).into_iter().map(move |s| format!("{file}: {}", s.name)))
        .collect();
    assert!(names.len() >= 300, "only {}", names.len());
    names.sort();
    names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1]));
}

#[test]
fn an_honest_relay_is_found_equal() {
    let relay = Relay::start(Postgres::shared().port, Fault::None);
    for (name, _) in CORPUS {
        let found = differences(name, relay.port, |_| vec![Sending::Whole]);
        assert!(found.is_empty(), "{}", found.join("\n\n"));
    }
}

#[test]
fn planted_differences_are_found() {
    let script = &script::parse(
        "== probe\nQ select 1 as a, 'x' as b union all select 2, 'y'; select 3\nQ select 1; select 1/0\nQ set datestyle to german\n",
    )[0];
    let postgres = Postgres::shared().port;
    let expected = run(script, postgres, Sending::Whole);
    assert_eq!(difference(&expected, &run(script, postgres, Sending::Whole)), None);
    let faults = b"TDCEZS".iter().flat_map(|&tag| {
        let swapped = (tag != b'Z').then_some(Fault::Swap(tag));
        [Fault::FlipBit(tag), Fault::Double(tag)]
            .into_iter()
            .chain((tag != b'Z').then_some(Fault::Drop(tag)))
            .chain(swapped)
    });
    for fault in faults {
        let relay = Relay::start(postgres, fault);
        let mut answered = run(script, relay.port, Sending::Whole);
        answered.truncate(expected.len());
        assert!(difference(&expected, &answered).is_some(), "not found: {fault:?}");
    }
}
