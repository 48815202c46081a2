//! Sizes, statistics and files: what each shard has of its own for a table of one name.
//!
//! Asked for a sharded table by its name, the home shard would give its part for the whole: refused. Asked
//! through the catalog (`pg_relation_size(c.oid)`, the `pg_stat_*` views), a WARNING says whose they are.
//!
//! Protects from: a shard's size or statistics taken for the table's.

use super::mention::Mentions;
use super::planner::Subject;
use super::schema::Meaning;
use crate::error::SqlError;
use crate::sql::lexer::{Token, TokenKind};
use crate::sql::literal::decode_string;
use crate::sql::parse;
use crate::sqlstate;

/// Functions that read a relation's files or statistics, or act on them.
const FUNCTIONS: [&str; 12] = [
    "currtid2",
    "gin_clean_pending_list",
    "pg_database_size",
    "pg_indexes_size",
    "pg_relation_filenode",
    "pg_relation_filepath",
    "pg_relation_size",
    "pg_sequence_last_value",
    "pg_stat_have_stats",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
];

/// The same by how their names start.
const FUNCTION_PREFIXES: [&str; 4] = ["brin_", "pg_stat_get_", "pg_stat_reset", "pg_clear_"];

/// Views and tables of statistics, by how their names start.
const VIEW_PREFIXES: [&str; 2] = ["pg_stat", "pg_locks"];

/// Columns of `pg_class` that estimate.
const COLUMNS: [&str; 3] = ["relallvisible", "relpages", "reltuples"];

/// Whether a function reads or acts on what the shards have each for themselves.
pub(super) fn is_physical(name: &str) -> bool {
    FUNCTIONS.contains(&name) || FUNCTION_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Why such a function is refused where a text among its arguments names what is sharded.
pub(super) fn refusal(subject: &Subject<'_>) -> Option<SqlError> {
    subject.mentions.physical.as_ref()?;
    let mut calls: Vec<Option<String>> = Vec::new();
    let mut before: Option<&Token> = None;
    for token in &subject.mentions.tokens {
        match token.kind {
            TokenKind::ParenOpen => {
                let name = before.and_then(|before| parse::name(subject.sql, before));
                let around = calls.last().cloned().flatten();
                calls.push(name.filter(|name| is_physical(name)).or(around));
            }
            TokenKind::ParenClose => drop(calls.pop()),
            kind if kind.is_string() => {
                if let Some(function) = calls.last().and_then(Option::as_ref)
                    && let Some(name) = sharded(subject, token)
                {
                    return Some(SqlError::refused(
                        format!(
                            "{function}() of sharded \"{name}\" is not supported yet: each shard has a part of it"
                        ),
                        "Ask each shard, on connections to the shards themselves.",
                    ));
                }
            }
            _ => {}
        }
        before = Some(token);
    }
    None
}

/// The relation that a text names, if it is sharded in any schema.
fn sharded(subject: &Subject<'_>, token: &Token) -> Option<String> {
    let name = named(&decode_string(token.text(subject.sql), token.kind))?;
    let is_single = |meaning: &Meaning| matches!(meaning, Meaning::Single(_));
    let is_sharded = !subject.schema().meanings(&name).all(is_single);
    is_sharded.then_some(name)
}

/// The last part of a text that is a relation's name, as regclass reads it.
fn named(text: &[u8]) -> Option<String> {
    let mut chars = std::str::from_utf8(text).ok()?.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let mut part = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next()? {
                    '"' if chars.next_if_eq(&'"').is_none() => break,
                    c => part.push(c),
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| *c != '.' && !c.is_whitespace()) {
                part.push(c.to_ascii_lowercase());
            }
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        match chars.next() {
            Some('.') => {}
            Some(_) => return None,
            None => return Some(part),
        }
    }
}

/// What the client is told beside the home shard's answer.
pub(super) fn warning(mentions: &Mentions) -> Option<SqlError> {
    let is_view = |name: &String| VIEW_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let shows = mentions.physical.is_some()
        || mentions.relations.iter().any(is_view)
        || mentions.names.iter().any(|name| COLUMNS.contains(&name.as_str()));
    shows.then(|| {
        SqlError::new(sqlstate::WARNING, "sizes and statistics are those of the home shard alone")
            .with_hint("Ask the other shards on connections to the shards themselves.")
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn texts_are_read_as_regclass_reads_them() {
        for (text, name) in [
            ("users", "users"),
            ("Public.Users", "users"),
            ("public.\"Users\"", "Users"),
            ("\"a.b\".\"c\"\"d\"", "c\"d"),
            ("\"s\".users", "users"),
            (" users ", "users"),
            ("", ""),
            ("\"", ""),
        ] {
            assert_eq!(super::named(text.as_bytes()).unwrap_or_default(), name, "{text}");
        }
    }
}
