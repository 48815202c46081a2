//! What a statement does to the session, read from its text alone, on the side of caution: what is not
//! understood exactly makes the client keep its server connection.

use super::outcome::Outcome;
use super::pin::Pins;
use super::settings::Change;
use super::statements::Traits;
use crate::sql::settings::{self as sql_settings, Scope};
use crate::sql::{Effects, Kind, Statement as ScannedStatement};
use crate::sql::{names, prepared, transaction};

/// Code in a database that may leave marks on the session that runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HiddenState {
    /// Lower-case names of functions whose source sets session state.
    pub functions: Vec<Box<str>>,
    /// Whether a trigger calls one of them: then any write may.
    pub in_triggers: bool,
}

/// What one statement does to the session.
#[derive(Debug, Default)]
pub struct Described {
    /// On success.
    pub outcome: Outcome,
    /// From when it is sent.
    pub pins: Pins,
    /// SQL-prepared statements that it names.
    pub refers_to: Vec<Box<[u8]>>,
    /// Other needs.
    pub traits: Traits,
}

/// Whether a statement is of the common kinds that leave nothing in the session.
///
/// The hot path: a comparison of two small integers for most statements.
pub fn is_plain(statement: &ScannedStatement, hidden: &HiddenState) -> bool {
    statement.effects.is_empty()
        && hidden.functions.is_empty()
        && matches!(
            statement.kind,
            Kind::Select
                | Kind::Values
                | Kind::TableCommand
                | Kind::Update
                | Kind::Delete
                | Kind::Commit
                | Kind::Rollback
                | Kind::SetTransaction
                | Kind::SetLocal
                | Kind::Show
                | Kind::Fetch
                | Kind::Move
                | Kind::Declare
                | Kind::CloseCursor
                | Kind::CopyToStdout
                | Kind::Notify
                | Kind::Lock
                | Kind::Explain
                | Kind::Truncate
                | Kind::Vacuum
                | Kind::Analyze
        )
}

/// Reads what `statement`, a part of `sql`, does to the session.
pub fn describe(
    sql: &[u8],
    statement: &ScannedStatement,
    standard_conforming_strings: bool,
    hidden: &HiddenState,
) -> Described {
    let text = statement.text(sql);
    let mut described = Described::default();
    by_kind(text, statement, standard_conforming_strings, &mut described);
    by_effects(text, statement, standard_conforming_strings, &mut described);
    by_hidden_state(text, statement, hidden, &mut described);
    described
}

fn by_kind(text: &[u8], statement: &ScannedStatement, scs: bool, described: &mut Described) {
    match statement.kind {
        Kind::Set | Kind::Reset => match sql_settings::parse_setting(text, scs) {
            Some(command) if command.scope == Scope::Local => {}
            Some(command) => described.outcome = Outcome::Settings(changes(&command)),
            None => described.pins.insert(Pins::SETTING),
        },
        Kind::DiscardAll => described.outcome = Outcome::DiscardAll,
        Kind::DiscardTemp => described.outcome = Outcome::Unpin(Pins::TEMP),
        Kind::Begin => described.traits.opens_block = true,
        Kind::Savepoint => described.outcome = savepoint(text, Outcome::Savepoint),
        Kind::Release => described.outcome = savepoint(text, Outcome::Release),
        Kind::RollbackTo => described.outcome = savepoint(text, Outcome::RollbackTo),
        Kind::Prepare | Kind::Execute | Kind::Deallocate => by_prepared(text, statement.kind, described),
        Kind::Listen => described.pins.insert(Pins::LISTEN),
        Kind::Unlisten => {
            if text.trim_ascii_end().ends_with(b"*") {
                described.outcome = Outcome::Unpin(Pins::LISTEN);
            }
        }
        Kind::Do | Kind::Call => {
            described.traits.advances_sequence = true;
            if statement.kind == Kind::Call || mentions_session_state(text) {
                described.pins.insert(Pins::OPAQUE);
            }
        }
        Kind::Insert | Kind::Merge | Kind::With | Kind::CopyFromStdin => {
            described.traits.advances_sequence = true;
        }
        Kind::Create | Kind::Alter | Kind::Drop | Kind::OtherDdl => {
            let word = second_word(text);
            let defaults = matches!(statement.kind, Kind::Alter)
                && [&b"role"[..], b"user", b"database", b"system"]
                    .iter()
                    .any(|name| word.eq_ignore_ascii_case(name));
            described.outcome = Outcome::SchemaChange { defaults };
        }
        Kind::Load => described.pins.insert(Pins::LIBRARY),
        _ => {}
    }
}

fn by_prepared(text: &[u8], kind: Kind, described: &mut Described) {
    match kind {
        Kind::Prepare => {
            if let Some(name) = prepared::statement_name(text) {
                described.refers_to.push(name.name.clone().into());
                described.outcome = Outcome::Prepare { name: name.name.into(), sql: text.into() };
            }
        }
        Kind::Deallocate if prepared::is_deallocate_all(text) => {
            described.outcome = Outcome::DeallocateAll;
        }
        _ => {
            described.traits.advances_sequence = true;
            if let Some(name) = prepared::statement_name(text) {
                if kind == Kind::Deallocate {
                    described.outcome = Outcome::Deallocate(name.name.clone().into());
                }
                described.refers_to.push(name.name.into());
            }
        }
    }
}

fn by_effects(text: &[u8], statement: &ScannedStatement, scs: bool, described: &mut Described) {
    let effects = statement.effects;
    if effects.is_empty() {
        return;
    }
    for (effect, pin) in [
        (Effects::ADVISORY, Pins::ADVISORY),
        (Effects::SETSEED, Pins::SEED),
        (Effects::HOLD, Pins::HOLD),
        (Effects::DBLINK, Pins::LIBRARY),
        (Effects::UPDATES_SETTINGS, Pins::SETTING),
        (Effects::UNICODE_IDENT, Pins::OPAQUE),
    ] {
        if effects.contains(effect) {
            described.pins.insert(pin);
        }
    }
    if effects.contains(Effects::TEMP) && !effects.contains(Effects::WRITES_TEMP_ON_COMMIT_DROP) {
        described.pins.insert(Pins::TEMP);
    }
    if effects.contains(Effects::SET_CONFIG) {
        match sql_settings::parse_set_config(text, scs) {
            Some(list) => {
                let session = list.into_iter().filter(|one| !one.is_local);
                let changes: Vec<Change> = session
                    .map(|one| Change::Set { replay: one.replay_sql().into(), name: one.name.into() })
                    .collect();
                if !changes.is_empty() {
                    described.outcome = Outcome::Settings(changes);
                }
            }
            None => described.pins.insert(Pins::SETTING),
        }
    }
    if effects.contains(Effects::EXECUTES_PREPARED) {
        if let Some(name) = prepared::nested_execute(text) {
            described.refers_to.push(name.name.into());
        }
        described.traits.advances_sequence = true;
    }
    described.traits.reads_sequence_state = effects.contains(Effects::SEQUENCE_STATE);
    described.traits.advances_sequence |= effects.contains(Effects::NEXTVAL);
    described.traits.lists_prepared = effects.contains(Effects::PREPARED_VIEW);
}

fn by_hidden_state(
    text: &[u8],
    statement: &ScannedStatement,
    hidden: &HiddenState,
    described: &mut Described,
) {
    if hidden.functions.is_empty() {
        return;
    }
    let writes = !matches!(
        statement.kind,
        Kind::Select
            | Kind::Begin
            | Kind::Commit
            | Kind::Rollback
            | Kind::Set
            | Kind::SetLocal
            | Kind::SetTransaction
            | Kind::Reset
            | Kind::Show
            | Kind::Savepoint
            | Kind::Release
            | Kind::RollbackTo
            | Kind::Fetch
            | Kind::Listen
            | Kind::Notify
    );
    let lower = text.to_ascii_lowercase();
    let named = |name: &str| memchr::memmem::find(&lower, name.as_bytes()).is_some();
    if (writes && hidden.in_triggers) || hidden.functions.iter().any(|name| named(name)) {
        described.pins.insert(Pins::OPAQUE);
    }
}

fn changes(command: &sql_settings::SettingCommand) -> Vec<Change> {
    command
        .changes()
        .into_iter()
        .map(|change| match change {
            sql_settings::SettingChange::Set { name, replay } => {
                Change::Set { name: name.into(), replay: replay.into() }
            }
            sql_settings::SettingChange::Reset { name } => Change::Reset { name: name.into() },
            sql_settings::SettingChange::ResetAll => Change::ResetAll { identity: false },
        })
        .collect()
}

fn savepoint(text: &[u8], make: impl FnOnce(Box<[u8]>) -> Outcome) -> Outcome {
    transaction::savepoint_name(text).map_or(Outcome::Nothing, |name| make(name.into()))
}

fn second_word(text: &[u8]) -> &[u8] {
    names::words(text).nth(1).unwrap_or_default()
}

/// Whether code mentions anything that outlives its transaction in the session.
///
/// Words are looked for anywhere, also in comments and literals: too often is harmless here.
pub fn mentions_session_state(code: &[u8]) -> bool {
    const WORDS: [&[u8]; 12] = [
        b"set_config",
        b"temp",
        b"pg_advisory_lock",
        b"pg_try_advisory_lock",
        b"listen",
        b"hold",
        b"prepare",
        b"setseed",
        b"load",
        b"dblink",
        b"execute",
        b"deallocate",
    ];
    let lower = code.to_ascii_lowercase();
    WORDS.iter().any(|word| memchr::memmem::find(&lower, word).is_some()) || has_set_statement(&lower)
}

/// Whether `set` stands where a statement begins (an UPDATE's SET follows a name).
fn has_set_statement(lower: &[u8]) -> bool {
    let mut rest = lower;
    let mut before: &[u8] = b";";
    while let Some(at) = rest.iter().position(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
        let gap = rest.get(..at).unwrap_or_default();
        let word_on = rest.get(at..).unwrap_or_default();
        let len = word_on
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_'))
            .unwrap_or(word_on.len());
        let word = word_on.get(..len).unwrap_or_default();
        let at_start = gap.iter().any(|byte| matches!(byte, b';' | b'\'' | b'$'))
            || matches!(before, b"begin" | b"then" | b"else" | b"loop" | b";" | b"reset" | b"atomic");
        if (word == b"set" && at_start) || word == b"reset" {
            return true;
        }
        before = word;
        rest = word_on.get(len..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_statement_is_told_from_the_set_of_an_update() {
        assert!(!has_set_statement(b"begin update t set a = 1; end"));
        assert!(has_set_statement(b"begin set a = 1; end"));
        assert!(has_set_statement(b"begin execute 'set a = 1'; end"));
        assert!(has_set_statement(b"set x to 1"));
    }
}
