//! The end of a piece of work: what becomes of the server connection and of memory, what is counted and logged.

use super::client::Client;
use super::registry::ClientHandle;
use crate::backend::ServerConnection;
use crate::pool::Lease;
use crate::protocol::frame::{self, HEADER_LEN};
use crate::protocol::{TransactionStatus, frontend, read};
use crate::sql::redacted::redacted;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Buffers of an idle client up to this size are kept.
const KEPT_BYTES_MAX: usize = 512;

/// More of a statement is not kept for the log, in bytes.
const SHOWN_BYTES_MAX: usize = 4096;

impl Client {
    /// The server owes nothing more.
    pub(super) fn settled(&mut self) {
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

    /// Drops the input that is done with.
    pub(super) fn forget_consumed(&mut self) {
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

    /// Forgets input that is done with, and gives memory back.
    pub(super) fn compact(&mut self) {
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
