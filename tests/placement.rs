//! Ranges, lists and intervals put keys where a live Postgres puts them: its partitions by the same bounds
//! hold the same thousands of keys, bounds and their neighbours among them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use howdah::datum::key::{self, KeyRead, KeyValue, ReadContext};
use howdah::diagnostic::{Diagnostics, SourceText};
use howdah::ids::{ShardId, ShardSet};
use howdah::rules::{Group, Rules};
use std::ops::Bound;
use support::postgres::Postgres;
use support::wire::Wire;

/// Shards `s0` to `s5`.
fn group(text: &str) -> Group {
    let shards: Vec<String> = (0..6).map(|number| format!("s{number}")).collect();
    let mut diagnostics = Diagnostics::new();
    let sources = [SourceText::new("rules.toml", format!("[[group]]\nname = \"g\"\n{text}"))];
    let rules: Option<Rules> = howdah::rules::read(&sources, shards, ShardId(0), &mut diagnostics);
    rules.unwrap_or_else(|| panic!("{text}\n{:#?}", diagnostics.as_slice())).groups()[0].clone()
}

fn read(group: &Group, column: usize, text: &str) -> KeyValue<'static> {
    let context = ReadContext { is_utc: true, is_server_encoding: true };
    match key::read(group.key_types[column], 0, 0, text.as_bytes(), &context) {
        KeyRead::Value(value) => value.into_owned(),
        other => panic!("{text:?}: {other:?}"),
    }
}

/// A session whose output is what `read` reads.
fn session() -> Wire {
    let mut wire = Postgres::shared().app();
    wire.run("SET timezone = 'UTC'; SET datestyle = 'ISO'; SET client_min_messages = warning");
    wire
}

/// Rows of a partitioned table with the partition that holds each: `s3_...` is shard 3's, `elsewhere` nobody's.
fn compare_partitions(wire: &mut Wire, group: &Group, columns: &str) -> usize {
    let rows = wire.run(&format!("SELECT tableoid::regclass, {columns} FROM parted")).rows();
    let mut placed = 0;
    for row in &rows {
        let values: Vec<&str> = row.iter().map(|value| value.as_deref().unwrap()).collect();
        let key: Vec<KeyValue<'_>> =
            values[1..].iter().enumerate().map(|(column, text)| read(group, column, text)).collect();
        let there = match values[0] {
            "elsewhere" => None,
            partition => Some(ShardId(partition[1..2].parse().unwrap())),
        };
        assert_eq!(group.placement.shard(&key), there, "{values:?}");
        placed += usize::from(there.is_some());
        if let (Some(shard), [first, ..]) = (there, &key[..]) {
            for (low, high) in [
                (Bound::Included(first), Bound::Included(first)),
                (Bound::Included(first), Bound::Unbounded),
                (Bound::Unbounded, Bound::Included(first)),
            ] {
                assert!(group.placement.between(low, high).contains(shard), "{values:?} {low:?} {high:?}");
            }
        }
    }
    placed
}

/// A range in the words of both: columns' values, or nothing where it is open.
type Bounds<'a> = (&'a [&'a str], &'a [&'a str], u16);

fn toml_of(bounds: &[Bounds<'_>], is_quoted: &[bool]) -> String {
    let edge = |values: &[&str]| {
        let shown = values.iter().zip(is_quoted).map(|(value, quoted)| match quoted {
            true => format!("{value:?}"),
            false => (*value).to_owned(),
        });
        format!("[{}]", shown.collect::<Vec<_>>().join(", "))
    };
    let ranges = bounds.iter().map(|(from, to, shard)| {
        let from = if from.is_empty() { String::new() } else { format!("from = {}, ", edge(from)) };
        let to = if to.is_empty() { String::new() } else { format!("to = {}, ", edge(to)) };
        format!("{{ {from}{to}shard = \"s{shard}\" }}")
    });
    format!("function = \"range\"\nrange = [{}]", ranges.collect::<Vec<_>>().join(",\n"))
}

fn partition_of(wire: &mut Wire, bounds: &[Bounds<'_>], columns: usize) {
    for (number, (from, to, shard)) in bounds.iter().enumerate() {
        let edge = |values: &[&str], open: &str| {
            let mut shown: Vec<String> = values.iter().map(|value| format!("'{value}'")).collect();
            let fill = if shown.is_empty() { open } else { "MINVALUE" };
            shown.resize(columns, fill.to_owned());
            shown.join(", ")
        };
        let (from, to) = (edge(from, "MINVALUE"), edge(to, "MAXVALUE"));
        wire.run(&format!(
            "CREATE TABLE s{shard}_{number} PARTITION OF parted FOR VALUES FROM ({from}) TO ({to})"
        ));
    }
    wire.run("CREATE TABLE elsewhere PARTITION OF parted DEFAULT");
}

/// Holds a range map of one column against partitions; `values` is a query of further values.
fn ranges(column: &str, bounds: &[Bounds<'_>], values: &str) {
    let mut wire = session();
    let (type_name, is_quoted) = (column.split(' ').next().unwrap(), !column.starts_with("int"));
    let key_type = if column.starts_with("int") { "int8" } else { type_name };
    let group = group(&format!("key_type = \"{key_type}\"\n{}", toml_of(bounds, &[is_quoted])));
    wire.run("BEGIN");
    wire.run(&format!("CREATE TABLE parted (k {column}) PARTITION BY RANGE (k)"));
    partition_of(&mut wire, bounds, 1);
    wire.run(&format!("INSERT INTO parted SELECT v::{type_name} FROM ({values}) AS t (v)"));
    for (from, to, _) in bounds {
        for edge in from.iter().chain(*to) {
            wire.run(&format!("INSERT INTO parted VALUES ('{edge}')"));
        }
    }
    let placed = compare_partitions(&mut wire, &group, "k");
    assert!(placed > 150, "{placed}");
    // Between two keys of the table lie the partitions that Postgres finds rows in, at least.
    let rows = wire.run("SELECT k FROM parted TABLESAMPLE bernoulli (3) REPEATABLE (1)").rows();
    let edges: Vec<&str> = rows.iter().map(|row| row[0].as_deref().unwrap()).take(40).collect();
    for pair in edges.windows(2) {
        let (low, high) = (read(&group, 0, pair[0]), read(&group, 0, pair[1]));
        let query = format!(
            "SELECT DISTINCT substr(tableoid::regclass::text, 2, 1) FROM parted
             WHERE k >= '{}' AND k < '{}' AND tableoid <> 'elsewhere'::regclass",
            pair[0].replace('\'', "''"),
            pair[1].replace('\'', "''")
        );
        let there: ShardSet = wire
            .run(&query)
            .rows()
            .iter()
            .map(|row| ShardId(row[0].as_deref().unwrap().parse().unwrap()))
            .collect();
        let ours = group.placement.between(Bound::Included(&low), Bound::Excluded(&high));
        assert_eq!(ours.intersect(&there), there, "{pair:?}");
    }
    wire.run("ROLLBACK");
}

#[test]
fn ranges_of_integers() {
    let bounds: [Bounds<'_>; 5] = [
        (&[], &["-1000"], 0),
        (&["-1000"], &["0"], 1),
        (&["0"], &["7"], 2),
        (&["100"], &["5000"], 1),
        (&["9000000000"], &[], 3),
    ];
    let values = "SELECT i * 7 - 3000 FROM generate_series(0, 2000) i UNION ALL SELECT b + d FROM
        unnest(ARRAY[-1000, 0, 7, 100, 5000, 9000000000, 9223372036854775806, -9223372036854775807]) b, generate_series(-1, 1) d";
    ranges("int8", &bounds, values);
}

#[test]
fn ranges_of_numerics() {
    let bounds: [Bounds<'_>; 5] = [
        (&["-Infinity"], &["-0.5"], 0),
        (&["-0.5"], &["0.0001"], 1),
        (&["0.0001"], &["1.00"], 2),
        (&["1"], &["99999999999999999999.5"], 3),
        (&["Infinity"], &[], 4),
    ];
    let values = "SELECT (i - 600)::numeric / 400 FROM generate_series(0, 1200) i
        UNION ALL SELECT (i - 50) * 1e18 FROM generate_series(0, 200) i UNION ALL VALUES ('NaN'::numeric), ('1.000')";
    ranges("numeric", &bounds, values);
}

#[test]
fn ranges_of_texts_by_bytes() {
    let bounds: [Bounds<'_>; 4] =
        [(&[""], &["B"], 0), (&["B"], &["a"], 1), (&["ab"], &["äpfel"], 2), (&["本"], &[], 3)];
    let values = "SELECT chr(i) || chr(32 + i % 90) FROM generate_series(33, 900) i WHERE i NOT BETWEEN 127 AND 160
        UNION ALL SELECT chr(20000 + i * 97) FROM generate_series(0, 60) i UNION ALL VALUES (''), ('ab'), ('ab '), ('a'), ('B')";
    ranges("text COLLATE \"C\"", &bounds, values);
}

#[test]
fn ranges_of_uuids() {
    let bounds: [Bounds<'_>; 3] = [
        (&[], &["40000000-0000-0000-0000-000000000000"], 2),
        (&["40000000-0000-0000-0000-000000000000"], &["7fffffff-ffff-ffff-ffff-ffffffffffff"], 1),
        (&["80000000-0000-0000-0000-000000000000"], &[], 0),
    ];
    ranges("uuid", &bounds, "SELECT md5(i::text)::uuid FROM generate_series(0, 1500) i");
}

#[test]
fn ranges_of_dates_and_moments() {
    let bounds: [Bounds<'_>; 4] = [
        (&["-infinity"], &["1999-12-31"], 0),
        (&["2000-01-01"], &["2024-02-29"], 1),
        (&["2024-02-29"], &["2025-01-01"], 2),
        (&["9999-12-31"], &["infinity"], 3),
    ];
    let days = "SELECT date '1990-01-01' + i * 9 FROM generate_series(0, 1500) i
        UNION ALL VALUES (date 'infinity'), ('-infinity'), ('0044-03-15 BC'), ('5874897-12-31')";
    ranges("date", &bounds, days);
    let moments = "SELECT timestamp '1990-01-01' + i * interval '7 days 3 hours 0.000001 seconds' FROM generate_series(0, 1900) i
        UNION ALL SELECT b::timestamp + d * interval '1 microsecond' FROM unnest(ARRAY['1999-12-31', '2000-01-01',
          '2024-02-29', '2025-01-01']) b, generate_series(-1, 1) d UNION ALL VALUES (timestamp 'infinity'), ('-infinity')";
    ranges("timestamp", &bounds, moments);
    ranges("timestamptz", &bounds, &moments.replace("timestamp", "timestamptz"));
}

#[test]
fn ranges_of_several_columns_compare_as_rows() {
    let bounds: [Bounds<'_>; 5] = [
        (&[], &["10", "m"], 0),
        (&["10", "m"], &["10", "z"], 1),
        (&["10", "z"], &["20"], 2),
        (&["25"], &["30", "a"], 3),
        (&["30", "a"], &[], 4),
    ];
    let group = group(&format!("key_type = [\"int8\", \"text\"]\n{}", toml_of(&bounds, &[false, true])));
    let mut wire = session();
    wire.run("BEGIN");
    wire.run("CREATE TABLE parted (a int8, b text COLLATE \"C\") PARTITION BY RANGE (a, b)");
    partition_of(&mut wire, &bounds, 2);
    wire.run(
        "INSERT INTO parted SELECT a, b FROM generate_series(5, 35) a,
         unnest(ARRAY['', 'a', 'b', 'l', 'lz', 'm', 'm ', 'n', 'y', 'yz', 'z', 'za', 'zz', 'Z', '0', 'é']) b",
    );
    assert!(compare_partitions(&mut wire, &group, "a, b") > 300);
    // Only ranges that have keys of such a first column are asked.
    let between = |low: i64, high: i64| {
        let shards = group
            .placement
            .between(Bound::Included(&KeyValue::Int8(low)), Bound::Excluded(&KeyValue::Int8(high)));
        shards.iter().map(|shard| shard.0).collect::<Vec<u16>>()
    };
    assert_eq!(between(10, 11), [0, 1, 2]);
    assert_eq!(between(11, 20), [2]);
    assert_eq!(between(20, 25), [0_u16; 0]);
    assert_eq!(between(30, 31), [3, 4]);
    assert_eq!(between(31, 99), [4]);
    wire.run("ROLLBACK");
}

#[test]
fn lists() {
    for (column, lists, values) in [
        (
            "int8",
            vec!["1, 5, 9", "-7", "2, 9223372036854775807"],
            "SELECT i - 20 FROM generate_series(0, 60) i UNION ALL VALUES (9223372036854775807)",
        ),
        (
            "text COLLATE \"C\"",
            vec!["'de', 'at'", "'', 'ch'", "'zürich'"],
            "VALUES ('de'), ('De'), ('at'), (''), ('ch'), ('ch '), ('zürich'), ('zurich'), ('x')",
        ),
        (
            "numeric",
            vec!["'1.0', '-0'", "'NaN', '2.50'"],
            "VALUES ('1'::numeric), ('1.00'), ('0'), ('0.000'), ('nan'), ('2.5'), ('2.51')",
        ),
        (
            "uuid",
            vec!["'00000000-0000-0000-0000-000000000001'", "'c4ca4238a0b923820dcc509a6f75849b'"],
            "SELECT md5(i::text)::uuid FROM generate_series(0, 9) i",
        ),
        (
            "date",
            vec!["'2024-02-29', 'infinity'", "'0001-01-01 BC'"],
            "VALUES (date '2024-02-29'), ('2024-03-01'), ('infinity'), ('-infinity'), ('0001-01-01 BC')",
        ),
    ] {
        let type_name = column.split(' ').next().unwrap();
        let entries = lists.iter().enumerate().map(|(shard, list)| {
            format!("{{ values = [{}], shard = \"s{shard}\" }}", list.replace('\'', "\""))
        });
        let entries = entries.collect::<Vec<_>>().join(", ");
        let group = group(&format!("key_type = \"{type_name}\"\nfunction = \"list\"\nlist = [{entries}]"));
        let mut wire = session();
        wire.run(&format!("BEGIN; CREATE TABLE parted (k {column}) PARTITION BY LIST (k)"));
        for (shard, list) in lists.iter().enumerate() {
            wire.run(&format!("CREATE TABLE s{shard}_ PARTITION OF parted FOR VALUES IN ({list})"));
        }
        wire.run("CREATE TABLE elsewhere PARTITION OF parted DEFAULT");
        wire.run(&format!("INSERT INTO parted {values}"));
        assert!(compare_partitions(&mut wire, &group, "k") >= 1);
        wire.run("ROLLBACK");
    }
}

#[test]
fn intervals() {
    let mut wire = session();
    // Postgres counts no year 0.
    let month = |moment: &str| {
        format!(
            "((extract(year FROM {moment}) + (extract(year FROM {moment}) < 0)::int) * 12 + extract(month FROM {moment}))"
        )
    };
    let months = format!("({} - {})", month("k"), month("a"));
    let length = "(extract(epoch FROM k) - extract(epoch FROM a))";
    for (key_type, interval, anchor, number) in [
        ("date", "1 month", "2020-05-01", format!("floor({months} / 1)")),
        ("date", "7 days", "2024-01-01", format!("floor({length} / (7 * 86400))")),
        ("timestamp", "3 months", "2000-01-01", format!("floor({months} / 3)")),
        ("timestamp", "2 years", "1999-07-01", format!("floor({months} / 24)")),
        ("timestamp", "12 hours", "2024-01-01 06:00:00", format!("floor({length} / 43200)")),
        ("timestamptz", "90 minutes", "2024-01-01 00:00:00+02", format!("floor({length} / 5400)")),
        ("timestamptz", "1 month", "2024-01-01", format!("floor({months} / 1)")),
    ] {
        let shards = ["s0", "s3", "s1", "s3", "s5"];
        let group = group(&format!(
            "key_type = \"{key_type}\"\nfunction = \"interval\"\ninterval = \"{interval}\"\nanchor = \"{anchor}\"\nshards = {shards:?}"
        ));
        let query = format!(
            "WITH keys (k) AS (
               SELECT ('{anchor}'::timestamp + i * interval '11 days 5 hours')::{key_type} FROM generate_series(-1500, 1500) i
               UNION ALL SELECT (date_trunc('month', '{anchor}'::timestamp) + i * interval '1 month' + d * interval '1 microsecond')::{key_type}
                 FROM generate_series(-40, 40) i, generate_series(-1, 1) d
               UNION ALL SELECT '0044-03-15 BC'::{key_type})
             SELECT k, mod(mod({number}, 5) + 5, 5) FROM keys, (VALUES ('{anchor}'::{key_type})) AS anchor (a)"
        );
        let rows = wire.run(&query).rows();
        assert!(rows.len() > 3000);
        let mut keys: Vec<(KeyValue<'_>, ShardId)> = Vec::new();
        for row in &rows {
            let (text, turn) = (row[0].as_deref().unwrap(), row[1].as_deref().unwrap());
            let turn: f64 = turn.parse().unwrap();
            let shard = ShardId(shards[turn as usize][1..].parse().unwrap());
            let value = read(&group, 0, text);
            assert_eq!(group.placement.shard(std::slice::from_ref(&value)), Some(shard), "{interval} {text}");
            keys.push((value, shard));
        }
        keys.sort_by(|(a, _), (b, _)| a.compare(b).unwrap());
        for pair in keys.windows(3).step_by(7) {
            let between = group.placement.between(Bound::Included(&pair[0].0), Bound::Included(&pair[2].0));
            assert!(between.contains(pair[0].1) && between.contains(pair[1].1), "{pair:?}");
        }
        for text in ["infinity", "-infinity"] {
            assert_eq!(group.placement.shard(&[read(&group, 0, text)]), None);
        }
    }
}

/// The comparison finds a bound that is off by one.
#[test]
#[should_panic(expected = "assertion")]
fn a_wrong_bound_is_found() {
    let mut wire = session();
    let group = group("function = \"range\"\nrange = [{ from = 1, to = 10, shard = \"s0\" }]");
    wire.run("BEGIN; CREATE TABLE parted (k int8) PARTITION BY RANGE (k)");
    partition_of(&mut wire, &[(&["1"], &["11"], 0)], 1);
    wire.run("INSERT INTO parted SELECT generate_series(1, 10)");
    compare_partitions(&mut wire, &group, "k");
}
