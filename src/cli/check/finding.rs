//! What a check found, and how it is shown.

use crate::diagnostic::{Diagnostic, Level};
use serde::Serialize;
use std::fmt::Write;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Works, with a drawback.
    Warning,
    /// Does not work.
    Error,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub status: Status,
    /// What was looked at: a file's place, or `cluster/shard`.
    pub subject: String,
    /// What was found, and what is allowed.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Finding { status: Status::Ok, subject: subject.into(), message: message.into(), hint: None }
    }

    /// Works, with a drawback.
    pub fn warning(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Finding { status: Status::Warning, ..Finding::ok(subject, message) }
    }

    /// Does not work.
    pub fn error(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Finding { status: Status::Error, ..Finding::ok(subject, message) }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A finding about a file.
    pub(super) fn of_file(found: &Diagnostic) -> Self {
        let subject = match &found.place {
            Some(place) => format!("{}:{}:{}", found.file, place.line, place.column),
            None => found.file.clone(),
        };
        let allowed =
            found.allowed.as_ref().map(|allowed| format!("; allowed: {allowed}")).unwrap_or_default();
        let status = match found.level {
            Level::Error => Status::Error,
            Level::Warning => Status::Warning,
        };
        Finding { status, subject, message: format!("{}{allowed}", found.message), hint: found.hint.clone() }
    }
}

/// One line for each finding, and a last one with their numbers.
pub(super) fn lines(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0).min(40);
    let mut text = String::new();
    for finding in findings {
        let word = match finding.status {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Error => "error",
        };
        let hint = finding.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let _infallible = writeln!(text, "{word:<8}{:<width$}  {}{hint}", finding.subject, finding.message);
    }
    let count = |status| findings.iter().filter(|finding| finding.status == status).count();
    let (errors, warnings) = (count(Status::Error), count(Status::Warning));
    let _infallible = writeln!(text, "{errors} errors, {warnings} warnings");
    text
}

/// The findings as a JSON list, with a line end.
pub(super) fn json(findings: &[Finding]) -> String {
    let mut text = serde_json::to_string_pretty(findings).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::{Finding, json, lines};

    #[test]
    fn findings_are_one_line_each_with_a_summary() {
        let found = [
            Finding::ok("shop/s0", "reachable"),
            Finding::error("shop/s1", "version 14, needs 15").hint("upgrade"),
        ];
        assert_eq!(
            lines(&found),
            "ok      shop/s0  reachable\nerror   shop/s1  version 14, needs 15 (upgrade)\n1 errors, 0 warnings\n"
        );
        let json: serde_json::Value = serde_json::from_str(&json(&found)).unwrap();
        assert_eq!(json[1]["status"], "error");
        assert_eq!(json[0].get("hint"), None);
    }
}
