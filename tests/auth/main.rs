//! Logins against a real Postgres, and of real clients.

mod certificates;
mod clients;
mod fixture;
mod servers;
