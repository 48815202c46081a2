//! Server connections.

pub mod auth_query;
pub mod connect;
pub mod login;
