//! Tables as the sharding rules and one statement know them: with the keys that the rules name, and the columns
//! that the statement names. Where a name may belong to several tables, or an order of columns matters, nothing
//! is assumed.

use super::names::{calls, each_part, is_ambiguous, missing, using, words};
use crate::catalog::{Catalog, SearchPath};
use crate::datum::key::KeyType;
use crate::datum::oid;
use crate::rules::Rules;
use crate::sql::query::{self, Expr, Item, Kind, Names, NotRead, Source, Statement};
use crate::sql::template::{Template, template};

/// Types that a column may be taken to have, in the order in which they are tried, with their names.
pub(super) const TYPES: [(u32, &str); 4] = [
    (oid::INT8, "bigint"),
    (oid::TEXT, "text"),
    (oid::NUMERIC, "numeric"),
    (oid::TIMESTAMPTZ, "timestamptz"),
];

/// OIDs of what users make begin here.
const FIRST_OID: u32 = 16384;

/// What to do where the rules do not say enough.
const WAY_OUT: &str = "let the home shard be asked, or give --schema FILE";

/// The tables that a statement is planned with.
#[derive(Clone, Debug)]
pub(super) struct Assumed {
    tables: Vec<Table>,
    column_type: (u32, &'static str),
}

#[derive(Clone, Debug)]
struct Table {
    schema: String,
    name: String,
    has_rule: bool,
    /// Name, type, the type's name.
    columns: Vec<(String, u32, &'static str)>,
}

/// A row as the catalog is read from.
type Row = [Option<String>; 12];

impl Assumed {
    /// What has to be assumed for a statement.
    ///
    /// # Errors
    /// What cannot be, in words.
    pub(super) fn of(
        text: &[u8],
        rules: &Rules,
        path: &SearchPath,
        column_type: (u32, &'static str),
    ) -> Result<Assumed, String> {
        let words = words(text);
        let mut assumed = Assumed { tables: ruled(rules, &words), column_type };
        for name in using(text) {
            (0..assumed.tables.len()).for_each(|at| assumed.add(at, &name));
        }
        // Each round adds what the statement names, so there are no more rounds than words.
        for _ in 0..=words.len() * 2 {
            let statement = match assumed.read(text, path)? {
                Ok(Some(statement)) => statement,
                Ok(None) | Err(_) => return Ok(assumed),
            };
            if assumed.add_tables(&statement, path) {
                continue;
            }
            if let Some(name) = missing(&statement).into_iter().next() {
                assumed = assumed.with_column(&name, &statement, text, path)?;
            } else if let Some(more) = assumed.without_calls(&statement, text, path)? {
                assumed = more;
            } else {
                assumed.order_matters(text, &statement)?;
                return Ok(assumed);
            }
        }
        Ok(assumed)
    }

    /// The catalog of such tables.
    ///
    /// # Errors
    /// None, unless this module and the catalog have come apart.
    pub(super) fn catalog(&self) -> Result<Catalog, String> {
        let mut rows = vec![
            row(&["database", "", "UTF8", "150000", "", ""]),
            row(&["collation", "100", "pg_catalog", "default", "c", "true", "false"]),
        ];
        for (at, table) in self.tables.iter().enumerate() {
            let oid = (FIRST_OID + oid_offset(at)).to_string();
            rows.push(row(&["schema", &table.schema]));
            rows.push(row(&["relation", &oid, &table.schema, &table.name, "r", "false", "", "false"]));
            for (number, (name, type_oid, _)) in table.columns.iter().enumerate() {
                let (number, type_oid) = ((number + 1).to_string(), type_oid.to_string());
                let collation = if type_oid == oid::TEXT.to_string() { "100" } else { "0" };
                rows.push(row(&[
                    "column", &oid, &number, name, &type_oid, "none", &type_oid, "-1", collation, "false", "",
                ]));
            }
        }
        let rows = rows.iter().map(|row| row.iter().map(Option::as_deref).collect::<Vec<_>>());
        Catalog::from_rows(rows).map_err(|error| error.to_string())
    }

    /// What was assumed, in words.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for table in &self.tables {
            let columns: Vec<String> =
                table.columns.iter().map(|(name, _, of_type)| format!("{name} {of_type}")).collect();
            let home = if table.has_rule { "" } else { ", on the home shard" };
            lines.push(format!(
                "Assumed: table {}.{} ({}){home}",
                table.schema,
                table.name,
                columns.join(", ")
            ));
        }
        lines.push(
            "Assumed: no view, trigger, constraint or user function hides another table; no server was asked"
                .to_owned(),
        );
        lines
    }

    fn read(&self, text: &[u8], path: &SearchPath) -> Result<Result<Option<Statement>, NotRead>, String> {
        let catalog = self.catalog()?;
        let names = Names { catalog: &catalog, search_path: path, standard_conforming_strings: true };
        let mut lifted = Template::default();
        template(text, true, &mut lifted);
        Ok(query::read(text, 0, &lifted.literals, &names))
    }

    fn add(&mut self, at: usize, name: &str) {
        let (type_oid, type_name) = self.column_type;
        if let Some(table) = self.tables.get_mut(at)
            && table.columns.iter().all(|(known, ..)| known != name)
        {
            table.columns.push((name.to_owned(), type_oid, type_name));
        }
    }

    /// Adds the tables that a statement names and that have no rule; whether there were any.
    fn add_tables(&mut self, statement: &Statement, path: &SearchPath) -> bool {
        let items = statement.items.iter().filter_map(|item| match &item.source {
            Source::Relation(named) => Some(named),
            _ => None,
        });
        let before = self.tables.len();
        for named in items.chain(&statement.unused).filter(|named| named.oid.is_none()) {
            let first = path.schemas().iter().find(|schema| !schema.is_empty());
            let (schema, name) = match &named.name[..] {
                [name] => (first.cloned().unwrap_or_else(|| "public".to_owned()), name.clone()),
                [.., schema, name] => (schema.clone(), name.clone()),
                [] => continue,
            };
            let is_system = schema == "information_schema" || schema.starts_with("pg_");
            let is_known = self.tables.iter().any(|table| table.schema == schema && table.name == name);
            if !is_system && !is_known && !name.starts_with("pg_") {
                self.tables.push(Table { schema, name, has_rule: false, columns: Vec::new() });
            }
        }
        self.tables.len() > before
    }

    /// Gives the column that is missed first to the table whose it must be.
    fn with_column(
        &self,
        name: &str,
        statement: &Statement,
        text: &[u8],
        path: &SearchPath,
    ) -> Result<Assumed, String> {
        let count = missing(statement).len();
        let mut candidates = Vec::new();
        for at in 0..self.tables.len() {
            let mut tried = self.clone();
            tried.add(at, name);
            if matches!(tried.read(text, path)?, Ok(Some(read)) if missing(&read).len() < count) {
                candidates.push((at, tried));
            }
        }
        if let [(_, only)] = &candidates[..] {
            return Ok(only.clone());
        }
        // It may be a column of each, in different places.
        let mut all = self.clone();
        candidates.iter().for_each(|(at, _)| all.add(*at, name));
        if let Ok(Some(read)) = all.read(text, path)?
            && !candidates.is_empty()
            && !is_ambiguous(&read)
        {
            // Of a subquery and what is around it, the inner one is meant.
            let mut meant = self.clone();
            let is_meant = |(at, _): &&(usize, Assumed)| all.is_read(*at, name, &read);
            candidates.iter().filter(is_meant).for_each(|(at, _)| meant.add(*at, name));
            return Ok(meant);
        }
        let tables: Vec<&str> = candidates
            .iter()
            .filter_map(|(at, _)| self.tables.get(*at).map(|table| table.name.as_str()))
            .collect();
        if tables.is_empty() {
            return Err(format!("no table can have the column \"{name}\""));
        }
        Err(format!(
            "the rules do not say which table has the column \"{name}\": {}; qualify it, {WAY_OUT}",
            tables.join(" or ")
        ))
    }

    /// Whether a statement reads a column of a table.
    fn is_read(&self, at: usize, name: &str, statement: &Statement) -> bool {
        let Some(table) = self.tables.get(at) else { return false };
        let place = table.columns.iter().position(|(known, ..)| known == name);
        let is_of = |item: &Item| match &item.source {
            Source::Relation(named) => named.oid.is_some_and(|oid| oid == FIRST_OID + oid_offset(at)),
            _ => false,
        };
        let mut found = false;
        each_part(statement, |part| {
            if let Expr::Column(id, column) = part {
                found |= Some(*column) == place && statement.item(*id).is_some_and(is_of);
            }
        });
        found
    }

    /// Takes `t.name`, which is a function's name as well, for a column; `None` where no column is meant.
    fn without_calls(
        &self,
        statement: &Statement,
        text: &[u8],
        path: &SearchPath,
    ) -> Result<Option<Assumed>, String> {
        let count = calls(statement);
        if count == 0 {
            return Ok(None);
        }
        for name in words(text) {
            for at in 0..self.tables.len() {
                let mut tried = self.clone();
                tried.add(at, &name);
                if matches!(tried.read(text, path)?, Ok(Some(read)) if calls(&read) < count) {
                    return Ok(Some(tried));
                }
            }
        }
        Ok(None)
    }

    /// The order of a table's columns is not known.
    fn order_matters(&self, text: &[u8], statement: &Statement) -> Result<(), String> {
        let catalog = self.catalog()?;
        if matches!(&statement.kind, Kind::Insert(insert) if insert.columns.is_empty()) {
            return Err(format!(
                "the rules do not say which columns INSERT fills: name them behind the table, {WAY_OUT}"
            ));
        }
        for item in &statement.items {
            let Source::Relation(named) = &item.source else { continue };
            let Some(relation) = named.oid.and_then(|oid| catalog.relation_by_oid(oid)) else { continue };
            let own = relation.columns.iter().map(|column| &column.name);
            if item.columns.as_ref().is_some_and(|shown| !shown.iter().eq(own)) {
                return Err(format!(
                    "the rules do not say which columns an alias renames: use their names, {WAY_OUT}"
                ));
            }
        }
        if words(text).iter().any(|word| word == "natural") {
            return Err(format!(
                "the rules do not say which columns NATURAL JOIN compares: write ON or USING, {WAY_OUT}"
            ));
        }
        Ok(())
    }
}

/// The tables of the rules that a statement's words may mean.
fn ruled(rules: &Rules, words: &[String]) -> Vec<Table> {
    let table = |schema: &str, name: &str| Table {
        schema: schema.to_owned(),
        name: name.to_owned(),
        has_rule: true,
        columns: Vec::new(),
    };
    let mut tables = Vec::new();
    for rule in rules.sharded() {
        let mut found = table(&rule.schema, &rule.table);
        let types = rules.group(rule.group).map_or(&[][..], |group| &group.key_types);
        for (key, key_type) in rule.keys.iter().zip(types) {
            let (type_oid, name) = column_type(*key_type);
            found.columns.push((key.clone(), type_oid, name));
        }
        tables.push(found);
    }
    tables.extend(rules.references().iter().map(|rule| table(&rule.schema, &rule.table)));
    tables.extend(rules.singles().iter().map(|rule| table(&rule.schema, &rule.table)));
    tables.retain(|table| words.contains(&table.name));
    tables
}

fn column_type(key: KeyType) -> (u32, &'static str) {
    match key {
        KeyType::Int8 => (oid::INT8, "bigint"),
        KeyType::Numeric => (oid::NUMERIC, "numeric"),
        KeyType::Text => (oid::TEXT, "text"),
        KeyType::Uuid => (oid::UUID, "uuid"),
        KeyType::Date => (oid::DATE, "date"),
        KeyType::Timestamp => (oid::TIMESTAMP, "timestamp"),
        KeyType::Timestamptz => (oid::TIMESTAMPTZ, "timestamptz"),
    }
}

fn oid_offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX - FIRST_OID)
}

fn row(fields: &[&str]) -> Row {
    let mut row = Row::default();
    for (place, field) in row.iter_mut().zip(fields) {
        *place = Some((*field).to_owned());
    }
    row
}
