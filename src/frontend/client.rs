//! The loop that serves one client whose database is one server, or whose statements all go to one.

use super::input::Held;
use super::registry::ClientHandle;
use super::relay::Event;
use super::routed::Routed;
use super::settling::Settling;
use super::{Limits, Service};
use crate::error::SqlError;
use crate::net::stream::Stream;
use crate::pool::Lease;
use crate::protocol::TransactionStatus;
use crate::session::Session;
use crate::session::describe::HiddenState;
use crate::sqlstate;
use crate::topology::Database;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Instant;

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

    /// Whether no answer is owed.
    pub(super) fn is_quiet(&mut self) -> bool {
        let connection = self.lease.as_mut().and_then(|lease| lease.connection());
        connection.is_none_or(|connection| connection.state.is_quiet())
    }
}

pub(super) fn killed() -> End {
    End::Told(SqlError::fatal(
        sqlstate::ADMIN_SHUTDOWN,
        "terminating connection due to administrator command",
    ))
}
