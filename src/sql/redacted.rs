//! A statement as logs may show it: without any literal or comment.

use super::lexer::{Lexer, TokenKind};

/// Longest text that is given, in bytes.
const BYTES_MAX: usize = 1000;

/// The statement's tokens with one space between, every constant written as `?`, cut after 1,000 bytes.
///
/// What cannot be read, such as an unterminated string, ends the text with `...`.
pub fn redacted(sql: &[u8], standard_conforming_strings: bool) -> String {
    let mut out: Vec<u8> = Vec::new();
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
        let text = if is_literal { b"?" } else { token.text(sql) };
        let glued = matches!(
            token.kind,
            TokenKind::Dot | TokenKind::Comma | TokenKind::ParenClose | TokenKind::Semicolon
        ) || out.last().is_some_and(|last| matches!(last, b'.' | b'('));
        if !out.is_empty() && !glued {
            out.push(b' ');
        }
        out.extend_from_slice(text);
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn no_literal_and_no_comment_is_left() {
        let sql =
            b"select f(-12.5, 'se''cret', E'x\\'y', $$z$$) /* secret */ from \"T\".u where a=B'01' -- s\n";
        assert_eq!(redacted(sql, true), "select f (- ?, ?, ?, ?) from \"T\".u where a = ?");
    }

    #[test]
    fn what_is_unterminated_is_not_shown() {
        assert_eq!(redacted(b"select 'secret", true), "select ...");
    }
}
