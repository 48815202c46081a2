//! What admin clients may say: text to commands. Pure.

use crate::error::SqlError;
use crate::sql::lexer::{Lexer, Token, TokenKind};
use crate::sql::literal::decode_string;
use crate::sql::names::decode_identifier;
use crate::sqlstate;

/// What SHOW shows as a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each name is the word behind SHOW")]
pub enum Topic {
    Clients,
    Config,
    Databases,
    Lists,
    Pools,
    Servers,
    Shards,
    Drift,
    Store,
    State,
    Stats,
    StatsAverages,
    StatsTotals,
    Users,
    Version,
}

/// Words behind SHOW.
const TOPICS: [(&str, Topic); 15] = [
    ("clients", Topic::Clients),
    ("config", Topic::Config),
    ("databases", Topic::Databases),
    ("drift", Topic::Drift),
    ("lists", Topic::Lists),
    ("pools", Topic::Pools),
    ("servers", Topic::Servers),
    ("shards", Topic::Shards),
    ("state", Topic::State),
    ("stats", Topic::Stats),
    ("stats_averages", Topic::StatsAverages),
    ("stats_totals", Topic::StatsTotals),
    ("store", Topic::Store),
    ("users", Topic::Users),
    ("version", Topic::Version),
];

/// The commands, for SHOW HELP and for whoever mistypes one.
pub const COMMANDS: &str = "SHOW CLIENTS|CONFIG|DATABASES|HELP|LISTS|POOLS|SERVERS|SHARDS|STATE|STATS|STATS_AVERAGES|STATS_TOTALS|\
     USERS|VERSION, \
     RELOAD, PAUSE [db], RESUME [db], RECONNECT [db], KILL [db | client id], SHUTDOWN";

/// What drivers ask of any server, with the one value that is answered: name, result's name, value.
const CONSTANTS: [(&[u8], &str, &str); 7] = [
    (b"version()", "version", VERSION),
    (b"pg_catalog.version()", "version", VERSION),
    (b"current_schema()", "current_schema", "public"),
    (b"pg_catalog.current_schema()", "current_schema", "public"),
    (b"current_database()", "current_database", "howdah"),
    (b"pg_catalog.current_database()", "current_database", "howdah"),
    // asyncpg, when a connection goes back to its pool.
    (b"pg_advisory_unlock_all()", "pg_advisory_unlock_all", ""),
];

/// What SHOW VERSION says.
pub const VERSION: &str = concat!("Howdah ", env!("CARGO_PKG_VERSION"));

/// Settings that drivers ask for, with the values told at login.
const SETTINGS: [(&str, &str); 9] = [
    ("client_encoding", "UTF8"),
    ("datestyle", "ISO, MDY"),
    ("integer_datetimes", "on"),
    ("max_identifier_length", "63"),
    ("server_encoding", "UTF8"),
    ("server_version", concat!("15.0 (Howdah ", env!("CARGO_PKG_VERSION"), ")")),
    ("standard_conforming_strings", "on"),
    ("timezone", "UTC"),
    ("transaction_isolation", "read committed"),
];

/// Whom KILL ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Victim {
    /// One client, by its number in SHOW CLIENTS.
    Client(i32),
    /// All clients and server connections of a database.
    Database(String),
    /// All clients and server connections but those of the admin database.
    All,
}

/// A value that a SELECT or a SHOW of a setting gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constant {
    /// `SELECT 1`
    Integer(u32),
    /// A text under this column name.
    Text(&'static str, &'static str),
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A table.
    Show(Topic),
    /// The list of commands, as a notice.
    Help,
    /// One value; the tag is `SELECT 1` or `SHOW`.
    Constant(Constant, &'static str),
    /// Reads the configuration again.
    Reload,
    /// Waits until server connections are free, and keeps them so.
    Pause(Option<String>),
    /// Undoes [`Command::Pause`].
    Resume(Option<String>),
    /// Replaces server connections as they become free.
    Reconnect(Option<String>),
    /// Ends clients.
    Kill(Victim),
    /// Ends the process as SIGTERM does.
    Shutdown,
    /// Opens a transaction block, which does nothing else.
    Begin,
    /// Ends it.
    Commit,
    /// Ends it.
    Rollback,
    /// What drivers send to any server, accepted without effect under this tag.
    Accepted(&'static str),
}

/// Reads all commands of a query string; an empty one gives none.
///
/// # Errors
/// `42601`, and `0A000` for parameters; nothing of a string that has an error is to be carried out.
pub fn parse(sql: &[u8]) -> Result<Vec<Command>, SqlError> {
    let mut lexer = Lexer::new(sql, true);
    let mut commands = Vec::new();
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next_significant();
        match token {
            Some(token) if token.kind == TokenKind::Param => {
                return Err(SqlError::refused(
                    "admin commands take no parameters",
                    "Write the value into the command.",
                ));
            }
            Some(token) if token.kind != TokenKind::Semicolon => tokens.push(token),
            _ => {
                if !tokens.is_empty() {
                    commands.push(one(&Words { sql, tokens: &tokens })?);
                    tokens.clear();
                }
                if token.is_none() {
                    return Ok(commands);
                }
            }
        }
    }
}

/// The tokens of one command.
struct Words<'a> {
    sql: &'a [u8],
    tokens: &'a [Token],
}

impl Words<'_> {
    /// The unquoted word at a place, lowered.
    fn word(&self, at: usize) -> Option<String> {
        let token = self.tokens.get(at).filter(|token| token.kind == TokenKind::Word)?;
        Some(String::from_utf8_lossy(token.text(self.sql)).to_ascii_lowercase())
    }

    /// The whole command's text without blanks and comments.
    fn compact_from(&self, at: usize) -> Vec<u8> {
        let rest = self.tokens.get(at..).unwrap_or_default();
        rest.iter().flat_map(|token| token.text(self.sql)).map(u8::to_ascii_lowercase).collect()
    }

    /// The rest as an optional name of a database: a word, a quoted identifier or a string.
    fn database(&self, command: &str) -> Result<Option<String>, SqlError> {
        let token = match self.tokens {
            [_] => return Ok(None),
            [_, token] => token,
            _ => return Err(bad_name(command)),
        };
        let text = token.text(self.sql);
        let name = match token.kind {
            TokenKind::Word | TokenKind::QuotedIdent => decode_identifier(text, token.kind),
            kind if kind.is_string() => decode_string(text, kind).into_owned(),
            _ => return Err(bad_name(command)),
        };
        Ok(Some(String::from_utf8_lossy(&name).into_owned()))
    }

    fn is_all_or_absent(&self, at: usize) -> bool {
        self.tokens.len() == at || (self.tokens.len() == at + 1 && self.word(at).as_deref() == Some("all"))
    }
}

fn bad_name(command: &str) -> SqlError {
    SqlError::new(sqlstate::SYNTAX_ERROR, format!("{command} takes the name of one database, or none"))
        .with_hint("Write a name that is more than letters, digits and underscores in double quotes.")
}

fn unknown(words: &Words<'_>) -> SqlError {
    let found: Vec<String> = words
        .tokens
        .iter()
        .take(2)
        .map(|t| String::from_utf8_lossy(t.text(words.sql)).into_owned())
        .collect();
    let mut found = found.join(" ");
    if found.len() > 60 {
        found = found.chars().take(60).chain("...".chars()).collect();
    }
    SqlError::new(sqlstate::SYNTAX_ERROR, format!("unknown admin command \"{found}\""))
        .with_hint(format!("Commands are: {COMMANDS}."))
}

fn one(words: &Words<'_>) -> Result<Command, SqlError> {
    let Some(first) = words.word(0) else { return Err(unknown(words)) };
    let alone = words.tokens.len() == 1;
    match first.as_str() {
        "show" => show(words),
        "select" => select(words),
        "reload" if alone => Ok(Command::Reload),
        "pause" => Ok(Command::Pause(words.database("PAUSE")?)),
        "resume" => Ok(Command::Resume(words.database("RESUME")?)),
        "reconnect" => Ok(Command::Reconnect(words.database("RECONNECT")?)),
        "kill" | "kill_client" => kill(words),
        "shutdown" if alone => Ok(Command::Shutdown),
        _ => of_any_server(words, &first).ok_or_else(|| unknown(words)),
    }
}

/// What drivers and psql send to any server.
fn of_any_server(words: &Words<'_>, first: &str) -> Option<Command> {
    let several = words.tokens.len() > 1;
    Some(match first {
        "begin" => Command::Begin,
        "start" if words.word(1)? == "transaction" => Command::Begin,
        "commit" | "end" => Command::Commit,
        "rollback" | "abort" if words.word(1).is_none_or(|word| word != "to") => Command::Rollback,
        "set" if several => Command::Accepted("SET"),
        "reset" if several => Command::Accepted("RESET"),
        "discard" if words.is_all_or_absent(1) && several => Command::Accepted("DISCARD ALL"),
        "deallocate" if words.is_all_or_absent(1) && several => Command::Accepted("DEALLOCATE ALL"),
        "close" if words.is_all_or_absent(1) && several => Command::Accepted("CLOSE CURSOR ALL"),
        "unlisten" if several => Command::Accepted("UNLISTEN"),
        _ => return None,
    })
}

fn show(words: &Words<'_>) -> Result<Command, SqlError> {
    let Some(name) = words.word(1) else { return Err(unknown(words)) };
    let is_isolation = words.compact_from(1) == b"transactionisolationlevel";
    let setting = if is_isolation { "transaction_isolation" } else { name.as_str() };
    if words.tokens.len() > 2 && !is_isolation {
        return Err(unknown(words));
    }
    if name == "help" {
        return Ok(Command::Help);
    }
    if let Some((_, topic)) = TOPICS.iter().find(|(topic, _)| *topic == name) {
        return Ok(Command::Show(*topic));
    }
    match SETTINGS.iter().find(|(known, _)| *known == setting) {
        Some((name, value)) => Ok(Command::Constant(Constant::Text(name, value), "SHOW")),
        None => Err(unknown(words)),
    }
}

fn select(words: &Words<'_>) -> Result<Command, SqlError> {
    let what = words.compact_from(1);
    if let Some((_, name, value)) = CONSTANTS.iter().find(|(known, _, _)| *known == what) {
        return Ok(Command::Constant(Constant::Text(name, value), "SELECT 1"));
    }
    let number = std::str::from_utf8(&what).ok().and_then(|digits| digits.parse::<u32>().ok());
    match number {
        Some(number) => Ok(Command::Constant(Constant::Integer(number), "SELECT 1")),
        None => Err(unknown(words)),
    }
}

fn kill(words: &Words<'_>) -> Result<Command, SqlError> {
    let victim = match words.tokens {
        [_, token] if token.kind == TokenKind::Integer => {
            let digits = String::from_utf8_lossy(token.text(words.sql)).into_owned();
            let id = digits.parse().map_err(|_error| {
                SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, format!("there is no client {digits}"))
            })?;
            Victim::Client(id)
        }
        _ => words.database("KILL")?.map_or(Victim::All, Victim::Database),
    };
    if words.word(0).as_deref() == Some("kill_client") && !matches!(victim, Victim::Client(_)) {
        return Err(SqlError::new(sqlstate::SYNTAX_ERROR, "KILL_CLIENT takes the id of a client")
            .with_hint("SHOW CLIENTS has them in its column id."));
    }
    Ok(Command::Kill(victim))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(sql: &str) -> Vec<Command> {
        parse(sql.as_bytes()).unwrap()
    }

    #[test]
    fn commands_are_read_in_any_case_with_comments_and_several_at_once() {
        assert_eq!(
            parsed("show Clients; /* all */ PAUSE;resume \"My db\" ;; -- end\nKILL 'x y'"),
            [
                Command::Show(Topic::Clients),
                Command::Pause(None),
                Command::Resume(Some("My db".into())),
                Command::Kill(Victim::Database("x y".into())),
            ]
        );
        assert_eq!(parsed("Pause Shop"), [Command::Pause(Some("shop".into()))]);
        assert_eq!(parsed("KILL 17"), [Command::Kill(Victim::Client(17))]);
        assert_eq!(parsed("KILL \"17\""), [Command::Kill(Victim::Database("17".into()))]);
        assert_eq!(parsed("kill"), [Command::Kill(Victim::All)]);
        assert_eq!(parsed(" ; -- nothing"), []);
    }

    #[test]
    fn what_drivers_send_to_any_server_is_accepted() {
        for (sql, tag) in [
            ("SET application_name = 'x'", "SET"),
            ("set session characteristics as transaction read only", "SET"),
            ("RESET ALL", "RESET"),
            ("DISCARD ALL", "DISCARD ALL"),
            ("UNLISTEN *", "UNLISTEN"),
        ] {
            assert_eq!(parsed(sql), [Command::Accepted(tag)], "{sql}");
        }
        assert_eq!(parsed("BEGIN; start transaction read only"), [Command::Begin, Command::Begin]);
        assert_eq!(parsed("commit; ROLLBACK"), [Command::Commit, Command::Rollback]);
        assert_eq!(parsed("select 1"), [Command::Constant(Constant::Integer(1), "SELECT 1")]);
        assert_eq!(
            parsed("show transaction isolation level"),
            [Command::Constant(Constant::Text("transaction_isolation", "read committed"), "SHOW")]
        );
    }

    #[test]
    fn what_is_no_command_is_refused_with_the_list_of_commands() {
        for sql in
            ["SHOW", "SHOW TABLES", "SHOW CLIENTS x", "SELECT 1 + 1", "RELOAD now", "pause; foo", "1", "'"]
        {
            let error = parse(sql.as_bytes()).unwrap_err();
            assert_eq!(error.code, sqlstate::SYNTAX_ERROR, "{sql}");
            assert!(error.hint.unwrap().contains("SHOW CLIENTS|"), "{sql}");
        }
        assert_eq!(parse(b"PAUSE a b").unwrap_err().code, sqlstate::SYNTAX_ERROR);
        assert_eq!(parse(b"PAUSE $1").unwrap_err().code, sqlstate::FEATURE_NOT_SUPPORTED);
        assert_eq!(parse(b"KILL_CLIENT shop").unwrap_err().code, sqlstate::SYNTAX_ERROR);
        assert_eq!(parse(b"KILL 99999999999").unwrap_err().code, sqlstate::NUMERIC_VALUE_OUT_OF_RANGE);
    }
}
