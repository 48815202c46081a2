//! Names of tables, columns, schemas, functions: as in SQL, quoted where needed.

use super::{Check, Subject};
use crate::diagnostic::{At, SourceText};
use std::ops::Range;

/// The schema of names without one.
const DEFAULT_SCHEMA: &str = "public";
/// Postgres cuts longer names off, so they name nothing.
const NAME_BYTES_MAX: usize = 63;

impl Check<'_> {
    /// A table that has no rule yet.
    pub(super) fn table(&mut self, source: &SourceText, table: &At<String>) -> Option<(String, String)> {
        let name = self.qualified(source, table, "table")?;
        if let Some(place) = self.taken.get(&Subject::Schema(name.0.clone())) {
            let error = source.error(table.span(), format!("all tables of schema `{}` have a rule", name.0));
            self.diagnostics.push(error.hint(format!("it is at {place}")));
            return None;
        }
        let subject = Subject::Table(name.0.clone(), name.1.clone());
        self.take(source, table.span(), subject, &format!("`{}.{}`", name.0, name.1)).then_some(name)
    }

    /// `schema.name`, or `name` of schema public.
    pub(super) fn qualified(
        &mut self,
        source: &SourceText,
        name: &At<String>,
        what: &str,
    ) -> Option<(String, String)> {
        let parts = match parts(name.get()).as_deref() {
            Some([table]) => (DEFAULT_SCHEMA.to_owned(), table.clone()),
            Some([schema, table]) => (schema.clone(), table.clone()),
            _ => {
                let allowed = format!(
                    "`schema.{what}` or `{what}` (in schema {DEFAULT_SCHEMA}), quoted as in SQL where needed"
                );
                let found = format!("`{}` is not a {what}'s name", name.get());
                self.error(source, name.span(), found, &allowed);
                return None;
            }
        };
        let is_known = self.is_ruled_schema(source, name.span(), &parts.0);
        (is_known && self.has_length(source, name.span(), &parts.1)).then_some(parts)
    }

    /// One name: a column, a schema, a trigger.
    pub(super) fn unqualified(
        &mut self,
        source: &SourceText,
        (name, span): (&str, Range<usize>),
        what: &str,
    ) -> Option<String> {
        let Some([name]) = parts(name).and_then(|parts| <[String; 1]>::try_from(parts).ok()) else {
            let allowed = format!("one {what}, quoted as in SQL where needed");
            self.error(source, span, format!("`{name}` is not a {what}'s name"), &allowed);
            return None;
        };
        self.has_length(source, span, &name).then_some(name)
    }

    /// Whether a schema may have rules: those of Postgres and of Howdah may not.
    pub(super) fn is_ruled_schema(&mut self, source: &SourceText, span: Range<usize>, schema: &str) -> bool {
        let is_own = schema == "information_schema" || schema == "howdah" || schema.starts_with("pg_");
        if is_own {
            let found = format!("schema `{schema}` can have no rules");
            self.error(source, span.clone(), found, "schemas of users");
        }
        !is_own && self.has_length(source, span, schema)
    }

    fn has_length(&mut self, source: &SourceText, span: Range<usize>, name: &str) -> bool {
        let fits = name.len() <= NAME_BYTES_MAX;
        if !fits {
            let found = format!("the name `{name}` is {} bytes long", name.len());
            self.error(source, span, found, &format!("at most {NAME_BYTES_MAX} bytes, as in Postgres"));
        }
        fits
    }
}

/// The parts of a possibly quoted, dotted name, as Postgres stores them; `None` where it is none.
fn parts(name: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = name;
    loop {
        let part;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut value = String::new();
            let mut chars = quoted.char_indices().peekable();
            let end = loop {
                match chars.next()? {
                    (_, '"') if chars.next_if(|(_, c)| *c == '"').is_some() => value.push('"'),
                    (at, '"') => break at + 1,
                    (_, c) => value.push(c),
                }
            };
            (part, rest) = (value, quoted.get(end..)?);
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let word = rest.get(..end)?;
            let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
            if !word.chars().all(is_word) || word.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
                return None;
            }
            (part, rest) = (word.to_ascii_lowercase(), rest.get(end..)?);
        }
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        match rest.strip_prefix('.') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn names_are_read_as_in_sql() {
        for (name, expected) in [
            ("Orders", Some(vec!["orders"])),
            ("app.orders", Some(vec!["app", "orders"])),
            (r#""My App"."a.""b""#, Some(vec!["My App", "a.\"b"])),
            ("", None),
            ("a.", None),
            ("a b", None),
            ("1a", None),
            (r#""open"#, None),
        ] {
            let expected = expected.map(|parts| parts.into_iter().map(str::to_owned).collect());
            assert_eq!(parts(name), expected, "{name}");
        }
    }
}
