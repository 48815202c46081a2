//! The one place that knows sqlparser.
//!
//! Our own lexer, which finds Postgres's token boundaries, feeds sqlparser's grammar; sqlparser's tokenizer
//! is never used. Values of literals are left out of the tokens, so nothing that is read from the tree
//! can depend on them; a token's span carries its place among the statement's tokens. What sqlparser does
//! not know, or reads differently from Postgres, is put right in the tokens (`correct`) or declined.
//!
//! Must not: print a tree back to SQL.

mod convert;
mod correct;

pub(crate) use correct::ROWS_FROM;
pub(crate) use sqlparser::ast;

use super::lexer::{Lexer, Token, TokenKind};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token as Out};
use std::ops::Range;

/// Longest text that is parsed, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Most tokens that are parsed.
const TOKENS_MAX: usize = 50_000;
/// Most operators: each may deepen the tree by one, and trees are walked and dropped recursively.
const OPERATORS_MAX: usize = 1_000;
/// Longest identifier in bytes; Postgres cuts longer ones.
const NAME_BYTES_MAX: usize = 63;

/// Why a text was not parsed, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotParsed(pub String);

/// A parsed statement: sqlparser's tree, and what stood in the tokens that the tree does not say.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) tree: ast::Statement,
    /// The significant tokens from where the parse began, without a closing semicolon. A span's place is an
    /// index into them.
    pub(crate) tokens: Vec<Token>,
    pub(crate) notes: Notes,
}

/// What the corrections took out of the tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// `BETWEEN SYMMETRIC` somewhere.
    pub(crate) has_symmetric: bool,
    /// `OVERRIDING SYSTEM VALUE` or `OVERRIDING USER VALUE`.
    pub(crate) has_overriding: bool,
    /// The arbiter of ON CONFLICT between its parentheses, in tokens.
    pub(crate) arbiter: Option<Range<usize>>,
}

/// Parses the statement that starts at byte `from`, which may end in a semicolon.
///
/// # Errors
/// [`NotParsed`] for what is too large or too deep, for what sqlparser is known to misread, and for what
/// it does not parse.
pub(crate) fn parse_from(sql: &[u8], from: usize, scs: bool) -> Result<Parsed, NotParsed> {
    if sql.len() > TEXT_BYTES_MAX {
        return Err(NotParsed(format!("the statement is longer than {TEXT_BYTES_MAX} bytes")));
    }
    let mut tokens: Vec<Token> = Vec::new();
    let mut lexer = Lexer::starting_at(sql, from, scs);
    while let Some(token) = lexer.next_significant() {
        tokens.push(token);
        if tokens.len() > TOKENS_MAX {
            return Err(NotParsed(format!("the statement has more than {TOKENS_MAX} tokens")));
        }
    }
    while tokens.last().is_some_and(|token| token.kind == TokenKind::Semicolon) {
        tokens.pop();
    }
    check_size(sql, &tokens)?;
    let (corrected, notes) = correct::correct(sql, &tokens)?;
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(corrected);
    let tree = parser.parse_statement().map_err(|error| match error {
        ParserError::RecursionLimitExceeded => NotParsed("the statement is nested too deeply".to_owned()),
        ParserError::ParserError(_) | ParserError::TokenizerError(_) => {
            NotParsed("the statement's syntax is not understood".to_owned())
        }
    })?;
    match parser.peek_token_ref().token {
        Out::EOF => Ok(Parsed { tree, tokens, notes }),
        _ => Err(NotParsed("the end of the statement is not understood".to_owned())),
    }
}

/// Parses a statement only to learn whether it is understood (for fuzzing).
///
/// # Errors
/// As [`NotParsed`] says.
pub fn check(sql: &[u8], standard_conforming_strings: bool) -> Result<(), NotParsed> {
    parse_from(sql, 0, standard_conforming_strings).map(drop)
}

/// The place of a node's first token among the statement's tokens.
pub(crate) fn place(span: Span) -> Option<usize> {
    usize::try_from(span.start.line).ok()?.checked_sub(1)
}

/// The name that an identifier token stands for, as Postgres stores it; `None` where the token is no
/// identifier, or one that cannot be read here.
pub fn name(sql: &[u8], token: &Token) -> Option<String> {
    let text = std::str::from_utf8(token.text(sql)).ok()?;
    match token.kind {
        TokenKind::Word => Some(cut(text.to_ascii_lowercase())),
        TokenKind::QuotedIdent => {
            let inner = text.strip_prefix('"')?.strip_suffix('"')?;
            Some(cut(inner.replace("\"\"", "\"")))
        }
        _ => None,
    }
}

/// The name of an identifier in the tree.
pub(crate) fn ident_name(ident: &ast::Ident) -> String {
    match ident.quote_style {
        None => cut(ident.value.to_ascii_lowercase()),
        Some(_) => cut(ident.value.clone()),
    }
}

fn cut(mut name: String) -> String {
    if name.len() > NAME_BYTES_MAX {
        let mut end = NAME_BYTES_MAX;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
    }
    name
}

fn check_size(sql: &[u8], tokens: &[Token]) -> Result<(), NotParsed> {
    const DEEPENING: [&[u8]; 17] = [
        b"and",
        b"or",
        b"union",
        b"intersect",
        b"except",
        b"is",
        b"isnull",
        b"notnull",
        b"collate",
        b"at",
        b"like",
        b"ilike",
        b"similar",
        b"between",
        b"in",
        b"not",
        b"case",
    ];
    let deepens = |token: &&Token| match token.kind {
        TokenKind::Operator => token.text(sql) != b"*",
        TokenKind::TypeCast | TokenKind::BracketOpen => true,
        TokenKind::Word => DEEPENING.iter().any(|word| token.is_word(sql, word)),
        _ => false,
    };
    if tokens.iter().filter(deepens).count() > OPERATORS_MAX {
        return Err(NotParsed(format!("the statement has more than {OPERATORS_MAX} operators")));
    }
    Ok(())
}
