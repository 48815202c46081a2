//! Tokens of SQL text with exactly the boundaries that Postgres's own scanner finds.
//!
//! Owns the lexical rules and byte spans; decodes nothing (`names`, `literal`) and knows no grammar. It never
//! allocates, and never panics on any bytes: what is not closed or not valid comes as a token kind that
//! says so, and the statement that holds it is one that Postgres refuses as a whole.
//!
//! Bytes are read as ASCII with opaque high-bit bytes, which holds for every encoding that
//! [`super::encoding::is_scannable`] accepts.
//! Source: src/backend/parser/scan.l of PostgreSQL 15.

use super::bytes::{
    Class, class, ident_end, is_ident_cont, is_ident_start, is_op_char, is_space, skip_while,
};

/// What a [`Token`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// An unquoted identifier or keyword.
    Word,
    /// `"..."`
    QuotedIdent,
    /// `U&"..."`
    UnicodeIdent,
    /// `'...'` without backslash escapes, with its continuations over newlines.
    String,
    /// `E'...'`, or `'...'` while `standard_conforming_strings` is off.
    EscapeString,
    /// `U&'...'`
    UnicodeString,
    /// `B'...'`
    BitString,
    /// `X'...'`
    HexString,
    /// The `N` in front of `N'...'`; the string is the next token.
    NationalPrefix,
    /// `$tag$...$tag$`
    DollarString,
    /// Digits only, of any length.
    Integer,
    /// A number with a point or exponent.
    Numeric,
    /// `$1`
    Param,
    /// Any operator, also a one-byte one such as `=`, `*` or `<`.
    Operator,
    /// `::`
    TypeCast,
    /// `:=`
    ColonEquals,
    /// `=>`
    EqualsGreater,
    /// `..`
    DotDot,
    /// `;`
    Semicolon,
    /// `(`
    ParenOpen,
    /// `)`
    ParenClose,
    /// `[`
    BracketOpen,
    /// `]`
    BracketClose,
    /// `,`
    Comma,
    /// `.`
    Dot,
    /// `:`
    Colon,
    /// `-- ...` without its newline.
    LineComment,
    /// `/* ... */`, nested.
    BlockComment,
    /// A byte that starts no token, such as a backslash or a lone `$`: always a syntax error.
    Other,
    /// A number with letters or a broken exponent behind it (`1x`, `1e+`).
    JunkNumber,
    /// A parameter with letters behind it (`$1x`).
    JunkParam,
    /// `""` or `U&""`: always an error.
    EmptyIdent,
    /// A quoted string (any prefix) without its end.
    UnterminatedString,
    /// A quoted identifier without its end.
    UnterminatedIdent,
    /// A dollar-quoted string without its end.
    UnterminatedDollar,
    /// A block comment without its end.
    UnterminatedComment,
}

impl TokenKind {
    /// Whether the token is a comment, which the grammar never sees.
    pub fn is_comment(self) -> bool {
        matches!(self, TokenKind::LineComment | TokenKind::BlockComment)
    }

    /// Whether the token is a character string constant (not a bit string).
    pub fn is_string(self) -> bool {
        matches!(
            self,
            TokenKind::String | TokenKind::EscapeString | TokenKind::UnicodeString | TokenKind::DollarString
        )
    }

    /// Whether Postgres's scanner itself refuses the token.
    pub fn is_error(self) -> bool {
        matches!(
            self,
            TokenKind::JunkNumber
                | TokenKind::JunkParam
                | TokenKind::EmptyIdent
                | TokenKind::UnterminatedString
                | TokenKind::UnterminatedIdent
                | TokenKind::UnterminatedDollar
                | TokenKind::UnterminatedComment
        )
    }
}

/// A token as a span of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Token {
    /// The token's bytes in the text it was read from; empty for another text that is too short.
    #[inline]
    pub fn text<'a>(&self, sql: &'a [u8]) -> &'a [u8] {
        sql.get(self.start..self.end).unwrap_or_default()
    }

    /// Whether it is the unquoted word `lower` (given in lower case).
    #[inline]
    pub fn is_word(&self, sql: &[u8], lower: &[u8]) -> bool {
        self.kind == TokenKind::Word && self.text(sql).eq_ignore_ascii_case(lower)
    }
}

/// Reads tokens one after the other, comments included, white space left out.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    sql: &'a [u8],
    at: usize,
    standard_conforming_strings: bool,
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    #[inline]
    fn next(&mut self) -> Option<Token> {
        self.next_token()
    }
}

impl<'a> Lexer<'a> {
    /// Starts at the first byte of `sql`.
    #[inline]
    pub fn new(sql: &'a [u8], standard_conforming_strings: bool) -> Self {
        Lexer { sql, at: 0, standard_conforming_strings }
    }

    /// Starts at byte `from`, which must be a token boundary.
    #[inline]
    pub fn starting_at(sql: &'a [u8], from: usize, standard_conforming_strings: bool) -> Self {
        Lexer { sql, at: from, standard_conforming_strings }
    }

    /// Where the next token is looked for.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next token that is not a comment.
    #[inline]
    pub fn next_significant(&mut self) -> Option<Token> {
        loop {
            let token = self.next_token()?;
            if !token.kind.is_comment() {
                return Some(token);
            }
        }
    }

    /// The next token or comment.
    #[inline(always)]
    pub(crate) fn next_token(&mut self) -> Option<Token> {
        let sql = self.sql;
        let mut start = self.at;
        let (first, class) = loop {
            let &byte = sql.get(start)?;
            let class = class(byte);
            if class != Class::Space {
                break (byte, class);
            }
            start += 1;
        };
        let (kind, end) = match class {
            Class::Word => {
                let end = ident_end(sql, start + 1);
                if end == start + 1 { self.after_one_letter(first, end) } else { (TokenKind::Word, end) }
            }
            Class::Space | Class::Other => (TokenKind::Other, start + 1),
            Class::Semicolon => (TokenKind::Semicolon, start + 1),
            Class::ParenOpen => (TokenKind::ParenOpen, start + 1),
            Class::ParenClose => (TokenKind::ParenClose, start + 1),
            Class::BracketOpen => (TokenKind::BracketOpen, start + 1),
            Class::BracketClose => (TokenKind::BracketClose, start + 1),
            Class::Comma => (TokenKind::Comma, start + 1),
            Class::Digit => number(sql, start),
            Class::Operator => operator(sql, start),
            Class::Minus if sql.get(start + 1) == Some(&b'-') => {
                (TokenKind::LineComment, line_end(sql, start))
            }
            Class::Slash if sql.get(start + 1) == Some(&b'*') => block_comment(sql, start),
            Class::Minus | Class::Slash => operator(sql, start),
            Class::Quote => self.plain_string(start + 1),
            Class::DoubleQuote => quoted_ident(sql, start + 1, TokenKind::QuotedIdent),
            Class::Dollar => dollar(sql, start),
            Class::Dot => match sql.get(start + 1) {
                Some(b'.') => (TokenKind::DotDot, start + 2),
                Some(b'0'..=b'9') => number(sql, start),
                _ => (TokenKind::Dot, start + 1),
            },
            Class::Colon => match sql.get(start + 1) {
                Some(b':') => (TokenKind::TypeCast, start + 2),
                Some(b'=') => (TokenKind::ColonEquals, start + 2),
                _ => (TokenKind::Colon, start + 1),
            },
        };
        self.at = end;
        Some(Token { kind, start, end })
    }

    /// A word of one letter may be the prefix of a string: `at` is the byte behind it.
    #[inline(never)]
    fn after_one_letter(&self, letter: u8, at: usize) -> (TokenKind, usize) {
        let sql = self.sql;
        match (letter, sql.get(at)) {
            (b'e' | b'E', Some(b'\'')) => string(sql, at + 1, TokenKind::EscapeString),
            (b'b' | b'B', Some(b'\'')) => string(sql, at + 1, TokenKind::BitString),
            (b'x' | b'X', Some(b'\'')) => string(sql, at + 1, TokenKind::HexString),
            (b'n' | b'N', Some(b'\'')) => (TokenKind::NationalPrefix, at),
            (b'u' | b'U', Some(b'&')) => match sql.get(at + 1) {
                Some(b'\'') => string(sql, at + 2, TokenKind::UnicodeString),
                Some(b'"') => quoted_ident(sql, at + 2, TokenKind::UnicodeIdent),
                _ => (TokenKind::Word, at),
            },
            _ => (TokenKind::Word, at),
        }
    }

    fn plain_string(&self, body: usize) -> (TokenKind, usize) {
        let kind = if self.standard_conforming_strings { TokenKind::String } else { TokenKind::EscapeString };
        string(self.sql, body, kind)
    }
}

/// The end of the line that `at` is in, its newline not included.
fn line_end(sql: &[u8], at: usize) -> usize {
    let rest = sql.get(at..).unwrap_or_default();
    memchr::memchr2(b'\n', b'\r', rest).map_or(sql.len(), |found| at + found)
}

/// A quoted string of any prefix, from the byte behind its opening quote.
fn string(sql: &[u8], body: usize, kind: TokenKind) -> (TokenKind, usize) {
    let has_escapes = kind == TokenKind::EscapeString;
    let has_doubling = !matches!(kind, TokenKind::BitString | TokenKind::HexString);
    let mut at = body;
    loop {
        let rest = sql.get(at..).unwrap_or_default();
        let found =
            if has_escapes { memchr::memchr2(b'\'', b'\\', rest) } else { memchr::memchr(b'\'', rest) };
        let Some(found) = found else {
            return (TokenKind::UnterminatedString, sql.len());
        };
        at += found;
        if sql.get(at) == Some(&b'\\') {
            at = (at + 2).min(sql.len());
        } else if has_doubling && sql.get(at + 1) == Some(&b'\'') {
            at += 2;
        } else if let Some(next) = continuation(sql, at + 1) {
            at = next;
        } else {
            return (kind, at + 1);
        }
    }
}

/// Where the body of a string goes on, if behind its closing quote (`at` is the byte after it) there is
/// white space with a newline, comments allowed, and another quote.
pub(crate) fn continuation(sql: &[u8], mut at: usize) -> Option<usize> {
    let mut has_newline = false;
    loop {
        match *sql.get(at)? {
            b'\'' => return has_newline.then_some(at + 1),
            b'\n' | b'\r' => {
                has_newline = true;
                at += 1;
            }
            b'-' if sql.get(at + 1) == Some(&b'-') => at = line_end(sql, at),
            byte if is_space(byte) => at += 1,
            _ => return None,
        }
    }
}

/// A quoted identifier, from the byte behind its opening quote.
fn quoted_ident(sql: &[u8], body: usize, kind: TokenKind) -> (TokenKind, usize) {
    let mut at = body;
    loop {
        let Some(found) = memchr::memchr(b'"', sql.get(at..).unwrap_or_default()) else {
            return (TokenKind::UnterminatedIdent, sql.len());
        };
        at += found + 1;
        if sql.get(at) == Some(&b'"') {
            at += 1;
        } else if at == body + 1 {
            return (TokenKind::EmptyIdent, at);
        } else {
            return (kind, at);
        }
    }
}

/// `$1`, `$tag$...$tag$`, or a lone dollar sign.
fn dollar(sql: &[u8], start: usize) -> (TokenKind, usize) {
    let second = sql.get(start + 1).copied().unwrap_or(b' ');
    if second.is_ascii_digit() {
        let end = skip_while(sql, start + 2, |byte| byte.is_ascii_digit());
        return match sql.get(end) {
            Some(&byte) if is_ident_start(byte) => {
                (TokenKind::JunkParam, skip_while(sql, end, is_ident_cont))
            }
            _ => (TokenKind::Param, end),
        };
    }
    let tag_end = if is_ident_start(second) {
        skip_while(sql, start + 2, |byte| byte != b'$' && is_ident_cont(byte))
    } else {
        start + 1
    };
    if sql.get(tag_end) != Some(&b'$') {
        return (TokenKind::Other, start + 1);
    }
    let body = tag_end + 1;
    let delimiter = sql.get(start..body).unwrap_or_default();
    match memchr::memmem::find(sql.get(body..).unwrap_or_default(), delimiter) {
        Some(found) => (TokenKind::DollarString, body + found + delimiter.len()),
        None => (TokenKind::UnterminatedDollar, sql.len()),
    }
}

/// A nested comment, from its slash.
fn block_comment(sql: &[u8], start: usize) -> (TokenKind, usize) {
    let mut depth = 1usize;
    let mut at = start + 2;
    loop {
        let Some(found) = memchr::memchr2(b'*', b'/', sql.get(at..).unwrap_or_default()) else {
            return (TokenKind::UnterminatedComment, sql.len());
        };
        at += found;
        match (sql.get(at), sql.get(at + 1)) {
            (Some(b'*'), Some(b'/')) => {
                at += 2;
                depth -= 1;
                if depth == 0 {
                    return (TokenKind::BlockComment, at);
                }
            }
            (Some(b'/'), Some(b'*')) => {
                at += 2;
                depth += 1;
            }
            _ => at += 1,
        }
    }
}

/// A number, from its first digit or point. The longest of `scan.l`'s rules wins, as in flex.
#[inline]
pub(crate) fn number(sql: &[u8], start: usize) -> (TokenKind, usize) {
    let is_digit = |byte: u8| byte.is_ascii_digit();
    let mut end = skip_while(sql, start, is_digit);
    let mut kind = TokenKind::Integer;
    if sql.get(end) == Some(&b'.') {
        if end > start && sql.get(end + 1) == Some(&b'.') {
            // `1..10` is 1, dot_dot, 10.
            return (kind, end);
        }
        kind = TokenKind::Numeric;
        end = skip_while(sql, end + 1, is_digit);
    }
    match sql.get(end) {
        Some(&byte) if is_ident_start(byte) => after_number(sql, end, byte),
        _ => (kind, end),
    }
}

/// The exponent, or the junk, that starts with `byte` at `at` behind a number.
fn after_number(sql: &[u8], at: usize, byte: u8) -> (TokenKind, usize) {
    let word_end = skip_while(sql, at, is_ident_cont);
    if !matches!(byte, b'e' | b'E') {
        return (TokenKind::JunkNumber, word_end);
    }
    let is_signed = matches!(sql.get(at + 1), Some(b'+' | b'-'));
    let digits = if is_signed { at + 2 } else { at + 1 };
    let end = skip_while(sql, digits, |byte| byte.is_ascii_digit());
    if end == digits {
        return (TokenKind::JunkNumber, if is_signed { digits } else { word_end });
    }
    if is_signed {
        return match sql.get(end) {
            Some(&next) if is_ident_start(next) => {
                (TokenKind::JunkNumber, skip_while(sql, end, is_ident_cont))
            }
            _ => (TokenKind::Numeric, end),
        };
    }
    if word_end > end { (TokenKind::JunkNumber, word_end) } else { (TokenKind::Numeric, end) }
}

/// An operator: the longest run of operator bytes, cut before a comment, and without trailing `+` and `-`
/// unless it holds a byte that no SQL operator has.
#[inline(always)]
pub(crate) fn operator(sql: &[u8], start: usize) -> (TokenKind, usize) {
    match sql.get(start + 1) {
        Some(&byte) if is_op_char(byte) => long_operator(sql, start),
        _ => (TokenKind::Operator, start + 1),
    }
}

#[inline(never)]
fn long_operator(sql: &[u8], start: usize) -> (TokenKind, usize) {
    let run_end = skip_while(sql, start, is_op_char);
    let run = sql.get(start..run_end).unwrap_or_default();
    let comment = run.windows(2).position(|pair| pair == b"/*" || pair == b"--");
    let mut len = comment.unwrap_or(run.len());
    let text = run.get(..len).unwrap_or_default();
    let is_signed = len > 1 && matches!(text.last(), Some(b'+' | b'-'));
    let is_postgres_only =
        |byte: &u8| matches!(byte, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%');
    if is_signed && !text.iter().take(len - 1).any(is_postgres_only) {
        while len > 1 && matches!(run.get(len - 1), Some(b'+' | b'-')) {
            len -= 1;
        }
    }
    let kind = if run.get(..len) == Some(b"=>") { TokenKind::EqualsGreater } else { TokenKind::Operator };
    (kind, start + len)
}

#[cfg(test)]
#[path = "lexer_tests.rs"]
mod tests;
