//! INSERT, UPDATE, DELETE.

use super::{Builder, Read, ident, not_understood};
use crate::sql::lexer::TokenKind;
use crate::sql::parse::{self, Notes, ast};
use crate::sql::query::names::object_name;
use crate::sql::query::scope::{Namespace, Scope};
use crate::sql::query::{
    Arbiter, Body, Conflict, Expr, Insert, InsertSource, ItemId, Join, Modify, Select, Set, Source,
};
use ast::{AssignmentTarget, ConflictTarget, FromTable, OnConflictAction, OnInsert, TableObject};

impl Builder<'_> {
    pub(super) fn insert(&mut self, insert: &ast::Insert, notes: &Notes, scope: &Scope<'_>) -> Read<Insert> {
        let is_plain = insert.or.is_none()
            && insert.optimizer_hints.is_empty()
            && !insert.ignore
            && !insert.overwrite
            && insert.assignments.is_empty()
            && insert.partitioned.is_none()
            && insert.after_columns.is_empty()
            && !insert.has_table_keyword
            && insert.output.is_none()
            && !insert.replace_into
            && insert.priority.is_none()
            && insert.insert_alias.is_none()
            && insert.settings.is_none()
            && insert.format_clause.is_none()
            && insert.multi_table_insert_type.is_none();
        let (TableObject::TableName(table), true) = (&insert.table, is_plain) else {
            return not_understood("INSERT of this kind");
        };
        let alias = insert.table_alias.as_ref().map(|alias| ident(&alias.alias));
        let (target, names) = self.target(object_name(table)?, alias)?;
        let mut columns = Vec::new();
        for name in &insert.columns {
            columns.push(column(name)?);
        }
        let source = match &insert.source {
            None => InsertSource::Defaults,
            Some(query) => {
                let query = self.query(query, scope)?;
                match query.body {
                    Body::Values(rows)
                        if query.order_by.is_empty()
                            && query.limit.is_none()
                            && query.offset.is_none()
                            && !query.has_with =>
                    {
                        InsertSource::Rows(rows)
                    }
                    body => InsertSource::Query(super::super::Query { body, ..query }),
                }
            }
        };
        let conflict = match &insert.on {
            None => None,
            Some(OnInsert::OnConflict(conflict)) => Some(self.conflict(conflict, notes, &names, target)?),
            Some(_) => return not_understood("ON DUPLICATE KEY"),
        };
        let returning = match &insert.returning {
            None => Vec::new(),
            Some(list) => self.outputs(list, &Scope::below(scope, names))?,
        };
        Ok(Insert { target, columns, source, conflict, returning, is_overriding: notes.has_overriding })
    }

    /// The table that is written to.
    fn target(&mut self, name: Vec<String>, alias: Option<String>) -> Read<(ItemId, Namespace)> {
        // A WITH query is no target: names of tables only.
        let (join, mut names) = self.table(name, None, false, &Scope::default())?;
        let Join::Item(id) = join else { return not_understood("a target of this kind") };
        if let Some(alias) = alias {
            if let Some(item) = self.items.get_mut(id.0 as usize) {
                item.name = Some(alias.clone());
            }
            for relation in &mut names.relations {
                relation.name = Some(alias.clone());
                relation.schema = None;
            }
        }
        self.check_target(id)?;
        Ok((id, names))
    }

    fn check_target(&self, target: ItemId) -> Read {
        match self.items.get(target.0 as usize).map(|item| &item.source) {
            Some(Source::Relation(_)) => Ok(()),
            _ => not_understood("a write to a view"),
        }
    }

    fn conflict(
        &mut self,
        conflict: &ast::OnConflict,
        notes: &Notes,
        names: &Namespace,
        target: ItemId,
    ) -> Read<Conflict> {
        let arbiter = match (&conflict.conflict_target, &notes.arbiter) {
            (None, None) => Arbiter::Any,
            (None, Some(range)) => Arbiter::Columns(self.arbiter_columns(range.clone())),
            (Some(ConflictTarget::OnConstraint(name)), None) => match object_name(name)?.pop() {
                Some(name) => Arbiter::Constraint(name),
                None => return not_understood("ON CONFLICT of this kind"),
            },
            _ => return not_understood("ON CONFLICT of this kind"),
        };
        let update = match &conflict.action {
            OnConflictAction::DoNothing => None,
            OnConflictAction::DoUpdate(update) => {
                // `excluded` has the target's columns.
                let mut visible = names.clone();
                if let Some(item) = self.items.get(target.0 as usize).cloned() {
                    let name = Some("excluded".to_owned());
                    let excluded = super::super::Item { name, source: Source::Excluded, ..item };
                    let id = self.add(excluded.clone())?;
                    let qualified = Namespace::of_item(id, &excluded, None, false);
                    visible.relations.extend(qualified.relations);
                }
                let outside = Scope::default();
                let scope = Scope::below(&outside, visible);
                let (sets, assigned) = self.assignments(&update.assignments, &scope)?;
                if assigned.iter().any(|expr| expr.any(&mut |e| matches!(e, Expr::Subquery(_)))) {
                    return not_understood("ON CONFLICT DO UPDATE with a subquery");
                }
                let filter = update.selection.as_ref().map(|filter| self.expr(filter, &scope)).transpose()?;
                Some((sets, filter))
            }
        };
        Ok(Conflict { arbiter, update })
    }

    /// The columns of an arbiter, by its tokens; an expression is an empty name.
    fn arbiter_columns(&self, range: std::ops::Range<usize>) -> Vec<String> {
        let tokens = self.text.tokens.get(range).unwrap_or_default();
        let mut columns = Vec::new();
        let mut depth = 0_i32;
        let mut first: Option<String> = None;
        let mut count = 0;
        for token in tokens {
            match token.kind {
                TokenKind::Comma if depth == 0 => {
                    columns.push(first.take().filter(|_| count == 1).unwrap_or_default());
                    count = 0;
                    continue;
                }
                TokenKind::ParenOpen => depth += 1,
                TokenKind::ParenClose => depth -= 1,
                _ => {}
            }
            if count == 0 {
                first = parse::name(self.text.sql, token);
            }
            count += 1;
        }
        columns.push(first.filter(|_| count == 1).unwrap_or_default());
        columns
    }

    pub(super) fn update(&mut self, update: &ast::Update, scope: &Scope<'_>) -> Read<Modify> {
        let is_plain = update.output.is_none()
            && update.optimizer_hints.is_empty()
            && update.or.is_none()
            && update.order_by.is_empty()
            && update.limit.is_none()
            && update.table.joins.is_empty();
        let from: &[ast::TableWithJoins] = match &update.from {
            None => &[],
            Some(ast::UpdateTableFromKind::AfterSet(tables)) => tables,
            Some(_) => return not_understood("UPDATE of this kind"),
        };
        if !is_plain {
            return not_understood("UPDATE of this kind");
        }
        let (target, names) = self.modified(&update.table)?;
        let (block, scope) = self.block(target, names, from, update.selection.as_ref(), scope)?;
        let below = Scope { parent: scope.1, namespace: scope.0, ctes: &[], is_recursive: false };
        let (sets, assigned) = self.assignments(&update.assignments, &below)?;
        let outputs = self.returning(update.returning.as_ref(), &below)?;
        Ok(Modify { target, sets: Some(sets), assigned, block: Select { outputs, ..block } })
    }

    pub(super) fn delete(&mut self, delete: &ast::Delete, scope: &Scope<'_>) -> Read<Modify> {
        let is_plain = delete.tables.is_empty()
            && delete.optimizer_hints.is_empty()
            && delete.output.is_none()
            && delete.order_by.is_empty()
            && delete.limit.is_none();
        let FromTable::WithFromKeyword(from) = &delete.from else {
            return not_understood("DELETE without FROM");
        };
        let [table] = &from[..] else { return not_understood("DELETE of this kind") };
        if !is_plain || !table.joins.is_empty() {
            return not_understood("DELETE of this kind");
        }
        let (target, names) = self.modified(table)?;
        let using = delete.using.as_deref().unwrap_or_default();
        let (block, scope) = self.block(target, names, using, delete.selection.as_ref(), scope)?;
        let below = Scope { parent: scope.1, namespace: scope.0, ctes: &[], is_recursive: false };
        let outputs = self.returning(delete.returning.as_ref(), &below)?;
        Ok(Modify { target, sets: None, assigned: Vec::new(), block: Select { outputs, ..block } })
    }

    /// The target of UPDATE or DELETE.
    fn modified(&mut self, table: &ast::TableWithJoins) -> Read<(ItemId, Namespace)> {
        match &table.relation {
            ast::TableFactor::Table { name, alias, args: None, sample: None, .. } => {
                let alias = match alias {
                    None => None,
                    Some(alias) if alias.columns.is_empty() => Some(ident(&alias.name)),
                    Some(_) => return not_understood("an alias of this kind"),
                };
                self.target(object_name(name)?, alias)
            }
            _ => not_understood("a target of this kind"),
        }
    }

    /// The target with FROM or USING and WHERE, and the names that the rest of the statement sees.
    fn block<'s>(
        &mut self,
        target: ItemId,
        names: Namespace,
        others: &[ast::TableWithJoins],
        filter: Option<&ast::Expr>,
        scope: &'s Scope<'s>,
    ) -> Read<(Select, (Namespace, Option<&'s Scope<'s>>))> {
        let (joins, more) = self.from(others, scope)?;
        let mut from = vec![Join::Item(target)];
        from.extend(joins);
        let mut visible = names;
        visible.append(more);
        let below = Scope::below(scope, visible);
        let filter = filter.map(|filter| self.expr(filter, &below)).transpose()?;
        Ok((Select { from, filter, ..Select::default() }, (below.namespace, Some(scope))))
    }

    fn returning(
        &mut self,
        list: Option<&Vec<ast::SelectItem>>,
        scope: &Scope<'_>,
    ) -> Read<Vec<super::super::Output>> {
        list.map_or(Ok(Vec::new()), |list| self.outputs(list, scope))
    }

    /// Reads `SET a = ..., (b, c) = ...`.
    fn assignments(
        &mut self,
        assignments: &[ast::Assignment],
        scope: &Scope<'_>,
    ) -> Read<(Vec<Set>, Vec<Expr>)> {
        let mut sets = Vec::new();
        let mut assigned = Vec::new();
        for assignment in assignments {
            let value = self.expr(&assignment.value, scope)?;
            match &assignment.target {
                AssignmentTarget::ColumnName(name) => {
                    sets.push(Set { column: column(name)?, value: Some(value) });
                }
                AssignmentTarget::Tuple(names) => {
                    for name in names {
                        sets.push(Set { column: column(name)?, value: None });
                    }
                    assigned.push(value);
                }
            }
        }
        Ok((sets, assigned))
    }
}

/// The column of `column` or `column.field`.
fn column(name: &ast::ObjectName) -> Read<String> {
    match object_name(name)?.into_iter().next() {
        Some(first) => Ok(first),
        None => not_understood("a column of this kind"),
    }
}
