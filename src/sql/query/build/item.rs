//! Entries of FROM: tables, views, WITH queries, subqueries, functions.

use super::from::Part;
use super::query::rename;
use super::{Builder, DEPTH_MAX, Read, Text, ident, not_understood};
use crate::catalog::{Relation, RelationKind, builtin};
use crate::sql::parse::{self, ast};
use crate::sql::query::names::ROWS_FROM;
use crate::sql::query::scope::{Namespace, Scope};
use crate::sql::query::{Expr, Item, Join, Named, NotRead, Query, Source};
use std::rc::Rc;

/// What a relation's name stands for.
enum Found<'a> {
    Known(&'a Relation),
    /// Of Postgres's own schemas, or not in the catalog.
    Other,
}

impl<'a> Builder<'a> {
    /// A table, view or WITH query.
    pub(super) fn table(
        &mut self,
        name: Vec<String>,
        alias: Option<&ast::TableAlias>,
        is_sampled: bool,
        scope: &Scope<'_>,
    ) -> Read<Part> {
        if let [only] = &name[..]
            && let Some((cte, around)) = scope.cte(only)
        {
            if is_sampled {
                return not_understood("TABLESAMPLE of a WITH query");
            }
            return self.cte_use(cte, around, only, alias);
        }
        match self.find(&name) {
            Found::Known(relation) if relation.kind == RelationKind::View && !is_sampled => {
                self.view(relation, name, alias)
            }
            found => self.relation(found, name, alias, is_sampled),
        }
    }

    /// Resolves a relation's name.
    fn find(&self, name: &[String]) -> Found<'a> {
        let catalog = self.names.catalog;
        let is_own = |schema: &str| schema == "pg_catalog";
        match name {
            [table] => {
                let schemas = self.names.search_path.schemas();
                // pg_catalog is searched first, unless the path says where.
                if !schemas.iter().any(|schema| is_own(schema)) && catalog.is_system_relation(table) {
                    return Found::Other;
                }
                for schema in schemas {
                    if is_own(schema) && catalog.is_system_relation(table) {
                        return Found::Other;
                    }
                    if let Some(relation) = catalog.relation(schema, table) {
                        return Found::Known(relation);
                    }
                }
                Found::Other
            }
            [.., schema, table] => catalog.relation(schema, table).map_or(Found::Other, Found::Known),
            [] => Found::Other,
        }
    }

    fn relation(
        &mut self,
        found: Found<'_>,
        name: Vec<String>,
        alias: Option<&ast::TableAlias>,
        is_sampled: bool,
    ) -> Read<Part> {
        let (oid, schema, mut columns) = match found {
            Found::Known(relation) => (
                Some(relation.oid),
                Some(relation.schema.clone()),
                Some(relation.columns.iter().map(|column| column.name.clone()).collect()),
            ),
            Found::Other => (None, None, None),
        };
        if let Some(alias) = alias {
            rename(&mut columns, alias)?;
        }
        let own_name = name.last().cloned();
        let item = Item {
            source: Source::Relation(Named { name, oid }),
            name: alias.map(|alias| ident(&alias.name)).or(own_name),
            columns,
            is_lateral: false,
            is_sampled,
        };
        self.part(item, schema.filter(|_| alias.is_none()), true)
    }

    fn part(&mut self, item: Item, schema: Option<String>, is_table: bool) -> Read<Part> {
        let id = self.add(item.clone())?;
        Ok((Join::Item(id), Namespace::of_item(id, &item, schema, is_table)))
    }

    fn cte_use(
        &mut self,
        cte: &ast::Cte,
        around: &Scope<'_>,
        name: &str,
        alias: Option<&ast::TableAlias>,
    ) -> Read<Part> {
        let shown = alias.map_or_else(|| name.to_owned(), |alias| ident(&alias.name));
        let pointer = std::ptr::from_ref(cte);
        if let Some(recursion) = self.recursions.iter_mut().find(|recursion| recursion.cte == pointer) {
            recursion.is_used = true;
            let mut columns = recursion.columns.clone();
            if let Some(alias) = alias {
                rename(&mut columns, alias)?;
            }
            let item = Item {
                source: Source::Recursion,
                name: Some(shown),
                columns,
                is_lateral: false,
                is_sampled: false,
            };
            return self.part(item, None, false);
        }
        let (query, mut columns) = self.nested(|builder| builder.cte(cte, around))?;
        if let Some(alias) = alias {
            rename(&mut columns, alias)?;
        }
        let source = Source::Query(Box::new(query));
        let item = Item { source, name: Some(shown), columns, is_lateral: false, is_sampled: false };
        self.part(item, None, false)
    }

    /// A subquery, with its columns' names before its alias renames them.
    pub(super) fn derived(
        &mut self,
        query: Query,
        mut columns: Option<Vec<String>>,
        alias: Option<&ast::TableAlias>,
        is_lateral: bool,
    ) -> Read<Part> {
        if let Some(alias) = alias {
            rename(&mut columns, alias)?;
        }
        let source = Source::Query(Box::new(query));
        let name = alias.map(|alias| ident(&alias.name));
        self.part(Item { source, name, columns, is_lateral, is_sampled: false }, None, false)
    }

    /// A view: its definition takes its place.
    fn view(
        &mut self,
        relation: &'a Relation,
        name: Vec<String>,
        alias: Option<&ast::TableAlias>,
    ) -> Read<Part> {
        let Some(view) = &relation.view else {
            return self.relation(Found::Known(relation), name, alias, false);
        };
        if self.views.contains(&relation.oid) || self.views.len() >= DEPTH_MAX {
            return not_understood("a view that reads itself");
        }
        let why = |NotRead(why)| NotRead(format!("of the definition of view \"{}\" {why}", relation.name));
        let parsed =
            parse::parse_from(view.definition.as_bytes(), 0, true).map_err(NotRead::from).map_err(why)?;
        self.has_symmetric |= parsed.notes.has_symmetric;
        let ast::Statement::Query(tree) = &parsed.tree else { return not_understood("a view of this kind") };
        let text = Rc::new(Text { sql: view.definition.as_bytes(), tokens: parsed.tokens, lifted: None });
        let outside = std::mem::replace(&mut self.text, text);
        // Names in a definition come with their schemas.
        let path = self.names.search_path;
        let none = crate::catalog::SearchPath::parse("", "");
        let query = {
            let mut inner = Builder {
                names: super::Names { search_path: &none, ..self.names },
                text: Rc::clone(&self.text),
                items: std::mem::take(&mut self.items),
                unused: std::mem::take(&mut self.unused),
                has_symmetric: self.has_symmetric,
                depth: self.depth,
                used: Vec::new(),
                recursions: Vec::new(),
                views: std::mem::take(&mut self.views),
            };
            inner.views.push(relation.oid);
            let query = inner.nested(|builder| builder.query(tree, &Scope::default()));
            inner.views.pop();
            self.items = inner.items;
            self.unused = inner.unused;
            self.has_symmetric = inner.has_symmetric;
            self.views = inner.views;
            query
        };
        debug_assert!(std::ptr::eq(path, self.names.search_path));
        self.text = outside;
        let mut query = query.map_err(why)?;
        query.view = Some(relation.oid);
        let own: Vec<String> = relation.columns.iter().map(|column| column.name.clone()).collect();
        if query.width() != Some(own.len()) {
            return not_understood("a view whose definition has other columns than it");
        }
        let mut columns = Some(own);
        if let Some(alias) = alias {
            rename(&mut columns, alias)?;
        }
        let item = Item {
            source: Source::Query(Box::new(query)),
            name: alias.map(|alias| ident(&alias.name)).or_else(|| name.last().cloned()),
            columns,
            is_lateral: false,
            is_sampled: false,
        };
        let schema = relation.schema.clone();
        self.part(item, Some(schema).filter(|_| alias.is_none()), false)
    }

    /// A function in FROM; `options` are WITH ORDINALITY and the alias.
    pub(super) fn function_item(
        &mut self,
        name: &[String],
        arguments: &[ast::FunctionArg],
        (has_ordinality, alias): (bool, Option<&ast::TableAlias>),
        scope: &Scope<'_>,
    ) -> Read<Part> {
        let (arguments, has_named) = self.arguments(arguments, scope)?;
        let (calls, columns) = if let [only] = name
            && only == ROWS_FROM
        {
            (arguments, None)
        } else {
            let columns = self.function_columns(name, alias);
            let call = super::call::plain(name.to_vec(), arguments, has_named);
            (vec![call], columns)
        };
        self.functions(calls, columns, name.last().cloned(), (has_ordinality, alias))
    }

    /// `unnest(...)` in FROM: a column for each array.
    pub(super) fn unnest(
        &mut self,
        arrays: &[ast::Expr],
        options: (bool, Option<&ast::TableAlias>),
        scope: &Scope<'_>,
    ) -> Read<Part> {
        let name = vec!["unnest".to_owned()];
        let arrays = self.exprs(arrays, scope)?;
        let columns = match arrays.len() {
            1 => self.function_columns(&name, options.1),
            // An alias names the table only.
            several => Some(vec!["unnest".to_owned(); several]),
        };
        let call = super::call::plain(name, arrays, false);
        self.functions(vec![call], columns, Some("unnest".to_owned()), options)
    }

    fn functions(
        &mut self,
        calls: Vec<Expr>,
        mut columns: Option<Vec<String>>,
        name: Option<String>,
        (has_ordinality, alias): (bool, Option<&ast::TableAlias>),
    ) -> Read<Part> {
        if has_ordinality && let Some(columns) = &mut columns {
            columns.push("ordinality".to_owned());
        }
        if let Some(alias) = alias {
            rename(&mut columns, alias)?;
        }
        let name = alias.map(|alias| ident(&alias.name)).or(name);
        let source = Source::Function(calls);
        self.part(Item { source, name, columns, is_lateral: true, is_sampled: false }, None, false)
    }

    /// The names of a function's columns, before its alias renames them.
    fn function_columns(&self, name: &[String], alias: Option<&ast::TableAlias>) -> Option<Vec<String>> {
        // A list of columns with their types is all of them.
        if let Some(alias) = alias
            && !alias.columns.is_empty()
            && alias.columns.iter().all(|column| column.data_type.is_some())
        {
            return Some(alias.columns.iter().map(|column| ident(&column.name)).collect());
        }
        let bare = match name {
            [name] => name,
            [schema, name] if schema == "pg_catalog" => name,
            _ => return None,
        };
        // A user function of the name may be the one that is called.
        if self.names.catalog.function(bare).is_some() {
            return None;
        }
        let known = builtin::functions(bare);
        let first = known.first()?;
        if known.iter().any(|other| other.outputs != first.outputs) {
            return None;
        }
        if !first.outputs.is_empty() {
            return Some(first.outputs.iter().map(|&name| name.to_owned()).collect());
        }
        /// OIDs of `record` and of pseudo-types that may stand for a row.
        const MAYBE_ROWS: [u32; 6] = [2249, 2283, 2776, 5077, 5079, 2276];
        if bare != "unnest" && known.iter().any(|function| MAYBE_ROWS.contains(&function.result)) {
            return None;
        }
        // A scalar's column is called like the table.
        Some(vec![alias.map_or_else(|| bare.clone(), |alias| ident(&alias.name))])
    }
}
