//! Server connections for a client: taken from the pool, put in the state of its session, and spoken to by Howdah.

use super::client::{Client, End, killed};
use super::lost::lost;
use super::registry::CancelTarget;
use super::relay::Event;
use crate::backend::ServerConnection;
use crate::error::{Severity, SqlError};
use crate::ids::ShardId;
use crate::pool::{CheckoutError, Lease};
use crate::protocol::{TransactionStatus, read, write};
use crate::session::Session;
use crate::session::expected::{Expected, Kind};
use crate::sqlstate;
use crate::topology::checkout_error;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Instant;

/// How often a connection is asked for, where the pool was replaced or the connection does not suit.
const ATTACH_ATTEMPTS: usize = 1000;

/// How a wait for a server connection ended.
pub(super) enum Checkout {
    Done(Result<Lease, CheckoutError>),
    /// The client asked to cancel its statement.
    Cancelled,
}

impl Client {
    /// Makes sure that a server connection in the session's state is held. `false`: the client was told
    /// an error instead.
    pub(super) async fn ensure_server(&mut self, tag: u8) -> Result<bool, End> {
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

    /// Lets go of a connection that is not to be used again.
    pub(super) fn drop_lease(&mut self) {
        if let Some(lease) = self.lease.take() {
            // Whether a cancel request is on its way no longer matters: the connection is closed.
            let _on_its_way = self.handle.detached();
            lease.discard();
        }
    }

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
