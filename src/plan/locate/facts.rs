//! What conditions say of the values of columns.

use super::classes::Link;
use super::{Col, Locate};
use crate::fault::Fault;
use crate::plan::constant::is_constant;
use crate::sql::query::{Compare, Expr, LiteralKind, SubqueryKind};

/// What is known of a column's value, in every row that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact<'q> {
    /// It equals one of these constants.
    Equals(Vec<&'q Expr>),
    /// It equals an element of this array.
    Element(&'q Expr),
    /// It is not below this, and above it unless the flag is set.
    Low(&'q Expr, bool),
    /// It is not above this, and below it unless the flag is set.
    High(&'q Expr, bool),
    /// All facts of one of these lists hold.
    Either(Vec<Vec<Fact<'q>>>),
    /// No value fits.
    Never,
}

/// What conjuncts say.
#[derive(Debug, Default)]
pub(super) struct Said<'q> {
    pub(super) links: Vec<Link>,
    pub(super) facts: Vec<(Col, Fact<'q>)>,
}

impl<'q> Locate<'q> {
    /// What conditions that hold of every row that counts say.
    pub(super) fn said(&self, conjuncts: &[&'q Expr]) -> Said<'q> {
        let mut said = Said::default();
        for conjunct in conjuncts {
            self.conjunct(conjunct, &mut said);
        }
        // A column of which something is said is not NULL.
        let columns = said.facts.iter().map(|(column, _)| *column);
        said.links.extend(columns.map(|column| Link { a: column, b: column, is_strict: true }));
        said
    }

    fn conjunct(&self, expr: &'q Expr, said: &mut Said<'q>) {
        match expr {
            Expr::And(list) => list.iter().for_each(|expr| self.conjunct(expr, said)),
            Expr::Compare(compare, left, right) => self.comparison(*compare, left, right, said),
            Expr::InList { expr, list, is_negated: false } => self.in_list(expr, list, said),
            Expr::Between { expr, low, high, is_negated: false } if !self.statement.has_symmetric => {
                if let Some(column) = self.column(expr) {
                    if is_constant(low) {
                        said.facts.push((column, Fact::Low(low, true)));
                    }
                    if is_constant(high) {
                        said.facts.push((column, Fact::High(high, true)));
                    }
                }
            }
            Expr::Quantified(quantified)
                if quantified.compare == Some(Compare::Equal)
                    && (!quantified.is_all || Fault::AllAsAny.is_planted()) =>
            {
                self.element(&quantified.left, &quantified.array, said);
            }
            Expr::Or(branches) if Fault::OrAsAnd.is_planted() => {
                branches.iter().for_each(|expr| self.conjunct(expr, said));
            }
            Expr::Or(branches) => self.either(branches, said),
            Expr::Not(inner) if Fault::NotIgnored.is_planted() => self.conjunct(inner, said),
            _ => {}
        }
    }

    fn comparison(&self, compare: Compare, left: &'q Expr, right: &'q Expr, said: &mut Said<'q>) {
        if let (Expr::Row(left), Expr::Row(right)) = (left, right)
            && left.len() == right.len()
        {
            match compare {
                Compare::Equal => {
                    for (left, right) in left.iter().zip(right) {
                        self.comparison(Compare::Equal, left, right, said);
                    }
                }
                Compare::NotEqual => {}
                // The first columns decide unless they are equal.
                Compare::Less | Compare::LessOrEqual => {
                    self.first_of_rows(Compare::LessOrEqual, left, right, said);
                }
                Compare::Greater | Compare::GreaterOrEqual => {
                    self.first_of_rows(Compare::GreaterOrEqual, left, right, said);
                }
            }
            return;
        }
        match (self.column(left), self.column(right)) {
            (Some(a), Some(b)) if compare == Compare::Equal && self.are_kin(a, b) => {
                said.links.push(Link { a, b, is_strict: true });
            }
            (Some(column), None) if is_constant(right) => constant(column, compare, right, said),
            (None, Some(column)) if is_constant(left) => constant(column, compare.mirrored(), left, said),
            _ => {}
        }
    }

    fn first_of_rows(&self, compare: Compare, left: &'q [Expr], right: &'q [Expr], said: &mut Said<'q>) {
        if let (Some(left), Some(right)) = (left.first(), right.first()) {
            self.comparison(compare, left, right, said);
        }
    }

    fn in_list(&self, expr: &'q Expr, list: &'q [Expr], said: &mut Said<'q>) {
        if let Expr::Row(columns) = expr {
            for (at, column) in columns.iter().enumerate() {
                let nth = list.iter().map(|entry| match entry {
                    Expr::Row(row) if row.len() == columns.len() => row.get(at),
                    _ => None,
                });
                if let (Some(column), Some(nth)) = (self.column(column), nth.collect::<Option<Vec<_>>>())
                    && nth.iter().all(|value| is_constant(value))
                {
                    said.facts.push((column, Fact::Equals(nth)));
                }
            }
        } else if let Some(column) = self.column(expr)
            && list.iter().all(is_constant)
        {
            let counted = if Fault::InListFirst.is_planted() { 1 } else { list.len() };
            said.facts.push((column, Fact::Equals(list.iter().take(counted).collect())));
        }
    }

    fn element(&self, left: &'q Expr, array: &'q Expr, said: &mut Said<'q>) {
        let Some(column) = self.column(left) else { return };
        match array {
            Expr::Array(list) if list.iter().all(is_constant) => {
                said.facts.push((column, Fact::Equals(list.iter().collect())));
            }
            // A cast of all elements says the type, which the elements' own must keep to.
            Expr::Cast(inner, _) if matches!(&**inner, Expr::Array(_)) => {}
            other if is_constant(other) => said.facts.push((column, Fact::Element(other))),
            _ => {}
        }
    }

    /// A column of which every branch says something has one of these.
    fn either(&self, branches: &'q [Expr], said: &mut Said<'q>) {
        let said_by: Vec<Said<'q>> = branches.iter().map(|branch| self.said(&branch.conjuncts())).collect();
        let Some(first) = said_by.first() else { return };
        let mut columns: Vec<Col> = first.facts.iter().map(|(column, _)| *column).collect();
        columns.dedup();
        for column in columns {
            let of_branch = |said: &Said<'q>| -> Vec<Fact<'q>> {
                said.facts
                    .iter()
                    .filter(|(other, _)| *other == column)
                    .map(|(_, fact)| fact.clone())
                    .collect()
            };
            let lists: Vec<Vec<Fact<'q>>> = said_by.iter().map(of_branch).collect();
            if lists.iter().all(|facts| !facts.is_empty()) {
                said.facts.push((column, Fact::Either(lists)));
            }
        }
    }

    /// The items whose columns must not be NULL for the condition to hold.
    pub(super) fn is_strict_in(&self, expr: &Expr, column_of: &dyn Fn(Col) -> bool) -> bool {
        let is_one = |expr: &Expr| {
            self.column(expr).is_some_and(|column| column_of(column) && self.is_builtin(column))
        };
        match expr {
            Expr::Compare(_, left, right) => is_one(left) || is_one(right),
            Expr::InList { expr, .. } | Expr::Between { expr, .. } => is_one(expr),
            Expr::IsNull(inner, true) => is_one(inner),
            Expr::Quantified(quantified) => !quantified.is_all && is_one(&quantified.left),
            Expr::Plain("LIKE", operands) => operands.first().is_some_and(is_one),
            Expr::Subquery(subquery) => match &subquery.kind {
                SubqueryKind::Quantified { left, is_all: false, .. } => is_one(left),
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether the column's type is Postgres's own, whose comparisons are strict.
    fn is_builtin(&self, column: Col) -> bool {
        const FIRST_USER_OID: u32 = 16384;
        self.types().of_column(column.0, column.1).is_some_and(|type_oid| type_oid < FIRST_USER_OID)
    }
}

fn constant<'q>(column: Col, compare: Compare, value: &'q Expr, said: &mut Said<'q>) {
    if matches!(value, Expr::Literal(literal) if literal.kind == LiteralKind::Null) {
        said.facts.push((column, Fact::Never));
        return;
    }
    let fact = match compare {
        Compare::Equal => Fact::Equals(vec![value]),
        Compare::NotEqual if Fault::NotEqualAsEqual.is_planted() => Fact::Equals(vec![value]),
        Compare::NotEqual => return,
        Compare::Less => Fact::High(value, false),
        Compare::LessOrEqual => Fact::High(value, !Fault::UpperEndExcluded.is_planted()),
        Compare::Greater => Fact::Low(value, false),
        Compare::GreaterOrEqual => Fact::Low(value, true),
    };
    said.facts.push((column, fact));
}
