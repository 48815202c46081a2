//! Classes of single bytes, as `scan.l` sees them: one table look-up per byte of SQL.
//!
//! Owns the byte table and the tests that read it; knows nothing of tokens.
//! Source: src/backend/parser/scan.l of PostgreSQL 15, definitions section.

/// What a token that starts with this byte can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Class {
    // The first three continue an identifier.
    Word,
    Digit,
    Dollar,
    Other,
    Space,
    Quote,
    DoubleQuote,
    Operator,
    Minus,
    Slash,
    Semicolon,
    ParenOpen,
    ParenClose,
    BracketOpen,
    BracketClose,
    Comma,
    Dot,
    Colon,
}

const fn class_of(byte: u8) -> Class {
    match byte {
        // Postgres 16 added the vertical tab to the white space; Postgres 15 refuses a statement that
        // has one outside quotes, so that reading it as white space is right for both.
        b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => Class::Space,
        b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => Class::Word,
        b'0'..=b'9' => Class::Digit,
        b'\'' => Class::Quote,
        b'"' => Class::DoubleQuote,
        b'$' => Class::Dollar,
        b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'*' | b'%' | b'<' | b'>'
        | b'=' => Class::Operator,
        b'-' => Class::Minus,
        b'/' => Class::Slash,
        b';' => Class::Semicolon,
        b'(' => Class::ParenOpen,
        b')' => Class::ParenClose,
        b'[' => Class::BracketOpen,
        b']' => Class::BracketClose,
        b',' => Class::Comma,
        b'.' => Class::Dot,
        b':' => Class::Colon,
        _ => Class::Other,
    }
}

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time, where a bad index cannot build")]
const fn build() -> [Class; 256] {
    let mut table = [Class::Other; 256];
    let mut index = 0usize;
    while index < 256 {
        table[index] = class_of(index as u8);
        index += 1;
    }
    table
}

static TABLE: [Class; 256] = build();

/// The class of the token that `byte` starts.
#[inline(always)]
pub(crate) fn class(byte: u8) -> Class {
    TABLE.get(usize::from(byte)).copied().unwrap_or(Class::Other)
}

/// Whether `byte` continues an identifier: letter, digit, underscore, dollar or high-bit byte.
#[inline(always)]
pub(crate) fn is_ident_cont(byte: u8) -> bool {
    class(byte) as u8 <= Class::Dollar as u8
}

/// Whether `byte` starts an identifier: letter, underscore or high-bit byte.
#[inline(always)]
pub(crate) fn is_ident_start(byte: u8) -> bool {
    class(byte) == Class::Word
}

/// Whether `byte` can be part of an operator.
#[inline(always)]
pub(crate) fn is_op_char(byte: u8) -> bool {
    matches!(class(byte), Class::Operator | Class::Minus | Class::Slash)
}

/// Whether `byte` is white space.
#[inline(always)]
pub(crate) fn is_space(byte: u8) -> bool {
    class(byte) == Class::Space
}

/// The end of the identifier whose bytes go on at `from`, by [`is_ident_cont`].
///
/// Eight bytes at a time need one bounds check, and half the instructions of a plain loop.
#[inline(always)]
pub(crate) fn ident_end(sql: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(&last) = sql.get(at + 7) {
        let chunk = sql.get(at..at + 7).unwrap_or_default();
        for (offset, &byte) in chunk.iter().enumerate() {
            if !is_ident_cont(byte) {
                return at + offset;
            }
        }
        if !is_ident_cont(last) {
            return at + 7;
        }
        at += 8;
    }
    skip_while(sql, at, is_ident_cont)
}

/// The first position from `from` on whose byte does not satisfy `test`, or the end.
#[inline(always)]
pub(crate) fn skip_while(sql: &[u8], from: usize, test: impl Fn(u8) -> bool) -> usize {
    let mut at = from;
    while let Some(&byte) = sql.get(at) {
        if !test(byte) {
            break;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bytes_at_a_time_agree_with_the_table() {
        for byte in 0..=255u8 {
            for place in 0..16 {
                let mut text = *b"aZ_09$zA\xc3\xbfxyzXYZq";
                text[place] = byte;
                assert_eq!(ident_end(&text, 0), skip_while(&text, 0, is_ident_cont), "{byte} at {place}");
            }
        }
    }

    #[test]
    fn every_class_number_reads_back_as_itself() {
        for (byte, want) in [
            (b' ', Class::Space),
            (b'a', Class::Word),
            (0xc3, Class::Word),
            (b'7', Class::Digit),
            (b'\'', Class::Quote),
            (b'"', Class::DoubleQuote),
            (b'$', Class::Dollar),
            (b'=', Class::Operator),
            (b'-', Class::Minus),
            (b'/', Class::Slash),
            (b';', Class::Semicolon),
            (b'(', Class::ParenOpen),
            (b')', Class::ParenClose),
            (b'[', Class::BracketOpen),
            (b']', Class::BracketClose),
            (b',', Class::Comma),
            (b'.', Class::Dot),
            (b':', Class::Colon),
            (b'\\', Class::Other),
            (0, Class::Other),
        ] {
            assert_eq!(class(byte), want, "{byte}");
        }
    }
}
