//! What names mean at a place in a statement.
//!
//! Source: PostgreSQL 15, `src/backend/parser/parse_relation.c` and `parse_expr.c` (`transformColumnRef`).

use super::{Expr, Item, ItemId};
use crate::error::SqlError;
use crate::sql::parse::ast;
use crate::sqlstate::{AMBIGUOUS_COLUMN, SqlState, UNDEFINED_COLUMN, UNDEFINED_TABLE};

/// Columns that every table has and that `*` does not show.
const SYSTEM_COLUMNS: [&str; 6] = ["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"];

/// A place's names; those of the places around it behind `parent`.
#[derive(Debug, Default)]
pub(super) struct Scope<'s> {
    pub(super) parent: Option<&'s Scope<'s>>,
    pub(super) namespace: Namespace,
    /// WITH queries that come into scope here.
    pub(super) ctes: &'s [ast::Cte],
    /// Whether these may name themselves and each other.
    pub(super) is_recursive: bool,
}

/// Names of a FROM clause, or of a part of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Namespace {
    /// Columns by their bare names, in the order of `*`.
    pub(super) columns: Vec<Visible>,
    /// What columns may be qualified with.
    pub(super) relations: Vec<Relation>,
}

/// A column by its bare name.
#[derive(Clone, Debug)]
pub(super) struct Visible {
    pub(super) name: String,
    pub(super) value: Expr,
}

/// A name that qualifies columns.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) item: ItemId,
    pub(super) name: Option<String>,
    /// Of a table without alias: its schema.
    pub(super) schema: Option<String>,
    /// Whether it has system columns.
    pub(super) is_table: bool,
}

impl Namespace {
    /// The names of an item just added.
    pub(super) fn of_item(id: ItemId, item: &Item, schema: Option<String>, is_table: bool) -> Namespace {
        let columns = item
            .columns
            .iter()
            .flatten()
            .enumerate()
            .map(|(at, name)| Visible { name: name.clone(), value: Expr::Column(id, at) });
        let relation = Relation { item: id, name: item.name.clone(), schema, is_table };
        Namespace { columns: columns.collect(), relations: vec![relation] }
    }

    pub(super) fn append(&mut self, other: Namespace) {
        self.columns.extend(other.columns);
        self.relations.extend(other.relations);
    }

    /// The one column of this name, for USING.
    pub(super) fn only(&self, name: &str) -> Option<&Expr> {
        let mut found = self.columns.iter().filter(|column| column.name == name);
        let first = found.next()?;
        found.next().is_none().then_some(&first.value)
    }
}

impl<'s> Scope<'s> {
    /// A level below `parent`.
    pub(super) fn below(parent: &'s Scope<'s>, namespace: Namespace) -> Scope<'s> {
        Scope { parent: Some(parent), namespace, ctes: &[], is_recursive: false }
    }

    fn levels(&self) -> impl Iterator<Item = &Scope<'s>> {
        std::iter::successors(Some(self), |scope| scope.parent)
    }

    /// The WITH query of this name, and the scope that its own names are looked up in.
    pub(super) fn cte(&self, name: &str) -> Option<(&'s ast::Cte, &Scope<'s>)> {
        for scope in self.levels() {
            let found = scope.ctes.iter().find(|cte| crate::sql::parse::ident_name(&cte.alias.name) == name);
            if let Some(cte) = found {
                let around = if scope.is_recursive { scope } else { scope.parent? };
                return Some((cte, around));
            }
        }
        None
    }

    /// Resolves a column's name in parts.
    pub(super) fn resolve(&self, parts: &[String], items: &[Item]) -> Expr {
        match parts {
            [name] => self.bare(name, items),
            [relation, name] => self.qualified(None, relation, name, items),
            [.., schema, relation, name] => self.qualified(Some(schema), relation, name, items),
            [] => Expr::Beyond("a name without parts", Vec::new()),
        }
    }

    fn bare(&self, name: &str, items: &[Item]) -> Expr {
        for scope in self.levels() {
            let mut found = scope.namespace.columns.iter().filter(|column| column.name == name);
            if let Some(first) = found.next() {
                return match found.next() {
                    None => first.value.clone(),
                    Some(_) => ambiguous(name),
                };
            }
            let relations = &scope.namespace.relations;
            if SYSTEM_COLUMNS.contains(&name)
                && let Some(table) = relations.iter().find(|relation| relation.is_table)
            {
                return Expr::System(table.item, name.to_owned());
            }
            let unknown = relations.iter().find(|relation| !has_known_columns(relation.item, items));
            if let Some(unknown) = unknown {
                return Expr::Unknown(unknown.item, name.to_owned());
            }
        }
        for scope in self.levels() {
            let mut found = scope.namespace.relations.iter().filter(|r| r.name.as_deref() == Some(name));
            if let Some(first) = found.next() {
                return Expr::WholeRow(first.item);
            }
        }
        wrong(UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"))
    }

    fn qualified(&self, schema: Option<&String>, relation: &str, name: &str, items: &[Item]) -> Expr {
        let Some(item) = self.relation(schema.map(String::as_str), relation) else {
            return wrong(UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{relation}\""));
        };
        let Some(columns) = items.get(item.item.0 as usize).and_then(|item| item.columns.as_ref()) else {
            return Expr::Unknown(item.item, name.to_owned());
        };
        let mut found = columns.iter().enumerate().filter(|(_, column)| *column == name);
        if let Some((at, _)) = found.next() {
            return match found.next() {
                None => Expr::Column(item.item, at),
                Some(_) => ambiguous(name),
            };
        }
        if item.is_table && SYSTEM_COLUMNS.contains(&name) {
            return Expr::System(item.item, name.to_owned());
        }
        wrong(UNDEFINED_COLUMN, format!("column {relation}.{name} does not exist"))
    }

    /// What a qualifier names: the innermost one.
    pub(super) fn relation(&self, schema: Option<&str>, name: &str) -> Option<&Relation> {
        self.levels().find_map(|scope| {
            scope.namespace.relations.iter().find(|relation| {
                relation.name.as_deref() == Some(name)
                    && (schema.is_none() || relation.schema.as_deref() == schema)
            })
        })
    }
}

/// The bare name of the column that a table would have to have for a statement not to be [`Expr::Wrong`] there;
/// `None` for another error.
pub fn missing_column(error: &SqlError) -> Option<&str> {
    let told = error.message.strip_prefix("column ")?.strip_suffix(" does not exist")?;
    if error.code != UNDEFINED_COLUMN {
        return None;
    }
    match told.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(bare) => Some(bare),
        None => told.rsplit_once('.').map(|(_relation, name)| name),
    }
}

fn has_known_columns(item: ItemId, items: &[Item]) -> bool {
    items.get(item.0 as usize).is_some_and(|item| item.columns.is_some())
}

fn ambiguous(name: &str) -> Expr {
    wrong(AMBIGUOUS_COLUMN, format!("column reference \"{name}\" is ambiguous"))
}

fn wrong(code: SqlState, message: String) -> Expr {
    Expr::Wrong(Box::new(SqlError::new(code, message)))
}
