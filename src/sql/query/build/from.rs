//! FROM: entries and joins.

use super::{Builder, Read, not_understood};
use crate::sql::parse::ast;
use crate::sql::query::names::object_name;
use crate::sql::query::scope::{Namespace, Scope, Visible};
use crate::sql::query::{Compare, Expr, Join, JoinKind, Pair};
use ast::{JoinConstraint, JoinOperator, TableFactor, TableWithJoins};

/// A part of FROM with its names.
pub(super) type Part = (Join, Namespace);

impl Builder<'_> {
    /// Reads a FROM clause; its entries are inner-joined.
    pub(super) fn from(
        &mut self,
        tables: &[TableWithJoins],
        scope: &Scope<'_>,
    ) -> Read<(Vec<Join>, Namespace)> {
        let mut joins = Vec::new();
        let mut namespace = Namespace::default();
        for table in tables {
            let (join, names) = self.table_with_joins(table, scope, &namespace)?;
            joins.push(join);
            namespace.append(names);
        }
        Ok((joins, namespace))
    }

    /// `beside` are the names of the entries to the left, which LATERAL may use.
    fn table_with_joins(
        &mut self,
        table: &TableWithJoins,
        scope: &Scope<'_>,
        beside: &Namespace,
    ) -> Read<Part> {
        let (mut left, mut names) = self.factor(&table.relation, scope, beside)?;
        for join in &table.joins {
            if join.global {
                return not_understood("GLOBAL JOIN");
            }
            let (kind, constraint) = match &join.join_operator {
                JoinOperator::Join(c) | JoinOperator::Inner(c) => (JoinKind::Inner, c),
                JoinOperator::CrossJoin(c @ JoinConstraint::None) => (JoinKind::Inner, c),
                JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (JoinKind::Left, c),
                JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (JoinKind::Right, c),
                JoinOperator::FullOuter(c) => (JoinKind::Full, c),
                _ => return not_understood("this kind of join"),
            };
            let mut around = beside.clone();
            around.append(names.clone());
            let (right, right_names) = self.factor(&join.relation, scope, &around)?;
            let (on, joined) = self.constraint(kind, constraint, [names, right_names], scope)?;
            names = joined;
            left = Join::Pair(Box::new(Pair { kind, left, right, on }));
        }
        Ok((left, names))
    }

    fn constraint(
        &mut self,
        kind: JoinKind,
        constraint: &JoinConstraint,
        [left, right]: [Namespace; 2],
        scope: &Scope<'_>,
    ) -> Read<(Option<Expr>, Namespace)> {
        let merged = match constraint {
            JoinConstraint::None => Vec::new(),
            JoinConstraint::On(expr) => {
                let mut names = left;
                names.append(right);
                // ON sees the columns of its own join only.
                let inside = Scope::below(scope, names);
                let on = self.expr(expr, &inside)?;
                return Ok((Some(on), inside.namespace));
            }
            JoinConstraint::Using(columns) => {
                let mut names = Vec::new();
                for column in columns {
                    match &object_name(column)?[..] {
                        [name] => names.push(name.clone()),
                        _ => return not_understood("USING of this kind"),
                    }
                }
                names
            }
            JoinConstraint::Natural => self.common(&left, &right)?,
        };
        using(kind, &merged, left, right)
    }

    /// The columns that a NATURAL JOIN merges.
    fn common(&self, left: &Namespace, right: &Namespace) -> Read<Vec<String>> {
        let mut relations = left.relations.iter().chain(&right.relations);
        if !relations.all(|r| self.items.get(r.item.0 as usize).is_some_and(|item| item.columns.is_some())) {
            return not_understood("NATURAL JOIN with what has columns that are not known");
        }
        let is_common = |name: &&String| right.columns.iter().any(|column| column.name == **name);
        let names: Vec<String> =
            left.columns.iter().map(|column| &column.name).filter(is_common).cloned().collect();
        Ok(names)
    }

    fn factor(&mut self, factor: &TableFactor, scope: &Scope<'_>, beside: &Namespace) -> Read<Part> {
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
                match args {
                    Some(args) if args.settings.is_none() && sample.is_none() => self.function_item(
                        &name,
                        &args.args,
                        (*with_ordinality, alias.as_ref()),
                        &lateral(scope, beside),
                    ),
                    None if !with_ordinality => self.table(name, alias.as_ref(), sample.is_some(), scope),
                    _ => not_understood("an entry of FROM of this kind"),
                }
            }
            TableFactor::Derived { lateral: is_lateral, subquery, alias, sample: None } => {
                let query = if *is_lateral {
                    self.query(subquery, &lateral(scope, beside))?
                } else {
                    self.query(subquery, scope)?
                };
                let columns = query.column_names();
                self.derived(query, columns, alias.as_ref(), *is_lateral)
            }
            TableFactor::Function { name, args, alias, with_ordinality, .. } => self.function_item(
                &object_name(name)?,
                args,
                (*with_ordinality, alias.as_ref()),
                &lateral(scope, beside),
            ),
            TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality, .. } => {
                self.unnest(array_exprs, (*with_ordinality, alias.as_ref()), &lateral(scope, beside))
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.table_with_joins(table_with_joins, scope, beside)
            }
            _ => not_understood("an entry of FROM of this kind"),
        }
    }
}

/// The scope of what is LATERAL.
fn lateral<'s>(scope: &'s Scope<'s>, beside: &Namespace) -> Scope<'s> {
    Scope::below(scope, beside.clone())
}

/// The names of a join that merges columns, and its equalities.
fn using(
    kind: JoinKind,
    merged: &[String],
    left: Namespace,
    right: Namespace,
) -> Read<(Option<Expr>, Namespace)> {
    let mut names = Namespace::default();
    let mut equalities = Vec::new();
    for name in merged {
        let (Some(a), Some(b)) = (left.only(name), right.only(name)) else {
            return not_understood("USING of a column that is not once on each side");
        };
        let value = match kind {
            JoinKind::Inner | JoinKind::Left => a.clone(),
            JoinKind::Right => b.clone(),
            JoinKind::Full => Expr::Merged(vec![a.clone(), b.clone()]),
        };
        names.columns.push(Visible { name: name.clone(), value });
        equalities.push(Expr::Compare(Compare::Equal, Box::new(a.clone()), Box::new(b.clone())));
    }
    let is_rest = |column: &Visible| !merged.contains(&column.name);
    names.columns.extend(left.columns.into_iter().filter(is_rest));
    names.columns.extend(right.columns.into_iter().filter(is_rest));
    names.relations.extend(left.relations);
    names.relations.extend(right.relations);
    let on = match equalities.len() {
        0 => None,
        1 => equalities.pop(),
        _ => Some(Expr::And(equalities)),
    };
    Ok((on, names))
}
