//! SHOW STATS, STATS_TOTALS and STATS_AVERAGES: counters since the start, and averages over the last minute or so.

use super::super::Admin;
use super::super::table::{Column, Row, Value, numeric, text};
use crate::topology::DatabaseStats;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// PgBouncer's fifteen.
pub const STATS: [Column; 15] = [
    text("database"),
    numeric("total_xact_count"),
    numeric("total_query_count"),
    numeric("total_received"),
    numeric("total_sent"),
    numeric("total_xact_time"),
    numeric("total_query_time"),
    numeric("total_wait_time"),
    numeric("avg_xact_count"),
    numeric("avg_query_count"),
    numeric("avg_recv"),
    numeric("avg_sent"),
    numeric("avg_xact_time"),
    numeric("avg_query_time"),
    numeric("avg_wait_time"),
];

/// As PgBouncer's: of SHOW STATS_TOTALS and STATS_AVERAGES.
pub const HALF: [Column; 8] = [
    text("database"),
    numeric("xact_count"),
    numeric("query_count"),
    numeric("bytes_received"),
    numeric("bytes_sent"),
    numeric("xact_time"),
    numeric("query_time"),
    numeric("wait_time"),
];

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Counters since the start.
    Totals,
    /// Averages.
    Averages,
}

/// The rows of SHOW STATS_TOTALS or STATS_AVERAGES.
pub fn half(admin: &Admin, half: Half) -> Vec<Row> {
    let from = match half {
        Half::Totals => 1,
        Half::Averages => HALF.len(),
    };
    let part = |row: Row| {
        let mut values = row.into_iter();
        let name = values.next();
        name.into_iter().chain(values.skip(from - 1).take(HALF.len() - 1)).collect()
    };
    stats(admin).into_iter().map(part).collect()
}

/// How long a period of the averages is at least.
const PERIOD: Duration = Duration::from_secs(60);

/// One database's counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    transactions: u64,
    queries: u64,
    received: u64,
    sent: u64,
    transaction_us: u64,
    query_us: u64,
    wait_us: u64,
}

impl Totals {
    fn add(&mut self, stats: &DatabaseStats) {
        self.transactions += stats.transactions.load(Ordering::Relaxed);
        self.queries += stats.queries.load(Ordering::Relaxed);
        self.received += stats.received_bytes.load(Ordering::Relaxed);
        self.sent += stats.sent_bytes.load(Ordering::Relaxed);
        self.transaction_us += stats.transaction_us.load(Ordering::Relaxed);
        self.query_us += stats.query_us.load(Ordering::Relaxed);
        self.wait_us += stats.wait_us.load(Ordering::Relaxed);
    }

    /// What was counted since `old`; nothing where counters began anew with other pools.
    fn since(&self, old: &Totals) -> Totals {
        Totals {
            transactions: self.transactions.saturating_sub(old.transactions),
            queries: self.queries.saturating_sub(old.queries),
            received: self.received.saturating_sub(old.received),
            sent: self.sent.saturating_sub(old.sent),
            transaction_us: self.transaction_us.saturating_sub(old.transaction_us),
            query_us: self.query_us.saturating_sub(old.query_us),
            wait_us: self.wait_us.saturating_sub(old.wait_us),
        }
    }
}

type Snapshot = (Instant, BTreeMap<Box<str>, Totals>);

/// Earlier counters, for averages.
///
/// Nothing runs in the background: the counters are noted when they are shown and the last note is a
/// period old. Averages go from the note before the last up to now: over one to two periods where
/// somebody looks regularly, else over longer.
#[derive(Debug)]
pub struct Averages {
    notes: Mutex<[Snapshot; 2]>,
}

impl Averages {
    /// Counters that were all 0 at this moment.
    pub fn since(start: Instant) -> Self {
        Averages { notes: Mutex::new([(start, BTreeMap::new()), (start, BTreeMap::new())]) }
    }

    /// The counters to compare with, and how long ago they were.
    fn earlier(
        &self,
        now: Instant,
        totals: &BTreeMap<Box<str>, Totals>,
    ) -> (Duration, BTreeMap<Box<str>, Totals>) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let [older, newer] = &mut *notes;
        if now.duration_since(newer.0) >= PERIOD {
            *older = std::mem::replace(newer, (now, totals.clone()));
        }
        (now.duration_since(older.0), older.1.clone())
    }
}

/// The rows of SHOW STATS: one per database, all users together.
pub fn stats(admin: &Admin) -> Vec<Row> {
    let mut totals: BTreeMap<Box<str>, Totals> = BTreeMap::new();
    for database in admin.service.directory.databases() {
        totals.entry(database.name.clone()).or_default().add(&database.stats);
    }
    let (elapsed, earlier) = admin.averages.earlier(Instant::now(), &totals);
    totals
        .iter()
        .map(|(name, now)| {
            let before = earlier.get(name).copied().unwrap_or_default();
            row(name, now, &now.since(&before), elapsed)
        })
        .collect()
}

fn row(name: &str, total: &Totals, lately: &Totals, elapsed: Duration) -> Row {
    let micros = elapsed.as_micros().max(1);
    let per_second =
        |count: u64| Value::Number(u64::try_from(u128::from(count) * 1_000_000 / micros).unwrap_or(u64::MAX));
    let per = |us: u64, count| Value::Number(us.checked_div(count).unwrap_or(0));
    vec![
        name.into(),
        total.transactions.into(),
        total.queries.into(),
        total.received.into(),
        total.sent.into(),
        total.transaction_us.into(),
        total.query_us.into(),
        total.wait_us.into(),
        per_second(lately.transactions),
        per_second(lately.queries),
        per_second(lately.received),
        per_second(lately.sent),
        per(lately.transaction_us, lately.transactions),
        per(lately.query_us, lately.queries),
        // As PgBouncer: microseconds that clients waited, per second.
        per_second(lately.wait_us),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_go_over_one_to_two_periods() {
        let start = Instant::now();
        let averages = Averages::since(start);
        let at = |seconds, queries| {
            let totals = BTreeMap::from([("shop".into(), Totals { queries, ..Totals::default() })]);
            let (elapsed, earlier) = averages.earlier(start + Duration::from_secs(seconds), &totals);
            (elapsed.as_secs(), earlier.get("shop").map_or(0, |totals| totals.queries))
        };
        assert_eq!(at(10, 5), (10, 0));
        assert_eq!(at(60, 100), (60, 0));
        assert_eq!(at(110, 150), (110, 0));
        assert_eq!(at(120, 200), (60, 100));
        assert_eq!(at(150, 300), (90, 100));
    }

    #[test]
    fn a_row_has_rates_per_second_and_times_per_query() {
        let lately = Totals {
            transactions: 120,
            queries: 240,
            transaction_us: 6000,
            query_us: 2400,
            ..Totals::default()
        };
        let row = row("shop", &lately, &lately, Duration::from_secs(60));
        assert_eq!(row.len(), STATS.len());
        assert_eq!(row[8], Value::Number(2));
        assert_eq!(row[9], Value::Number(4));
        assert_eq!(row[12], Value::Number(50));
        assert_eq!(row[13], Value::Number(10));
    }
}
