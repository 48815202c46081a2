//! Expressions with their columns resolved.

use super::{ItemId, Query, SortItem};
use crate::error::SqlError;

/// What is [`Expr::Beyond`] in `t.f`, where `f` is no column of `t` but a function.
pub const CALLED_LIKE_A_COLUMN: &str = "a function called like a column";

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// A column of an entry of FROM, of this level or an outer one: its place among the item's columns.
    Column(ItemId, usize),
    /// A column merged by USING of a FULL JOIN: the first of these that is not NULL.
    Merged(Vec<Expr>),
    /// A column of an item whose columns are not known.
    Unknown(ItemId, String),
    /// A system column.
    System(ItemId, String),
    /// A whole row.
    WholeRow(ItemId),
    /// A name for which Postgres itself has this error.
    Wrong(Box<SqlError>),
    /// A constant.
    Literal(Literal),
    /// `$number`
    Param(usize),
    /// `x::type`, `CAST(x AS type)`, `type 'x'`.
    Cast(Box<Expr>, TypeName),
    /// AND of at least two.
    And(Vec<Expr>),
    /// OR of at least two.
    Or(Vec<Expr>),
    /// NOT
    Not(Box<Expr>),
    /// A comparison by an operator of `pg_catalog`.
    Compare(Compare, Box<Expr>, Box<Expr>),
    /// Another operator, with one or two operands.
    Operator(String, Vec<Expr>),
    /// `x [NOT] IN (...)`
    InList {
        /// What is looked for.
        expr: Box<Expr>,
        /// The list.
        list: Vec<Expr>,
        /// NOT IN.
        is_negated: bool,
    },
    /// `x [NOT] BETWEEN low AND high`
    Between {
        /// What is compared.
        expr: Box<Expr>,
        /// Lower bound, included.
        low: Box<Expr>,
        /// Upper bound, included.
        high: Box<Expr>,
        /// NOT BETWEEN.
        is_negated: bool,
    },
    /// `x op ANY (array)`, `x op ALL (array)`
    Quantified(Box<Quantified>),
    /// `x IS [NOT] NULL`
    IsNull(Box<Expr>, bool),
    /// `ROW(...)` or `(a, b)`
    Row(Vec<Expr>),
    /// `ARRAY[...]`
    Array(Vec<Expr>),
    /// `COLLATE`, with the collation's name.
    Collate(Box<Expr>, Vec<String>),
    /// Another node that is the same function of its operands everywhere; what it is called.
    Plain(&'static str, Vec<Expr>),
    /// A node that is not the same on every shard, or not understood enough to tell; what it is called.
    Beyond(&'static str, Vec<Expr>),
    /// A call.
    Call(Box<Call>),
    /// A subquery.
    Subquery(Box<Subquery>),
    /// DEFAULT, in VALUES and SET.
    Default,
}

/// A constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// What it is.
    pub kind: LiteralKind,
    /// Its value.
    pub value: LiteralValue,
}

/// What a constant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiteralKind {
    /// Digits that fit int4.
    Int4,
    /// Digits that fit int8 only.
    Int8,
    /// Another number.
    Numeric,
    /// A string.
    String,
    /// A string with escapes, in dollars or with Unicode escapes.
    OtherString,
    /// A bit string.
    Bits,
    /// TRUE or FALSE.
    Boolean,
    /// NULL
    Null,
}

/// A constant's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiteralValue {
    /// The template lifted it: its place among the literals.
    Lifted(usize),
    /// Its text as written, with its quotes.
    Text(Box<[u8]>),
}

/// A type as named, as Postgres stores it: `int8`, not `bigint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName {
    /// The name's parts.
    pub name: Vec<String>,
    /// Whether a modifier such as a length is given.
    pub has_modifier: bool,
    /// Whether it is an array of it.
    pub is_array: bool,
}

/// The comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Compare {
    /// The comparison with its operands exchanged.
    #[must_use]
    pub fn mirrored(self) -> Compare {
        match self {
            Compare::Equal | Compare::NotEqual => self,
            Compare::Less => Compare::Greater,
            Compare::LessOrEqual => Compare::GreaterOrEqual,
            Compare::Greater => Compare::Less,
            Compare::GreaterOrEqual => Compare::LessOrEqual,
        }
    }
}

/// `left op ANY|ALL (array)`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantified {
    /// Left operand.
    pub left: Expr,
    /// The comparison; `None` for another operator.
    pub compare: Option<Compare>,
    /// The array.
    pub array: Expr,
    /// ALL.
    pub is_all: bool,
}

/// A place among the statement's tokens; equal to every other, so that equal expressions are equal wherever
/// they stand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place(pub Option<usize>);

impl PartialEq for Place {
    fn eq(&self, _other: &Place) -> bool {
        true
    }
}

impl Eq for Place {}

/// A call of a function or aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Name in parts, as written.
    pub name: Vec<String>,
    /// The token of the name's first part.
    pub place: Place,
    /// Arguments.
    pub arguments: Vec<Expr>,
    /// `f(*)`
    pub is_star: bool,
    /// `f(DISTINCT ...)`
    pub is_distinct: bool,
    /// Whether an argument is given by name, or VARIADIC.
    pub has_named: bool,
    /// `f(... ORDER BY ...)`
    pub order_by: Vec<SortItem>,
    /// `WITHIN GROUP (ORDER BY ...)`
    pub within_group: Vec<SortItem>,
    /// `FILTER (WHERE ...)`
    pub filter: Option<Expr>,
    /// `OVER ...`
    pub over: Option<Over>,
}

/// A window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Over {
    /// Its own name, in the WINDOW clause.
    pub name: Option<String>,
    /// The window of the WINDOW clause that it is or builds on.
    pub base: Option<String>,
    /// PARTITION BY
    pub partition_by: Vec<Expr>,
    /// ORDER BY
    pub order_by: Vec<SortItem>,
    /// Bounds of the frame.
    pub bounds: Vec<Expr>,
}

/// A subquery in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subquery {
    /// How it is used.
    pub kind: SubqueryKind,
    /// The subquery.
    pub query: Query,
}

/// How a subquery is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubqueryKind {
    /// As a value.
    Scalar,
    /// `ARRAY(...)`
    Array,
    /// `EXISTS (...)`
    Exists,
    /// `left op ANY (...)` and `left op ALL (...)`: IN is `= ANY`, NOT IN is `<> ALL`.
    Quantified {
        /// Left operand; a row for several columns.
        left: Expr,
        /// The comparison; `None` for another operator.
        compare: Option<Compare>,
        /// ALL.
        is_all: bool,
    },
}
