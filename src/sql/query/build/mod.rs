//! From sqlparser's tree to ours: every kind of node by name.

mod call;
mod dml;
mod expr;
mod from;
mod item;
mod query;
mod select;

pub(super) use select::is_word_value;

use super::expression::{Literal, LiteralKind, LiteralValue};
use super::scope::Scope;
use super::{Expr, Item, ItemId, Kind, Named, Names, NotRead, Statement};
use crate::sql::lexer::{Token, TokenKind};
use crate::sql::parse::{self, Notes, Parsed, ast};
use crate::sql::template;
use std::rc::Rc;

/// Most entries of FROM, views and WITH queries expanded.
const ITEMS_MAX: usize = 500;
/// Deepest nesting of queries and views.
const DEPTH_MAX: usize = 64;

/// A result of reading.
pub(super) type Read<T = ()> = Result<T, NotRead>;

pub(super) fn not_understood<T>(what: &str) -> Read<T> {
    Err(NotRead(format!("{what} is not understood yet")))
}

/// A text being read: the client's statement, or a view's definition.
struct Text<'a> {
    sql: &'a [u8],
    tokens: Vec<Token>,
    /// The literals that the template lifts; none of a view.
    lifted: Option<&'a [template::Literal]>,
}

/// The state of reading one statement.
struct Builder<'a> {
    names: Names<'a>,
    text: Rc<Text<'a>>,
    items: Vec<Item>,
    unused: Vec<Named>,
    has_symmetric: bool,
    depth: usize,
    /// WITH queries that something names.
    used: Vec<*const ast::Cte>,
    /// Recursive WITH queries being read, with their columns once they are known.
    recursions: Vec<Recursion>,
    /// Views being read.
    views: Vec<u32>,
}

/// A recursive WITH query while it is read.
struct Recursion {
    cte: *const ast::Cte,
    columns: Option<Vec<String>>,
    is_used: bool,
}

/// Reads a parsed statement.
pub(super) fn statement<'a>(
    sql: &'a [u8],
    parsed: Parsed,
    lifted: &'a [template::Literal],
    names: &Names<'a>,
) -> Read<Option<Statement>> {
    let Parsed { tree, tokens, notes } = parsed;
    let text = Rc::new(Text { sql, tokens, lifted: Some(lifted) });
    let mut builder = Builder {
        names: *names,
        text: Rc::clone(&text),
        items: Vec::new(),
        unused: Vec::new(),
        has_symmetric: notes.has_symmetric,
        depth: 0,
        used: Vec::new(),
        recursions: Vec::new(),
        views: Vec::new(),
    };
    let Some(kind) = builder.kind(&tree, &notes)? else { return Ok(None) };
    let Builder { items, unused, has_symmetric, text: own, .. } = builder;
    drop(own);
    let tokens = Rc::try_unwrap(text).map_or_else(|shared| shared.tokens.clone(), |text| text.tokens);
    Ok(Some(Statement { kind, items, unused, tokens, has_symmetric }))
}

impl Builder<'_> {
    fn kind(&mut self, tree: &ast::Statement, notes: &Notes) -> Read<Option<Kind>> {
        let scope = Scope::default();
        Ok(Some(match tree {
            ast::Statement::Query(query) => match &*query.body {
                ast::SetExpr::Insert(inner) | ast::SetExpr::Update(inner) | ast::SetExpr::Delete(inner) => {
                    return self.write_with(query, inner, notes).map(Some);
                }
                _ => Kind::Select(self.query(query, &scope)?),
            },
            ast::Statement::Insert(insert) => Kind::Insert(Box::new(self.insert(insert, notes, &scope)?)),
            ast::Statement::Update(update) => Kind::Modify(Box::new(self.update(update, &scope)?)),
            ast::Statement::Delete(delete) => Kind::Modify(Box::new(self.delete(delete, &scope)?)),
            ast::Statement::Call(function) => Kind::Call(Box::new(self.call(function, &scope)?)),
            _ => return Ok(None),
        }))
    }

    /// `WITH ... INSERT`, `UPDATE` or `DELETE`.
    fn write_with(&mut self, query: &ast::Query, inner: &ast::Statement, notes: &Notes) -> Read<Kind> {
        let is_plain = query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none()
            && query.locks.is_empty();
        let (Some(with), true) = (&query.with, is_plain) else {
            return not_understood("a data-modifying statement of this kind");
        };
        let root = Scope::default();
        let mut kind = None;
        self.with(with, &root, &mut |builder, scope| {
            kind = Some(match inner {
                ast::Statement::Insert(insert) => {
                    Kind::Insert(Box::new(builder.insert(insert, notes, scope)?))
                }
                ast::Statement::Update(update) => Kind::Modify(Box::new(builder.update(update, scope)?)),
                ast::Statement::Delete(delete) => Kind::Modify(Box::new(builder.delete(delete, scope)?)),
                _ => return not_understood("a data-modifying statement of this kind"),
            });
            Ok(())
        })?;
        match kind {
            Some(kind) => Ok(kind),
            None => not_understood("WITH of this kind"),
        }
    }

    /// Adds an entry of FROM.
    fn add(&mut self, item: Item) -> Read<ItemId> {
        if self.items.len() >= ITEMS_MAX {
            return Err(NotRead(format!(
                "the statement reads more than {ITEMS_MAX} tables, views and subqueries"
            )));
        }
        let id = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        self.items.push(item);
        Ok(ItemId(id))
    }

    /// Goes one level down.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth >= DEPTH_MAX {
            return Err(NotRead("the statement is nested too deeply".to_owned()));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// The constant whose token is at this place.
    fn literal(&self, place: Option<usize>) -> Read<Expr> {
        let Some((token, place)) = place.and_then(|at| Some((self.text.tokens.get(at)?, at))) else {
            return not_understood("a constant");
        };
        debug_assert!(place < self.text.tokens.len());
        let lifted = self.text.lifted.unwrap_or_default();
        let value = match lifted.binary_search_by_key(&token.start, |literal| literal.start) {
            Ok(index) if self.text.lifted.is_some() => LiteralValue::Lifted(index),
            _ => LiteralValue::Text(token.text(self.text.sql).into()),
        };
        let kind = match token.kind {
            TokenKind::Integer => integer_kind(token.text(self.text.sql)),
            TokenKind::Numeric => LiteralKind::Numeric,
            TokenKind::String => LiteralKind::String,
            TokenKind::BitString | TokenKind::HexString => LiteralKind::Bits,
            kind if kind.is_string() => LiteralKind::OtherString,
            _ => return not_understood("a constant"),
        };
        Ok(Expr::Literal(Literal { kind, value }))
    }
}

/// How many digits a number has is part of the template, so this may bear on the plan.
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

/// The name of an identifier.
fn ident(ident: &ast::Ident) -> String {
    parse::ident_name(ident)
}
