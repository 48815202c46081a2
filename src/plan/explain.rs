//! The plan in words: `EXPLAIN (howdah)`, `howdah explain`, and the refusal where no rung takes a statement.

use super::pins::ShardedItem;
use super::{Bound, Declined, KeyPurpose, KeyRoute, KeySource, Planned, Route, Rung};
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::merge::{Combine, MergeKind, MergePlan, OutputColumn, SortKey};
use crate::sql::analysis::Kind;
use serde_json::{Value, json};

/// How a plan is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// The rows of the one text column `QUERY PLAN`.
///
/// `bound` is what [`super::bind()`] said of the values at hand; `None` where there are none (a prepared
/// statement's parameters). `shard_names` are in shard order.
pub fn rows(
    planned: &Planned,
    bound: Option<&Result<Bound<'_>, SqlError>>,
    shard_names: &[String],
    format: Format,
) -> Vec<String> {
    let parts = Parts::of(planned, bound, shard_names);
    match format {
        Format::Text => parts.text(),
        Format::Json => {
            let text = serde_json::to_string_pretty(&Value::Array(vec![parts.json()])).unwrap_or_default();
            vec![text]
        }
    }
}

/// What both renderings say.
struct Parts<'a> {
    plan: &'static str,
    shards: Option<Vec<String>>,
    tables: &'a [String],
    key: Option<String>,
    merge: Option<String>,
    error: Option<&'a SqlError>,
    declined: &'a [Declined],
}

impl<'a> Parts<'a> {
    fn of(
        planned: &'a Planned,
        bound: Option<&'a Result<Bound<'_>, SqlError>>,
        shard_names: &[String],
    ) -> Parts<'a> {
        let name =
            |shard: ShardId| shard_names.get(shard.index()).cloned().unwrap_or_else(|| shard.to_string());
        let mut parts = Parts {
            plan: "Single",
            shards: None,
            tables: &planned.tables,
            key: None,
            merge: None,
            error: None,
            declined: &planned.declined,
        };
        match &planned.route {
            Route::Home(shard) => parts.shards = Some(vec![name(*shard)]),
            Route::Key(route) => parts.key = Some(key_words(route)),
            Route::Scatter(scatter) => {
                parts.plan = "Scatter";
                parts.shards = Some(shard_names.to_vec());
                parts.merge = Some(merge_words(&scatter.merge));
            }
            Route::Explain(_) => parts.plan = "Explain",
            Route::Refused(error) => {
                parts.plan = "Refused";
                parts.error = Some(error);
            }
        }
        match bound {
            Some(Ok(Bound::Single(shard))) => parts.shards = Some(vec![name(*shard)]),
            Some(Err(error)) => {
                parts.plan = "Refused";
                parts.shards = None;
                parts.error = Some(error);
            }
            Some(Ok(Bound::Scatter { shards, .. })) => {
                parts.shards = Some(shards.iter().map(name).collect());
            }
            Some(Ok(Bound::Explain(_))) | None => {}
        }
        parts
    }

    fn text(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let head = match &self.shards {
            Some(shards) => {
                let noun = if shards.len() == 1 { "shard" } else { "shards" };
                format!("{} on {noun} {}", self.plan, shards.join(", "))
            }
            None if self.plan == "Single" => "Single on the shard of the key".to_owned(),
            None => self.plan.to_owned(),
        };
        lines.push(head);
        if !self.tables.is_empty() {
            lines.push(format!("  Sharded tables: {}", self.tables.join(", ")));
        }
        lines.extend(self.key.iter().map(|key| format!("  Key: {key}")));
        lines.extend(self.merge.iter().map(|merge| format!("  Merge: {merge}")));
        if let Some(error) = self.error {
            lines.push(format!("  Reason: {} (SQLSTATE {})", error.message, error.code));
            lines.extend(error.hint.iter().map(|hint| format!("  Hint: {hint}")));
        }
        for declined in self.declined {
            lines.push(format!("  Not {}: {}", rung_words(declined.rung).to_lowercase(), declined.reason));
        }
        lines
    }

    fn json(&self) -> Value {
        let mut plan = serde_json::Map::new();
        let mut put = |key: &str, value: Value| {
            plan.insert(key.to_owned(), value);
        };
        put("Plan", json!(self.plan));
        if let Some(shards) = &self.shards {
            put("Shards", json!(shards));
        }
        if !self.tables.is_empty() {
            put("Sharded Tables", json!(self.tables));
        }
        if let Some(key) = &self.key {
            put("Key", json!(key));
        }
        if let Some(merge) = &self.merge {
            put("Merge", json!(merge));
        }
        if let Some(error) = self.error {
            put("Reason", json!(error.message));
            put("SQLSTATE", json!(error.code.as_str()));
            if let Some(hint) = &error.hint {
                put("Hint", json!(hint));
            }
        }
        let declined: Vec<Value> = self
            .declined
            .iter()
            .map(|declined| json!({ "Rung": rung_words(declined.rung), "Reason": declined.reason }))
            .collect();
        put("Declined", Value::Array(declined));
        Value::Object(plan)
    }
}

fn rung_words(rung: Rung) -> &'static str {
    match rung {
        Rung::Single => "Single",
        Rung::Scatter => "Scatter",
    }
}

fn key_words(route: &KeyRoute) -> String {
    let words = |source: &KeySource| match source {
        KeySource::Literal { index, .. } => format!("literal {}", index + 1),
        KeySource::Fixed(value) => value.to_string(),
        KeySource::Param { number, .. } => format!("parameter ${number}"),
    };
    let sources: Vec<String> = route.keys.iter().map(words).collect();
    let purpose = match route.purpose {
        KeyPurpose::Find => "equals",
        KeyPurpose::Place => "of the new row is",
    };
    format!("{purpose} {}", sources.join(" and "))
}

fn merge_words(merge: &MergePlan) -> String {
    match &merge.kind {
        MergeKind::Concat => "concatenate".to_owned(),
        MergeKind::Ordered(keys) => format!("in order of {}", keys_words(keys)),
        MergeKind::Grouped { keys, by, columns } => {
            let keys = keys_words(keys.get(..*by).unwrap_or(keys));
            format!("one row of {} for each {keys}", columns_words(columns))
        }
        MergeKind::Aggregate(columns) => format!("one row of {}", columns_words(columns)),
    }
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

/// The refusal of a statement that no rung takes.
pub(super) fn refusal(kind: &Kind, items: &[ShardedItem<'_>], declined: &[Declined]) -> SqlError {
    let verb = match kind {
        Kind::Select => "SELECT from",
        Kind::Insert(_) => "INSERT into",
        Kind::Update(_) => "UPDATE of",
        Kind::Delete => "DELETE from",
    };
    let mut names: Vec<String> = Vec::new();
    for item in items {
        let name = format!("\"{}\"", item.table.table);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let noun = if names.len() == 1 { "table" } else { "tables" };
    let reasons: Vec<&str> = declined.iter().map(|declined| declined.reason.as_str()).collect();
    let keys: Vec<String> =
        items.iter().map(|item| format!("{}.{} = ...", item.table.table, item.table.key())).collect();
    let hint = match kind {
        Kind::Insert(_) => {
            "Give the sharding key as a constant or parameter, one row per statement.".to_owned()
        }
        _ => {
            let mut keys = keys;
            keys.dedup();
            format!(
                "Add a condition on the sharding key for each sharded table ({}) under AND in WHERE.",
                keys.join(", ")
            )
        }
    };
    SqlError::refused(format!("this {verb} sharded {noun} {} is not supported yet", names.join(", ")), hint)
        .with_detail(reasons.join("; "))
}
