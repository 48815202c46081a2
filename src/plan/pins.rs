//! Which sharded tables of a statement are pinned to a key, and where its value is found.
//!
//! A table of a level is pinned when leaving out all of its rows with another key cannot change the
//! statement's result. That holds for `key = constant` in WHERE, in the ON of an inner join, and in the ON
//! of an outer join for the side that is filled with NULLs: a row with another key, or one filled with
//! NULLs in its place, makes the condition not true, so it never gets past it. Once a table is pinned, an
//! equality with its key pins another in the same way, also from an outer level into a subquery.

use super::schema::Schema;
use super::{KeySource, ParamType, bind};
use crate::catalog::SearchPath;
use crate::rules::ShardedTable;
use crate::sql::analysis::{Analysis, Applies, Condition, Constant, Operand, Source};
use crate::sql::lexer::Lexer;
use crate::sql::template::Literal;

/// A sharded table in a FROM.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShardedItem<'a> {
    pub(super) level: usize,
    pub(super) item: usize,
    pub(super) table: &'a ShardedTable,
}

/// The search for pins in one statement.
pub(super) struct Pins<'a> {
    pub(super) analysis: &'a Analysis,
    pub(super) schema: &'a Schema,
    pub(super) items: &'a [ShardedItem<'a>],
}

impl Pins<'_> {
    /// The first table that no condition pins, or the constants that pin all.
    pub(super) fn find(&self) -> Result<Vec<Constant>, ShardedItem<'_>> {
        let mut pinned = vec![false; self.items.len()];
        let mut constants: Vec<Constant> = Vec::new();
        for (index, item) in self.items.iter().enumerate() {
            let mut best: Option<Constant> = None;
            for condition in self.conditions(item.level) {
                for (column, other) in
                    [(&condition.left, &condition.right), (&condition.right, &condition.left)]
                {
                    let Operand::Constant(constant) = other else { continue };
                    if self.restricts(condition, column, item.level) == Some(index) {
                        best = Some(better(best, *constant));
                    }
                }
            }
            if let Some(constant) = best {
                if let Some(slot) = pinned.get_mut(index) {
                    *slot = true;
                }
                if !constants.contains(&constant) {
                    constants.push(constant);
                }
            }
        }
        while self.follow_links(&mut pinned) {}
        match pinned.iter().position(|pinned| !pinned).and_then(|index| self.items.get(index)) {
            Some(unpinned) => Err(*unpinned),
            None => Ok(constants),
        }
    }

    /// Pins what an equality links to a pinned table; whether any was new.
    fn follow_links(&self, pinned: &mut [bool]) -> bool {
        let mut is_changed = false;
        for level in 0..self.analysis.levels.len() {
            for condition in self.conditions(level) {
                for (target, other) in
                    [(&condition.left, &condition.right), (&condition.right, &condition.left)]
                {
                    let Some(target) = self.restricts(condition, target, level) else { continue };
                    let Some(other) = self.key_column(other, level) else { continue };
                    let is_pinned = pinned.get(other) == Some(&true);
                    if let Some(slot @ false) = pinned.get_mut(target).filter(|_| is_pinned) {
                        *slot = true;
                        is_changed = true;
                    }
                }
            }
        }
        is_changed
    }

    /// How often `$number` is compared with a key.
    pub(super) fn key_uses(&self, number: usize) -> usize {
        let is_param = |operand: &Operand| matches!(operand, Operand::Constant(Constant::Param { number: n, .. }) if *n == number);
        (0..self.analysis.levels.len())
            .flat_map(|level| self.conditions(level).iter().map(move |condition| (level, condition)))
            .flat_map(|(level, c)| [(level, &c.left, &c.right), (level, &c.right, &c.left)])
            .filter(|(level, column, other)| is_param(other) && self.key_column(column, *level).is_some())
            .count()
    }

    fn conditions(&self, level: usize) -> &[Condition] {
        self.analysis.levels.get(level).map_or(&[], |level| &level.conditions)
    }

    /// The sharded item whose key `operand` is, if the condition restricts that item's rows.
    fn restricts(&self, condition: &Condition, operand: &Operand, level: usize) -> Option<usize> {
        let index = self.key_column(operand, level)?;
        let item = self.items.get(index)?;
        let is_restricted = item.level == level
            && match &condition.applies {
                Applies::All => true,
                Applies::Items(range) => range.contains(&item.item),
            };
        is_restricted.then_some(index)
    }

    /// The sharded item whose key column `operand` is, seen from `level`.
    fn key_column(&self, operand: &Operand, level: usize) -> Option<usize> {
        match operand {
            Operand::Constant(_) => None,
            Operand::ColumnOf(column, range) => {
                // The column must be certain to be this table's: others' columns must be known.
                let items = self.analysis.levels.get(level)?.items.get(range.clone())?;
                let only = |source: &Source| matches!(source, Source::Table(_));
                if !items.iter().all(|item| only(&item.source)) {
                    return None;
                }
                // Several were merged by a USING before, in which the first gives the value.
                let is_unclear = self.analysis.levels.get(level)?.is_unclear;
                let mut having = range.clone().filter_map(|item| self.having(level, item, column));
                let first = having.next()?;
                if having.next().is_some() && is_unclear {
                    return None;
                }
                self.if_key(first, column)
            }
            Operand::Column(parts) => match &parts[..] {
                [column] => self.unqualified(column, level),
                [qualifiers @ .., column] => self.qualified(qualifiers, column, level),
                [] => None,
            },
        }
    }

    fn if_key(&self, index: usize, column: &str) -> Option<usize> {
        self.items.get(index)?.table.keys.iter().any(|key| key == column).then_some(index)
    }

    /// The sharded item at this place, if it has the column.
    fn having(&self, level: usize, item: usize, column: &str) -> Option<usize> {
        let index = self.items.iter().position(|s| s.level == level && s.item == item)?;
        let table = self.items.get(index)?.table;
        let has = match self.schema.sharded_relation(table) {
            Some(relation) => relation.column(column).is_some(),
            None => table.keys.iter().any(|key| key == column),
        };
        has.then_some(index)
    }

    fn unqualified(&self, column: &str, from: usize) -> Option<usize> {
        let mut at = Some(from);
        while let Some(number) = at {
            let level = self.analysis.levels.get(number)?;
            if level.is_unclear {
                return None;
            }
            let having: Vec<usize> =
                (0..level.items.len()).filter_map(|item| self.having(number, item, column)).collect();
            match &having[..] {
                // Another item with a column of this name makes it ambiguous, which Postgres refuses.
                [only] => return self.if_key(*only, column),
                [first, ..] if level.merged.iter().any(|merged| merged == column) => {
                    return self.if_key(*first, column);
                }
                [_, ..] => return None,
                [] => {}
            }
            let is_known = |item: usize| {
                self.items.iter().any(|s| {
                    s.level == number && s.item == item && self.schema.sharded_relation(s.table).is_some()
                })
            };
            if !(0..level.items.len()).all(is_known) {
                return None;
            }
            at = level.parent;
        }
        None
    }

    fn qualified(&self, qualifiers: &[String], column: &str, from: usize) -> Option<usize> {
        let mut at = Some(from);
        while let Some(number) = at {
            let level = self.analysis.levels.get(number)?;
            for (place, item) in level.items.iter().enumerate() {
                let is_named = match (qualifiers, &item.alias, &item.source) {
                    ([name], Some(alias), _) => name == alias,
                    ([name], None, Source::Table(table)) => table.last() == Some(name),
                    ([schema, name], None, Source::Table(table)) => {
                        let sharded = self.items.iter().find(|s| s.level == number && s.item == place);
                        table.last() == Some(name) && sharded.is_none_or(|s| s.table.schema == *schema)
                    }
                    _ => false,
                };
                if is_named {
                    let index = self.having(number, place, column)?;
                    return self.if_key(index, column);
                }
            }
            // An unnamed function or subquery may have any name.
            let is_unnamed = |item: &crate::sql::analysis::Item| {
                item.alias.is_none() && !matches!(item.source, Source::Table(_) | Source::Cte)
            };
            if level.items.iter().any(is_unnamed) {
                return None;
            }
            at = level.parent;
        }
        None
    }
}

/// Of two constants that pin the same table either does; a literal needs the least to be known.
fn better(best: Option<Constant>, new: Constant) -> Constant {
    match (best, new) {
        (Some(best @ Constant::Literal { .. }), _) => best,
        (_, new @ Constant::Literal { .. }) => new,
        (Some(best), _) => best,
        (None, new) => new,
    }
}

/// Where constants are found when the statement runs; `None` where one is no integer.
///
/// `is_key_only` tells of a parameter whether it is used as a key and nowhere else.
pub(super) fn sources(
    constants: &[Constant],
    sql: &[u8],
    lifted: &[Literal],
    is_key_only: impl Fn(usize) -> bool,
) -> Option<Vec<KeySource>> {
    let source = |constant: &Constant| match *constant {
        Constant::Literal { offset, is_negated } => {
            match lifted.binary_search_by_key(&offset, |literal| literal.start) {
                Ok(index) => Some(KeySource::Literal { index, is_negated }),
                Err(_) => {
                    let token = Lexer::starting_at(sql, offset, true).next()?;
                    bind::fixed_key(token.text(sql), is_negated).map(KeySource::Fixed)
                }
            }
        }
        // There is no `$0`: the server says so.
        Constant::Param { number: 0, .. } => None,
        Constant::Param { number, is_cast } => {
            let typing = if is_key_only(number) { ParamType::FromKey } else { ParamType::Declared };
            Some(KeySource::Param { number, typing, is_cast })
        }
    };
    constants.iter().map(source).collect()
}

/// Whether the search path may hide built-in operators and types.
pub(super) fn hides_builtins(path: &SearchPath) -> bool {
    path.schemas().iter().skip(1).any(|schema| schema == "pg_catalog")
}
