//! INSERT, UPDATE, DELETE.

use super::{Given, Insert, InsertSource, Kind, Walk, Walked, condition, not_understood, object_name};
use crate::sql::parse::{self, ast};
use ast::{AssignmentTarget, Expr, FromTable, OnConflictAction, OnInsert, SetExpr, TableObject, Value};

impl Walk {
    pub(super) fn insert(&mut self, insert: &ast::Insert) -> Walked<Kind> {
        let is_plain = insert.or.is_none()
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
        let TableObject::TableName(table) = &insert.table else {
            return not_understood("INSERT of this kind");
        };
        if !is_plain {
            return not_understood("INSERT of this kind");
        }
        let table = object_name(table)?;
        // Level 0 holds the target, for RETURNING and ON CONFLICT.
        let level = self.new_level(None);
        let alias = insert.table_alias.as_ref().map(|alias| parse::ident_name(&alias.alias));
        let item = super::Item { source: super::Source::Table(table.clone()), alias, renames_columns: false };
        self.at(level, |level| level.items.push(item));
        let columns = insert.columns.iter().map(column).collect::<Walked<_>>()?;
        let source = match &insert.source {
            None => InsertSource::Defaults,
            Some(query) => self.insert_source(query)?,
        };
        let conflict_sets = match &insert.on {
            None => Vec::new(),
            Some(OnInsert::OnConflict(conflict)) => match &conflict.action {
                OnConflictAction::DoNothing => Vec::new(),
                OnConflictAction::DoUpdate(update) => {
                    if let Some(selection) = &update.selection {
                        self.expression(selection, level)?;
                    }
                    self.assignments(&update.assignments, level)?
                }
            },
            Some(_) => return not_understood("ON DUPLICATE KEY"),
        };
        if let Some(returning) = &insert.returning {
            self.select_items(returning, level)?;
        }
        Ok(Kind::Insert(Insert { table, columns, source, conflict_sets }))
    }

    fn insert_source(&mut self, query: &ast::Query) -> Walked<InsertSource> {
        let is_bare = query.with.is_none()
            && query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none();
        self.query(query, None)?;
        let SetExpr::Values(values) = &*query.body else { return Ok(InsertSource::Query) };
        if !is_bare {
            return Ok(InsertSource::Query);
        }
        match &values.rows[..] {
            [row] => Ok(InsertSource::Row(row.content.iter().map(given).collect())),
            rows => Ok(InsertSource::Rows(rows.len())),
        }
    }

    pub(super) fn update(&mut self, update: &ast::Update) -> Walked<Kind> {
        let is_plain = update.output.is_none()
            && update.or.is_none()
            && update.order_by.is_empty()
            && update.limit.is_none()
            && update.table.joins.is_empty();
        if !is_plain {
            return not_understood("UPDATE of this kind");
        }
        let level = self.new_level(None);
        self.from(std::slice::from_ref(&update.table), level)?;
        match &update.from {
            None => {}
            Some(ast::UpdateTableFromKind::AfterSet(tables)) => self.from(tables, level)?,
            Some(_) => return not_understood("UPDATE of this kind"),
        }
        let sets = self.assignments(&update.assignments, level)?;
        if let Some(selection) = &update.selection {
            self.restriction(selection, level)?;
        }
        if let Some(returning) = &update.returning {
            self.select_items(returning, level)?;
        }
        Ok(Kind::Update(sets))
    }

    pub(super) fn delete(&mut self, delete: &ast::Delete) -> Walked<Kind> {
        let is_plain = delete.tables.is_empty()
            && delete.output.is_none()
            && delete.order_by.is_empty()
            && delete.limit.is_none();
        let FromTable::WithFromKeyword(from) = &delete.from else {
            return not_understood("DELETE without FROM");
        };
        let [target] = &from[..] else { return not_understood("DELETE of this kind") };
        if !is_plain || !target.joins.is_empty() {
            return not_understood("DELETE of this kind");
        }
        let level = self.new_level(None);
        self.from(from, level)?;
        if let Some(using) = &delete.using {
            self.from(using, level)?;
        }
        if let Some(selection) = &delete.selection {
            self.restriction(selection, level)?;
        }
        if let Some(returning) = &delete.returning {
            self.select_items(returning, level)?;
        }
        Ok(Kind::Delete)
    }

    /// Walks `SET a = ..., (b, c) = ...`; gives the columns set.
    fn assignments(&mut self, assignments: &[ast::Assignment], level: usize) -> Walked<Vec<String>> {
        let mut columns = Vec::new();
        for assignment in assignments {
            match &assignment.target {
                AssignmentTarget::ColumnName(name) => columns.push(column(name)?),
                AssignmentTarget::Tuple(names) => {
                    for name in names {
                        columns.push(column(name)?);
                    }
                }
            }
            self.expression(&assignment.value, level)?;
        }
        Ok(columns)
    }
}

/// The column of `column` or `column.field`.
fn column(name: &ast::ObjectName) -> Walked<String> {
    match object_name(name)?.into_iter().next() {
        Some(first) => Ok(first),
        None => not_understood("a column of this kind"),
    }
}

fn given(expr: &Expr) -> Given {
    match expr {
        Expr::Nested(inner) => given(inner),
        Expr::Value(value) if value.value == Value::Null => Given::Null,
        Expr::Identifier(ident)
            if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default") =>
        {
            Given::Default
        }
        _ => condition::constant(expr).map_or(Given::Expression, Given::Constant),
    }
}
