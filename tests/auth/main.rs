//! Logins against a real Postgres, and of real clients.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets what it does not expect fails by panicking"
)]

mod certificates;
mod clients;
mod fixture;
mod front;
mod servers;
mod transcripts;
