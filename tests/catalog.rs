//! The catalog query reads a live schema: every kind of object as `tests/golden/catalog_kinds.txt` prints
//! it, and the planner's test schema as `tests/golden/catalog.txt` holds its rows.
//!
//! `HOWDAH_BLESS=1` writes both files anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use howdah::catalog::{Catalog, Column, LOAD_SQL, Relation, TypeKind};
use std::collections::BTreeMap;
use std::fmt::Write;
use support::postgres::Postgres;
use support::wire::Wire;

type Rows = Vec<Vec<Option<String>>>;

/// A database of its own with the schema that `sql` makes; the session is still in it.
fn database(name: &str, sql: &str) -> Wire {
    let postgres = Postgres::shared();
    postgres.app().run(&format!("CREATE DATABASE {name}"));
    let mut session = postgres.session("app", name);
    // The schema `app` is in the default path of the user of that name.
    session.run("SET search_path = public");
    sql.split(";\n").for_each(|statement| drop(session.run(statement)));
    session
}

fn read(rows: &Rows) -> Catalog {
    let borrowed = rows.iter().map(|row| row.iter().map(Option::as_deref).collect::<Vec<Option<&str>>>());
    Catalog::from_rows(borrowed).unwrap()
}

fn bless(file: &str, text: &str) {
    if std::env::var_os("HOWDAH_BLESS").is_some() {
        std::fs::write(format!("tests/golden/{file}"), text).unwrap();
    }
}

#[test]
fn every_kind_of_object_is_read() {
    let mut session = database("kinds", include_str!("golden/catalog_kinds.sql"));
    let catalog = read(&session.run(LOAD_SQL).rows());
    let printed = Printer(&catalog).print();
    bless("catalog_kinds.txt", &printed);
    assert_eq!(printed, include_str!("golden/catalog_kinds.txt"));
    session.run(
        "DROP SCHEMA app CASCADE; DROP OWNED BY catalog_reader; DROP ROLE catalog_reader, catalog_mover",
    );
}

#[test]
fn equal_schemas_give_equal_catalogs_whatever_the_order_of_rows() {
    let mut session = database(
        "twice",
        "CREATE TABLE a (id int PRIMARY KEY, b int REFERENCES a, c int UNIQUE);\n
        CREATE VIEW v AS SELECT * FROM a; CREATE TYPE mood AS ENUM ('x', 'y')",
    );
    let mut rows = session.run(LOAD_SQL).rows();
    let catalog = read(&rows);
    rows.reverse();
    assert!(read(&rows) == catalog);
    session.run("ALTER TABLE a ADD d int");
    assert!(read(&session.run(LOAD_SQL).rows()) != catalog);
}

/// A client may have changed a table in a block that is still open: whoever reads the catalog does not wait.
#[test]
fn tables_that_are_locked_are_read_without_waiting() {
    let mut session = database(
        "locked",
        "CREATE SEQUENCE s; CREATE TABLE a (id int PRIMARY KEY DEFAULT nextval('s'), b text DEFAULT lower('X'),
            c int GENERATED ALWAYS AS (id + 1) STORED, CHECK (c > 0));\n
        CREATE TABLE p (id int) PARTITION BY RANGE (id);\n
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (5);\n
        CREATE VIEW v AS SELECT a.id, p.id AS p FROM a, p; CREATE VIEW over_v AS SELECT * FROM v;\n
        CREATE MATERIALIZED VIEW m AS SELECT * FROM p; CREATE VIEW free AS SELECT 1 AS one",
    );
    let free = read(&session.run(LOAD_SQL).rows());
    let mut other = Postgres::shared().session("app", "locked");
    other.run("BEGIN; LOCK TABLE public.a, public.p IN ACCESS EXCLUSIVE MODE");
    let locked = read(&session.run(LOAD_SQL).rows());
    for before in free.relations() {
        let mut expected = before.clone();
        if ["v", "m", "over_v"].contains(&before.name.as_str()) {
            // LOCK TABLE of a view's table leaves the view itself readable.
            expected.view = expected.view.filter(|_| before.name == "over_v");
        }
        assert!(locked.relation("public", &before.name) == Some(&expected), "{}", before.name);
    }
    other.run("ROLLBACK");
    assert!(read(&session.run(LOAD_SQL).rows()) == free);
}

#[test]
fn names_are_read_as_utf8_and_by_the_user_who_logged_in_whatever_is_set() {
    let mut session = database("encoded", "CREATE TABLE \"größe\" (id int); CREATE ROLE catalog_nobody");
    session.run("SET client_encoding = 'LATIN1'; SET ROLE catalog_nobody; SET statement_timeout = 1");
    let catalog = read(&session.run(LOAD_SQL).rows());
    assert!(catalog.relation("public", "größe").is_some());
    assert_eq!(catalog.database().loaded_by, "app");
    session.run("RESET ALL; RESET ROLE; DROP ROLE catalog_nobody");
}

#[test]
fn the_query_leaves_the_sessions_settings_alone() {
    let mut session = database("kept", "SET search_path = nowhere");
    session.run(LOAD_SQL).rows();
    for (name, value) in [("search_path", "nowhere"), ("jit", "on"), ("lock_timeout", "0")] {
        assert_eq!(session.value(&format!("SHOW {name}")), value);
    }
}

#[test]
fn the_planners_schema_is_as_the_golden_rows_say() {
    let mut session = database("planned", include_str!("golden/catalog.sql"));
    let rows = session.run(LOAD_SQL).rows();
    let lines: Vec<String> = rows.iter().map(|row| line(row)).collect();
    bless("catalog.txt", &(lines.join("\n") + "\n"));
    let golden: Rows = include_str!("golden/catalog.txt").lines().map(fields).collect();
    assert_eq!(Printer(&read(&rows)).print(), Printer(&read(&golden)).print());
}

#[test]
fn loading_two_thousand_tables_is_quick() {
    let mut session = database("many", "CREATE SCHEMA s");
    session.run("DO $$ begin for i in 1..2000 loop
        execute format('create table s.t%s (id bigint primary key, a int not null default 5, b text,
            c varchar(20) check (c <> ''''), d numeric(10,2), e timestamptz default now(), f jsonb, g uuid)', i);
        end loop; end $$; ANALYZE");
    let start = std::time::Instant::now();
    let rows = session.run(LOAD_SQL).rows();
    let queried = start.elapsed();
    let start = std::time::Instant::now();
    let catalog = read(&rows);
    println!("2,000 tables: {queried:?} to read {} rows, {:?} to build", rows.len(), start.elapsed());
    assert_eq!(catalog.relations().count(), 2000);
    // Far more than it takes: only a query gone quadratic is this slow.
    assert!(queried.as_secs() < 30, "{queried:?}");
}

/// A row as COPY writes it.
fn line(row: &[Option<String>]) -> String {
    let field = |value: &Option<String>| match value {
        None => "\\N".to_owned(),
        Some(value) => value.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n"),
    };
    row.iter().map(field).collect::<Vec<_>>().join("\t")
}

fn fields(line: &str) -> Vec<Option<String>> {
    let unescape = |field: &str| field.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\");
    line.split('\t').map(|field| (field != "\\N").then(|| unescape(field))).collect()
}

/// Prints a catalog with names instead of OIDs, which differ from server to server.
struct Printer<'a>(&'a Catalog);

impl Printer<'_> {
    fn print(&self) -> String {
        let mut out = String::new();
        let relations: BTreeMap<_, _> =
            self.0.relations().map(|relation| ((&relation.schema, &relation.name), relation)).collect();
        for relation in relations.values() {
            self.relation(&mut out, relation).unwrap();
        }
        let types: BTreeMap<_, _> = self.0.types().map(|one| ((&one.schema, &one.name), one)).collect();
        for one in types.values().filter(|one| !matches!(one.kind, TypeKind::Row(_))) {
            let kind = match &one.kind {
                TypeKind::Domain { base, typmod, is_not_null } => {
                    format!("Domain {} {typmod} {is_not_null}", self.type_name(*base))
                }
                TypeKind::Composite(attributes) => {
                    let one =
                        |a: &howdah::catalog::Attribute| format!("{} {}", a.name, self.type_name(a.type_oid));
                    format!("Composite {:?}", attributes.iter().map(one).collect::<Vec<_>>())
                }
                TypeKind::Range(sub) => format!("Range {}", self.type_name(*sub)),
                TypeKind::Multirange(range) => format!("Multirange {}", self.type_name(*range)),
                other => format!("{other:?}"),
            };
            let array = self.type_name(one.array);
            writeln!(
                out,
                "type {}.{} {kind} array {array} of {:?} calls {:?}",
                one.schema, one.name, one.extension, one.calls
            )
            .unwrap();
        }
        self.functions(&mut out).unwrap();
        for collation in
            self.0.collations().filter(|collation| collation.oid == 100 || collation.oid >= 16384)
        {
            let (schema, name, provider) = (&collation.schema, &collation.name, collation.provider);
            writeln!(
                out,
                "collation {schema}.{name} {provider:?} deterministic {} C {}",
                collation.is_deterministic, collation.is_c
            )
            .unwrap();
        }
        let database = self.0.database();
        writeln!(
            out,
            "search_path {:?} {:?}",
            database.search_path_of("app"),
            database.search_path_of("catalog_mover")
        )
        .unwrap();
        out
    }

    fn relation(&self, out: &mut String, relation: &Relation) -> std::fmt::Result {
        let (schema, name, kind) = (&relation.schema, &relation.name, relation.kind);
        writeln!(
            out,
            "{kind:?} {schema}.{name} owner {} security {}",
            relation.owner, relation.has_row_security
        )?;
        for column in &relation.columns {
            self.column(out, column)?;
        }
        let names = |oids: &[u32]| {
            oids.iter().map(|oid| self.0.relation_by_oid(*oid).unwrap().name.clone()).collect::<Vec<_>>()
        };
        if !relation.parents.is_empty() {
            writeln!(out, "  parents {:?} bound {:?}", names(&relation.parents), relation.partition_bound)?;
        }
        if let Some(key) = &relation.partition_key {
            writeln!(out, "  partitioned {:?} {:?}", key.strategy, key.columns)?;
        }
        if let Some(view) = &relation.view {
            let definition = view.definition.split_whitespace().collect::<Vec<_>>().join(" ");
            writeln!(
                out,
                "  view barrier {} invoker {}: {definition}",
                view.is_security_barrier, view.is_security_invoker
            )?;
        }
        if !(relation.reads.is_empty() && relation.calls.is_empty() && relation.checks_call.is_empty()) {
            let reads = names(&relation.reads);
            writeln!(out, "  reads {reads:?} calls {:?} checks {:?}", relation.calls, relation.checks_call)?;
        }
        if relation.has_rules || !relation.triggers.is_empty() {
            writeln!(out, "  rules {} triggers {:?}", relation.has_rules, relation.triggers)?;
        }
        let mut unique = relation.unique_keys.clone();
        unique.sort();
        for key in unique {
            writeln!(out, "  unique {key:?}")?;
        }
        for one in &relation.constraints {
            writeln!(
                out,
                "  constraint {} {:?} {:?} deferrable {}",
                one.name, one.kind, one.columns, one.is_deferrable
            )?;
        }
        for key in &relation.foreign_keys {
            let other = names(&[key.references]);
            let actions = (key.on_update, key.on_delete);
            writeln!(
                out,
                "  foreign {} {:?} to {other:?} {actions:?} deferrable {}",
                key.name, key.columns, key.is_deferrable
            )?;
        }
        Ok(())
    }

    fn column(&self, out: &mut String, column: &Column) -> std::fmt::Result {
        let (base, declared) = (self.type_name(column.type_oid), self.type_name(column.declared_type));
        let collation = self.0.collation(column.collation).map(|collation| collation.name.as_str());
        write!(out, "  {} {} {declared}", column.number, column.name)?;
        if base != declared {
            write!(out, " over {base}")?;
        }
        write!(out, " typmod {} not null {} {:?}", column.typmod, column.is_not_null, column.default)?;
        writeln!(out, " {collation:?} {:?}", column.identity)
    }

    fn functions(&self, out: &mut String) -> std::fmt::Result {
        for one in self.0.functions().filter(|one| one.schema != "public") {
            let arguments: Vec<String> = one.arguments.iter().map(|oid| self.type_name(*oid)).collect();
            let result = self.type_name(one.result);
            write!(
                out,
                "{:?} {}.{} {arguments:?} {result} set {}",
                one.kind, one.schema, one.name, one.returns_set
            )?;
            writeln!(out, " {:?} {} pure {}", one.volatility, one.language, one.is_pure)?;
        }
        let of_extensions = self.0.functions().filter(|one| one.is_trusted).count();
        writeln!(out, "{of_extensions} trusted functions")?;
        for cast in self.0.impure_casts() {
            let (source, target) = (self.type_name(cast.source), self.type_name(cast.target));
            writeln!(out, "cast {source} {target} implicit {} {}", cast.is_implicit, cast.function)?;
        }
        let is = |name| (self.0.is_user_operator(name), self.0.is_impure_operator(name));
        writeln!(out, "operators === {:?} ~~* {:?} + {:?}", is("==="), is("~~*"), is("+"))
    }

    fn type_name(&self, oid: u32) -> String {
        if oid < 16384 {
            return oid.to_string();
        }
        match (self.0.type_by_oid(oid), self.0.array_element(oid)) {
            (Some(one), _) => format!("{}.{}", one.schema, one.name),
            (None, Some(element)) => format!("{}.{}[]", element.schema, element.name),
            (None, None) => "?".to_owned(),
        }
    }
}
