//! The plan in words: `EXPLAIN (howdah)`, `howdah explain`, and the refusal where no rung takes a statement.

mod words;

use super::prune::Prune;
use super::tables::Uses;
use super::{Bound, Declined, Planned, Route, Rung, Scatter, Several};
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::rules::Rules;
use crate::sql::query::Kind;
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
/// statement's parameters).
pub fn rows(
    planned: &Planned,
    bound: Option<&Result<Bound<'_>, SqlError>>,
    rules: &Rules,
    format: Format,
) -> Vec<String> {
    let parts = Parts::of(planned, bound, rules);
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
    pruned: Option<String>,
    changes: Vec<String>,
    merge: Option<String>,
    error: Option<&'a SqlError>,
    warning: Option<&'a SqlError>,
    declined: &'a [Declined],
}

impl<'a> Parts<'a> {
    fn of(planned: &'a Planned, bound: Option<&'a Result<Bound<'_>, SqlError>>, rules: &Rules) -> Parts<'a> {
        let name = |shard: ShardId| {
            rules.shard_names().get(shard.index()).cloned().unwrap_or_else(|| shard.to_string())
        };
        let mut parts = Parts {
            plan: "Single",
            shards: None,
            tables: &planned.tables,
            pruned: None,
            changes: Vec::new(),
            merge: None,
            error: None,
            warning: planned.warning.as_deref(),
            declined: &planned.declined,
        };
        match &planned.route {
            Route::Home(shard) => parts.shards = Some(vec![name(*shard)]),
            Route::Sharded(sharded) => {
                parts.pruned = Some(words::prune(&sharded.prune, rules));
                let is_single = matches!(bound, Some(Ok(Bound::Single(_))));
                match &sharded.several {
                    Several::Scatter(scatter) if !is_single => parts.scatter(scatter),
                    Several::Refused(error) if !is_single && bound.is_some() => parts.refused(error),
                    Several::Scatter(_) | Several::Explain(_) | Several::Refused(_) => {}
                }
            }
            Route::Explain(_) => parts.plan = "Explain",
            Route::Refused(error) => parts.refused(error),
        }
        match bound {
            Some(Ok(Bound::Single(shard))) => {
                parts.shards = Some(vec![name(*shard)]);
                parts.declined = &[];
            }
            Some(Ok(Bound::Scatter { shards, .. })) => parts.shards = Some(shards.iter().map(name).collect()),
            Some(Err(error)) => {
                parts.shards = None;
                parts.refused(error);
            }
            Some(Ok(Bound::Explain(_))) | None => {}
        }
        parts
    }

    fn refused(&mut self, error: &'a SqlError) {
        self.plan = "Refused";
        self.changes = Vec::new();
        self.merge = None;
        self.error = Some(error);
    }

    fn scatter(&mut self, scatter: &Scatter) {
        self.plan = "Scatter";
        self.merge = Some(words::merge(&scatter.merge));
        self.changes = words::edits(scatter);
    }

    fn text(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let head = match &self.shards {
            Some(shards) => {
                let noun = if shards.len() == 1 { "shard" } else { "shards" };
                format!("{} on {noun} {}", self.plan, shards.join(", "))
            }
            None if self.plan == "Single" => "Single on the shard of the key".to_owned(),
            None if self.plan == "Scatter" => "Scatter over the shards of the keys".to_owned(),
            None => self.plan.to_owned(),
        };
        lines.push(head);
        if !self.tables.is_empty() {
            lines.push(format!("  Sharded tables: {}", self.tables.join(", ")));
        }
        lines.extend(self.pruned.iter().map(|pruned| format!("  Shards: {pruned}")));
        lines.extend(self.changes.iter().map(|change| format!("  Sent: {change}")));
        lines.extend(self.merge.iter().map(|merge| format!("  Merge: {merge}")));
        if let Some(error) = self.error {
            lines.push(format!("  Reason: {} (SQLSTATE {})", error.message, error.code));
            lines.extend(error.detail.iter().map(|detail| format!("  Detail: {detail}")));
            lines.extend(error.hint.iter().map(|hint| format!("  Hint: {hint}")));
        }
        lines.extend(self.warning.iter().map(|warning| format!("  Warning: {}", warning.message)));
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
        if let Some(pruned) = &self.pruned {
            put("Shards By", json!(pruned));
        }
        if !self.changes.is_empty() {
            put("Sent", json!(self.changes));
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
        if let Some(warning) = self.warning {
            put("Warning", json!(warning.message));
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

/// Why one shard may not be enough.
pub(super) fn several_reason(prune: &Prune, uses: &Uses<'_>) -> String {
    match whole_group(prune) {
        true => {
            let names = sharded_names(uses);
            format!("no condition restricts {} to one sharding key", names.join(" and "))
        }
        false => "its keys may lie on several shards".to_owned(),
    }
}

/// Whether all shards of a group bear on it.
fn whole_group(prune: &Prune) -> bool {
    match prune {
        Prune::Group(_) => true,
        Prune::Or(sets) => sets.iter().any(whole_group),
        _ => false,
    }
}

fn sharded_names(uses: &Uses<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for used in &uses.sharded {
        let name = format!("\"{}\"", used.relation.name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The refusal of a statement that no rung takes.
pub(super) fn refusal(kind: &Kind, uses: &Uses<'_>, declined: &[Declined]) -> SqlError {
    let verb = match kind {
        Kind::Select(_) => "SELECT from",
        Kind::Insert(_) => "INSERT into",
        Kind::Modify(modify) if modify.sets.is_some() => "UPDATE of",
        Kind::Modify(_) => "DELETE from",
        Kind::Call(_) => "CALL with",
    };
    let names = sharded_names(uses);
    let reasons: Vec<&str> = declined.iter().map(|declined| declined.reason.as_str()).collect();
    let detail = reasons.join("; ");
    if names.is_empty() {
        return SqlError::refused(
            "the statement's tables and functions lie on different shards",
            "Put them on one shard in the sharding rules, or ask for them one by one.",
        )
        .with_detail(detail);
    }
    let noun = if names.len() == 1 { "table" } else { "tables" };
    let hint = match kind {
        Kind::Insert(_) => "Insert rows of one shard per statement.".to_owned(),
        _ => {
            let mut keys: Vec<String> = Vec::new();
            for used in &uses.sharded {
                for key in &used.table.keys {
                    let key = format!("{}.{key} = ...", used.relation.name);
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                }
            }
            format!(
                "Add a condition on the sharding key for each sharded table ({}) under AND in WHERE.",
                keys.join(", ")
            )
        }
    };
    SqlError::refused(
        format!("this {verb} sharded {noun} {} over several shards is not supported yet", names.join(", ")),
        hint,
    )
    .with_detail(detail)
}
