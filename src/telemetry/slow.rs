//! The log line of a slow statement.

use std::time::Duration;

/// Longest template that is logged, in bytes.
const TEMPLATE_BYTES_MAX: usize = 1000;

/// A statement that took long. Holds the template, never the statement: literals stay out of logs.
#[derive(Clone, Copy, Debug)]
pub struct SlowStatement<'a> {
    /// The database that the client is connected to.
    pub database: &'a str,
    /// The client's user.
    pub user: &'a str,
    /// The statement's text with `$1`, `$2`, ... in place of every literal, comments left out.
    pub template: &'a str,
    /// Shards that took part.
    pub shards: usize,
    /// From the statement's arrival to the last byte of its answer.
    pub duration: Duration,
}

impl SlowStatement<'_> {
    /// Writes the line if the statement took at least `threshold`; `None` writes none.
    pub fn log(&self, threshold: Option<Duration>) {
        if threshold.is_some_and(|threshold| self.duration >= threshold) {
            tracing::warn!(
                target: "howdah::slow",
                database = self.database,
                user = self.user,
                shards = self.shards,
                duration_ms = u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
                template = cut(self.template),
                "slow statement"
            );
        }
    }
}

fn cut(template: &str) -> &str {
    let mut end = template.len().min(TEMPLATE_BYTES_MAX);
    while !template.is_char_boundary(end) {
        end -= 1;
    }
    template.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn long_templates_are_cut_between_characters() {
        assert_eq!(cut("select $1"), "select $1");
        let long = "é".repeat(800);
        assert_eq!(cut(&long).len(), 1000);
        assert_eq!(cut(&format!("a{long}")).len(), 999);
    }
}
