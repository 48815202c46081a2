//! Text put into a statement at places that its tokens name.
//!
//! What is sent to a shard is the client's text with pieces spliced in, never printed from a tree. A plan
//! serves statements whose literals, comments and white space differ, so that it names places by tokens;
//! here they become bytes of one text.

use super::lexer::{Lexer, TokenKind};
use std::borrow::Cow;

/// Puts `text` in the place of tokens `from..to`, counted from 0 without comments; before token `from`
/// where the two are equal, and behind the last token where `from` is their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The first token that is replaced.
    pub from: usize,
    /// The first one that is not.
    pub to: usize,
    /// What comes in their place; blanks around it are not needed.
    pub text: Cow<'static, str>,
}

/// A text with edits in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spliced {
    /// The text.
    pub text: Vec<u8>,
    moves: Vec<Move>,
}

/// A piece that differs from the original, in characters: its place and length here, and its length there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Move {
    at: usize,
    len: usize,
    len_before: usize,
}

/// Applies edits, which are in order and do not overlap; `None` where the text has fewer tokens than they
/// name.
pub fn splice(sql: &[u8], standard_conforming_strings: bool, edits: &[Edit]) -> Option<Spliced> {
    let mut tokens =
        Lexer::new(sql, standard_conforming_strings).filter(|token| !token.kind.is_comment()).peekable();
    let mut out = Spliced { text: Vec::with_capacity(sql.len() + 64), moves: Vec::new() };
    let mut copied = 0;
    let mut next = 0;
    // Where the token before ends.
    let mut end = 0;
    // Empty statements before it are none of the statement's.
    while let Some(token) = tokens.next_if(|token| token.kind == TokenKind::Semicolon) {
        end = token.end;
    }
    for edit in edits {
        while next < edit.from {
            end = tokens.next()?.end;
            next += 1;
        }
        // Where nothing is replaced, right behind the token before.
        let start = if edit.from < edit.to { tokens.peek()?.start } else { end };
        while next < edit.to {
            end = tokens.next()?.end;
            next += 1;
        }
        out.text.extend_from_slice(sql.get(copied..start)?);
        out.put(&edit.text, sql.get(start..end)?);
        copied = end;
    }
    out.text.extend_from_slice(sql.get(copied..)?);
    Some(out)
}

impl Spliced {
    fn put(&mut self, text: &str, before: &[u8]) {
        let at = characters(&self.text);
        self.text.push(b' ');
        self.text.extend_from_slice(text.as_bytes());
        self.text.push(b' ');
        self.moves.push(Move { at, len: text.chars().count() + 2, len_before: characters(before) });
    }

    /// The place in the client's text of a character (from 1) of this one; one that was put in is where the
    /// edit is.
    pub fn original_position(&self, position: usize) -> usize {
        let mut shift = 0_isize;
        for piece in &self.moves {
            let offset = position.saturating_sub(1);
            if offset < piece.at {
                break;
            }
            if offset < piece.at + piece.len {
                return (piece.at as isize - shift) as usize + 1;
            }
            shift += piece.len as isize - piece.len_before as isize;
        }
        position.saturating_add_signed(-shift)
    }
}

/// Characters of UTF-8, or of an encoding with one byte each; of others a place is near enough.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(from: usize, to: usize, text: &'static str) -> Edit {
        Edit { from, to, text: text.into() }
    }

    fn spliced(sql: &str, edits: &[Edit]) -> Option<String> {
        splice(sql.as_bytes(), true, edits).map(|spliced| String::from_utf8(spliced.text).unwrap())
    }

    #[test]
    fn places_are_tokens_whatever_stands_between() {
        let append = [edit(2, 2, ", b"), edit(6, 6, "LIMIT 3")];
        for (sql, edits, expected) in [
            ("select a from t", &[edit(2, 2, ", b")][..], "select a , b  from t"),
            ("select a from t where x", &append, "select a , b  from t where x LIMIT 3 "),
            (
                "select a-- why, c\nfrom t where x; -- end",
                &append,
                "select a , b -- why, c\nfrom t where x LIMIT 3 ; -- end",
            ),
            (
                "/* 1 */ select/* 2 */a from/*3*/t where x;",
                &append,
                "/* 1 */ select/* 2 */a , b  from/*3*/t where x LIMIT 3 ;",
            ),
            ("select avg(x) from t", &[edit(1, 2, "sum")], "select  sum (x) from t"),
            ("select 1 limit 5 offset 7", &[edit(3, 6, "12")], "select 1 limit  12 "),
            (";; select 1", &[edit(0, 1, "table")], ";;  table  1"),
            ("; select 1", &[edit(0, 0, "x")], "; x  select 1"),
            ("select 'a;b', \"c d\"", &[edit(3, 3, "as e,")], "select 'a;b', as e,  \"c d\""),
            ("select 1", &[], "select 1"),
        ] {
            assert_eq!(spliced(sql, edits).as_deref(), Some(expected), "{sql}");
        }
        assert_eq!(spliced("select 1", &[edit(3, 3, "x")]), None);
        assert_eq!(spliced("select 1", &[edit(1, 3, "x")]), None);
    }

    #[test]
    fn places_of_errors_are_those_of_the_clients_text() {
        let sql = "select \u{e4}, avg(bad) from t order by c";
        let edits = [edit(3, 4, "sum"), edit(7, 7, ", count(bad)"), edit(12, 12, "LIMIT 7")];
        let spliced = splice(sql.as_bytes(), true, &edits).unwrap();
        let text = String::from_utf8(spliced.text.clone()).unwrap();
        let place = |text: &str, what: &str| text[..text.find(what).unwrap()].chars().count() + 1;
        for what in ["select", "\u{e4}", "(bad", "from", "order", "by c"] {
            assert_eq!(spliced.original_position(place(&text, what)), place(sql, what), "{what}");
        }
        assert_eq!(spliced.original_position(place(&text, "sum")), place(sql, "avg"));
        assert_eq!(spliced.original_position(place(&text, "count(")), place(sql, " from"));
        assert_eq!(spliced.original_position(place(&text, "LIMIT")), sql.chars().count() + 1);
    }
}
