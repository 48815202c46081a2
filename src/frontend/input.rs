//! What the client has sent: message by message, to whoever takes it; and what has to wait.

use super::client::{Client, End};
use super::relay::with_scratch;
use crate::error::SqlError;
use crate::protocol::frame::{self, HEADER_LEN};
use crate::protocol::{frontend, write};
use crate::session::server_state::Copy;
use crate::session::{Tools, query_text};
use crate::sql::scan::scan;
use std::ops::Range;

/// Limit of the messages that Postgres limits likewise, in bytes.
const SMALL_MESSAGE_MAX: usize = 10_000;

/// While more bytes than this wait to be sent to the server, it is given no more messages.
pub(super) const UNSENT_MAX: usize = 1024 * 1024;

/// While the server owes more replies than this, it is given no more messages.
pub(super) const OWED_MAX: usize = 16 * 1024;

/// Asks the server to send what it has answered.
const FLUSH: &[u8] = &[frontend::FLUSH, 0, 0, 0, 4];

/// Why input waits that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It does not.
    No,
    /// The server has enough to do.
    Congested,
    /// What the next message means depends on what the server has yet to answer.
    Unsettled,
    /// A cancel request is on its way that meant what was sent before.
    Cancelling,
}

impl Client {
    /// The next whole message: its place in `input`.
    fn next_frame(&mut self) -> Result<Option<(u8, Range<usize>)>, SqlError> {
        let large = self.limits().message_size_max;
        let rest = self.input.get(self.consumed..).unwrap_or_default();
        let header = frame::header(rest).map_err(|bad| SqlError::protocol(bad.to_string()))?;
        let Some(header) = header else { return Ok(None) };
        let max = message_max(header.tag, large)?;
        if header.frame_len > max {
            return Err(SqlError::protocol(format!(
                "message of type 0x{:02X} has {} bytes: at most {max} are allowed",
                header.tag, header.frame_len
            )));
        }
        if rest.len() < header.frame_len {
            self.wanted = header.frame_len;
            return Ok(None);
        }
        self.wanted = 0;
        Ok(Some((header.tag, self.consumed..self.consumed + header.frame_len)))
    }

    /// Goes through the whole messages that are there.
    pub(super) async fn process_input(&mut self) -> Result<(), End> {
        loop {
            if self.pass_copy_data() {
                if self.copy_passing == 0 {
                    // The COPY may have failed, and all been answered, while this was on its way.
                    self.settle();
                }
                continue;
            }
            if self.copy_passing > 0 {
                break;
            }
            let Some((tag, frame)) = self.next_frame()? else { break };
            if self.is_congested() {
                self.hold(Held::Congested);
                break;
            }
            if self.handle.is_being_cancelled() && self.lease.is_some() && self.is_quiet() {
                // The request meant what was sent before.
                self.hold(Held::Cancelling);
                break;
            }
            match tag {
                frontend::TERMINATE if !self.is_copying_in() => {
                    self.is_leaving = true;
                    self.consumed = self.input.len();
                    return Ok(());
                }
                _ if self.untold.is_some() && asks(tag) && !self.session.is_skipping() => {
                    let error = self.untold.take().filter(|_| !self.is_rollback(frame.clone()));
                    let Some(error) = error else { continue };
                    self.tell_failure(tag, &error)?;
                }
                _ if self.routed.is_some() => {
                    let Some(end) = self.route(tag, frame.clone()).await? else { break };
                    self.consumed = end;
                    continue;
                }
                _ if self.answers_alone(tag)? => {}
                _ => {
                    if !self.ensure_server(tag).await? {
                        self.consumed = frame.end;
                        continue;
                    }
                    let taken = self.forward(frame.start..self.input.len())?;
                    if taken == frame.start {
                        self.hold(Held::Unsettled);
                        break;
                    }
                    self.consumed = taken;
                    continue;
                }
            }
            self.consumed = frame.end;
        }
        if self.lease.is_none() {
            self.compact();
        } else if self.consumed > 64 * 1024 {
            self.forget_consumed();
        }
        Ok(())
    }

    fn is_copying_in(&mut self) -> bool {
        let connection = self.lease.as_mut().and_then(|lease| lease.connection());
        connection.is_some_and(|connection| connection.state.copy == Copy::In)
    }

    /// Whether a message is a Query that ends a block which failed.
    fn is_rollback(&self, frame: Range<usize>) -> bool {
        let bytes = self.input.get(frame).unwrap_or_default();
        bytes.first() == Some(&frontend::QUERY)
            && with_scratch(|scratch| {
                scan(query_text(bytes), true, &mut scratch.scanned);
                let mut statements = scratch.scanned.iter();
                statements.next().is_some_and(|first| first.kind == crate::sql::Kind::Rollback)
            })
    }

    /// Whether the server has enough to do for now.
    pub(super) fn is_congested(&mut self) -> bool {
        self.lease.as_mut().and_then(|lease| lease.connection()).is_some_and(|connection| {
            let owes_too_much = connection.state.expected.len() > OWED_MAX;
            connection.unsent() > UNSENT_MAX || (owes_too_much && !connection.state.awaits_messages())
        })
    }

    /// Input waits. What the server owes is asked for, lest it keep it until a Sync that waits too.
    pub(super) fn hold(&mut self, held: Held) {
        self.held = held;
        self.ask_for_replies();
    }

    /// Before a wait: a server keeps its answers until Sync, or until it is told to send them.
    pub(super) fn ask_for_replies(&mut self) {
        if let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection())
            && connection.state.keeps_answers()
            && !connection.out.ends_with(FLUSH)
        {
            connection.out.extend_from_slice(FLUSH);
        }
    }

    /// Whether input may go on that was held.
    pub(super) fn may_go_on(&mut self) -> bool {
        match self.held {
            Held::No => false,
            Held::Congested => !self.is_congested(),
            Held::Cancelling => !self.handle.is_being_cancelled(),
            Held::Unsettled => {
                let connection = self.lease.as_mut().and_then(|lease| lease.connection());
                connection.is_none_or(|connection| connection.state.awaits_messages())
            }
        }
    }

    /// Passes on what is there of a CopyData message, before it is whole; whether anything was done.
    fn pass_copy_data(&mut self) -> bool {
        let large = self.limits().message_size_max;
        let rest = self.input.get(self.consumed..).unwrap_or_default();
        let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) else {
            // Its server is gone: the rest of the message is for nobody.
            let part = self.copy_passing.min(rest.len());
            self.copy_passing -= part;
            self.consumed += part;
            return part > 0;
        };
        if self.copy_passing == 0 {
            let Ok(Some(header)) = frame::header(rest) else { return false };
            let is_long = header.tag == frontend::COPY_DATA && header.frame_len > rest.len();
            if !is_long || connection.state.copy != Copy::In || header.frame_len < 32 * 1024 {
                return false;
            }
            if header.frame_len > large {
                return false;
            }
            self.copy_passing = header.frame_len;
        }
        let part = self.copy_passing.min(rest.len());
        if part == 0 {
            return false;
        }
        if connection.unsent() > UNSENT_MAX {
            self.held = Held::Congested;
            return false;
        }
        connection.out.extend_from_slice(rest.get(..part).unwrap_or_default());
        self.copy_passing -= part;
        self.consumed += part;
        true
    }

    /// Messages that need no server when none is held.
    fn answers_alone(&mut self, tag: u8) -> Result<bool, End> {
        if self.lease.is_some() {
            return Ok(false);
        }
        match tag {
            frontend::SYNC => {
                self.session.set_skipping(false);
                write::ready_for_query(&mut self.out, self.session.status());
                Ok(true)
            }
            _ if self.session.is_skipping() => Ok(true),
            // As Postgres: what is left of a COPY that failed is ignored.
            frontend::FLUSH | frontend::COPY_DATA | frontend::COPY_DONE | frontend::COPY_FAIL => Ok(true),
            frontend::PARSE if self.parse_alone() => {
                write::message(&mut self.out, crate::protocol::backend::PARSE_COMPLETE, |_| ());
                Ok(true)
            }
            frontend::QUERY
            | frontend::PARSE
            | frontend::BIND
            | frontend::DESCRIBE
            | frontend::EXECUTE
            | frontend::CLOSE
            | frontend::FUNCTION_CALL => Ok(false),
            _ => Err(SqlError::protocol(format!("invalid frontend message type {tag}")).into()),
        }
    }

    /// Whether the Parse that comes next can be answered without a server.
    fn parse_alone(&mut self) -> bool {
        let Client { input, consumed, session, service, database, .. } = self;
        let rest = input.get(*consumed..).unwrap_or_default();
        let Ok(Some(header)) = frame::header(rest) else { return false };
        let bytes = rest.get(..header.frame_len).unwrap_or_default();
        if bytes.get(HEADER_LEN) == Some(&0) {
            // Without a name.
            return false;
        }
        let hidden = database.hidden();
        with_scratch(|scratch| {
            let mut tools = Tools {
                shared: &service.shared,
                scanned: &mut scratch.scanned,
                hidden: &hidden,
                prepared_statements_max: database.prepared_statements_max,
            };
            session.parse_without_server(bytes, &mut tools)
        })
    }
}

/// Whether a message asks for something that a failed block refuses.
pub(super) fn asks(tag: u8) -> bool {
    !matches!(
        tag,
        frontend::SYNC | frontend::FLUSH | frontend::COPY_DATA | frontend::COPY_DONE | frontend::COPY_FAIL
    )
}

/// The longest frame of a type that is taken.
pub(super) fn message_max(tag: u8, large: usize) -> Result<usize, SqlError> {
    match tag {
        frontend::QUERY
        | frontend::PARSE
        | frontend::BIND
        | frontend::FUNCTION_CALL
        | frontend::COPY_DATA => Ok(large),
        frontend::COPY_FAIL
        | frontend::CLOSE
        | frontend::DESCRIBE
        | frontend::EXECUTE
        | frontend::FLUSH
        | frontend::SYNC
        | frontend::TERMINATE
        | frontend::COPY_DONE => Ok(SMALL_MESSAGE_MAX + HEADER_LEN),
        _ => Err(SqlError::protocol(format!("invalid frontend message type {tag}"))),
    }
}
