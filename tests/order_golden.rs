//! The orders of `howdah::datum::order` are a live Postgres's: for each type, thousands of values that the
//! server sorts, in both formats and all styles that are read. Averages and the text of floats likewise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use howdah::datum::float;
use howdah::datum::numeric::Numeric;
use howdah::datum::order::{Order, Style};
use support::message;
use support::postgres::Postgres;
use support::wire::Wire;

/// Each type with queries that give its values: many, and those at the edges.
const VALUES: &[(&str, bool, &[&str])] = &[
    (
        "int2",
        false,
        &[
            "(random() * 65535 - 32768)::int2 from generate_series(1, 2000)",
            "unnest('{-32768,-1,0,1,32767}'::int2[])",
        ],
    ),
    (
        "int4",
        false,
        &[
            "(random() * 4294967295 - 2147483648)::int4 from generate_series(1, 2000)",
            "i::int4 from generate_series(-500, 500) i",
        ],
    ),
    (
        "int8",
        false,
        &[
            "hashint8extended(i, 1) from generate_series(1, 3000) i",
            "i from generate_series(-500::int8, 500) i",
            "unnest('{-9223372036854775808,9223372036854775807}'::int8[])",
        ],
    ),
    (
        "oid",
        false,
        &[
            "(random() * 4294967295)::int8::oid from generate_series(1, 2000)",
            "unnest('{0,1,4294967295}'::oid[])",
        ],
    ),
    (
        "numeric",
        false,
        &[
            "(random() * 2000 - 1000)::numeric(12,4) from generate_series(1, 2000)",
            "(i::numeric / 7) * 10::numeric ^ (i % 60 - 30) from generate_series(-1500, 1500) i",
            "(i::numeric)::numeric(20,3) from generate_series(-200, 200) i",
            "unnest('{NaN,NaN,Infinity,-Infinity,0,0.00,-0.0,1,1.0,1.000,1e-1000,-1e-1000,1e3000,-1e3000,10000,9999,9999.9999,0.0001,0.00001,-0.0001}'::numeric[])",
            "1e131071::numeric",
            "(10::numeric ^ i) * s from generate_series(0, 40) i, unnest('{1,-1,1.5,-1.5,9,9.999}'::numeric[]) s",
        ],
    ),
    (
        "float4",
        false,
        &[
            "(random() * 2000 - 1000)::float4 from generate_series(1, 2000)",
            "(10::float8 ^ (i / 10.0))::float4 from generate_series(-370, 370) i",
            "unnest('{NaN,Infinity,-Infinity,0,-0,1e-45,-1e-45,3.4028235e38}'::float4[])",
        ],
    ),
    (
        "float8",
        false,
        &[
            "random() * 2000 - 1000 from generate_series(1, 2000)",
            "s * 10::float8 ^ (i / 5.0) from generate_series(-1500, 1500) i, unnest('{1,-1}'::float8[]) s",
            "unnest('{NaN,NaN,Infinity,-Infinity,0,-0,5e-324,-5e-324,1.7976931348623157e308,0.1,0.3,0.30000000000000004}'::float8[])",
        ],
    ),
    ("bool", false, &["random() < 0.5 from generate_series(1, 50)"]),
    (
        "date",
        false,
        &[
            "'2000-01-01'::date + (random() * 100000 - 50000)::int from generate_series(1, 2000)",
            "'4713-01-01 BC'::date + i * 600 from generate_series(1, 3000) i",
            "unnest('{infinity,-infinity,5874897-12-31,4713-11-24 BC,0001-12-31 BC,0001-01-01,2000-02-29,1900-02-28,1900-03-01,10000-01-01}'::date[])",
        ],
    ),
    (
        "timestamp",
        false,
        &[
            "'2000-01-01'::timestamp + (random() * 1e9 - 5e8) * interval '1 second' from generate_series(1, 2000)",
            "'4713-01-01 BC'::timestamp + i * interval '600 days 01:02:03.000004' from generate_series(1, 3000) i",
            "unnest('{infinity,-infinity,294276-12-31 23:59:59.999999,4713-11-24 00:00:00 BC,0001-12-31 23:59:59.5 BC,0001-01-01 00:00:00}'::timestamp[])",
        ],
    ),
    (
        "timestamptz",
        false,
        &[
            "'2000-01-01'::timestamptz + (random() * 1e9 - 5e8) * interval '1 second' from generate_series(1, 2000)",
            "'4713-12-01 BC'::timestamptz + i * interval '600 days 01:02:03.000004' from generate_series(1, 3000) i",
            "unnest('{infinity,-infinity,294276-12-31 23:59:59.999999+00,4713-11-24 00:00:00+00 BC,1850-01-01 00:00:00+00,2024-10-27 00:30:00+00,2024-10-27 01:30:00+00}'::timestamptz[])",
        ],
    ),
    (
        "time",
        false,
        &[
            "time '00:00' + random() * interval '24 hours' from generate_series(1, 2000)",
            "unnest('{00:00,24:00,12:00:00.000001}'::time[])",
        ],
    ),
    (
        "timetz",
        false,
        &[
            "((time '00:00' + (random() * 1440)::int * interval '1 minute')::text || (array['+00','+02','-03:30','+05:45','+15:59:59','-15:59:59'])[1 + i % 6])::timetz from generate_series(1, 3000) i",
            "unnest('{24:00+00,00:00+00}'::timetz[])",
        ],
    ),
    (
        "interval",
        false,
        &[
            "make_interval(0, (random() * 20 - 10)::int, 0, (random() * 60 - 30)::int, 0, 0, random() * 200000 - 100000) from generate_series(1, 3000)",
            "unnest('{1 month,30 days,720:00:00,-1 month,0,178000000 years,-178000000 years,2147483647 days,-2147483648 days}'::interval[])",
        ],
    ),
    ("money", false, &["(random() * 1e6 - 5e5)::numeric::money from generate_series(1, 1000)"]),
    (
        "uuid",
        false,
        &[
            "gen_random_uuid() from generate_series(1, 2000)",
            "unnest('{00000000-0000-0000-0000-000000000000,ffffffff-ffff-ffff-ffff-ffffffffffff}'::uuid[])",
        ],
    ),
    (
        "bytea",
        false,
        &[
            "decode(substr(md5(random()::text), 1, 2 * (random() * 10)::int), 'hex') from generate_series(1, 2000)",
            "decode(substr('000000ff0001005c5c275c00', 1, 2 * i), 'hex') from generate_series(0, 12) i",
            "decode(lpad(to_hex(i), 2, '0') || t, 'hex') from generate_series(0, 255) i, unnest('{\"\",00,0000,01}'::text[]) t",
        ],
    ),
    ("bit(9)", false, &["i::bit(9) from generate_series(0, 511) i"]),
    (
        "varbit",
        false,
        &["substring(i::bit(20)::varbit from 1 + (random() * 20)::int) from generate_series(1, 3000) i"],
    ),
    (
        "text",
        true,
        &[
            "chr(1 + (random() * 50000)::int) || md5(random()::text) from generate_series(1, 2000)",
            "substr('a_B Ab\u{e4}\u{df}\u{1f418} aab', 1 + (random() * 11)::int, (random() * 5)::int) from generate_series(1, 1000)",
            "chr(i) || t from generate_series(1, 300) i, unnest(array['', ' ', 'a', chr(1)]) t",
        ],
    ),
    (
        "varchar(20)",
        true,
        &["substr(md5(random()::text), 1, (random() * 20)::int)::varchar(20) from generate_series(1, 1000)"],
    ),
    (
        "char(6)",
        true,
        &[
            "substr('a b  ba', 1 + (random() * 7)::int, (random() * 6)::int)::char(6) from generate_series(1, 1000)",
            "(chr(i) || 'x')::char(6) from generate_series(1, 500) i",
        ],
    ),
    (
        "name",
        false,
        &["md5(random()::text)::name from generate_series(1, 500)", "unnest('{Ab,ab,aB,_,\"\"}'::name[])"],
    ),
    ("\"char\"", false, &["chr(i)::\"char\" from generate_series(1, 127) i", "''::\"char\""]),
];

/// A sort of one type's values, with each value's rank: equal values have the same.
fn sorted(name: &str, is_text: bool, queries: &[&str]) -> String {
    let collate = if is_text { " collate \"C\"" } else { "" };
    let values: Vec<String> =
        queries.iter().map(|query| format!("select v::{name} from (select {query}) q(v)")).collect();
    let values = values.join(" union all ");
    format!("select v, dense_rank() over (order by v{collate}) r from ({values}) u(v) order by r")
}

/// The rows of a query, its first column in the given format.
fn rows(wire: &mut Wire, sql: &str, is_binary: bool) -> Vec<(Vec<u8>, u64)> {
    let formats = [u16::from(is_binary), 0];
    let bytes = [
        message::parse("", sql, &[]),
        message::bind("", "", &[], &[], &formats),
        message::named(b'D', b'P', ""),
        message::execute("", 0),
        message::sync(),
    ];
    let reply = wire.ask(&bytes.concat()).ok();
    reply
        .tagged(b'D')
        .map(|row| {
            let cells = row.cells();
            let rank = String::from_utf8(cells[1].clone().unwrap()).unwrap();
            (cells[0].clone().unwrap(), rank.parse().unwrap())
        })
        .collect()
}

fn oid_of(wire: &mut Wire, name: &str) -> u32 {
    wire.value(&format!("select '{name}'::regtype::oid")).parse().unwrap()
}

/// Each row compares with the next as their ranks say; the order is total then.
fn check(order: Order, is_binary: bool, rows: &[(Vec<u8>, u64)]) {
    let encoded: Vec<Vec<u8>> = rows
        .iter()
        .map(|(value, _)| {
            let mut out = Vec::new();
            let text = String::from_utf8_lossy(value);
            order.encode(is_binary, value, &mut out).unwrap_or_else(|| panic!("{order:?}: {text}"));
            out
        })
        .collect();
    for (at, pair) in rows.windows(2).enumerate() {
        let expected = pair[0].1.cmp(&pair[1].1);
        let texts = [&pair[0].0, &pair[1].0].map(|value| String::from_utf8_lossy(value));
        assert_eq!(encoded[at].cmp(&encoded[at + 1]), expected, "{order:?} {texts:?}");
    }
}

#[test]
fn every_type_orders_as_postgres_sorts_it() {
    let mut wire = Postgres::shared().app();
    for (name, is_text, queries) in VALUES {
        let order = Order::of(oid_of(&mut wire, name), *is_text).unwrap_or_else(|| panic!("{name}"));
        wire.run(&format!("create temp table v as {}", sorted(name, *is_text, queries)));
        let mut styles = vec![""];
        match order {
            Order::Timestamptz | Order::Timetz => {
                styles = vec![
                    "set timezone = 'UTC'",
                    "set timezone = 'Asia/Kathmandu'",
                    "set timezone = 'Europe/Paris'",
                ];
            }
            Order::Bytea => styles = vec!["set bytea_output = 'hex'", "set bytea_output = 'escape'"],
            _ => {}
        }
        for style in styles {
            wire.run(style);
            for is_binary in [false, true] {
                if !order.is_exact(is_binary, Style::default()) {
                    continue;
                }
                let rows = rows(&mut wire, "select * from v order by r", is_binary);
                assert!(rows.len() >= 50, "{name}");
                check(order, is_binary, &rows);
            }
        }
        wire.run("drop table v; reset all");
    }
}

/// The check above would find an order that is wrong.
#[test]
#[should_panic(expected = "Numeric")]
fn a_wrong_order_is_found() {
    let mut wire = Postgres::shared().app();
    // Texts of numerics, ranked as texts.
    let sql = "select v, dense_rank() over (order by v::text collate \"C\") r
        from generate_series(1::numeric, 20) v order by r";
    let rows = rows(&mut wire, sql, false);
    check(Order::Numeric, false, &rows);
}

#[test]
fn what_postgres_orders_and_this_does_not_is_declined() {
    let mut wire = Postgres::shared().app();
    for name in
        ["int4[]", "jsonb", "inet", "macaddr", "tsvector", "int4range", "pg_lsn", "regclass", "tid", "record"]
    {
        assert_eq!(Order::of(oid_of(&mut wire, name), true), None, "{name}");
    }
    for name in ["text", "varchar", "char(3)"] {
        assert_eq!(Order::of(oid_of(&mut wire, name), false), None, "{name}");
    }
}

#[test]
fn sums_and_averages_are_postgres_own() {
    let mut wire = Postgres::shared().app();
    let sets = [
        "select (random() * 20000 - 10000)::numeric(12,4) from generate_series(1, 1 + (random() * 20)::int)",
        "select (random() * 100)::int::numeric from generate_series(1, 1 + (random() * 9)::int)",
        "select (random()::numeric - 0.5) * 10::numeric ^ (random() * 40 - 20)::int from generate_series(1, 1 + (random() * 5)::int)",
        "select round(random()::numeric * 10, (random() * 8)::int) from generate_series(1, 1 + (random() * 5)::int)",
        "select 0.00::numeric from generate_series(1, 3)",
        "select 'NaN'::numeric union all select 1",
        "select 'Infinity'::numeric union all select 1",
        "select 'Infinity'::numeric union all select '-Infinity'",
        "select (10::numeric ^ 30) + i from generate_series(1, 7) i",
    ];
    for set in sets {
        for _ in 0..60 {
            let sql = format!("select sum(v), count(v), avg(v) from ({set}) s(v)");
            let reply = wire.run(&sql);
            let row = &reply.rows()[0];
            let [sum, count, average] = [0, 1, 2].map(|at| row[at].clone().unwrap());
            let ours = Numeric::from_text(sum.as_bytes()).unwrap().divide(count.parse().unwrap()).unwrap();
            assert_eq!(String::from_utf8(ours.to_text()).unwrap(), average, "{sum} / {count}");
            let again = Numeric::from_binary(&ours.to_binary()).unwrap();
            assert_eq!(String::from_utf8(again.to_text()).unwrap(), average);
        }
    }
}

#[test]
fn floats_are_written_as_postgres_writes_them() {
    let mut wire = Postgres::shared().app();
    for digits in [3, 1, 0, -3, -14, -15] {
        wire.run(&format!("set extra_float_digits = {digits}"));
        let sql = "select v, v::text::bytea from (
            select (random() - 0.5) * 10::float8 ^ (i / 8.0) v from generate_series(-2400, 2400) i
            union all select i / 100.0::float8 from generate_series(-1000, 1000) i
            union all select 10::float8 ^ i from generate_series(-30, 30) i
            union all select unnest('{NaN,Infinity,-Infinity,0,-0,5e-324,1.7976931348623157e308}'::float8[])) s";
        let bytes = [
            message::parse("", sql, &[]),
            message::bind("", "", &[], &[], &[1, 1]),
            message::execute("", 0),
            message::sync(),
        ];
        let reply = wire.ask(&bytes.concat()).ok();
        let mut count = 0;
        for row in reply.tagged(b'D') {
            let cells = row.cells();
            let value = f64::from_be_bytes(cells[0].clone().unwrap().try_into().unwrap());
            let mut ours = Vec::new();
            float::write_text(value, digits, &mut ours);
            let [ours, theirs] =
                [ours, cells[1].clone().unwrap()].map(|text| String::from_utf8(text).unwrap());
            assert_eq!(ours, theirs, "{value:e} with {digits}");
            count += 1;
        }
        assert!(count > 5000, "{count}");
    }
}
