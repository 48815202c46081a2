//! `query_timeout`: statements that run for too long are cancelled on their servers, whatever clients set
//! `statement_timeout` to.
//!
//! Each client's handle says since when its statements run; one task looks at all of them. Time runs from when
//! statements are sent to a server, and begins anew with each CommandComplete. Servers keep the answers of a
//! message or pipeline of several statements until its end: each adds its whole time to the common limit, so
//! that none is cancelled early. Waiting for a server connection is `queue_timeout`'s.

use super::client::{Client, End};
use super::login::cancel_statement;
use super::{ClientHandle, Service};
use crate::error::SqlError;
use crate::protocol::write;
use crate::session::server_state::Copy;
use crate::sqlstate;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the clients are looked at: at least, and at most.
const PERIOD: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));

/// What a server is told that waits for the data of a COPY; the client reads other words.
const COPY_FAILURE: &[u8] = b"canceling statement due to statement timeout";

/// When a client's statements began.
#[derive(Debug, Default)]
pub struct Timer {
    /// Microseconds since the client's login, plus one; 0: nothing runs that is timed.
    since: AtomicU64,
    /// How many statements were sent and are not known to be done; 0 is as 1.
    statements: AtomicU32,
    /// How often what runs was cancelled because it ran for too long.
    expiries: AtomicU32,
}

impl ClientHandle {
    fn micros(&self, at: Instant) -> u64 {
        let age = at.saturating_duration_since(self.connected_at).as_micros();
        u64::try_from(age).unwrap_or(u64::MAX - 1) + 1
    }

    /// Statements begin now.
    pub fn start_timer(&self, now: Instant) {
        self.timer.expiries.store(0, Ordering::Relaxed);
        self.timer.since.store(self.micros(now), Ordering::SeqCst);
    }

    /// So many more statements are on their way to the server.
    pub fn add_statements(&self, count: u32) {
        self.timer.statements.fetch_add(count, Ordering::Relaxed);
    }

    /// So many of the statements are done, and the next begins now.
    pub fn restart_timer(&self, done: u32, now: Instant) {
        let less = |count: u32| Some(count.saturating_sub(done));
        let _always_some = self.timer.statements.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.timer.since.store(self.micros(now), Ordering::SeqCst);
        if !self.is_being_cancelled() {
            self.timer.expiries.store(0, Ordering::Relaxed);
        }
    }

    /// Nothing runs any more.
    pub fn stop_timer(&self) {
        if self.timer.since.load(Ordering::Relaxed) != 0 {
            self.timer.since.store(0, Ordering::SeqCst);
            self.timer.statements.store(0, Ordering::Relaxed);
        }
    }

    /// Whether the statement was cancelled because it ran for too long.
    pub fn is_expired(&self) -> bool {
        self.timer.expiries.load(Ordering::Relaxed) > 0
    }

    /// Whether statements have run for `timeout` each; if so, they are to be cancelled, and their time begins
    /// anew.
    fn is_due(&self, now: Instant, timeout: Duration) -> Option<u64> {
        let since = self.timer.since.load(Ordering::SeqCst);
        let statements = self.timer.statements.load(Ordering::Relaxed).max(1);
        let limit = u64::try_from(timeout.saturating_mul(statements).as_micros()).unwrap_or(u64::MAX);
        (since != 0 && self.micros(now).saturating_sub(since) >= limit).then_some(since)
    }

    /// Begins to cancel statements that have run for `timeout` each; whether there are any.
    fn expire(&self, now: Instant, timeout: Duration) -> bool {
        let Some(since) = self.is_due(now, timeout) else { return false };
        // From here on nothing new is sent to the servers: either the client's task sees that, or what it has
        // learnt meanwhile is seen here.
        self.begin_cancel();
        let again = self.micros(now);
        let is_same =
            self.timer.since.compare_exchange(since, again, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if is_same {
            self.timer.expiries.fetch_add(1, Ordering::Relaxed);
        } else {
            self.end_cancel();
        }
        is_same
    }
}

/// Cancels what runs for too long, for as long as the process lives.
pub async fn watch(service: Arc<Service>) {
    loop {
        let timeout = service.limits.load().query_timeout;
        let period = timeout.map_or(PERIOD.1, |timeout| (timeout / 20).clamp(PERIOD.0, PERIOD.1));
        tokio::time::sleep(period).await;
        let Some(timeout) = timeout else { continue };
        let now = Instant::now();
        for handle in service.registry.filter(|handle| handle.is_due(now, timeout).is_some()) {
            if !handle.expire(now, timeout) {
                continue;
            }
            tracing::info!(
                client = handle.process_id,
                user = %handle.user,
                database = %handle.database,
                "a statement is cancelled: it ran for query_timeout"
            );
            // It may wait for the data of a COPY, where a server takes no notice of the request.
            handle.wake();
            tokio::spawn(async move { cancel_statement(&handle).await });
        }
    }
}

impl Client {
    /// Ends a COPY FROM STDIN whose time is over and that waits for its client: a server takes no cancel
    /// request meanwhile.
    ///
    /// # Errors
    /// What ends the client, where it has stopped in the middle of a message.
    pub(super) fn fail_expired_copy(&mut self) -> Result<(), End> {
        let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) else {
            return Ok(());
        };
        if connection.state.copy != Copy::In {
            return Ok(());
        }
        if self.copy_passing == 0 {
            connection.state.copy = Copy::None;
            write::copy_fail(&mut connection.out, COPY_FAILURE);
        } else if self.handle.timer.expiries.load(Ordering::Relaxed) > 1 {
            let message = "terminating connection: a message of COPY was not completed within query_timeout";
            return Err(SqlError::fatal(sqlstate::QUERY_CANCELED, message).into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::frontend::{ClientHandle, NewClient, Registry};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    fn handle() -> Arc<ClientHandle> {
        let client = NewClient {
            user: "u".into(),
            database: "d".into(),
            address: "a".into(),
            is_tls: false,
            application_name: "".into(),
            pools: None,
        };
        Registry::default().add(client, 1)
    }

    #[test]
    fn a_statement_expires_once_per_timeout() {
        let handle = handle();
        let timeout = Duration::from_secs(1);
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let expire = |ms| handle.expire(at(ms), timeout);
        assert!(!expire(5000) && !handle.is_being_cancelled(), "nothing runs");
        handle.start_timer(at(0));
        assert!(!expire(999));
        assert!(expire(1000) && handle.is_expired() && handle.is_being_cancelled());
        assert!(!expire(1500), "it is being cancelled");
        assert!(expire(2000), "it was not cancelled the first time");
        handle.restart_timer(1, at(2050));
        assert!(handle.is_expired(), "the request may hit the next of the pipeline");
        handle.end_cancel();
        handle.end_cancel();
        handle.start_timer(at(2100));
        assert!(!handle.is_expired());
        handle.stop_timer();
        assert!(!expire(9000));
    }

    #[test]
    fn each_statement_adds_its_time() {
        let handle = handle();
        let timeout = Duration::from_secs(1);
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        handle.add_statements(3);
        handle.start_timer(at(0));
        assert!(handle.is_due(at(2999), timeout).is_none() && handle.is_due(at(3000), timeout).is_some());
        handle.restart_timer(1, at(500));
        assert!(handle.is_due(at(2499), timeout).is_none() && handle.is_due(at(2500), timeout).is_some());
        handle.restart_timer(7, at(600));
        assert!(handle.is_due(at(1600), timeout).is_some());
    }

    #[test]
    fn a_statement_that_ends_in_time_is_not_cancelled() {
        let handle = handle();
        let timeout = Duration::from_secs(1);
        let start = Instant::now();
        handle.start_timer(start);
        let later = start + timeout;
        let due = handle.is_due(later, timeout);
        handle.restart_timer(1, later);
        assert!(due.is_some() && !handle.expire(later, timeout));
        assert!(!handle.is_expired() && !handle.is_being_cancelled());
    }
}
