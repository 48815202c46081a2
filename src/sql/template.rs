//! Literals lifted to parameters: the key under which plans are cached.
//!
//! Owns the normalised text, its hash and the spans of the lifted literals; it must not decide what a plan may
//! ignore. Two statements with equal normalised bytes differ only in the values of literals of the same kind,
//! in white space, in comments (but for hints, which stay) and in the case of unquoted names.
//!
//! A literal is lifted only where its value surely bears on nothing but values: in SELECT, INSERT, UPDATE,
//! DELETE, MERGE, VALUES and WITH, behind an operator, a comma, a parenthesis or one of a few keywords. It stays
//! behind a type's name, as an argument of a call (a type modifier looks alike), behind a sign, in LIMIT, OFFSET,
//! FETCH, in ORDER BY, GROUP BY and DISTINCT ON, and in every other statement.

use super::kind::{Kind, by_first_word, pack, word};
use super::lexer::{Lexer, Token, TokenKind};
use super::literal::decode_string;
use std::borrow::Cow;

/// The kind of a lifted literal; literals of different kinds give different templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LiteralKind {
    /// Digits that fit int4.
    Int4,
    /// Digits that fit int8 only.
    Int8,
    /// Any other number.
    Numeric,
    /// `'...'`
    String,
    /// `E'...'`, or `'...'` while `standard_conforming_strings` is off.
    EscapeString,
    /// `$tag$...$tag$`
    DollarString,
}

impl LiteralKind {
    fn mark(self) -> u8 {
        match self {
            LiteralKind::Int4 => b'i',
            LiteralKind::Int8 => b'l',
            LiteralKind::Numeric => b'n',
            LiteralKind::String => b's',
            LiteralKind::EscapeString => b'e',
            LiteralKind::DollarString => b'd',
        }
    }
}

/// A lifted literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal {
    /// What it is.
    pub kind: LiteralKind,
    /// First byte in the statement.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
}

/// A statement's normalised form. Reuse one for many statements: its buffers are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// The tokens with one space between, unquoted names lowered, and for each lifted literal the byte 0x01
    /// (which no valid SQL has outside quotes) and the letter of its kind.
    pub normalised: Vec<u8>,
    /// A hash of `normalised`, the same on every machine; not proof against made collisions, so compare the
    /// bytes too.
    pub hash: u64,
    /// The lifted literals in order.
    pub literals: Vec<Literal>,
}

const PLACEHOLDER: u8 = 1;

/// Writes the template of one statement into `out`.
pub fn template(sql: &[u8], standard_conforming_strings: bool, out: &mut Template) {
    out.normalised.clear();
    out.literals.clear();
    out.normalised.reserve(sql.len() + 16);
    let mut context = Context::default();
    for token in Lexer::new(sql, standard_conforming_strings) {
        if token.kind.is_comment() && !is_hint(token.text(sql)) {
            continue;
        }
        if !out.normalised.is_empty() {
            out.normalised.push(b' ');
        }
        let text = token.text(sql);
        match context.lifts(sql, token) {
            Some(kind) => {
                out.normalised.extend_from_slice(&[PLACEHOLDER, kind.mark()]);
                out.literals.push(Literal { kind, start: token.start, end: token.end });
            }
            None if token.kind == TokenKind::Word => {
                out.normalised.extend(text.iter().map(u8::to_ascii_lowercase));
            }
            None => out.normalised.extend_from_slice(text),
        }
        if token.kind == TokenKind::LineComment {
            // Its end is a newline also here, so that no token can pass for a part of it.
            out.normalised.push(b'\n');
        } else if token.kind != TokenKind::BlockComment {
            context.pass(sql, token);
        }
    }
    out.hash = hash(&out.normalised);
}

/// The value of a lifted literal: a string decoded, a number as it is spelled.
pub fn literal_value<'a>(sql: &'a [u8], literal: &Literal) -> Cow<'a, [u8]> {
    let text = sql.get(literal.start..literal.end).unwrap_or_default();
    match literal.kind {
        LiteralKind::Int4 | LiteralKind::Int8 | LiteralKind::Numeric => Cow::Borrowed(text),
        LiteralKind::String => decode_string(text, TokenKind::String),
        LiteralKind::EscapeString => decode_string(text, TokenKind::EscapeString),
        LiteralKind::DollarString => decode_string(text, TokenKind::DollarString),
    }
}

fn is_hint(comment: &[u8]) -> bool {
    let body = comment.get(2..).unwrap_or_default().trim_ascii_start();
    body.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"howdah:"))
}

/// Eight bytes at a time, multiply and fold.
fn hash(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, chunk: u64| {
        let product = u128::from(hash ^ chunk) * u128::from(FACTOR);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let (chunks, rest) = bytes.as_chunks::<8>();
    let mut hash = chunks.iter().fold(bytes.len() as u64 ^ FACTOR, |hash, chunk| {
        mix(hash, u64::from_le_bytes(*chunk)).wrapping_add(FACTOR)
    });
    for &byte in rest {
        hash = mix(hash, u64::from(byte)).wrapping_add(FACTOR);
    }
    mix(hash, FACTOR)
}

/// What stands before a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Before {
    /// The statement's start.
    #[default]
    Start,
    /// An operator behind a value, or one that is no sign; a comma or an opening bracket.
    Expression,
    /// A sign that is not behind a value.
    Sign,
    /// A keyword behind which an expression starts.
    Opening,
    /// ON of DISTINCT ON.
    DistinctOn,
    /// ARRAY.
    Array,
    /// A name, value, type or any other keyword.
    Operand,
}

/// Whether literals may be lifted where the lexer stands.
#[derive(Default)]
struct Context {
    is_query: bool,
    before: Before,
    follows_distinct: bool,
    follows_paren: bool,
    depth: u32,
    /// One bit for each open parenthesis or bracket, and one below them all: literals stay there.
    keeps: u64,
}

/// Deeper than this everything stays.
const DEPTH_MAX: u32 = 62;

impl Context {
    fn keeps_here(&self) -> bool {
        self.depth > DEPTH_MAX || self.keeps >> self.depth & 1 != 0
    }

    fn lifts(&self, sql: &[u8], token: Token) -> Option<LiteralKind> {
        let is_open = matches!(self.before, Before::Expression | Before::Opening);
        if !self.is_query || !is_open || self.keeps_here() {
            return None;
        }
        match token.kind {
            TokenKind::Integer => Some(integer_kind(token.text(sql))),
            TokenKind::Numeric => Some(LiteralKind::Numeric),
            TokenKind::String => Some(LiteralKind::String),
            TokenKind::EscapeString => Some(LiteralKind::EscapeString),
            TokenKind::DollarString => Some(LiteralKind::DollarString),
            _ => None,
        }
    }

    fn pass(&mut self, sql: &[u8], token: Token) {
        let follows_paren = std::mem::take(&mut self.follows_paren);
        self.before = match token.kind {
            TokenKind::Word => return self.pass_word(sql, token, follows_paren),
            TokenKind::ParenOpen | TokenKind::BracketOpen => {
                if self.before == Before::Start {
                    self.is_query = true;
                }
                let keeps = match self.before {
                    Before::Operand | Before::DistinctOn => true,
                    Before::Array => self.keeps_here(),
                    Before::Start | Before::Expression | Before::Sign | Before::Opening => {
                        self.keeps_here() || self.before == Before::Sign
                    }
                };
                self.open(keeps);
                self.follows_paren = token.kind == TokenKind::ParenOpen;
                Before::Expression
            }
            TokenKind::ParenClose | TokenKind::BracketClose => {
                self.depth = self.depth.saturating_sub(1);
                Before::Operand
            }
            TokenKind::Comma => Before::Expression,
            TokenKind::Operator => {
                let is_sign = matches!(token.text(sql), b"-" | b"+");
                if is_sign && self.before != Before::Operand { Before::Sign } else { Before::Expression }
            }
            TokenKind::Semicolon => {
                *self = Context::default();
                Before::Start
            }
            _ => Before::Operand,
        };
        self.follows_distinct = false;
    }

    fn open(&mut self, keeps: bool) {
        self.depth += 1;
        if self.depth <= DEPTH_MAX {
            self.keeps = self.keeps & !(1 << self.depth) | u64::from(keeps) << self.depth;
        }
    }

    fn keep(&mut self, keeps: bool) {
        if self.depth <= DEPTH_MAX {
            self.keeps = self.keeps & !(1 << self.depth) | u64::from(keeps) << self.depth;
        }
    }

    fn pass_word(&mut self, sql: &[u8], token: Token, follows_paren: bool) {
        let follows_distinct = std::mem::take(&mut self.follows_distinct);
        if self.before == Before::Start {
            self.is_query = matches!(
                by_first_word(sql, token.start, token.end),
                Kind::Select
                    | Kind::Insert
                    | Kind::Update
                    | Kind::Delete
                    | Kind::Merge
                    | Kind::Values
                    | Kind::With
            );
        }
        let packed = pack(sql, token.start, token.end);
        if follows_paren
            && matches!(
                packed,
                word::SELECT | word::INSERT | word::UPDATE | word::DELETE | word::VALUES | word::WITH
            )
        {
            // A query of its own, whatever it is an argument of.
            self.keep(false);
        }
        self.before = match packed {
            word::LIMIT | word::OFFSET | word::FETCH | word::BY => {
                self.keep(true);
                Before::Operand
            }
            word::ON if follows_distinct => Before::DistinctOn,
            word::ARRAY => Before::Array,
            word::DISTINCT => {
                self.follows_distinct = true;
                Before::Operand
            }
            word::SELECT
            | word::VALUES
            | word::AND
            | word::OR
            | word::NOT
            | word::LIKE
            | word::ILIKE
            | word::THEN
            | word::ELSE
            | word::WHEN
            | word::CASE
            | word::BETWEEN
            | word::WHERE
            | word::ON
            | word::IN
            | word::ANY
            | word::ALL
            | word::SOME => Before::Opening,
            _ => Before::Operand,
        };
    }
}

fn integer_kind(digits: &[u8]) -> LiteralKind {
    let text = std::str::from_utf8(digits).unwrap_or_default();
    if text.parse::<i32>().is_ok() {
        LiteralKind::Int4
    } else if text.parse::<i64>().is_ok() {
        LiteralKind::Int8
    } else {
        LiteralKind::Numeric
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
