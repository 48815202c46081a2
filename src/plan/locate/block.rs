//! A query as a block: set operations, VALUES, and the clauses behind the body.

use super::facts::Fact;
use super::from::Part;
use super::keys::{Key, OutKey};
use super::reach::Reach;
use super::{Col, Locate, Spread};
use crate::catalog::ConstraintKind;
use crate::fault::Fault;
use crate::plan::prune::Prune;
use crate::plan::steady::unsteady;
use crate::sql::query::{Body, Expr, ItemId, Query, Select, SetOperation, SetOperator, SortKey, Source};

/// What is known of a block's rows.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Block<'q> {
    pub(in crate::plan) spread: Spread,
    /// Whether it has rows of sharded tables that lie on the shard of an outer row.
    pub(super) is_anchored: bool,
    pub(super) has_tables: bool,
    pub(in crate::plan) keys: Vec<OutKey>,
    /// What is known of output columns in every row; or they are NULL.
    pub(super) facts: Vec<(usize, Fact<'q>)>,
    /// The shards that bear on its rows.
    pub(in crate::plan) reach: Prune,
    pub(super) name: String,
}

impl<'q> Block<'q> {
    fn everywhere() -> Block<'q> {
        Block {
            spread: Spread::Everywhere,
            is_anchored: false,
            has_tables: false,
            keys: Vec::new(),
            facts: Vec::new(),
            reach: Prune::Nothing,
            name: String::new(),
        }
    }

    pub(super) fn refuse(&mut self, reason: String) {
        if !matches!(self.spread, Spread::Not(_)) {
            self.spread = Spread::Not(reason);
        }
    }

    /// The block as an entry of FROM.
    pub(super) fn into_part(self, id: ItemId, name: String) -> Part<'q> {
        let key = |key: &OutKey| Key {
            group: key.group,
            is_strong: key.is_strong,
            holders: key
                .columns
                .iter()
                .map(|position| position.iter().map(|at| Expr::Column(id, *at)).collect())
                .collect(),
        };
        let keys: Vec<Key> = self.keys.iter().map(key).collect();
        // Only of a block whose rows lie by key does a condition on the key leave other shards' rows out
        // of account.
        let by = if matches!(self.spread, Spread::ByKey(_)) { keys.clone() } else { Vec::new() };
        Part {
            spread: self.spread,
            is_anchored: self.is_anchored,
            has_tables: self.has_tables,
            keys,
            facts: self.facts.into_iter().map(|(at, fact)| (Col(id, at), fact)).collect(),
            reaches: vec![Reach { prune: self.reach, keys: by }],
            name,
            ..Part::nothing()
        }
    }
}

impl<'q> Locate<'q> {
    /// A query inside another.
    pub(in crate::plan) fn query(&mut self, query: &'q Query) -> Block<'q> {
        let mut block = self.bare(query);
        if !query.locks.is_empty() {
            block.refuse("FOR UPDATE or FOR SHARE locks rows on several shards".to_owned());
        }
        if query.limit.is_some() || query.offset.is_some() {
            self.limited(query, &mut block);
        }
        if query.is_recursive && matches!(block.spread, Spread::ByKey(_)) {
            block.refuse("a recursive WITH query over sharded tables".to_owned());
        }
        block
    }

    /// A query without the clauses behind its body.
    pub(in crate::plan) fn bare(&mut self, query: &'q Query) -> Block<'q> {
        match &query.body {
            Body::Select(select) => self.select(select, &query.order_by).block,
            Body::Values(rows) => {
                let mut block = Block::everywhere();
                let mut sets = Vec::new();
                for value in rows.iter().flatten() {
                    self.value(value, &mut block.spread, &mut sets);
                }
                block.reach = Prune::any(sets);
                block
            }
            Body::Set(set) => self.set(set),
            Body::Query(inner) => self.query(inner),
        }
    }

    /// An expression outside any FROM.
    pub(in crate::plan) fn value(&mut self, expr: &'q Expr, spread: &mut Spread, sets: &mut Vec<Prune>) {
        let reason = unsteady(expr, self.schema)
            .or_else(|| self.subqueries(expr, false, sets))
            .or_else(|| self.calls(expr, &[], sets));
        if let (Some(reason), false) = (reason, matches!(spread, Spread::Not(_))) {
            *spread = Spread::Not(reason);
        }
    }

    /// LIMIT and OFFSET inside a statement: which rows they leave must not depend on the shard.
    fn limited(&mut self, query: &'q Query, block: &mut Block<'q>) {
        let mut sets = vec![block.reach.clone()];
        for expr in query.limit.iter().chain(&query.offset) {
            self.value(expr, &mut block.spread, &mut sets);
        }
        block.reach = Prune::any(sets);
        let is_sure = match block.spread {
            Spread::ByKey(_) if Fault::LimitInSubquery.is_planted() => return,
            Spread::ByKey(_) => {
                block.refuse("LIMIT or OFFSET in a subquery that reads several shards".to_owned());
                return;
            }
            Spread::Not(_) => return,
            Spread::Everywhere => block.is_anchored || !block.has_tables || self.has_total_order(query),
        };
        if !is_sure {
            block.refuse(
                "LIMIT or OFFSET in a subquery whose ORDER BY does not decide which rows it leaves"
                    .to_owned(),
            );
        }
    }

    /// Whether ORDER BY has all columns of a primary key of the one table that is read.
    fn has_total_order(&self, query: &Query) -> bool {
        let Body::Select(select) = &query.body else { return false };
        let [item] = select.items()[..] else { return false };
        let Some(Source::Relation(named)) = self.statement.item(item).map(|item| &item.source) else {
            return false;
        };
        let Some(relation) = named.oid.and_then(|oid| self.schema.catalog().relation_by_oid(oid)) else {
            return false;
        };
        let sorted: Vec<usize> = query
            .order_by
            .iter()
            .filter_map(|entry| sorted_value(&entry.key, select))
            .filter_map(|value| match value {
                Expr::Column(of, column) if *of == item => Some(*column),
                _ => None,
            })
            .collect();
        let is_sorted = |number: &i16| {
            sorted.iter().any(|at| relation.columns.get(*at).is_some_and(|column| column.number == *number))
        };
        relation
            .constraints
            .iter()
            .any(|c| c.kind == ConstraintKind::PrimaryKey && c.columns.iter().all(is_sorted))
    }

    fn set(&mut self, set: &'q SetOperation) -> Block<'q> {
        let left = self.query(&set.left);
        let right = self.query(&set.right);
        let mut keys = Vec::new();
        for one in &left.keys {
            for other in right.keys.iter().filter(|other| other.group == one.group) {
                keys.extend(common(one, other));
            }
        }
        let has_key = keys.iter().any(|key| key.is_strong);
        let is_left_keyed = left.keys.iter().any(|key| key.is_strong);
        let spread = match (&left.spread, &right.spread) {
            (Spread::Not(reason), _) | (_, Spread::Not(reason)) => Spread::Not(reason.clone()),
            (Spread::Everywhere, Spread::Everywhere) => Spread::Everywhere,
            (Spread::ByKey(group), Spread::ByKey(other)) if group == other => {
                if has_key
                    || Fault::SetByShard.is_planted()
                    || (set.operator == SetOperator::Union && set.is_all)
                {
                    Spread::ByKey(*group)
                } else {
                    Spread::Not("a set operation over rows that do not hold the sharding key".to_owned())
                }
            }
            // Rows without their like on the right, or with it, are judged where they lie; equal rows lie
            // together.
            (Spread::ByKey(group), Spread::Everywhere)
                if set.operator != SetOperator::Union && is_left_keyed =>
            {
                keys.clone_from(&left.keys);
                Spread::ByKey(*group)
            }
            (Spread::Everywhere, Spread::ByKey(group))
                if set.operator == SetOperator::Intersect && right.keys.iter().any(|key| key.is_strong) =>
            {
                keys.clone_from(&right.keys);
                Spread::ByKey(*group)
            }
            (Spread::ByKey(_), Spread::ByKey(_)) => {
                Spread::Not("a set operation over tables of two colocation groups".to_owned())
            }
            _ => Spread::Not(
                "a set operation of rows of several shards and rows that every shard has".to_owned(),
            ),
        };
        Block {
            spread,
            is_anchored: left.is_anchored && right.is_anchored,
            has_tables: left.has_tables || right.has_tables,
            keys,
            facts: Vec::new(),
            reach: Prune::any([left.reach, right.reach]),
            name: left.name,
        }
    }
}

/// What a sort key of a SELECT sorts by.
pub(in crate::plan) fn sorted_value<'e>(key: &'e SortKey, select: &'e Select) -> Option<&'e Expr> {
    match key {
        SortKey::Output(at) => select.outputs.get(*at).map(|output| &output.value),
        SortKey::Expr(expr) => Some(expr),
    }
}

/// The key that both arms put out in the same columns.
fn common(one: &OutKey, other: &OutKey) -> Option<OutKey> {
    let columns: Vec<Vec<usize>> = one
        .columns
        .iter()
        .zip(&other.columns)
        .map(|(a, b)| a.iter().copied().filter(|at| b.contains(at)).collect())
        .collect();
    let is_whole = columns.iter().all(|position: &Vec<usize>| !position.is_empty());
    is_whole.then_some(OutKey { group: one.group, is_strong: one.is_strong && other.is_strong, columns })
}
