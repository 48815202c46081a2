//! Client connections.

pub mod authenticate;
pub mod handshake;
pub mod users;
