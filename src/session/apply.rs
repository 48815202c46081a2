//! What a statement that has succeeded does to the session, and to what is known of the server's.

use super::outcome::Outcome;
use super::pin::Pins;
use super::server_state::ServerState;
use super::settings::{Change, KNOWN, Settings};
use super::statements::{Origin, Statement, Traits};
use super::{SchemaNews, Session, Shared};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

impl Session {
    pub(super) fn apply(&mut self, outcome: Outcome, server: &mut ServerState, shared: &Shared) {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Settings(changes) => {
                for change in changes {
                    self.apply_setting(&change, server, shared);
                }
            }
            Outcome::Savepoint(name) => self.tracker.savepoint(&name),
            Outcome::Release(name) => self.tracker.release(&name),
            Outcome::RollbackTo(name) => {
                self.tracker.rollback_to(&name);
                server.settings = Arc::clone(self.tracker.current());
            }
            Outcome::Prepare { name, sql } => {
                let id = shared.statements.next_id();
                let statement = Arc::new(Statement {
                    id,
                    server_name: name.clone(),
                    sql,
                    tail: Box::default(),
                    origin: Origin::Sql,
                    outcome: Outcome::Nothing,
                    pins: Pins::default(),
                    refers_to: Vec::new(),
                    traits: Traits::default(),
                    is_proven: AtomicBool::new(false),
                    columns: OnceLock::new(),
                });
                server.named.insert(name.clone(), id);
                self.names().statements.insert(name, statement);
            }
            Outcome::Deallocate(name) => {
                server.named.remove(&name);
                if let Some(names) = &mut self.names {
                    names.statements.remove(&name);
                }
            }
            Outcome::DeallocateAll => {
                server.prepared.clear();
                server.named.clear();
                self.forget_statements();
            }
            Outcome::DiscardAll => {
                self.apply_setting(&Change::ResetAll { identity: true }, server, shared);
                server.prepared.clear();
                server.named.clear();
                server.sequence_owner = 0;
                self.sequence_used = false;
                self.forget_statements();
                server.is_spoilt |= !self.pins.ends_with_discard_all();
                let mut pins = Pins::ALL;
                pins.remove(Pins::SESSION);
                self.pins_ending = pins;
            }
            Outcome::Pin(pins) => self.pin(pins),
            Outcome::Unpin(pins) => self.pins_ending.insert(pins),
            Outcome::SchemaChange { defaults } => {
                // Now, so that this client's next Parse is fresh; and again at the end of the
                // transaction, so that nobody's older view of it is shared.
                shared.statements.schema_changed();
                self.schema = SchemaNews::Changed;
                self.defaults_changed |= defaults;
            }
        }
    }

    pub(super) fn apply_setting(&mut self, change: &Change, server: &mut ServerState, shared: &Shared) {
        self.tracker.apply(change, &shared.settings);
        match change {
            Change::Set { .. } => server.settings = Arc::clone(self.tracker.current()),
            Change::Reset { name } => {
                // The server went back to its own default, which the startup packet may have changed.
                let left = shared.settings.intern(server.settings.reset(name));
                server.settings = left;
                if self.tracker.startup().get(name).is_none() {
                    server.settings = Arc::clone(self.tracker.current());
                }
            }
            Change::Know { name } => {
                if server.settings.get(name).is_none() {
                    server.settings = shared.settings.intern(server.settings.with(name, KNOWN));
                }
            }
            Change::ResetAll { identity } => {
                let mut left = Settings::default().knowing(&server.settings);
                if !identity {
                    for name in ["session_authorization", "role"] {
                        if let Some(replay) = server.settings.get(name) {
                            left = left.with(name, replay);
                        }
                    }
                }
                server.settings = shared.settings.intern(left);
            }
        }
    }
}
