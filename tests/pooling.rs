//! The pools: their limits, their modes, their queue, and what is left after something was killed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::config::Config;
use support::eventually;
use support::frame::Reply;
use support::message::query;
use support::postgres::Postgres;
use support::process;
use support::program::client_program;
use support::proxy::Howdah;
use support::wire::{Event, Wire};

/// A server that no other test's Howdah uses, so that its connections can be counted.
fn alone(change: impl FnOnce(Config) -> Config) -> (Postgres, Howdah) {
    let postgres = Postgres::start();
    let howdah = Howdah::start(&change(Config::new(&[postgres.port])));
    (postgres, howdah)
}

/// Counts the server connections of user `app` where `condition` holds, asked by the superuser.
fn connections(watcher: &mut Wire, condition: &str) -> usize {
    let sql = format!("select count(*) from pg_stat_activity where usename = 'app' and ({condition})");
    watcher.value(&sql).parse().unwrap()
}

fn watcher(postgres: &Postgres) -> Wire {
    postgres.session("postgres", "postgres")
}

/// Nothing comes for a while.
fn waits(wire: &mut Wire) -> bool {
    wire.event_within(Duration::from_millis(300)) == Event::TimedOut
}

/// Asks, also where the connection may end in between.
fn try_query(wire: &mut Wire, sql: &str) -> Reply {
    wire.query(sql)
}

#[path = "pooling/admin.rs"]
mod admin;
#[path = "pooling/kills.rs"]
mod kills;
#[path = "pooling/limits.rs"]
mod limits;
#[path = "pooling/modes.rs"]
mod modes;
