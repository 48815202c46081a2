//! Changes to a statement's text, by its tokens: literals change length from one execution to the next, tokens
//! do not. What is put in is text of ours and copies of the statement's own tokens; nothing is printed from a
//! tree.

use crate::sql::lexer::{Lexer, Token};
use std::ops::Range;

/// Replaces the tokens `[from, to)`; inserts before the token `from` where the two are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The first token replaced, counted without comments from the statement's start.
    pub from: usize,
    /// Behind the last token replaced.
    pub to: usize,
    /// What takes their place.
    pub pieces: Vec<Piece>,
}

/// A part of what is put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This text.
    Text(String),
    /// The statement's own text from the first of these tokens to the last.
    Tokens(Range<usize>),
}

/// The statement with the edits made; they stand in the order of their tokens. `None` where the text has fewer
/// tokens than they name.
pub fn apply(sql: &[u8], standard_conforming_strings: bool, edits: &[Edit]) -> Option<Vec<u8>> {
    let mut lexer = Lexer::new(sql, standard_conforming_strings);
    let tokens: Vec<Token> = std::iter::from_fn(|| lexer.next_significant()).collect();
    let mut out = Vec::with_capacity(sql.len() + 128);
    let mut at = 0;
    for edit in edits {
        let start = match tokens.get(edit.from) {
            Some(token) => token.start,
            None if edit.from == tokens.len() => tokens.last()?.end,
            None => return None,
        };
        let end = match edit.to.checked_sub(1) {
            Some(last) if edit.to > edit.from => tokens.get(last)?.end,
            _ => start,
        };
        out.extend_from_slice(sql.get(at..start)?);
        // A line comment before the place must not swallow what is put in.
        out.push(b'\n');
        for piece in &edit.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Tokens(range) => {
                    let first = tokens.get(range.start)?;
                    let last = tokens.get(range.end.checked_sub(1)?)?;
                    out.extend_from_slice(sql.get(first.start..last.end)?);
                    // Nor may one that is copied.
                    out.push(b'\n');
                }
            }
        }
        out.push(b' ');
        at = end.max(at);
    }
    out.extend_from_slice(sql.get(at..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_put_in_whatever_the_literals_and_comments() {
        let edits = [
            Edit {
                from: 2,
                to: 2,
                pieces: vec![
                    Piece::Text(", (".to_owned()),
                    Piece::Tokens(5..8),
                    Piece::Text(") AS x".to_owned()),
                ],
            },
            Edit { from: 8, to: 8, pieces: vec![Piece::Text("LIMIT 1".to_owned())] },
        ];
        for (sql, expected) in [
            ("SELECT a FROM t WHERE b = 1", "SELECT a \n, (b = 1\n) AS x FROM t WHERE b = 1\nLIMIT 1 "),
            (
                "SELECT a -- all\nFROM t WHERE b = 'long text' -- end",
                "SELECT a -- all\n\n, (b = 'long text'\n) AS x FROM t WHERE b = 'long text'\nLIMIT 1  -- end",
            ),
            ("SELECT a FROM t WHERE b = 1;", "SELECT a \n, (b = 1\n) AS x FROM t WHERE b = 1\nLIMIT 1 ;"),
        ] {
            let edited = apply(sql.as_bytes(), true, &edits).map(|text| String::from_utf8(text).unwrap());
            assert_eq!(edited.as_deref(), Some(expected));
        }
        assert_eq!(apply(b"SELECT a", true, &edits), None);
        let replace = [Edit { from: 1, to: 2, pieces: vec![Piece::Text("b".to_owned())] }];
        assert_eq!(apply(b"SELECT a, c", true, &replace).unwrap(), b"SELECT \nb , c");
    }
}
