//! Keys are read as a live Postgres reads them: thousands of spellings of every key type, good, bad and
//! mutated, under several date styles and time zones. What is read as a value must be that value there, what
//! is called invalid must be an error there; the rest is unclear, which is always allowed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use howdah::datum::key::{self, KeyRead, KeyType, ReadContext};
use support::postgres::Postgres;
use support::wire::Wire;

/// What casts a text to a type and gives the binary format in hex, or NULL where it is an error.
const TRY_READ: &str =
    "CREATE OR REPLACE FUNCTION pg_temp.try_read(type text, input text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
  EXECUTE format('SELECT encode(%s($1::%s), ''hex'')', CASE WHEN type = 'int8' THEN 'int8send' ELSE type || '_send' END, type) USING input INTO result;
  RETURN result;
EXCEPTION WHEN OTHERS THEN RETURN NULL;
END $$";

/// Numbers that look random and are the same on every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// Changes a character or two.
    fn mutate(&mut self, text: &str, alphabet: &str) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        let alphabet: Vec<char> = alphabet.chars().collect();
        for _ in 0..=self.below(2) {
            let new = *self.pick(&alphabet);
            let at = self.below(chars.len() + 1);
            match self.below(3) {
                0 => chars.insert(at, new),
                1 if at < chars.len() => chars[at] = new,
                _ if at < chars.len() => drop(chars.remove(at)),
                _ => {}
            }
        }
        chars.into_iter().collect()
    }
}

/// Holds reading against the server; how many spellings were read as values, and how many as invalid.
fn compare(wire: &mut Wire, key_type: KeyType, spellings: &[String], is_utc: bool) -> (usize, usize) {
    let list: Vec<String> = spellings.iter().map(|text| format!("'{}'", text.replace('\'', "''"))).collect();
    let query = format!(
        "SELECT pg_temp.try_read('{key_type}', input) FROM unnest(ARRAY[{}]::text[]) WITH ORDINALITY AS t (input, n) ORDER BY n",
        list.join(",")
    );
    let rows = wire.run(&query).rows();
    assert_eq!(rows.len(), spellings.len());
    let context = ReadContext { is_utc, is_server_encoding: true };
    let (mut values, mut invalid) = (0, 0);
    for (text, row) in spellings.iter().zip(&rows) {
        match (key::read(key_type, 0, 0, text.as_bytes(), &context), &row[0]) {
            (KeyRead::Value(value), Some(hex)) => {
                let binary: Vec<u8> = (0..hex.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                    .collect();
                let there = key::read(key_type, 0, 1, &binary, &context);
                assert_eq!(there, KeyRead::Value(value), "{key_type} {text:?}");
                values += 1;
            }
            (KeyRead::Invalid, None) => invalid += 1,
            (KeyRead::Unclear, _) => {}
            (ours, theirs) => panic!("{key_type} {text:?}: we say {ours:?}, Postgres {theirs:?}"),
        }
    }
    (values, invalid)
}

fn session() -> Wire {
    let mut wire = Postgres::shared().app();
    wire.run(TRY_READ);
    wire
}

/// The samples, and mutations of them.
fn with_mutations(samples: &[String], count: usize, alphabet: &str, seed: u64) -> Vec<String> {
    let mut numbers = Numbers(seed);
    let mutated: Vec<String> = (0..count)
        .map(|_| {
            let sample = numbers.pick(samples).clone();
            numbers.mutate(&sample, alphabet)
        })
        .collect();
    samples.iter().cloned().chain(mutated).collect()
}

/// A list written with bars between its texts.
fn owned(list: &str) -> Vec<String> {
    list.split('|').map(str::to_owned).collect()
}

#[test]
fn integers() {
    let samples = owned(concat!(
        "0|-0|+7|007|  42 |\t-42\n|9223372036854775807|-9223372036854775808|",
        "9223372036854775808|1e3|1.0|| |-|+-1|0x1f|1_000|12 34|NaN|\u{a0}1"
    ));
    let spellings = with_mutations(&samples, 2000, " +-0123456789._xeE\t", 1);
    let (values, invalid) = compare(&mut session(), KeyType::Int8, &spellings, false);
    assert!(values > 400 && invalid > 400, "{values} {invalid}");
}

#[test]
fn numerics() {
    let samples = owned(concat!(
        "0|-0|1|1.0|1.00|+1.5|-1.5|.5|5.|00012.500|12345678.9012345|1e10|1E-10|-1.5e+3|",
        "1e1000|1e-1000|99999999999999999999999999999999999999.9999999999|NaN|nan|inf|",
        "-Infinity|+INF|infinity| 7 |1 2|1..2|.|e5|1e|1e5.5|--1|0x1f|1_000|1e99999|1,5||",
        "Infinityx|0.000000000000000000000000000000001|10000|100000000|0.0001"
    ));
    let spellings = with_mutations(&samples, 4000, " +-0123456789..eEnaif_", 2);
    let (values, invalid) = compare(&mut session(), KeyType::Numeric, &spellings, false);
    assert!(values > 1000 && invalid > 500, "{values} {invalid}");
}

#[test]
fn uuids() {
    let samples = owned(concat!(
        "00112233-4455-6677-8899-aabbccddeeff|00112233445566778899AABBCCDDEEFF|",
        "{00112233-4455-6677-8899-aabbccddeeff}|0011-2233-4455-6677-8899-aabb-ccdd-eeff|",
        "{00112233445566778899aabb-ccddeeff}| 00112233-4455-6677-8899-aabbccddeeff|",
        "urn:uuid:00112233-4455-6677-8899-aabbccddeeff"
    ));
    let spellings = with_mutations(&samples, 2000, "{}-0aFg ", 3);
    let (values, invalid) = compare(&mut session(), KeyType::Uuid, &spellings, false);
    assert!(values > 100 && invalid > 500, "{values} {invalid}");
}

/// Dates and times put together from parts, sensible and not.
fn moments() -> Vec<String> {
    let mut numbers = Numbers(4);
    let years = owned("2024|1999|2000|1970|2024|1985|0001|0044|4714|12024|294276|5874897|0000|99|2000|1900");
    let days = owned("01-01|02-28|02-29|12-31|1-5|06-30|07-04|10-27|11-24|3-09|06-31|13-01|00-10|10-00");
    let times = owned(concat!(
        "||| 00:00:00| 00:00:00| 01:02:03|T00:00| 23:59:59.999999|T12:34:56|t1:02| 12:34:56.5| 12:34:56.1234567|",
        " 24:00:00| 12:34:60| 12:60:00|  9:30| 12:34:56.| 12| 123456|T12| 12:34 PM"
    ));
    let zones = owned(concat!(
        "|||||||||Z| z|+02|+00|-08| +05:30|-0330|+05:30:15|+16|-15:59:59| UTC| utc| EST|",
        " America/New_York|+5|+053| +1:2"
    ));
    let eras = owned("|||||||||||| BC| AD| bc|BC| bC");
    let mut all = owned(concat!(
        "infinity|-infinity|Infinity|+infinity|now|today|epoch|20240102|2024/01/02|",
        "01/02/2024|2.1.2024|Jan 2 2024|2024-Jan-02|J2451187|2024.002|| |2024-01-02T03:04:05Z\n|",
        "20240102T030405|2024-01-02 allballs|yesterday|04:05|  2024-01-02\t 03:04:05  "
    ));
    for _ in 0..2500 {
        let [year, day, time, zone, era] =
            [&years, &days, &times, &zones, &eras].map(|list| numbers.pick(list));
        all.push(format!("{year}-{day}{time}{zone}{era}"));
    }
    all
}

#[test]
fn dates_and_times_under_every_style_and_zone() {
    let mut wire = session();
    let spellings = with_mutations(&moments(), 2500, "-+: .TZ0123456789BCAD/x\t", 5);
    for style in ["ISO, MDY", "ISO, DMY", "ISO, YMD", "German, DMY", "SQL, MDY", "Postgres, DMY"] {
        for zone in ["UTC", "America/New_York", "Asia/Kolkata"] {
            wire.run(&format!("SET datestyle = '{style}'; SET timezone = '{zone}'"));
            for key_type in [KeyType::Date, KeyType::Timestamp, KeyType::Timestamptz] {
                let is_utc = key::is_utc(zone.as_bytes());
                let (values, invalid) = compare(&mut wire, key_type, &spellings, is_utc);
                let least = if key_type == KeyType::Timestamptz && !is_utc { 150 } else { 500 };
                assert!(values > least && invalid > 100, "{key_type} {style} {zone}: {values} {invalid}");
            }
        }
    }
}

#[test]
fn names_of_utc_are_utc() {
    let mut wire = session();
    let names = wire.run("SELECT name FROM pg_timezone_names").rows();
    let known: Vec<&str> = names
        .iter()
        .filter_map(|row| row[0].as_deref())
        .filter(|name| key::is_utc(name.as_bytes()))
        .collect();
    assert!(known.len() >= 8, "{known:?}");
    for name in known {
        wire.run(&format!("SET timezone = '{name}'"));
        for moment in
            ["1850-06-01 12:00:00", "1969-07-01 00:00:00", "2024-07-01 12:00:00", "2100-01-01 00:00:00"]
        {
            let there = wire.value(&format!("SELECT '{moment}'::timestamptz = '{moment}+00'::timestamptz"));
            assert_eq!(there, "t", "{name} {moment}");
        }
    }
}

#[test]
fn what_is_stored_as_is_is_stored_as_it_is() {
    let mut wire = session();
    let cases: [(KeyType, &str, &[&str]); 6] = [
        (
            KeyType::Numeric,
            "numeric(6,2)",
            &["1", "1.5", "1.55", "1.555", "9999.99", "10000", "-0.01", "NaN", "inf"],
        ),
        (KeyType::Numeric, "numeric(3,5)", &["0.00123", "0.001234", "0.01", "0.00999", "0"]),
        (KeyType::Numeric, "numeric(3,-2)", &["1200", "1250", "99900", "100000", "0"]),
        (KeyType::Text, "varchar(3)", &["abc", "abcd", "ab ", "abc ", "", "äöü"]),
        (
            KeyType::Timestamp,
            "timestamp(0)",
            &["2024-01-01 00:00:00", "2024-01-01 00:00:00.4", "1999-12-31 23:59:59.5"],
        ),
        (
            KeyType::Timestamptz,
            "timestamptz(3)",
            &["2024-01-01 00:00:00.123Z", "2024-01-01 00:00:00.1234Z", "infinity"],
        ),
    ];
    for (key_type, column, samples) in cases {
        wire.run(&format!("CREATE TEMP TABLE stored (v {column})"));
        let query = "SELECT atttypmod FROM pg_attribute WHERE attrelid = 'stored'::regclass AND attnum = 1";
        let typmod: i32 = wire.value(query).parse().unwrap();
        let context = ReadContext { is_utc: false, is_server_encoding: true };
        let mut kept = 0;
        for sample in samples {
            let KeyRead::Value(value) = key::read(key_type, 0, 0, sample.as_bytes(), &context) else {
                panic!("{sample}")
            };
            if value.is_stored_as_is(typmod) {
                wire.run(&format!("TRUNCATE stored; INSERT INTO stored VALUES ('{sample}')"));
                let same = wire.value(&format!("SELECT v = '{sample}'::{} FROM stored", key_type.name()));
                assert_eq!(same, "t", "{column} {sample}");
                kept += 1;
            }
        }
        assert!(kept > 0 && kept < samples.len(), "{column}: {kept}");
        wire.run("DROP TABLE stored");
    }
}

/// As `fuzz/fuzz_targets/keys.rs` does, for a moment: whatever the bytes, reading ends, the order is one, and
/// equal values hash alike.
#[test]
fn any_bytes_are_read_or_not_and_order_is_one() {
    let mut numbers = Numbers(6);
    let seeds = moments();
    let plain = ReadContext { is_utc: true, is_server_encoding: true };
    for round in 0..20_000 {
        let mut bytes: Vec<u8> = match round % 3 {
            0 => numbers.pick(&seeds).clone().into_bytes(),
            1 => (0..numbers.below(24)).map(|_| numbers.below(256) as u8).collect(),
            _ => (0..numbers.below(12)).map(|_| *numbers.pick(b"0123456789.-+eE ")).collect(),
        };
        if !bytes.is_empty() {
            let at = numbers.below(bytes.len());
            bytes[at] = numbers.below(256) as u8;
        }
        let half = &bytes[bytes.len() / 2..];
        for key_type in KeyType::ALL {
            let parts = [(&bytes[..], 0), (&bytes[..], 1), (half, 0), (half, 1)];
            let read = parts.map(|(part, format)| key::read(key_type, 0, format, part, &plain));
            let values: Vec<_> = read
                .into_iter()
                .filter_map(|read| match read {
                    KeyRead::Value(value) => Some(value),
                    _ => None,
                })
                .collect();
            for (a, b) in values.iter().flat_map(|a| values.iter().map(move |b| (a, b))) {
                let order = a.compare(b).unwrap();
                assert_eq!(order, b.compare(a).unwrap().reverse(), "{a:?} {b:?}");
                assert_eq!(order.is_eq(), a == b, "{a:?} {b:?}");
                let hashes = [a, b].map(|value| key::hash(std::slice::from_ref(value)));
                assert!(a != b || hashes[0] == hashes[1], "{a:?} {b:?}");
                let _shown = (a.to_string(), a.is_stored_as_is(655_366));
            }
        }
    }
}
