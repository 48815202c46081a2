//! Strings: plain ones, constants of a type named before them, bounds of a window's frame.

use super::{Work, decline};
use crate::sql::lexer::TokenKind;
use crate::sql::parse::NotParsed;
use sqlparser::tokenizer::Token as Out;

impl Work<'_> {
    /// A string: plain, the constant of a type named before it, or a frame's bound.
    pub(super) fn string(&mut self) -> Result<(), NotParsed> {
        let Some(before) = self.token(-1) else { return self.keep() };
        let follows_frame = self.is_any(-1, &["range", "rows", "groups"])
            || (self.is(-1, "between") && self.is_any(-2, &["range", "rows", "groups"]))
            || (self.is(-1, "and") && self.is_any(-2, &["row", "preceding", "following"]));
        if follows_frame {
            return self.frame_bound();
        }
        match before.kind {
            TokenKind::Word if KEYWORDS.iter().any(|word| before.is_word(self.sql, word)) => self.keep(),
            TokenKind::Word if READ_TYPES.iter().any(|word| before.is_word(self.sql, word)) => self.keep(),
            TokenKind::Word | TokenKind::QuotedIdent | TokenKind::ParenClose => self.typed(),
            TokenKind::BracketClose | TokenKind::Integer | TokenKind::Numeric | TokenKind::Param => {
                decline("a string where it stands")
            }
            kind if kind.is_string() => decline("a string behind a string"),
            _ => self.keep(),
        }
    }

    /// `type 'text'` and `type(n) 'text'` become `'text'::type`, which binds as tightly.
    fn typed(&mut self) -> Result<(), NotParsed> {
        let mut start = self.at - 1;
        if self.kind(-1) == Some(TokenKind::ParenClose) {
            let open = (0..start).rev().find(|open| self.closing(*open) == Some(start));
            let is_paren =
                |open: &usize| self.tokens.get(*open).map(|t| t.kind) == Some(TokenKind::ParenOpen);
            match open.filter(is_paren).and_then(|open| open.checked_sub(1)) {
                Some(name) => start = name,
                None => return decline("a typed constant of this kind"),
            }
        }
        let is_name = |place: usize| {
            self.tokens
                .get(place)
                .is_some_and(|token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent))
        };
        let is_word = |place: Option<usize>, words: &[&str]| {
            place
                .and_then(|place| self.tokens.get(place))
                .is_some_and(|token| words.iter().any(|word| token.is_word(self.sql, word.as_bytes())))
        };
        if !is_name(start) || is_word(Some(start), &["in", "any", "all", "some", "values", "exists"]) {
            return decline("a typed constant of this kind");
        }
        if is_word(Some(start), &["varying"]) && is_word(start.checked_sub(1), &["character", "char", "bit"])
        {
            start -= 1;
        }
        while start >= 2
            && self.tokens.get(start - 1).is_some_and(|token| token.kind == TokenKind::Dot)
            && is_name(start - 2)
        {
            start -= 2;
        }
        let keep =
            self.out.iter().rposition(|out| crate::sql::parse::place(out.span).is_some_and(|at| at < start));
        let type_tokens = self.out.split_off(keep.map_or(0, |keep| keep + 1));
        self.keep()?;
        self.put(Out::DoubleColon);
        self.out.extend(type_tokens);
        Ok(())
    }

    /// A string as a frame's bound, perhaps cast: in parentheses of ours.
    fn frame_bound(&mut self) -> Result<(), NotParsed> {
        let mut end = self.at;
        let mut depth = 0_i32;
        while let Some(token) = self.tokens.get(end) {
            match token.kind {
                TokenKind::ParenOpen => depth += 1,
                TokenKind::ParenClose => depth -= 1,
                TokenKind::Word
                    if depth == 0
                        && (token.is_word(self.sql, b"preceding")
                            || token.is_word(self.sql, b"following")) =>
                {
                    self.put(Out::LParen);
                    self.closes.push(end);
                    return self.keep();
                }
                _ => {}
            }
            if depth < 0 {
                break;
            }
            end += 1;
        }
        self.keep()
    }
}

/// Words that a plain string may follow.
const KEYWORDS: [&[u8]; 45] = [
    b"select",
    b"distinct",
    b"all",
    b"where",
    b"and",
    b"or",
    b"not",
    b"like",
    b"ilike",
    b"to",
    b"escape",
    b"between",
    b"symmetric",
    b"asymmetric",
    b"when",
    b"then",
    b"else",
    b"case",
    b"from",
    b"by",
    b"limit",
    b"offset",
    b"returning",
    b"on",
    b"having",
    b"zone",
    b"for",
    b"in",
    b"leading",
    b"trailing",
    b"both",
    b"similar",
    b"any",
    b"some",
    b"placing",
    b"is",
    b"set",
    b"default",
    b"as",
    b"format",
    b"with",
    b"explain",
    b"filter",
    b"using",
    b"variadic",
];

/// Types whose constants `type 'text'` sqlparser reads as such.
const READ_TYPES: [&[u8]; 26] = [
    b"int",
    b"int2",
    b"int4",
    b"int8",
    b"integer",
    b"bigint",
    b"smallint",
    b"date",
    b"timestamp",
    b"timestamptz",
    b"time",
    b"interval",
    b"uuid",
    b"numeric",
    b"decimal",
    b"text",
    b"varchar",
    b"bool",
    b"boolean",
    b"json",
    b"jsonb",
    b"bytea",
    b"float4",
    b"float8",
    b"real",
    b"precision",
];
