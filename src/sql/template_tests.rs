//! What is lifted, what stays, and that nothing else is lost.

use super::*;

fn made(sql: &str) -> Template {
    let mut out = Template::default();
    template(sql.as_bytes(), true, &mut out);
    out
}

fn lifted(sql: &str) -> Vec<&str> {
    made(sql).literals.iter().map(|literal| &sql[literal.start..literal.end]).collect()
}

#[test]
fn literals_behind_operators_lists_and_keywords_are_lifted() {
    for (sql, want) in [
        ("SELECT abalance FROM pgbench_accounts WHERE aid = 12345;", vec!["12345"]),
        (
            "select * from t where a = 'x''y' and b in (1, 2) or c between 3 and 4.5",
            vec!["'x''y'", "1", "2", "3", "4.5"],
        ),
        ("insert into t (a, b) values (1, e'x'), ($$y$$, 2)", vec!["1", "e'x'", "$$y$$", "2"]),
        ("update t set a = a + 5, b = b - 6 where k = any (array[1, 2])", vec!["5", "6", "1", "2"]),
        ("with c as (select 1 where k = 2) select * from c where x like 'a%'", vec!["1", "2", "'a%'"]),
        ("select coalesce((select 1 from t where a = 2), 3)", vec!["1", "2"]),
        ("(select 1 where a = 2)", vec!["1", "2"]),
        ("select case when a = 1 then 2 else 3 end", vec!["1", "2", "3"]),
    ] {
        assert_eq!(lifted(sql), want, "{sql}");
    }
}

#[test]
fn literals_that_may_mean_more_than_a_value_stay() {
    for sql in [
        "select a from t order by 1, 2",
        "select a from t group by 1 having b > 5",
        "select a from t limit 5 offset 1 + 2",
        "select a from t fetch first 3 rows only",
        "select distinct on (1) a from t",
        "select interval '1 day', date '2020-01-01', double precision '1', interval(3) '1'",
        "select a::numeric(10, 2), varchar(5) 'x'",
        "select a from t where a = -1 and b = (-2)",
        "select nextval('s'), f(a, 'x', 3)",
        "select a[1], n'x', b'1', x'f', u&'a'",
        "select sum(a) over (rows between 1 preceding and 2 following)",
        "select a at time zone 'UTC'",
        "set x = 1",
        "create table t (a int default 1 check (a > 2))",
    ] {
        assert!(lifted(sql).is_empty(), "{sql}: {:?}", lifted(sql));
    }
}

#[test]
fn space_comments_case_and_values_do_not_matter_but_kinds_and_hints_do() {
    let base = made("select A from \"T\" where b = 1");
    for sql in ["SELECT a\n\tFROM\"T\"WHERE B=2", "select a /* x */ from \"T\" -- y\n where b = 99"] {
        assert_eq!((&made(sql).normalised, made(sql).hash), (&base.normalised, base.hash), "{sql}");
    }
    for sql in [
        "select a from \"t\" where b = 1",
        "select a from \"T\" where b = 9999999999",
        "select a from \"T\" where b = 1.0",
        "select a from \"T\" where b = '1'",
        "select a from \"T\" where b = e'1'",
        "select a from \"T\" where b = \x01i",
        "/* howdah: shard=1 */ select a from \"T\" where b = 1",
        "select a from \"T\" where b = 1;",
    ] {
        assert_ne!(made(sql).normalised, base.normalised, "{sql}");
    }
}

#[test]
fn a_line_hint_swallows_no_token() {
    assert_ne!(made("-- howdah: a\nselect").normalised, made("-- howdah: a select").normalised);
}

#[test]
fn values_are_decoded() {
    let sql = "select 'a''b', e'\\n', $x$y$x$, 12, 99999999999, 99999999999999999999";
    let out = made(sql);
    let values: Vec<_> = out
        .literals
        .iter()
        .map(|literal| (literal.kind, literal_value(sql.as_bytes(), literal).into_owned()))
        .collect();
    assert_eq!(
        values,
        [
            (LiteralKind::String, b"a'b".to_vec()),
            (LiteralKind::EscapeString, b"\n".to_vec()),
            (LiteralKind::DollarString, b"y".to_vec()),
            (LiteralKind::Int4, b"12".to_vec()),
            (LiteralKind::Int8, b"99999999999".to_vec()),
            (LiteralKind::Numeric, b"99999999999999999999".to_vec()),
        ]
    );
}

const PIECES: &[&str] = &[
    "select", "from", "where", "t", "\"T\"", "a", "b", "=", "<", "+", "-", "(", ")", ",", "[", "]", "and",
    "or", "1", "23", "4.5", "'x'", "'y z'", "e'q'", "$$d$$", "limit", "order", "by", "in", "values", "array",
    "::", "int", "$1", "interval", "not", "case", "when", "then", "end", "distinct", "on", "union", "f", ".",
    ";", "null",
];

fn replaced(piece: &str, seed: u32) -> String {
    match piece {
        "1" | "23" => format!("{}", seed % 2_000_000_000),
        "4.5" => format!("{seed}.{}", seed % 7),
        "'x'" | "'y z'" => format!("'{}''; -- {seed}'", "z".repeat(seed as usize % 5)),
        "e'q'" => format!("e'\\'{seed}'"),
        "$$d$$" => format!("$k$ {seed} '$k$"),
        other => other.to_owned(),
    }
}

proptest::proptest! {
    #[test]
    fn other_values_of_lifted_literals_keep_the_template(
        picks in proptest::collection::vec(0..PIECES.len(), 0..25), seed in proptest::prelude::any::<u32>())
    {
        let pieces: Vec<&str> =
            std::iter::once("select").chain(picks.iter().map(|&pick| PIECES[pick])).collect();
        let sql = pieces.join(" ");
        let before = made(&sql);
        let mut other = String::new();
        let mut at = 0;
        for literal in &before.literals {
            other.push_str(&sql[at..literal.start]);
            other.push_str(&replaced(&sql[literal.start..literal.end], seed));
            at = literal.end;
        }
        other.push_str(&sql[at..]);
        let after = made(&other);
        assert_eq!(&after.normalised, &before.normalised, "{} / {}", sql, other);
        assert_eq!(after.hash, before.hash);
        assert_eq!(after.literals.len(), before.literals.len());
    }

    #[test]
    fn any_other_token_changes_the_template(
        picks in proptest::collection::vec(0..PIECES.len(), 1..20), place in 0..20usize, with in 0..PIECES.len())
    {
        let mut pieces: Vec<&str> = picks.iter().map(|&pick| PIECES[pick]).collect();
        let before = made(&pieces.join(" "));
        let place = place % pieces.len();
        let old = pieces[place];
        pieces[place] = PIECES[with];
        let after = made(&pieces.join(" "));
        let is_number = |piece: &str| matches!(piece, "1" | "23");
        let is_string = |piece: &str| matches!(piece, "'x'" | "'y z'");
        let same_kind = old == PIECES[with]
            || (is_number(old) && is_number(PIECES[with]))
            || (is_string(old) && is_string(PIECES[with]));
        if !same_kind {
            assert_ne!(before.normalised, after.normalised);
        }
    }
}
