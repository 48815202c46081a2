//! Bytes between one client and one server connection, in both directions at once.
//!
//! Rows go from socket to socket without being copied or decoded: only the messages that the session
//! has to know of are looked at. Where the client reads slowly, the server is not read.

use super::client::Client;
use super::input::Held;
use super::settling::Settling;
use crate::net::stream::Stream;
use crate::session::take::{KEPT_MAX, Take};
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

/// Buffers that a thread's clients use in turn, so that an idle one holds none.
pub(super) struct Scratch {
    chunk: Box<[u8]>,
    /// For the lexer.
    pub(super) scanned: Statements,
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
                if self.out.is_empty() && self.settling.is_none() {
                    match self.poll_server(cx) {
                        Poll::Ready(Some(event)) => return Poll::Ready(event),
                        Poll::Ready(None) => progress = true,
                        Poll::Pending => {}
                    }
                }
            }
            if self.held != Held::No && self.may_go_on() {
                self.held = Held::No;
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
        if self.settling.is_some() && self.poll_settled(cx).is_pending() {
            return Poll::Pending;
        }
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
    pub(super) fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
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
        let is_timed = self.limits.query_timeout.is_some();
        let Client { stream, out, session, service, database, lease, settling, sent_bytes, handle, .. } =
            self;
        let Some(connection) = lease.as_mut().and_then(|lease| lease.connection()) else {
            return Poll::Pending;
        };
        if connection.state.is_ending {
            // The client has been sent what it said at the end.
            return Poll::Ready(Some(Event::ServerGone { in_message: connection.passing > 0, reason: None }));
        }
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
            let completed = connection.state.completed;
            connection.state.is_expired = is_timed && handle.is_expired();
            let taken = Take {
                session,
                shared: &service.shared,
                server: &mut connection.state,
                partial: &mut connection.partial,
                passing: &mut connection.passing,
                out,
            }
            .take(chunk);
            if is_timed && connection.state.completed != completed {
                // The next one of the message or pipeline begins.
                let done = connection.state.completed.wrapping_sub(completed);
                handle.restart_timer(done, std::time::Instant::now());
            }
            let run = match taken {
                Ok(run) => run,
                Err(reason) => {
                    return Poll::Ready(Some(Event::ServerGone {
                        in_message: connection.passing > 0,
                        reason: Some(reason),
                    }));
                }
            };
            let settled = connection.state.is_quiet()
                && connection.passing == 0
                && connection.partial.is_empty()
                && !connection.state.is_ending;
            if session.take_catalog_changed()
                && let Some(view) = &database.view
            {
                out.extend_from_slice(run);
                *settling = Some(Settling::new(view, out.len()));
                return Poll::Ready(settled.then_some(Event::Settled));
            }
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
