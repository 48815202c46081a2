//! Bytes between one client and one server connection, in both directions at once.
//!
//! Rows go from socket to socket without being copied or decoded: only the messages that the session
//! has to know of are looked at. Where the client reads slowly, the server is not read.

use super::client::Client;
use crate::backend::ServerConnection;
use crate::net::stream::Stream;
use crate::protocol::backend;
use crate::protocol::frame::{self, HEADER_LEN};
use crate::session::expected::Expected;
use crate::session::{Session, Shared, Verdict};
use crate::sql::scan::Statements;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;
/// While more than this waits to be sent to the server, the client is not read.
const SERVER_BACKLOG_MAX: usize = 256 * 1024;
/// Where at least this much input waits to be processed, the client is not read.
const INPUT_BACKLOG_MAX: usize = 256 * 1024;

/// Messages of a server up to this length are forwarded whole.
const KEPT_MAX: usize = 16 * 1024;

/// Buffers that a thread's clients use in turn, so that an idle one holds none.
pub(super) struct Scratch {
    chunk: Box<[u8]>,
    /// For the lexer.
    pub(super) scanned: Statements,
}

impl Scratch {
    /// Room to read into.
    pub(super) fn chunk(&mut self) -> &mut [u8] {
        &mut self.chunk
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> =
        RefCell::new(Scratch { chunk: vec![0; CHUNK].into(), scanned: Statements::default() });
}

/// Lends the thread's buffers for one synchronous step.
pub(super) fn with_scratch<R>(step: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with_borrow_mut(step)
}

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    /// Input from the client is there.
    Input,
    /// The server owes nothing more, and everything was told.
    Settled,
    /// The client is gone.
    ClientGone,
    /// The server connection is gone or makes no sense. `in_message`: the client was told a part of a
    /// message.
    ServerGone {
        /// Part of a message was forwarded.
        in_message: bool,
        /// What the server did wrong, if it is not simply gone.
        reason: Option<&'static str>,
    },
}

impl Client {
    /// Moves bytes until there is something to decide.
    pub(super) fn poll_relay(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            match self.poll_flush_client(cx) {
                Poll::Ready(Ok(())) if self.is_leaving && self.is_quiet() => {
                    return Poll::Ready(Event::ClientGone);
                }
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Event::ClientGone),
                Poll::Pending => {}
            }
            let mut progress = false;
            if let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) {
                if !connection.out.is_empty()
                    && let Poll::Ready(Err(_)) = connection.poll_flush(cx)
                {
                    // What it said before it went may still be there to read.
                    connection.out.clear();
                    connection.sent = 0;
                }
                if self.out.is_empty() {
                    match self.poll_server(cx) {
                        Poll::Ready(Some(event)) => return Poll::Ready(event),
                        Poll::Ready(None) => progress = true,
                        Poll::Pending => {}
                    }
                }
            }
            if self.is_held && !self.is_congested() {
                self.is_held = false;
                return Poll::Ready(Event::Input);
            }
            match self.poll_input(cx) {
                Poll::Ready(event) => return Poll::Ready(event),
                Poll::Pending if progress => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Sends what waits for the client.
    pub(super) fn poll_flush_client(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.out.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    self.sent += n;
                    self.sent_bytes += n;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.sent = 0;
        if self.out.capacity() > 16 * 1024 {
            self.out = Vec::new();
        } else {
            self.out.clear();
        }
        if self.stream.is_tls() {
            return Pin::new(&mut self.stream).poll_flush(cx);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads the client, unless too much of it waits already.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let backlog = self
            .lease
            .as_mut()
            .and_then(|lease| lease.connection())
            .map_or(0, |connection| connection.unsent());
        let waiting = self.input.len() - self.consumed.min(self.input.len());
        if self.is_leaving || backlog > SERVER_BACKLOG_MAX || waiting > INPUT_BACKLOG_MAX.max(self.wanted) {
            return Poll::Pending;
        }
        with_scratch(|scratch| {
            let mut buffer = ReadBuf::new(&mut scratch.chunk);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(_)) => Poll::Ready(Event::ClientGone),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(Event::ClientGone),
                Poll::Ready(Ok(())) => {
                    self.received_bytes += buffer.filled().len();
                    self.input.extend_from_slice(buffer.filled());
                    Poll::Ready(Event::Input)
                }
            }
        })
    }

    /// Reads the server once. `None`: bytes moved, and nothing is to be decided.
    fn poll_server(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let Client { stream, out, session, service, lease, sent_bytes, .. } = self;
        let Some(connection) = lease.as_mut().and_then(|lease| lease.connection()) else {
            return Poll::Pending;
        };
        with_scratch(|scratch| {
            // The start of a short message goes before its rest, so that they are whole in the chunk.
            let kept = connection.partial.len();
            let kept = if kept <= KEPT_MAX { kept } else { 0 };
            let (head, space) = scratch.chunk.split_at_mut(kept);
            let n = match connection.poll_read(cx, space) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(n)) if n > 0 => n,
                Poll::Ready(_) => {
                    return Poll::Ready(Some(Event::ServerGone {
                        in_message: connection.passing > 0,
                        reason: None,
                    }));
                }
            };
            head.copy_from_slice(connection.partial.get(..kept).unwrap_or_default());
            if kept > 0 {
                connection.partial.clear();
            }
            let chunk = scratch.chunk.get(..kept + n).unwrap_or_default();
            let mut taken = Take { session, shared: &service.shared, connection, out };
            let run = match taken.take(chunk) {
                Ok(run) => run,
                Err(reason) => {
                    return Poll::Ready(Some(Event::ServerGone {
                        in_message: taken.connection.passing > 0,
                        reason: Some(reason),
                    }));
                }
            };
            let settled =
                connection.state.is_quiet() && connection.passing == 0 && connection.partial.is_empty();
            if let Err(event) = send_run(stream, out, run, sent_bytes, cx) {
                return Poll::Ready(Some(event));
            }
            Poll::Ready(settled.then_some(Event::Settled))
        })
    }
}

/// Sends `run` after what waits in `out`; what the client does not take yet waits there.
fn send_run(
    stream: &mut Stream,
    out: &mut Vec<u8>,
    run: &[u8],
    sent_bytes: &mut usize,
    cx: &mut Context<'_>,
) -> Result<(), Event> {
    let mut rest = run;
    if out.is_empty() {
        while !rest.is_empty() {
            match Pin::new(&mut *stream).poll_write(cx, rest) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    *sent_bytes += n;
                    rest = rest.get(n..).unwrap_or_default();
                }
                Poll::Ready(_) => return Err(Event::ClientGone),
                Poll::Pending => break,
            }
        }
        if stream.is_tls() && rest.is_empty() {
            let _flushed_or_waits = Pin::new(&mut *stream).poll_flush(cx);
        }
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// One chunk of server bytes on its way.
struct Take<'a> {
    session: &'a mut Session,
    shared: &'a Shared,
    connection: &'a mut ServerConnection,
    out: &'a mut Vec<u8>,
}

impl Take<'_> {
    /// Goes through the chunk's messages. What is to be forwarded unchanged is returned as long as it
    /// is one run at the chunk's end; what comes before something else is copied to `out`.
    fn take<'c>(&mut self, chunk: &'c [u8]) -> Result<&'c [u8], &'static str> {
        let mut at = 0;
        if self.connection.passing > 0 {
            at = self.connection.passing.min(chunk.len());
            self.connection.passing -= at;
        }
        let mut run_start = 0;
        if !self.connection.partial.is_empty() {
            at = self.complete_partial(chunk)?;
            run_start = at;
        }
        while let Some(rest) = chunk.get(at..).filter(|rest| !rest.is_empty()) {
            let header = frame::header(rest).map_err(|_| "a message of invalid length")?;
            let Some(header) = header else {
                self.connection.partial.extend_from_slice(rest);
                return Ok(chunk.get(run_start..at).unwrap_or_default());
            };
            if self.is_row_for_client(header.tag) {
                if header.frame_len > rest.len() && header.frame_len <= KEPT_MAX {
                    // Should the server be lost now, the client is not left with half a message.
                    self.connection.partial.extend_from_slice(rest);
                    return Ok(chunk.get(run_start..at).unwrap_or_default());
                }
                if header.frame_len > rest.len() {
                    self.connection.passing = header.frame_len - rest.len();
                    at = chunk.len();
                } else {
                    at += header.frame_len;
                }
                continue;
            }
            let Some(body) = rest.get(HEADER_LEN..header.frame_len) else {
                self.connection.partial.extend_from_slice(rest);
                return Ok(chunk.get(run_start..at).unwrap_or_default());
            };
            if header.tag == backend::ERROR_RESPONSE {
                self.out.extend_from_slice(chunk.get(run_start..at).unwrap_or_default());
                run_start = at;
            }
            let end = at + header.frame_len;
            match self.control(header.tag, body)? {
                Verdict::Forward => {}
                Verdict::Swallow => {
                    // A replacement is in `out` already, and only an error has one: nothing stood between.
                    self.out.extend_from_slice(chunk.get(run_start..at).unwrap_or_default());
                    run_start = end;
                }
            }
            at = end;
            if self.connection.state.owes_synthetic() {
                self.out.extend_from_slice(chunk.get(run_start..at).unwrap_or_default());
                run_start = at;
                Session::synthetic(&mut self.connection.state, self.out);
            }
        }
        Ok(chunk.get(run_start..).unwrap_or_default())
    }

    fn is_row_for_client(&self, tag: u8) -> bool {
        matches!(tag, backend::DATA_ROW | backend::COPY_DATA)
            && self.connection.state.expected.front().is_some_and(Expected::is_shown)
    }

    fn control(&mut self, tag: u8, body: &[u8]) -> Result<Verdict, &'static str> {
        self.session
            .backend(tag, body, &mut self.connection.state, self.shared, self.out)
            .map_err(|_| "a message that answers nothing")
    }

    /// Adds to a message that began in an earlier chunk; how far the chunk was used up.
    fn complete_partial(&mut self, chunk: &[u8]) -> Result<usize, &'static str> {
        let mut at = 0;
        let have = self.connection.partial.len();
        if have < HEADER_LEN {
            at = (HEADER_LEN - have).min(chunk.len());
            self.connection.partial.extend_from_slice(chunk.get(..at).unwrap_or_default());
        }
        let header = frame::header(&self.connection.partial).map_err(|_| "a message of invalid length")?;
        let Some(header) = header else { return Ok(at) };
        let partial_len = self.connection.partial.len();
        let missing = header.frame_len.saturating_sub(partial_len);
        let rest = chunk.get(at..).unwrap_or_default();
        if self.is_row_for_client(header.tag) {
            // It need not be whole to be passed on.
            let partial = std::mem::take(&mut self.connection.partial);
            self.out.extend_from_slice(&partial);
            let part = missing.min(rest.len());
            self.out.extend_from_slice(rest.get(..part).unwrap_or_default());
            self.connection.passing = missing - part;
            return Ok(at + part);
        }
        let part = missing.min(rest.len());
        self.connection.partial.extend_from_slice(rest.get(..part).unwrap_or_default());
        at += part;
        if part < missing {
            return Ok(at);
        }
        let partial = std::mem::take(&mut self.connection.partial);
        let body = partial.get(HEADER_LEN..).unwrap_or_default();
        if self.control(header.tag, body)? == Verdict::Forward {
            self.out.extend_from_slice(&partial);
        }
        if self.connection.state.owes_synthetic() {
            Session::synthetic(&mut self.connection.state, self.out);
        }
        Ok(at)
    }
}
