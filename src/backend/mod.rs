//! Connections to Postgres servers: logging in, and what a connection is between statements.

pub mod auth_query;
pub mod connect;
mod connection;
pub mod login;
mod oids;
pub mod query;

pub use connection::{OpenPermit, ServerConnection, ServerInfo};
pub use oids::OidSlot;
