//! The value of a string constant, and what it says to `scan`.
//!
//! Owns the decoding of every string syntax (`'...'`, `E''`, `U&''`, `$$`); it takes well-formed tokens of
//! the lexer and never fails: what Postgres would refuse inside a string decodes to something, and Postgres
//! refuses the statement.
//! Source: src/backend/parser/scan.l and parser.c (str_udeescape) of PostgreSQL 15.

use super::effects::Effects;
use super::lexer::{TokenKind, continuation};
use std::borrow::Cow;

/// Longer strings are refused by the date and time parsers (MAXDATELEN and its work buffer).
const DATETIME_BYTES_MAX: usize = 256;

/// Decodes the token `text` of a string kind to its value, in the client's encoding except that Unicode
/// escapes give UTF-8. Borrows where the value stands in the text as it is.
///
/// `U&'...'` is decoded with the escape character `\`; see [`decode_unicode`] for UESCAPE.
pub fn decode_string(text: &[u8], kind: TokenKind) -> Cow<'_, [u8]> {
    match kind {
        TokenKind::DollarString => Cow::Borrowed(dollar_body(text)),
        TokenKind::EscapeString => decode_escape(quoted_body(text)),
        TokenKind::UnicodeString => decode_unicode(&undouble(quoted_body(text), b'\''), b'\\').into(),
        _ => undouble(quoted_body(text), b'\''),
    }
}

/// What lies between the first and the last quote.
fn quoted_body(text: &[u8]) -> &[u8] {
    let start = memchr::memchr(b'\'', text).map_or(0, |at| at + 1);
    let end = memchr::memrchr(b'\'', text).unwrap_or(text.len());
    text.get(start..end).unwrap_or_default()
}

fn dollar_body(text: &[u8]) -> &[u8] {
    let tag = text.iter().skip(1).position(|&byte| byte == b'$').map_or(0, |at| at + 2);
    text.get(tag..text.len().saturating_sub(tag)).unwrap_or_default()
}

/// Makes doubled quotes single, and joins a string that was continued over newlines.
pub(crate) fn undouble(body: &[u8], quote: u8) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(quote, body) else {
        return Cow::Borrowed(body);
    };
    let mut value = Vec::with_capacity(body.len());
    let mut at = 0;
    let mut found = Some(first);
    while let Some(here) = found {
        value.extend_from_slice(body.get(at..here).unwrap_or_default());
        at = after_inner_quote(body, here, quote, &mut value);
        found = memchr::memchr(quote, body.get(at..).unwrap_or_default()).map(|next| at + next);
    }
    value.extend_from_slice(body.get(at..).unwrap_or_default());
    Cow::Owned(value)
}

/// Where the body goes on behind a quote inside it, which is a doubled one or a continuation.
fn after_inner_quote(body: &[u8], at: usize, quote: u8, value: &mut Vec<u8>) -> usize {
    match continuation(body, at + 1) {
        Some(next) if body.get(at + 1) != Some(&quote) => next,
        _ => {
            value.push(quote);
            at + 2
        }
    }
}

fn decode_escape(body: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'\'', b'\\', body).is_none() {
        return Cow::Borrowed(body);
    }
    let mut value = Vec::with_capacity(body.len());
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        match byte {
            b'\'' => at = after_inner_quote(body, at, b'\'', &mut value),
            b'\\' => at = escape(body, at + 1, &mut value),
            _ => {
                value.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(value)
}

/// Decodes the escape whose backslash is before `at`; the answer is where the body goes on.
fn escape(body: &[u8], at: usize, value: &mut Vec<u8>) -> usize {
    let Some(&byte) = body.get(at) else {
        value.push(b'\\');
        return at;
    };
    match byte {
        b'0'..=b'7' => {
            let (code, end) = digits(body, at, 3, 8);
            value.push((code & 0xff) as u8);
            return end;
        }
        b'x' => {
            let (code, end) = digits(body, at + 1, 2, 16);
            if end > at + 1 {
                value.push((code & 0xff) as u8);
                return end;
            }
            value.push(b'x');
        }
        b'u' => return unicode_escape(body, at + 1, 4, value),
        b'U' => return unicode_escape(body, at + 1, 8, value),
        b'b' => value.push(0x08),
        b'f' => value.push(0x0c),
        b'n' => value.push(b'\n'),
        b'r' => value.push(b'\r'),
        b't' => value.push(b'\t'),
        _ => value.push(byte),
    }
    at + 1
}

/// Reads up to `most` digits of base `radix`; the answer is their number and where they end.
fn digits(body: &[u8], at: usize, most: usize, radix: u32) -> (u32, usize) {
    let mut code = 0u32;
    let mut end = at;
    while end < at + most {
        let Some(digit) = body.get(end).and_then(|&byte| char::from(byte).to_digit(radix)) else {
            break;
        };
        code = code.wrapping_mul(radix).wrapping_add(digit);
        end += 1;
    }
    (code, end)
}

/// A code point of exactly `len` hexadecimal digits, with its second surrogate where it is a first one.
fn unicode_escape(body: &[u8], at: usize, len: usize, value: &mut Vec<u8>) -> usize {
    let (code, end) = digits(body, at, len, 16);
    if (0xd800..0xdc00).contains(&code) && body.get(end) == Some(&b'\\') {
        let len = if body.get(end + 1) == Some(&b'U') { 8 } else { 4 };
        let (low, low_end) = digits(body, end + 2, len, 16);
        push_code(0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff), value);
        return low_end;
    }
    push_code(code, value);
    end
}

fn push_code(code: u32, value: &mut Vec<u8>) {
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    value.extend_from_slice(character.encode_utf8(&mut [0u8; 4]).as_bytes());
}

/// Decodes the `\XXXX` and `\+XXXXXX` escapes of a `U&` string or identifier, with the given escape byte.
pub fn decode_unicode(body: &[u8], escape_byte: u8) -> Vec<u8> {
    let mut value = Vec::with_capacity(body.len());
    let mut high: Option<u32> = None;
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        at += 1;
        if byte != escape_byte {
            value.push(byte);
            continue;
        }
        let (code, end) = match body.get(at) {
            Some(&next) if next == escape_byte => {
                value.push(escape_byte);
                at += 1;
                continue;
            }
            Some(b'+') => digits(body, at + 1, 6, 16),
            _ => digits(body, at, 4, 16),
        };
        at = end;
        match high.take() {
            Some(first) => push_code(0x10000 + ((first & 0x3ff) << 10) + (code & 0x3ff), &mut value),
            None if (0xd800..0xdc00).contains(&code) => high = Some(code),
            None => push_code(code, &mut value),
        }
    }
    value
}

/// What the value of a string says: a date word, or the schema `pg_temp`.
///
/// A `U&` string with UESCAPE is taken for one with a date word in it, as its escapes are not known here.
pub(crate) fn effects_of_string(text: &[u8], kind: TokenKind) -> Effects {
    let value = decode_string(text, kind);
    let mut effects = Effects::NONE;
    if value.len() <= DATETIME_BYTES_MAX && has_datetime_word(&value) {
        effects |= Effects::DATETIME_WORD;
    }
    if mentions_temp_schema(&value) {
        effects |= Effects::TEMP;
    }
    if kind == TokenKind::UnicodeString {
        effects |= Effects::DATETIME_WORD;
    }
    effects
}

fn has_datetime_word(value: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&byte) = value.get(at) {
        if !byte.is_ascii_alphabetic() {
            at += 1;
            continue;
        }
        let rest = value.get(at..).unwrap_or_default();
        let len = rest.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len());
        if (3..=9).contains(&len) && matches!(byte | 0x20, b'n' | b't' | b'y') {
            let word = rest.get(..len).unwrap_or_default();
            let words: [&[u8]; 4] = [b"now", b"today", b"tomorrow", b"yesterday"];
            if words.iter().any(|known| word.eq_ignore_ascii_case(known)) {
                return true;
            }
        }
        at += len;
    }
    false
}

/// Looks for `pg_temp` in any case, at every underscore.
fn mentions_temp_schema(value: &[u8]) -> bool {
    memchr::memchr_iter(b'_', value).any(|at| {
        at.checked_sub(2)
            .and_then(|start| value.get(start..at + 5))
            .is_some_and(|word| word.eq_ignore_ascii_case(b"pg_temp"))
    })
}

#[cfg(test)]
#[path = "literal_tests.rs"]
mod tests;
