//! Where in a query a relation can be named, told from its tokens alone.
//!
//! Postgres reaches a relation from a query only by a name in a FROM list, by the target of a write, or by
//! TABLE. A name anywhere else is a column, an alias, a function or a type. This tells the two apart for
//! queries that no parser of ours understands, such as psql's own: with a sharded table called `c`, the
//! alias in `FROM pg_class c WHERE c.relname = ...` is not that table.
//!
//! It errs on one side only: a place where a relation could stand is never left out; one where none can may
//! be taken for one. Only words that Postgres reserves end a FROM list, since any other may be a name in it.
//!
//! Must not: decide what a name means, or read anything but one statement's tokens.
//! Source: src/backend/parser/gram.y and src/include/parser/kwlist.h of PostgreSQL 15 to 18.

use super::lexer::{Token, TokenKind};

/// What may stand next at one level of parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A name is a column, a function or a type.
    Expression,
    /// A relation: an item of a FROM list or the target of a write begins.
    Item,
    /// A relation was named: an alias, a join, or a comma and the next item.
    Behind,
    /// A join's condition, after which another join or item may follow.
    Condition,
}

/// One level of parentheses.
#[derive(Clone, Copy, Debug)]
struct Level {
    place: Place,
    /// Whether the item is the target of an UPDATE, so that SET ends it.
    is_update: bool,
}

/// The indexes, into a statement's significant tokens, of the names that may be a relation's. `None`: the
/// statement is no query, and any of its names may be one.
pub fn relation_places(sql: &[u8], tokens: &[Token]) -> Option<Vec<usize>> {
    let from = query_start(sql, tokens)?;
    let mut walk =
        Walk { sql, levels: Vec::new(), level: Level { place: Place::Expression, is_update: false } };
    let mut places = Vec::new();
    for (index, token) in tokens.iter().enumerate().skip(from) {
        let next = tokens.get(index + 1).map(|next| next.kind);
        let before = index.checked_sub(1).and_then(|before| tokens.get(before));
        if walk.step(token, before, next) {
            places.push(index);
        }
    }
    Some(places)
}

/// The token that a query starts with: the statement itself, or what EXPLAIN, PREPARE or DECLARE holds.
fn query_start(sql: &[u8], tokens: &[Token]) -> Option<usize> {
    let is_word = |at: usize, word: &[u8]| tokens.get(at).is_some_and(|token| token.is_word(sql, word));
    let mut at = 0;
    if is_word(0, b"explain") {
        at = 1;
        if tokens.get(at).is_some_and(|token| token.kind == TokenKind::ParenOpen)
            && !starts_query(sql, tokens, at)
        {
            at += tokens.get(at..)?.iter().position(|token| token.kind == TokenKind::ParenClose)? + 1;
        }
        while is_word(at, b"analyze") || is_word(at, b"analyse") || is_word(at, b"verbose") {
            at += 1;
        }
    }
    if is_word(at, b"declare") {
        at += tokens.get(at..)?.iter().position(|token| token.is_word(sql, b"for"))? + 1;
    } else if is_word(at, b"prepare") {
        at += tokens.get(at..)?.iter().position(|token| token.is_word(sql, b"as"))? + 1;
    }
    starts_query(sql, tokens, at).then_some(at)
}

/// Whether a query starts at this token, perhaps in parentheses.
fn starts_query(sql: &[u8], tokens: &[Token], at: usize) -> bool {
    const FIRST: [&[u8]; 8] =
        [b"select", b"with", b"insert", b"update", b"delete", b"merge", b"values", b"table"];
    let first = tokens.iter().skip(at).find(|token| token.kind != TokenKind::ParenOpen);
    first.is_some_and(|token| FIRST.iter().any(|word| token.is_word(sql, word)))
}

/// What a word does to the place, where Postgres knows it as a keyword.
enum Word {
    /// A relation comes next. The word itself may be a name.
    BeforeItem { is_update: bool },
    /// The FROM list is over. The word is reserved.
    EndsItems,
    /// ON: a condition, if a join was named before. Reserved.
    On,
    /// Stands between a keyword and the relation.
    Passed { is_reserved: bool },
    /// SET, which ends the target of an UPDATE, or is a name.
    Set,
    /// AS: an alias comes next. Reserved.
    As,
    /// A name, as far as this is concerned.
    Name,
}

fn word(text: &[u8]) -> Word {
    let mut lower = [0; 10];
    let Some(lower) = lower.get_mut(..text.len()) else { return Word::Name };
    lower.copy_from_slice(text);
    lower.make_ascii_lowercase();
    match &*lower {
        b"from" | b"join" | b"into" | b"using" | b"table" => Word::BeforeItem { is_update: false },
        b"update" => Word::BeforeItem { is_update: true },
        b"where" | b"group" | b"having" | b"order" | b"limit" | b"offset" | b"fetch" | b"for" | b"union"
        | b"intersect" | b"except" | b"window" | b"returning" | b"select" => Word::EndsItems,
        b"on" => Word::On,
        b"only" | b"lateral" => Word::Passed { is_reserved: true },
        b"temp" | b"temporary" | b"unlogged" | b"local" | b"global" => Word::Passed { is_reserved: false },
        b"set" => Word::Set,
        b"as" => Word::As,
        _ => Word::Name,
    }
}

struct Walk<'a> {
    sql: &'a [u8],
    /// The levels around the present one.
    levels: Vec<Level>,
    level: Level,
}

impl Walk<'_> {
    /// Takes one token; whether it may name a relation.
    fn step(&mut self, token: &Token, before: Option<&Token>, next: Option<TokenKind>) -> bool {
        match token.kind {
            TokenKind::ParenOpen => {
                self.levels.push(self.level);
                let is_item = self.level.place == Place::Item;
                let place = if is_item { Place::Item } else { Place::Expression };
                self.level = Level { place, is_update: self.level.is_update && is_item };
                false
            }
            TokenKind::ParenClose => {
                if let Some(around) = self.levels.pop() {
                    self.level = around;
                }
                if self.level.place == Place::Item {
                    self.level.place = Place::Behind;
                }
                false
            }
            TokenKind::Comma => {
                if self.level.place != Place::Expression {
                    self.level = Level { place: Place::Item, is_update: false };
                }
                false
            }
            TokenKind::Word => self.word(token, before, next),
            TokenKind::QuotedIdent | TokenKind::UnicodeIdent => self.name(next),
            _ => false,
        }
    }

    fn word(&mut self, token: &Token, before: Option<&Token>, next: Option<TokenKind>) -> bool {
        // Behind a point, and where a point follows, keywords too are names.
        let is_part = before.is_some_and(|before| before.kind == TokenKind::Dot);
        if is_part || next == Some(TokenKind::Dot) {
            return self.name(next);
        }
        let is_item = self.level.place == Place::Item;
        match word(token.text(self.sql)) {
            Word::BeforeItem { is_update } => {
                let is_conflict = is_update && before.is_some_and(|before| before.is_word(self.sql, b"do"));
                let place = if is_conflict { Place::Expression } else { Place::Item };
                self.level = Level { place, is_update };
                // Of these words, UPDATE alone may be a name.
                is_item && is_update
            }
            Word::EndsItems => {
                self.level = Level { place: Place::Expression, is_update: false };
                false
            }
            Word::On => {
                if self.level.place != Place::Expression {
                    self.level.place = Place::Condition;
                }
                false
            }
            Word::Set if self.level.is_update && self.level.place == Place::Behind => {
                self.level = Level { place: Place::Expression, is_update: false };
                false
            }
            Word::Passed { is_reserved } => is_item && !is_reserved,
            Word::As => false,
            Word::Set | Word::Name => self.name(next),
        }
    }

    /// A name: of a relation where an item begins and it is the last part.
    fn name(&mut self, next: Option<TokenKind>) -> bool {
        if self.level.place != Place::Item || next == Some(TokenKind::Dot) {
            return false;
        }
        self.level.place = Place::Behind;
        true
    }
}
