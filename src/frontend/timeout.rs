//! `query_timeout`: statements that run for too long are cancelled on their servers, whatever clients set
//! `statement_timeout` to.
//!
//! Each client's handle says since when its statement runs; one task looks at all of them. A statement is
//! timed as Postgres times it: each of a message or pipeline by itself, from when it is sent to a server to
//! its CommandComplete. Waiting for a server connection is `queue_timeout`'s.

use super::login::cancel_statement;
use super::{ClientHandle, Service};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the clients are looked at: at least, and at most.
const PERIOD: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));

/// When a client's statement began.
#[derive(Debug, Default)]
pub struct Timer {
    /// Microseconds since the client's login, plus one; 0: nothing runs that is timed.
    since: AtomicU64,
    /// The statement was cancelled because it ran for too long.
    is_expired: AtomicBool,
}

impl ClientHandle {
    fn micros(&self, at: Instant) -> u64 {
        let age = at.saturating_duration_since(self.connected_at).as_micros();
        u64::try_from(age).unwrap_or(u64::MAX - 1) + 1
    }

    /// A statement begins now.
    pub fn start_timer(&self, now: Instant) {
        self.timer.is_expired.store(false, Ordering::Relaxed);
        self.timer.since.store(self.micros(now), Ordering::Relaxed);
    }

    /// Nothing runs any more.
    pub fn stop_timer(&self) {
        if self.timer.since.load(Ordering::Relaxed) != 0 {
            self.timer.since.store(0, Ordering::Relaxed);
        }
    }

    /// Whether the statement was cancelled because it ran for too long.
    pub fn is_expired(&self) -> bool {
        self.timer.is_expired.load(Ordering::Relaxed)
    }

    /// Whether a statement has run for `timeout`; if so, it is expired, and its time begins anew.
    fn expire(&self, now: Instant, timeout: Duration) -> bool {
        let since = self.timer.since.load(Ordering::Relaxed);
        let now = self.micros(now);
        let limit = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
        if since == 0 || now.saturating_sub(since) < limit {
            return false;
        }
        self.timer.is_expired.store(true, Ordering::Relaxed);
        // It may have ended, and another begun, in between.
        let same = self.timer.since.compare_exchange(since, now, Ordering::Relaxed, Ordering::Relaxed);
        if same.is_err() {
            self.timer.is_expired.store(false, Ordering::Relaxed);
        }
        same.is_ok()
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
        for handle in service.registry.filter(|handle| handle.expire(now, timeout)) {
            tracing::info!(
                client = handle.process_id,
                user = %handle.user,
                database = %handle.database,
                "a statement is cancelled: it ran for query_timeout"
            );
            tokio::spawn(async move {
                // The next one must not be cancelled in its place.
                if handle.is_expired() {
                    cancel_statement(&handle).await;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::frontend::{NewClient, Registry};
    use std::time::{Duration, Instant};

    #[test]
    fn a_statement_expires_once_per_timeout() {
        let client = NewClient {
            user: "u".into(),
            database: "d".into(),
            address: "a".into(),
            is_tls: false,
            application_name: "".into(),
            pools: None,
        };
        let handle = Registry::default().add(client, 1);
        let timeout = Duration::from_secs(1);
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert!(!handle.expire(at(5000), timeout), "nothing runs");
        handle.start_timer(at(0));
        assert!(!handle.expire(at(999), timeout));
        assert!(handle.expire(at(1000), timeout) && handle.is_expired());
        assert!(!handle.expire(at(1500), timeout), "it is being cancelled");
        assert!(handle.expire(at(2000), timeout), "it was not cancelled the first time");
        handle.start_timer(at(2100));
        assert!(!handle.is_expired());
        handle.stop_timer();
        assert!(!handle.expire(at(9000), timeout));
    }
}
