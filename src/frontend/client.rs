//! The loop that serves one client whose database is one server, or whose statements all go to one.

use super::registry::{CancelTarget, ClientHandle};
use super::relay::{Event, with_scratch};
use super::routed::Routed;
use super::settling::Settling;
use super::{Limits, Service};
use crate::backend::ServerConnection;
use crate::error::{Severity, SqlError};
use crate::ids::ShardId;
use crate::net::stream::Stream;
use crate::pool::{CheckoutError, Lease};
use crate::protocol::frame::{self, HEADER_LEN};
use crate::protocol::{TransactionStatus, frontend, read, write};
use crate::session::describe::HiddenState;
use crate::session::expected::{Expected, Kind};
use crate::session::server_state::Copy;
use crate::session::{Session, Tools, query_text};
use crate::sql::redacted::redacted;
use crate::sql::scan::scan;
use crate::sqlstate;
use crate::topology::{Database, checkout_error};
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Instant;

/// Limit of the messages that Postgres limits likewise, in bytes.
const SMALL_MESSAGE_MAX: usize = 10_000;

/// While more bytes than this wait to be sent to the server, it is given no more messages.
pub(super) const UNSENT_MAX: usize = 1024 * 1024;

/// While the server owes more replies than this, it is given no more messages.
pub(super) const OWED_MAX: usize = 16 * 1024;

/// Buffers of an idle client up to this size are kept.
const KEPT_BYTES_MAX: usize = 512;

/// More of a statement is not kept for the log, in bytes.
const SHOWN_BYTES_MAX: usize = 4096;

/// How often a connection is asked for, where the pool was replaced or the connection does not suit.
const ATTACH_ATTEMPTS: usize = 1000;

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

/// Why a client's loop ended.
#[derive(Debug)]
pub(super) enum End {
    /// It said goodbye, or is simply gone.
    Gone,
    /// It is told this, and the connection is closed.
    Told(SqlError),
    /// It does not end: what a statement was planned by is not in force any more, and nothing of it was sent
    /// or told. [`Client::route`] plans it anew.
    Stale,
}

impl From<SqlError> for End {
    fn from(error: SqlError) -> Self {
        End::Told(error)
    }
}

/// One client connection after login.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: Stream,
    /// Bytes from the client; those before `consumed` are done with.
    pub(super) input: Vec<u8>,
    pub(super) consumed: usize,
    /// How long the message is that waits to be complete.
    pub(super) wanted: usize,
    /// Bytes for the client, of which the first `sent` are sent.
    pub(super) out: Vec<u8>,
    pub(super) sent: usize,
    pub(super) session: Session,
    pub(super) service: Arc<Service>,
    pub(super) database: Arc<Database>,
    /// Code in the database that leaves marks on sessions, as last looked at.
    pub(super) hidden: Arc<HiddenState>,
    pub(super) handle: Arc<ClientHandle>,
    pub(super) lease: Option<Lease>,
    pub(super) sent_bytes: usize,
    pub(super) received_bytes: usize,
    /// When the present statement or pipeline began.
    pub(super) began: Option<Instant>,
    /// Where its first message is in `input`; beyond its end where that was forgotten.
    pub(super) began_at: usize,
    /// The start of its first statement, where its messages were forgotten.
    pub(super) began_with: Option<Box<[u8]>>,
    /// When the open transaction's first statement began.
    pub(super) transaction_began: Option<Instant>,
    pub(super) limits: Arc<Limits>,
    pub(super) limits_version: u64,
    /// Where the database has several shards.
    pub(super) routed: Option<Box<Routed>>,
    /// The client said goodbye: what it asked for before is still answered.
    pub(super) is_leaving: bool,
    /// Why input waits.
    pub(super) held: Held,
    /// The open block was lost with its server while nothing was asked: the next statement is told so.
    pub(super) untold: Option<Box<SqlError>>,
    /// CopyData's bytes that are to be passed on without waiting for the whole message.
    pub(super) copy_passing: usize,
    /// The client changed the catalog, and is told so when every proxy knows.
    pub(super) settling: Option<Settling>,
}

impl Client {
    /// Serves the client until it leaves.
    pub(super) async fn serve(&mut self) -> End {
        poll_fn(|cx| {
            self.handle.served_by(cx.waker());
            Poll::Ready(())
        })
        .await;
        loop {
            if !self.is_leaving
                && let Err(end) = self.process_input().await
            {
                return end;
            }
            if self.is_leaving && self.out.is_empty() && self.is_quiet() {
                return End::Gone;
            }
            match self.next_event().await {
                Ok(Event::Input) => {}
                Ok(Event::Settled) => self.settled(),
                Ok(Event::ClientGone) => return End::Gone,
                Ok(Event::ServerGone { in_message, reason }) => {
                    if let Err(end) = self.server_gone(in_message, reason) {
                        return end;
                    }
                }
                Err(end) => return end,
            }
        }
    }

    /// Waits for the next event, and for what ends an idle client.
    async fn next_event(&mut self) -> Result<Event, End> {
        let is_idle = self.is_idle();
        if !is_idle && self.session.status() == TransactionStatus::Idle {
            // A statement is running: it is let finish, but a kill ends it.
            return self.event_or_kill(None).await;
        }
        let limits = self.limits();
        let timeout = if is_idle { limits.idle_client_timeout } else { limits.idle_transaction_timeout };
        let quiet =
            self.lease.as_mut().and_then(|lease| lease.connection()).is_none_or(|c| c.state.is_quiet());
        self.event_or_kill(timeout.filter(|_| quiet)).await
    }

    pub(super) async fn event_or_kill(&mut self, timeout: Option<std::time::Duration>) -> Result<Event, End> {
        let is_idle = self.is_idle();
        let Some(timeout) = timeout else {
            return poll_fn(|cx| self.poll_event(cx, is_idle)).await;
        };
        let mut sleep = pin!(tokio::time::sleep(timeout));
        poll_fn(|cx| {
            if let Poll::Ready(event) = self.poll_event(cx, is_idle) {
                return Poll::Ready(event);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let message = if is_idle {
                "terminating connection due to idle client timeout"
            } else {
                "terminating connection due to idle-in-transaction timeout"
            };
            Poll::Ready(Err(End::Told(SqlError::fatal(sqlstate::IDLE_SESSION_TIMEOUT, message))))
        })
        .await
    }

    /// Moves bytes, unless the client is to be sent away. Whoever says so wakes the client's task by its
    /// handle.
    fn poll_event(&mut self, cx: &mut Context<'_>, is_idle: bool) -> Poll<Result<Event, End>> {
        if self.handle.is_killed() || (is_idle && self.service.draining.load(Ordering::Relaxed)) {
            return Poll::Ready(Err(killed()));
        }
        if self.limits.query_timeout.is_some()
            && self.handle.is_expired()
            && let Err(end) = self.fail_expired_copy()
        {
            return Poll::Ready(Err(end));
        }
        self.poll_relay(cx).map(Ok)
    }

    /// The limits in force.
    pub(super) fn limits(&mut self) -> &Limits {
        let version = self.service.limits_version.load(Ordering::Relaxed);
        if self.limits_version != version {
            self.limits = self.service.limits.load_full();
            self.limits_version = version;
        }
        &self.limits
    }

    /// Nothing is asked, nothing is owed, and no transaction is open.
    fn is_idle(&self) -> bool {
        self.session.status() == TransactionStatus::Idle
            && self.lease.as_ref().is_none_or(|_| self.began.is_none())
            && self.input.len() == self.consumed
    }

    /// The server owes nothing more.
    fn settled(&mut self) {
        self.settle();
        self.compact();
    }

    /// What becomes of the server connection when it owes nothing more; input stays where it is.
    pub(super) fn settle(&mut self) {
        let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) else { return };
        if !connection.state.is_between_messages() || self.copy_passing > 0 {
            return;
        }
        let may_release = self.session.may_release(&connection.state);
        let now = Instant::now();
        self.note_end_of_work(may_release, now);
        if self.session.take_defaults_changed() {
            self.database.defaults_changed();
        }
        self.handle.set_pins(self.session.pins());
        let block_ended = self.routed_settled();
        if may_release && block_ended {
            self.release(now);
        }
    }

    /// A statement, or a pipeline of them, goes to a server.
    pub(super) fn note_start(&mut self, now: Instant) {
        if self.began.is_none() {
            self.began = Some(now);
            self.began_at = self.consumed;
            self.began_with = None;
            if self.limits().query_timeout.is_some() {
                self.handle.start_timer(now);
            }
        }
    }

    /// Nothing of the client's runs any more; when it began.
    pub(super) fn note_stop(&mut self) -> Option<Instant> {
        self.handle.stop_timer();
        self.began.take()
    }

    /// Counts, and logs what was slow.
    pub(super) fn note_end_of_work(&mut self, transaction_ended: bool, now: Instant) {
        let began = self.note_stop();
        let transaction_began = self.transaction_began.take().or(began);
        let sent = std::mem::take(&mut self.sent_bytes);
        let received = std::mem::take(&mut self.received_bytes);
        let stats = &self.database.stats;
        let micros = |since: Option<Instant>| {
            let took = since.map_or(0, |since| now.saturating_duration_since(since).as_micros());
            u64::try_from(took).unwrap_or(u64::MAX)
        };
        if transaction_ended {
            stats.transactions.fetch_add(1, Ordering::Relaxed);
            stats.transaction_us.fetch_add(micros(transaction_began), Ordering::Relaxed);
        } else {
            self.transaction_began = transaction_began;
        }
        stats.queries.fetch_add(1, Ordering::Relaxed);
        stats.sent_bytes.fetch_add(u64::try_from(sent).unwrap_or(u64::MAX), Ordering::Relaxed);
        stats.received_bytes.fetch_add(u64::try_from(received).unwrap_or(u64::MAX), Ordering::Relaxed);
        stats.query_us.fetch_add(micros(began), Ordering::Relaxed);
        let Some(took) = began.map(|began| now.saturating_duration_since(began)) else { return };
        if self.limits().slow_statement.is_some_and(|limit| took >= limit) {
            self.log_slow(took);
        }
        self.began_with = None;
    }

    #[cold]
    fn log_slow(&self, took: std::time::Duration) {
        let statement = redacted(self.first_statement());
        tracing::warn!(
            database = %self.database.name,
            user = %self.database.user,
            client = self.handle.process_id,
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            %statement,
            "slow statement"
        );
    }

    /// Gives the server connection back to the pool.
    pub(super) fn release(&mut self, now: Instant) {
        let Some(mut lease) = self.lease.take() else { return };
        if let Some(connection) = lease.connection() {
            self.session.leave(&mut connection.state);
        }
        if self.handle.detached() {
            give_back_later(&self.handle, lease);
        } else {
            lease.give_back(now);
        }
    }

    /// Forgets input that is done with, and gives memory back.
    fn compact(&mut self) {
        if self.consumed == self.input.len() {
            self.consumed = 0;
            if self.input.capacity() > KEPT_BYTES_MAX {
                self.input = Vec::new();
            } else {
                self.input.clear();
            }
        } else {
            self.forget_consumed();
        }
        if self.out.is_empty() && self.out.capacity() > KEPT_BYTES_MAX {
            self.out = Vec::new();
        }
    }

    fn forget_consumed(&mut self) {
        if self.began.is_some() && self.began_with.is_none() && self.began_at < self.consumed {
            let text = self.first_statement();
            self.began_with = Some(text.get(..SHOWN_BYTES_MAX).unwrap_or(text).into());
        }
        self.input.drain(..self.consumed);
        self.began_at = self.began_at.checked_sub(self.consumed).unwrap_or(usize::MAX);
        self.consumed = 0;
    }

    /// The text of the first Query, Parse or prepared statement of the present work; empty where it is not known.
    fn first_statement(&self) -> &[u8] {
        if let Some(text) = &self.began_with {
            return text;
        }
        let mut input = self.input.get(self.began_at..).unwrap_or_default();
        while let Ok(Some(header)) = frame::header(input) {
            let Some(body) = input.get(HEADER_LEN..header.frame_len) else { break };
            let mut reader = read::Reader::new(body);
            match header.tag {
                frontend::QUERY => return reader.cstr().unwrap_or_default(),
                frontend::PARSE => {
                    let _name = reader.cstr();
                    return reader.cstr().unwrap_or_default();
                }
                frontend::BIND => {
                    let _portal = reader.cstr();
                    return reader
                        .cstr()
                        .ok()
                        .and_then(|name| self.session.text_of(name))
                        .unwrap_or_default();
                }
                _ => {}
            }
            input = input.get(header.frame_len..).unwrap_or_default();
        }
        b""
    }

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
    async fn process_input(&mut self) -> Result<(), End> {
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

    /// Whether no answer is owed.
    pub(super) fn is_quiet(&mut self) -> bool {
        let connection = self.lease.as_mut().and_then(|lease| lease.connection());
        connection.is_none_or(|connection| connection.state.is_quiet())
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

    /// Makes sure that a server connection in the session's state is held. `false`: the client was told
    /// an error instead.
    async fn ensure_server(&mut self, tag: u8) -> Result<bool, End> {
        let attached = self.lease.is_none();
        if attached && let Err(error) = self.attach(ShardId(0)).await? {
            return self.tell_failure(tag, &error).map(|()| false);
        }
        let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) else {
            return Ok(false);
        };
        // Also later, when the server went back to other defaults than the client's (RESET).
        let quiet =
            connection.state.is_between_messages() && connection.state.status != TransactionStatus::Failed;
        let sql = if quiet { self.session.settings_to_apply(&connection.state) } else { None };
        if let Some(sql) = sql {
            if let Err(error) = self.apply_settings(&sql).await? {
                if attached {
                    self.drop_lease();
                }
                return self.tell_failure(tag, &error).map(|()| false);
            }
            self.tell_parameters();
        }
        if attached { self.finish_attach().await } else { Ok(true) }
    }

    /// After the settings are right: tells the client what changed, and restores a failed block.
    async fn finish_attach(&mut self) -> Result<bool, End> {
        self.tell_parameters();
        if self.session.status() == TransactionStatus::Failed {
            // The block was lost with its server: its successor gets a failed one, so that everything
            // up to ROLLBACK is answered as Postgres answers it.
            let _expected_to_fail = self.run_own(b"BEGIN").await?;
            let _expected_to_fail = self.run_own(b"howdah_transaction_lost").await?;
        }
        Ok(true)
    }

    pub(super) fn tell_parameters(&mut self) {
        if let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) {
            self.session.tell_parameters(&connection.state, &mut self.out);
        }
    }

    /// Notes for cancel requests which server runs the client's statements now.
    pub(super) fn mark_attached(&mut self, shard: ShardId) {
        if let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) {
            connection.state.sender.used_by(self.handle.process_id);
            self.handle.attached(CancelTarget {
                shard,
                process_id: connection.process_id,
                secret: connection.secret,
            });
        }
    }

    /// Takes an idle connection from the pool, if that is all there is to do.
    pub(super) fn attach_at_once(&mut self, shard: ShardId) -> bool {
        let Some(pool) = self.database.pool(shard) else { return false };
        if !self.database.knows_hidden(&self.service.shared) {
            return false;
        }
        let suits = |connection: &ServerConnection| self.session.suits(&connection.state);
        let Some(mut lease) = pool.checkout_at_once(suits) else { return false };
        let Some(connection) = lease.connection() else { return false };
        connection.state.sender.used_by(self.handle.process_id);
        self.handle.attached(CancelTarget {
            shard,
            process_id: connection.process_id,
            secret: connection.secret,
        });
        self.lease = Some(lease);
        true
    }

    /// Takes a connection from the pool.
    pub(super) async fn attach(&mut self, shard: ShardId) -> Result<Result<(), SqlError>, End> {
        if self.attach_at_once(shard) {
            return Ok(Ok(()));
        }
        for _ in 0..ATTACH_ATTEMPTS {
            if self.database.is_retired() {
                match self.service.directory.resolve(&self.database.name, &self.database.user, None) {
                    Ok(database) => self.set_database(database),
                    Err(error) => return Err(End::Told(error)),
                }
            }
            let Some(pool) = self.database.pool(shard).cloned() else {
                return Ok(Err(SqlError::new(sqlstate::INTERNAL_ERROR, "the cluster has no shards")));
            };
            // Boxed: what opens a connection is large, and an idle client is not to carry it.
            let checkout = match Box::pin(self.checkout(&pool)).await? {
                Checkout::Done(result) => result,
                Checkout::Cancelled => {
                    let cause = if self.handle.is_expired() { "statement timeout" } else { "user request" };
                    let message = format!("canceling statement due to {cause}");
                    return Ok(Err(SqlError::new(sqlstate::QUERY_CANCELED, message)));
                }
            };
            match checkout {
                Ok(lease) => {
                    if let Err(error) = self.take_lease(lease, shard).await {
                        return Ok(Err(error));
                    }
                    let connection = self.lease.as_mut().and_then(|lease| lease.connection());
                    if connection.is_none_or(|connection| self.session.suits(&connection.state)) {
                        return Ok(Ok(()));
                    }
                    self.drop_lease();
                }
                Err(CheckoutError::Retired) => {}
                Err(error) => return Ok(Err(checkout_error(&error, &pool.shard))),
            }
        }
        Ok(Err(checkout_error(&CheckoutError::Retired, "")))
    }

    async fn take_lease(&mut self, mut lease: Lease, shard: ShardId) -> Result<(), SqlError> {
        if let Some(connection) = lease.connection() {
            if !self.database.knows_hidden(&self.service.shared) {
                let learnt = self.database.learn_hidden(connection, &self.service.shared).await;
                if learnt.is_err() {
                    return Err(lost(&lease.pool().shard));
                }
            }
            connection.state.sender.used_by(self.handle.process_id);
            self.handle.attached(CancelTarget {
                shard,
                process_id: connection.process_id,
                secret: connection.secret,
            });
        }
        self.lease = Some(lease);
        Ok(())
    }

    /// Waits for a connection, and for what ends the wait: the client's leaving, a kill, a cancel request.
    pub(super) async fn checkout(&mut self, pool: &Arc<crate::pool::ServerPool>) -> Result<Checkout, End> {
        let wanted = Arc::clone(self.session.settings());
        let suits = move |connection: &ServerConnection| Session::suits_settings(&wanted, &connection.state);
        let mut checkout = pin!(pool.checkout(suits));
        let first = poll_fn(|cx| Poll::Ready(checkout.as_mut().poll(cx))).await;
        if let Poll::Ready(result) = first {
            return Ok(Checkout::Done(result));
        }
        self.handle.is_waiting.store(true, Ordering::Relaxed);
        let began = Instant::now();
        let handle = Arc::clone(&self.handle);
        let mut kill = pin!(handle.killed());
        let mut cancel = pin!(handle.cancel_requested());
        let result = poll_fn(|cx| {
            if let Poll::Ready(result) = checkout.as_mut().poll(cx) {
                return Poll::Ready(Ok(Checkout::Done(result)));
            }
            if cancel.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(Checkout::Cancelled));
            }
            if kill.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(killed()));
            }
            loop {
                match self.poll_relay(cx) {
                    Poll::Ready(Event::Input) => {}
                    Poll::Ready(_) => return Poll::Ready(Err(End::Gone)),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
        self.handle.is_waiting.store(false, Ordering::Relaxed);
        let waited = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.database.stats.wait_us.fetch_add(waited, Ordering::Relaxed);
        result
    }

    pub(super) async fn apply_settings(&mut self, sql: &[u8]) -> Result<Result<(), SqlError>, End> {
        let outcome = self.run_own(sql).await?;
        if let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) {
            if outcome.is_ok() {
                self.session.settings_applied(&mut connection.state);
            } else {
                connection.break_it();
            }
        }
        Ok(outcome)
    }

    /// Runs a statement of Howdah's own on the held connection, which owes nothing.
    pub(super) async fn run_own(&mut self, sql: &[u8]) -> Result<Result<(), SqlError>, End> {
        if self.handle.is_being_cancelled() {
            // The request meant what was sent before.
            self.handle.cancels_done().await;
        }
        let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) else {
            return Ok(Err(SqlError::new(sqlstate::INTERNAL_ERROR, "no server connection is held")));
        };
        // A Query drops the unnamed statement there.
        connection.state.unnamed = 0;
        connection.state.own_error = None;
        connection.state.expected.push_back(Expected::own(Kind::Query));
        write::query(&mut connection.out, sql);
        loop {
            match poll_fn(|cx| self.poll_relay(cx)).await {
                Event::Input => {}
                Event::ClientGone => return Err(End::Gone),
                Event::ServerGone { .. } => {
                    let shard =
                        self.lease.as_ref().map(|lease| lease.pool().shard.clone()).unwrap_or_default();
                    self.drop_lease();
                    return Ok(Err(lost(&shard)));
                }
                Event::Settled => {
                    let connection = self.lease.as_mut().and_then(|lease| lease.connection());
                    let Some(connection) = connection else { return Ok(Ok(())) };
                    if !connection.state.is_quiet() {
                        continue;
                    }
                    return Ok(match connection.state.own_error.take() {
                        Some(body) => Err(error_from(&body)),
                        None => Ok(()),
                    });
                }
            }
        }
    }

    /// Tells the client that its message could not be served.
    pub(super) fn tell_failure(&mut self, tag: u8, error: &SqlError) -> Result<(), End> {
        if error.severity == Severity::Fatal {
            return Err(End::Told(error.clone()));
        }
        self.note_stop();
        write::error_response(&mut self.out, error);
        match tag {
            frontend::QUERY | frontend::FUNCTION_CALL => {
                write::ready_for_query(&mut self.out, self.session.status());
            }
            frontend::SYNC => write::ready_for_query(&mut self.out, self.session.status()),
            _ => self.session.set_skipping(true),
        }
        Ok(())
    }

    /// Lets go of a connection that is not to be used again.
    pub(super) fn drop_lease(&mut self) {
        if let Some(lease) = self.lease.take() {
            // Whether a cancel request is on its way no longer matters: the connection is closed.
            let _on_its_way = self.handle.detached();
            lease.discard();
        }
    }

    /// The server connection broke while it was held.
    pub(super) fn server_gone(&mut self, in_message: bool, reason: Option<&'static str>) -> Result<(), End> {
        let shard = self.lease.as_ref().map(|lease| lease.pool().shard.clone()).unwrap_or_default();
        if let Some(reason) = reason {
            tracing::error!(%shard, reason, "closing a server connection that is out of step");
        }
        let pinned = !self.session.pins().is_empty();
        let in_steps = self.routed.as_deref().is_some_and(Routed::is_in_steps);
        let awaits_sync = self.is_implicit();
        let (owed, told, committing) = match self.lease.as_mut().and_then(|lease| lease.connection()) {
            Some(connection) => {
                let state = &connection.state;
                (
                    owed(connection, in_steps, awaits_sync),
                    state.failed || (pinned && state.is_ending),
                    state.committing,
                )
            }
            None => (Owed::Nothing, false, false),
        };
        let lost = if committing { lost_in_commit(&shard) } else { lost(&shard) };
        self.drop_lease();
        self.discard_parked();
        self.session.server_lost();
        if in_message || pinned {
            // What the session kept on the server, or the message half told, cannot be made good.
            return Err(if in_message || told {
                End::Gone
            } else {
                End::Told(SqlError { severity: Severity::Fatal, ..lost })
            });
        }
        let was = self.session.status();
        if was != TransactionStatus::Idle {
            self.session.set_status(TransactionStatus::Failed);
        }
        self.note_stop();
        match owed {
            Owed::Nothing if was == TransactionStatus::Idle => {}
            Owed::Nothing => self.untold = Some(Box::new(lost)),
            Owed::Ready => {
                if !told {
                    write::error_response(&mut self.out, &lost);
                }
                write::ready_for_query(&mut self.out, self.session.status());
            }
            Owed::UntilSync => {
                if !told {
                    write::error_response(&mut self.out, &lost);
                }
                self.session.set_skipping(true);
            }
            Owed::Step if told => {}
            Owed::Step => write::error_response(&mut self.out, &lost),
        }
        Ok(())
    }

    /// The client leaves: what becomes of its server connection.
    pub(super) async fn leave(mut self) {
        self.service.registry.remove(&self.handle);
        self.discard_parked();
        let Some(mut lease) = self.lease.take() else { return };
        let cancel_on_its_way = self.handle.detached();
        let Some(connection) = lease.connection() else { return };
        if connection.state.is_clean()
            && self.copy_passing == 0
            && self.session.pins().is_empty()
            && !cancel_on_its_way
        {
            self.session.leave(&mut connection.state);
            return;
        }
        let busy = !connection.state.is_between_messages() || connection.passing > 0 || self.copy_passing > 0;
        if busy || cancel_on_its_way {
            // Nobody waits for the statement any more.
            let (process_id, secret) = (connection.process_id, connection.secret);
            let pool = Arc::clone(lease.pool());
            lease.discard();
            let sent = crate::backend::connect::cancel(pool.manager().target(), process_id, secret).await;
            if let Err(error) = sent {
                tracing::debug!(%error, "a statement of a client that left was not cancelled");
            }
            return;
        }
        let is_spoilt = !self.session.pins().ends_with_discard_all()
            || connection.state.settings.has_custom_beyond(&Default::default())
            || self.session.settings().has_custom_beyond(&Default::default());
        if is_spoilt || reset(connection).await.is_err() {
            lease.discard();
        }
    }
}

/// Gives a connection back that a cancel request may still reach: not before it has.
pub(super) fn give_back_later(handle: &Arc<ClientHandle>, lease: Lease) {
    let handle = Arc::clone(handle);
    tokio::spawn(async move {
        handle.cancels_done().await;
        drop(lease);
    });
}

/// Makes a connection that owes nothing as good as new.
async fn reset(connection: &mut ServerConnection) -> Result<(), crate::backend::query::QueryError> {
    let limit = std::time::Duration::from_secs(5);
    if connection.state.status != TransactionStatus::Idle {
        crate::backend::query::query(connection, "ROLLBACK", limit).await?;
        connection.state.status = TransactionStatus::Idle;
    }
    crate::backend::query::query(connection, "DISCARD ALL", limit).await?;
    connection.state.settings = Arc::default();
    connection.state.prepared.clear();
    connection.state.named.clear();
    connection.state.unnamed = 0;
    connection.state.sequence_owner = 0;
    connection.state.failed = false;
    Ok(())
}

/// How a wait for a server connection ended.
pub(super) enum Checkout {
    Done(Result<Lease, CheckoutError>),
    /// The client asked to cancel its statement.
    Cancelled,
}

/// Whether a message asks for something that a failed block refuses.
pub(super) fn asks(tag: u8) -> bool {
    !matches!(
        tag,
        frontend::SYNC | frontend::FLUSH | frontend::COPY_DATA | frontend::COPY_DONE | frontend::COPY_FAIL
    )
}

/// What the client waits for when the server is lost.
enum Owed {
    Nothing,
    /// An error, and ReadyForQuery.
    Ready,
    /// An error; the client has yet to send Sync.
    UntilSync,
    /// An error; what follows is told by whoever runs the step.
    Step,
}

fn owed(connection: &ServerConnection, in_steps: bool, awaits_sync: bool) -> Owed {
    let mut list = connection
        .state
        .expected
        .iter()
        .filter(|entry| entry.audience == crate::session::expected::Audience::Client);
    if in_steps || list.clone().any(|entry| entry.hides_ready) {
        Owed::Step
    } else if list.clone().any(|entry| matches!(entry.kind, Kind::Query | Kind::Sync | Kind::FunctionCall)) {
        Owed::Ready
    } else if list.next().is_some() || connection.state.skipping || connection.state.unsynced || awaits_sync {
        Owed::UntilSync
    } else {
        Owed::Nothing
    }
}

pub(super) fn killed() -> End {
    End::Told(SqlError::fatal(
        sqlstate::ADMIN_SHUTDOWN,
        "terminating connection due to administrator command",
    ))
}

fn lost(shard: &str) -> SqlError {
    SqlError::new(
        sqlstate::CONNECTION_FAILURE,
        format!(
            "the connection to shard \"{shard}\" was lost: whether the statement took effect is not known"
        ),
    )
}

fn lost_in_commit(shard: &str) -> SqlError {
    SqlError::new(
        sqlstate::TRANSACTION_RESOLUTION_UNKNOWN,
        format!(
            "the connection to shard \"{shard}\" was lost during COMMIT: whether the transaction is committed is not known"
        ),
    )
    .with_hint("Look whether its changes are there before doing it again.")
}

/// A server's error as one of Howdah's own.
fn error_from(body: &[u8]) -> SqlError {
    let text =
        |field| read::error_field(body, field).map(|value| String::from_utf8_lossy(value).into_owned());
    let code = read::error_field(body, b'C').and_then(|code| code.try_into().ok());
    let mut error = SqlError::new(
        code.map_or(sqlstate::INTERNAL_ERROR, sqlstate::SqlState),
        text(b'M').unwrap_or_default(),
    );
    error.detail = text(b'D').map(Into::into);
    error.hint = text(b'H').map(Into::into);
    error
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

impl Client {
    /// What a fresh session with the client's startup settings is told, asked of a server; written to the
    /// client's buffer.
    ///
    /// # Errors
    /// What ends the login: the server's refusal, as FATAL.
    pub(super) async fn first_parameters(&mut self) -> Result<Arc<crate::session::params::Parameters>, End> {
        let fatal = |error: SqlError| End::Told(SqlError { severity: Severity::Fatal, ..error });
        self.attach(self.database.rules.home()).await?.map_err(fatal)?;
        let sql = {
            let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) else {
                return Err(End::Gone);
            };
            self.session.settings_to_apply(&connection.state)
        };
        if let Some(sql) = sql
            && let Err(error) = self.apply_settings(&sql).await?
        {
            self.drop_lease();
            return Err(fatal(error));
        }
        let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) else {
            return Err(End::Gone);
        };
        let parameters = Arc::clone(&connection.state.parameters);
        self.session.tell_parameters(&connection.state, &mut self.out);
        if self.session.pins().is_empty() {
            self.release(Instant::now());
        }
        Ok(parameters)
    }
}
