//! Going through expressions: the operands of a node, in one place for all analyses.

use super::{
    Body, Call, Expr, InsertSource, Kind, Over, Query, SortItem, SortKey, Source, Statement, Subquery,
    SubqueryKind,
};

impl Expr {
    /// Calls `each` with every operand directly below, but not inside subqueries: the left operand of
    /// `IN (SELECT ...)` is one, the subquery is not.
    pub fn for_each_child<'e>(&'e self, each: &mut dyn FnMut(&'e Expr)) {
        match self {
            Expr::Column(..)
            | Expr::Unknown(..)
            | Expr::System(..)
            | Expr::WholeRow(_)
            | Expr::Wrong(_)
            | Expr::Literal(_)
            | Expr::Param(_)
            | Expr::Default => {}
            Expr::Merged(list)
            | Expr::And(list)
            | Expr::Or(list)
            | Expr::Operator(_, list)
            | Expr::Row(list)
            | Expr::Array(list)
            | Expr::Plain(_, list)
            | Expr::Beyond(_, list) => list.iter().for_each(each),
            Expr::Cast(inner, _) | Expr::Not(inner) | Expr::IsNull(inner, _) | Expr::Collate(inner, _) => {
                each(inner);
            }
            Expr::Compare(_, left, right) => {
                each(left);
                each(right);
            }
            Expr::InList { expr, list, .. } => {
                each(expr);
                list.iter().for_each(each);
            }
            Expr::Between { expr, low, high, .. } => [expr, low, high].into_iter().for_each(|e| each(e)),
            Expr::Quantified(quantified) => {
                each(&quantified.left);
                each(&quantified.array);
            }
            Expr::Call(call) => call.for_each_child(each),
            Expr::Subquery(subquery) => {
                if let Some(left) = subquery.left() {
                    each(left);
                }
            }
        }
    }

    /// Whether `test` holds of this node or of one below, subqueries' insides left out.
    pub fn any(&self, test: &mut dyn FnMut(&Expr) -> bool) -> bool {
        if test(self) {
            return true;
        }
        let mut found = false;
        self.for_each_child(&mut |child| found = found || child.any(test));
        found
    }

    /// The subqueries in it, outermost ones only.
    pub fn subqueries(&self) -> Vec<&Subquery> {
        let mut found = Vec::new();
        self.collect_subqueries(&mut found);
        found
    }

    fn collect_subqueries<'e>(&'e self, found: &mut Vec<&'e Subquery>) {
        if let Expr::Subquery(subquery) = self {
            found.push(subquery);
        }
        self.for_each_child(&mut |child| child.collect_subqueries(found));
    }

    /// The conjuncts of an AND, flattened; the expression itself where it is none.
    pub fn conjuncts(&self) -> Vec<&Expr> {
        match self {
            Expr::And(list) => list.iter().flat_map(Expr::conjuncts).collect(),
            other => vec![other],
        }
    }
}

impl Call {
    fn for_each_child<'e>(&'e self, each: &mut dyn FnMut(&'e Expr)) {
        self.arguments.iter().for_each(&mut *each);
        for item in self.order_by.iter().chain(&self.within_group) {
            if let Some(expr) = item.expr() {
                each(expr);
            }
        }
        if let Some(filter) = &self.filter {
            each(filter);
        }
        if let Some(over) = &self.over {
            over.for_each_child(each);
        }
    }
}

impl Over {
    /// Its expressions.
    pub fn for_each_child<'e>(&'e self, each: &mut dyn FnMut(&'e Expr)) {
        self.partition_by.iter().for_each(&mut *each);
        self.order_by.iter().filter_map(SortItem::expr).for_each(&mut *each);
        self.bounds.iter().for_each(&mut *each);
    }
}

impl SortItem {
    /// The expression that it sorts by; `None` where it names an output column.
    pub fn expr(&self) -> Option<&Expr> {
        match &self.key {
            SortKey::Output(_) => None,
            SortKey::Expr(expr) => Some(expr),
        }
    }
}

impl Subquery {
    /// The left operand of `left op ANY (...)`.
    pub fn left(&self) -> Option<&Expr> {
        match &self.kind {
            SubqueryKind::Quantified { left, .. } => Some(left),
            SubqueryKind::Scalar | SubqueryKind::Array | SubqueryKind::Exists => None,
        }
    }
}

impl Query {
    /// Every expression that stands in it directly: of its clauses and its body, arms included, but not of
    /// FROM's subqueries.
    pub fn for_each_expr<'q>(&'q self, each: &mut dyn FnMut(&'q Expr)) {
        self.order_by.iter().filter_map(SortItem::expr).for_each(&mut *each);
        self.limit.iter().chain(&self.offset).for_each(&mut *each);
        match &self.body {
            Body::Select(select) => select.for_each_expr(each),
            Body::Values(rows) => rows.iter().flatten().for_each(each),
            Body::Set(set) => {
                set.left.for_each_expr(each);
                set.right.for_each_expr(each);
            }
            Body::Query(query) => query.for_each_expr(each),
        }
    }
}

impl super::Select {
    /// Every expression of its clauses, joins included.
    pub fn for_each_expr<'q>(&'q self, each: &mut dyn FnMut(&'q Expr)) {
        self.outputs.iter().for_each(|output| each(&output.value));
        if let super::Distinct::On(keys) = &self.distinct {
            keys.iter().filter_map(SortKey::expr).for_each(&mut *each);
        }
        self.from.iter().for_each(|join| join.for_each_expr(each));
        self.filter.iter().for_each(&mut *each);
        self.group_by.iter().filter_map(SortKey::expr).for_each(&mut *each);
        self.having.iter().for_each(&mut *each);
        self.windows.iter().for_each(|window| window.for_each_child(each));
    }

    /// The entries of FROM, left to right.
    pub fn items(&self) -> Vec<super::ItemId> {
        self.from.iter().flat_map(super::Join::items).collect()
    }
}

impl SortKey {
    /// The expression, where it is one.
    pub fn expr(&self) -> Option<&Expr> {
        match self {
            SortKey::Output(_) => None,
            SortKey::Expr(expr) => Some(expr),
        }
    }
}

impl super::Join {
    fn for_each_expr<'q>(&'q self, each: &mut dyn FnMut(&'q Expr)) {
        if let super::Join::Pair(pair) = self {
            pair.left.for_each_expr(each);
            pair.right.for_each_expr(each);
            pair.on.iter().for_each(each);
        }
    }
}

impl Statement {
    /// Every expression that stands directly in a query of the statement, subqueries included, or beside its
    /// queries.
    pub fn for_each_expr<'s>(&'s self, each: &mut dyn FnMut(&'s Expr)) {
        for item in &self.items {
            match &item.source {
                Source::Query(query) => query_exprs(query, each),
                Source::Function(calls) => calls.iter().for_each(|call| with_subqueries(call, each)),
                Source::Relation(_) | Source::Recursion | Source::Excluded => {}
            }
        }
        match &self.kind {
            Kind::Select(query) => query_exprs(query, each),
            Kind::Call(call) => with_subqueries(call, each),
            Kind::Insert(insert) => {
                match &insert.source {
                    InsertSource::Rows(rows) => {
                        rows.iter().flatten().for_each(|value| with_subqueries(value, each));
                    }
                    InsertSource::Query(query) => query_exprs(query, each),
                    InsertSource::Defaults => {}
                }
                insert.returning.iter().for_each(|output| with_subqueries(&output.value, each));
                if let Some((sets, filter)) = insert.conflict.as_ref().and_then(|c| c.update.as_ref()) {
                    sets.iter().filter_map(|set| set.value.as_ref()).for_each(|v| with_subqueries(v, each));
                    filter.iter().for_each(|filter| with_subqueries(filter, each));
                }
            }
            Kind::Modify(modify) => {
                modify.block.for_each_expr(&mut |expr| with_subqueries(expr, each));
                let sets = modify.sets.iter().flatten().filter_map(|set| set.value.as_ref());
                sets.chain(&modify.assigned).for_each(|value| with_subqueries(value, each));
            }
        }
    }
}

fn query_exprs<'s>(query: &'s Query, each: &mut dyn FnMut(&'s Expr)) {
    query.for_each_expr(&mut |expr| with_subqueries(expr, each));
}

/// The expression, and those of the subqueries in it.
fn with_subqueries<'s>(expr: &'s Expr, each: &mut dyn FnMut(&'s Expr)) {
    each(expr);
    for subquery in expr.subqueries() {
        query_exprs(&subquery.query, each);
    }
}
