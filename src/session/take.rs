//! Chunks of a server's bytes on their way to a client.
//!
//! Rows are passed on undecoded, in runs as long as the chunk has them; the messages that the session has to know
//! of are shown to it. It owns no socket: how a chunk is cut changes nothing of what the client gets.

use super::expected::Expected;
use super::server_state::ServerState;
use super::{Session, Shared, Verdict};
use crate::protocol::backend;
use crate::protocol::frame::{self, HEADER_LEN};

/// Messages of a server up to this length are forwarded whole.
pub const KEPT_MAX: usize = 16 * 1024;

/// One chunk of server bytes on its way to the client.
#[derive(Debug)]
pub struct Take<'a> {
    /// The client's session.
    pub session: &'a mut Session,
    /// Process-wide tables.
    pub shared: &'a Shared,
    /// What the server owes.
    pub server: &'a mut ServerState,
    /// The start of a message whose rest was not read yet.
    pub partial: &'a mut Vec<u8>,
    /// Bytes of a message's body that are to be passed on as they come.
    pub passing: &'a mut usize,
    /// What goes to the client before the run that [`Take::take`] returns.
    pub out: &'a mut Vec<u8>,
}

impl Take<'_> {
    /// Goes through the chunk's messages. What is to be forwarded unchanged is returned as long as it
    /// is one run at the chunk's end; what comes before something else is copied to `out`.
    ///
    /// # Errors
    /// What the server did wrong, in words: the connection's state is unknown, and it must be closed.
    pub fn take<'c>(&mut self, chunk: &'c [u8]) -> Result<&'c [u8], &'static str> {
        let mut at = 0;
        if *self.passing > 0 {
            at = (*self.passing).min(chunk.len());
            *self.passing -= at;
        }
        let mut run_start = 0;
        if !self.partial.is_empty() {
            at = self.complete_partial(chunk)?;
            run_start = at;
        }
        while let Some(rest) = chunk.get(at..).filter(|rest| !rest.is_empty()) {
            let header = frame::header(rest).map_err(|_| "a message of invalid length")?;
            let Some(header) = header else {
                self.partial.extend_from_slice(rest);
                return Ok(chunk.get(run_start..at).unwrap_or_default());
            };
            if self.is_row_for_client(header.tag) {
                if header.frame_len > rest.len() && header.frame_len <= KEPT_MAX {
                    // Should the server be lost now, the client is not left with half a message.
                    self.partial.extend_from_slice(rest);
                    return Ok(chunk.get(run_start..at).unwrap_or_default());
                }
                if header.frame_len > rest.len() {
                    *self.passing = header.frame_len - rest.len();
                    at = chunk.len();
                } else {
                    at += header.frame_len;
                }
                continue;
            }
            let Some(body) = rest.get(HEADER_LEN..header.frame_len) else {
                self.partial.extend_from_slice(rest);
                return Ok(chunk.get(run_start..at).unwrap_or_default());
            };
            let may_be_replaced = match header.tag {
                backend::ERROR_RESPONSE | backend::NOTIFICATION_RESPONSE => true,
                backend::ROW_DESCRIPTION => self.server.oids.is_some(),
                _ => false,
            };
            if may_be_replaced {
                self.out.extend_from_slice(chunk.get(run_start..at).unwrap_or_default());
                run_start = at;
            }
            let end = at + header.frame_len;
            match self.control(header.tag, body)? {
                Verdict::Forward => {}
                Verdict::Swallow => {
                    // A replacement is in `out` already; before those that may have one nothing was left.
                    self.out.extend_from_slice(chunk.get(run_start..at).unwrap_or_default());
                    run_start = end;
                }
            }
            at = end;
            if self.server.owes_synthetic() {
                self.out.extend_from_slice(chunk.get(run_start..at).unwrap_or_default());
                run_start = at;
                Session::synthetic(self.server, self.out);
            }
        }
        Ok(chunk.get(run_start..).unwrap_or_default())
    }

    fn is_row_for_client(&self, tag: u8) -> bool {
        matches!(tag, backend::DATA_ROW | backend::COPY_DATA)
            && self.server.expected.front().is_some_and(Expected::is_shown)
    }

    fn control(&mut self, tag: u8, body: &[u8]) -> Result<Verdict, &'static str> {
        self.session
            .backend(tag, body, self.server, self.shared, self.out)
            .map_err(|_| "a message that answers nothing")
    }

    /// Adds to a message that began in an earlier chunk; how far the chunk was used up.
    fn complete_partial(&mut self, chunk: &[u8]) -> Result<usize, &'static str> {
        let mut at = 0;
        let have = self.partial.len();
        if have < HEADER_LEN {
            at = (HEADER_LEN - have).min(chunk.len());
            self.partial.extend_from_slice(chunk.get(..at).unwrap_or_default());
        }
        let header = frame::header(self.partial).map_err(|_| "a message of invalid length")?;
        let Some(header) = header else { return Ok(at) };
        let partial_len = self.partial.len();
        let missing = header.frame_len.saturating_sub(partial_len);
        let rest = chunk.get(at..).unwrap_or_default();
        if self.is_row_for_client(header.tag) {
            // It need not be whole to be passed on.
            let partial = std::mem::take(self.partial);
            self.out.extend_from_slice(&partial);
            let part = missing.min(rest.len());
            self.out.extend_from_slice(rest.get(..part).unwrap_or_default());
            *self.passing = missing - part;
            return Ok(at + part);
        }
        let part = missing.min(rest.len());
        self.partial.extend_from_slice(rest.get(..part).unwrap_or_default());
        at += part;
        if part < missing {
            return Ok(at);
        }
        let partial = std::mem::take(self.partial);
        let body = partial.get(HEADER_LEN..).unwrap_or_default();
        if self.control(header.tag, body)? == Verdict::Forward {
            self.out.extend_from_slice(&partial);
        }
        if self.server.owes_synthetic() {
            Session::synthetic(self.server, self.out);
        }
        Ok(at)
    }
}
