//! Parts of a plan in words.

use crate::datum::key::KeyValue;
use crate::merge::{Combine, LimitSource, MergeKind, MergePlan, OutputColumn, SortKey};
use crate::plan::Scatter;
use crate::plan::prune::{ArraySource, Computed, KeyList, KeySource, Limit, Prune};
use crate::rules::{GroupId, Rules};
use crate::sql::splice::{Edit, Piece};

/// A set of shards.
pub(super) fn prune(prune: &Prune, rules: &Rules) -> String {
    let name = |group: &GroupId| rules.group(*group).map_or("?", |group| group.name.as_str());
    match prune {
        Prune::Group(group) => format!("all of group {}", name(group)),
        Prune::Nothing => "none".to_owned(),
        Prune::Shard(shard) => {
            let shard_name = rules.shard_names().get(shard.index());
            shard_name.cloned().unwrap_or_else(|| shard.to_string())
        }
        Prune::Key { group, columns } => {
            let columns: Vec<String> = columns.iter().map(list).collect();
            format!("of group {} where the key is {}", name(group), columns.join(" and "))
        }
        Prune::Range { group, low, high } => {
            let mut bounds = Vec::new();
            if let Some(Limit { value, is_included }) = low {
                bounds.push(format!("{} {}", if *is_included { "at least" } else { "above" }, source(value)));
            }
            if let Some(Limit { value, is_included }) = high {
                bounds.push(format!("{} {}", if *is_included { "at most" } else { "below" }, source(value)));
            }
            format!("of group {} where the key is {}", name(group), bounds.join(" and "))
        }
        Prune::Place { group, key, .. } => {
            let key: Vec<String> = key.iter().map(source).collect();
            format!("of group {} for the new row's key {}", name(group), key.join(", "))
        }
        Prune::And(sets) => joined(sets, " and ", rules),
        Prune::Or(sets) => joined(sets, " or ", rules),
    }
}

fn joined(sets: &[Prune], word: &str, rules: &Rules) -> String {
    let words: Vec<String> = sets
        .iter()
        .map(|set| match set {
            Prune::And(_) | Prune::Or(_) => format!("({})", prune(set, rules)),
            set => prune(set, rules),
        })
        .collect();
    words.join(word)
}

fn list(list: &KeyList) -> String {
    match list {
        KeyList::Values(values) => {
            let words: Vec<String> = values.iter().map(source).collect();
            words.join(" or ")
        }
        KeyList::Array(ArraySource::Literal(index)) => format!("an element of literal {}", index + 1),
        KeyList::Array(ArraySource::Fixed(text)) => {
            format!("an element of {}", String::from_utf8_lossy(text))
        }
        KeyList::Array(ArraySource::Param { number, .. }) => format!("an element of parameter ${number}"),
    }
}

fn source(source: &KeySource) -> String {
    match source {
        KeySource::Literal { index, is_negated } => {
            format!("{}literal {}", if *is_negated { "minus " } else { "" }, index + 1)
        }
        KeySource::Fixed(KeyValue::Int8(value)) => value.to_string(),
        KeySource::Fixed(KeyValue::Text(value)) => format!("'{}'", String::from_utf8_lossy(value)),
        KeySource::Fixed(_) => "a constant".to_owned(),
        KeySource::Param { number, .. } => format!("parameter ${number}"),
        KeySource::Computed(computed) => format!("what {} come to", operands(computed).join(", ")),
        KeySource::Null => "NULL".to_owned(),
    }
}

fn operands(computed: &Computed) -> Vec<String> {
    match computed {
        Computed::Literal(index) => vec![format!("literal {}", index + 1)],
        Computed::Fixed(value) => vec![value.to_string()],
        Computed::Param(number) => vec![format!("parameter ${number}")],
        Computed::Negated(inner) | Computed::Cast(inner, _) => operands(inner),
        Computed::Binary(_, left, right) => {
            let mut words = operands(left);
            words.extend(operands(right));
            words
        }
    }
}

/// What is changed in the text that shards get.
pub(super) fn edits(scatter: &Scatter) -> Vec<String> {
    let text = |pieces: &[Piece]| {
        let words: Vec<String> = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.trim().to_owned(),
                Piece::Tokens(range) => format!("[tokens {} to {}]", range.start + 1, range.end),
            })
            .collect();
        words.join(" ")
    };
    let words = |edit: &Edit| match edit.to.saturating_sub(edit.from) {
        0 => format!("before token {}: {}", edit.from + 1, text(&edit.pieces)),
        _ => format!("for tokens {} to {}: {}", edit.from + 1, edit.to, text(&edit.pieces)),
    };
    scatter.edits.iter().map(words).collect()
}

/// How answers are put together.
pub(super) fn merge(merge: &MergePlan) -> String {
    let kind = match &merge.kind {
        MergeKind::Concat => "concatenate".to_owned(),
        MergeKind::Ordered(keys) => format!("in order of {}", keys_words(keys)),
        MergeKind::Grouped { keys, by, columns } => {
            let keys = keys_words(keys.get(..*by).unwrap_or(keys));
            format!("one row of {} for each {keys}", columns_words(columns))
        }
        MergeKind::Aggregate(columns) => format!("one row of {}", columns_words(columns)),
    };
    let number = |source: &LimitSource| match source {
        LimitSource::Constant(number) => number.to_string(),
        LimitSource::Literal(index) => format!("literal {}", index + 1),
        LimitSource::Param(number) => format!("parameter ${number}"),
    };
    let limit = merge.limit.iter().map(|limit| format!(", at most {}", number(limit)));
    let offset = merge.offset.iter().map(|offset| format!(", without the first {}", number(offset)));
    std::iter::once(kind).chain(limit).chain(offset).collect()
}

fn keys_words(keys: &[SortKey]) -> String {
    let word = |key: &SortKey| {
        let direction = if key.descending { " descending" } else { "" };
        let nulls = if key.nulls_first == key.descending {
            ""
        } else if key.nulls_first {
            " nulls first"
        } else {
            " nulls last"
        };
        format!("column {}{direction}{nulls}", key.column + 1)
    };
    keys.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn columns_words(columns: &[OutputColumn]) -> String {
    let word = |column: &OutputColumn| match column {
        OutputColumn::Input(_) => "its value",
        OutputColumn::Avg { .. } => "sum of sums by sum of counts",
        OutputColumn::Combine(combine, _) => match combine {
            Combine::Count => "sum of counts",
            Combine::Sum => "sum of sums",
            Combine::Min { .. } => "least",
            Combine::Max { .. } => "greatest",
            Combine::BoolAnd => "all true",
            Combine::BoolOr => "any true",
            Combine::BitAnd => "bits of all",
            Combine::BitOr => "bits of any",
            Combine::BitXor => "bits of an odd number",
        },
    };
    columns.iter().map(word).collect::<Vec<_>>().join(", ")
}
