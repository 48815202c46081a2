//! Queries: WITH, set operations, SELECT and its clauses.

use super::{Applies, Output, Walk, Walked, condition, not_understood};
use crate::sql::parse::{self, ast};
use ast::{
    Distinct, Expr, FunctionArguments, GroupByExpr, LimitClause, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr,
};

impl Walk {
    /// Walks a query; `parent` is the level whose columns it may name. Gives its first level.
    pub(super) fn query(&mut self, query: &Query, parent: Option<usize>) -> Walked<usize> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if for_clause.is_some() || settings.is_some() || format_clause.is_some() || !pipe_operators.is_empty()
        {
            return not_understood("a clause behind the query");
        }
        let scope = self.ctes.len();
        if let Some(with) = with {
            self.with(with, parent)?;
        }
        let level = self.set_expr(body, parent)?;
        if with.is_some() {
            self.clause(level, "WITH");
        }
        if let Some(order_by) = order_by {
            let OrderByKind::Expressions(exprs) = &order_by.kind else {
                return not_understood("ORDER BY ALL");
            };
            if order_by.interpolate.is_some() {
                return not_understood("INTERPOLATE");
            }
            self.clause(level, "ORDER BY");
            self.order_by(exprs, level)?;
        }
        self.limits(limit_clause.as_ref(), fetch.as_ref(), level)?;
        if !locks.is_empty() {
            self.clause(level, "FOR UPDATE or FOR SHARE");
        }
        self.ctes.truncate(scope);
        Ok(level)
    }

    fn with(&mut self, with: &ast::With, parent: Option<usize>) -> Walked {
        if with.recursive {
            // Every name is in scope in every query of the list.
            self.ctes.extend(with.cte_tables.iter().map(|cte| parse::ident_name(&cte.alias.name)));
        }
        for cte in &with.cte_tables {
            if cte.from.is_some() {
                return not_understood("WITH of this kind");
            }
            self.query(&cte.query, parent)?;
            if !with.recursive {
                self.ctes.push(parse::ident_name(&cte.alias.name));
            }
        }
        Ok(())
    }

    fn limits(&mut self, limit: Option<&LimitClause>, fetch: Option<&ast::Fetch>, level: usize) -> Walked {
        match limit {
            None => {}
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                self.clause(level, if limit.is_some() { "LIMIT" } else { "OFFSET" });
                for expr in limit.iter().chain(offset.as_ref().map(|offset| &offset.value)) {
                    self.expression(expr, level)?;
                }
            }
            Some(_) => return not_understood("LIMIT of this kind"),
        }
        if let Some(fetch) = fetch {
            self.clause(level, "FETCH FIRST");
            if let Some(expr) = &fetch.quantity {
                self.expression(expr, level)?;
            }
        }
        Ok(())
    }

    fn set_expr(&mut self, body: &SetExpr, parent: Option<usize>) -> Walked<usize> {
        match body {
            SetExpr::Select(select) => self.select(select, parent),
            SetExpr::Query(query) => {
                let level = self.query(query, parent)?;
                self.clause(level, "parentheses");
                Ok(level)
            }
            SetExpr::SetOperation { .. } => self.set_operation(body, parent),
            SetExpr::Values(values) => {
                let level = self.new_level(parent);
                self.clause(level, "VALUES");
                for expr in values.rows.iter().flat_map(|row| &row.content) {
                    self.expression(expr, level)?;
                }
                Ok(level)
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                not_understood("a data-modifying statement in WITH")
            }
            SetExpr::Table(_) => not_understood("TABLE"),
        }
    }

    /// A chain of set operations leans to the left: walked in a loop.
    fn set_operation(&mut self, body: &SetExpr, parent: Option<usize>) -> Walked<usize> {
        let mut arms = Vec::new();
        let mut at = body;
        while let SetExpr::SetOperation { left, right, .. } = at {
            arms.push(&**right);
            at = left;
        }
        // ORDER BY and LIMIT of the whole belong to a level of its own, without items.
        let whole = self.new_level(parent);
        self.clause(whole, "UNION, INTERSECT or EXCEPT");
        self.set_expr(at, parent)?;
        while let Some(arm) = arms.pop() {
            self.set_expr(arm, parent)?;
        }
        Ok(whole)
    }

    fn select(&mut self, select: &Select, parent: Option<usize>) -> Walked<usize> {
        let is_plain = select.select_modifiers.is_none()
            && select.top.is_none()
            && select.exclude.is_none()
            && select.lateral_views.is_empty()
            && select.prewhere.is_none()
            && select.connect_by.is_empty()
            && select.cluster_by.is_empty()
            && select.distribute_by.is_empty()
            && select.sort_by.is_empty()
            && select.qualify.is_none()
            && select.value_table_mode.is_none()
            && matches!(select.flavor, ast::SelectFlavor::Standard);
        if !is_plain {
            return not_understood("a clause of this SELECT");
        }
        if select.into.is_some() {
            return not_understood("SELECT INTO");
        }
        let level = self.new_level(parent);
        self.from(&select.from, level)?;
        if let Some(selection) = &select.selection {
            self.restriction(selection, level)?;
        }
        match &select.distinct {
            None | Some(Distinct::All) => {}
            Some(Distinct::Distinct) => self.clause(level, "DISTINCT"),
            Some(Distinct::On(exprs)) => {
                self.clause(level, "DISTINCT ON");
                self.expressions(exprs, level)?;
            }
        }
        match &select.group_by {
            GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => {
                if !exprs.is_empty() {
                    self.clause(level, "GROUP BY");
                }
                self.expressions(exprs, level)?;
            }
            _ => return not_understood("GROUP BY of this kind"),
        }
        if let Some(having) = &select.having {
            self.clause(level, "HAVING");
            self.expression(having, level)?;
        }
        for window in &select.named_window {
            self.clause(level, "WINDOW");
            match &window.1 {
                ast::NamedWindowExpr::NamedWindow(_) => {}
                ast::NamedWindowExpr::WindowSpec(spec) => self.window(spec, level)?,
            }
        }
        self.select_items(&select.projection, level)?;
        Ok(level)
    }

    /// A WHERE: walked, and its equalities noted.
    pub(super) fn restriction(&mut self, expr: &Expr, level: usize) -> Walked {
        self.expression(expr, level)?;
        let mut conditions = Vec::new();
        condition::collect(expr, &Applies::All, &mut conditions);
        self.at(level, |level| level.conditions.append(&mut conditions));
        Ok(())
    }

    /// A select list or RETURNING.
    pub(super) fn select_items(&mut self, items: &[SelectItem], level: usize) -> Walked {
        for item in items {
            let output = match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    self.expression(expr, level)?;
                    output(expr)?
                }
                SelectItem::Wildcard(options) => {
                    plain_wildcard(options)?;
                    Output::Star
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), options) => {
                    plain_wildcard(options)?;
                    Output::Star
                }
                SelectItem::QualifiedWildcard(..) | SelectItem::ExprWithAliases { .. } => {
                    return not_understood("an entry of the select list");
                }
            };
            self.at(level, |level| level.outputs.push(output));
        }
        Ok(())
    }
}

fn plain_wildcard(options: &ast::WildcardAdditionalOptions) -> Walked {
    let is_plain = options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none()
        && options.opt_alias.is_none();
    if is_plain { Ok(()) } else { not_understood("* of this kind") }
}

fn output(expr: &Expr) -> Walked<Output> {
    let Expr::Function(function) = expr else { return Ok(Output::Expression) };
    let FunctionArguments::List(list) = &function.args else { return Ok(Output::Expression) };
    let is_star =
        |arg: &ast::FunctionArg| matches!(arg, ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Wildcard));
    let stars = list.args.iter().filter(|arg| is_star(arg)).count();
    let is_modified = function.filter.is_some()
        || function.over.is_some()
        || function.null_treatment.is_some()
        || !function.within_group.is_empty()
        || !list.clauses.is_empty()
        || !matches!(list.duplicate_treatment, None | Some(ast::DuplicateTreatment::All));
    Ok(Output::Call {
        name: super::object_name(&function.name)?,
        is_star: stars > 0,
        is_modified,
        arguments: list.args.len() - stars,
    })
}
