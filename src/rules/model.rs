//! The kinds of rules, validated.

use super::placement::Placement;
use crate::datum::key::KeyType;
use crate::ids::ShardId;

/// A colocation group's place in [`super::Rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u16);

/// Tables whose equal keys lie on the same shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// As the rules name it.
    pub name: String,
    /// The type of each key column; at least one.
    pub key_types: Vec<KeyType>,
    /// Where its rows lie.
    pub placement: Placement,
}

/// A table whose rows lie on the shard of their key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardedTable {
    /// Schema, as Postgres stores it.
    pub schema: String,
    /// Table.
    pub table: String,
    /// Key columns, one for each key type of the group and in its order.
    pub keys: Vec<String>,
    /// Colocation group.
    pub group: GroupId,
}

impl ShardedTable {
    /// Its first key column: all of the key where the group has one key type.
    pub fn key(&self) -> &str {
        self.keys.first().map_or("", String::as_str)
    }
}

/// A table whose rows are the same on every shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceTable {
    /// Schema, as Postgres stores it.
    pub schema: String,
    /// Table.
    pub table: String,
}

/// A table that lies whole on one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SingleTable {
    /// Schema, as Postgres stores it.
    pub schema: String,
    /// Table.
    pub table: String,
    /// Where it lies.
    pub shard: ShardId,
}

/// A schema of which all tables lie whole on one shard: a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaRule {
    /// Schema, as Postgres stores it.
    pub schema: String,
    /// Where its tables lie.
    pub shard: ShardId,
}

/// What all functions of a name touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionRule {
    /// Schema, as Postgres stores it.
    pub schema: String,
    /// Function or procedure.
    pub name: String,
    /// What it touches.
    pub touches: FunctionTouches,
}

/// What a function touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FunctionTouches {
    /// No table, and nothing else that differs between shards.
    Pure,
    /// Only single tables of the home shard.
    Home,
    /// Only rows of one key of a group, and reference tables.
    ByKey {
        /// The group.
        group: GroupId,
        /// For each key column, which argument holds its value, from 1.
        arguments: Vec<u16>,
    },
}

/// What a trigger touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerRule {
    /// Schema of the table, as Postgres stores it.
    pub schema: String,
    /// The table that it is on.
    pub table: String,
    /// The trigger.
    pub name: String,
    /// What it touches.
    pub touches: TriggerTouches,
}

/// What a trigger touches besides the row that fires it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerTouches {
    /// No table.
    Pure,
    /// Only single tables of the home shard.
    Home,
    /// Only rows of the key of the row that fires it, and reads of reference tables.
    ByKey,
}
