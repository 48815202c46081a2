//! Binding: a plan and one execution's values give the shards.
//!
//! For one key it costs about a hash of it, and allocates nothing unless it fails.

mod array;
mod computed;
mod key;

use super::limit::limits;
use super::prune::{KeyList, Limit, Prune};
use super::{Bound, KeySource, Planned, Route, Several, Sharded};
use crate::datum::key::{KeyValue, ReadContext};
use crate::error::SqlError;
use crate::ids::{ShardId, ShardSet};
use crate::rules::{Group, GroupId, Placement, Rules};
use crate::sqlstate;
use key::Key;
use smallvec::SmallVec;
use std::ops;

/// A parameter's value as Bind carries it.
#[derive(Clone, Copy, Debug)]
pub struct Param<'a> {
    /// The type that Parse declared; 0 where it declared none.
    pub type_oid: u32,
    /// The format code: 0 text, 1 binary.
    pub format: i16,
    /// `None` is NULL.
    pub value: Option<&'a [u8]>,
}

/// The values of one execution.
pub trait Values {
    /// The raw bytes (quotes included) of a literal that the template lifted, counted from 0; `None` behind
    /// the last.
    fn literal(&self, index: usize) -> Option<&[u8]>;
    /// The parameter `$number`, from 1; `None` behind the last.
    fn param(&self, number: usize) -> Option<Param<'_>>;
    /// The settings that decide what a text is.
    fn read_context(&self) -> ReadContext {
        ReadContext::default()
    }
}

/// Most keys that a statement's lists are multiplied out to; with more, all shards are asked.
const KEYS_MAX: usize = 10_000;

/// Finds the shards that one execution of `planned` goes to.
///
/// # Errors
/// The plan's own refusal; `23514` for a row to be placed whose key is NULL or has no place; `0A000` for a
/// row whose key cannot be read; `2201W` and `2201X` for a negative LIMIT and OFFSET.
#[inline]
pub fn bind<'p, V: Values>(planned: &'p Planned, rules: &Rules, values: &V) -> Result<Bound<'p>, SqlError> {
    match &planned.route {
        Route::Home(shard) => Ok(Bound::Single(*shard)),
        Route::Sharded(sharded) => match one_key(&sharded.prune, rules, values) {
            Some(shard) => Ok(Bound::Single(shard)),
            None => several(sharded, rules, values),
        },
        Route::Explain(explain) => Ok(Bound::Explain(explain)),
        Route::Refused(error) => Err(SqlError::clone(error)),
    }
}

/// The shard of the one key that most statements give; `None` where there is more to it.
#[inline]
fn one_key<V: Values>(prune: &Prune, rules: &Rules, values: &V) -> Option<ShardId> {
    let Prune::Key { group, columns } = prune else { return None };
    let [KeyList::Values(sources)] = &columns[..] else { return None };
    let [source] = &sources[..] else { return None };
    let group = rules.group(*group)?;
    let [key_type] = group.key_types[..] else { return None };
    match key::read(source, key_type, values) {
        Key::Value(value) => group.placement.shard(&[value]),
        Key::Null | Key::Nothing | Key::Invalid | Key::Unclear(_) => None,
    }
}

fn several<'p, V: Values>(sharded: &'p Sharded, rules: &Rules, values: &V) -> Result<Bound<'p>, SqlError> {
    let mut sets = Sets { rules, values, unread: None };
    let shards = sets.of(&sharded.prune)?;
    if shards.is_empty() {
        return Ok(Bound::Single(sharded.describes));
    }
    if let Some(shard) = shards.only() {
        return Ok(Bound::Single(shard));
    }
    let scatter = match &sharded.several {
        Several::Scatter(scatter) => scatter,
        Several::Explain(explain) => return Ok(Bound::Explain(explain)),
        // A key that was there and could not be read is the better reason.
        Several::Refused(error) => return Err(sets.unread.unwrap_or_else(|| SqlError::clone(error))),
    };
    time_independent(values)?;
    for number in &scatter.declared {
        if values.param(*number).is_none_or(|param| matches!(param.type_oid, 0 | crate::datum::oid::UNKNOWN))
        {
            return Err(undeclared(*number));
        }
    }
    let limits = limits(&scatter.merge, values)?;
    Ok(Bound::Scatter { scatter, shards, limits })
}

/// Evaluates sets of shards.
struct Sets<'a, V> {
    rules: &'a Rules,
    values: &'a V,
    /// What is to be said of a key that was not read.
    unread: Option<SqlError>,
}

impl<'a, V: Values> Sets<'a, V> {
    fn group(&self, id: GroupId) -> Result<&'a Group, SqlError> {
        self.rules.group(id).ok_or_else(|| {
            SqlError::new(sqlstate::INTERNAL_ERROR, "the plan's colocation group does not exist")
        })
    }

    fn of(&mut self, prune: &Prune) -> Result<ShardSet, SqlError> {
        match prune {
            Prune::Group(id) => Ok(self.group(*id)?.placement.all()),
            Prune::Nothing => Ok(ShardSet::empty()),
            Prune::Shard(shard) => Ok(ShardSet::one(*shard)),
            Prune::Key { group, columns } => {
                let group = self.group(*group)?;
                Ok(self.keys(group, columns).unwrap_or_else(|| group.placement.all()))
            }
            Prune::Range { group, low, high } => {
                let group = self.group(*group)?;
                Ok(self.range(group, low.as_ref(), high.as_ref()))
            }
            Prune::Place { group, key, typmods } => {
                let group = self.group(*group)?;
                self.place(group, key, typmods)
            }
            Prune::And(sets) => {
                let mut all: Option<ShardSet> = None;
                for set in sets {
                    let set = self.of(set)?;
                    all = Some(all.map_or_else(|| set.clone(), |all| all.intersect(&set)));
                }
                Ok(all.unwrap_or_default())
            }
            Prune::Or(sets) => {
                let mut any = ShardSet::empty();
                for set in sets {
                    any = any.union(&self.of(set)?);
                }
                Ok(any)
            }
        }
    }

    /// The shards of all combinations of the columns' values; `None` where they are not known.
    fn keys(&mut self, group: &'a Group, columns: &[KeyList]) -> Option<ShardSet> {
        let mut lists: SmallVec<[Vec<KeyValue<'_>>; 2]> = SmallVec::new();
        for (column, key_type) in columns.iter().zip(&group.key_types) {
            let read = match column {
                KeyList::Values(sources) => {
                    let keys = sources.iter().map(|source| key::read(source, *key_type, self.values));
                    keys.collect::<Vec<_>>()
                }
                KeyList::Array(source) => array::read(source, *key_type, self.values)?,
            };
            let mut list = Vec::with_capacity(read.len());
            for key in read {
                match key {
                    Key::Value(value) => list.push(value),
                    // The server says what is wrong with it.
                    Key::Null | Key::Nothing | Key::Invalid => {}
                    Key::Unclear(param) => {
                        self.unread.get_or_insert_with(|| key::unread(param, *key_type));
                        return None;
                    }
                }
            }
            lists.push(list);
        }
        let count = lists.iter().try_fold(1_usize, |count, list| count.checked_mul(list.len()))?;
        if count > KEYS_MAX {
            return None;
        }
        let is_whole = lists.len() == group.key_types.len();
        let mut set = ShardSet::empty();
        each_combination(&lists, &mut Vec::new(), &mut |key| {
            if is_whole {
                group.placement.shard(key).into_iter().for_each(|shard| set.insert(shard));
            } else if let [first] = key {
                let bound = ops::Bound::Included(first);
                set = set.union(&group.placement.between(bound, bound));
            }
        });
        Some(set)
    }

    fn range(&mut self, group: &'a Group, low: Option<&Limit>, high: Option<&Limit>) -> ShardSet {
        let Some(key_type) = group.key_types.first() else { return group.placement.all() };
        let mut read = |limit: Option<&'_ Limit>| match limit {
            None => Some(ops::Bound::Unbounded),
            Some(limit) => match key::read(&limit.value, *key_type, self.values) {
                Key::Value(value) if limit.is_included => Some(ops::Bound::Included(value.into_owned())),
                Key::Value(value) => Some(ops::Bound::Excluded(value.into_owned())),
                // A bound beyond the type's range is one on its edge.
                Key::Nothing => Some(ops::Bound::Unbounded),
                Key::Null | Key::Invalid => None,
                Key::Unclear(param) => {
                    self.unread.get_or_insert_with(|| key::unread(param, *key_type));
                    Some(ops::Bound::Unbounded)
                }
            },
        };
        match (read(low), read(high)) {
            (Some(low), Some(high)) => group.placement.between(low.as_ref(), high.as_ref()),
            _ => ShardSet::empty(),
        }
    }

    fn place(&self, group: &Group, sources: &[KeySource], typmods: &[i32]) -> Result<ShardSet, SqlError> {
        let mut values = Vec::with_capacity(sources.len());
        for (at, (source, key_type)) in sources.iter().zip(&group.key_types).enumerate() {
            match key::read(source, *key_type, self.values) {
                Key::Value(value) if value.is_stored_as_is(typmods.get(at).copied().unwrap_or(-1)) => {
                    values.push(value);
                }
                Key::Value(_) => return Err(key::changed()),
                Key::Null => return Err(null_key()),
                // The server says what is wrong with it.
                Key::Nothing | Key::Invalid => return Ok(ShardSet::empty()),
                Key::Unclear(param) => return Err(key::unread(param, *key_type)),
            }
        }
        group.placement.shard(&values).map(ShardSet::one).ok_or_else(|| no_place(&group.placement))
    }
}

fn each_combination<'v>(
    lists: &[Vec<KeyValue<'v>>],
    chosen: &mut Vec<KeyValue<'v>>,
    each: &mut dyn FnMut(&[KeyValue<'v>]),
) {
    match lists.split_first() {
        None => each(chosen),
        Some((first, rest)) => {
            for value in first {
                chosen.push(value.clone());
                each_combination(rest, chosen, each);
                chosen.pop();
            }
        }
    }
}

/// The value of arithmetic over numbers that the plan has.
pub(super) fn constant(computed: &super::Computed) -> Option<i64> {
    struct Nothing;
    impl Values for Nothing {
        fn literal(&self, _: usize) -> Option<&[u8]> {
            None
        }
        fn param(&self, _: usize) -> Option<Param<'_>> {
            None
        }
    }
    match computed::value(computed, &Nothing) {
        computed::Outcome::Integer(value, _) => Some(value),
        computed::Outcome::Null | computed::Outcome::Invalid | computed::Outcome::Unclear(_) => None,
    }
}

/// Longest text that Postgres reads as a date or time.
const DATETIME_BYTES_MAX: usize = 256;

/// Shards must not each read the clock: `'now'`, `'today'` and their kin do when they become a date.
fn time_independent<V: Values>(values: &V) -> Result<(), SqlError> {
    let mut index = 0;
    while let Some(text) = values.literal(index) {
        if names_a_moment(text) {
            return Err(moment());
        }
        index += 1;
    }
    let mut number = 1;
    while let Some(param) = values.param(number) {
        if param.value.is_some_and(names_a_moment) {
            return Err(moment());
        }
        number += 1;
    }
    Ok(())
}

/// Whether a text has a word by which a time is meant that the clock decides.
pub(in crate::plan) fn names_a_moment(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 4] = [b"now", b"today", b"tomorrow", b"yesterday"];
    text.len() <= DATETIME_BYTES_MAX
        && text
            .split(|byte| !byte.is_ascii_alphabetic())
            .any(|run| WORDS.iter().any(|word| run.eq_ignore_ascii_case(word)))
}

#[cold]
fn moment() -> SqlError {
    SqlError::refused(
        "a text with the word now, today, tomorrow or yesterday may be a time, which several shards would read differently",
        "Give the time itself.",
    )
}

#[cold]
fn undeclared(number: usize) -> SqlError {
    SqlError::refused(
        format!(
            "the type of parameter ${number}, which is sorted or grouped by over several shards, is not declared"
        ),
        format!("Declare its type, or cast it where it stands: ${number}::type."),
    )
}

#[cold]
pub(super) fn missing_value() -> SqlError {
    SqlError::protocol("bind message supplies too few parameters")
}

#[cold]
fn null_key() -> SqlError {
    SqlError::new(sqlstate::CHECK_VIOLATION, "null value in the sharding key of a new row")
        .with_hint("Give the row a key: it decides the shard that the row lies on.")
}

#[cold]
fn no_place(placement: &Placement) -> SqlError {
    SqlError::new(
        sqlstate::CHECK_VIOLATION,
        format!("the sharding key of a new row has no {} in the sharding rules", placement.name()),
    )
    .with_hint("Give the row a key that the rules place, or add an entry to the rules.")
}
