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

use howdah::datum::key::{self, KeyRead, KeyType, KeyValue, ReadContext};
use howdah::datum::{hash, oid};
use support::postgres::Postgres;

const GOLDEN: &str = include_str!("golden/hash.tsv");

/// A line of the golden file: types, values, the value in the binary format, seed, hash.
fn fields(line: &str) -> [&str; 5] {
    let fields: Vec<&str> = line.split('\t').collect();
    fields.try_into().unwrap_or_else(|_| panic!("{line}"))
}

/// The key type and the OID of a type's name.
fn type_of(name: &str) -> (KeyType, u32) {
    match name {
        "int8" => (KeyType::Int8, oid::INT8),
        "int4" => (KeyType::Int8, oid::INT4),
        "int2" => (KeyType::Int8, oid::INT2),
        "numeric" => (KeyType::Numeric, oid::NUMERIC),
        "text" => (KeyType::Text, oid::TEXT),
        "uuid" => (KeyType::Uuid, oid::UUID),
        "date" => (KeyType::Date, oid::DATE),
        "timestamp" => (KeyType::Timestamp, oid::TIMESTAMP),
        "timestamptz" => (KeyType::Timestamptz, oid::TIMESTAMPTZ),
        other => panic!("no such type: {other}"),
    }
}

fn read<'a>(name: &str, format: i16, bytes: &'a [u8]) -> KeyValue<'a> {
    let (key_type, type_oid) = type_of(name);
    let context = ReadContext { is_utc: false, is_server_encoding: true };
    match key::read(key_type, type_oid, format, bytes, &context) {
        KeyRead::Value(value) => value,
        other => panic!("{name} {bytes:?}: {other:?}"),
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// A key's hash under a seed, which `key::hash` starts at 0.
fn seeded(value: &KeyValue<'_>, seed: u64) -> u64 {
    match value {
        KeyValue::Int8(value) => hash::hash_int8(*value, seed),
        KeyValue::Date(value) => hash::hash_int8(i64::from(*value), seed),
        KeyValue::Text(value) => hash::hash_text(value, seed),
        KeyValue::Uuid(value) => hash::hash_uuid(value, seed),
        KeyValue::Timestamp(value) | KeyValue::Timestamptz(value) => hash::hash_timestamp(*value, seed),
        KeyValue::Numeric(value) => value.seeded_hash(seed),
    }
}

#[test]
fn hashes_equal_postgres_own() {
    let mut count = 0;
    for line in GOLDEN.lines() {
        let [types, text, binary, seed, expected] = fields(line);
        let expected: i64 = expected.parse().unwrap();
        if types.contains(',') {
            let values = types.split(',').zip(text.split('|'));
            let key: Vec<KeyValue<'_>> = values.map(|(name, text)| read(name, 0, text.as_bytes())).collect();
            assert_eq!(key::hash(&key) as i64, expected, "{line}");
        } else {
            let seed: i64 = seed.parse().unwrap();
            let binary = unhex(binary);
            let (from_text, from_binary) = (read(types, 0, text.as_bytes()), read(types, 1, &binary));
            assert_eq!(from_text, from_binary, "{line}");
            assert_eq!(seeded(&from_text, seed as u64) as i64, expected, "{line}");
            if seed == 0 {
                assert_eq!(key::hash(&[from_binary]) as i64, expected, "{line}");
            }
        }
        count += 1;
    }
    assert!(count > 4000, "{count}");
}

#[test]
fn a_live_server_agrees_with_the_golden_vectors() {
    let rows = Postgres::shared().app().run(include_str!("golden/hash.sql")).rows();
    let lines = rows.iter().map(|row| {
        let values: Vec<&str> = row.iter().map(|value| value.as_deref().unwrap_or_default()).collect();
        values.join("\t")
    });
    let mut golden = GOLDEN.lines();
    for line in lines {
        assert_eq!(golden.next(), Some(line.as_str()));
    }
    assert_eq!(golden.next(), None);
}
