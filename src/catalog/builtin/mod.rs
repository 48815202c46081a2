//! What Postgres itself comes with: the functions, operators and types of `pg_catalog`, as far as planning
//! asks. The tables are of PostgreSQL 15, written by `builtin.sql`; what a later version adds is not known,
//! and so declined.
//!
//! Source: PostgreSQL 15, `pg_proc`, `pg_operator` and `pg_type`; `tests/builtin.rs` holds the tables against a
//! live server.

use super::{FunctionKind, Volatility};

const FUNCTIONS: &str = include_str!("functions.txt");
const OPERATORS: &str = include_str!("operators.txt");
const TYPES: &str = include_str!("types.txt");

/// A function of `pg_catalog`: one of perhaps several of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltinFunction {
    /// What it is.
    pub kind: FunctionKind,
    /// As declared.
    pub volatility: Volatility,
    /// Whether it gives a set of rows.
    pub returns_set: bool,
    /// Types of its arguments.
    pub arguments: Vec<u32>,
    /// Whether the last argument may be given any number of times.
    pub is_variadic: bool,
    /// Type of its result.
    pub result: u32,
    /// Names of its output columns, where it has several or names the one.
    pub outputs: Vec<&'static str>,
}

/// An operator of `pg_catalog`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltinOperator {
    /// Type of the left operand; 0 for a prefix operator.
    pub left: u32,
    /// Type of the right operand.
    pub right: u32,
    /// Type of the result.
    pub result: u32,
}

/// The functions of this name.
pub fn functions(name: &str) -> Vec<BuiltinFunction> {
    lines(FUNCTIONS, name).filter_map(function).collect()
}

/// The operators of this name.
pub fn operators(name: &str) -> impl Iterator<Item = BuiltinOperator> {
    lines(OPERATORS, name).filter_map(|rest| {
        let mut fields = rest.split('\t').map(str::parse);
        let mut next = || fields.next()?.ok();
        Some(BuiltinOperator { left: next()?, right: next()?, result: next()? })
    })
}

/// The type of this name: its OID and its array type's.
pub fn type_named(name: &str) -> Option<(u32, u32)> {
    let rest = lines(TYPES, name).next()?;
    let (oid, array) = rest.split_once('\t')?;
    Some((oid.parse().ok()?, array.parse().ok()?))
}

/// What stands behind a name and its tab in a table, which is sorted by the bytes of names.
fn lines<'a>(table: &'static str, name: &'a str) -> impl Iterator<Item = &'static str> + 'a {
    let rest = table.get(lower_bound(table, name)..).unwrap_or_default();
    rest.lines().map_while(move |line| line.strip_prefix(name)?.strip_prefix('\t'))
}

/// Where the first line starts whose name is not less than `name`.
fn lower_bound(table: &str, name: &str) -> usize {
    let bytes = table.as_bytes();
    let (mut low, mut high) = (0, bytes.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let before = bytes.get(low..middle).unwrap_or_default();
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(low, |at| low + at + 1);
        let line = bytes.get(start..).unwrap_or_default();
        let end = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
        let of_line =
            line.get(..end).unwrap_or_default().split(|byte| *byte == b'\t').next().unwrap_or_default();
        if of_line < name.as_bytes() {
            low = (start + end + 1).min(bytes.len());
        } else {
            high = start;
        }
    }
    low
}

fn function(rest: &'static str) -> Option<BuiltinFunction> {
    let mut fields = rest.split('\t');
    let kind = match fields.next()? {
        "a" => FunctionKind::Aggregate,
        "w" => FunctionKind::Window,
        _ => FunctionKind::Plain,
    };
    let volatility = match fields.next()? {
        "i" => Volatility::Immutable,
        "s" => Volatility::Stable,
        _ => Volatility::Volatile,
    };
    let returns_set = fields.next()? == "1";
    let arguments = fields.next()?;
    let arguments = arguments.split(',').filter(|oid| !oid.is_empty()).map(str::parse).collect();
    let is_variadic = fields.next()? == "1";
    let result = fields.next()?.parse().ok()?;
    let outputs = fields.next()?.split(',').filter(|name| !name.is_empty()).collect();
    Some(BuiltinFunction {
        kind,
        volatility,
        returns_set,
        arguments: Result::ok(arguments)?,
        is_variadic,
        result,
        outputs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_with_all_its_lines() {
        let count = |table: &'static str, find: &dyn Fn(&str) -> usize| {
            let mut names: Vec<&str> = table.lines().filter_map(|line| line.split('\t').next()).collect();
            let lines = names.len();
            assert!(names.is_sorted());
            names.dedup();
            assert_eq!(names.iter().map(|name| find(name)).sum::<usize>(), lines);
        };
        count(FUNCTIONS, &|name| functions(name).len());
        count(OPERATORS, &|name| operators(name).count());
        count(TYPES, &|name| usize::from(type_named(name).is_some()));
        for name in ["", "ab", "lowe", "lower_", "zzz", "\t", "\n"] {
            assert_eq!(functions(name), [], "{name:?}");
        }
        let lower = functions("lower");
        assert_eq!((lower.len(), &lower[0].arguments[..], lower[0].result), (3, &[25][..], 25));
        assert_eq!(functions("json_each")[0].outputs, ["key", "value"]);
        assert_eq!(type_named("int8"), Some((20, 1016)));
    }
}
