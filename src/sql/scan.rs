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

use super::bytes::{Class, class, ident_end, is_ident_start, skip_while};
use super::effects::Effects;
use super::kind::{self, Kind, pack, word};
use super::known;
use super::lexer::{Lexer, TokenKind, operator};
use super::literal;
use super::place::{Head, Place};
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
    let mut at = 0;
    loop {
        at = skip_while(sql, at, |byte| class(byte) == Class::Space);
        let start = at;
        let Some(&byte) = sql.get(start) else {
            return;
        };
        let mut found = Found::default();
        let kind = if class(byte) == Class::Word {
            let end = ident_end(sql, start + 1);
            if end > start + 1 {
                at = end;
            }
            kind::by_first_word(sql, start, end)
        } else {
            match found.first_token(sql, standard_conforming_strings, &mut at) {
                Some(kind) => kind,
                None => continue,
            }
        };
        let head = Head { sql, standard_conforming_strings, start, kind };
        let end = statement_end(head, &mut at, &mut found);
        out.push(found.finish(head, end));
    }
}

/// Reads the statement's tokens from `at` on, past its semicolon; the answer is the end of the last one
/// before that, or of a comment behind it.
///
/// The commonest tokens are read here, by the same rules as the lexer's, the others by the lexer.
#[inline(always)]
fn statement_end(head: Head<'_>, from: &mut usize, found: &mut Found) -> usize {
    let sql = head.sql;
    let mut depth = 0usize;
    let mut at = *from;
    let mut end = at;
    let mut last = head.start;
    let mut before = head.start;
    while let Some(&byte) = sql.get(at) {
        let start = at;
        match class(byte) {
            Class::Space => {
                at += 1;
                continue;
            }
            Class::Word => {
                at = ident_end(sql, start + 1);
                if known::may_be_known(sql, byte, start, at) {
                    found.known_word(&Place { head, last, before, depth }, start, at);
                } else if at == start + 1 {
                    at = found.one_letter(&head, start);
                }
            }
            Class::Digit => {
                at = skip_while(sql, start + 1, |byte| class(byte) == Class::Digit);
                if sql.get(at).is_some_and(|&byte| byte == b'.' || is_ident_start(byte)) {
                    at = found.rarer_token(&head, start);
                }
            }
            Class::Dollar if sql.get(start + 1).is_some_and(u8::is_ascii_digit) => {
                at = skip_while(sql, start + 2, |byte| class(byte) == Class::Digit);
                if sql.get(at).is_some_and(|&byte| is_ident_start(byte)) {
                    at = found.rarer_token(&head, start);
                }
            }
            Class::Dot if !sql.get(start + 1).is_some_and(|&byte| byte == b'.' || byte.is_ascii_digit()) => {
                at += 1
            }
            Class::Comma => at += 1,
            Class::Operator => at = operator(sql, start).1,
            Class::ParenOpen => {
                depth += 1;
                at += 1;
            }
            Class::ParenClose => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            Class::Semicolon => {
                at += 1;
                if depth == 0 && found.atomic == 0 {
                    break;
                }
            }
            Class::Minus | Class::Slash if is_comment(sql, start) => {
                at = found.comment(&head, start);
                end = at;
                continue;
            }
            _ => at = found.rarer_token(&head, start),
        }
        end = at;
        before = last;
        last = start;
        // Most tokens have one space behind them.
        at += usize::from(sql.get(at) == Some(&b' '));
    }
    *from = at;
    end
}

/// Whether a comment starts at a minus or slash.
fn is_comment(sql: &[u8], at: usize) -> bool {
    matches!(sql.get(at..at + 2), Some(b"--" | b"/*"))
}

/// A statement that mentions `howdah` more often is read no further for the option, to keep the time linear.
const EXPLAIN_CHECKS_MAX: u8 = 4;

/// What the tokens of a statement told so far.
#[derive(Default)]
struct Found {
    effects: Effects,
    /// Open `BEGIN ATOMIC` bodies.
    atomic: usize,
    /// Whether the statement is CREATE FUNCTION or PROCEDURE, once it was asked: a statement may ask often.
    is_create_routine: Option<bool>,
    /// How often EXPLAIN's options were read.
    explain_checks: u8,
    mentions_settings: bool,
    mentions_update: bool,
}

impl Found {
    #[inline(always)]
    fn finish(self, head: Head<'_>, end: usize) -> Statement {
        let mut effects = self.effects;
        let text = head.sql.get(head.start..end).unwrap_or_default();
        let kind = kind::refine(head.kind, text, head.standard_conforming_strings);
        match kind {
            Kind::Listen => effects |= Effects::LISTEN,
            Kind::Load => effects |= Effects::LOAD,
            _ => {}
        }
        if self.mentions_settings && (self.mentions_update || kind == Kind::Update) {
            effects |= Effects::UPDATES_SETTINGS;
        }
        Statement { start: head.start, end, kind, effects }
    }

    /// The kind of a statement whose first token is no word, comments before it passed over.
    ///
    /// `at` is where `statement_end` shall go on, or behind an empty statement.
    #[cold]
    fn first_token(&mut self, sql: &[u8], scs: bool, at: &mut usize) -> Option<Kind> {
        loop {
            let token = Lexer::starting_at(sql, *at, scs).next_token();
            let Some(token) = token else {
                *at = sql.len();
                return None;
            };
            *at = token.start;
            match token.kind {
                TokenKind::Word => {
                    if token.end > token.start + 1 {
                        *at = token.end;
                    }
                    return Some(kind::by_first_word(sql, token.start, token.end));
                }
                TokenKind::ParenOpen => return Some(Kind::Select),
                TokenKind::Semicolon => {
                    *at = token.end;
                    return None;
                }
                kind if kind.is_comment() => {
                    self.hint(token.text(sql));
                    *at = token.end;
                }
                _ => return Some(Kind::Other),
            }
        }
    }

    /// Reads the comment at `at`; the answer is its end.
    #[cold]
    fn comment(&mut self, head: &Head<'_>, at: usize) -> usize {
        let Some(token) = head.tokens_from(at).next_token() else {
            return head.sql.len();
        };
        self.hint(token.text(head.sql));
        if token.kind.is_error() {
            self.effects |= Effects::LEXICAL_ERROR;
        }
        token.end
    }

    fn hint(&mut self, comment: &[u8]) {
        let body = comment.get(2..).unwrap_or_default().trim_ascii_start();
        if body.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"howdah:")) {
            self.effects |= Effects::HOWDAH_HINT;
        }
    }

    /// A word of one letter, or the string whose prefix it is; the answer is its end.
    #[inline(never)]
    fn one_letter(&mut self, head: &Head<'_>, at: usize) -> usize {
        match head.sql.get(at + 1) {
            Some(b'\'' | b'&') => self.rarer_token(head, at),
            _ => at + 1,
        }
    }

    /// Reads the token at `at`; the answer is its end.
    #[inline(never)]
    fn rarer_token(&mut self, head: &Head<'_>, at: usize) -> usize {
        let Some(token) = head.tokens_from(at).next_token() else {
            return head.sql.len();
        };
        match token.kind {
            TokenKind::Integer | TokenKind::Numeric | TokenKind::Param | TokenKind::Dot => {}
            kind if kind.is_string() => {
                self.effects |= literal::effects_of_string(token.text(head.sql), kind);
            }
            TokenKind::QuotedIdent => {
                let text = token.text(head.sql);
                self.name(text.get(1..text.len().saturating_sub(1)).unwrap_or_default());
            }
            TokenKind::UnicodeIdent => self.effects |= Effects::UNICODE_IDENT,
            kind if kind.is_error() => self.effects |= Effects::LEXICAL_ERROR,
            _ => {}
        }
        token.end
    }

    /// A word whose length and first letter are those of a known one.
    #[inline(never)]
    fn known_word(&mut self, place: &Place<'_>, start: usize, end: usize) {
        let Head { sql, kind, .. } = place.head;
        let effect = match pack(sql, start, end) {
            0 => return self.long_word(place, sql.get(start..end).unwrap_or_default()),
            word::UPDATE => {
                self.mentions_update = true;
                Effects::FOR_LOCK.when(place.follows(word::FOR))
            }
            word::SHARE | word::NO | word::KEY => Effects::FOR_LOCK.when(place.follows(word::FOR)),
            word::TEMP => Effects::TEMP.when(place.makes_temporary()),
            word::DROP => {
                let is_on_commit = place.depth == 0
                    && place.follows(word::COMMIT)
                    && place.is_word_at(place.before, word::ON);
                Effects::WRITES_TEMP_ON_COMMIT_DROP.when(is_on_commit)
            }
            word::HOLD => Effects::HOLD.when(kind == Kind::Declare && place.follows(word::WITH)),
            word::EXECUTE => Effects::EXECUTES_PREPARED
                .when(kind == Kind::Explain || (kind == Kind::Create && place.follows(word::AS))),
            word::HOWDAH if kind == Kind::Explain && self.explain_checks < EXPLAIN_CHECKS_MAX => {
                self.explain_checks += 1;
                Effects::EXPLAIN_HOWDAH.when(place.head.is_explain_option(start))
            }
            word::ATOMIC => {
                let starts_body = kind == Kind::Create
                    && place.depth == 0
                    && place.follows(word::BEGIN)
                    && *self.is_create_routine.get_or_insert_with(|| place.head.is_create_routine());
                self.atomic += usize::from(starts_body);
                return;
            }
            word::END => {
                let ends_body = self.atomic > 0
                    && place.depth == 0
                    && (sql.get(place.last) == Some(&b';') || place.follows(word::ATOMIC));
                self.atomic -= usize::from(ends_body);
                return;
            }
            word::CURRVAL | word::LASTVAL => Effects::SEQUENCE_STATE,
            word::NEXTVAL | word::SETVAL => Effects::NEXTVAL,
            word::SETSEED => Effects::SETSEED,
            word::PG_TEMP => Effects::TEMP,
            word::TS_STAT | word::CROSSTAB => Effects::SQL_IN_TEXT,
            _ => return,
        };
        self.effects |= effect;
    }

    /// A word of more than eight bytes.
    fn long_word(&mut self, place: &Place<'_>, text: &[u8]) {
        let mut lower = [0u8; known::NAME_BYTES_MAX];
        let len = text.len().min(known::NAME_BYTES_MAX);
        for (to, from) in lower.iter_mut().zip(text) {
            *to = from.to_ascii_lowercase();
        }
        match lower.get(..len).unwrap_or_default() {
            b"temporary" => self.effects |= Effects::TEMP.when(place.makes_temporary()),
            name => self.name(name),
        }
    }

    /// A name as Postgres decodes it (an unquoted one lowered) that may be a known function or view.
    fn name(&mut self, name: &[u8]) {
        if name == b"pg_settings" {
            self.mentions_settings = true;
        }
        self.effects |= known::effects_of_name(name);
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
