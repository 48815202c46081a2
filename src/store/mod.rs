//! The store: what the proxies of a cluster agree on, in the schema `howdah` of the home shard, and each
//! proxy's view of it.
//!
//! A [`Keeper`] per cluster makes the store at the first start, holds this proxy's leases on all shards,
//! follows catalogs, bucket maps and rules, and publishes them as [`Snapshot`]s of a [`View`], by which
//! clients' statements are planned. Changes of rules and of the catalog wait until every proxy has taken
//! them in, or is gone.
//!
//! Layouts, bucket maps and drift are values without any connection.
//!
//! Must not: plan, or touch a client's statement.

mod change;
mod compose;
mod drift;
mod error;
mod keeper;
mod layout;
mod lease;
mod link;
mod maps;
mod migrate;
mod pulse;
mod read;
mod records;
mod settings;
mod settle;
mod view;

pub use drift::drift;
pub use error::StoreError;
pub use keeper::Keeper;
pub use layout::{Difference, GroupLayout, Layout, Place, Subject};
pub use link::{MaintenanceLogin, StoreShard};
pub use maps::{BadMap, BucketRange, map_of, ranges_of};
pub use settings::{IsDrained, StoreSettings};
pub use view::{Snapshot, Unsettled, View, out_of_sight};
