//! Constraints and unique indexes, whose column numbers become names once all columns are read.

use super::{Catalog, WIDTH, boolean, numbers};
use crate::catalog::{Constraint, ConstraintKind, ForeignKey, ForeignKeyAction, Relation};
use std::collections::BTreeMap;

/// What waits for the columns.
#[derive(Default)]
pub(super) struct Keys {
    /// By table and index: the columns' numbers; 0 is an expression.
    unique: BTreeMap<(u32, u32), Vec<i16>>,
    foreign: Vec<Foreign>,
}

struct Foreign {
    from: u32,
    key: ForeignKey,
    mine: Vec<i16>,
    theirs: Vec<i16>,
}

impl Keys {
    pub(super) fn unique(&mut self, row: &[Option<&str>; WIDTH]) -> Option<()> {
        let [_, table, index, columns, key_columns, ..] = *row;
        let mut columns: Vec<i16> = numbers(columns?)?;
        columns.truncate(key_columns?.parse().ok()?);
        self.unique.insert((table?.parse().ok()?, index?.parse().ok()?), columns);
        Some(())
    }

    pub(super) fn constraint(&mut self, row: &[Option<&str>; WIDTH], catalog: &mut Catalog) -> Option<()> {
        let [_, table, oid, name, kind, columns, deferrable, other, their_columns, on_update, on_delete, _] =
            *row;
        let table = table?.parse().ok()?;
        let (name, columns) = (name?.to_owned(), numbers(columns.unwrap_or_default())?);
        let is_deferrable = boolean(deferrable?)?;
        let kind = match kind? {
            "f" => {
                let key = ForeignKey {
                    oid: oid?.parse().ok()?,
                    name,
                    references: other?.parse().ok()?,
                    columns: Vec::new(),
                    is_deferrable,
                    on_update: action(on_update?)?,
                    on_delete: action(on_delete?)?,
                };
                let theirs = numbers(their_columns?)?;
                self.foreign.push(Foreign { from: table, key, mine: columns, theirs });
                return Some(());
            }
            "c" => ConstraintKind::Check,
            "p" => ConstraintKind::PrimaryKey,
            "u" => ConstraintKind::Unique,
            "x" => ConstraintKind::Exclusion,
            _ => return None,
        };
        let constraints = &mut catalog.relations.get_mut(&table)?.constraints;
        constraints.push(Constraint { name, kind, columns, is_deferrable });
        Some(())
    }

    /// To be called once the relations have their columns, in order.
    pub(super) fn finish(self, catalog: &mut Catalog) {
        for ((table, _), columns) in self.unique {
            if let Some(relation) = catalog.relations.get_mut(&table) {
                let names = columns.iter().map(|number| name_of(relation, *number)).collect();
                relation.unique_keys.push(names);
            }
        }
        for Foreign { from, mut key, mine, theirs } in self.foreign {
            let (Some(own), Some(other)) =
                (catalog.relations.get(&from), catalog.relations.get(&key.references))
            else {
                continue;
            };
            let pairs = mine.iter().zip(&theirs);
            key.columns = pairs.map(|(a, b)| (name_of(own, *a), name_of(other, *b))).collect();
            if let Some(relation) = catalog.relations.get_mut(&from) {
                relation.foreign_keys.push(key);
            }
        }
        for relation in catalog.relations.values_mut() {
            relation.constraints.sort_by(|a, b| a.name.cmp(&b.name));
            relation.foreign_keys.sort_by_key(|key| key.oid);
        }
    }
}

/// The name of a column; an expression's is empty.
fn name_of(relation: &Relation, number: i16) -> String {
    relation.column_numbered(number).map(|column| column.name.clone()).unwrap_or_default()
}

fn action(text: &str) -> Option<ForeignKeyAction> {
    match text {
        "a" => Some(ForeignKeyAction::NoAction),
        "r" => Some(ForeignKeyAction::Restrict),
        "c" => Some(ForeignKeyAction::Cascade),
        "n" => Some(ForeignKeyAction::SetNull),
        "d" => Some(ForeignKeyAction::SetDefault),
        _ => None,
    }
}
