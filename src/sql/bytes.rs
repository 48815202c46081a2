//! Classes of single bytes, as `scan.l` sees them: one table look-up per byte of SQL.
//!
//! Owns the byte table and the tests that read it; knows nothing of tokens.
//! Source: src/backend/parser/scan.l of PostgreSQL 15, definitions section.

/// What a token that starts with this byte can be (the low five bits of a table entry).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Class {
    Other = 0,
    Space,
    Word,
    Digit,
    Quote,
    DoubleQuote,
    Dollar,
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

const IDENT_CONT: u8 = 0x80;
const OP_CHAR: u8 = 0x40;
const SPACE: u8 = 0x20;
const CLASS: u8 = 0x1f;

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time, where a bad index cannot build")]
const fn build() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut index = 0usize;
    while index < 256 {
        let byte = index as u8;
        let is_letter = byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80;
        table[index] = if is_letter {
            Class::Word as u8 | IDENT_CONT
        } else if byte.is_ascii_digit() {
            Class::Digit as u8 | IDENT_CONT
        } else {
            punctuation(byte)
        };
        index += 1;
    }
    table
}

const fn punctuation(byte: u8) -> u8 {
    match byte {
        // Postgres 16 added the vertical tab to the white space; Postgres 15 refuses a statement that
        // has one outside quotes, so that reading it as white space is right for both.
        b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => Class::Space as u8 | SPACE,
        b'\'' => Class::Quote as u8,
        b'"' => Class::DoubleQuote as u8,
        b'$' => Class::Dollar as u8 | IDENT_CONT,
        b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'*' | b'%' | b'<' | b'>'
        | b'=' => Class::Operator as u8 | OP_CHAR,
        b'-' => Class::Minus as u8 | OP_CHAR,
        b'/' => Class::Slash as u8 | OP_CHAR,
        b';' => Class::Semicolon as u8,
        b'(' => Class::ParenOpen as u8,
        b')' => Class::ParenClose as u8,
        b'[' => Class::BracketOpen as u8,
        b']' => Class::BracketClose as u8,
        b',' => Class::Comma as u8,
        b'.' => Class::Dot as u8,
        b':' => Class::Colon as u8,
        _ => Class::Other as u8,
    }
}

static TABLE: [u8; 256] = build();

#[inline(always)]
fn entry(byte: u8) -> u8 {
    TABLE.get(usize::from(byte)).copied().unwrap_or(0)
}

/// The class of the token that `byte` starts.
#[inline(always)]
pub(crate) fn class(byte: u8) -> Class {
    match entry(byte) & CLASS {
        1 => Class::Space,
        2 => Class::Word,
        3 => Class::Digit,
        4 => Class::Quote,
        5 => Class::DoubleQuote,
        6 => Class::Dollar,
        7 => Class::Operator,
        8 => Class::Minus,
        9 => Class::Slash,
        10 => Class::Semicolon,
        11 => Class::ParenOpen,
        12 => Class::ParenClose,
        13 => Class::BracketOpen,
        14 => Class::BracketClose,
        15 => Class::Comma,
        16 => Class::Dot,
        17 => Class::Colon,
        _ => Class::Other,
    }
}

/// Whether `byte` continues an identifier: letter, digit, underscore, dollar or high-bit byte.
#[inline(always)]
pub(crate) fn is_ident_cont(byte: u8) -> bool {
    entry(byte) & IDENT_CONT != 0
}

/// Whether `byte` starts an identifier: letter, underscore or high-bit byte.
#[inline(always)]
pub(crate) fn is_ident_start(byte: u8) -> bool {
    entry(byte) & CLASS == Class::Word as u8
}

/// Whether `byte` can be part of an operator.
#[inline(always)]
pub(crate) fn is_op_char(byte: u8) -> bool {
    entry(byte) & OP_CHAR != 0
}

/// Whether `byte` is white space.
#[inline(always)]
pub(crate) fn is_space(byte: u8) -> bool {
    entry(byte) & SPACE != 0
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
