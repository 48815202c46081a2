//! SELECT and its clauses; RETURNING.

use super::query::{sort_entries, sort_item};
use super::{Builder, Read, ident, not_understood};
use crate::sql::parse::{self, ast};
use crate::sql::query::names::{object_name, output_name};
use crate::sql::query::scope::Scope;
use crate::sql::query::{Body, Distinct, Expr, Output, Over, Query, Select, SortItem, SortKey};
use ast::{GroupByExpr, SelectItem, SelectItemQualifiedWildcardKind};

impl Builder<'_> {
    /// Reads a SELECT, with the ORDER BY behind it.
    pub(super) fn select(
        &mut self,
        select: &ast::Select,
        order_by: Option<&ast::OrderBy>,
        scope: &Scope<'_>,
    ) -> Read<Query> {
        check_plain(select)?;
        let mut read = Select { listed: select.projection.len(), ..Select::default() };
        if self.text.lifted.is_some() {
            read.place = parse::place(select.select_token.0.span);
        }
        let (from, namespace) = self.from(&select.from, scope)?;
        read.from = from;
        let inside = Scope::below(scope, namespace);
        read.filter = select.selection.as_ref().map(|filter| self.expr(filter, &inside)).transpose()?;
        read.outputs = self.outputs(&select.projection, &inside)?;
        self.group_by(&select.group_by, &inside, &mut read)?;
        read.having = select.having.as_ref().map(|having| self.expr(having, &inside)).transpose()?;
        for window in &select.named_window {
            let mut over = match &window.1 {
                ast::NamedWindowExpr::NamedWindow(base) => {
                    Over { base: Some(ident(base)), ..Over::default() }
                }
                ast::NamedWindowExpr::WindowSpec(spec) => self.window(spec, &inside)?,
            };
            over.name = Some(ident(&window.0));
            read.windows.push(over);
        }
        read.distinct = match &select.distinct {
            None | Some(ast::Distinct::All) => Distinct::No,
            Some(ast::Distinct::Distinct) => Distinct::All,
            Some(ast::Distinct::On(exprs)) => {
                let keys = exprs.iter().map(|expr| self.sort_key(expr, &inside, &read.outputs));
                Distinct::On(keys.collect::<Read<_>>()?)
            }
        };
        let mut order = Vec::new();
        if let Some(order_by) = order_by {
            for entry in sort_entries(order_by)? {
                let key = self.sort_key(&entry.expr, &inside, &read.outputs)?;
                order.push(sort_item(key, &entry.options)?);
            }
        }
        let mut query = Query::of(Body::Select(Box::new(read)));
        query.order_by = order;
        Ok(query)
    }

    /// A key of ORDER BY or DISTINCT ON: a position, the name of an output column before one of the input,
    /// or an expression over the input.
    fn sort_key(&mut self, expr: &ast::Expr, scope: &Scope<'_>, outputs: &[Output]) -> Read<SortKey> {
        if let Some(position) = self.position(expr)? {
            return output_key(position, outputs);
        }
        if let ast::Expr::Identifier(name) = expr
            && !is_word_value(name)
        {
            let name = ident(name);
            if outputs.iter().any(|output| output.name.is_none()) {
                return not_understood("a select list with columns whose names are not known, in ORDER BY");
            }
            let mut found = outputs.iter().enumerate().filter(|(_, o)| o.name.as_deref() == Some(&*name));
            if let Some((at, first)) = found.next() {
                if found.any(|(_, other)| other.value != first.value) {
                    return not_understood("an ORDER BY that names two output columns");
                }
                return output_key(at, outputs);
            }
        }
        Ok(SortKey::Expr(self.expr(expr, scope)?))
    }

    fn group_by(&mut self, group_by: &GroupByExpr, scope: &Scope<'_>, read: &mut Select) -> Read {
        let GroupByExpr::Expressions(exprs, modifiers) = group_by else {
            return not_understood("GROUP BY ALL");
        };
        if !modifiers.is_empty() {
            return not_understood("GROUP BY of this kind");
        }
        for expr in exprs {
            match expr {
                ast::Expr::GroupingSets(sets) | ast::Expr::Cube(sets) | ast::Expr::Rollup(sets) => {
                    read.has_grouping_sets = true;
                    for expr in sets.iter().flatten() {
                        let key = self.group_key(expr, scope, &read.outputs)?;
                        read.group_by.push(key);
                    }
                }
                // GROUP BY () groups everything, GROUP BY (a, b) by both.
                ast::Expr::Tuple(exprs) if exprs.is_empty() => read.has_grouping_sets = true,
                ast::Expr::Tuple(exprs) => {
                    for expr in exprs {
                        read.group_by.push(SortKey::Expr(self.expr(expr, scope)?));
                    }
                }
                expr => {
                    let key = self.group_key(expr, scope, &read.outputs)?;
                    read.group_by.push(key);
                }
            }
        }
        Ok(())
    }

    /// A key of GROUP BY: a position, a column of this level's input before an output column's name, or an
    /// expression over the input.
    fn group_key(&mut self, expr: &ast::Expr, scope: &Scope<'_>, outputs: &[Output]) -> Read<SortKey> {
        if let Some(position) = self.position(expr)? {
            return output_key(position, outputs);
        }
        if let ast::Expr::Identifier(name) = expr
            && !is_word_value(name)
        {
            let name = ident(name);
            let is_input = scope.namespace.columns.iter().any(|column| column.name == name);
            let all_known = scope.namespace.relations.iter().all(|relation| {
                self.items.get(relation.item.0 as usize).is_some_and(|item| item.columns.is_some())
            });
            let found = outputs.iter().position(|output| output.name.as_deref() == Some(&*name));
            match found {
                Some(_) if !is_input && !all_known => return not_understood("GROUP BY of this kind"),
                Some(at) if !is_input => {
                    let is_ambiguous = outputs.iter().any(|other| {
                        other.name.as_deref() == Some(&*name)
                            && outputs.get(at).is_none_or(|first| first.value != other.value)
                    });
                    if is_ambiguous {
                        return not_understood("a GROUP BY that names two output columns");
                    }
                    return output_key(at, outputs);
                }
                _ => {}
            }
        }
        Ok(SortKey::Expr(self.expr(expr, scope)?))
    }

    /// A select list or RETURNING, `*` expanded.
    pub(super) fn outputs(&mut self, list: &[SelectItem], scope: &Scope<'_>) -> Read<Vec<Output>> {
        let mut outputs = Vec::new();
        for (entry, item) in list.iter().enumerate() {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let value = self.expr(expr, scope)?;
                    let name = output_name(expr, &value, &self.items);
                    outputs.push(Output { name, value, entry, is_star: false, has_alias: false });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let value = self.expr(expr, scope)?;
                    let name = Some(ident(alias));
                    outputs.push(Output { name, value, entry, is_star: false, has_alias: true });
                }
                SelectItem::Wildcard(options) => {
                    check_wildcard(options)?;
                    let namespace = &scope.namespace;
                    outputs.extend(namespace.columns.iter().map(|column| star(entry, column)));
                    let unknown = namespace.relations.iter().filter(|one| !self.is_known(one.item));
                    outputs.extend(unknown.map(|relation| unknown_star(entry, relation.item)));
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    check_wildcard(options)?;
                    let name = object_name(name)?;
                    outputs.extend(self.qualified_star(entry, &name, scope)?);
                }
                SelectItem::QualifiedWildcard(..) | SelectItem::ExprWithAliases { .. } => {
                    return not_understood("an entry of the select list");
                }
            }
        }
        Ok(outputs)
    }

    fn is_known(&self, item: crate::sql::query::ItemId) -> bool {
        self.items.get(item.0 as usize).is_some_and(|item| item.columns.is_some())
    }

    /// `table.*`
    fn qualified_star(&self, entry: usize, name: &[String], scope: &Scope<'_>) -> Read<Vec<Output>> {
        let (relation, schema) = match name {
            [relation] => (relation, None),
            [.., schema, relation] => (relation, Some(schema.as_str())),
            [] => return not_understood("* of this kind"),
        };
        let Some(relation) = scope.relation(schema, relation) else {
            return not_understood("* of what is not in FROM");
        };
        let item = relation.item;
        let Some(columns) = self.items.get(item.0 as usize).and_then(|item| item.columns.as_ref()) else {
            return Ok(vec![unknown_star(entry, item)]);
        };
        let column = |(at, name): (usize, &String)| Output {
            name: Some(name.clone()),
            value: Expr::Column(item, at),
            entry,
            is_star: true,
            has_alias: false,
        };
        Ok(columns.iter().enumerate().map(column).collect())
    }

    /// A window's definition.
    pub(super) fn window(&mut self, spec: &ast::WindowSpec, scope: &Scope<'_>) -> Read<Over> {
        let mut over = Over {
            base: spec.window_name.as_ref().map(ident),
            partition_by: self.exprs(&spec.partition_by, scope)?,
            order_by: self.sort_exprs(&spec.order_by, scope)?,
            ..Over::default()
        };
        let Some(frame) = &spec.window_frame else { return Ok(over) };
        for bound in [Some(&frame.start_bound), frame.end_bound.as_ref()].into_iter().flatten() {
            match bound {
                ast::WindowFrameBound::CurrentRow => {}
                ast::WindowFrameBound::Preceding(expr) | ast::WindowFrameBound::Following(expr) => {
                    if let Some(expr) = expr {
                        over.bounds.push(self.expr(expr, scope)?);
                    }
                }
            }
        }
        Ok(over)
    }

    /// ORDER BY inside a call or window: expressions only.
    pub(super) fn sort_exprs(
        &mut self,
        entries: &[ast::OrderByExpr],
        scope: &Scope<'_>,
    ) -> Read<Vec<SortItem>> {
        let mut items = Vec::new();
        for entry in entries {
            if entry.with_fill.is_some() {
                return not_understood("WITH FILL");
            }
            let key = SortKey::Expr(self.expr(&entry.expr, scope)?);
            items.push(sort_item(key, &entry.options)?);
        }
        Ok(items)
    }
}

fn output_key(place: usize, outputs: &[Output]) -> Read<SortKey> {
    if place < outputs.len() { Ok(SortKey::Output(place)) } else { not_understood("a position") }
}

/// The columns of an item of which they are not known.
fn unknown_star(entry: usize, item: crate::sql::query::ItemId) -> Output {
    let value = Expr::Unknown(item, "*".to_owned());
    Output { name: None, value, entry, is_star: true, has_alias: false }
}

fn star(entry: usize, column: &super::super::scope::Visible) -> Output {
    Output {
        name: Some(column.name.clone()),
        value: column.value.clone(),
        entry,
        is_star: true,
        has_alias: false,
    }
}

/// Unquoted words that are values, not columns.
pub(in crate::sql::query) fn is_word_value(ident: &ast::Ident) -> bool {
    const WORDS: [&str; 14] = [
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "default",
        "localtime",
        "localtimestamp",
        "session_user",
        "system_user",
        "user",
        "null",
    ];
    ident.quote_style.is_none() && WORDS.iter().any(|word| ident.value.eq_ignore_ascii_case(word))
}

fn check_plain(select: &ast::Select) -> Read {
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
        && select.optimizer_hints.is_empty()
        && matches!(select.flavor, ast::SelectFlavor::Standard);
    if select.into.is_some() {
        return not_understood("SELECT INTO");
    }
    if is_plain { Ok(()) } else { not_understood("a clause of this SELECT") }
}

fn check_wildcard(options: &ast::WildcardAdditionalOptions) -> Read {
    let is_plain = options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none()
        && options.opt_alias.is_none();
    if is_plain { Ok(()) } else { not_understood("* of this kind") }
}
