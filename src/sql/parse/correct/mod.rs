//! Corrections to the tokens before the parse: what sqlparser does not know is written in another way that
//! means the same to the analysis, and what it would misread is put right or declined.
//!
//! | Postgres | becomes |
//! | --- | --- |
//! | `ONLY t`, `ONLY (t)` | `t`: whose rows they are does not change |
//! | `type 'text'` | `'text'::type` |
//! | `FOR NO KEY UPDATE`, `FOR KEY SHARE` | `FOR UPDATE`, `FOR SHARE` |
//! | `BETWEEN SYMMETRIC` | `BETWEEN`, noted |
//! | `OVERRIDING ... VALUE` | nothing, noted |
//! | `ON CONFLICT (...) WHERE ... DO` | `ON CONFLICT DO`, the arbiter noted |
//! | `VARIADIC x` | `x` |
//! | `EXCLUDE ...` of a window's frame | nothing |
//! | `RANGE 'x'::t PRECEDING` | `RANGE ('x'::t) PRECEDING` |
//! | `ROWS FROM (...)` | a function of that name |
//! | `TABLE t` | `SELECT * FROM t` |
//! | `SET a[1] = ...` | `SET a = ...` |

mod strings;

use super::convert::{convert, placed, quoted};
use super::{NotParsed, Notes};
use crate::sql::lexer::{Token, TokenKind};
use sqlparser::tokenizer::{Token as Out, TokenWithSpan};

/// The name that stands for `ROWS FROM`: no function has it.
pub(crate) const ROWS_FROM: &str = "rows from";

/// The tokens for sqlparser, and what was taken out of them.
pub(super) fn correct(sql: &[u8], tokens: &[Token]) -> Result<(Vec<TokenWithSpan>, Notes), NotParsed> {
    let mut work = Work {
        sql,
        tokens,
        at: 0,
        out: Vec::with_capacity(tokens.len()),
        drops: Vec::new(),
        closes: Vec::new(),
        notes: Notes::default(),
        is_update: tokens.iter().any(|token| token.is_word(sql, b"update")),
    };
    while let Some(token) = tokens.get(work.at) {
        if let Some(at) = work.drops.iter().position(|place| *place == work.at) {
            work.drops.swap_remove(at);
            work.at += 1;
            continue;
        }
        work.close_before()?;
        match token.kind {
            TokenKind::Word => work.word(token)?,
            TokenKind::UnicodeIdent => return decline("U&\"...\""),
            kind if kind.is_string() || matches!(kind, TokenKind::BitString | TokenKind::HexString) => {
                work.string()?;
            }
            TokenKind::BracketOpen if work.is_update => work.bracket()?,
            _ => work.keep()?,
        }
    }
    work.close_before()?;
    Ok((work.out, work.notes))
}

fn decline<T>(what: &str) -> Result<T, NotParsed> {
    Err(NotParsed(format!("{what} is not understood yet")))
}

struct Work<'a> {
    sql: &'a [u8],
    tokens: &'a [Token],
    at: usize,
    out: Vec<TokenWithSpan>,
    /// Tokens further on that are left out.
    drops: Vec<usize>,
    /// Places before which a parenthesis of ours closes.
    closes: Vec<usize>,
    notes: Notes,
    is_update: bool,
}

impl<'a> Work<'a> {
    fn token(&self, offset: isize) -> Option<&'a Token> {
        self.tokens.get(self.at.checked_add_signed(offset)?)
    }

    fn is(&self, offset: isize, word: &str) -> bool {
        self.token(offset).is_some_and(|token| token.is_word(self.sql, word.as_bytes()))
    }

    fn is_any(&self, offset: isize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(offset, word))
    }

    fn kind(&self, offset: isize) -> Option<TokenKind> {
        self.token(offset).map(|token| token.kind)
    }

    /// Passes the token on as it is.
    fn keep(&mut self) -> Result<(), NotParsed> {
        if let Some(token) = self.tokens.get(self.at) {
            self.out.push(placed(convert(self.sql, token)?, self.at));
        }
        self.at += 1;
        Ok(())
    }

    fn skip(&mut self, count: usize) -> Result<(), NotParsed> {
        self.at += count;
        Ok(())
    }

    fn put(&mut self, token: Out) {
        self.out.push(placed(token, self.at));
    }

    fn close_before(&mut self) -> Result<(), NotParsed> {
        while let Some(at) = self.closes.iter().position(|place| *place == self.at) {
            self.closes.swap_remove(at);
            self.put(Out::RParen);
        }
        Ok(())
    }

    /// The place of the bracket that closes the one at `open`.
    fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (place, token) in self.tokens.iter().enumerate().skip(open) {
            match token.kind {
                TokenKind::ParenOpen | TokenKind::BracketOpen => depth += 1,
                TokenKind::ParenClose | TokenKind::BracketClose => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(place);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn word(&mut self, token: &Token) -> Result<(), NotParsed> {
        // A label: `AS only`, `t.only`.
        if self.is(-1, "as") || self.kind(-1) == Some(TokenKind::Dot) {
            return self.keep();
        }
        match token.text(self.sql).to_ascii_lowercase().as_slice() {
            b"only" if !self.is_any(-1, &["row", "rows"]) => self.only(),
            b"uescape" => decline("UESCAPE"),
            b"no" if self.is(-1, "for") && self.is(1, "key") && self.is(2, "update") => self.skip(2),
            b"key" if self.is(-1, "for") && self.is(1, "share") => self.skip(1),
            b"symmetric" if self.is(-1, "between") => {
                self.notes.has_symmetric = true;
                self.skip(1)
            }
            b"asymmetric" if self.is(-1, "between") => self.skip(1),
            b"overriding" if self.is_any(1, &["system", "user"]) && self.is(2, "value") => {
                self.notes.has_overriding = true;
                self.skip(3)
            }
            b"variadic" if matches!(self.kind(-1), Some(TokenKind::ParenOpen | TokenKind::Comma)) => {
                self.skip(1)
            }
            b"exclude" if self.is_any(-1, &["row", "preceding", "following"]) => self.exclude(),
            b"rows" if self.is(1, "from") && self.kind(2) == Some(TokenKind::ParenOpen) => {
                self.put(quoted(ROWS_FROM.to_owned()));
                self.skip(2)
            }
            b"conflict" if self.is(-1, "on") => self.conflict(),
            b"table" if self.starts_query() => {
                for token in [Out::make_word("SELECT", None), Out::Mul, Out::make_word("FROM", None)] {
                    self.put(token);
                }
                self.skip(1)
            }
            _ => self.keep(),
        }
    }

    fn only(&mut self) -> Result<(), NotParsed> {
        if self.kind(1) == Some(TokenKind::ParenOpen) {
            let Some(close) = self.closing(self.at + 1) else { return decline("ONLY of this kind") };
            self.drops.extend([self.at + 1, close]);
        }
        self.skip(1)
    }

    /// Whether a query may begin where the word stands.
    fn starts_query(&self) -> bool {
        self.at == 0
            || self.kind(-1) == Some(TokenKind::ParenOpen)
            || self.is_any(-1, &["union", "intersect", "except"])
            || (self.is_any(-1, &["all", "distinct"]) && self.is_any(-2, &["union", "intersect", "except"]))
    }

    /// `EXCLUDE CURRENT ROW`, `GROUP`, `TIES` or `NO OTHERS` at a frame's end.
    fn exclude(&mut self) -> Result<(), NotParsed> {
        let words = if self.is_any(1, &["group", "ties"]) {
            2
        } else if (self.is(1, "current") && self.is(2, "row")) || (self.is(1, "no") && self.is(2, "others")) {
            3
        } else {
            return self.keep();
        };
        match self.tokens.get(self.at + words).map(|token| token.kind) {
            Some(TokenKind::ParenClose) => self.skip(words),
            _ => self.keep(),
        }
    }

    /// The arbiter of ON CONFLICT, and its WHERE.
    fn conflict(&mut self) -> Result<(), NotParsed> {
        let open = self.at + 1;
        self.keep()?;
        if self.kind(0) != Some(TokenKind::ParenOpen) {
            return Ok(());
        }
        let Some(close) = self.closing(open) else { return decline("ON CONFLICT of this kind") };
        if self.notes.arbiter.replace(open + 1..close).is_some() {
            return decline("more than one ON CONFLICT");
        }
        self.at = close + 1;
        if self.is(0, "where") {
            while self.token(0).is_some() && !(self.is(0, "do") && self.is_any(1, &["nothing", "update"])) {
                self.at += 1;
            }
        }
        Ok(())
    }

    /// `SET a[1] = ...`: the subscripts are left out, if they are plain.
    fn bracket(&mut self) -> Result<(), NotParsed> {
        let is_name = matches!(self.kind(-1), Some(TokenKind::Word | TokenKind::QuotedIdent));
        let follows_set = self.is(-2, "set") || self.kind(-2) == Some(TokenKind::Comma);
        if !(is_name && follows_set) {
            return self.keep();
        }
        let mut end = self.at;
        while self.tokens.get(end).is_some_and(|token| token.kind == TokenKind::BracketOpen) {
            let Some(close) = self.closing(end) else { return self.keep() };
            let is_plain = |token: &Token| {
                matches!(token.kind, TokenKind::Integer | TokenKind::Param | TokenKind::Colon)
            };
            if !self.tokens.get(end + 1..close).is_some_and(|inner| inner.iter().all(is_plain)) {
                return self.keep();
            }
            end = close + 1;
        }
        // In an UPDATE's SET an equals sign follows; elsewhere an element is compared, which is the same
        // kind of node whether it is subscripted or not only behind SET.
        let assigns = self.tokens.get(end).is_some_and(|token| token.text(self.sql) == b"=");
        if !assigns || !self.is_in_set() {
            return self.keep();
        }
        self.at = end;
        Ok(())
    }

    /// Whether the last clause word before this place, outside parentheses, is SET.
    fn is_in_set(&self) -> bool {
        let mut depth = 0_i32;
        for token in self.tokens.get(..self.at).unwrap_or_default().iter().rev() {
            match token.kind {
                TokenKind::ParenClose | TokenKind::BracketClose => depth += 1,
                TokenKind::ParenOpen | TokenKind::BracketOpen => depth -= 1,
                TokenKind::Word if depth == 0 => {
                    if token.is_word(self.sql, b"set") {
                        return true;
                    }
                    const CLAUSES: [&[u8]; 5] = [b"where", b"from", b"returning", b"select", b"values"];
                    if CLAUSES.iter().any(|word| token.is_word(self.sql, word)) {
                        return false;
                    }
                }
                _ => {}
            }
            if depth < 0 {
                return false;
            }
        }
        false
    }
}
