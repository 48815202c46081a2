//! Tests of where clauses are found.

use super::*;
use crate::sql::lexer::Lexer;

fn tokens(sql: &str) -> Vec<Token> {
    let mut lexer = Lexer::new(sql.as_bytes(), true);
    std::iter::from_fn(|| lexer.next_significant()).collect()
}

fn words(sql: &str, tokens: &[Token], range: &Range<usize>) -> String {
    match (tokens.get(range.start), range.end.checked_sub(1).and_then(|last| tokens.get(last))) {
        (Some(first), Some(last)) if !range.is_empty() => sql[first.start..last.end].to_owned(),
        _ => String::new(),
    }
}

#[test]
fn clauses_are_found_whatever_stands_in_them() {
    let sql = "SELECT DISTINCT ON (a, b) x AS from, (SELECT 1 FROM t ORDER BY 1), t.order, \
        sum(x) FILTER (WHERE y) OVER (ORDER BY z), a IS DISTINCT FROM b, ARRAY[1, 2] \
        FROM t, (SELECT 2 LIMIT 1) u WHERE substring(a FROM 1 FOR 2) = 'from' AND a IS NOT DISTINCT FROM 2 \
        GROUP BY a, f(b, c) HAVING true WINDOW w AS (ORDER BY a) \
        ORDER BY a DESC NULLS FIRST, f(a, b) USING <, c COLLATE \"C\" ASC LIMIT 1 + 2 OFFSET ($1) ROWS FOR UPDATE OF t";
    let tokens = tokens(sql);
    let found = Clauses::of(sql.as_bytes(), &tokens, 0).unwrap();
    let each = |spans: &Spans| spans.iter().map(|span| words(sql, &tokens, span)).collect::<Vec<_>>();
    assert_eq!(
        each(&found.list),
        [
            "x AS from",
            "(SELECT 1 FROM t ORDER BY 1)",
            "t.order",
            "sum(x) FILTER (WHERE y) OVER (ORDER BY z)",
            "a IS DISTINCT FROM b",
            "ARRAY[1, 2]"
        ]
    );
    assert_eq!(each(&found.group_by), ["a", "f(b, c)"]);
    assert_eq!(each(&found.order_by), ["a DESC NULLS FIRST", "f(a, b) USING <", "c COLLATE \"C\" ASC"]);
    let expressions: Spans =
        found.order_by.iter().map(|entry| Clauses::sort_expression(sql.as_bytes(), &tokens, entry)).collect();
    assert_eq!(each(&expressions), ["a", "f(a, b)", "c COLLATE \"C\""]);
    assert_eq!(words(sql, &tokens, &found.limit.clone().unwrap()), "1 + 2");
    assert_eq!(words(sql, &tokens, &found.offset.clone().unwrap()), "($1)");
    assert_eq!(words(sql, &tokens, &found.limits.clone().unwrap()), "LIMIT 1 + 2 OFFSET ($1) ROWS");
    assert!(tokens[found.body_end].is_word(sql.as_bytes(), b"order"));
    assert!(tokens[found.list_end].is_word(sql.as_bytes(), b"from"));
}

#[test]
fn limits_have_several_forms() {
    for (sql, limit, offset) in [
        ("SELECT 1 FETCH FIRST ROW ONLY", Some(""), None),
        ("SELECT 1 FETCH NEXT 5 ROWS ONLY", Some("5"), None),
        ("SELECT 1 OFFSET 2 ROWS FETCH FIRST (5) ROWS ONLY", Some("(5)"), Some("2")),
        ("SELECT 1 OFFSET 3 LIMIT 4", Some("4"), Some("3")),
        ("SELECT 1 LIMIT ALL", Some("ALL"), None),
        ("SELECT 1", None, None),
    ] {
        let tokens = tokens(sql);
        let found = Clauses::of(sql.as_bytes(), &tokens, 0).unwrap();
        let text = |range: Option<Range<usize>>| range.map(|range| words(sql, &tokens, &range));
        assert_eq!(text(found.limit).as_deref(), limit, "{sql}");
        assert_eq!(text(found.offset).as_deref(), offset, "{sql}");
    }
    for sql in ["SELECT 1 UNION SELECT 2", "SELECT 1 FETCH FIRST 2 ROWS WITH TIES", "SELECT 1 INTO x"] {
        assert_eq!(Clauses::of(sql.as_bytes(), &tokens(sql), 0), None, "{sql}");
    }
}

#[test]
fn a_call_has_its_parentheses() {
    let sql = "SELECT pg_catalog.\"avg\" ((a) + b[1]) x";
    let tokens = tokens(sql);
    assert_eq!(Clauses::parentheses(&tokens, 1), Some((4, 13)));
    assert_eq!(Clauses::parentheses(&tokens, 14), None);
    let entry = 1..15;
    let expression = Clauses::list_expression(sql.as_bytes(), &tokens, &entry, true);
    assert_eq!(words(sql, &tokens, &expression), "pg_catalog.\"avg\" ((a) + b[1])");
}
