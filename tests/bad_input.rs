//! Bad input: each gets its SQLSTATE on its own connection, and a healthy client beside goes on working.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use support::config::Config;
use support::eventually;
use support::frame::Reply;
use support::message::{self, bind, execute, message, parse, query, sync, untyped};
use support::postgres::Postgres;
use support::process;
use support::proxy::Howdah;
use support::wire::{Event, Wire};

/// A Howdah with a client that must not be harmed.
struct Scene {
    howdah: Howdah,
    healthy: Wire,
}

impl Scene {
    fn new() -> Scene {
        Scene::with(|config| config)
    }

    fn with(change: impl FnOnce(Config) -> Config) -> Scene {
        let howdah = Howdah::start(&change(Config::new(&[Postgres::shared().port]).pool("size", 3)));
        let mut healthy = howdah.app();
        healthy.run("begin; create temp table beside as select 7 as x; commit");
        Scene { howdah, healthy }
    }

    /// The client beside, and a new one, are well.
    fn is_unharmed(&mut self) {
        assert_eq!(self.healthy.value("select x from beside"), "7");
        let mut fresh = self.howdah.app();
        assert_eq!(fresh.value("select count(*) from parent"), "10");
        fresh.terminate();
    }

    /// A new client sends `bytes` after its login; gives everything up to the connection's end or to
    /// ReadyForQuery after a Sync that follows.
    fn answer(&mut self, bytes: &[u8]) -> Reply {
        let mut wire = self.howdah.app();
        wire.send(bytes);
        wire.send(&sync());
        let reply = wire.reply();
        self.is_unharmed();
        reply
    }
}

/// Reads what comes until the connection ends.
fn last_words(wire: &mut Wire) -> Reply {
    let mut reply = Reply::default();
    loop {
        match wire.event() {
            Event::Frame(frame) => reply.frames.push(frame),
            Event::Closed => return reply,
            Event::TimedOut => panic!("the connection stays open: {reply:?}"),
        }
    }
}

/// Resident memory of the process, in KiB.
fn memory_kib(howdah: &Howdah) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", howdah.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[path = "bad_input/losses.rs"]
mod losses;
#[path = "bad_input/messages.rs"]
mod messages;
#[path = "bad_input/peers.rs"]
mod peers;
#[path = "bad_input/startup.rs"]
mod startup;
