//! One statement on all shards, their answers merged.
//!
//! Rows go on to the client frame by frame as they come, untouched where they are only put together;
//! no shard is read while the client does not take what is there.

use super::super::client::{Client, End};
use super::super::relay::with_scratch;
use super::block::torn_snapshot;
use crate::backend::ServerConnection;
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::merge::{Described, Merge};
use crate::plan::Scatter;
use crate::pool::Lease;
use crate::protocol::frame::{self, HEADER_LEN};
use crate::protocol::{TransactionStatus, backend, frontend, write};
use crate::session::expected::{Expected, Kind};
use crate::session::{Session, Shared};
use crate::sqlstate;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

/// While more than this waits for the client, no shard is read.
const CLIENT_BACKLOG_MAX: usize = 64 * 1024;

/// Whether the client is told the rows' description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Describe {
    Yes,
    No,
}

/// One shard's part.
struct Leg {
    shard: ShardId,
    lease: Lease,
    /// Bytes read and not yet looked at.
    input: Vec<u8>,
    at: usize,
    is_done: bool,
    has_described: bool,
}

/// The answers so far.
struct Progress<'a> {
    merge: Merge,
    describe: Describe,
    is_described: bool,
    failure: Option<Failure>,
    out: &'a mut Vec<u8>,
    session: &'a mut Session,
    shared: &'a Shared,
}

/// What ends the statement: a server's ErrorResponse body, or an error of Howdah's own.
enum Failure {
    Server(Vec<u8>),
    Own(SqlError),
}

/// What goes to each shard, and what it answers with.
pub(super) struct Sent<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) kinds: &'a [Kind],
}

impl Client {
    /// Runs a simple Query on all shards. `is_last`: ReadyForQuery is told at the end.
    pub(super) async fn run_scatter(
        &mut self,
        query: &[u8],
        scatter: &Scatter,
        is_last: bool,
        describe: Describe,
    ) -> Result<(), End> {
        let sent = Sent { bytes: query, kinds: &[Kind::Query] };
        let outcome = self.scatter(&sent, scatter, describe).await?;
        self.finish_scatter(outcome, frontend::QUERY)?;
        if is_last {
            write::ready_for_query(&mut self.out, self.session.status());
        }
        Ok(())
    }

    /// Tells what a scatter failed with; whether it did.
    pub(super) fn finish_scatter(&mut self, outcome: Result<(), Told>, _tag: u8) -> Result<bool, End> {
        match outcome {
            Ok(()) => Ok(false),
            Err(told) => {
                if let Told::Not(error) = told {
                    write::error_response(&mut self.out, &error);
                }
                if self.session.status() == TransactionStatus::InBlock {
                    self.session.set_status(TransactionStatus::Failed);
                }
                Ok(true)
            }
        }
    }

    /// Sends to all shards and merges what comes back into the client's buffer, up to CommandComplete.
    pub(super) async fn scatter(
        &mut self,
        sent: &Sent<'_>,
        scatter: &Scatter,
        describe: Describe,
    ) -> Result<Result<(), Told>, End> {
        self.began.get_or_insert_with(std::time::Instant::now);
        if scatter.shards > 1 && self.has_one_snapshot_default() {
            return Ok(Err(Told::Not(torn_snapshot())));
        }
        for shard in 0..scatter.shards {
            if let Err(error) = self.use_shard(ShardId(shard)).await? {
                if self.session.status() != TransactionStatus::Idle {
                    self.session.set_status(TransactionStatus::Failed);
                }
                self.release_all();
                return Ok(Err(Told::Not(error)));
            }
        }
        self.park()?;
        let mut legs = self.take_legs(scatter.shards)?;
        for leg in &mut legs {
            if let Some(connection) = leg.lease.connection() {
                for kind in sent.kinds {
                    connection.state.expected.push(Expected::own(*kind));
                }
                connection.state.unnamed = 0;
                connection.out.extend_from_slice(sent.bytes);
            }
        }
        let merge = Merge::new(&scatter.merge, scatter.shards, self.routed()?.home());
        let (outcome, gone) = self.drive(&mut legs, merge, describe).await;
        let failed = outcome.is_err();
        self.put_legs_back(legs, failed)?;
        if gone {
            return Err(End::Gone);
        }
        self.note_scatter_done();
        Ok(outcome)
    }

    /// Moves bytes until every shard has answered. Also whether the client is gone.
    async fn drive(
        &mut self,
        legs: &mut [Leg],
        merge: Merge,
        describe: Describe,
    ) -> (Result<(), Told>, bool) {
        let service = Arc::clone(&self.service);
        let mut out = std::mem::take(&mut self.out);
        let mut progress = Progress {
            merge,
            describe,
            is_described: false,
            failure: None,
            out: &mut out,
            session: &mut self.session,
            shared: &service.shared,
        };
        let stream = &mut self.stream;
        let sent = &mut self.sent;
        let sent_bytes = &mut self.sent_bytes;
        let mut cancelled = false;
        let gone = loop {
            let step = poll_fn(|cx| {
                if flush(stream, progress.out, sent, sent_bytes, cx).is_err() {
                    return Poll::Ready(Step::ClientGone);
                }
                progress.poll(legs, cx)
            })
            .await;
            match step {
                Step::Done => break false,
                Step::ClientGone => {
                    progress.failure =
                        Some(Failure::Own(SqlError::new(sqlstate::QUERY_CANCELED, "the client is gone")));
                    break true;
                }
                Step::Failed if cancelled => {}
                Step::Failed => {
                    // What the others still do is for nobody.
                    cancelled = true;
                    cancel_rest(legs).await;
                }
                Step::Running => {
                    if let Some(leg) = legs.iter_mut().find(|leg| !leg.is_done)
                        && let Some(connection) = leg.lease.connection()
                    {
                        self.handle.attached(super::super::registry::CancelTarget {
                            shard: leg.shard,
                            process_id: connection.process_id,
                            secret: connection.secret,
                        });
                    }
                }
            }
        };
        let Progress { merge, failure, out: told, .. } = progress;
        let result = match failure {
            None => merge.finish(told).map_err(Told::Not),
            Some(Failure::Server(body)) => {
                write::message(told, backend::ERROR_RESPONSE, |b| b.extend_from_slice(&body));
                Err(Told::Yes)
            }
            Some(Failure::Own(error)) => Err(Told::Not(error)),
        };
        self.out = out;
        (result, gone)
    }

    fn take_legs(&mut self, shards: u16) -> Result<Vec<Leg>, End> {
        let routed = self.routed()?;
        let mut legs = Vec::new();
        let mut rest = Vec::new();
        for (shard, lease) in std::mem::take(&mut routed.parked) {
            if shard.0 < shards {
                legs.push(Leg {
                    shard,
                    lease,
                    input: Vec::new(),
                    at: 0,
                    is_done: false,
                    has_described: false,
                });
            } else {
                rest.push((shard, lease));
            }
        }
        routed.parked = rest;
        legs.sort_by_key(|leg| leg.shard);
        Ok(legs)
    }

    /// The connections are the client's again. The one in use is the one that failed, or the home shard's.
    fn put_legs_back(&mut self, legs: Vec<Leg>, failed: bool) -> Result<(), End> {
        let home = self.routed()?.home();
        let mut in_use = None;
        for mut leg in legs {
            let usable =
                leg.is_done && leg.lease.connection().is_some_and(|connection| connection.state.is_quiet());
            if !usable {
                leg.lease.discard();
                continue;
            }
            let is_failed =
                leg.lease.connection().is_some_and(|c| c.state.status == TransactionStatus::Failed);
            if in_use.is_none() && (is_failed || (!failed && leg.shard == home)) {
                in_use = Some((leg.shard, leg.lease));
            } else {
                self.routed()?.parked.push((leg.shard, leg.lease));
            }
        }
        if in_use.is_none() {
            in_use = self.routed()?.parked.pop();
        }
        if let Some((shard, lease)) = in_use {
            self.routed()?.current = shard;
            self.lease = Some(lease);
            self.mark_attached(shard);
        }
        if failed && self.session.status() == TransactionStatus::InBlock {
            self.session.set_status(TransactionStatus::Failed);
            let has_failed = self
                .lease
                .as_mut()
                .and_then(|lease| lease.connection())
                .is_some_and(|connection| connection.state.status == TransactionStatus::Failed);
            if !has_failed {
                // No server knows that the block failed: a new connection will be told.
                self.drop_lease();
                self.discard_parked();
            }
        }
        Ok(())
    }

    /// Outside a block the connections go back at once.
    fn note_scatter_done(&mut self) {
        self.note_end_of_work(self.is_outside());
        if self.is_outside() {
            self.release_all();
        }
    }
}

/// Whether the client was told the error already.
#[derive(Debug)]
pub(super) enum Told {
    Yes,
    Not(SqlError),
}

enum Step {
    /// All shards have answered.
    Done,
    /// One failed, others are still at it.
    Failed,
    /// One has finished: a cancel request is to go to another.
    Running,
    ClientGone,
}

fn flush(
    stream: &mut crate::net::stream::Stream,
    out: &mut Vec<u8>,
    sent: &mut usize,
    sent_bytes: &mut usize,
    cx: &mut Context<'_>,
) -> Result<(), ()> {
    use tokio::io::AsyncWrite;
    while let Some(rest) = out.get(*sent..).filter(|rest| !rest.is_empty()) {
        if rest.len() < 8 * 1024 {
            // The rest goes with what follows.
            break;
        }
        match std::pin::Pin::new(&mut *stream).poll_write(cx, rest) {
            Poll::Ready(Ok(n)) if n > 0 => {
                *sent += n;
                *sent_bytes += n;
            }
            Poll::Ready(_) => return Err(()),
            Poll::Pending => break,
        }
    }
    if *sent == out.len() {
        out.clear();
        *sent = 0;
    } else if *sent > 0 {
        out.drain(..*sent);
        *sent = 0;
    }
    Ok(())
}

impl Progress<'_> {
    fn poll(&mut self, legs: &mut [Leg], cx: &mut Context<'_>) -> Poll<Step> {
        let had_failed = self.failure.is_some();
        let done_before = legs.iter().filter(|leg| leg.is_done).count();
        let is_congested = self.out.len() > CLIENT_BACKLOG_MAX;
        for leg in legs.iter_mut().filter(|leg| !leg.is_done) {
            let Leg { lease, input, at, is_done, has_described, shard } = leg;
            let Some(connection) = lease.connection() else {
                self.fail(Failure::Own(lost(*shard)));
                *is_done = true;
                continue;
            };
            if !connection.out.is_empty() && matches!(connection.poll_flush(cx), Poll::Ready(Err(_))) {
                connection.out.clear();
                connection.sent = 0;
            }
            loop {
                let took = self.take(*shard, connection, input, at, has_described);
                match took {
                    Ok(true) => {
                        *is_done = true;
                        break;
                    }
                    Ok(false) => {}
                    Err(error) => {
                        connection.break_it();
                        self.fail(Failure::Own(error));
                        *is_done = true;
                        break;
                    }
                }
                // Rows of a shard wait until all shards have described theirs.
                if (*has_described && !self.is_described && self.failure.is_none())
                    || (is_congested && self.failure.is_none())
                    || self.out.len() > 4 * CLIENT_BACKLOG_MAX
                {
                    break;
                }
                let read = with_scratch(|scratch| {
                    let n = match connection.poll_read(cx, scratch.chunk()) {
                        Poll::Pending => return None,
                        Poll::Ready(Ok(n)) => n,
                        Poll::Ready(Err(_)) => 0,
                    };
                    input.extend_from_slice(scratch.chunk().get(..n).unwrap_or_default());
                    Some(n)
                });
                match read {
                    None => break,
                    Some(0) => {
                        connection.break_it();
                        self.fail(Failure::Own(lost(*shard)));
                        *is_done = true;
                        break;
                    }
                    Some(_) => {}
                }
            }
        }
        let done = legs.iter().filter(|leg| leg.is_done).count();
        if done == legs.len() {
            return Poll::Ready(Step::Done);
        }
        if self.failure.is_some() && !had_failed {
            return Poll::Ready(Step::Failed);
        }
        if done > done_before {
            return Poll::Ready(Step::Running);
        }
        Poll::Pending
    }

    fn fail(&mut self, failure: Failure) {
        if self.failure.is_none() {
            self.failure = Some(failure);
        }
    }

    /// Goes through the whole messages of one shard; `true` at its ReadyForQuery.
    fn take(
        &mut self,
        shard: ShardId,
        connection: &mut ServerConnection,
        input: &mut Vec<u8>,
        at: &mut usize,
        has_described: &mut bool,
    ) -> Result<bool, SqlError> {
        let was_described = self.is_described;
        loop {
            let rest = input.get(*at..).unwrap_or_default();
            let header = frame::header(rest).map_err(|_| lost(shard))?;
            let Some(header) = header.filter(|header| rest.len() >= header.frame_len) else { break };
            let is_row = header.tag == backend::DATA_ROW;
            if is_row && !self.is_described && self.failure.is_none() {
                break;
            }
            let frame = rest.get(..header.frame_len).unwrap_or_default();
            let body = frame.get(HEADER_LEN..).unwrap_or_default();
            if is_row {
                self.row(frame, body);
                *at += header.frame_len;
                continue;
            }
            let ended = header.tag == backend::READY_FOR_QUERY;
            self.message(shard, header.tag, frame, has_described);
            let mut nobody = Vec::new();
            self.session
                .backend(header.tag, body, &mut connection.state, self.shared, &mut nobody)
                .map_err(|_| lost(shard))?;
            *at += header.frame_len;
            if ended && connection.state.is_quiet() {
                input.clear();
                *at = 0;
                return Ok(true);
            }
        }
        if *at > 0 && (was_described || self.is_described || self.failure.is_some()) {
            input.drain(..*at);
            *at = 0;
        }
        Ok(false)
    }

    fn row(&mut self, frame: &[u8], body: &[u8]) {
        if self.failure.is_some() {
            return;
        }
        if self.merge.forwards_rows() {
            self.out.extend_from_slice(frame);
        } else if let Err(error) = self.merge.data_row(body) {
            self.fail(Failure::Own(error));
        }
    }

    fn message(&mut self, shard: ShardId, tag: u8, frame: &[u8], has_described: &mut bool) {
        let body = frame.get(HEADER_LEN..).unwrap_or_default();
        match tag {
            backend::ROW_DESCRIPTION if self.failure.is_none() => {
                *has_described = true;
                match self.merge.row_description(shard, body) {
                    Ok(Described::Waiting) => {}
                    Ok(Described::Ready) => {
                        self.is_described = true;
                        if self.describe == Describe::Yes
                            && let Some(description) = self.merge.description()
                        {
                            write::message(self.out, backend::ROW_DESCRIPTION, |b| {
                                b.extend_from_slice(description)
                            });
                        }
                    }
                    Err(error) => self.fail(Failure::Own(error)),
                }
            }
            backend::COMMAND_COMPLETE if self.failure.is_none() => {
                if let Err(error) = self.merge.complete(body) {
                    self.fail(Failure::Own(error));
                }
            }
            backend::ERROR_RESPONSE => self.fail(Failure::Server(body.to_vec())),
            backend::NOTICE_RESPONSE => self.out.extend_from_slice(frame),
            _ => {}
        }
    }
}

async fn cancel_rest(legs: &mut [Leg]) {
    for leg in legs.iter_mut().filter(|leg| !leg.is_done) {
        let pool = Arc::clone(leg.lease.pool());
        let Some(connection) = leg.lease.connection() else { continue };
        let sent = crate::backend::connect::cancel(
            pool.manager().target(),
            connection.process_id,
            connection.secret,
        );
        if let Err(error) = sent.await {
            tracing::debug!(%error, "a statement on another shard was not cancelled");
        }
    }
}

fn lost(shard: ShardId) -> SqlError {
    SqlError::new(sqlstate::CONNECTION_FAILURE, format!("the connection to shard {shard} was lost"))
        .with_hint("Run the statement again.")
}
