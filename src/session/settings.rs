//! A session's settings (SET, startup parameters) as values that can be replayed on another server
//! connection, and how transactions and savepoints make and undo them.
//!
//! Does not parse SQL (`sql::settings` does) and sends nothing.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The settings that differ from what a fresh server connection of the pool has.
///
/// Immutable; equal contents from one [`Interner`] are the same allocation, so that comparing is
/// comparing pointers.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Lower-case name to the SQL statement that sets it, such as `SET timezone TO 'UTC'`; to [`KNOWN`], where a
    /// custom setting is only known by its name.
    values: BTreeMap<Box<str>, Box<[u8]>>,
}

/// Of a custom setting (`my.var`) that has no value any more: after RESET, ROLLBACK or SET LOCAL Postgres says that it
/// is empty, where it was unknown before; and no SQL makes it unknown again.
pub const KNOWN: &[u8] = b"";

/// Whether a setting is one that no extension defines, perhaps.
pub fn is_custom(name: &str) -> bool {
    name.contains('.')
}

impl Settings {
    /// Whether nothing differs from the defaults.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The statement that sets `name`, if it is set.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.values.get(name).map(AsRef::as_ref)
    }

    /// A copy with `name` set by the statement `replay`.
    #[must_use]
    pub fn with(&self, name: &str, replay: &[u8]) -> Settings {
        let mut values = self.values.clone();
        values.insert(name.into(), replay.into());
        Settings { values }
    }

    /// A copy without `name`.
    #[must_use]
    pub fn without(&self, name: &str) -> Settings {
        let mut values = self.values.clone();
        values.remove(name);
        Settings { values }
    }

    /// What RESET leaves where a fresh connection has no value for `name`.
    #[must_use]
    pub fn reset(&self, name: &str) -> Settings {
        if is_custom(name) { self.with(name, KNOWN) } else { self.without(name) }
    }

    /// A copy in which the custom settings of `of` are known, too.
    #[must_use]
    pub fn knowing(&self, of: &Settings) -> Settings {
        let mut values = self.values.clone();
        for name in of.values.keys().filter(|name| is_custom(name)) {
            values.entry(name.clone()).or_insert_with(|| KNOWN.into());
        }
        Settings { values }
    }

    /// Whether this has a custom setting that `to` has not.
    pub fn has_custom_beyond(&self, to: &Settings) -> bool {
        self.values.keys().any(|name| is_custom(name) && !to.values.contains_key(name))
    }

    /// Names and statements, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.values.iter().map(|(name, replay)| (name.as_ref(), replay.as_ref()))
    }

    /// Whether two pointers hold equal settings (a pointer comparison when both are interned).
    pub fn same(a: &Arc<Settings>, b: &Arc<Settings>) -> bool {
        Arc::ptr_eq(a, b) || a == b
    }
}

/// The user identity is changed last and given back first, since other settings may need the
/// privileges of the user that logged in.
const IDENTITY: [&str; 2] = ["session_authorization", "role"];

/// A value of this setting may say only a part of it, and leave the rest as it was.
pub const PARTIAL: &str = "datestyle";

/// SQL that brings a connection from settings `from` to settings `to`; empty when nothing differs.
pub fn transition_sql(from: &Settings, to: &Settings) -> Vec<u8> {
    let mut sql = Vec::new();
    let mut add = |text: &[u8]| {
        if !sql.is_empty() {
            sql.extend_from_slice(b";\n");
        }
        sql.extend_from_slice(text);
    };
    let identity_changes = IDENTITY.iter().any(|name| from.get(name) != to.get(name));
    let plain_changes = from.iter().any(|(name, _)| !IDENTITY.contains(&name) && to.get(name).is_none())
        || to.iter().any(|(name, replay)| !IDENTITY.contains(&name) && from.get(name) != Some(replay));
    let drop_identity = identity_changes || plain_changes;
    if drop_identity && from.get("role").is_some() {
        add(b"RESET ROLE");
    }
    if drop_identity && from.get("session_authorization").is_some() {
        add(b"RESET SESSION AUTHORIZATION");
    }
    for (name, _) in from.iter() {
        if to.get(name).is_none() && !IDENTITY.contains(&name) {
            add(&reset_sql(name));
        }
    }
    for (name, replay) in to.iter() {
        if from.get(name) != Some(replay) && !IDENTITY.contains(&name) {
            match replay {
                KNOWN if from.get(name).is_some() => add(&reset_sql(name)),
                KNOWN => add(&known_sql(name)),
                _ => {
                    if name == PARTIAL && from.get(name).is_some() {
                        add(&reset_sql(name));
                    }
                    add(replay);
                }
            }
        }
    }
    if drop_identity {
        for name in IDENTITY {
            if let Some(replay) = to.get(name) {
                add(replay);
            }
        }
    }
    sql
}

/// `RESET "name"`, with the parts of a custom name quoted one by one.
pub fn reset_sql(name: &str) -> Vec<u8> {
    match name {
        "role" => b"RESET ROLE".to_vec(),
        "session_authorization" => b"RESET SESSION AUTHORIZATION".to_vec(),
        _ => {
            let quoted: Vec<String> =
                name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
            format!("RESET {}", quoted.join(".")).into_bytes()
        }
    }
}

/// Makes a custom setting known that has no value; one that an extension defines stays as it is.
fn known_sql(name: &str) -> Vec<u8> {
    let name = format!("'{}'", name.replace('\'', "''"));
    let value = format!("coalesce(pg_catalog.current_setting({name}, true), '')");
    format!("SELECT pg_catalog.set_config({name}, {value}, true)").into_bytes()
}

/// Gives equal settings one allocation. Shared by all sessions; locked only at login and after a SET.
#[derive(Debug, Default)]
pub struct Interner {
    known: Mutex<HashMap<u64, Vec<Weak<Settings>>>>,
}

impl Interner {
    /// The one allocation for these contents.
    pub fn intern(&self, settings: Settings) -> Arc<Settings> {
        let mut hasher = DefaultHasher::new();
        settings.hash(&mut hasher);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > 4096 {
            known.retain(|_, list| list.iter().any(|weak| weak.strong_count() > 0));
        }
        let list = known.entry(hasher.finish()).or_default();
        list.retain(|weak| weak.strong_count() > 0);
        if let Some(found) = list.iter().filter_map(Weak::upgrade).find(|found| **found == settings) {
            return found;
        }
        let fresh = Arc::new(settings);
        list.push(Arc::downgrade(&fresh));
        fresh
    }
}

/// One change that a statement makes when it succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// SET at session level.
    Set {
        /// Lower-case name.
        name: Box<str>,
        /// Statement that does it again.
        replay: Box<[u8]>,
    },
    /// RESET of one.
    Reset {
        /// Lower-case name.
        name: Box<str>,
    },
    /// SET LOCAL of a custom setting: its name stays known.
    Know {
        /// Lower-case name.
        name: Box<str>,
    },
    /// RESET ALL (keeps the identity), as part of DISCARD ALL also the identity.
    ResetAll {
        /// Whether SESSION AUTHORIZATION and ROLE are reset too.
        identity: bool,
    },
}

/// A session's settings over time: what holds now, and what an error or ROLLBACK goes back to.
#[derive(Debug)]
pub struct Tracker {
    startup: Arc<Settings>,
    committed: Arc<Settings>,
    current: Arc<Settings>,
    savepoints: Vec<(Box<[u8]>, Arc<Settings>)>,
}

impl Tracker {
    /// Starts with the settings of the startup packet, to which RESET returns.
    pub fn new(startup: Arc<Settings>) -> Self {
        Tracker {
            committed: Arc::clone(&startup),
            current: Arc::clone(&startup),
            startup,
            savepoints: Vec::new(),
        }
    }

    /// What holds now.
    pub fn current(&self) -> &Arc<Settings> {
        &self.current
    }

    /// The settings that are committed.
    pub fn committed(&self) -> &Arc<Settings> {
        &self.committed
    }

    /// What the startup packet asked for.
    pub fn startup(&self) -> &Arc<Settings> {
        &self.startup
    }

    /// A statement succeeded that changes settings.
    pub fn apply(&mut self, change: &Change, interner: &Interner) {
        let next = match change {
            Change::Set { name, replay } => {
                let mut next = self.current.with(name, replay);
                if name.as_ref() == "session_authorization" {
                    next = next.without("role");
                }
                next
            }
            Change::Reset { name } => {
                let base = match self.startup.get(name) {
                    Some(replay) => self.current.with(name, replay),
                    None => self.current.reset(name),
                };
                if name.as_ref() == "session_authorization" { base.without("role") } else { base }
            }
            Change::Know { name } if self.current.get(name).is_some() => return,
            Change::Know { name } => self.current.with(name, KNOWN),
            Change::ResetAll { identity } => {
                let mut next = self.startup.knowing(&self.current);
                if !identity {
                    for name in IDENTITY {
                        if let Some(replay) = self.current.get(name) {
                            next = next.with(name, replay);
                        }
                    }
                }
                next
            }
        };
        self.current = interner.intern(next);
    }

    /// What is to be committed of [`PARTIAL`] is this value, as the server reports it.
    pub fn complete_partial(&mut self, value: &[u8], interner: &Interner) {
        let Some(replay) = self.current.get(PARTIAL) else { return };
        if self.committed.get(PARTIAL) == Some(replay) {
            return;
        }
        let mut whole = b"SET \"datestyle\" TO '".to_vec();
        whole.extend(value.iter().filter(|byte| **byte != b'\'' && **byte != b'\\'));
        whole.push(b'\'');
        self.current = interner.intern(self.current.with(PARTIAL, &whole));
    }

    /// Whether settings changed that are not committed.
    pub fn has_changes(&self) -> bool {
        !Arc::ptr_eq(&self.committed, &self.current)
    }

    /// SAVEPOINT succeeded.
    pub fn savepoint(&mut self, name: &[u8]) {
        self.savepoints.push((name.into(), Arc::clone(&self.current)));
    }

    /// RELEASE succeeded.
    pub fn release(&mut self, name: &[u8]) {
        if let Some(at) = self.savepoints.iter().rposition(|(known, _)| known.as_ref() == name) {
            self.savepoints.truncate(at);
        }
    }

    /// ROLLBACK TO succeeded.
    pub fn rollback_to(&mut self, name: &[u8]) {
        if let Some(at) = self.savepoints.iter().rposition(|(known, _)| known.as_ref() == name) {
            if let Some((_, settings)) = self.savepoints.get(at) {
                self.current = going_back(&self.current, settings);
            }
            self.savepoints.truncate(at + 1);
        }
    }

    /// The transaction (explicit or implicit) committed.
    pub fn commit(&mut self) {
        if !Arc::ptr_eq(&self.committed, &self.current) {
            self.committed = Arc::clone(&self.current);
        }
        self.savepoints.clear();
    }

    /// The transaction rolled back.
    pub fn rollback(&mut self) {
        if !Arc::ptr_eq(&self.committed, &self.current) {
            self.current = going_back(&self.current, &self.committed);
            self.committed = Arc::clone(&self.current);
        }
        self.savepoints.clear();
    }
}

/// What holds when `now` is undone: `before`, but what is known stays known.
fn going_back(now: &Settings, before: &Arc<Settings>) -> Arc<Settings> {
    if now.has_custom_beyond(before) { Arc::new(before.knowing(now)) } else { Arc::clone(before) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> Change {
        Change::Set { name: name.into(), replay: format!("SET {name} TO '{value}'").into_bytes().into() }
    }

    #[test]
    fn rollback_returns_to_what_was_committed() {
        let interner = Interner::default();
        let mut tracker = Tracker::new(Arc::default());
        tracker.apply(&set("a", "1"), &interner);
        tracker.commit();
        tracker.apply(&set("a", "2"), &interner);
        tracker.savepoint(b"s");
        tracker.apply(&set("a", "3"), &interner);
        tracker.rollback_to(b"s");
        assert_eq!(tracker.current().get("a"), Some(&b"SET a TO '2'"[..]));
        tracker.rollback();
        assert_eq!(tracker.current().get("a"), Some(&b"SET a TO '1'"[..]));
    }

    #[test]
    fn reset_returns_to_the_startup_packet() {
        let interner = Interner::default();
        let startup = interner.intern(Settings::default().with("a", b"SET a TO 's'"));
        let mut tracker = Tracker::new(Arc::clone(&startup));
        tracker.apply(&set("a", "2"), &interner);
        tracker.apply(&set("role", "x"), &interner);
        tracker.apply(&Change::ResetAll { identity: false }, &interner);
        assert_eq!(tracker.current().get("a"), Some(&b"SET a TO 's'"[..]));
        assert!(tracker.current().get("role").is_some());
        tracker.apply(&Change::ResetAll { identity: true }, &interner);
        assert!(Settings::same(tracker.current(), &startup));
    }

    #[test]
    fn identity_is_dropped_before_and_taken_after_other_settings() {
        let from = Settings::default().with("role", b"SET ROLE 'a'").with("x", b"SET x TO '1'");
        let to = Settings::default().with("role", b"SET ROLE 'b'").with("y", b"SET y TO '2'");
        let sql = String::from_utf8(transition_sql(&from, &to)).unwrap();
        assert_eq!(sql, "RESET ROLE;\nRESET \"x\";\nSET y TO '2';\nSET ROLE 'b'");
        assert!(transition_sql(&to, &to).is_empty());
    }
}
