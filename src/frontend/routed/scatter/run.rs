//! A scatter at work: bytes from shards into the merge, rows from the merge to the client.

use super::super::super::client::{Client, End, killed};
use super::super::super::registry::CancelTarget;
use super::super::super::relay::Event;
use super::Told;
use super::legs::Leg;
use super::messages::{self, Outgoing};
use crate::error::SqlError;
use crate::merge::{Merge, Step, Want};
use crate::protocol::{backend, write};
use crate::session::expected::{Expected, Kind};
use crate::session::{is_cancellation, timeout_error};
use crate::sql::splice::Spliced;
use crate::sqlstate;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::JoinSet;

/// While more than this waits for the client, it gets no more rows.
const CLIENT_BACKLOG_MAX: usize = 64 * 1024;
/// Fewer bytes than this wait for more before they are sent, as in Postgres.
const SEND_MIN: usize = 8 * 1024;
/// How long shards have to take a request to cancel.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(3);

/// The state of a scatter.
#[derive(Debug)]
pub(super) struct Run {
    merge: Merge,
    legs: Vec<Leg>,
    /// The first failure: nothing more goes to the client then.
    failure: Option<Failure>,
    /// The text that the legs were sent, where it is not the client's.
    spliced: Option<Spliced>,
    is_cancelled: bool,
    /// The merge needs nothing more of any leg.
    is_over: bool,
}

/// What ended the statement: a server's ErrorResponse body, or an error of Howdah's own.
#[derive(Debug)]
enum Failure {
    Server(Vec<u8>),
    Own(SqlError),
}

/// Why moving bytes stopped.
pub(super) enum Turn {
    /// No leg owes anything.
    Done,
    /// One failed, while others are at work.
    Failed,
    /// The client's connection is over.
    Ended(End),
}

impl Run {
    /// Puts the messages into the legs' buffers.
    pub(super) fn new(merge: Merge, mut legs: Vec<Leg>, outgoing: Outgoing) -> Run {
        for leg in &mut legs {
            leg.rows = outgoing.rows;
            let Some(connection) = leg.connection() else { continue };
            for kind in &outgoing.kinds {
                connection.state.expected.push_back(Expected::own(*kind));
            }
            connection.state.unnamed = 0;
            connection.state.unsynced = outgoing.rows.is_some();
            connection.out.extend_from_slice(&outgoing.bytes);
        }
        Run { merge, legs, failure: None, spliced: outgoing.spliced, is_cancelled: false, is_over: false }
    }

    /// Where a cancel request has to go.
    pub(super) fn cancel_targets(&mut self) -> Vec<CancelTarget> {
        let target = |leg: &mut Leg| {
            let shard = leg.shard;
            let connection = leg.connection()?;
            Some(CancelTarget { shard, process_id: connection.process_id, secret: connection.secret })
        };
        self.legs.iter_mut().filter_map(target).collect()
    }

    /// Whether the legs were asked to end what they do.
    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled
    }

    /// Ends what the legs still do, and waits until their servers know it.
    pub(super) async fn cancel(&mut self) {
        self.is_cancelled = true;
        let mut requests = JoinSet::new();
        for (at, leg) in self.legs.iter_mut().enumerate() {
            if leg.is_done || !self.merge.is_at_work(at) {
                continue;
            }
            let pool = Arc::clone(leg.lease.pool());
            let Some(connection) = leg.connection() else { continue };
            let (process_id, secret) = (connection.process_id, connection.secret);
            requests.spawn(async move {
                let sent = crate::backend::connect::cancel(pool.manager().target(), process_id, secret).await;
                if let Err(error) = sent {
                    tracing::debug!(%error, "a statement on another shard was not cancelled");
                }
            });
        }
        let all = async { while requests.join_next().await.is_some() {} };
        if tokio::time::timeout(CANCEL_TIMEOUT, all).await.is_err() {
            // A request that comes late must not meet another client's statement.
            for leg in self.legs.iter_mut().filter(|leg| !leg.is_done) {
                let shard = leg.lease.pool().shard.clone();
                tracing::warn!(%shard, "closing a connection whose statement could not be cancelled in time");
                if let Some(connection) = leg.connection() {
                    connection.break_it();
                }
                leg.is_done = true;
            }
        }
    }

    /// The last word to the client; `is_expired`: the statement was cancelled because it ran for too long.
    pub(super) fn tell(&mut self, is_expired: bool, out: &mut Vec<u8>) -> Result<(), Told> {
        match self.failure.take() {
            None => {
                self.merge.finish(out);
                Ok(())
            }
            Some(Failure::Server(body)) if is_expired && is_cancellation(&body) => {
                timeout_error(&body, out);
                Err(Told::Yes)
            }
            Some(Failure::Server(body)) => {
                let body = match &self.spliced {
                    None => body,
                    Some(spliced) => messages::original_error(&body, spliced),
                };
                write::message(out, backend::ERROR_RESPONSE, |b| b.extend_from_slice(&body));
                Err(Told::Yes)
            }
            Some(Failure::Own(error)) => Err(Told::Not(error)),
        }
    }

    /// The connections, once no leg owes anything.
    pub(super) fn into_legs(mut self) -> Vec<Leg> {
        for (at, leg) in self.legs.iter_mut().enumerate() {
            let rest = self.merge.rest(at);
            if let Some(connection) = leg.lease.connection() {
                // What a server says of its own accord may come right behind its answer.
                connection.partial.extend_from_slice(rest);
            }
        }
        self.legs
    }

    /// The connections are in no known state.
    pub(super) fn discard(self) {
        for leg in self.legs {
            leg.lease.discard();
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.merge.drain();
        if self.failure.is_none() {
            self.failure = Some(failure);
        }
    }

    /// Rows may wait long for another leg: an error that stands behind them does not.
    fn fail_by_error_ahead(&mut self) -> bool {
        if self.failure.is_some() {
            return false;
        }
        let Some(body) = self.merge.error_ahead() else { return false };
        let failure = Failure::Server(body.to_vec());
        self.fail(failure);
        true
    }

    /// A leg's connection is gone, or makes no sense.
    fn lose(&mut self, at: usize) {
        let Some(leg) = self.legs.get_mut(at) else { return };
        if let Some(connection) = leg.connection() {
            connection.break_it();
        }
        leg.is_done = true;
        let error = lost(&leg.lease.pool().shard);
        self.merge.close(at);
        self.fail(Failure::Own(error));
    }

    fn is_done(&self) -> bool {
        self.legs.iter().all(|leg| leg.is_done)
    }

    /// Whether a failure is to be told to legs that are at work.
    fn is_to_cancel(&self) -> bool {
        self.failure.is_some()
            && !self.is_cancelled
            && (0..self.legs.len()).any(|at| self.merge.is_at_work(at))
    }

    /// Sends what waits for the legs.
    fn poll_legs_out(&mut self, cx: &mut Context<'_>) {
        for at in 0..self.legs.len() {
            let Some(leg) = self.legs.get_mut(at).filter(|leg| !leg.is_done) else { continue };
            match leg.connection() {
                None => self.lose(at),
                Some(connection) if connection.out.is_empty() => {}
                Some(connection) => {
                    if let Poll::Ready(Err(_)) = connection.poll_flush(cx) {
                        // What it said before it went may still be there to read.
                        connection.out.clear();
                        connection.sent = 0;
                    }
                }
            }
        }
    }

    /// Reads each leg that is wanted so much; whether anything was read.
    fn poll_legs_in(&mut self, want: Want, cx: &mut Context<'_>) -> bool {
        let mut has_read = false;
        for at in 0..self.legs.len() {
            if self.merge.wants(at) != want {
                continue;
            }
            let Some(connection) = self.legs.get_mut(at).and_then(Leg::connection) else { continue };
            match connection.poll_read(cx, self.merge.space(at)) {
                Poll::Pending => {}
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.merge.filled(at, count);
                    has_read = true;
                }
                Poll::Ready(_) => {
                    self.lose(at);
                    has_read = true;
                }
            }
        }
        has_read
    }

    /// The merge needs no more rows: what the legs still send is dropped.
    fn end_rows(&mut self) {
        self.is_over = true;
        self.merge.drain();
    }

    /// A portal gave as many rows as it was asked for: more, or its end.
    fn portal_suspended(&mut self, at: usize) {
        let is_over = self.is_over || self.failure.is_some();
        let Some(leg) = self.legs.get_mut(at) else { return };
        if is_over {
            if let Some(connection) = leg.connection() {
                connection.state.expected.push_back(Expected::own(Kind::Close));
                write::close(&mut connection.out, b'P', b"");
            }
            return self.sync(at);
        }
        leg.rows = leg.rows.map(messages::more);
        let rows = leg.rows;
        if let Some(connection) = leg.connection() {
            connection.state.expected.push_back(Expected::own(Kind::Execute));
            messages::put_execute(&mut connection.out, rows);
            write::flush(&mut connection.out);
        }
    }

    /// Ends messages whose Sync was not sent with them.
    fn sync(&mut self, at: usize) {
        let Some(leg) = self.legs.get_mut(at).filter(|leg| leg.rows.is_some()) else { return };
        leg.rows = None;
        if let Some(connection) = leg.connection() {
            connection.state.expected.push_back(Expected::own(Kind::Sync));
            connection.state.skipping = false;
            connection.state.unsynced = false;
            write::sync(&mut connection.out);
        }
    }
}

impl Client {
    /// Moves bytes until there is something to decide.
    pub(super) fn poll_run(&mut self, run: &mut Run, cx: &mut Context<'_>) -> Poll<Turn> {
        loop {
            if self.handle.is_killed() {
                return Poll::Ready(Turn::Ended(killed()));
            }
            if run.is_to_cancel() {
                return Poll::Ready(Turn::Failed);
            }
            run.poll_legs_out(cx);
            match run.merge.poll(&mut self.out, CLIENT_BACKLOG_MAX) {
                Err(error) => run.fail(Failure::Own(error)),
                Ok(Step::Message { leg, tag }) => self.shard_message(run, leg, tag),
                Ok(Step::Done | Step::Suspended) => run.end_rows(),
                Ok(Step::Full) => match self.poll_send(cx) {
                    Err(end) => return Poll::Ready(Turn::Ended(end)),
                    Ok(()) if self.out.len() < CLIENT_BACKLOG_MAX => {}
                    Ok(()) => match self.poll_input(cx) {
                        Poll::Ready(Event::Input) => {}
                        Poll::Ready(_) => return Poll::Ready(Turn::Ended(End::Gone)),
                        Poll::Pending => return Poll::Pending,
                    },
                },
                Ok(Step::Blocked) if run.is_done() => {
                    return Poll::Ready(if run.merge.is_in_message() {
                        // Half a row was told, and its other half is lost.
                        Turn::Ended(End::Gone)
                    } else {
                        Turn::Done
                    });
                }
                Ok(Step::Blocked) => {
                    if run.poll_legs_in(Want::Bytes, cx) || run.poll_legs_in(Want::Ahead, cx) {
                        continue;
                    }
                    if run.fail_by_error_ahead() {
                        continue;
                    }
                    if let Err(end) = self.poll_send(cx) {
                        return Poll::Ready(Turn::Ended(end));
                    }
                    match self.poll_input(cx) {
                        Poll::Ready(Event::Input) => {}
                        Poll::Ready(_) => return Poll::Ready(Turn::Ended(End::Gone)),
                        Poll::Pending => return Poll::Pending,
                    }
                }
            }
        }
    }

    /// Sends what waits for the client, unless it is little.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        if self.out.len() - self.sent < SEND_MIN {
            return Ok(());
        }
        match self.poll_flush_client(cx) {
            Poll::Ready(Err(_)) => Err(End::Gone),
            Poll::Ready(Ok(())) | Poll::Pending => {
                if self.sent > 0 {
                    self.out.drain(..self.sent);
                    self.sent = 0;
                }
                Ok(())
            }
        }
    }

    /// Takes a leg's message that is no row.
    fn shard_message(&mut self, run: &mut Run, at: usize, tag: u8) {
        let is_home = run.merge.is_home(at);
        let is_opening = run.merge.is_opening(at);
        match tag {
            backend::ERROR_RESPONSE => {
                let body = run.merge.body().to_vec();
                run.fail(Failure::Server(body));
            }
            // What a server says of the text, all say.
            backend::NOTICE_RESPONSE if run.failure.is_none() && (is_home || !is_opening) => {
                self.out.extend_from_slice(run.merge.frame());
            }
            _ => {}
        }
        let Some(connection) = run.legs.get_mut(at).and_then(|leg| leg.lease.connection()) else {
            return run.lose(at);
        };
        let mut told = Vec::new();
        let taken = self.session.backend(
            tag,
            run.merge.body(),
            &mut connection.state,
            &self.service.shared,
            &mut told,
        );
        if tag == backend::NOTIFICATION_RESPONSE {
            // It may come under another id.
            self.out.extend_from_slice(if told.is_empty() { run.merge.frame() } else { &told });
        }
        let is_quiet = connection.state.is_quiet();
        match tag {
            _ if taken.is_err() => run.lose(at),
            backend::PORTAL_SUSPENDED => run.portal_suspended(at),
            backend::COMMAND_COMPLETE | backend::ERROR_RESPONSE => run.sync(at),
            backend::READY_FOR_QUERY if is_quiet => {
                if let Some(leg) = run.legs.get_mut(at) {
                    leg.is_done = true;
                }
                run.merge.close(at);
            }
            _ => {}
        }
    }
}

fn lost(shard: &str) -> SqlError {
    SqlError::new(
        sqlstate::CONNECTION_FAILURE,
        format!("the connection to shard \"{shard}\" was lost while it answered"),
    )
    .with_hint("Run the statement again.")
}
