//! The harness of the system tests: real Postgres servers, the built `howdah` binary, a raw wire
//! client, and runners that compare what plain Postgres and Howdah answer.
//!
//! It knows nothing of Howdah's insides: everything goes through sockets, files and processes.

#![allow(dead_code, reason = "each test binary uses its own part of the harness")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a harness fails by panicking"
)]

pub mod cases;
pub mod compare;
pub mod config;
pub mod frame;
pub mod link;
pub mod message;
pub mod naive;
pub mod postgres;
pub mod process;
pub mod program;
pub mod proxy;
pub mod relay;
pub mod script;
pub mod wire;

/// Waits until `condition` holds, looking every 10 ms.
///
/// # Panics
/// After `seconds`, saying what was awaited.
pub fn eventually(what: &str, seconds: u64, mut condition: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    while !condition() {
        assert!(std::time::Instant::now() < end, "not within {seconds} s: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
