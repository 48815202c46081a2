//! The shape of a rules file, as TOML gives it.

use crate::diagnostic::{At, OneOrMore};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::fmt;

/// A file of `sharding-rules/`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawRules {
    /// Colocation groups: tables of one group with equal keys lie on the same shard.
    pub group: Vec<At<RawGroup>>,
    /// Tables whose rows lie on the shard of their key.
    pub sharded: Vec<At<RawSharded>>,
    /// Tables whose rows are the same on every shard.
    pub reference: Vec<At<RawReference>>,
    /// Tables that lie whole on one shard.
    pub single: Vec<At<RawSingle>>,
    /// Schemas of which all tables lie whole on one shard: a tenant each.
    pub schema: Vec<At<RawSchema>>,
    /// What user functions and procedures touch.
    pub function: Vec<At<RawFunction>>,
    /// What triggers touch.
    pub trigger: Vec<At<RawTrigger>>,
}

/// A colocation group.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawGroup {
    /// How the tables below name it.
    #[schemars(required)]
    pub name: Option<At<String>>,
    /// The type that keys are placed by, or a list with one for each key column: `int8` (the default; for
    /// smallint, integer and bigint columns), `numeric`, `text` (text, varchar), `uuid`, `date`, `timestamp`,
    /// `timestamptz`.
    pub key_type: Option<At<OneOrMore<String>>>,
    /// The sharding function: `hash` (the default), `range`, `list` or `interval`.
    pub function: Option<At<String>>,
    /// For `hash`: into how many buckets keys are hashed, a power of two; 4096 if left out.
    pub buckets: Option<At<u32>>,
    /// For `range`: the ranges.
    pub range: Option<At<Vec<At<RawRange>>>>,
    /// For `list`: the listed values of the first key column.
    pub list: Option<At<Vec<At<RawList>>>>,
    /// For `interval`: how long each interval is, such as `1 month`, `7 days` or `12 hours`.
    pub interval: Option<At<String>>,
    /// For `interval`: when an interval begins, `2000-01-01` if left out; timestamptz in UTC.
    pub anchor: Option<At<String>>,
    /// For `interval`: the shards that the intervals go round, from the anchor's on; all, in the
    /// cluster's order, if left out.
    pub shards: Option<At<Vec<At<String>>>>,
}

/// A range of keys. A bound is a value of the first key column, or a list of values of the first columns.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRange {
    /// The first key in it; from the least key on if left out.
    pub from: Option<At<OneOrMore<RawValue>>>,
    /// The first key behind it; to the greatest key if left out.
    pub to: Option<At<OneOrMore<RawValue>>>,
    /// The shard that holds it.
    #[schemars(required)]
    pub shard: Option<At<String>>,
}

/// Values of one shard.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawList {
    /// Values of the first key column.
    #[schemars(required)]
    pub values: Option<At<OneOrMore<RawValue>>>,
    /// The shard that holds their rows.
    #[schemars(required)]
    pub shard: Option<At<String>>,
}

/// A sharded table.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSharded {
    /// `schema.table`, or a table of `public`; quoted as in SQL where needed.
    #[schemars(required)]
    pub table: Option<At<String>>,
    /// The column whose value decides the shard, or a list with one for each key type of the group.
    #[schemars(required)]
    pub key: Option<At<OneOrMore<String>>>,
    /// Its colocation group.
    #[schemars(required)]
    pub group: Option<At<String>>,
}

/// A reference table.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawReference {
    /// `schema.table`, or a table of `public`; quoted as in SQL where needed.
    #[schemars(required)]
    pub table: Option<At<String>>,
}

/// A single table.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSingle {
    /// `schema.table`, or a table of `public`; quoted as in SQL where needed.
    #[schemars(required)]
    pub table: Option<At<String>>,
    /// The shard that holds it; the home shard if left out.
    pub shard: Option<At<String>>,
}

/// A schema on one shard.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSchema {
    /// The schema, quoted as in SQL where needed; or a list of them.
    #[schemars(required)]
    pub name: Option<At<OneOrMore<String>>>,
    /// The shard that holds its tables.
    #[schemars(required)]
    pub shard: Option<At<String>>,
}

/// A user function or procedure, all of this name.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFunction {
    /// `schema.function`, or a function of `public`; quoted as in SQL where needed.
    #[schemars(required)]
    pub name: Option<At<String>>,
    /// `pure`: no table; `home`: only single tables of the home shard; `by_key`: only rows of one key of a
    /// group, given as an argument.
    #[schemars(required)]
    pub touches: Option<At<String>>,
    /// For `by_key`: which argument holds the key, from 1; or a list with one for each key column.
    pub argument: Option<At<OneOrMore<u16>>>,
    /// For `by_key`: the colocation group; may be left out where there is only one.
    pub group: Option<At<String>>,
}

/// A trigger.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTrigger {
    /// The table it is on: `schema.table`, or a table of `public`.
    #[schemars(required)]
    pub table: Option<At<String>>,
    /// The trigger's name, quoted as in SQL where needed.
    #[schemars(required)]
    pub name: Option<At<String>>,
    /// `pure`: no table besides the row; `home`: only single tables of the home shard; `by_key`: only rows
    /// of the same key.
    #[schemars(required)]
    pub touches: Option<At<String>>,
}

/// A key's value: a whole number, or a text as Postgres reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawValue {
    /// A whole number.
    Integer(i64),
    /// Anything else.
    Text(String),
}

impl fmt::Display for RawValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RawValue::Integer(value) => write!(f, "{value}"),
            RawValue::Text(value) => f.write_str(value),
        }
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawValue, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = RawValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or a text in quotes")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<RawValue, E> {
                Ok(RawValue::Integer(value))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<RawValue, E> {
                i64::try_from(value).map(RawValue::Integer).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<RawValue, E> {
                Ok(RawValue::Text(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for RawValue {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["integer", "string"] })
    }
}
