//! What SET, RESET and set_config say, and SQL that says the same on another connection.
//!
//! Owns the parse of these statements into values and the replay of values; a statement that it does not fully
//! understand gives none, and must be treated as having set anything.
//! Source: gram.y (VariableSetStmt) and guc.c (flatten_set_variable_args) of PostgreSQL 15.

use super::lexer::TokenKind;
use super::names::{Cursor, decode_identifier};
use super::transaction::{Modes, modes};

/// How long a setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For the session (undone if its transaction rolls back).
    Session,
    /// To the end of the transaction.
    Local,
}

/// A setting's value, so that it can be replayed in the same meaning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SettingValue {
    /// DEFAULT.
    Default,
    /// The values of a SET, decoded: `SET search_path TO a, "B"` has two.
    List(Vec<Vec<u8>>),
    /// The whole text of the value, as set_config and start-up parameters give it.
    Text(Vec<u8>),
    /// The time zone as `INTERVAL ...`, re-quoted SQL.
    Interval(Vec<u8>),
}

/// What a statement does to settings. Names are lower-case and canonical (`timezone`, `my.var`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingCommand {
    /// SET of one setting, or `TO DEFAULT`.
    Set {
        /// How long it holds.
        scope: Scope,
        /// Canonical name.
        name: String,
        /// New value.
        value: SettingValue,
    },
    /// SET SESSION CHARACTERISTICS AS TRANSACTION: the `default_transaction_...` settings it stands for.
    Characteristics(Vec<(String, SettingValue)>),
    /// RESET of one setting.
    Reset {
        /// Canonical name.
        name: String,
    },
    /// RESET ALL.
    ResetAll,
}

/// One call of set_config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigCall {
    /// Canonical name.
    pub name: String,
    /// The other arguments.
    pub value: ConfigValue,
}

/// What a call of set_config sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigValue {
    /// This, for the session.
    Session(Vec<u8>),
    /// Something, to the end of the transaction.
    Local,
}

/// Reads a SET or RESET of settings.
///
/// None for other statements (SET TRANSACTION and SET CONSTRAINTS too), for `FROM CURRENT`, for what Postgres
/// refuses, and for strings whose escapes make characters outside ASCII.
pub fn parse_setting(statement: &[u8], standard_conforming_strings: bool) -> Option<SettingCommand> {
    let mut cursor = Cursor::new(statement, standard_conforming_strings);
    let command = if cursor.eat(b"set") {
        set(&mut cursor)?
    } else if cursor.eat(b"reset") {
        reset(&mut cursor)?
    } else {
        return None;
    };
    cursor.is_at_end().then_some(command)
}

fn reset(cursor: &mut Cursor<'_>) -> Option<SettingCommand> {
    let is_name = cursor.second().is_some_and(|token| token.kind == TokenKind::Dot);
    let name = if is_name {
        setting_name(cursor)?
    } else if cursor.eat(b"all") {
        return Some(SettingCommand::ResetAll);
    } else if cursor.eat_all(&[b"time", b"zone"]) {
        "timezone".into()
    } else if cursor.eat_all(&[b"session", b"authorization"]) {
        "session_authorization".into()
    } else if cursor.eat_all(&[b"transaction", b"isolation", b"level"]) {
        "transaction_isolation".into()
    } else {
        setting_name(cursor)?
    };
    Some(SettingCommand::Reset { name })
}

fn set(cursor: &mut Cursor<'_>) -> Option<SettingCommand> {
    let mut scope = Scope::Session;
    if !names_setting(cursor) {
        if cursor.eat(b"local") {
            scope = Scope::Local;
        } else if cursor.is_at(b"session") && !cursor.is_followed_by(b"authorization") {
            if cursor.eat_all(&[b"session", b"characteristics", b"as", b"transaction"]) {
                return modes(cursor).and_then(characteristics);
            }
            cursor.next();
        }
    }
    if !names_setting(cursor)
        && let Some((name, value)) = special(cursor)?
    {
        return Some(SettingCommand::Set { scope, name: name.into(), value });
    }
    let name = setting_name(cursor)?;
    if !cursor.eat(b"to") && !cursor.eat_operator(b"=") {
        return None;
    }
    let value = if cursor.eat(b"default") { SettingValue::Default } else { values(cursor)? };
    Some(SettingCommand::Set { scope, name, value })
}

/// Whether the next word is a setting's name whatever it spells, as TO, `=` or a dot follows.
fn names_setting(cursor: &Cursor<'_>) -> bool {
    cursor.second().is_some_and(|token| {
        token.kind == TokenKind::Dot
            || (token.kind == TokenKind::Operator && cursor.text(token) == b"=")
            || cursor.is_followed_by(b"to")
    })
}

/// The forms of SET with a syntax of their own; the inner none is for the general form, the outer one for
/// what is not understood.
#[expect(clippy::option_option, reason = "not special and not understood are different answers")]
fn special(cursor: &mut Cursor<'_>) -> Option<Option<(&'static str, SettingValue)>> {
    let one = |value: Vec<u8>| SettingValue::List(vec![value]);
    let found = if cursor.eat_all(&[b"time", b"zone"]) {
        ("timezone", time_zone(cursor)?)
    } else if cursor.eat(b"names") {
        let is_default = cursor.eat(b"default") || cursor.is_at_end();
        let value = if is_default { SettingValue::Default } else { one(cursor.string()?.into_owned()) };
        ("client_encoding", value)
    } else if cursor.eat(b"schema") {
        ("search_path", one(cursor.string()?.into_owned()))
    } else if cursor.eat(b"role") {
        ("role", one(word_or_string(cursor)?))
    } else if cursor.eat_all(&[b"session", b"authorization"]) {
        let value = if cursor.eat(b"default") { SettingValue::Default } else { one(word_or_string(cursor)?) };
        ("session_authorization", value)
    } else if cursor.eat_all(&[b"xml", b"option"]) {
        let is_document = cursor.eat(b"document");
        if !is_document && !cursor.eat(b"content") {
            return None;
        }
        ("xmloption", one(if is_document { b"DOCUMENT".to_vec() } else { b"CONTENT".to_vec() }))
    } else {
        return Some(None);
    };
    Some(Some(found))
}

/// `name`, or `a.b.c` of a custom setting; case does not matter to Postgres.
fn setting_name(cursor: &mut Cursor<'_>) -> Option<String> {
    let mut name = cursor.name()?.name;
    while cursor.eat_kind(TokenKind::Dot) {
        name.push(b'.');
        name.extend_from_slice(&cursor.name()?.name);
    }
    canonical_name(&name)
}

/// A setting's name as Postgres knows it: lower case, old names replaced. None if it is not UTF-8.
pub fn canonical_name(name: &[u8]) -> Option<String> {
    let lower = String::from_utf8(name.to_ascii_lowercase()).ok()?;
    Some(match lower.as_str() {
        "sort_mem" => "work_mem".into(),
        "vacuum_mem" => "maintenance_work_mem".into(),
        _ => lower,
    })
}

fn word_or_string(cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
    match cursor.peek_kind()? {
        TokenKind::Word | TokenKind::QuotedIdent | TokenKind::UnicodeIdent => {
            cursor.name().map(|name| name.name)
        }
        _ => cursor.string().map(|value| value.into_owned()),
    }
}

fn values(cursor: &mut Cursor<'_>) -> Option<SettingValue> {
    let mut list = Vec::new();
    loop {
        list.push(number(cursor).or_else(|| word_or_string(cursor))?);
        if !cursor.eat_kind(TokenKind::Comma) {
            return Some(SettingValue::List(list));
        }
    }
}

/// A number with its sign, spelled as Postgres passes it on: an int4 in plain decimal.
///
/// The latter matters: `SET x = 010` means ten, `SET x = '010'` eight.
fn number(cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
    let mut ahead = cursor.clone();
    let is_negative = ahead.eat_operator(b"-");
    if !is_negative {
        ahead.eat_operator(b"+");
    }
    let token = ahead.next()?;
    if !matches!(token.kind, TokenKind::Integer | TokenKind::Numeric) {
        return None;
    }
    let text = std::str::from_utf8(ahead.text(token)).ok()?;
    let digits = match text.parse::<i32>() {
        Ok(value) if token.kind == TokenKind::Integer => value.to_string(),
        _ => text.to_owned(),
    };
    *cursor = ahead;
    // Negating zero as an integer leaves no sign.
    let sign = if is_negative && digits != "0" { "-" } else { "" };
    Some(format!("{sign}{digits}").into_bytes())
}

fn time_zone(cursor: &mut Cursor<'_>) -> Option<SettingValue> {
    if cursor.eat(b"default") || cursor.eat(b"local") {
        return Some(SettingValue::Default);
    }
    if cursor.is_at(b"interval") {
        return interval(cursor).map(SettingValue::Interval);
    }
    let value = number(cursor).or_else(|| word_or_string(cursor))?;
    Some(SettingValue::List(vec![value]))
}

/// `INTERVAL [(p)] 'text' [fields]`, with the string re-quoted.
fn interval(cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
    cursor.next();
    let mut sql = b"INTERVAL ".to_vec();
    if cursor.eat_kind(TokenKind::ParenOpen) {
        let precision = cursor.next().filter(|token| token.kind == TokenKind::Integer)?;
        sql.push(b'(');
        sql.extend_from_slice(cursor.text(precision));
        sql.extend_from_slice(b") ");
        if !cursor.eat_kind(TokenKind::ParenClose) {
            return None;
        }
    }
    sql.extend_from_slice(&quote_literal(&cursor.string()?));
    while let Some(field) = cursor.peek().filter(|token| token.kind == TokenKind::Word) {
        sql.push(b' ');
        sql.extend_from_slice(&decode_identifier(cursor.text(field), field.kind));
        cursor.next();
    }
    Some(sql)
}

fn characteristics(modes: Modes) -> Option<SettingCommand> {
    let on_off = |on: bool| if on { "on" } else { "off" };
    let changes: Vec<(String, SettingValue)> = [
        ("default_transaction_isolation", modes.isolation.map(|level| level.setting())),
        ("default_transaction_read_only", modes.read_only.map(on_off)),
        ("default_transaction_deferrable", modes.deferrable.map(on_off)),
    ]
    .into_iter()
    .filter_map(|(name, value)| {
        value.map(|value| (name.to_owned(), SettingValue::List(vec![value.as_bytes().to_vec()])))
    })
    .collect();
    (!changes.is_empty()).then_some(SettingCommand::Characteristics(changes))
}

/// Reads a statement that is nothing but calls of set_config with constants, or for the transaction with parameters:
/// `SELECT [pg_catalog.]set_config('name', 'value', true|false) [[AS] label], ...`.
pub fn parse_set_config(statement: &[u8], standard_conforming_strings: bool) -> Option<Vec<ConfigCall>> {
    let mut cursor = Cursor::new(statement, standard_conforming_strings);
    if !cursor.eat(b"select") {
        return None;
    }
    let mut calls = Vec::new();
    loop {
        calls.extend(config_call(&mut cursor)?);
        if cursor.eat(b"as") {
            cursor.name()?;
        }
        if cursor.is_at_end() {
            return Some(calls).filter(|calls| !calls.is_empty());
        }
        if !cursor.eat_kind(TokenKind::Comma) {
            return None;
        }
    }
}

/// One call; `Some(None)` is one that only reads.
fn config_call(cursor: &mut Cursor<'_>) -> Option<Option<ConfigCall>> {
    let mut function = cursor.name()?.name;
    if function == b"pg_catalog" && cursor.eat_kind(TokenKind::Dot) {
        function = cursor.name()?.name;
    }
    let is_reading = function == b"current_setting";
    if !(is_reading || function == b"set_config") || !cursor.eat_kind(TokenKind::ParenOpen) {
        return None;
    }
    let name = canonical_name(&cursor.string()?)?;
    if is_reading {
        return cursor.eat_kind(TokenKind::ParenClose).then_some(None);
    }
    if !cursor.eat_kind(TokenKind::Comma) {
        return None;
    }
    let constant = cursor.string().map(|value| value.into_owned());
    if constant.is_none() && !parameter(cursor) {
        return None;
    }
    if !cursor.eat_kind(TokenKind::Comma) {
        return None;
    }
    let value = if cursor.eat(b"true") {
        ConfigValue::Local
    } else if cursor.eat(b"false") {
        ConfigValue::Session(constant?)
    } else {
        return None;
    };
    cursor.eat_kind(TokenKind::ParenClose).then_some(Some(ConfigCall { name, value }))
}

/// Goes past `$1` or `$1::text`.
fn parameter(cursor: &mut Cursor<'_>) -> bool {
    cursor.eat_kind(TokenKind::Param)
        && (!cursor.eat_kind(TokenKind::TypeCast) || cursor.eat(b"text") || cursor.eat(b"varchar"))
}

/// The SQL, without a semicolon, that gives a setting this value for the session.
///
/// It is a SET, which returns no row, but for the text of a setting that is a list of names, where only
/// `SELECT set_config(...)` keeps the text: that one returns a row.
pub fn replay_sql(name: &str, value: &SettingValue) -> Vec<u8> {
    let mut sql;
    match value {
        SettingValue::Text(text) if is_name_list(name) => {
            sql = b"SELECT pg_catalog.set_config(".to_vec();
            sql.extend_from_slice(&quote_literal(name.as_bytes()));
            sql.extend_from_slice(b", ");
            sql.extend_from_slice(&quote_literal(text));
            sql.extend_from_slice(b", false)");
            return sql;
        }
        SettingValue::Interval(interval) => {
            sql = b"SET TIME ZONE ".to_vec();
            sql.extend_from_slice(interval);
            return sql;
        }
        SettingValue::Default | SettingValue::List(_) | SettingValue::Text(_) => {}
    }
    sql = b"SET ".to_vec();
    for (index, part) in name.split('.').enumerate() {
        if index > 0 {
            sql.push(b'.');
        }
        sql.extend_from_slice(&quote_identifier(part.as_bytes()));
    }
    sql.extend_from_slice(b" TO ");
    match value {
        SettingValue::List(list) => {
            for (index, element) in list.iter().enumerate() {
                if index > 0 {
                    sql.extend_from_slice(b", ");
                }
                sql.extend_from_slice(&quote_literal(element));
            }
        }
        SettingValue::Text(text) => sql.extend_from_slice(&quote_literal(text)),
        SettingValue::Default | SettingValue::Interval(_) => sql.extend_from_slice(b"DEFAULT"),
    }
    sql
}

/// The settings that Postgres flags GUC_LIST_QUOTE: SET quotes each of their values as a name.
fn is_name_list(name: &str) -> bool {
    matches!(
        name,
        "search_path"
            | "temp_tablespaces"
            | "local_preload_libraries"
            | "session_preload_libraries"
            | "shared_preload_libraries"
            | "unix_socket_directories"
    )
}

/// A string constant that means `value` under both settings of `standard_conforming_strings`.
pub fn quote_literal(value: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(value.len() + 3);
    if value.contains(&b'\\') {
        quoted.push(b'E');
    }
    quoted.push(b'\'');
    for &byte in value {
        if matches!(byte, b'\'' | b'\\') {
            quoted.push(byte);
        }
        quoted.push(byte);
    }
    quoted.push(b'\'');
    quoted
}

/// `name` as a quoted identifier.
pub fn quote_identifier(name: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(name.len() + 2);
    quoted.push(b'"');
    for &byte in name {
        if byte == b'"' {
            quoted.push(b'"');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    quoted
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
