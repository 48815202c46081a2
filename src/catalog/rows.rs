//! Builds a [`Catalog`] from the rows of the loading query.

use super::{Catalog, Column, ColumnDefault, ForeignKey, FunctionName, Relation, RelationKind, Trigger};
use std::collections::BTreeMap;

/// A row of the catalog query that is not shaped as expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unexpected row of the catalog query: {0}")]
pub struct BadRow(pub String);

/// The builder: the catalog so far, and what must wait until all rows are read.
#[derive(Default)]
struct Builder {
    catalog: Catalog,
    unique: BTreeMap<(u32, u32), Vec<String>>,
}

pub(super) fn build<'a, I, R>(rows: I) -> Result<Catalog, BadRow>
where
    I: IntoIterator<Item = R>,
    R: AsRef<[Option<&'a str>]>,
{
    // A UNION ALL promises no order: relations first, then what hangs on them.
    let is_relation = |row: &R| row.as_ref().first() == Some(&Some("relation"));
    let (relations, others): (Vec<R>, Vec<R>) = rows.into_iter().partition(is_relation);
    let mut builder = Builder::default();
    for row in relations.iter().chain(&others) {
        let row = row.as_ref();
        builder.row(row).ok_or_else(|| BadRow(format!("{row:?}")))?;
    }
    Ok(builder.finish())
}

impl Builder {
    fn row(&mut self, row: &[Option<&str>]) -> Option<()> {
        let [Some(kind), a, b, c, d, e, _] = *row else { return None };
        match kind {
            "schema" => {
                self.catalog.by_name.entry(a?.to_owned()).or_default();
            }
            "system" => {
                self.catalog.system_relations.insert(a?.to_owned());
            }
            "relation" => self.relation(a?, b?, c?, d?, e?)?,
            "column" => {
                let column = Column {
                    number: b?.parse().ok()?,
                    name: c?.to_owned(),
                    type_oid: d?.parse().ok()?,
                    default: default(e?)?,
                };
                self.relation_mut(a?)?.columns.push(column);
            }
            "parent" => self.parent(a?, b?)?,
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
            "unique" => {
                let key = (a?.parse().ok()?, b?.parse().ok()?);
                // An expression of the index comes as an empty name.
                self.unique.entry(key).or_default().push(c.unwrap_or_default().to_owned());
            }
            "foreign" => self.foreign(a?, b?, c?, (d?, e?))?,
            "function" => self.function(b?, c?, d?, e?)?,
            "operator" => {
                self.catalog.impure_operators.insert(a?.to_owned());
            }
            _ => return None,
        }
        Some(())
    }

    fn relation_mut(&mut self, oid: &str) -> Option<&mut Relation> {
        self.catalog.relations.get_mut(&oid.parse().ok()?)
    }

    fn relation(&mut self, oid: &str, schema: &str, name: &str, kind: &str, security: &str) -> Option<()> {
        let oid = oid.parse().ok()?;
        let kind = match kind {
            "r" => RelationKind::Table,
            "p" => RelationKind::Partitioned,
            "v" => RelationKind::View,
            "m" => RelationKind::MaterializedView,
            "f" => RelationKind::ForeignTable,
            "S" => RelationKind::Sequence,
            _ => return None,
        };
        let relation = Relation {
            oid,
            schema: schema.to_owned(),
            name: name.to_owned(),
            kind,
            has_row_security: boolean(security)?,
            columns: Vec::new(),
            parents: Vec::new(),
            children: Vec::new(),
            reads: Vec::new(),
            calls: Vec::new(),
            has_rules: false,
            triggers: Vec::new(),
            unique_keys: Vec::new(),
            foreign_keys: Vec::new(),
        };
        self.catalog.relations.insert(oid, relation);
        self.catalog.by_name.entry(schema.to_owned()).or_default().insert(name.to_owned(), oid);
        Some(())
    }

    fn parent(&mut self, child: &str, parent: &str) -> Option<()> {
        let (child, parent) = (child.parse().ok()?, parent.parse().ok()?);
        self.catalog.relations.get_mut(&child)?.parents.push(parent);
        if let Some(above) = self.catalog.relations.get_mut(&parent) {
            above.children.push(child);
        }
        Some(())
    }

    fn foreign(&mut self, oid: &str, from: &str, to: &str, pair: (&str, &str)) -> Option<()> {
        let (oid, references) = (oid.parse().ok()?, to.parse().ok()?);
        let pair = (pair.0.to_owned(), pair.1.to_owned());
        let keys = &mut self.relation_mut(from)?.foreign_keys;
        match keys.iter_mut().find(|key| key.oid == oid) {
            Some(key) => key.columns.push(pair),
            None => keys.push(ForeignKey { oid, references, columns: vec![pair] }),
        }
        Some(())
    }

    fn function(&mut self, name: &str, is_pure: &str, takes_row: &str, kind: &str) -> Option<()> {
        let (is_pure, takes_row) = (boolean(is_pure)?, boolean(takes_row)?);
        let start = FunctionName { is_pure: true, takes_row: false, is_aggregate: false };
        let entry = self.catalog.functions.entry(name.to_owned()).or_insert(start);
        entry.is_pure &= is_pure;
        entry.takes_row |= takes_row && !is_pure;
        entry.is_aggregate |= matches!(kind, "a" | "w");
        Some(())
    }

    fn finish(mut self) -> Catalog {
        for ((table, _), columns) in self.unique {
            if let Some(relation) = self.catalog.relations.get_mut(&table) {
                relation.unique_keys.push(columns);
            }
        }
        for relation in self.catalog.relations.values_mut() {
            relation.columns.sort_by_key(|column| column.number);
        }
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

    fn row<'a>(kind: &'a str, rest: &[&'a str]) -> Vec<Option<&'a str>> {
        let mut row = vec![Some(kind)];
        row.extend(rest.iter().map(|value| Some(*value)));
        row.resize(7, None);
        row
    }

    #[test]
    fn rows_may_come_in_any_order() {
        let mut rows = vec![
            row("relation", &["1", "public", "t", "p", "false"]),
            row("relation", &["2", "public", "t1", "r", "true"]),
            row("column", &["1", "2", "b", "25", "plain"]),
            row("column", &["1", "1", "a", "20", "none"]),
            row("parent", &["2", "1"]),
            row("unique", &["1", "9", "a"]),
            row("unique", &["1", "9"]),
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
    }

    #[test]
    fn rows_of_another_shape_are_errors() {
        for bad in [
            row("relation", &["x", "public", "t", "r", "false"]),
            row("relation", &["1", "public", "t", "?", "false"]),
            row("column", &["7", "1", "a", "20", "none"]),
            row("nonsense", &[]),
            vec![None; 7],
            vec![Some("schema"), Some("a")],
        ] {
            assert!(Catalog::from_rows([&bad]).is_err(), "{bad:?}");
        }
    }
}
