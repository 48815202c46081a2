//! Client messages on their way to the server: the session reads each, and says what is sent.

use super::client::{Client, End};
use super::input::{Held, OWED_MAX, UNSENT_MAX, asks, message_max};
use super::relay::{Event, with_scratch};
use super::routed::Routed;
use crate::error::SqlError;
use crate::protocol::{frame, frontend, write};
use crate::session::server_state::Copy;
use crate::session::{Session, Step, Tools};
use crate::sql::Kind as SqlKind;
use crate::sqlstate;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

impl Client {
    /// Hands the message at the start of `messages` to the session, for the server, and with it those of
    /// the extended protocol that are whole behind it. Returns where the first begins that was not taken: the
    /// one at the start, where it has to wait for answers.
    pub(super) fn forward(&mut self, messages: Range<usize>) -> Result<usize, SqlError> {
        if let Some(newer) = self.database.hidden_if_newer(&self.hidden) {
            self.hidden = newer;
        }
        let large = self.limits().message_size_max;
        let Client { input, session, service, database, hidden, lease, out, .. } = self;
        let Some(connection) = lease.as_mut().and_then(|lease| lease.connection()) else {
            return Ok(messages.end);
        };
        let state = &mut connection.state;
        let mut to_server = std::mem::take(&mut connection.out);
        let sent = connection.sent;
        let mut statements = 0;
        let mut at = messages.start;
        let result = with_scratch(|scratch| {
            let mut tools = Tools {
                shared: &service.shared,
                scanned: &mut scratch.scanned,
                hidden,
                prepared_statements_max: database.prepared_statements_max,
            };
            while let Some((tag, bytes)) = whole(input.get(at..messages.end).unwrap_or_default()) {
                let is_first = at == messages.start;
                let is_taken = is_first
                    || (is_extended(tag)
                        && message_max(tag, large).is_ok_and(|max| bytes.len() <= max)
                        && state.copy == Copy::None
                        && state.expected.len() <= OWED_MAX
                        && to_server.len().saturating_sub(sent) <= UNSENT_MAX);
                if !is_taken {
                    break;
                }
                let step = session.frontend(bytes, state, &mut tools, &mut to_server)?;
                if matches!(tag, frontend::QUERY | frontend::PARSE)
                    && tools
                        .scanned
                        .iter()
                        .any(|one| matches!(one.kind, SqlKind::Create | SqlKind::Alter | SqlKind::Drop))
                {
                    service.directory.leave_databases(bytes);
                }
                if state.owes_synthetic() {
                    Session::synthetic(state, out);
                }
                if step == Step::Held {
                    break;
                }
                statements += match tag {
                    frontend::QUERY => tools.scanned.len(),
                    frontend::EXECUTE | frontend::FUNCTION_CALL => 1,
                    _ => 0,
                };
                at += bytes.len();
            }
            Ok(())
        });
        connection.out = to_server;
        if self.limits.query_timeout.is_some() {
            self.handle.add_statements(u32::try_from(statements).unwrap_or(u32::MAX));
        }
        if self.began.is_none() {
            self.note_start(Instant::now());
        }
        result.map(|()| at)
    }

    /// Forwards all of `messages`, which are whole, and waits where one has to.
    pub(super) async fn forward_in_turn(&mut self, messages: Range<usize>) -> Result<(), End> {
        let mut at = messages.start;
        while at < messages.end {
            let next = self.forward(at..messages.end)?;
            if next == at {
                self.wait_for_answers().await?;
                if self.lease.is_none() {
                    return self.answer_lost(at..messages.end);
                }
            }
            at = next;
        }
        Ok(())
    }

    /// Answers messages that waited for a server which was lost meanwhile, as the client was told.
    fn answer_lost(&mut self, messages: Range<usize>) -> Result<(), End> {
        let is_step = self.routed.as_deref().is_some_and(Routed::is_in_steps);
        let mut at = messages.start;
        while let Some((tag, bytes)) = whole(self.input.get(at..messages.end).unwrap_or_default()) {
            at += bytes.len();
            match tag {
                // Whoever runs the steps tells the rest.
                _ if is_step => {}
                frontend::SYNC => {
                    self.session.set_skipping(false);
                    write::ready_for_query(&mut self.out, self.session.status());
                }
                _ if self.session.is_skipping() || !asks(tag) => {}
                _ => {
                    let error = self.untold.take().map_or_else(lost_before, |error| *error);
                    self.tell_failure(tag, &error)?;
                }
            }
        }
        Ok(())
    }

    async fn wait_for_answers(&mut self) -> Result<(), End> {
        self.hold(Held::Unsettled);
        // Whoever moves the bytes lets go of what is held, too.
        while self.held != Held::No && !self.may_go_on() {
            match self.event_or_kill(None).await? {
                Event::Input | Event::Settled => {}
                Event::ClientGone => return Err(End::Gone),
                Event::ServerGone { in_message, reason } => self.server_gone(in_message, reason)?,
            }
        }
        self.held = Held::No;
        Ok(())
    }

    /// Another database is served from now on.
    pub(super) fn set_database(&mut self, database: Arc<crate::topology::Database>) {
        self.hidden = database.hidden();
        self.database = database;
    }
}

/// What a message is told that was not sent yet when its server was lost.
fn lost_before() -> SqlError {
    SqlError::new(
        sqlstate::CONNECTION_FAILURE,
        "the connection to the server was lost before the message was sent",
    )
}

/// The first message, if it is whole.
fn whole(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let header = frame::header(bytes).ok()??;
    Some((header.tag, bytes.get(..header.frame_len)?))
}

/// Whether a message is of the extended protocol, and may follow others without their answers.
fn is_extended(tag: u8) -> bool {
    matches!(
        tag,
        frontend::PARSE
            | frontend::BIND
            | frontend::DESCRIBE
            | frontend::EXECUTE
            | frontend::CLOSE
            | frontend::SYNC
            | frontend::FLUSH
    )
}
