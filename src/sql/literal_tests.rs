//! Values of strings as Postgres decodes them.

use super::*;
use crate::sql::lexer::Lexer;

fn value(sql: &str) -> Vec<u8> {
    let token = Lexer::new(sql.as_bytes(), true).next().unwrap();
    assert_eq!(token.end, sql.len(), "{sql}");
    decode_string(sql.as_bytes(), token.kind).into_owned()
}

#[test]
fn every_syntax_of_strings_decodes() {
    for (sql, want) in [
        ("'a''b'", "a'b"),
        ("''", ""),
        ("'a' -- ' \n 'b'", "ab"),
        (r"'a\b'", r"a\b"),
        (r"e'a\'b\\c\n\x41\101\u00e9\U0001F600'", "a'b\\c\nAAé😀"),
        (r"e'\ud83d\ude00'", "😀"),
        ("e'a'\n'\\x62'", "ab"),
        (r"e'\xg\q'", "xgq"),
        (r"U&'d\0061t\+000061 \\'", "data \\"),
        (r"U&'\D83D\DE00'", "😀"),
        ("$$a'b$$", "a'b"),
        ("$x$a$$b$x$", "a$$b"),
    ] {
        assert_eq!(String::from_utf8(value(sql)).unwrap(), want, "{sql}");
    }
}

#[test]
fn a_borrowed_value_is_the_text_itself() {
    assert!(matches!(decode_string(b"'abc'", TokenKind::String), Cow::Borrowed(b"abc")));
    assert!(matches!(decode_string(b"e'abc'", TokenKind::EscapeString), Cow::Borrowed(b"abc")));
}

proptest::proptest! {
    #[test]
    fn any_bytes_decode_without_panic(text in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40)) {
        for kind in [TokenKind::String, TokenKind::EscapeString, TokenKind::UnicodeString, TokenKind::DollarString] {
            decode_string(&text, kind);
        }
    }
}
