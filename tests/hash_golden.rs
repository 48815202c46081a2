//! The hash functions give what Postgres gives, for vectors taken from a live server
//! (`tests/golden/hash.sql` made `tests/golden/hash.tsv`); where Postgres is on this machine, a fresh
//! server makes them again and they must be the same file.

use howdah::datum::hash;

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
