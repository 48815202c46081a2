//! Columns that are equal in every row that counts, and what is known of their values.

use super::Col;
use super::facts::Fact;
use crate::sql::query::Expr;

/// An equality of two columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) a: Col,
    pub(super) b: Col,
    /// Whether it holds of every row, so that neither is NULL; else where neither is NULL.
    pub(super) is_strict: bool,
}

/// Equivalence classes of columns.
#[derive(Debug, Default)]
pub(super) struct Classes<'q> {
    classes: Vec<Class<'q>>,
}

#[derive(Debug, Default)]
struct Class<'q> {
    columns: Vec<Col>,
    /// Those that a strict link names.
    compared: Vec<Col>,
    facts: Vec<Fact<'q>>,
}

impl<'q> Classes<'q> {
    /// Joins the links, and gives each class the facts of its columns.
    pub(super) fn new(links: &[Link], facts: &[(Col, Fact<'q>)]) -> Classes<'q> {
        let mut classes = Classes::default();
        for link in links {
            let a = classes.class_of(link.a);
            let b = classes.class_of(link.b);
            if a != b {
                let merged = classes.classes.swap_remove(a.max(b));
                if let Some(kept) = classes.classes.get_mut(a.min(b)) {
                    kept.columns.extend(merged.columns);
                    kept.compared.extend(merged.compared);
                }
            }
            if link.is_strict {
                let class = classes.class_of(link.a);
                if let Some(class) = classes.classes.get_mut(class) {
                    class.compared.extend([link.a, link.b]);
                }
            }
        }
        for (column, fact) in facts {
            let class = classes.class_of(*column);
            if let Some(class) = classes.classes.get_mut(class)
                && !class.facts.contains(fact)
            {
                class.facts.push(fact.clone());
            }
        }
        classes
    }

    /// The place of a column's class, made where there is none.
    fn class_of(&mut self, column: Col) -> usize {
        match self.classes.iter().position(|class| class.columns.contains(&column)) {
            Some(place) => place,
            None => {
                self.classes.push(Class { columns: vec![column], ..Class::default() });
                self.classes.len() - 1
            }
        }
    }

    fn find(&self, column: Col) -> Option<&Class<'q>> {
        self.classes.iter().find(|class| class.columns.contains(&column))
    }

    /// Whether two expressions that hold keys are equal.
    pub(super) fn are_equal(&self, a: &Expr, b: &Expr) -> bool {
        match (a, b) {
            (Expr::Column(item_a, a), Expr::Column(item_b, b)) => {
                let (a, b) = (Col(*item_a, *a), Col(*item_b, *b));
                a == b || self.find(a).is_some_and(|class| class.columns.contains(&b))
            }
            (a, b) => a == b,
        }
    }

    /// The columns that equal any of these.
    pub(super) fn equals_of(&self, holders: &[Expr]) -> Vec<Col> {
        let columns = holders.iter().filter_map(|holder| match holder {
            Expr::Column(item, column) => self.find(Col(*item, *column)),
            _ => None,
        });
        columns.flat_map(|class| class.columns.iter().copied()).collect()
    }

    /// Whether a strict condition compares it, so that it is not NULL.
    pub(super) fn is_compared(&self, holder: &Expr) -> bool {
        match holder {
            Expr::Column(item, column) => {
                let column = Col(*item, *column);
                self.find(column).is_some_and(|class| class.compared.contains(&column))
            }
            _ => false,
        }
    }

    /// What is known of the values of a column that holds a key.
    pub(super) fn facts_of(&self, holders: &[Expr]) -> Vec<&Fact<'q>> {
        let mut found = Vec::new();
        for holder in holders {
            let Expr::Column(item, column) = holder else { continue };
            for fact in self.find(Col(*item, *column)).iter().flat_map(|class| &class.facts) {
                if !found.contains(&fact) {
                    found.push(fact);
                }
            }
        }
        found
    }

    /// All facts, of every column of every class.
    pub(super) fn all_facts(&self) -> Vec<(Col, Fact<'q>)> {
        let of_class = |class: &Class<'q>| {
            let facts = class.facts.clone();
            class
                .columns
                .clone()
                .into_iter()
                .flat_map(move |column| facts.clone().into_iter().map(move |fact| (column, fact)))
        };
        self.classes.iter().flat_map(of_class).collect()
    }
}
