//! Going through expressions: the operands of a node, in one place for all analyses.

use super::{Body, Call, Expr, Over, Query, SortItem, SortKey, Subquery, SubqueryKind};

impl Expr {
    /// Calls `each` with every operand directly below, but not inside subqueries: the left operand of
    /// `IN (SELECT ...)` is one, the subquery is not.
    pub fn for_each_child<'e>(&'e self, each: &mut dyn FnMut(&'e Expr)) {
        match self {
            Expr::Column(..)
            | Expr::Unknown(..)
            | Expr::System(..)
            | Expr::WholeRow(_)
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
