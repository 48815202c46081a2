//! Foreign keys of sharded tables: which writes a shard can check and carry out alone.
//!
//! A foreign key between tables of one colocation group whose columns pair their sharding keys connects
//! rows of one shard. Its ON DELETE and ON UPDATE actions are followed to whatever they write.
//!
//! Protects from: a reference that only one shard checks, an action that changes a sharding key and leaves
//! the row where it is, and actions that run user functions.

use super::hazard::family;
use super::schema::{Meaning, Schema};
use super::tables::ShardedUse;
use crate::catalog::{ForeignKey, ForeignKeyAction, Relation};
use crate::error::SqlError;
use crate::rules::ShardedTable;

/// What happens to rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// New rows.
    Insert,
    /// These columns get new values.
    Update(Vec<String>),
    /// Rows vanish.
    Delete,
}

/// Checks that the table's shard can check every foreign key that the changes touch.
pub(super) fn check(schema: &Schema, used: ShardedUse<'_>, changes: &[Change]) -> Result<(), SqlError> {
    let mut walk = Walk { schema, table: used.table, seen: Vec::new() };
    for change in changes {
        for member in family(schema.catalog(), used.relation) {
            walk.change(member, change)?;
        }
    }
    Ok(())
}

/// The changes that follow from a statement's, each looked at once.
struct Walk<'a> {
    schema: &'a Schema,
    table: &'a ShardedTable,
    seen: Vec<(u32, Change)>,
}

impl Walk<'_> {
    fn change(&mut self, relation: &Relation, change: &Change) -> Result<(), SqlError> {
        let one = (relation.oid, change.clone());
        if self.seen.contains(&one) {
            return Ok(());
        }
        self.seen.push(one);
        let catalog = self.schema.catalog();
        for key in relation.foreign_keys.iter().filter(|key| checks(change, key)) {
            if let Some(other) = catalog.relation_by_oid(key.references)
                // Every shard has the rows of a reference table.
                && self.schema.meaning(other.oid) != Some(&Meaning::Reference)
                && !self.is_colocated(relation, other, key)
            {
                return Err(self.not_connected(relation, other));
            }
        }
        // No row references a new one yet.
        if *change == Change::Insert {
            return Ok(());
        }
        for other in catalog.relations() {
            let to_this = other.foreign_keys.iter().filter(|key| key.references == relation.oid);
            for key in to_this.filter(|key| is_referenced(change, key)) {
                if !self.is_colocated(other, relation, key) {
                    return Err(self.not_connected(other, relation));
                }
                self.act(other, key, change)?;
            }
        }
        Ok(())
    }

    /// What the foreign key does to the rows of `other` that reference the changed ones.
    fn act(&mut self, other: &Relation, key: &ForeignKey, change: &Change) -> Result<(), SqlError> {
        let action = if *change == Change::Delete { key.on_delete } else { key.on_update };
        let sharding_keys = self.rule_of(other).map_or(&[][..], |rule| &rule.keys);
        let columns = key.columns.iter().map(|(mine, _)| mine);
        let next = match action {
            ForeignKeyAction::NoAction | ForeignKeyAction::Restrict => return Ok(()),
            ForeignKeyAction::Cascade if *change == Change::Delete => Change::Delete,
            ForeignKeyAction::Cascade => {
                // The referenced sharding key does not change, so neither does this one.
                Change::Update(columns.filter(|column| !sharding_keys.contains(column)).cloned().collect())
            }
            ForeignKeyAction::SetNull | ForeignKeyAction::SetDefault => {
                return Err(SqlError::refused(
                    format!(
                        "foreign key \"{}\" would change the sharding key of rows of \"{}\", which is not supported yet",
                        key.name, other.name
                    ),
                    "Change or delete the referencing rows first, or let the foreign key cascade.",
                ));
            }
        };
        if let Some(trigger) = other.triggers.first() {
            return Err(self.runs_code(other, &format!("has trigger \"{}\"", trigger.name)));
        }
        if let (Some(function), Change::Update(_)) = (other.checks_call.first(), &next) {
            return Err(self.runs_code(other, &format!("checks its rows by the user function {function}()")));
        }
        if let (Change::Update(sets), Some(columns)) = (&next, self.uncheckable(other, &next)) {
            return Err(SqlError::refused(
                format!(
                    "foreign key \"{}\" would set {} of \"{}\", whose unique key ({columns}) does not contain the sharding key, so no shard can check it",
                    key.name,
                    sets.join(", "),
                    other.name
                ),
                "Add the sharding key to the unique key.",
            ));
        }
        self.change(other, &next)
    }

    /// A unique key of the relation that the change touches and that no shard can check alone.
    fn uncheckable(&self, relation: &Relation, change: &Change) -> Option<String> {
        let Change::Update(sets) = change else { return None };
        let sharding_keys = &self.rule_of(relation)?.keys;
        let mut unique = relation.unique_keys.iter();
        let found = unique.find(|columns| {
            !sharding_keys.iter().all(|key| columns.contains(key))
                && columns.iter().any(|column| column.is_empty() || sets.contains(column))
        })?;
        Some(found.join(", "))
    }

    /// The rule of a table, or of the table that it is a partition or child of.
    fn rule_of(&self, relation: &Relation) -> Option<&ShardedTable> {
        match self.schema.meaning(relation.oid)? {
            Meaning::Sharded(rule) => self.schema.sharded(*rule),
            Meaning::Reference | Meaning::Reaches(_) | Meaning::Single(_) | Meaning::Blocked(_) => None,
        }
    }

    /// Whether referencing and referenced rows always lie on the same shard.
    fn is_colocated(&self, from: &Relation, to: &Relation, key: &ForeignKey) -> bool {
        let (Some(from), Some(to)) = (self.rule_of(from), self.rule_of(to)) else { return false };
        let mut pairs = from.keys.iter().zip(&to.keys);
        from.group == to.group
            && pairs.all(|(mine, theirs)| key.columns.iter().any(|(a, b)| a == mine && b == theirs))
    }

    fn not_connected(&self, from: &Relation, to: &Relation) -> SqlError {
        SqlError::refused(
            format!(
                "this write to sharded table \"{}\" meets a foreign key from \"{}\" to \"{}\" that does not connect equal sharding keys of one colocation group, so no shard can check it",
                self.table.table, from.name, to.name
            ),
            "Drop the foreign key, or let it contain the sharding key on both sides.",
        )
    }

    fn runs_code(&self, other: &Relation, what: &str) -> SqlError {
        SqlError::refused(
            format!(
                "this write to sharded table \"{}\" goes on to \"{}\" by a foreign key, which {what}",
                self.table.table, other.name
            ),
            "Drop it; declaring it harmless in the rules comes later.",
        )
    }
}

/// Whether the change makes Postgres look for the row that the foreign key references.
fn checks(change: &Change, key: &ForeignKey) -> bool {
    match change {
        Change::Insert => true,
        Change::Update(sets) => key.columns.iter().any(|(mine, _)| sets.contains(mine)),
        Change::Delete => false,
    }
}

/// Whether the change makes Postgres look for rows that reference the changed one.
fn is_referenced(change: &Change, key: &ForeignKey) -> bool {
    match change {
        Change::Insert => false,
        Change::Update(sets) => key.columns.iter().any(|(_, theirs)| sets.contains(theirs)),
        Change::Delete => true,
    }
}
