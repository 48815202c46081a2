//! What a statement mentions, by its tokens alone: enough to let most statements pass without a parse,
//! also those that no parser of ours understands.
//!
//! A statement can reach a relation only by naming it, or through a function, view, trigger or text
//! that is run as SQL; all of these are looked for here.

use super::schema::Schema;
use super::{builtin, physical};
use crate::catalog::Relation;
use crate::rules::FunctionTouches;
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
    /// The same with the schemas that they are qualified with.
    pub(super) qualified: Vec<Notable>,
    /// Names of relations that are more than plain tables of the home shard.
    pub(super) notable: Vec<Notable>,
    /// A user function, neither IMMUTABLE nor trusted, that is called or may be.
    pub(super) function: Option<String>,
    /// Functions called that a rule says touch the home shard or the rows of a key.
    pub(super) declared: Vec<String>,
    /// Whether a function is called that a rule says touches nothing.
    pub(super) calls_pure: bool,
    /// Schemas before a dot that a rule puts on one shard.
    pub(super) schemas: Vec<String>,
    /// Whether a schema of temporary functions may be named.
    pub(super) is_temporary_call: bool,
    /// The first name with a parenthesis behind it.
    pub(super) first_call: Option<String>,
    /// A type whose values are made, cast or compared by a user function, and that function.
    pub(super) typed: Option<(String, String)>,
    /// A function that reads or acts on what each shard has for itself.
    pub(super) physical: Option<String>,
    /// A function that runs text.
    pub(super) runs_text: Option<String>,
    /// An operator that runs a user function.
    pub(super) operator: Option<String>,
    /// An identifier that is not read here.
    pub(super) has_unread_name: bool,
    /// Significant tokens, in order.
    pub(super) tokens: Vec<Token>,
}

/// A name that is more than a plain table of the home shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notable {
    /// The schema that it is qualified with.
    pub(super) schema: Option<String>,
    pub(super) name: String,
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
        found.row_type(sql, &tokens, index, schema);
        if places.as_ref().is_none_or(|places| places.binary_search(&index).is_ok()) {
            found.relation(sql, &tokens, index, schema);
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
        // `pg_catalog.version()`, whatever users call by the same name elsewhere.
        let is_builtin = is_call
            && is_field
            && self.names.last().is_some_and(|schema| schema == "pg_catalog")
            && !schema.catalog().functions_named(&name).iter().any(|one| one.schema == "pg_catalog");
        let is_hidden_access = |function: crate::catalog::FunctionName| {
            !function.is_pure && !is_builtin && (is_call || (is_field && function.takes_row))
        };
        if schema.catalog().function(&name).is_some_and(is_hidden_access) {
            match schema.function_rule(std::slice::from_ref(&name)).map(|rule| &rule.touches) {
                Some(FunctionTouches::Pure) => self.calls_pure = true,
                Some(_) if is_call => self.declared.push(name.clone()),
                Some(_) | None => self.function = Some(name.clone()),
            }
        }
        // `CREATE SCHEMA name` and its like.
        let is_schema = self.names.last().is_some_and(|before| {
            before == "schema"
                || (before == "exists" && self.names.iter().rev().skip(1).any(|name| name == "schema"))
        });
        if (is_schema || after == Some(TokenKind::Dot)) && schema.rules().schema(&name).is_some() {
            self.schemas.push(name.clone());
        }
        // Functions of one session are in no catalog.
        self.is_temporary_call |=
            is_call && is_field && self.names.last().is_some_and(|of| of.starts_with("pg_temp"));
        if is_call && self.first_call.is_none() {
            self.first_call = Some(name.clone());
        }
        let undeclared = |function: &&str| !schema.is_declared_pure(function);
        if let Some(function) = schema.catalog().type_name_calls(&name).find(undeclared) {
            self.typed = Some((name.clone(), function.to_owned()));
        }
        if is_call && physical::is_physical(&name) {
            self.physical = Some(name.clone());
        }
        if is_call && builtin::runs_text(&name) {
            self.runs_text = Some(name.clone());
        }
        self.names.push(name);
    }

    /// A table's name as the type of its rows, `::name` or `CAST(... AS name)`: to make such a row checks its
    /// columns.
    fn row_type(&mut self, sql: &[u8], tokens: &[Token], index: usize, schema: &Schema) {
        let Some(name) = tokens.get(index).and_then(|token| parse::name(sql, token)) else { return };
        let mut relations = schema.catalog().relations().filter(|relation| relation.name == name);
        let undeclared = |relation: &'_ Relation| {
            relation.checks_call.iter().find(|function| !schema.is_declared_pure(function)).cloned()
        };
        let Some(function) = relations.find_map(undeclared) else { return };
        let mut start = index;
        while start >= 2 && tokens.get(start - 1).is_some_and(|token| token.kind == TokenKind::Dot) {
            start -= 2;
        }
        let before = start.checked_sub(1).and_then(|at| tokens.get(at));
        let ends_cast = tokens
            .get(index + 1)
            .is_some_and(|token| matches!(token.kind, TokenKind::ParenClose | TokenKind::BracketOpen));
        let is_cast =
            |token: &Token| token.kind == TokenKind::TypeCast || (ends_cast && token.is_word(sql, b"as"));
        if before.is_some_and(is_cast) {
            self.typed = Some((name, function));
        }
    }

    /// A token at a place where a relation can be named.
    fn relation(&mut self, sql: &[u8], tokens: &[Token], index: usize, schema: &Schema) {
        let Some(name) = tokens.get(index).and_then(|token| parse::name(sql, token)) else { return };
        let is_part = index
            .checked_sub(1)
            .and_then(|at| tokens.get(at))
            .is_some_and(|token| token.kind == TokenKind::Dot);
        let qualifier = index.checked_sub(2).filter(|_| is_part).and_then(|at| tokens.get(at));
        let notable =
            Notable { schema: qualifier.and_then(|token| parse::name(sql, token)), name: name.clone() };
        if schema.is_notable(&name) && !self.notable.contains(&notable) {
            self.notable.push(notable.clone());
        }
        self.qualified.push(notable);
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
