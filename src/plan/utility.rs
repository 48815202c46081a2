//! Statements decided by their words: EXPLAIN, commands that reach all tables at once, and what neither
//! is analysed nor touches more than one kind of table.

use super::explain::Format;
use super::mention::{Mentions, Notable};
use super::planner::Subject;
use super::schema::Meaning;
use super::tables::allowed;
use super::{Explain, Planned, Route, Several, Sharded, every_shard, physical};
use crate::catalog::SearchPath;
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::rules::FunctionTouches;
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

/// Whether the statement, if it defines something, defines nothing that runs when others are used.
pub(super) fn is_plain_definition(mentions: &Mentions) -> bool {
    const OBJECTS: [&str; 7] = ["index", "schema", "sequence", "table", "type", "unique", "view"];
    !matches!(mentions.word(0), "create" | "alter" | "drop") || OBJECTS.contains(&mentions.word(1))
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
        ("call", _)
            if mentions.function.is_some() || (mentions.declared.is_empty() && !mentions.calls_pure) =>
        {
            Some("CALL")
        }
        ("drop", "owned") => Some("DROP OWNED"),
        ("reassign", "owned") => Some("REASSIGN OWNED"),
        ("drop", "sequence") if mentions.has("cascade") => Some("DROP SEQUENCE ... CASCADE"),
        _ => None,
    };
    if let Some(command) = whole {
        return Some(SqlError::refused(
            format!(
                "{command} in a cluster with sharded tables is not supported yet: what it touches does not show"
            ),
            "Send the statements inside one by one, declare the procedure in the sharding rules, or run it on each shard.",
        ));
    }
    if let Some(error) = every_shard::refusal(mentions, subject.schema()) {
        return Some(error);
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
    // A new table's columns look like arguments.
    if mentions.is_temporary_call && (first != "create" || mentions.has("select")) {
        return Some(SqlError::refused(
            "calling a temporary function is not supported in a cluster with sharded tables: what it touches does not show",
            "Send the statements inside one by one.",
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
    if let Some(error) = physical::refusal(subject) {
        return Some(error);
    }
    user_function(subject).map(|what| {
        SqlError::refused(
            format!("{what} may reach a sharded table, so calling it is not supported yet"),
            "Where the cluster has sharded tables, functions of users run only if they are IMMUTABLE or the sharding rules declare them.",
        )
    })
}

/// The user function that the statement may call, neither IMMUTABLE nor trusted, in words.
fn user_function(subject: &Subject<'_>) -> Option<String> {
    let mentions = &subject.mentions;
    let catalog = subject.schema().catalog();
    if let Some(name) = mentions.function.as_ref().filter(|_| !defines_function(mentions)) {
        return Some(format!("user function {name}()"));
    }
    if let Some(name) = &mentions.operator {
        return Some(format!("operator {name}, which calls a user function,"));
    }
    let is_drop = mentions.word(0) == "drop";
    if let Some((name, function)) =
        mentions.typed.as_ref().filter(|_| !is_drop && !defines_function(mentions))
    {
        return Some(format!("user function {function}(), which is called for type {name},"));
    }
    let undeclared = |function: &&str| !subject.schema().is_declared_pure(function);
    if let Some(function) = catalog.anything_calls().find(undeclared).filter(|_| !is_drop) {
        return Some(format!("user function {function}(), which casts or compares Postgres's own types,"));
    }
    let mut triggers = catalog.event_triggers().iter();
    let trigger = triggers.find(|trigger| undeclared(&trigger.function.as_str()));
    let trigger = trigger.filter(|_| fires_event_triggers(mentions))?;
    let (name, function) = (&trigger.name, &trigger.function);
    Some(format!("user function {function}() of event trigger \"{name}\""))
}

/// Source: PostgreSQL manual, "Event Trigger Firing Matrix".
fn fires_event_triggers(mentions: &Mentions) -> bool {
    let is_other =
        matches!(mentions.word(0), "grant" | "revoke" | "comment" | "security" | "refresh" | "reindex");
    // Nor do event triggers fire for themselves: one that is in the way can be dropped.
    is_other || (changes_catalog(mentions) && mentions.word(1) != "event")
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
            mentions.names.iter().any(|name| subject.schema().schema_is_spread(name))
        }
        _ => false,
    }
}

/// The shard of a statement that is not read, `reason` saying why if it should have been.
pub(super) fn route(subject: &Subject<'_>, reason: Option<&str>) -> Result<ShardId, SqlError> {
    let schema = subject.schema();
    let mentions = &subject.mentions;
    const WRITES: [&str; 6] = ["insert", "update", "delete", "merge", "truncate", "copy"];
    const READS: [&str; 6] = ["select", "with", "values", "table", "explain", "declare"];
    let is_write = WRITES.iter().any(|word| mentions.has(word));
    let is_read = !is_write && READS.contains(&mentions.word(0));
    let is_cascade = mentions.word(0) == "drop" && mentions.has("cascade");
    // It conflicts with definitions of the table only, which are refused: pg_dump takes it on all tables.
    let is_share = mentions.word(0) == "lock" && mentions.has_run(&["access", "share", "mode"]);
    let mut found = OneShard::default();
    for notable in &mentions.notable {
        let name = &notable.name;
        for meaning in meanings(subject, notable) {
            match meaning {
                Meaning::Blocked(error) => return Err(SqlError::clone(error)),
                Meaning::Sharded(_) | Meaning::Reaches(_) | Meaning::Reference if is_share => {}
                Meaning::Sharded(_) => return Err(refuse(mentions, name, "is sharded", reason)),
                Meaning::Reaches(how) => return Err(refuse(mentions, name, &format!("is {how}"), reason)),
                // Every shard has it.
                Meaning::Reference if is_read => {}
                Meaning::Reference => {
                    return Err(refuse(mentions, name, "is a reference table", reason));
                }
                Meaning::Single(single) => {
                    allowed(&single.hazards, is_write)?;
                    if let Some(reason) = single.hazards.refuse_cascade.as_ref().filter(|_| is_cascade) {
                        return Err(SqlError::refused(
                            format!("DROP ... CASCADE is not supported yet: {reason}"),
                            "Drop what depends on it on each shard first, on connections to the shards themselves.",
                        ));
                    }
                    found.add(single.shard, name)?;
                }
            }
        }
    }
    for name in &mentions.schemas {
        found.add(schema.shard_of_schema(name), name)?;
    }
    for name in &mentions.declared {
        match schema.function_rule(std::slice::from_ref(name)).map(|rule| &rule.touches) {
            Some(FunctionTouches::Home) => found.add(subject.home(), name)?,
            _ => {
                return Err(SqlError::refused(
                    format!(
                        "{name}(), which touches the rows of a key, is called in a statement that is not understood"
                    ),
                    "Call it in a plain SELECT, with the key as a constant or parameter.",
                ));
            }
        }
    }
    let Some((shard, first)) = found.found else { return shard_of_new(subject) };
    if shard == subject.home() {
        return Ok(shard);
    }
    let is_plain = |name: &&String| !schema.is_notable(name) && schema.is_relation(name);
    match mentions.relations.iter().find(is_plain) {
        None => Ok(shard),
        Some(other) => Err(apart(&first, other)),
    }
}

/// The shard of a statement that names no table that the rules place: that of the schema that it makes something
/// in.
pub(super) fn shard_of_new(subject: &Subject<'_>) -> Result<ShardId, SqlError> {
    let schema = subject.schema();
    let mut found = OneShard::default();
    for name in &subject.mentions.schemas {
        found.add(schema.shard_of_schema(name), name)?;
    }
    if let Some((shard, _)) = found.found {
        return Ok(shard);
    }
    let path = subject.context.search_path.schemas().iter();
    // The catalog is the home shard's.
    let is_schema =
        |name: &&String| schema.catalog().has_schema(name) || schema.rules().schema(name).is_some();
    let first = path.clone().find(is_schema);
    match first {
        Some(name) if subject.mentions.word(0) == "create" => Ok(schema.shard_of_schema(name)),
        _ => Ok(subject.home()),
    }
}

/// The one shard of all that is named.
#[derive(Default)]
struct OneShard {
    found: Option<(ShardId, String)>,
}

impl OneShard {
    fn add(&mut self, shard: ShardId, name: &str) -> Result<(), SqlError> {
        match &self.found {
            Some((other, first)) if *other != shard => Err(apart(first, name)),
            Some(_) => Ok(()),
            None => {
                self.found = Some((shard, name.to_owned()));
                Ok(())
            }
        }
    }
}

fn apart(first: &str, second: &str) -> SqlError {
    SqlError::refused(
        format!("\"{first}\" and \"{second}\" may lie on different shards"),
        "Put them on one shard in the sharding rules, or name them one by one.",
    )
}

/// An ordinary EXPLAIN of a statement that several shards may bear on: where they do, the proxy shows its own
/// plan.
pub(super) fn plain_explain(subject: &Subject<'_>, planned: Planned) -> Planned {
    let Route::Sharded(sharded) = &planned.route else { return planned };
    let sql = subject.sql;
    let explain = subject.mentions.tokens.first().map_or(0, |token| token.start);
    let inner = explained(&subject.mentions).unwrap_or(explain);
    let options = subject.mentions.tokens.iter().take_while(|token| token.start < inner);
    let options: Vec<&Token> = options.collect();
    let is_any =
        |words: &[&[u8]]| options.iter().any(|token| words.iter().any(|word| token.is_word(sql, word)));
    let refusal = |what: &str| {
        Several::Refused(Box::new(SqlError::refused(
            format!("{what} of a statement that runs on several shards is not supported yet"),
            "EXPLAIN (howdah) shows Howdah's plan; on a shard, EXPLAIN shows Postgres's.",
        )))
    };
    let several = match &sharded.several {
        Several::Refused(error) => Several::Refused(error.clone()),
        _ if is_any(&[b"analyze", b"analyse"]) => refusal("EXPLAIN ANALYZE"),
        _ if is_any(&[b"json", b"xml", b"yaml"]) => refusal("EXPLAIN in this format"),
        _ => Several::Explain(Box::new(Explain { inner: planned.clone(), format: Format::Text })),
    };
    let sharded = Sharded { several, prune: sharded.prune.clone(), describes: sharded.describes };
    Planned { route: Route::Sharded(Box::new(sharded)), ..planned }
}

/// Whether the search path may hide built-in operators and types.
pub(super) fn hides_builtins(path: &SearchPath) -> bool {
    path.schemas().iter().skip(1).any(|schema| schema == "pg_catalog")
}

/// What the name may mean in a statement that is not read.
fn meanings<'a>(subject: &Subject<'a>, notable: &Notable) -> Vec<&'a Meaning> {
    let (schema, mentions) = (subject.schema(), &subject.mentions);
    // A temporary table hides others of its name under every search path.
    let may_be_temporary = ["temp", "temporary", "rename"].iter().any(|word| mentions.has(word));
    match &notable.schema {
        _ if may_be_temporary => schema.meanings(&notable.name).collect(),
        Some(of) if of.starts_with("pg_temp") => schema.meanings(&notable.name).collect(),
        Some(of) => {
            let name = [of.clone(), notable.name.clone()];
            schema.resolve(subject.context.search_path, &name).into_iter().collect()
        }
        None => {
            let name = std::slice::from_ref(&notable.name);
            schema.resolve(subject.context.search_path, name).into_iter().collect()
        }
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
