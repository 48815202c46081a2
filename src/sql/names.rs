//! Names as Postgres decodes identifiers, and a cursor over a statement's tokens that reads them.
//!
//! Owns the decoding of identifiers and the small grammar of names and strings that `settings`, `prepared` and
//! `transaction` share.
//! Source: src/backend/parser/scansup.c of PostgreSQL 15.

use super::lexer::{Lexer, Token, TokenKind};
use super::literal::{decode_string, decode_unicode, undouble};
use std::borrow::Cow;

/// The longest name in bytes (NAMEDATALEN - 1).
pub const NAME_BYTES_MAX: usize = 63;

/// Decodes the text of an identifier token: an unquoted one lowered (ASCII only), a quoted one without its
/// quotes, a `U&"..."` unescaped with `\`, each cut to 63 bytes before a character that would be split.
pub fn decode_identifier(text: &[u8], kind: TokenKind) -> Vec<u8> {
    decode_with_escape(text, kind, b'\\')
}

fn decode_with_escape(text: &[u8], kind: TokenKind, escape: u8) -> Vec<u8> {
    let mut name = match kind {
        TokenKind::QuotedIdent => undouble(inner(text, 1), b'"').into_owned(),
        TokenKind::UnicodeIdent => decode_unicode(&undouble(inner(text, 3), b'"'), escape),
        _ => text.to_ascii_lowercase(),
    };
    truncate(&mut name);
    name
}

fn inner(text: &[u8], prefix: usize) -> &[u8] {
    text.get(prefix..text.len().saturating_sub(1)).unwrap_or_default()
}

/// Cuts a name to [`NAME_BYTES_MAX`] bytes, at a character's boundary if it is UTF-8.
fn truncate(name: &mut Vec<u8>) {
    if name.len() > NAME_BYTES_MAX {
        let mut end = NAME_BYTES_MAX;
        while end > NAME_BYTES_MAX - 4 && name.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
            end -= 1;
        }
        name.truncate(end);
    }
}

/// A decoded name and the bytes it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// As Postgres stores it.
    pub name: Vec<u8>,
    /// First byte in the statement.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// Reads a statement's tokens in order, comments left out.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    sql: &'a [u8],
    lexer: Lexer<'a>,
    next: Option<Token>,
    last_end: usize,
    standard_conforming_strings: bool,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(sql: &'a [u8], standard_conforming_strings: bool) -> Self {
        let mut lexer = Lexer::new(sql, standard_conforming_strings);
        let next = lexer.next_significant();
        Cursor { sql, lexer, next, last_end: 0, standard_conforming_strings }
    }

    pub(crate) fn peek(&self) -> Option<Token> {
        self.next
    }

    pub(crate) fn peek_kind(&self) -> Option<TokenKind> {
        self.next.map(|token| token.kind)
    }

    pub(crate) fn next(&mut self) -> Option<Token> {
        let token = self.next;
        self.last_end = token.map_or(self.last_end, |token| token.end);
        self.next = self.lexer.next_significant();
        token
    }

    pub(crate) fn text(&self, token: Token) -> &'a [u8] {
        token.text(self.sql)
    }

    /// Whether the next token is the unquoted word `lower`.
    pub(crate) fn is_at(&self, lower: &[u8]) -> bool {
        self.next.is_some_and(|token| token.is_word(self.sql, lower))
    }

    /// Whether the token behind the next one is the unquoted word `lower`.
    pub(crate) fn is_followed_by(&self, lower: &[u8]) -> bool {
        self.second().is_some_and(|token| token.is_word(self.sql, lower))
    }

    /// The token behind the next one.
    pub(crate) fn second(&self) -> Option<Token> {
        self.lexer.clone().next_significant()
    }

    pub(crate) fn eat(&mut self, lower: &[u8]) -> bool {
        let found = self.is_at(lower);
        if found {
            self.next();
        }
        found
    }

    /// Eats all of `words`, or nothing.
    pub(crate) fn eat_all(&mut self, words: &[&[u8]]) -> bool {
        let mut ahead = self.clone();
        let found = words.iter().all(|word| ahead.eat(word));
        if found {
            *self = ahead;
        }
        found
    }

    pub(crate) fn eat_kind(&mut self, kind: TokenKind) -> bool {
        let found = self.peek_kind() == Some(kind);
        if found {
            self.next();
        }
        found
    }

    pub(crate) fn eat_operator(&mut self, operator: &[u8]) -> bool {
        let found =
            self.next.is_some_and(|token| token.kind == TokenKind::Operator && self.text(token) == operator);
        if found {
            self.next();
        }
        found
    }

    /// The end of the last token that was read; 0 before the first.
    pub(crate) fn last_end(&self) -> usize {
        self.last_end
    }

    /// Whether nothing but a semicolon is left.
    pub(crate) fn is_at_end(&self) -> bool {
        match self.next {
            None => true,
            Some(token) => token.kind == TokenKind::Semicolon && self.second().is_none(),
        }
    }

    /// An identifier in any syntax; unquoted keywords pass too.
    pub(crate) fn name(&mut self) -> Option<Name> {
        let token = self.next?;
        if !matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent | TokenKind::UnicodeIdent) {
            return None;
        }
        self.next();
        let escape = self.escape_of(token.kind)?;
        let name = decode_with_escape(self.text(token), token.kind, escape);
        Some(Name { name, start: token.start, end: token.end })
    }

    /// The value of a string constant in any syntax but `N'...'`, which the grammar takes only in expressions.
    ///
    /// None also for a `U&'...'` that Postgres refuses while `standard_conforming_strings` is off, and for
    /// one whose escapes make characters outside ASCII, for these depend on the encoding.
    pub(crate) fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        let token = self.next.filter(|token| token.kind.is_string())?;
        if token.kind == TokenKind::UnicodeString && !self.standard_conforming_strings {
            return None;
        }
        let text = self.text(token);
        self.next();
        let value = match (token.kind, self.escape_of(token.kind)?) {
            (TokenKind::UnicodeString, escape) if escape != b'\\' => {
                Cow::Owned(decode_unicode(&undouble(inner(text, 3), b'\''), escape))
            }
            _ => decode_string(text, token.kind),
        };
        let is_encoded = matches!(token.kind, TokenKind::UnicodeString | TokenKind::EscapeString)
            && text.contains(&b'\\')
            && !value.is_ascii();
        (!is_encoded).then_some(value)
    }

    /// The escape byte of a `U&` token that was just read: that of `UESCAPE 'c'`, if it follows.
    fn escape_of(&mut self, kind: TokenKind) -> Option<u8> {
        if !matches!(kind, TokenKind::UnicodeIdent | TokenKind::UnicodeString) || !self.eat(b"uescape") {
            return Some(b'\\');
        }
        let token = self.next().filter(|token| token.kind.is_string())?;
        match decode_string(self.text(token), token.kind).as_ref() {
            [escape] => Some(*escape),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(sql: &str) -> Vec<u8> {
        Cursor::new(sql.as_bytes(), true).name().unwrap().name
    }

    #[test]
    fn names_decode_as_postgres_stores_them() {
        assert_eq!(name("FooBar"), b"foobar");
        assert_eq!(name("\"Foo\"\"Bar\""), b"Foo\"Bar");
        assert_eq!(name("U&\"d\\0061t\\+000061\""), b"data");
        assert_eq!(name("U&\"d!0061\" uescape '!'"), b"da");
        assert_eq!(name(&"a".repeat(70)), "a".repeat(63).as_bytes());
        assert_eq!(name(&format!("\"{}\"", "é".repeat(40))), "é".repeat(31).as_bytes());
    }

    #[test]
    fn strings_whose_value_depends_on_the_encoding_are_not_read() {
        for (sql, want) in [
            ("'é'", Some("é")),
            (r"e'\u00e9'", None),
            (r"e'a\n'", Some("a\n")),
            (r"U&'a!0062' uescape '!'", Some("ab")),
            ("n'x'", None),
            ("$$x$$", Some("x")),
            ("x", None),
        ] {
            let value = Cursor::new(sql.as_bytes(), true).string();
            assert_eq!(value.as_deref(), want.map(str::as_bytes), "{sql}");
        }
    }
}
