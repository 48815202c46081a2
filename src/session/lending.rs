//! What of a session is put on a server connection when it is lent to the client, and what is left on it.

use super::Session;
use super::server_state::ServerState;
use super::settings::{Settings, transition_sql};
use std::sync::Arc;

impl Session {
    /// Whether the connection may go back to the pool now.
    pub fn may_release(&self, server: &ServerState) -> bool {
        server.is_clean() && self.pins.is_empty()
    }

    /// Whether the server can be given the client's settings.
    pub fn suits(&self, server: &ServerState) -> bool {
        Session::suits_settings(self.tracker.current(), server)
    }

    /// Whether the server can be given these settings.
    pub fn suits_settings(wanted: &Arc<Settings>, server: &ServerState) -> bool {
        Settings::same(&server.settings, wanted) || !server.settings.has_custom_beyond(wanted)
    }

    /// SQL that makes the server's settings the client's; `None` when they are.
    ///
    /// To be run, and waited for, while the server owes nothing: a statement must not run under the
    /// settings of another.
    pub fn settings_to_apply(&self, server: &ServerState) -> Option<Vec<u8>> {
        if Settings::same(&server.settings, self.tracker.current()) {
            return None;
        }
        Some(transition_sql(&server.settings, self.tracker.current()))
    }

    /// The settings of [`Self::settings_to_apply`] were applied.
    pub fn settings_applied(&self, server: &mut ServerState) {
        server.settings = Arc::clone(self.tracker.current());
    }

    /// The settings as they were before the open transaction, to which it returns when it is rolled back.
    pub fn settings_before_block(&self) -> &Arc<Settings> {
        self.tracker.committed()
    }

    /// Tells the client what the server's parameters are, where they differ from what it was told.
    pub fn tell_parameters(&mut self, server: &ServerState, to_client: &mut Vec<u8>) {
        if !Arc::ptr_eq(&self.parameters, &server.parameters) {
            server.parameters.write_changes(&self.parameters, to_client);
            self.parameters = Arc::clone(&server.parameters);
        }
    }

    /// Before the connection goes back: nothing of the client's is left but what `server` says.
    pub fn leave(&self, server: &mut ServerState) {
        server.shrink();
        let current = self.tracker.current();
        if !Arc::ptr_eq(&server.settings, current) && current.has_custom_beyond(&server.settings) {
            // A block over several shards sets them on each.
            server.settings = Arc::new(server.settings.knowing(current));
        }
    }
}
