//! Statements decided by their words: EXPLAIN, commands that reach all tables at once, and what neither
//! is analysed nor touches more than one kind of table.

use super::explain::Format;
use super::mention::Mentions;
use super::planner::{Subject, single_allowed};
use super::schema::Meaning;
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::sql::lexer::{Token, TokenKind};
use crate::sqlstate;

/// `EXPLAIN (howdah [, format text|json]) statement`: where the statement inside starts, and the format.
/// `None` where the statement is something else.
pub(super) fn howdah_explain(subject: &Subject<'_>) -> Option<Result<(usize, Format), SqlError>> {
    let sql = subject.sql;
    let tokens = &subject.mentions.tokens;
    let [explain, open, rest @ ..] = &tokens[..] else { return None };
    if !explain.is_word(sql, b"explain") || open.kind != TokenKind::ParenOpen {
        return None;
    }
    let close = rest.iter().position(|token| token.kind == TokenKind::ParenClose)?;
    let (options, inner) = (rest.get(..close)?, rest.get(close + 1..)?);
    let options: Vec<&[Token]> = options.split(|token| token.kind == TokenKind::Comma).collect();
    let is_on = |option: &&[Token]| match option {
        [name] => name.is_word(sql, b"howdah"),
        [name, value] => {
            name.is_word(sql, b"howdah")
                && [&b"on"[..], b"true", b"1"].iter().any(|on| value.text(sql).eq_ignore_ascii_case(on))
        }
        _ => false,
    };
    if !options.iter().any(is_on) {
        return None;
    }
    let mut format = Format::Text;
    for option in options.iter().filter(|option| !is_on(option)) {
        let (name, value) = match option {
            [name, value] => (*name, value.text(sql).to_ascii_lowercase()),
            [name] => (*name, Vec::new()),
            _ => return Some(Err(unknown_option())),
        };
        match (name.is_word(sql, b"format"), &value[..]) {
            (true, b"text") => format = Format::Text,
            (true, b"json") => format = Format::Json,
            _ => return Some(Err(unknown_option())),
        }
    }
    match inner.first() {
        Some(token) => Some(Ok((token.start, format))),
        None => Some(Err(SqlError::new(sqlstate::SYNTAX_ERROR, "EXPLAIN (howdah) needs a statement"))),
    }
}

fn unknown_option() -> SqlError {
    SqlError::new(sqlstate::SYNTAX_ERROR, "unknown option beside howdah in EXPLAIN")
        .with_hint("Allowed are (howdah), (howdah, format text) and (howdah, format json).")
}

/// Where the statement that an ordinary EXPLAIN explains starts.
pub(super) fn explained(mentions: &Mentions) -> Option<usize> {
    if mentions.word(0) != "explain" {
        return None;
    }
    let mut tokens = mentions.tokens.iter().skip(1).peekable();
    if tokens.peek().is_some_and(|token| token.kind == TokenKind::ParenOpen) {
        tokens.find(|token| token.kind == TokenKind::ParenClose);
        return tokens.next().map(|token| token.start);
    }
    let flags = mentions
        .leading
        .iter()
        .skip(1)
        .take_while(|w| matches!(w.as_str(), "analyze" | "analyse" | "verbose"));
    let flags = flags.count();
    tokens.nth(flags).map(|token| token.start)
}

/// Whether the statement may change what the catalog holds.
pub(super) fn changes_catalog(mentions: &Mentions) -> bool {
    let is_temporary = ["temp", "temporary"].iter().any(|word| mentions.leading.iter().any(|w| w == word));
    let is_elsewhere = matches!(
        mentions.word(1),
        "role" | "user" | "group" | "database" | "tablespace" | "publication" | "subscription" | "system"
    );
    match mentions.word(0) {
        "create" => !is_temporary && !is_elsewhere,
        "alter" | "drop" => !is_elsewhere,
        "import" | "reassign" | "call" | "do" => true,
        // SELECT ... INTO makes a table.
        "select" | "with" => mentions.has("into") && !mentions.has("insert") && !mentions.has("merge"),
        _ => false,
    }
}

/// Why a cluster with sharded tables refuses the statement, whatever it names.
pub(super) fn refusal(subject: &Subject<'_>) -> Option<SqlError> {
    let mentions = &subject.mentions;
    let (first, second) = (mentions.word(0), mentions.word(1));
    let whole = match (first, second) {
        ("do", _) => Some("DO"),
        ("call", _) => Some("CALL"),
        ("drop", "owned") => Some("DROP OWNED"),
        ("reassign", "owned") => Some("REASSIGN OWNED"),
        _ => None,
    };
    if let Some(command) = whole {
        return Some(SqlError::refused(
            format!(
                "{command} in a cluster with sharded tables is not supported yet: what it touches does not show"
            ),
            "Send the statements inside one by one, or run it on each shard.",
        ));
    }
    if reaches_all_tables(subject) {
        return Some(SqlError::refused(
            format!(
                "{} of all tables in a cluster with sharded tables is not supported yet",
                first.to_uppercase()
            ),
            "Name the tables, or run it on each shard.",
        ));
    }
    if mentions.has_unread_name {
        return Some(SqlError::refused(
            "an identifier written as U&\"...\", or not in UTF-8, is not supported in a cluster with sharded tables",
            "Write the name itself.",
        ));
    }
    if let Some(name) = &mentions.runs_text {
        return Some(SqlError::refused(
            format!(
                "{name}() in a cluster with sharded tables is not supported: it runs SQL that does not show"
            ),
            "Run the SQL as a statement of its own.",
        ));
    }
    let function = match (&mentions.function, &mentions.operator) {
        (Some(name), _) if !defines_function(mentions) => format!("user function {name}()"),
        (_, Some(name)) => format!("operator {name}, which calls a user function,"),
        _ => return None,
    };
    Some(SqlError::refused(
        format!("{function} may reach a sharded table, so calling it is not supported yet"),
        "Where the cluster has sharded tables, functions of users run only if they are IMMUTABLE; declaring them in the rules comes later.",
    ))
}

/// Whether the statement is about functions, not calling them.
fn defines_function(mentions: &Mentions) -> bool {
    let is_about = |word: &String| {
        matches!(word.as_str(), "function" | "procedure" | "aggregate" | "routine" | "trigger")
    };
    match mentions.word(0) {
        "comment" | "grant" | "revoke" => true,
        "create" | "alter" | "drop" => mentions.leading.iter().skip(1).any(is_about),
        _ => false,
    }
}

fn reaches_all_tables(subject: &Subject<'_>) -> bool {
    let mentions = &subject.mentions;
    match mentions.word(0) {
        "vacuum" | "analyze" | "analyse" | "cluster" => {
            // Without a table there is nothing but options, in parentheses or as words.
            let is_option = |name: &String| {
                matches!(
                    name.as_str(),
                    "vacuum" | "analyze" | "analyse" | "cluster" | "full" | "freeze" | "verbose"
                )
            };
            let behind = mentions.tokens.iter().rposition(|token| token.kind == TokenKind::ParenClose);
            let has_options = mentions.tokens.get(1).is_some_and(|token| token.kind == TokenKind::ParenOpen);
            match behind {
                Some(at) if has_options => {
                    mentions.tokens.iter().skip(at + 1).all(|token| token.kind == TokenKind::Semicolon)
                }
                _ => mentions.names.iter().all(is_option),
            }
        }
        "reindex" => ["database", "schema", "system"].iter().any(|word| mentions.has(word)),
        "grant" | "revoke" => mentions.has_run(&["all", "tables", "in", "schema"]),
        "create" if mentions.word(1) == "publication" => {
            mentions.has_run(&["all", "tables"]) || mentions.has_run(&["tables", "in", "schema"])
        }
        "alter" if mentions.has_run(&["all", "in", "tablespace"]) => true,
        "drop" | "alter" if mentions.word(1) == "schema" => {
            mentions.names.iter().any(|name| subject.schema().schema_reaches_sharded(name))
        }
        _ => false,
    }
}

/// The shard of a statement that was not analysed, `reason` saying why if it should have been.
pub(super) fn route(subject: &Subject<'_>, reason: Option<&str>) -> Result<ShardId, SqlError> {
    let schema = subject.schema();
    let mentions = &subject.mentions;
    const WRITES: [&str; 6] = ["insert", "update", "delete", "merge", "truncate", "copy"];
    let is_write = WRITES.iter().any(|word| mentions.has(word));
    let mut shard: Option<(ShardId, &str)> = None;
    for name in &mentions.notable {
        for meaning in schema.meanings(name) {
            match meaning {
                Meaning::Blocked(reason) => return Err(super::planner::blocked(reason)),
                Meaning::Sharded(_) => return Err(refuse(mentions, name, "is sharded", reason)),
                Meaning::Reaches(how) => return Err(refuse(mentions, name, &format!("is {how}"), reason)),
                Meaning::Single(single) => {
                    single_allowed(single, is_write)?;
                    match shard {
                        Some((other, first)) if other != single.shard => {
                            return Err(SqlError::refused(
                                format!("\"{first}\" and \"{name}\" may lie on different shards"),
                                "Put them on one shard in the sharding rules, or name them one by one.",
                            ));
                        }
                        _ => shard = Some((single.shard, name)),
                    }
                }
            }
        }
    }
    let Some((shard, first)) = shard else { return Ok(subject.home()) };
    if shard == subject.home() {
        return Ok(shard);
    }
    let is_plain = |name: &&String| !schema.is_notable(name) && schema.is_relation(name);
    match mentions.relations.iter().find(is_plain) {
        None => Ok(shard),
        Some(other) => Err(SqlError::refused(
            format!("\"{first}\" and \"{other}\" may lie on different shards"),
            "Put them on one shard in the sharding rules, or name them one by one.",
        )),
    }
}

fn refuse(mentions: &Mentions, name: &str, what: &str, reason: Option<&str>) -> SqlError {
    let command = mentions.word(0).to_uppercase();
    let is_query =
        ["select", "insert", "update", "delete", "with", "values", "explain"].contains(&mentions.word(0));
    match reason {
        Some(reason) if is_query || command.is_empty() => SqlError::refused(
            format!("the statement mentions \"{name}\", which {what}, and {reason}"),
            "Write it in a simpler way; only what is fully understood runs on sharded tables.",
        ),
        _ => SqlError::refused(
            format!("{command} that mentions \"{name}\", which {what}, is not supported yet"),
            "Run it on each shard, on connections to the shards themselves.",
        ),
    }
}
