//! Builds a [`Catalog`] from the rows of the loading query.

mod keys;
mod objects;

use super::{
    Catalog, Column, ColumnDefault, Identity, PartitionKey, PartitionStrategy, Relation, RelationKind,
    Trigger, View,
};
use keys::Keys;
use std::collections::BTreeMap;

/// A row of the catalog query that is not shaped as expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unexpected row of the catalog query: {0}")]
pub struct BadRow(pub String);

/// Columns of a row.
const WIDTH: usize = 12;

/// The builder: the catalog so far, and what must wait until all rows are read.
#[derive(Default)]
struct Builder {
    catalog: Catalog,
    keys: Keys,
    /// Labels of enums with their place in the sort order, which is never NaN.
    labels: BTreeMap<u32, Vec<(f32, String)>>,
}

pub(super) fn build<'a, I, R>(rows: I) -> Result<Catalog, BadRow>
where
    I: IntoIterator<Item = R>,
    R: AsRef<[Option<&'a str>]>,
{
    // A UNION ALL promises no order: relations and types first, then what hangs on them.
    let is_first = |row: &R| matches!(row.as_ref().first(), Some(Some("relation" | "type")));
    let (first, others): (Vec<R>, Vec<R>) = rows.into_iter().partition(is_first);
    let mut builder = Builder::default();
    for row in first.iter().chain(&others) {
        let row = row.as_ref();
        row.try_into().ok().and_then(|row| builder.row(row)).ok_or_else(|| BadRow(format!("{row:?}")))?;
    }
    Ok(builder.finish())
}

impl Builder {
    fn row(&mut self, row: &[Option<&str>; WIDTH]) -> Option<()> {
        let [kind, a, b, c, ..] = *row;
        match kind? {
            "schema" => {
                self.catalog.by_name.entry(a?.to_owned()).or_default();
            }
            "system" => {
                self.catalog.system_relations.insert(a?.to_owned());
            }
            "relation" => self.relation(row)?,
            "column" => self.column(row)?,
            "parent" => self.parent(a?, b?, c)?,
            "partitioned" => self.partitioned(a?, b?, c?)?,
            "reads" => {
                let read = b?.parse().ok()?;
                self.relation_mut(a?)?.reads.push(read);
            }
            "calls" => self.relation_mut(a?)?.calls.push(b?.to_owned()),
            "rule" => self.relation_mut(a?)?.has_rules = true,
            "trigger" => {
                let trigger = Trigger { name: b?.to_owned(), function: c?.to_owned() };
                self.relation_mut(a?)?.triggers.push(trigger);
            }
            "index" => self.relation_mut(a?)?.indexes.push(b?.to_owned()),
            "unique" => self.keys.unique(row)?,
            "constraint" => self.keys.constraint(row, &mut self.catalog)?,
            "checks" => self.checks(a, b, c?)?,
            _ => self.object(row)?,
        }
        Some(())
    }

    fn relation_mut(&mut self, oid: &str) -> Option<&mut Relation> {
        self.catalog.relations.get_mut(&oid.parse().ok()?)
    }

    fn relation(&mut self, row: &[Option<&str>; WIDTH]) -> Option<()> {
        let [_, oid, schema, name, kind, security, owner, _is_unlogged, options, definition, _, _] = *row;
        let (oid, schema, name, options) = (oid?.parse().ok()?, schema?, name?, options.unwrap_or_default());
        let kind = match kind? {
            "r" => RelationKind::Table,
            "p" => RelationKind::Partitioned,
            "v" => RelationKind::View,
            "m" => RelationKind::MaterializedView,
            "f" => RelationKind::ForeignTable,
            "S" => RelationKind::Sequence,
            _ => return None,
        };
        let view = definition.map(|definition| {
            Box::new(View {
                definition: definition.trim().trim_end_matches(';').to_owned(),
                is_security_barrier: option(options, "security_barrier"),
                is_security_invoker: option(options, "security_invoker"),
            })
        });
        let relation = Relation {
            oid,
            schema: schema.to_owned(),
            name: name.to_owned(),
            kind,
            owner: owner?.to_owned(),
            has_row_security: boolean(security?)?,
            columns: Vec::new(),
            parents: Vec::new(),
            children: Vec::new(),
            partition_key: None,
            partition_bound: None,
            view,
            reads: Vec::new(),
            calls: Vec::new(),
            has_rules: false,
            triggers: Vec::new(),
            unique_keys: Vec::new(),
            constraints: Vec::new(),
            checks_call: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
        };
        self.catalog.relations.insert(oid, relation);
        self.catalog.by_name.entry(schema.to_owned()).or_default().insert(name.to_owned(), oid);
        Some(())
    }

    fn column(&mut self, row: &[Option<&str>; WIDTH]) -> Option<()> {
        let [_, of, at, name, base, filled_by, declared, typmod, collation, is_not_null, identity, _] = *row;
        let column = Column {
            number: at?.parse().ok()?,
            name: name?.to_owned(),
            type_oid: base?.parse().ok()?,
            declared_type: declared?.parse().ok()?,
            typmod: typmod?.parse().ok()?,
            collation: collation?.parse().ok()?,
            is_not_null: boolean(is_not_null?)?,
            identity: match identity {
                Some("a") => Some(Identity::Always),
                Some("d") => Some(Identity::ByDefault),
                _ => None,
            },
            default: default(filled_by?)?,
        };
        self.relation_mut(of?)?.columns.push(column);
        Some(())
    }

    fn parent(&mut self, child: &str, parent: &str, bound: Option<&str>) -> Option<()> {
        let (child, parent) = (child.parse().ok()?, parent.parse().ok()?);
        let below = self.catalog.relations.get_mut(&child)?;
        below.parents.push(parent);
        below.partition_bound = bound.map(str::to_owned);
        if let Some(above) = self.catalog.relations.get_mut(&parent) {
            above.children.push(child);
        }
        Some(())
    }

    fn partitioned(&mut self, table: &str, strategy: &str, columns: &str) -> Option<()> {
        let strategy = match strategy {
            "h" => PartitionStrategy::Hash,
            "l" => PartitionStrategy::List,
            "r" => PartitionStrategy::Range,
            _ => return None,
        };
        let columns = numbers(columns)?;
        self.relation_mut(table)?.partition_key = Some(PartitionKey { strategy, columns });
        Some(())
    }

    /// A function that is called by what a write to a table evaluates, or by what makes a value of a type.
    fn checks(&mut self, table: Option<&str>, of_type: Option<&str>, function: &str) -> Option<()> {
        if let Some(table) = table {
            self.relation_mut(table)?.checks_call.push(function.to_owned());
        }
        // Array types are not listed.
        if let Some(of_type) = of_type
            && let Some(found) = self.catalog.types.get_mut(of_type.parse().ok()?)
        {
            found.calls.push(function.to_owned());
        }
        Some(())
    }

    fn finish(mut self) -> Catalog {
        // Equal schemas give equal catalogs, in whatever order the rows came.
        for relation in self.catalog.relations.values_mut() {
            relation.columns.sort_by_key(|column| column.number);
            for oids in [&mut relation.parents, &mut relation.children, &mut relation.reads] {
                oids.sort_unstable();
            }
            relation.calls.sort_unstable();
            relation.checks_call.sort_unstable();
            relation.checks_call.dedup();
            relation.indexes.sort_unstable();
            relation.triggers.sort_by(|a, b| a.name.cmp(&b.name));
        }
        std::mem::take(&mut self.keys).finish(&mut self.catalog);
        self.finish_objects();
        self.catalog
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "t" => Some(true),
        "false" | "f" => Some(false),
        _ => None,
    }
}

/// Numbers in the form of an array, `{1,2}`, or of a vector, `1 2`.
fn numbers<T: std::str::FromStr>(text: &str) -> Option<Vec<T>> {
    let inner = text.trim_start_matches('{').trim_end_matches('}');
    inner.split([',', ' ']).filter(|item| !item.is_empty()).map(|item| item.parse().ok()).collect()
}

/// Whether a relation's option is on. Source: PostgreSQL, `parse_bool` in `utils/adt/bool.c`.
fn option(options: &str, name: &str) -> bool {
    let inner = options.trim_start_matches('{').trim_end_matches('}');
    let value = inner.split(',').find_map(|item| item.strip_prefix(name)?.strip_prefix('='));
    value.is_some_and(|value| {
        !value.is_empty()
            && ["true", "yes", "on", "1"]
                .iter()
                .any(|yes| yes.starts_with(&value.to_ascii_lowercase()) && value != "o")
    })
}

fn default(text: &str) -> Option<ColumnDefault> {
    match text {
        "none" => Some(ColumnDefault::None),
        "plain" => Some(ColumnDefault::Plain),
        "generated" => Some(ColumnDefault::Generated),
        "sequence" => Some(ColumnDefault::Sequence),
        "function" => Some(ColumnDefault::Function),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::TypeKind;

    fn row<'a>(kind: &'a str, rest: &[&'a str]) -> Vec<Option<&'a str>> {
        let mut row = vec![Some(kind)];
        row.extend(rest.iter().map(|value| Some(*value)));
        row.resize(WIDTH, None);
        row
    }

    #[test]
    fn rows_may_come_in_any_order() {
        let mut rows = vec![
            row("relation", &["1", "public", "t", "p", "false", "me"]),
            row("relation", &["2", "public", "t1", "r", "true", "me"]),
            row("column", &["1", "2", "b", "25", "plain", "25", "-1", "100", "false"]),
            row("column", &["1", "1", "a", "20", "none", "16400", "-1", "0", "true"]),
            row("parent", &["2", "1"]),
            row("unique", &["1", "9", "1 0 2", "2"]),
            row("type", &["16400", "app", "key", "d", "16399", "20", "-1", "false"]),
            row("type", &["16402", "app", "mood", "e", "16401", "0", "-1", "false"]),
            row("label", &["16402", "sad", "1.5"]),
            row("label", &["16402", "glad", "1"]),
            vec![
                Some("checks"),
                None,
                Some("16400"),
                Some("app.f"),
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
            ],
        ];
        let catalog = Catalog::from_rows(&rows).unwrap();
        rows.reverse();
        assert_eq!(
            Catalog::from_rows(&rows).unwrap().relation("public", "t1"),
            catalog.relation("public", "t1")
        );
        let table = catalog.relation("public", "t").unwrap();
        assert_eq!(table.kind, RelationKind::Partitioned);
        assert_eq!(table.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(table.children, [2]);
        assert_eq!(table.unique_keys, [["a", ""]]);
        assert!(catalog.relation_by_oid(2).unwrap().has_row_security);
        let mood = catalog.type_named("app", "mood").unwrap();
        assert_eq!(mood.kind, TypeKind::Enum(vec!["glad".to_owned(), "sad".to_owned()]));
        assert_eq!(catalog.array_element(16401), Some(mood));
        assert_eq!(catalog.type_by_oid(16400).unwrap().calls, ["app.f"]);
        assert_eq!(catalog.type_named("public", "mood"), None);
    }

    #[test]
    fn options_are_read_as_postgres_reads_booleans() {
        for (options, expected) in [
            ("{security_barrier=true}", true),
            ("{check_option=local,security_barrier=ON}", true),
            ("{security_barrier=t}", true),
            ("{security_barrier=1}", true),
            ("{security_barrier=off}", false),
            ("{security_barrier=false,security_invoker=true}", false),
            ("", false),
        ] {
            assert_eq!(option(options, "security_barrier"), expected, "{options}");
        }
    }

    #[test]
    fn rows_of_another_shape_are_errors() {
        for bad in [
            row("relation", &["x", "public", "t", "r", "false"]),
            row("relation", &["1", "public", "t", "?", "false"]),
            row("column", &["7", "1", "a", "20", "none"]),
            row("nonsense", &[]),
            vec![None; WIDTH],
            vec![Some("schema"), Some("a")],
        ] {
            assert!(Catalog::from_rows([&bad]).is_err(), "{bad:?}");
        }
    }
}
