//! What a statement says, as far as routing asks: its query levels, the tables in each FROM, the equalities
//! that restrict rows, the clauses and functions used.
//!
//! An allow-list: every node of the tree is named in the walk, and one that is not makes the whole
//! statement not understood. It knows no schema and no rules; names come as Postgres stores them.

mod condition;
mod dml;
mod expression;
mod from;
mod query;

use super::parse::{self, NotParsed, ast};

/// An analysed statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// What it does.
    pub kind: Kind,
    /// Its query levels; a level's parent stands before it.
    pub levels: Vec<Level>,
    /// Functions called anywhere, names in parts.
    pub calls: Vec<Vec<String>>,
    /// Operators used anywhere that are not of the SQL standard's set.
    pub operators: Vec<String>,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SELECT, VALUES, WITH ... SELECT.
    Select,
    /// INSERT.
    Insert(Insert),
    /// UPDATE of the first item of level 0: the columns it sets.
    Update(Vec<String>),
    /// DELETE from the first item of level 0.
    Delete,
}

/// An INSERT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insert {
    /// The table.
    pub table: Vec<String>,
    /// The columns listed; empty where there is no list.
    pub columns: Vec<String>,
    /// Where the rows come from.
    pub source: InsertSource,
    /// The columns that ON CONFLICT DO UPDATE sets.
    pub conflict_sets: Vec<String>,
}

/// Where an INSERT's rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InsertSource {
    /// One row of VALUES.
    Row(Vec<Given>),
    /// More rows of VALUES: how many.
    Rows(usize),
    /// DEFAULT VALUES.
    Defaults,
    /// A query.
    Query,
}

/// What a row of VALUES gives for a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// A constant or parameter.
    Constant(Constant),
    /// DEFAULT.
    Default,
    /// NULL.
    Null,
    /// Something to be computed.
    Expression,
}

/// One SELECT (or the target and FROM of a write), with what restricts its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// The level whose columns it may name.
    pub parent: Option<usize>,
    /// FROM, flattened, in order.
    pub items: Vec<Item>,
    /// Equalities that restrict rows.
    pub conditions: Vec<Condition>,
    /// Columns merged by USING.
    pub merged: Vec<String>,
    /// Whether a NATURAL, RIGHT or FULL join with merged columns makes unqualified names unclear.
    pub is_unclear: bool,
    /// Clauses besides SELECT, FROM and WHERE, in the words of the manual.
    pub clauses: Vec<&'static str>,
    /// What stands in the select list.
    pub outputs: Vec<Output>,
    /// Columns named, in parts.
    pub columns: Vec<Vec<String>>,
    /// Functions called in this level, names in parts.
    pub calls: Vec<Vec<String>>,
    /// What in its expressions is more than a function of one row and its constants.
    pub beyond_row: Vec<&'static str>,
}

/// An entry of FROM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub source: Source,
    /// Its alias.
    pub alias: Option<String>,
    /// Whether the alias renames columns.
    pub renames_columns: bool,
}

/// What an entry of FROM reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A table or view, by its name in parts.
    Table(Vec<String>),
    /// A WITH query.
    Cte,
    /// A subquery.
    Derived,
    /// A function.
    Function,
}

/// An equality that must be true of every row that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// One side.
    pub left: Operand,
    /// The other.
    pub right: Operand,
    /// Which items' rows do not count where it is not true.
    pub applies: Applies,
}

/// Which items of a level a condition restricts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applies {
    /// All: it stands in WHERE.
    All,
    /// Those in this range of the level's items: it stands in a join's ON. An inner join's restricts both
    /// sides, an outer join's only the side that may be filled with NULLs.
    Items(std::ops::Range<usize>),
}

/// A side of an equality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A column, its name in parts.
    Column(Vec<String>),
    /// A column of the items in a range (of USING).
    ColumnOf(String, std::ops::Range<usize>),
    /// A constant or parameter.
    Constant(Constant),
}

/// A constant or parameter that is compared with, or given for, a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// An integer or plain string literal.
    Literal {
        /// Byte offset of its token.
        offset: usize,
        /// Whether an odd number of minus signs stands before it (integers only).
        is_negated: bool,
    },
    /// `$number`.
    Param {
        /// From 1.
        number: usize,
        /// Whether it is cast to an integer type.
        is_cast: bool,
    },
}

/// An entry of the select list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// `*` or `table.*`
    Star,
    /// A call of a function and nothing around it.
    Call {
        /// Name in parts.
        name: Vec<String>,
        /// `f(*)`
        is_star: bool,
        /// Whether it has DISTINCT, ORDER BY, FILTER, OVER, WITHIN GROUP or the like.
        is_modified: bool,
        /// How many arguments, `*` not counted.
        arguments: usize,
    },
    /// Another expression.
    Expression,
}

/// Analyses the statement that starts at byte `from` of the text.
///
/// `None` where it is none of SELECT, VALUES, INSERT, UPDATE, DELETE.
///
/// # Errors
/// [`NotParsed`] where it, or a part of it, is not understood.
pub fn analyse(sql: &[u8], from: usize, scs: bool) -> Result<Option<Analysis>, NotParsed> {
    let statement = parse::parse_from(sql, from, scs)?;
    let mut walk = Walk::default();
    let kind = match &statement {
        ast::Statement::Query(query) => {
            walk.query(query, None)?;
            Kind::Select
        }
        ast::Statement::Insert(insert) => walk.insert(insert)?,
        ast::Statement::Update(update) => walk.update(update)?,
        ast::Statement::Delete(delete) => walk.delete(delete)?,
        _ => return Ok(None),
    };
    Ok(Some(Analysis { kind, levels: walk.levels, calls: walk.calls, operators: walk.operators }))
}

/// The state of a walk over one statement.
#[derive(Debug, Default)]
struct Walk {
    levels: Vec<Level>,
    calls: Vec<Vec<String>>,
    operators: Vec<String>,
    /// Names of WITH queries in scope, innermost last.
    ctes: Vec<String>,
}

type Walked<T = ()> = Result<T, NotParsed>;

fn not_understood<T>(what: &str) -> Walked<T> {
    Err(NotParsed(format!("{what} is not understood yet")))
}

impl Walk {
    fn new_level(&mut self, parent: Option<usize>) -> usize {
        self.levels.push(Level { parent, ..Level::default() });
        self.levels.len() - 1
    }

    /// Changes a level; levels are never removed, so the index holds.
    fn at(&mut self, level: usize, change: impl FnOnce(&mut Level)) {
        if let Some(level) = self.levels.get_mut(level) {
            change(level);
        }
    }

    fn parent_of(&self, level: usize) -> Option<usize> {
        self.levels.get(level).and_then(|level| level.parent)
    }

    fn clause(&mut self, level: usize, clause: &'static str) {
        self.at(level, |level| level.clauses.push(clause));
    }
}

/// A name's parts as Postgres stores them.
fn object_name(name: &ast::ObjectName) -> Walked<Vec<String>> {
    let part = |part: &ast::ObjectNamePart| match part {
        ast::ObjectNamePart::Identifier(ident) => Ok(parse::ident_name(ident)),
        ast::ObjectNamePart::Function(_) => not_understood("a name of this kind"),
    };
    name.0.iter().map(part).collect()
}
