//! How the answers of several shards are put together, as a value: what the planner says and the machine
//! does. It names columns and parameters by their place, and holds nothing of one execution.

use crate::error::SqlError;
use crate::sqlstate;

/// Format codes.
const TEXT: i16 = 0;
const BINARY: i16 = 1;

/// How the answers of one statement on several shards become one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergePlan {
    /// How rows are put together.
    pub kind: MergeKind,
    /// How many leading columns of the shards' rows the client sees; the rest are helpers (sort keys).
    /// `None`: all. Only for [`MergeKind::Concat`] and [`MergeKind::Ordered`]: the other kinds list what is
    /// shown.
    pub shown: Option<usize>,
    /// At most so many rows of the merged answer.
    pub limit: Option<LimitSource>,
    /// So many rows of the merged answer are left out first. Shards must not leave out any: they are sent
    /// LIMIT + OFFSET as their LIMIT, and no OFFSET.
    pub offset: Option<LimitSource>,
}

impl MergePlan {
    /// All columns and rows of what `kind` gives.
    pub fn new(kind: MergeKind) -> MergePlan {
        MergePlan { kind, shown: None, limit: None, offset: None }
    }

    /// Whether the shards' columns are others than the client's.
    pub fn has_helpers(&self) -> bool {
        match &self.kind {
            MergeKind::Concat | MergeKind::Ordered(_) => self.shown.is_some(),
            MergeKind::Grouped { columns, .. } | MergeKind::Aggregate(columns) => {
                columns.iter().enumerate().any(|(at, column)| !matches!(*column, OutputColumn::Input(from) | OutputColumn::Combine(_, from) if from == at))
                    || self.inputs() != columns.len()
            }
        }
    }

    /// How many columns the shards give, as far as the plan looks at them.
    fn inputs(&self) -> usize {
        let of_keys = |keys: &[SortKey]| keys.iter().map(|key| key.column + 1).max().unwrap_or(0);
        let of_outputs = |columns: &[OutputColumn]| {
            let inputs = columns.iter().map(|column| match *column {
                OutputColumn::Input(from) | OutputColumn::Combine(_, from) => from + 1,
                OutputColumn::Avg { sum, count } => sum.max(count) + 1,
            });
            inputs.max().unwrap_or(0)
        };
        match &self.kind {
            MergeKind::Concat => self.shown.unwrap_or(0),
            MergeKind::Ordered(keys) => of_keys(keys).max(self.shown.unwrap_or(0)),
            MergeKind::Grouped { keys, columns, .. } => of_keys(keys).max(of_outputs(columns)),
            MergeKind::Aggregate(columns) => of_outputs(columns),
        }
    }

    /// The format codes to ask the shards for, given those of the client's Bind message: what the client
    /// sees comes as it wants it, helpers come in binary, which is exact whatever the session's settings.
    ///
    /// # Errors
    /// `08P01` where the client gives another number of codes than it sees columns.
    pub fn shard_formats(&self, client: &[i16]) -> Result<Vec<i16>, SqlError> {
        if !self.has_helpers() {
            return Ok(client.to_vec());
        }
        let outputs: &[OutputColumn] = match &self.kind {
            MergeKind::Concat | MergeKind::Ordered(_) => &[],
            MergeKind::Grouped { columns, .. } | MergeKind::Aggregate(columns) => columns,
        };
        let shown = self.shown.unwrap_or(outputs.len());
        if client.len() > 1 && client.len() != shown {
            return Err(SqlError::new(
                sqlstate::PROTOCOL_VIOLATION,
                format!("bind message has {} result formats but query has {shown} columns", client.len()),
            ));
        }
        let mut formats = vec![BINARY; self.inputs()];
        let of_client = |at: usize| match client {
            [] => TEXT,
            [one] => *one,
            many => many.get(at).copied().unwrap_or(TEXT),
        };
        let same = outputs.iter().enumerate().filter_map(|(at, output)| match *output {
            OutputColumn::Input(from) | OutputColumn::Combine(_, from) => Some((at, from)),
            OutputColumn::Avg { .. } => None,
        });
        let leading = (0..if outputs.is_empty() { shown } else { 0 }).map(|at| (at, at));
        for (at, from) in same.chain(leading) {
            if let Some(format) = formats.get_mut(from) {
                *format = of_client(at);
            }
        }
        Ok(formats)
    }
}

/// How rows are put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeKind {
    /// All rows, in any order.
    Concat,
    /// Every shard's rows come sorted by these keys, and so do the merged ones.
    Ordered(Vec<SortKey>),
    /// Every shard's rows come sorted by the keys; rows that are equal in the first `by` of them become
    /// one: GROUP BY and DISTINCT with `by` all of them, DISTINCT ON with fewer.
    Grouped {
        /// The sort keys, never empty.
        keys: Vec<SortKey>,
        /// How many leading keys make a group.
        by: usize,
        /// The columns of the merged row.
        columns: Vec<OutputColumn>,
    },
    /// Each shard gives one row, which become one.
    Aggregate(Vec<OutputColumn>),
}

/// A sort key: a column of the shards' rows, and how it is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The column, from 0.
    pub column: usize,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS FIRST`; mind that it is the default of `DESC`.
    pub nulls_first: bool,
    /// Whether a text is sorted by its bytes (collation C or POSIX, `ucs_basic`). Means nothing for types
    /// without collation.
    pub text_is_c: bool,
}

/// A column of a merged row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputColumn {
    /// The column of the group's first row: a group key.
    Input(usize),
    /// The values of this column, combined.
    Combine(Combine, usize),
    /// `avg`, of a column with `sum(x)` and one with `count(x)`. It is named as the former (the planner
    /// gives that the name that the client would have seen) and has the type that Postgres gives.
    Avg {
        /// The column with `sum(x)`.
        sum: usize,
        /// The column with `count(x)`.
        count: usize,
    },
}

/// How one column's values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// `count`: the sum of bigints, never NULL.
    Count,
    /// `sum`.
    Sum,
    /// `min`.
    Min {
        /// As in [`SortKey::text_is_c`].
        text_is_c: bool,
    },
    /// `max`.
    Max {
        /// As in [`SortKey::text_is_c`].
        text_is_c: bool,
    },
    /// `bool_and` and `every`.
    BoolAnd,
    /// `bool_or`.
    BoolOr,
    /// `bit_and`.
    BitAnd,
    /// `bit_or`.
    BitOr,
    /// `bit_xor`.
    BitXor,
}

/// Where the number of a LIMIT or OFFSET is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitSource {
    /// The plan has it.
    Constant(u64),
    /// A literal that the template lifted: its place among them, from 0.
    Literal(usize),
    /// The parameter `$number`, from 1. NULL is none.
    Param(usize),
}

/// The numbers of one execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `None`: all rows.
    pub limit: Option<u64>,
    /// How many rows are left out first.
    pub offset: u64,
}
