//! What a statement mentions, by its tokens alone: enough to let most statements pass without a parse,
//! also those that no parser of ours understands.
//!
//! A statement can reach a relation only by naming it, or through a function, view, trigger or text
//! that is run as SQL; all of these are looked for here.

use super::builtin;
use super::schema::Schema;
use crate::sql::lexer::{Lexer, Token, TokenKind};
use crate::sql::parse;
use crate::sql::relation_places::relation_places;

/// How many leading words are kept.
const LEADING_WORDS: usize = 6;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    /// The statement's first words in lower case, up to the first token that is none.
    pub(super) leading: Vec<String>,
    /// Every identifier and keyword, as Postgres would store it.
    pub(super) names: Vec<String>,
    /// Those of them that may name a relation: in a query, by where they stand.
    pub(super) relations: Vec<String>,
    /// Names of relations that are more than plain tables of the home shard.
    pub(super) notable: Vec<String>,
    /// A user function, neither IMMUTABLE nor trusted, that is called or may be.
    pub(super) function: Option<String>,
    /// A function that runs text.
    pub(super) runs_text: Option<String>,
    /// An operator that runs a user function.
    pub(super) operator: Option<String>,
    /// An identifier that is not read here.
    pub(super) has_unread_name: bool,
    /// Significant tokens, in order.
    pub(super) tokens: Vec<Token>,
}

/// Reads the tokens from byte `from`.
pub(super) fn read(sql: &[u8], from: usize, scs: bool, schema: &Schema) -> Mentions {
    let mut found = Mentions::default();
    let mut lexer = Lexer::starting_at(sql, from, scs);
    while let Some(token) = lexer.next_significant() {
        found.tokens.push(token);
    }
    let is_leading = |token: &Token| token.kind == TokenKind::Word;
    for token in found.tokens.iter().take(LEADING_WORDS).take_while(|token| is_leading(token)) {
        found.leading.extend(parse::name(sql, token));
    }
    let tokens = std::mem::take(&mut found.tokens);
    let places = relation_places(sql, &tokens);
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|i| tokens.get(i)).map(|token| token.kind);
        let after = tokens.get(index + 1).map(|token| token.kind);
        found.token(sql, token, [before, after], schema);
        if places.as_ref().is_none_or(|places| places.binary_search(&index).is_ok()) {
            found.relation(sql, token, schema);
        }
    }
    found.tokens = tokens;
    found
}

impl Mentions {
    fn token(&mut self, sql: &[u8], token: &Token, [before, after]: [Option<TokenKind>; 2], schema: &Schema) {
        match token.kind {
            TokenKind::Word | TokenKind::QuotedIdent => {}
            TokenKind::UnicodeIdent => {
                self.has_unread_name = true;
                return;
            }
            TokenKind::Operator => {
                let text = String::from_utf8_lossy(token.text(sql));
                if schema.catalog().is_impure_operator(&text) {
                    self.operator = Some(text.into_owned());
                }
                return;
            }
            _ => return,
        }
        let Some(name) = parse::name(sql, token) else {
            self.has_unread_name = true;
            return;
        };
        let is_call = after == Some(TokenKind::ParenOpen);
        let is_field = before == Some(TokenKind::Dot);
        let is_hidden_access = |function: crate::catalog::FunctionName| {
            !function.is_pure && (is_call || (is_field && function.takes_row))
        };
        if schema.catalog().function(&name).is_some_and(is_hidden_access) {
            self.function = Some(name.clone());
        }
        if is_call && builtin::runs_text(&name) {
            self.runs_text = Some(name.clone());
        }
        self.names.push(name);
    }

    /// A token at a place where a relation can be named.
    fn relation(&mut self, sql: &[u8], token: &Token, schema: &Schema) {
        let Some(name) = parse::name(sql, token) else { return };
        if schema.is_notable(&name) && !self.notable.contains(&name) {
            self.notable.push(name.clone());
        }
        self.relations.push(name);
    }

    /// The word at `index` of the leading ones.
    pub(super) fn word(&self, index: usize) -> &str {
        self.leading.get(index).map_or("", String::as_str)
    }

    /// Whether `word` is mentioned anywhere.
    pub(super) fn has(&self, word: &str) -> bool {
        self.names.iter().any(|name| name == word)
    }

    /// Whether the words stand one after the other.
    pub(super) fn has_run(&self, words: &[&str]) -> bool {
        self.names.windows(words.len()).any(|run| run == words)
    }
}
