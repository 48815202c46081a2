//! One pass over the bytes of a message: its statements, their kinds and their effects.
//!
//! This is the hot path: it runs for every simple query and every Parse, and allocates nothing for up to
//! four statements. It owns the splitting at semicolons and the recognition of words; it must not parse.
//!
//! Splitting follows the grammar: a semicolon separates statements unless it is in parentheses (CREATE RULE)
//! or in the `BEGIN ATOMIC ... END` of a CREATE FUNCTION or PROCEDURE. Such a body's END is told from that of
//! a CASE, or from a label, by the token before it, a semicolon or ATOMIC, which no other END can have.
//!
//! Names match as Postgres matches them: unquoted in any case, quoted exactly. One thing is not seen: in a
//! server encoding of one byte and a Turkish locale, Postgres lowers the byte of a dotted capital I to `i`.

use super::effects::Effects;
use super::kind::{self, Kind, pack, word};
use super::known;
use super::lexer::{Lexer, Token, TokenKind};
use super::literal;
use smallvec::SmallVec;

/// One statement of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// First byte: of the first token, or of a comment before it.
    pub start: usize,
    /// One past the last byte of its last token or comment; its semicolon is not in it. Text that is
    /// appended needs a newline before it, for the end may be a line comment.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
    /// What it may do to the session.
    pub effects: Effects,
}

impl Statement {
    /// The statement's bytes in the text that was scanned.
    pub fn text<'a>(&self, sql: &'a [u8]) -> &'a [u8] {
        sql.get(self.start..self.end).unwrap_or_default()
    }
}

/// The statements of a message, in order, without empty ones.
pub type Statements = SmallVec<[Statement; 4]>;

/// Finds the statements of `sql`; `out` is cleared first. Comments alone are no statement.
pub fn scan(sql: &[u8], standard_conforming_strings: bool, out: &mut Statements) {
    out.clear();
    let mut lexer = Lexer::new(sql, standard_conforming_strings);
    let mut scanner = Scanner::new(sql, standard_conforming_strings);
    while let Some(token) = lexer.next_token() {
        match token.kind {
            TokenKind::Word => scanner.word(token),
            TokenKind::LineComment | TokenKind::BlockComment => {
                scanner.comment(token);
                continue;
            }
            TokenKind::Semicolon => {
                if scanner.depth == 0 && scanner.atomic == 0 {
                    scanner.finish(out);
                    continue;
                }
            }
            TokenKind::ParenOpen => {
                if scanner.kind.is_none() {
                    scanner.kind = Some(Kind::Select);
                }
                scanner.depth += 1;
            }
            TokenKind::ParenClose => scanner.depth = scanner.depth.saturating_sub(1),
            TokenKind::Operator
            | TokenKind::Comma
            | TokenKind::Dot
            | TokenKind::Integer
            | TokenKind::Param => {}
            _ => scanner.rarer_token(token),
        }
        scanner.take(token);
    }
    scanner.finish(out);
}

const NOWHERE: Token = Token { kind: TokenKind::Semicolon, start: usize::MAX, end: usize::MAX };

struct Scanner<'a> {
    sql: &'a [u8],
    standard_conforming_strings: bool,
    start: usize,
    end: usize,
    kind: Option<Kind>,
    effects: Effects,
    /// Open parentheses.
    depth: usize,
    /// Open `BEGIN ATOMIC` bodies.
    atomic: usize,
    /// The last token and the one before it, comments left out.
    last: Token,
    before: Token,
    /// A mention of `pg_settings`, and of UPDATE.
    mentions: u8,
}

const MENTIONS_SETTINGS: u8 = 1;
const MENTIONS_UPDATE: u8 = 2;

impl<'a> Scanner<'a> {
    fn new(sql: &'a [u8], standard_conforming_strings: bool) -> Self {
        Scanner {
            sql,
            standard_conforming_strings,
            start: usize::MAX,
            end: 0,
            kind: None,
            effects: Effects::NONE,
            depth: 0,
            atomic: 0,
            last: NOWHERE,
            before: NOWHERE,
            mentions: 0,
        }
    }

    #[inline(always)]
    fn take(&mut self, token: Token) {
        self.start = self.start.min(token.start);
        self.end = token.end;
        self.before = self.last;
        self.last = token;
        if self.kind.is_none() {
            self.kind = Some(Kind::Other);
        }
    }

    #[inline(always)]
    fn word(&mut self, token: Token) {
        if self.kind.is_none() {
            self.kind = Some(kind::by_first_word(self.sql, token.start, token.end));
        } else if known::may_be_known(self.sql, token) {
            self.known_word(token);
        }
    }

    /// Ends the statement, if any, at the last token or comment.
    fn finish(&mut self, out: &mut Statements) {
        if let Some(kind) = self.kind {
            let statement = self.sql.get(self.start..self.end).unwrap_or_default();
            let kind = kind::refine(kind, statement, self.standard_conforming_strings);
            let mut effects = self.effects;
            match kind {
                Kind::Listen => effects |= Effects::LISTEN,
                Kind::Load => effects |= Effects::LOAD,
                Kind::Update => self.mentions |= MENTIONS_UPDATE,
                _ => {}
            }
            if self.mentions == MENTIONS_SETTINGS | MENTIONS_UPDATE {
                effects |= Effects::UPDATES_SETTINGS;
            }
            out.push(Statement { start: self.start, end: self.end, kind, effects });
        }
        *self = Scanner::new(self.sql, self.standard_conforming_strings);
    }

    #[cold]
    fn comment(&mut self, token: Token) {
        self.start = self.start.min(token.start);
        self.end = token.end;
        let body = token.text(self.sql).get(2..).unwrap_or_default().trim_ascii_start();
        if body.get(..7).is_some_and(|head| head.eq_ignore_ascii_case(b"howdah:")) {
            self.effects |= Effects::HOWDAH_HINT;
        }
    }

    #[cold]
    fn rarer_token(&mut self, token: Token) {
        match token.kind {
            TokenKind::String
            | TokenKind::EscapeString
            | TokenKind::UnicodeString
            | TokenKind::DollarString => {
                self.effects |= literal::effects_of_string(token.text(self.sql), token.kind);
            }
            TokenKind::QuotedIdent => {
                let text = token.text(self.sql);
                self.name(text.get(1..text.len().saturating_sub(1)).unwrap_or_default());
            }
            TokenKind::UnicodeIdent => self.effects |= Effects::UNICODE_IDENT,
            kind if kind.is_error() => self.effects |= Effects::LEXICAL_ERROR,
            _ => {}
        }
    }

    fn is_word(&self, token: Token, packed: u64) -> bool {
        token.kind == TokenKind::Word && pack(self.sql, token.start, token.end) == packed
    }

    /// A word whose length and first letter are those of a known one.
    #[inline(never)]
    fn known_word(&mut self, token: Token) {
        let packed = pack(self.sql, token.start, token.end);
        match packed {
            word::UPDATE | word::SHARE | word::NO | word::KEY => {
                if packed == word::UPDATE {
                    self.mentions |= MENTIONS_UPDATE;
                }
                if self.is_word(self.last, word::FOR) {
                    self.effects |= Effects::FOR_LOCK;
                }
            }
            word::TEMP => self.temporary(),
            word::DROP => {
                if self.depth == 0
                    && self.is_word(self.last, word::COMMIT)
                    && self.is_word(self.before, word::ON)
                {
                    self.effects |= Effects::WRITES_TEMP_ON_COMMIT_DROP;
                }
            }
            word::HOLD => {
                if self.kind == Some(Kind::Declare) && self.is_word(self.last, word::WITH) {
                    self.effects |= Effects::HOLD;
                }
            }
            word::EXECUTE => match self.kind {
                Some(Kind::Explain) => self.effects |= Effects::EXECUTES_PREPARED,
                Some(Kind::Create) if self.is_word(self.last, word::AS) => {
                    self.effects |= Effects::EXECUTES_PREPARED;
                }
                _ => {}
            },
            word::ATOMIC => {
                if self.kind == Some(Kind::Create) && self.depth == 0 && self.is_routine_body() {
                    self.atomic += 1;
                }
            }
            word::END => {
                let ends_body =
                    self.last.kind == TokenKind::Semicolon || self.is_word(self.last, word::ATOMIC);
                if self.atomic > 0 && self.depth == 0 && ends_body {
                    self.atomic -= 1;
                }
            }
            word::HOWDAH => {
                if self.kind == Some(Kind::Explain) && self.is_explain_option(token) {
                    self.effects |= Effects::EXPLAIN_HOWDAH;
                }
            }
            _ => {
                let mut lower = [0u8; known::NAME_BYTES_MAX];
                let text = token.text(self.sql);
                let len = text.len().min(known::NAME_BYTES_MAX);
                for (to, from) in lower.iter_mut().zip(text) {
                    *to = from.to_ascii_lowercase();
                }
                match lower.get(..len).unwrap_or_default() {
                    b"temporary" => self.temporary(),
                    name => self.name(name),
                }
            }
        }
    }

    /// TEMP or TEMPORARY where it makes something temporary, not where it is a column or table.
    fn temporary(&mut self) {
        let follows_create = self.is_word(self.last, word::CREATE)
            || self.is_word(self.last, word::REPLACE)
            || self.is_word(self.last, word::LOCAL)
            || self.is_word(self.last, word::GLOBAL);
        let follows_into = self.is_word(self.last, word::INTO)
            && !self.is_word(self.before, word::INSERT)
            && !self.is_word(self.before, word::MERGE);
        if follows_create || follows_into {
            self.effects |= Effects::TEMP;
        }
    }

    /// Whether the statement begins CREATE \[OR REPLACE\] FUNCTION or PROCEDURE, and the last word is BEGIN.
    fn is_routine_body(&self) -> bool {
        let is_routine =
            |token: Token| self.is_word(token, word::FUNCTION) || token.is_word(self.sql, b"procedure");
        let mut head = Lexer::starting_at(self.sql, self.start, self.standard_conforming_strings);
        head.next_significant();
        let is_create_routine = match head.next_significant() {
            Some(token) if self.is_word(token, word::OR) => {
                head.next_significant().is_some_and(|token| self.is_word(token, word::REPLACE))
                    && head.next_significant().is_some_and(is_routine)
            }
            Some(token) => is_routine(token),
            None => false,
        };
        is_create_routine && self.is_word(self.last, word::BEGIN)
    }

    /// Whether `howdah` at `token` is the name of an option of EXPLAIN that is not switched off.
    fn is_explain_option(&self, token: Token) -> bool {
        let mut tokens = Lexer::starting_at(self.sql, self.start, self.standard_conforming_strings);
        tokens.next_significant();
        if tokens.next_significant().is_none_or(|open| open.kind != TokenKind::ParenOpen) {
            return false;
        }
        let mut starts_option = true;
        while let Some(option) = tokens.next_significant() {
            if option.start == token.start {
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

    /// A name as Postgres decodes it (an unquoted one lowered) that may be a known function or view.
    fn name(&mut self, name: &[u8]) {
        if name == b"pg_settings" {
            self.mentions |= MENTIONS_SETTINGS;
        }
        self.effects |= known::effects_of_name(name);
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
