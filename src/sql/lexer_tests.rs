//! The rules of `scan.l`, one by one.

use super::*;
use TokenKind::*;

fn tokens(sql: &str) -> Vec<(TokenKind, &str)> {
    tokens_with(sql, true)
}

fn tokens_with(sql: &str, standard_conforming_strings: bool) -> Vec<(TokenKind, &str)> {
    Lexer::new(sql.as_bytes(), standard_conforming_strings)
        .map(|token| (token.kind, &sql[token.start..token.end]))
        .collect()
}

fn kinds(sql: &str) -> Vec<TokenKind> {
    tokens(sql).into_iter().map(|(kind, _)| kind).collect()
}

#[test]
fn numbers_follow_the_longest_rule() {
    for (sql, want) in [
        ("1", vec![(Integer, "1")]),
        ("1..10", vec![(Integer, "1"), (DotDot, ".."), (Integer, "10")]),
        ("1.", vec![(Numeric, "1.")]),
        (".5", vec![(Numeric, ".5")]),
        ("1.5e3", vec![(Numeric, "1.5e3")]),
        ("1.e+5", vec![(Numeric, "1.e+5")]),
        ("1e", vec![(JunkNumber, "1e")]),
        ("1e+", vec![(JunkNumber, "1e+")]),
        ("1e5x", vec![(JunkNumber, "1e5x")]),
        ("1e5$", vec![(JunkNumber, "1e5$")]),
        ("1e+5$", vec![(Numeric, "1e+5"), (Other, "$")]),
        ("0x1F", vec![(JunkNumber, "0x1F")]),
        ("1_0", vec![(JunkNumber, "1_0")]),
        ("1.5abc", vec![(JunkNumber, "1.5abc")]),
        ("1 a", vec![(Integer, "1"), (Word, "a")]),
    ] {
        assert_eq!(tokens(sql), want, "{sql}");
    }
}

#[test]
fn operators_lose_trailing_signs_and_comments() {
    for (sql, want) in [
        ("a=-1", vec![(Word, "a"), (Operator, "="), (Operator, "-"), (Integer, "1")]),
        ("a@-1", vec![(Word, "a"), (Operator, "@-"), (Integer, "1")]),
        ("<=+-", vec![(Operator, "<="), (Operator, "+"), (Operator, "-")]),
        ("*/*x*/", vec![(Operator, "*"), (BlockComment, "/*x*/")]),
        ("=>--x", vec![(EqualsGreater, "=>"), (LineComment, "--x")]),
        ("=>", vec![(EqualsGreater, "=>")]),
        ("=>>", vec![(Operator, "=>>")]),
        (":: := : :=", vec![(TypeCast, "::"), (ColonEquals, ":="), (Colon, ":"), (ColonEquals, ":=")]),
        (":::", vec![(TypeCast, "::"), (Colon, ":")]),
        ("+-", vec![(Operator, "+"), (Operator, "-")]),
        ("||/", vec![(Operator, "||/")]),
    ] {
        assert_eq!(tokens(sql), want, "{sql}");
    }
}

#[test]
fn strings_know_their_prefix_and_their_end() {
    for (sql, want) in [
        ("'a''b'", vec![(String, "'a''b'")]),
        (r"'a\'", vec![(String, r"'a\'")]),
        (r"e'a\'b'", vec![(EscapeString, r"e'a\'b'")]),
        ("'a' 'b'", vec![(String, "'a'"), (String, "'b'")]),
        ("'a' \n 'b'", vec![(String, "'a' \n 'b'")]),
        ("'a' -- x'\n -- y\n 'b'", vec![(String, "'a' -- x'\n -- y\n 'b'")]),
        ("'a' -- x 'b'", vec![(String, "'a'"), (LineComment, "-- x 'b'")]),
        ("'a' /*\n*/ 'b'", vec![(String, "'a'"), (BlockComment, "/*\n*/"), (String, "'b'")]),
        ("'a'\n-'b'", vec![(String, "'a'"), (Operator, "-"), (String, "'b'")]),
        ("E'a'\n'\\''", vec![(EscapeString, "E'a'\n'\\''")]),
        ("b'1''0'", vec![(BitString, "b'1'"), (String, "'0'")]),
        ("X'1'\n'f'", vec![(HexString, "X'1'\n'f'")]),
        ("n'x'", vec![(NationalPrefix, "n"), (String, "'x'")]),
        ("u&'a'", vec![(UnicodeString, "u&'a'")]),
        ("u&a", vec![(Word, "u"), (Operator, "&"), (Word, "a")]),
        ("fe'x'", vec![(Word, "fe"), (String, "'x'")]),
        ("'a", vec![(UnterminatedString, "'a")]),
        ("e'\\", vec![(UnterminatedString, "e'\\")]),
        ("e'\\'", vec![(UnterminatedString, "e'\\'")]),
    ] {
        assert_eq!(tokens(sql), want, "{sql}");
    }
    assert_eq!(tokens_with(r"'a\'b'", false), [(EscapeString, r"'a\'b'")]);
}

#[test]
fn dollars_quote_only_where_no_identifier_goes_on() {
    for (sql, want) in [
        ("$$a$b$$", vec![(DollarString, "$$a$b$$")]),
        ("$a$ $b$ $a$", vec![(DollarString, "$a$ $b$ $a$")]),
        ("$a$$a$$a$", vec![(DollarString, "$a$$a$"), (UnterminatedDollar, "$a$")]),
        ("x$a$ $a$", vec![(Word, "x$a$"), (UnterminatedDollar, "$a$")]),
        ("$1$1", vec![(Param, "$1"), (Param, "$1")]),
        ("$1a", vec![(JunkParam, "$1a")]),
        ("$a", vec![(Other, "$"), (Word, "a")]),
        ("$$a", vec![(UnterminatedDollar, "$$a")]),
        ("$é$x$é$", vec![(DollarString, "$é$x$é$")]),
    ] {
        assert_eq!(tokens(sql), want, "{sql}");
    }
}

#[test]
fn comments_nest_and_lines_end_at_either_newline() {
    assert_eq!(tokens("/* /* */ */ a"), [(BlockComment, "/* /* */ */"), (Word, "a")]);
    assert_eq!(kinds("/* /* */ a"), [UnterminatedComment]);
    assert_eq!(tokens("--x\ra"), [(LineComment, "--x"), (Word, "a")]);
    assert_eq!(tokens("/***/a"), [(BlockComment, "/***/"), (Word, "a")]);
    assert_eq!(tokens("/*/*/ */*/a"), [(BlockComment, "/*/*/ */*/"), (Word, "a")]);
}

#[test]
fn quoted_identifiers_are_never_empty() {
    assert_eq!(
        kinds(r#""a""b" u&"x" "" U&"" "x"#),
        [QuotedIdent, UnicodeIdent, EmptyIdent, EmptyIdent, UnterminatedIdent]
    );
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_ordered_tokens_with_space_between(sql in proptest::collection::vec(
        proptest::prop_oneof![
            proptest::prelude::any::<u8>(),
            proptest::sample::select(b"'\"$;-/*\\()eEuU&\n ab1.:+".to_vec()),
        ], 0..60), scs in proptest::bool::ANY)
    {
        let mut at = 0;
        for token in Lexer::new(&sql, scs) {
            assert!(token.start < token.end && token.end <= sql.len());
            assert!(sql[at..token.start].iter().all(|&byte| is_space(byte)));
            at = token.end;
        }
        assert!(sql[at..].iter().all(|&byte| is_space(byte)));
    }
}
