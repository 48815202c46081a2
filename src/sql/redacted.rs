//! A statement as logs may show it: without any literal or comment.

use super::lexer::{Lexer, TokenKind};

/// Longest text that is given, in bytes.
const BYTES_MAX: usize = 1000;

/// The statement's tokens with one space between, every constant written as `?`, cut after 1,000 bytes.
///
/// What cannot be read, such as an unterminated string, ends the text with `...`; so does what is read in two
/// ways by sessions with and without `standard_conforming_strings`, for it may have been set in between.
pub fn redacted(sql: &[u8]) -> String {
    let (one, other) = (tokens(sql, true), tokens(sql, false));
    if one == other {
        return String::from_utf8_lossy(&one).into_owned();
    }
    let same = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let words = one.get(..same).and_then(|same| memchr::memrchr(b' ', same)).unwrap_or(0);
    String::from_utf8_lossy(one.get(..words).unwrap_or_default()).into_owned() + " ..."
}

fn tokens(sql: &[u8], standard_conforming_strings: bool) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    // Behind SET, a word may be a value, too.
    let (mut is_set, mut is_value, mut is_first) = (false, false, true);
    for token in Lexer::new(sql, standard_conforming_strings) {
        if token.kind.is_comment() {
            continue;
        }
        if out.len() > BYTES_MAX || token.kind.is_error() {
            out.extend_from_slice(b" ...");
            break;
        }
        let is_literal = token.kind.is_string()
            || matches!(
                token.kind,
                TokenKind::Integer | TokenKind::Numeric | TokenKind::BitString | TokenKind::HexString
            );
        let text = token.text(sql);
        let is_word =
            matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent | TokenKind::UnicodeIdent);
        let is_hidden = is_literal || (is_value && is_word);
        is_set = if is_first { text.eq_ignore_ascii_case(b"set") } else { is_set };
        is_value |= is_set && (text == b"=" || text.eq_ignore_ascii_case(b"to"));
        is_first = token.kind == TokenKind::Semicolon;
        is_value &= !is_first;
        let text = if is_hidden { b"?" } else { text };
        let glued = matches!(
            token.kind,
            TokenKind::Dot | TokenKind::Comma | TokenKind::ParenClose | TokenKind::Semicolon
        ) || out.last().is_some_and(|last| matches!(last, b'.' | b'('));
        if !out.is_empty() && !glued {
            out.push(b' ');
        }
        out.extend_from_slice(text);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn no_literal_and_no_comment_is_left() {
        let sql =
            b"select f(-12.5, 'se''cret', E'x\\'y', $$z$$) /* secret */ from \"T\".u where a=B'01' -- s\n";
        assert_eq!(redacted(sql), "select f (- ?, ?, ?, ?) from \"T\".u where a = ?");
    }

    #[test]
    fn what_is_unterminated_is_not_shown() {
        assert_eq!(redacted(b"select 'secret"), "select ...");
    }

    #[test]
    fn a_value_of_set_is_no_name() {
        let sql = b"set app.key = hunter2, \"x\"; set local a to b; update t set a = b";
        assert_eq!(redacted(sql), "set app.key = ?, ?; set local a to ?; update t set a = b");
    }

    #[test]
    fn what_depends_on_standard_conforming_strings_is_not_shown() {
        assert_eq!(redacted(b"select a, 'x\\', 'secret', b"), "select a, ...");
        assert_eq!(redacted(b"select 'x\\ny', b"), "select ?, b");
    }
}
