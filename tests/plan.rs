//! The planner against tables of statements: the route, the shard of the key, or the refusal.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod plan_support;

use howdah::plan::{Bound, Route};
use howdah::sqlstate;
use plan_support::{Case, Fixture, run_file};

#[test]
fn statements_take_the_expected_route() {
    let cases = run_file(include_str!("golden/plan_cases.txt"));
    assert!(cases >= 200, "{cases} cases");
}

#[test]
fn parameters_of_every_format_find_the_shard() {
    let fixture = Fixture::new();
    let sql = "SELECT * FROM orders WHERE customer_id = $1";
    for key in [0_i64, 1, -1, 7, 32767, -32768] {
        let expected = fixture.shard_of(key);
        let small = i16::try_from(key).unwrap();
        let variants: [(u32, i16, Vec<u8>); 7] = [
            (0, 0, key.to_string().into_bytes()),
            (20, 0, format!(" {key}\n").into_bytes()),
            (20, 1, key.to_be_bytes().to_vec()),
            (23, 1, i32::from(small).to_be_bytes().to_vec()),
            (21, 1, small.to_be_bytes().to_vec()),
            (0, 1, i32::from(small).to_be_bytes().to_vec()),
            (0, 1, key.to_be_bytes().to_vec()),
        ];
        for (type_oid, format, value) in variants {
            let bound = fixture.bind_params(sql, &[(type_oid, format, Some(&value))]);
            assert_eq!(bound, Ok(format!("single {expected}")), "{key} {type_oid} {format}");
        }
    }
}

#[test]
fn parameters_that_are_not_integers_restrict_nothing() {
    let fixture = Fixture::new();
    let plain = "SELECT * FROM orders WHERE customer_id = $1";
    let cast = "SELECT * FROM orders WHERE customer_id = $1::bigint";
    let twice = "SELECT * FROM orders WHERE customer_id = $1 AND total > $1";
    // What is not known to be the key restricts nothing.
    let all = Ok("all".to_owned());
    let single = |key: i64| Ok(format!("single {}", fixture.shard_of(key)));
    let five = Some(&b"5"[..]);
    for (sql, params, expected) in [
        (plain, (1700, 0, five), all.clone()),
        (plain, (701, 0, five), all.clone()),
        (plain, (25, 0, five), all.clone()),
        (cast, (25, 0, five), single(5)),
        (cast, (25, 1, five), single(5)),
        (cast, (1700, 0, five), all.clone()),
        (cast, (0, 0, five), single(5)),
        (twice, (0, 0, five), all.clone()),
        (twice, (20, 0, five), single(5)),
        // NULL, and what every server refuses, go to the home shard.
        (plain, (20, 0, None), Ok("single 0".to_owned())),
        (plain, (20, 0, Some(&b"abc"[..])), Ok("single 0".to_owned())),
        (plain, (20, 0, Some(&b"99999999999999999999"[..])), Ok("single 0".to_owned())),
        (plain, (20, 1, Some(&b"xyz"[..])), Ok("single 0".to_owned())),
        // PostgreSQL 16 reads these as integers, 15 does not.
        (plain, (20, 0, Some(&b"0x10"[..])), all.clone()),
        (plain, (20, 0, Some(&b"1_000"[..])), all.clone()),
    ] {
        let bound = fixture.bind_params(sql, &[params]).map_err(|error| error.code);
        let bound = bound.map(|bound| if bound.starts_with("scatter") { "all".to_owned() } else { bound });
        assert_eq!(bound, expected, "{sql} {params:?}");
    }
}

#[test]
fn a_null_key_cannot_be_placed() {
    let fixture = Fixture::new();
    let sql = "INSERT INTO orders (customer_id, id) VALUES ($1, 1)";
    let error = fixture.bind_params(sql, &[(20, 0, None)]).unwrap_err();
    assert_eq!(error.code, sqlstate::CHECK_VIOLATION);
    let sql = "INSERT INTO orders (customer_id, id) VALUES (NULL, 1)";
    let error = fixture.bind_params(sql, &[]).unwrap_err();
    assert_eq!(error.code, sqlstate::CHECK_VIOLATION);
}

#[test]
fn scattered_times_must_not_be_read_from_the_shards_clocks() {
    let fixture = Fixture::new();
    for (text, is_refused) in
        [("now", true), ("Today 10:00", true), ("yesterday", true), ("2026-01-01", false), ("snow", false)]
    {
        let sql = format!("SELECT * FROM orders WHERE created > '{text}'");
        assert_eq!(fixture.bind_params(&sql, &[]).is_err(), is_refused, "{text}");
        let sql = "SELECT * FROM orders WHERE created > $1";
        let bound = fixture.bind_params(sql, &[(0, 0, Some(text.as_bytes()))]);
        assert_eq!(bound.is_err(), is_refused, "{text}");
    }
}

#[test]
fn the_same_text_gives_an_equal_plan_whatever_the_literals() {
    let fixture = Fixture::new();
    for (one, other) in [
        ("SELECT * FROM orders WHERE customer_id = 5", "SELECT * FROM orders WHERE customer_id = 99"),
        ("SELECT * FROM orders WHERE note = 'a'", "SELECT * FROM orders WHERE note = 'bcd'"),
        (
            "INSERT INTO orders (customer_id, id) VALUES (1, 2)",
            "INSERT INTO orders (customer_id, id) VALUES (30, 4)",
        ),
    ] {
        assert_eq!(fixture.plan(one), fixture.plan(other));
        assert_eq!(fixture.plan(one), fixture.plan(one));
    }
}

#[test]
fn refusals_say_what_and_what_to_do() {
    let fixture = Fixture::new();
    for sql in Case::parse_all(include_str!("golden/plan_cases.txt"))
        .iter()
        .filter(|case| case.expected.starts_with("refused"))
        .map(|case| case.sql.as_str())
    {
        let error = fixture.bind_params(sql, &[(20, 0, Some(b"1")), (20, 0, Some(b"2"))]).unwrap_err();
        let text = &error.message;
        // What Postgres itself would say needs no hint.
        let is_own = error.code == sqlstate::FEATURE_NOT_SUPPORTED;
        assert!(error.hint.is_some() || !is_own, "{sql}: {text}");
        assert!(!text.ends_with('.'), "{sql}: {text}");
        assert!(error.code != sqlstate::INTERNAL_ERROR, "{sql}");
    }
}

#[test]
fn explain_prints_what_is_run() {
    let fixture = Fixture::new();
    let golden = include_str!("golden/plan_explain.txt");
    let mut printed = String::new();
    for sql in golden.lines().filter_map(|line| line.strip_prefix("> ")) {
        let planned = fixture.plan(sql);
        let Route::Explain(explain) = &planned.route else { panic!("{sql}: {planned:?}") };
        let bound = fixture.bind_planned(&explain.inner, sql, &[(20, 0, Some(b"7"))]);
        let rows = howdah::plan::explain::rows(&explain.inner, Some(&bound), fixture.rules(), explain.format);
        printed.push_str(&format!("> {sql}\n{}\n\n", rows.join("\n")));
    }
    if std::env::var_os("HOWDAH_BLESS").is_some() {
        std::fs::write("tests/golden/plan_explain.txt", &printed).unwrap();
    }
    assert_eq!(printed.trim(), golden.trim());
}

#[test]
fn explain_howdah_answers_without_a_shard() {
    let fixture = Fixture::new();
    let planned = fixture.plan("EXPLAIN (howdah) SELECT 1");
    assert!(matches!(planned.route, Route::Explain(_)));
    let bound = fixture.bind_planned(&planned, "EXPLAIN (howdah) SELECT 1", &[]).unwrap();
    assert!(matches!(bound, Bound::Explain(_)));
    for sql in
        ["EXPLAIN (howdah, format xml) SELECT 1", "EXPLAIN (howdah)", "EXPLAIN (howdah, analyze) SELECT 1"]
    {
        assert!(
            matches!(&fixture.plan(sql).route, Route::Refused(e) if e.code == sqlstate::SYNTAX_ERROR),
            "{sql}"
        );
    }
}

#[test]
fn a_cluster_without_sharded_tables_passes_everything() {
    let fixture = Fixture::unsharded();
    for sql in [
        "SELECT * FROM orders",
        "DO $$ begin end $$",
        "SELECT touch(1)",
        "CREATE TABLE x (a int)",
        "nonsense",
        "",
        "VACUUM",
        "INSERT INTO logged VALUES (1)",
    ] {
        assert!(matches!(fixture.plan(sql).route, Route::Home(_)), "{sql}");
    }
}

#[test]
fn ddl_is_marked_as_changing_the_catalog() {
    let fixture = Fixture::new();
    for (sql, changes) in [
        ("CREATE TABLE x (a int)", true),
        ("create view v as select 1", true),
        ("DROP TABLE x", true),
        ("ALTER TABLE products ADD y int", true),
        ("SELECT 1 AS a INTO x", true),
        ("WITH a AS (SELECT 1) INSERT INTO products SELECT 1", false),
        ("CREATE TEMP TABLE x (a int)", false),
        ("CREATE ROLE r", false),
        ("SELECT 1", false),
        ("INSERT INTO products VALUES (1)", false),
    ] {
        assert_eq!(fixture.plan(sql).changes_catalog, changes, "{sql}");
    }
}

#[test]
fn deep_and_long_statements_are_declined_not_overflowed() {
    let fixture = Fixture::new();
    let nested = |open: &str, close: &str, n: usize| {
        format!("SELECT * FROM orders WHERE {}1{} = 1", open.repeat(n), close.repeat(n))
    };
    let chain = |part: &str, n: usize| format!("SELECT * FROM orders WHERE {}1=1", part.repeat(n));
    for sql in [
        nested("(", ")", 10_000),
        nested("abs(", ")", 10_000),
        nested("- ", "", 100_000),
        nested("ARRAY[", "]", 10_000),
        chain("1=1 OR ", 50_000),
        chain("NOT ", 50_000),
        format!("SELECT * FROM orders WHERE id IN ({}1)", "1,".repeat(200_000)),
        format!("SELECT * FROM orders{}", " UNION SELECT * FROM orders".repeat(20_000)),
        format!("SELECT {} * FROM orders", "(SELECT ".repeat(5_000)),
        format!("SELECT 1{} FROM orders", "::int".repeat(50_000)),
    ] {
        assert!(matches!(fixture.plan(&sql).route, Route::Refused(_)), "{}", &sql[..60]);
    }
    let list = format!("SELECT * FROM orders WHERE id IN ({}1)", "1,".repeat(5_000));
    assert!(matches!(fixture.plan(&list).route, Route::Sharded(_)));
}

mod never_panics {
    use super::plan_support::Fixture;
    use proptest::prelude::*;

    const PIECES: &[&str] = &[
        "SELECT",
        "*",
        "FROM",
        "orders",
        "customers",
        "WHERE",
        "customer_id",
        "=",
        "5",
        "'x'",
        "$1",
        "(",
        ")",
        "AND",
        "OR",
        "NOT",
        "JOIN",
        "LEFT",
        "USING",
        "ON",
        "o",
        ".",
        ",",
        "INSERT",
        "INTO",
        "VALUES",
        "UPDATE",
        "SET",
        "DELETE",
        "WITH",
        "AS",
        "UNION",
        "ALL",
        "GROUP BY",
        "ORDER BY",
        "LIMIT",
        "count(*)",
        "sum",
        "EXPLAIN",
        "(howdah)",
        "ONLY",
        "::bigint",
        "CASE",
        "WHEN",
        "END",
        "E'\\'",
        "$$",
        "U&\"x\"",
        "\"orders\"",
        "ARRAY[",
        "]",
        "IN",
        "BETWEEN",
        "NULL",
        "DEFAULT",
        "RETURNING",
        "--",
        "/*",
        "*/",
        ";",
        "-",
        "1.5",
        "LATERAL",
        "EXISTS",
        "OVER",
        "FILTER",
        "INTERVAL",
        "int",
        "\u{e9}",
        "products",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn on_words(words in proptest::collection::vec(0..PIECES.len(), 0..40)) {
            let words: Vec<&str> = words.iter().map(|i| PIECES[*i]).collect();
            FIXTURE.with(|fixture| { fixture.bind_params(&words.join(" "), &[(20, 0, Some(b"1"))]).ok(); });
        }

        #[test]
        fn on_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            FIXTURE.with(|fixture| { fixture.plan_bytes(&bytes); });
        }
    }

    thread_local! {
        static FIXTURE: Fixture = Fixture::new();
    }
}
