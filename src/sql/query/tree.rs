//! The tree of an understood statement: its queries and their clauses.

use super::{Expr, Over};
use crate::sql::lexer::Token;

/// An understood statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it does.
    pub kind: Kind,
    /// All entries of all FROM clauses, and the targets of writes; [`ItemId`]s point here.
    pub items: Vec<Item>,
    /// Relations that only WITH queries name which nothing uses.
    pub unused: Vec<Named>,
    /// The statement's significant tokens.
    pub tokens: Vec<Token>,
    /// Whether a BETWEEN somewhere is SYMMETRIC.
    pub has_symmetric: bool,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SELECT, VALUES, TABLE, WITH ... SELECT.
    Select(Query),
    /// INSERT.
    Insert(Box<Insert>),
    /// UPDATE or DELETE.
    Modify(Box<Modify>),
    /// CALL of a procedure.
    Call(Box<Expr>),
}

/// An entry of a FROM clause, by its place in [`Statement::items`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(pub u32);

/// An entry of FROM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it reads.
    pub source: Source,
    /// The name that columns are qualified with; `None` where it has none.
    pub name: Option<String>,
    /// Its columns in the order of `*`; `None` where they are not known.
    pub columns: Option<Vec<String>>,
    /// Whether it may name columns of entries to its left.
    pub is_lateral: bool,
    /// Whether TABLESAMPLE thins it out.
    pub is_sampled: bool,
}

/// What an entry of FROM reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A table.
    Relation(Named),
    /// A subquery, WITH query or view.
    Query(Box<Query>),
    /// A reference of a recursive WITH query to itself.
    Recursion,
    /// A function, or several in ROWS FROM.
    Function(Vec<Expr>),
    /// `excluded`, of ON CONFLICT DO UPDATE.
    Excluded,
}

/// A relation as named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name's parts as written.
    pub name: Vec<String>,
    /// Its OID in the catalog; `None` for a system relation or one that is not known.
    pub oid: Option<u32>,
}

/// A query with the clauses behind its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// SELECT, VALUES or set operation.
    pub body: Body,
    /// ORDER BY.
    pub order_by: Vec<SortItem>,
    /// LIMIT or FETCH FIRST; `LIMIT ALL` and `LIMIT NULL` are none.
    pub limit: Option<Expr>,
    /// OFFSET.
    pub offset: Option<Expr>,
    /// FETCH FIRST ... WITH TIES.
    pub has_ties: bool,
    /// FOR UPDATE and its kin: the names behind OF, none where there are none.
    pub locks: Vec<Vec<String>>,
    /// Whether it has WITH queries.
    pub has_with: bool,
    /// The view whose definition this is.
    pub view: Option<u32>,
    /// Of a recursive WITH query.
    pub is_recursive: bool,
}

/// What a query's rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// SELECT.
    Select(Box<Select>),
    /// VALUES.
    Values(Vec<Vec<Expr>>),
    /// UNION, INTERSECT, EXCEPT.
    Set(Box<SetOperation>),
    /// A query in parentheses that has clauses of its own.
    Query(Box<Query>),
}

/// UNION, INTERSECT or EXCEPT of two queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetOperation {
    /// Which.
    pub operator: SetOperator,
    /// ALL.
    pub is_all: bool,
    /// Left arm.
    pub left: Query,
    /// Right arm.
    pub right: Query,
}

/// The set operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOperator {
    /// UNION
    Union,
    /// INTERSECT
    Intersect,
    /// EXCEPT
    Except,
}

/// A SELECT, or the target, FROM and WHERE of a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Select {
    /// DISTINCT.
    pub distinct: Distinct,
    /// The select list, `*` expanded, or RETURNING.
    pub outputs: Vec<Output>,
    /// How many entries the select list has before `*` is expanded.
    pub listed: usize,
    /// FROM; its entries are inner-joined.
    pub from: Vec<Join>,
    /// WHERE.
    pub filter: Option<Expr>,
    /// GROUP BY.
    pub group_by: Vec<SortKey>,
    /// Whether GROUPING SETS, ROLLUP, CUBE or GROUP BY DISTINCT is used.
    pub has_grouping_sets: bool,
    /// HAVING.
    pub having: Option<Expr>,
    /// The windows of the WINDOW clause.
    pub windows: Vec<Over>,
    /// The place of its SELECT word among the statement's tokens; `None` in a view.
    pub place: Option<usize>,
}

/// DISTINCT of a select list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Distinct {
    /// None.
    #[default]
    No,
    /// DISTINCT.
    All,
    /// DISTINCT ON.
    On(Vec<SortKey>),
}

/// A column of a select list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The name that the client sees; `None` where it is not known.
    pub name: Option<String>,
    /// Its value.
    pub value: Expr,
    /// Which entry of the select list it comes from, as written.
    pub entry: usize,
    /// Whether it comes from a `*`.
    pub is_star: bool,
    /// Whether it has an alias.
    pub has_alias: bool,
}

/// What an entry of ORDER BY, GROUP BY or DISTINCT ON is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// An output column, by position or name: its place among the outputs.
    Output(usize),
    /// An expression over the input.
    Expr(Expr),
}

/// An entry of ORDER BY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortItem {
    /// What is sorted by.
    pub key: SortKey,
    /// DESC, or USING an operator of that meaning.
    pub is_descending: bool,
    /// NULLS FIRST, said or by default.
    pub nulls_first: bool,
}

/// A FROM clause's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Join {
    /// A leaf.
    Item(ItemId),
    /// A join of two.
    Pair(Box<Pair>),
}

/// A join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Which.
    pub kind: JoinKind,
    /// Left side.
    pub left: Join,
    /// Right side.
    pub right: Join,
    /// ON, and the equalities of USING or NATURAL.
    pub on: Option<Expr>,
}

/// Which rows a join keeps that match nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// None.
    Inner,
    /// Those of the left side.
    Left,
    /// Those of the right side.
    Right,
    /// Those of both.
    Full,
}

/// An INSERT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insert {
    /// The table: an item, for RETURNING and ON CONFLICT.
    pub target: ItemId,
    /// The columns listed; empty where there is no list.
    pub columns: Vec<String>,
    /// Where the rows come from.
    pub source: InsertSource,
    /// ON CONFLICT.
    pub conflict: Option<Conflict>,
    /// RETURNING.
    pub returning: Vec<Output>,
    /// OVERRIDING SYSTEM or USER VALUE.
    pub is_overriding: bool,
}

/// Where an INSERT's rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InsertSource {
    /// DEFAULT VALUES.
    Defaults,
    /// Rows of VALUES.
    Rows(Vec<Vec<Expr>>),
    /// A query.
    Query(Query),
}

/// ON CONFLICT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What may conflict.
    pub arbiter: Arbiter,
    /// DO UPDATE: what it sets and its WHERE. `None`: DO NOTHING.
    pub update: Option<(Vec<Set>, Option<Expr>)>,
}

/// What an ON CONFLICT names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arbiter {
    /// Nothing: any unique key.
    Any,
    /// Columns; an expression is an empty name.
    Columns(Vec<String>),
    /// A constraint.
    Constraint(String),
}

/// An assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The column.
    pub column: String,
    /// Its new value; `None` where several columns get theirs from one row or subquery.
    pub value: Option<Expr>,
}

/// An UPDATE or DELETE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modify {
    /// The table.
    pub target: ItemId,
    /// What it sets; `None` for DELETE.
    pub sets: Option<Vec<Set>>,
    /// Expressions assigned that are not in `sets` by themselves (rows and subqueries).
    pub assigned: Vec<Expr>,
    /// The target with FROM or USING, WHERE, and RETURNING as outputs.
    pub block: Select,
}

impl Statement {
    /// The item of this id.
    pub fn item(&self, id: ItemId) -> Option<&Item> {
        self.items.get(usize::try_from(id.0).ok()?)
    }
}

impl Query {
    /// A query of a body and nothing else.
    pub(crate) fn of(body: Body) -> Query {
        Query {
            body,
            order_by: Vec::new(),
            limit: None,
            offset: None,
            has_ties: false,
            locks: Vec::new(),
            has_with: false,
            view: None,
            is_recursive: false,
        }
    }

    /// Whether it has clauses besides its body.
    pub fn is_bare(&self) -> bool {
        self.order_by.is_empty()
            && self.limit.is_none()
            && self.offset.is_none()
            && self.locks.is_empty()
            && !self.has_with
    }

    /// The names of its columns; `None` where they are not known.
    pub fn column_names(&self) -> Option<Vec<String>> {
        match &self.body {
            Body::Select(select) => select.outputs.iter().map(|output| output.name.clone()).collect(),
            Body::Values(rows) => Some((1..=rows.first()?.len()).map(|at| format!("column{at}")).collect()),
            Body::Set(set) => set.left.column_names(),
            Body::Query(query) => query.column_names(),
        }
    }

    /// The expressions whose values the column at this place may have: one for a SELECT, one per row or arm
    /// for VALUES and set operations.
    pub fn column_values(&self, column: usize) -> Vec<&Expr> {
        match &self.body {
            Body::Select(select) => {
                select.outputs.get(column).map(|output| &output.value).into_iter().collect()
            }
            Body::Values(rows) => rows.iter().filter_map(|row| row.get(column)).collect(),
            Body::Set(set) => {
                let mut values = set.left.column_values(column);
                values.extend(set.right.column_values(column));
                values
            }
            Body::Query(query) => query.column_values(column),
        }
    }

    /// How many columns it has; `None` where that is not known.
    pub fn width(&self) -> Option<usize> {
        match &self.body {
            Body::Select(select) => {
                let is_unknown = |output: &Output| output.is_star && output.name.is_none();
                (!select.outputs.iter().any(is_unknown)).then_some(select.outputs.len())
            }
            Body::Values(rows) => rows.first().map(Vec::len),
            Body::Set(set) => set.left.width(),
            Body::Query(query) => query.width(),
        }
    }
}

impl Join {
    /// The entries below, left to right.
    pub fn items(&self) -> Vec<ItemId> {
        match self {
            Join::Item(item) => vec![*item],
            Join::Pair(pair) => {
                let mut items = pair.left.items();
                items.extend(pair.right.items());
                items
            }
        }
    }
}
