//! Queries: WITH, set operations, VALUES, and the clauses behind the body.

use super::{Builder, Read, Recursion, ident, not_understood};
use crate::sql::parse::ast;
use crate::sql::query::scope::{Namespace, Scope};
use crate::sql::query::{
    Body, Expr, LiteralKind, NotRead, Query, SetOperation, SetOperator, SortItem, SortKey, Source,
};
use ast::{LimitClause, OrderByKind, SetExpr};

impl Builder<'_> {
    /// Reads a query whose names are looked up in `scope`.
    pub(super) fn query(&mut self, query: &ast::Query, scope: &Scope<'_>) -> Read<Query> {
        let is_plain = query.for_clause.is_none()
            && query.settings.is_none()
            && query.format_clause.is_none()
            && query.pipe_operators.is_empty();
        if !is_plain {
            return not_understood("a clause behind the query");
        }
        self.nested(|builder| match &query.with {
            None => builder.query_in(query, scope),
            Some(with) => {
                let mut read = None;
                builder.with(with, scope, &mut |builder, scope| {
                    read = Some(builder.query_in(query, scope)?);
                    Ok(())
                })?;
                match read {
                    Some(read) => Ok(Query { has_with: true, ..read }),
                    None => not_understood("WITH of this kind"),
                }
            }
        })
    }

    /// Brings WITH queries into scope for `inner`; those that nothing names are read for their relations.
    pub(super) fn with(
        &mut self,
        with: &ast::With,
        scope: &Scope<'_>,
        inner: &mut dyn FnMut(&mut Self, &Scope<'_>) -> Read,
    ) -> Read {
        if with.cte_tables.iter().any(|cte| cte.from.is_some()) {
            return not_understood("WITH of this kind");
        }
        if with.recursive {
            let scope = Scope {
                parent: Some(scope),
                namespace: Namespace::default(),
                ctes: &with.cte_tables,
                is_recursive: true,
            };
            inner(self, &scope)?;
            return with.cte_tables.iter().try_for_each(|cte| self.unused_cte(cte, &scope));
        }
        self.with_next(&with.cte_tables, scope, inner)
    }

    /// Each query of a plain WITH sees those before it.
    fn with_next(
        &mut self,
        ctes: &[ast::Cte],
        scope: &Scope<'_>,
        inner: &mut dyn FnMut(&mut Self, &Scope<'_>) -> Read,
    ) -> Read {
        let Some((first, rest)) = ctes.split_first() else { return inner(self, scope) };
        let below = Scope {
            parent: Some(scope),
            namespace: Namespace::default(),
            ctes: std::slice::from_ref(first),
            is_recursive: false,
        };
        self.with_next(rest, &below, inner)?;
        self.unused_cte(first, scope)
    }

    fn unused_cte(&mut self, cte: &ast::Cte, scope: &Scope<'_>) -> Read {
        if self.used.contains(&std::ptr::from_ref(cte)) {
            return Ok(());
        }
        let before = self.items.len();
        self.cte(cte, scope)?;
        for item in self.items.drain(before..) {
            if let Source::Relation(named) = item.source {
                self.unused.push(named);
            }
        }
        Ok(())
    }

    /// Reads a WITH query for one of its uses; `scope` is what its own names are looked up in. Gives its
    /// columns' names besides.
    pub(super) fn cte(&mut self, cte: &ast::Cte, scope: &Scope<'_>) -> Read<(Query, Option<Vec<String>>)> {
        let pointer = std::ptr::from_ref(cte);
        self.used.push(pointer);
        let columns_of = |query: &Query| {
            let mut names = query.column_names();
            rename(&mut names, &cte.alias)?;
            Ok::<_, NotRead>(names)
        };
        self.recursions.push(Recursion { cte: pointer, columns: None, is_used: false });
        if let SetExpr::SetOperation { left, .. } = &*cte.query.body
            && scope.is_recursive
        {
            // The first arm gives the columns; it does not name the query itself.
            let before = self.items.len();
            let first = self.set_expr(left, scope)?;
            self.items.truncate(before);
            let columns = columns_of(&Query::of(first))?;
            if let Some(recursion) = self.recursions.last_mut() {
                recursion.columns = columns;
                recursion.is_used = false;
            }
        }
        let mut query = self.query(&cte.query, scope)?;
        query.is_recursive = self.recursions.pop().is_some_and(|recursion| recursion.is_used);
        let columns = columns_of(&query)?;
        Ok((query, columns))
    }

    fn query_in(&mut self, query: &ast::Query, scope: &Scope<'_>) -> Read<Query> {
        // ORDER BY sees the FROM of a plain SELECT, and only output columns otherwise.
        let mut read = match &*query.body {
            SetExpr::Select(select) => self.select(select, query.order_by.as_ref(), scope)?,
            body => {
                let mut read = Query::of(self.set_expr(body, scope)?);
                read.order_by = self.output_order(query.order_by.as_ref(), &read)?;
                read
            }
        };
        self.limits(query, scope, &mut read)?;
        for lock in &query.locks {
            match &lock.of {
                None => read.locks.push(Vec::new()),
                Some(name) => read.locks.push(super::super::names::object_name(name)?),
            }
        }
        // Clauses twice over, in parentheses and behind them, stay apart.
        if let Body::Query(inner) = read.body {
            read.body = if read.order_by.is_empty() && read.limit.is_none() && read.offset.is_none() {
                match *inner {
                    inner if inner.is_bare() => inner.body,
                    inner => Body::Query(Box::new(inner)),
                }
            } else {
                Body::Query(inner)
            };
        }
        Ok(read)
    }

    /// ORDER BY of a set operation or VALUES: output columns, by name or position.
    fn output_order(&mut self, order_by: Option<&ast::OrderBy>, query: &Query) -> Read<Vec<SortItem>> {
        let Some(order_by) = order_by else { return Ok(Vec::new()) };
        let names = query.column_names();
        let mut items = Vec::new();
        for entry in sort_entries(order_by)? {
            let key = match self.position(&entry.expr)? {
                Some(position) => Some(position),
                None => match &entry.expr {
                    ast::Expr::Identifier(name) => {
                        let name = ident(name);
                        names.as_ref().and_then(|names| names.iter().position(|other| *other == name))
                    }
                    _ => None,
                },
            };
            let Some(key) = key else {
                return not_understood("ORDER BY of this kind behind a set operation");
            };
            if query.width().is_none_or(|width| key >= width) {
                return not_understood("a position in ORDER BY");
            }
            items.push(sort_item(SortKey::Output(key), &entry.options)?);
        }
        Ok(items)
    }

    /// The place of the output column that a bare number names.
    pub(super) fn position(&mut self, expr: &ast::Expr) -> Read<Option<usize>> {
        let ast::Expr::Value(value) = expr else { return Ok(None) };
        let ast::Value::Number(..) = &value.value else { return Ok(None) };
        let Expr::Literal(literal) = self.literal(crate::sql::parse::place(value.span))? else {
            return Ok(None);
        };
        let position = match (&literal.value, literal.kind) {
            (crate::sql::query::LiteralValue::Text(text), LiteralKind::Int4) => {
                std::str::from_utf8(text).ok().and_then(|text| text.parse::<usize>().ok())
            }
            _ => None,
        };
        match position.and_then(|position| position.checked_sub(1)) {
            Some(place) => Ok(Some(place)),
            None => not_understood("a position in ORDER BY, GROUP BY or DISTINCT ON"),
        }
    }

    fn limits(&mut self, query: &ast::Query, scope: &Scope<'_>, read: &mut Query) -> Read {
        match &query.limit_clause {
            None => {}
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                if let Some(limit) = limit {
                    read.limit = Some(self.expr(limit, scope)?);
                }
                if let Some(offset) = offset {
                    read.offset = Some(self.expr(&offset.value, scope)?);
                }
            }
            Some(_) => return not_understood("LIMIT of this kind"),
        }
        if let Some(fetch) = &query.fetch {
            if fetch.percent || read.limit.is_some() {
                return not_understood("FETCH of this kind");
            }
            read.has_ties = fetch.with_ties;
            read.limit = Some(match &fetch.quantity {
                Some(quantity) => self.expr(quantity, scope)?,
                // FETCH FIRST ROW.
                None => Expr::Literal(crate::sql::query::Literal {
                    kind: LiteralKind::Int4,
                    value: crate::sql::query::LiteralValue::Text(b"1"[..].into()),
                }),
            });
        }
        let is_null =
            |expr: &Expr| matches!(expr, Expr::Literal(literal) if literal.kind == LiteralKind::Null);
        read.limit = read.limit.take().filter(|limit| !is_null(limit));
        read.offset = read.offset.take().filter(|offset| !is_null(offset));
        Ok(())
    }

    fn set_expr(&mut self, body: &SetExpr, scope: &Scope<'_>) -> Read<Body> {
        match body {
            SetExpr::Select(select) => Ok(self.select(select, None, scope)?.body),
            SetExpr::Query(query) => {
                let query = self.query(query, scope)?;
                Ok(if query.is_bare() { query.body } else { Body::Query(Box::new(query)) })
            }
            SetExpr::SetOperation { .. } => self.set_operation(body, scope),
            SetExpr::Values(values) if !values.explicit_row && !values.value_keyword => {
                let mut rows = Vec::new();
                for row in &values.rows {
                    rows.push(self.exprs(&row.content, scope)?);
                }
                Ok(Body::Values(rows))
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                not_understood("a data-modifying statement in WITH")
            }
            SetExpr::Table(_) | SetExpr::Values(_) => not_understood("a query of this kind"),
        }
    }

    /// A chain of set operations leans to the left: read in a loop.
    fn set_operation(&mut self, body: &SetExpr, scope: &Scope<'_>) -> Read<Body> {
        let mut arms = Vec::new();
        let mut at = body;
        while let SetExpr::SetOperation { left, op, set_quantifier, right } = at {
            let operator = match op {
                ast::SetOperator::Union => SetOperator::Union,
                ast::SetOperator::Intersect => SetOperator::Intersect,
                ast::SetOperator::Except => SetOperator::Except,
                ast::SetOperator::Minus => return not_understood("MINUS"),
            };
            let is_all = match set_quantifier {
                ast::SetQuantifier::All => true,
                ast::SetQuantifier::Distinct | ast::SetQuantifier::None => false,
                _ => return not_understood("a set operation of this kind"),
            };
            arms.push((operator, is_all, &**right));
            at = left;
        }
        let mut left = self.set_expr(at, scope)?;
        while let Some((operator, is_all, arm)) = arms.pop() {
            let right = Query::of(self.set_expr(arm, scope)?);
            left = Body::Set(Box::new(SetOperation { operator, is_all, left: Query::of(left), right }));
        }
        Ok(left)
    }
}

/// The entries of ORDER BY.
pub(super) fn sort_entries(order_by: &ast::OrderBy) -> Read<&[ast::OrderByExpr]> {
    let OrderByKind::Expressions(entries) = &order_by.kind else { return not_understood("ORDER BY ALL") };
    if order_by.interpolate.is_some() || entries.iter().any(|entry| entry.with_fill.is_some()) {
        return not_understood("ORDER BY of this kind");
    }
    Ok(entries)
}

/// A sort key with its direction.
pub(super) fn sort_item(key: SortKey, options: &ast::OrderByOptions) -> Read<SortItem> {
    let is_descending = match &options.sort {
        None | Some(ast::OrderBySort::Asc) => false,
        Some(ast::OrderBySort::Desc) => true,
        Some(ast::OrderBySort::Using(operator)) => match &super::super::names::operator_name(operator)?[..] {
            "<" => false,
            ">" => true,
            _ => return not_understood("ORDER BY ... USING of this kind"),
        },
    };
    Ok(SortItem { key, is_descending, nulls_first: options.nulls_first.unwrap_or(is_descending) })
}

/// Puts an alias's column names over the first ones.
pub(super) fn rename(names: &mut Option<Vec<String>>, alias: &ast::TableAlias) -> Read {
    if let Some(names) = names {
        if alias.columns.len() > names.len() {
            return not_understood("an alias with more columns than there are");
        }
        for (name, column) in names.iter_mut().zip(&alias.columns) {
            *name = ident(&column.name);
        }
    }
    Ok(())
}
