//! The shape of a rules file, as TOML gives it.

use crate::diagnostic::At;
use schemars::JsonSchema;
use serde::Deserialize;

/// A file of `sharding-rules/`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawRules {
    /// Colocation groups: tables of one group with equal keys lie on the same shard.
    pub group: Vec<At<RawGroup>>,
    /// Tables whose rows lie on the shard of their key.
    pub sharded: Vec<At<RawSharded>>,
    /// Tables that lie whole on one shard.
    pub single: Vec<At<RawSingle>>,
    /// Tables that lie whole on every shard (not built yet).
    pub reference: Vec<At<RawLater>>,
    /// Schemas that lie whole on one shard (not built yet).
    pub schema: Vec<At<RawLater>>,
    /// What user functions touch (not built yet).
    pub function: Vec<At<RawLater>>,
}

/// A colocation group.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawGroup {
    /// How the tables below name it.
    #[schemars(required)]
    pub name: Option<At<String>>,
    /// The type that keys are hashed as: `int8`, for smallint, integer and bigint columns.
    pub key_type: Option<At<String>>,
    /// Into how many buckets keys are hashed, a power of two; 4096 if left out.
    pub buckets: Option<At<u32>>,
}

/// A sharded table.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawSharded {
    /// `schema.table`, or a table of `public`; quoted as in SQL where needed.
    #[schemars(required)]
    pub table: Option<At<String>>,
    /// The column whose value decides the shard.
    #[schemars(required)]
    pub key: Option<At<String>>,
    /// Its colocation group.
    #[schemars(required)]
    pub group: Option<At<String>>,
    /// The sharding function: `hash`.
    pub function: Option<At<String>>,
}

/// A single table.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawSingle {
    /// `schema.table`, or a table of `public`; quoted as in SQL where needed.
    #[schemars(required)]
    pub table: Option<At<String>>,
    /// The shard that holds it; the home shard if left out.
    pub shard: Option<At<String>>,
}

/// A kind of rule that is not built yet.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawLater {
    /// The table.
    pub table: Option<At<String>>,
    /// The schema or function.
    pub name: Option<At<String>>,
}
