//! Where in a statement a word stands, and what its surroundings make of it.
//!
//! Owns the questions that `scan` asks of a known word's context; each reads a bounded number of tokens, or the
//! statement's head.

use super::kind::{Kind, pack, word};
use super::lexer::{Lexer, Token, TokenKind};

/// A statement as its first token tells it.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) sql: &'a [u8],
    pub(super) standard_conforming_strings: bool,
    pub(super) start: usize,
    pub(super) kind: Kind,
}

impl<'a> Head<'a> {
    pub(super) fn tokens_from(&self, at: usize) -> Lexer<'a> {
        Lexer::starting_at(self.sql, at, self.standard_conforming_strings)
    }

    fn is_word(&self, token: Token, packed: u64) -> bool {
        token.kind == TokenKind::Word && pack(self.sql, token.start, token.end) == packed
    }

    /// Whether the statement begins CREATE \[OR REPLACE\] FUNCTION or PROCEDURE.
    pub(super) fn is_create_routine(&self) -> bool {
        let is_routine =
            |token: Token| self.is_word(token, word::FUNCTION) || token.is_word(self.sql, b"procedure");
        let mut tokens = self.tokens_from(self.start);
        tokens.next_significant();
        match tokens.next_significant() {
            Some(token) if self.is_word(token, word::OR) => {
                tokens.next_significant().is_some_and(|token| self.is_word(token, word::REPLACE))
                    && tokens.next_significant().is_some_and(is_routine)
            }
            Some(token) => is_routine(token),
            None => false,
        }
    }

    /// Whether `howdah` at byte `at` is the name of an option of EXPLAIN that is not switched off.
    pub(super) fn is_explain_option(&self, at: usize) -> bool {
        let mut tokens = self.tokens_from(self.start);
        tokens.next_significant();
        if tokens.next_significant().is_none_or(|open| open.kind != TokenKind::ParenOpen) {
            return false;
        }
        let mut starts_option = true;
        while let Some(option) = tokens.next_significant() {
            if option.start == at {
                let value = tokens.next_significant();
                let is_off = value.is_some_and(|value| {
                    self.is_word(value, word::OFF)
                        || self.is_word(value, word::FALSE)
                        || value.text(self.sql) == b"0"
                });
                return starts_option && !is_off;
            }
            match option.kind {
                TokenKind::Word if starts_option => {
                    // A query in parentheses, not a list of options.
                    let packed = pack(self.sql, option.start, option.end);
                    if matches!(packed, word::SELECT | word::WITH | word::VALUES | word::TABLE) {
                        return false;
                    }
                    starts_option = false;
                }
                TokenKind::Comma => starts_option = true,
                TokenKind::ParenOpen | TokenKind::ParenClose => return false,
                _ => starts_option = false,
            }
        }
        false
    }
}

/// Where in its statement a token stands: behind the tokens that start at `last` and `before` it, in `depth`
/// parentheses.
pub(super) struct Place<'a> {
    pub(super) head: Head<'a>,
    pub(super) last: usize,
    pub(super) before: usize,
    pub(super) depth: usize,
}

impl Place<'_> {
    pub(super) fn is_word_at(&self, at: usize, packed: u64) -> bool {
        let token = self.head.tokens_from(at).next_token();
        token.is_some_and(|token| self.head.is_word(token, packed))
    }

    pub(super) fn follows(&self, packed: u64) -> bool {
        self.is_word_at(self.last, packed)
    }

    /// Whether TEMP or TEMPORARY here makes something temporary, and is not a column or table.
    pub(super) fn makes_temporary(&self) -> bool {
        [word::CREATE, word::REPLACE, word::LOCAL, word::GLOBAL].iter().any(|&packed| self.follows(packed))
            || (self.follows(word::INTO)
                && !self.is_word_at(self.before, word::INSERT)
                && !self.is_word_at(self.before, word::MERGE))
    }
}
