//! What a statement does to the session, read from its text alone, on the side of caution: what is not
//! understood exactly makes the client keep its server connection.

use super::outcome::Outcome;
use super::pin::Pins;
use super::settings::{Change, is_custom};
use super::statements::{Need, Reference, Traits};
use crate::sql::prepared::{PreparedCommand, parse_prepared};
use crate::sql::settings::{
    ConfigCall, ConfigValue, Scope, SettingCommand, SettingValue, parse_set_config, parse_setting, replay_sql,
};
use crate::sql::transaction::{TransactionCommand, parse_transaction};
use crate::sql::{Effects, Kind, Statement as ScannedStatement};

/// Code in a database that may leave marks on the session that runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HiddenState {
    /// Lower-case names of functions whose source sets session state, and of what uses them: views, policies'
    /// tables, operators, domains.
    pub names: Vec<Box<str>>,
    /// What runs them without such a name.
    pub reach: Reach,
    /// The schema epoch as of which it was read, plus one; 0 is never.
    pub epoch: u64,
}

/// Which statements may run code that they do not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// None.
    #[default]
    Named,
    /// Any that writes: a trigger, a column's default or a constraint does.
    Writes,
    /// Any at all: a cast does, or something else that is not named.
    Any,
}

/// What one statement does to the session.
#[derive(Debug, Default)]
pub struct Described {
    /// On success.
    pub outcome: Outcome,
    /// From when it is sent.
    pub pins: Pins,
    /// Prepared statements that it names.
    pub refers_to: Vec<Reference>,
    /// Other needs.
    pub traits: Traits,
}

/// Effects on the session, as opposed to those that only the planner asks about.
const SESSION_EFFECTS: Effects = Effects(
    Effects::TEMP.0
        | Effects::ADVISORY.0
        | Effects::SET_CONFIG.0
        | Effects::SEQUENCE_STATE.0
        | Effects::NEXTVAL.0
        | Effects::SETSEED.0
        | Effects::PREPARED_VIEW.0
        | Effects::HOLD.0
        | Effects::LISTEN.0
        | Effects::UPDATES_SETTINGS.0
        | Effects::DBLINK.0
        | Effects::LOAD.0
        | Effects::EXECUTES_PREPARED.0
        | Effects::UNICODE_IDENT.0
        | Effects::SQL_IN_TEXT.0
        | Effects::OTHER_STATE.0,
);

/// Whether a statement is of the common kinds that leave nothing in the session.
///
/// The hot path: a comparison of two small integers for most statements.
pub fn is_plain(statement: &ScannedStatement, hidden: &HiddenState) -> bool {
    !statement.effects.intersects(SESSION_EFFECTS)
        && hidden.names.is_empty()
        && matches!(
            statement.kind,
            Kind::Select
                | Kind::Values
                | Kind::TableCommand
                | Kind::Insert
                | Kind::Update
                | Kind::Delete
                | Kind::Commit
                | Kind::Rollback
                | Kind::SetTransaction
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

/// Whether running it may advance a sequence, as the default of a column for example.
pub fn may_advance_sequence(statement: &ScannedStatement) -> bool {
    matches!(statement.kind, Kind::Insert | Kind::Merge | Kind::With | Kind::CopyFromStdin)
}

/// Whether its success is the end of a transaction that wrote, perhaps.
pub fn commits(statement: &ScannedStatement) -> bool {
    matches!(statement.kind, Kind::Commit | Kind::PrepareTransaction | Kind::CommitPrepared)
}

/// Whether it ends a transaction block, or takes back a part of it.
pub fn ends_block(statement: &ScannedStatement) -> bool {
    matches!(statement.kind, Kind::Commit | Kind::Rollback | Kind::RollbackTo | Kind::PrepareTransaction)
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
    described.traits.advances_sequence = may_advance_sequence(statement);
    described.traits.commits = commits(statement);
    described.traits.ends_block = ends_block(statement);
    by_kind(text, statement, standard_conforming_strings, &mut described);
    by_effects(text, statement, standard_conforming_strings, &mut described);
    by_hidden_state(text, statement, hidden, &mut described);
    described
}

fn by_kind(text: &[u8], statement: &ScannedStatement, scs: bool, described: &mut Described) {
    match statement.kind {
        Kind::Set | Kind::SetLocal | Kind::Reset => {
            described.outcome = match parse_setting(text, scs) {
                Some(command) => settings_outcome(command),
                None if statement.kind == Kind::SetLocal && !text.contains(&b'.') => Outcome::Nothing,
                None => Outcome::Pin(Pins::SETTING),
            };
        }
        Kind::DiscardAll => described.outcome = Outcome::DiscardAll,
        Kind::DiscardTemp => described.outcome = Outcome::Unpin(Pins::TEMP),
        Kind::Begin => described.traits.opens_block = true,
        Kind::Savepoint | Kind::Release | Kind::RollbackTo => {
            described.outcome = match parse_transaction(text, scs) {
                Some(TransactionCommand::Savepoint(name)) => Outcome::Savepoint(name.name.into()),
                Some(TransactionCommand::Release(name)) => Outcome::Release(name.name.into()),
                Some(TransactionCommand::RollbackTo(name)) => Outcome::RollbackTo(name.name.into()),
                _ => Outcome::Nothing,
            };
        }
        Kind::Prepare | Kind::Execute | Kind::Deallocate => {
            described.traits.advances_sequence |= statement.kind == Kind::Execute;
            by_prepared(text, statement.kind, scs, described);
        }
        Kind::Listen => described.pins.insert(Pins::LISTEN),
        Kind::Unlisten if text.trim_ascii_end().ends_with(b"*") => {
            described.outcome = Outcome::Unpin(Pins::LISTEN);
        }
        Kind::Do | Kind::Call => {
            described.traits.advances_sequence = true;
            if statement.kind == Kind::Call || mentions_session_state(text) {
                described.pins.insert(Pins::OPAQUE);
            }
            let lower = text.to_ascii_lowercase();
            let names = |word: &[u8]| memchr::memmem::find(&lower, word).is_some();
            if [&b"create"[..], b"alter", b"drop"].into_iter().any(names) {
                described.outcome = Outcome::SchemaChange { defaults: false };
            }
        }
        Kind::Create | Kind::Alter | Kind::Drop | Kind::OtherDdl => {
            by_schema_change(text, statement, described)
        }
        Kind::Load => described.pins.insert(Pins::LIBRARY),
        _ => {}
    }
}

fn settings_outcome(command: SettingCommand) -> Outcome {
    let set = |(name, value): (String, SettingValue)| match value {
        SettingValue::Default => Change::Reset { name: name.into() },
        value => Change::Set { replay: replay_sql(&name, &value).into(), name: name.into() },
    };
    match command {
        SettingCommand::Set { scope: Scope::Local, name, .. } if is_custom(&name) => {
            Outcome::Settings(vec![Change::Know { name: name.into() }])
        }
        SettingCommand::Set { scope: Scope::Local, .. } => Outcome::Nothing,
        SettingCommand::Set { name, value, .. } => Outcome::Settings(vec![set((name, value))]),
        SettingCommand::Characteristics(list) => Outcome::Settings(list.into_iter().map(set).collect()),
        SettingCommand::Reset { name } => Outcome::Settings(vec![Change::Reset { name: name.into() }]),
        SettingCommand::ResetAll => Outcome::Settings(vec![Change::ResetAll { identity: false }]),
    }
}

fn config_change(call: ConfigCall) -> Option<Change> {
    match call.value {
        ConfigValue::Session(value) => {
            let replay = replay_sql(&call.name, &SettingValue::Text(value)).into();
            Some(Change::Set { replay, name: call.name.into() })
        }
        ConfigValue::Local => is_custom(&call.name).then(|| Change::Know { name: call.name.into() }),
    }
}

fn by_prepared(text: &[u8], kind: Kind, scs: bool, described: &mut Described) {
    match parse_prepared(text, kind, scs) {
        Some(PreparedCommand::Prepare(name)) => {
            refer(described, &name.name, Need::Name);
            described.outcome = Outcome::Prepare { name: name.name.into(), sql: text.into() };
        }
        Some(PreparedCommand::Execute(name) | PreparedCommand::NestedExecute(name)) => {
            refer(described, &name.name, Need::Statement);
        }
        Some(PreparedCommand::Deallocate(name)) => {
            refer(described, &name.name, Need::Name);
            described.outcome = Outcome::Deallocate(name.name.into());
        }
        Some(PreparedCommand::DeallocateAll) => described.outcome = Outcome::DeallocateAll,
        None => {}
    }
}

fn refer(described: &mut Described, name: &[u8], need: Need) {
    described.refers_to.push(Reference { name: name.into(), need });
}

fn by_schema_change(text: &[u8], statement: &ScannedStatement, described: &mut Described) {
    let mut words =
        text.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').filter(|word| !word.is_empty());
    let object = words.nth(1).unwrap_or_default();
    let is = |name: &[u8]| object.eq_ignore_ascii_case(name);
    let changes_defaults =
        statement.kind == Kind::Alter && (is(b"role") || is(b"user") || is(b"database") || is(b"system"));
    described.outcome = Outcome::SchemaChange { defaults: changes_defaults };
    // Code made in this transaction may run in it, before it is known to all.
    let has_code = text.windows(8).any(|window| window.eq_ignore_ascii_case(b"function"))
        || text.windows(9).any(|window| window.eq_ignore_ascii_case(b"procedure"));
    if statement.kind == Kind::Create && has_code && mentions_session_state(text) {
        described.pins.insert(Pins::OPAQUE);
    }
}

fn by_effects(text: &[u8], statement: &ScannedStatement, scs: bool, described: &mut Described) {
    let effects = statement.effects;
    if !effects.intersects(SESSION_EFFECTS) {
        return;
    }
    for (effect, pin) in [
        (Effects::ADVISORY, Pins::ADVISORY),
        (Effects::SETSEED, Pins::SEED),
        (Effects::HOLD, Pins::HOLD),
        (Effects::DBLINK, Pins::LIBRARY),
        (Effects::LOAD, Pins::LIBRARY),
        (Effects::UPDATES_SETTINGS, Pins::SETTING),
        (Effects::UNICODE_IDENT, Pins::OPAQUE),
        (Effects::SQL_IN_TEXT, Pins::OPAQUE),
        (Effects::OTHER_STATE, Pins::OPAQUE),
    ] {
        if effects.contains(effect) {
            described.pins.insert(pin);
        }
    }
    if effects.contains(Effects::TEMP) && !effects.contains(Effects::WRITES_TEMP_ON_COMMIT_DROP) {
        described.pins.insert(Pins::TEMP);
    }
    if effects.contains(Effects::SET_CONFIG) {
        match parse_set_config(text, scs) {
            Some(calls) => {
                let changes: Vec<Change> = calls.into_iter().filter_map(config_change).collect();
                if !changes.is_empty() {
                    described.outcome = Outcome::Settings(changes);
                }
            }
            None => described.pins.insert(Pins::SETTING),
        }
    }
    if effects.contains(Effects::EXECUTES_PREPARED) {
        by_prepared(text, statement.kind, scs, described);
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
    if hidden.names.is_empty() {
        return;
    }
    let writes = may_run_code(statement.kind) && !matches!(statement.kind, Kind::Select | Kind::Fetch);
    let lower = text.to_ascii_lowercase();
    let named = |name: &str| memchr::memmem::find(&lower, name.as_bytes()).is_some();
    let runs_unnamed = match hidden.reach {
        Reach::Named => false,
        Reach::Writes => writes,
        Reach::Any => may_run_code(statement.kind),
    };
    if runs_unnamed || hidden.names.iter().any(|name| named(name)) {
        described.pins.insert(Pins::OPAQUE);
    }
}

/// Whether running the statement may run code in the database: a deferred trigger runs at COMMIT, but its
/// write was seen before.
fn may_run_code(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Begin
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
            | Kind::Listen
            | Kind::Notify
    )
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
