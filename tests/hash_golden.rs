//! The hash functions give what Postgres gives, for vectors taken from a live server:
//! `tests/golden/hash.sql` made `tests/golden/hash.tsv`. A server of the harness must still say the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use howdah::datum::hash;
use support::postgres::Postgres;

const GOLDEN: &str = include_str!("golden/hash.tsv");

fn ours(function: &str, input: &str, seed: u64) -> u64 {
    match function {
        "int8" => hash::hash_int8(input.parse().unwrap(), seed),
        "timestamp" => hash::hash_timestamp(input.parse().unwrap(), seed),
        "text" => hash::hash_text(input.as_bytes(), seed),
        "uuid" => {
            let digits: Vec<u8> = input.bytes().filter(|b| *b != b'-').collect();
            let bytes: Vec<u8> = digits
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect();
            hash::hash_uuid(&bytes.try_into().unwrap(), seed)
        }
        other => panic!("no such function: {other}"),
    }
}

#[test]
fn hashes_equal_postgres_own() {
    let mut count = 0;
    for line in GOLDEN.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [function, input, seed, expected] = fields[..] else { panic!("{line}") };
        let seed: i64 = seed.parse().unwrap();
        let expected: i64 = expected.parse().unwrap();
        assert_eq!(ours(function, input, seed as u64) as i64, expected, "{line}");
        count += 1;
    }
    assert!(count > 500, "{count}");
}

#[test]
fn a_live_server_agrees_with_the_golden_vectors() {
    let mut session = Postgres::shared().app();
    for line in GOLDEN.lines().step_by(3) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [function, input, seed, expected] = fields[..] else { panic!("{line}") };
        let input = input.replace('\'', "''");
        let call = match function {
            "int8" => format!("hashint8extended('{input}', '{seed}')"),
            "text" => format!("hashtextextended('{input}' COLLATE \"C\", '{seed}')"),
            "uuid" => format!("uuid_hash_extended('{input}', '{seed}')"),
            _ => format!(
                "timestamp_hash_extended('2000-01-01'::timestamp + make_interval(secs => {input} / 1000000.0), '{seed}')"
            ),
        };
        assert_eq!(session.value(&format!("SELECT {call}")), expected, "{line}");
    }
}
