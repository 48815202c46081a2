//! FROM: items, joins, and what their conditions restrict.

use super::{
    Applies, Condition, Item, Operand, Source, Walk, Walked, condition, not_understood, object_name,
};
use crate::sql::parse::{self, ast};
use ast::{JoinConstraint, JoinOperator, TableFactor, TableWithJoins};
use std::ops::Range;

/// Which sides of a join its condition restricts.
#[derive(Clone, Copy)]
enum Restricts {
    Both,
    Left,
    Right,
    Neither,
}

impl Walk {
    pub(super) fn from(&mut self, tables: &[TableWithJoins], level: usize) -> Walked {
        for table in tables {
            self.table_with_joins(table, level)?;
        }
        Ok(())
    }

    fn item_count(&self, level: usize) -> usize {
        self.levels.get(level).map_or(0, |level| level.items.len())
    }

    fn table_with_joins(&mut self, table: &TableWithJoins, level: usize) -> Walked {
        let start = self.item_count(level);
        self.factor(&table.relation, level)?;
        for join in &table.joins {
            let middle = self.item_count(level);
            self.factor(&join.relation, level)?;
            let end = self.item_count(level);
            if join.global {
                return not_understood("GLOBAL JOIN");
            }
            let (constraint, restricts) = match &join.join_operator {
                JoinOperator::Join(c) | JoinOperator::Inner(c) => (c, Restricts::Both),
                JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (c, Restricts::Right),
                JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (c, Restricts::Left),
                JoinOperator::FullOuter(c) => (c, Restricts::Neither),
                JoinOperator::CrossJoin(c @ JoinConstraint::None) => (c, Restricts::Neither),
                _ => return not_understood("this kind of join"),
            };
            self.constraint(constraint, restricts, [start..middle, middle..end], level)?;
        }
        if !table.joins.is_empty() || start > 0 {
            self.clause(level, "a join");
        }
        Ok(())
    }

    fn constraint(
        &mut self,
        constraint: &JoinConstraint,
        restricts: Restricts,
        [left, right]: [Range<usize>; 2],
        level: usize,
    ) -> Walked {
        let range = match restricts {
            Restricts::Both => left.start..right.end,
            Restricts::Left => left.clone(),
            Restricts::Right => right.clone(),
            Restricts::Neither => right.end..right.end,
        };
        let applies = Applies::Items(range);
        match constraint {
            JoinConstraint::None => {}
            JoinConstraint::Natural => self.at(level, |level| level.is_unclear = true),
            JoinConstraint::On(expr) => {
                self.expression(expr, level)?;
                let mut conditions = Vec::new();
                condition::collect(expr, &applies, &mut conditions);
                self.at(level, |level| level.conditions.append(&mut conditions));
            }
            JoinConstraint::Using(columns) => {
                for column in columns {
                    let parts = object_name(column)?;
                    let [name] = &parts[..] else { return not_understood("USING of this kind") };
                    let condition = Condition {
                        left: Operand::ColumnOf(name.clone(), left.clone()),
                        right: Operand::ColumnOf(name.clone(), right.clone()),
                        applies: applies.clone(),
                    };
                    self.at(level, |level| {
                        level.conditions.push(condition);
                        level.merged.push(name.clone());
                        level.is_unclear |= matches!(restricts, Restricts::Left | Restricts::Neither);
                    });
                }
            }
        }
        Ok(())
    }

    fn factor(&mut self, factor: &TableFactor, level: usize) -> Walked {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version: None,
                with_ordinality,
                partitions,
                json_path: None,
                sample,
                index_hints,
            } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
                let name = object_name(name)?;
                if sample.is_some() {
                    return not_understood("TABLESAMPLE");
                }
                if let Some(args) = args {
                    if args.settings.is_some() {
                        return not_understood("a table function with settings");
                    }
                    return self.function_item(name, &args.args, alias.as_ref(), level);
                }
                if *with_ordinality {
                    return not_understood("WITH ORDINALITY of a table");
                }
                let is_cte = matches!(&name[..], [only] if self.ctes.contains(only));
                let source = if is_cte { Source::Cte } else { Source::Table(name) };
                self.item(source, alias.as_ref(), level)
            }
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                let parent = if *lateral { Some(level) } else { self.parent_of(level) };
                self.at(level, |level| level.beyond_row.push("a subquery"));
                self.query(subquery, parent)?;
                self.item(Source::Derived, alias.as_ref(), level)
            }
            TableFactor::Function { name, args, alias, .. } => {
                self.function_item(object_name(name)?, args, alias.as_ref(), level)
            }
            TableFactor::UNNEST { alias, array_exprs, with_offset: false, .. } => {
                for expr in array_exprs {
                    self.expression(expr, level)?;
                }
                self.call(vec!["unnest".to_owned()], level);
                self.item(Source::Function, alias.as_ref(), level)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.table_with_joins(table_with_joins, level)
            }
            _ => not_understood("an entry of FROM of this kind"),
        }
    }

    fn function_item(
        &mut self,
        name: Vec<String>,
        args: &[ast::FunctionArg],
        alias: Option<&ast::TableAlias>,
        level: usize,
    ) -> Walked {
        self.call(name, level);
        self.function_args(args, level)?;
        self.item(Source::Function, alias, level)
    }

    fn item(&mut self, source: Source, alias: Option<&ast::TableAlias>, level: usize) -> Walked {
        if alias.is_some_and(|alias| alias.at.is_some()) {
            return not_understood("an alias of this kind");
        }
        let item = Item {
            source,
            alias: alias.map(|alias| parse::ident_name(&alias.name)),
            renames_columns: alias.is_some_and(|alias| !alias.columns.is_empty()),
        };
        self.at(level, |level| level.items.push(item));
        Ok(())
    }
}
