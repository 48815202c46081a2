//! Howdah: a Postgres wire-protocol proxy that makes many Postgres servers answer as one.
//!
//! The way of a statement, and of this crate's modules, is one list; data flows down it and results
//! flow back, and no module imports one above its own layer (`tests/layers.rs` holds that):
//!
//! | layer | modules |
//! | --- | --- |
//! | 5 compose | [`cli`], [`server`], [`admin`], [`config`], [`telemetry`] |
//! | 4 act | [`frontend`], [`exec`] |
//! | 3 I/O | [`net`], [`backend`], [`pool`], [`topology`], [`store`], [`throwaway`] |
//! | 2 pure | [`session`], [`plan`], [`merge`] |
//! | 1 pure | [`protocol`], [`sql`], [`datum`], [`catalog`], [`rules`], [`auth`], [`txn`], [`diagnostic`] |
//! | 0 pure | [`error`], [`sqlstate`], [`ids`], [`fault`] |

pub mod error;
pub mod fault;
pub mod ids;
pub mod sqlstate;

pub mod auth;
pub mod catalog;
pub mod datum;
pub mod diagnostic;
pub mod protocol;
pub mod rules;
pub mod sql;
pub mod txn;

pub mod merge;
pub mod plan;
pub mod session;

pub mod backend;
pub mod net;
pub mod pool;
pub mod store;
pub mod throwaway;
pub mod topology;

pub mod exec;
pub mod frontend;

pub mod admin;
pub mod cli;
pub mod config;
pub mod server;
pub mod telemetry;
