//! Sockets: streams, listeners, TLS. Knows bytes and addresses, nothing of the Postgres protocol's messages.

pub mod certificate;
pub mod listen;
pub mod prefixed;
pub mod stream;
pub mod tls_client;
pub mod tls_server;
