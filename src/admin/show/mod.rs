//! What SHOW shows: columns and rows, with PgBouncer 1.22's names, order and types, then our own.
//!
//! A column that PgBouncer has and Howdah has no value for is NULL; what cannot occur is 0.

mod connections;
mod pools;
mod process;
mod stats;
mod store;

pub use stats::Averages;
use stats::Half;

use super::Admin;
use super::command::Topic;
use super::table::{Column, Row};

/// A topic's columns.
pub fn columns(topic: Topic) -> &'static [Column] {
    match topic {
        Topic::Clients => &connections::CLIENTS,
        Topic::Config => &process::CONFIG,
        Topic::Databases => &pools::DATABASES,
        Topic::Drift => &store::DRIFT,
        Topic::Lists => &process::LISTS,
        Topic::Pools => &pools::POOLS,
        Topic::Servers => &connections::SERVERS,
        Topic::Shards => &pools::SHARDS,
        Topic::State => &process::STATE,
        Topic::Stats => &stats::STATS,
        Topic::StatsAverages | Topic::StatsTotals => &stats::HALF,
        Topic::Store => &store::STORE,
        Topic::Users => &process::USERS,
        Topic::Version => &process::VERSION_COLUMNS,
    }
}

/// A topic's rows now.
pub fn rows(topic: Topic, admin: &Admin) -> Vec<Row> {
    match topic {
        Topic::Clients => connections::clients(admin),
        Topic::Config => process::config(admin),
        Topic::Databases => pools::databases(admin),
        Topic::Drift => store::drift(admin),
        Topic::Lists => process::lists(admin),
        Topic::Pools => pools::pools(admin),
        Topic::Servers => connections::servers(admin),
        Topic::Shards => pools::shards(admin),
        Topic::State => process::state(admin),
        Topic::Stats => stats::stats(admin),
        Topic::StatsAverages => stats::half(admin, Half::Averages),
        Topic::StatsTotals => stats::half(admin, Half::Totals),
        Topic::Store => store::store(admin),
        Topic::Users => process::users(admin),
        Topic::Version => process::version(),
    }
}
