//! Sharding rules: which table lies where.
//!
//! [`Rules`] is the validated, immutable form: colocation groups with their placements, sharded, reference
//! and single tables, schemas on one shard, and what user functions and triggers touch. Everything without
//! a rule is single, on the home shard.

mod model;
mod placement;
mod raw;
mod validate;

pub use crate::datum::key::KeyType;
pub use model::{
    FunctionRule, FunctionTouches, Group, GroupId, ReferenceTable, SchemaRule, ShardedTable, SingleTable,
    TriggerRule, TriggerTouches,
};
pub use placement::{BucketMap, Edge, IntervalMap, ListMap, Placement, Range, RangeMap, Step};
pub use raw::RawRules;
pub use validate::read;

use crate::ids::{ShardId, ShardSet};

/// The JSON schema of a file of rules, indented, with a line end.
pub fn schema() -> String {
    let schema = schemars::schema_for!(RawRules);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// The validated rules of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    home: ShardId,
    shards: Vec<String>,
    groups: Vec<Group>,
    sharded: Vec<ShardedTable>,
    references: Vec<ReferenceTable>,
    singles: Vec<SingleTable>,
    schemas: Vec<SchemaRule>,
    functions: Vec<FunctionRule>,
    triggers: Vec<TriggerRule>,
    /// Whether clients may choose the shard by a hint.
    allows_hints: bool,
}

impl Rules {
    /// Rules for a cluster without sharded tables: everything on the home shard.
    pub fn unsharded(shards: Vec<String>, home: ShardId) -> Rules {
        Rules {
            home,
            shards,
            groups: Vec::new(),
            sharded: Vec::new(),
            references: Vec::new(),
            singles: Vec::new(),
            schemas: Vec::new(),
            functions: Vec::new(),
            triggers: Vec::new(),
            allows_hints: false,
        }
    }

    /// The same rules, and whether clients may choose the shard by a hint.
    #[must_use]
    pub fn with_hints(self, allows_hints: bool) -> Rules {
        Rules { allows_hints, ..self }
    }

    /// Whether clients may choose the shard by a hint.
    pub fn allows_hints(&self) -> bool {
        self.allows_hints
    }

    /// How many shards the cluster has.
    pub fn shard_count(&self) -> u16 {
        u16::try_from(self.shards.len()).unwrap_or(u16::MAX)
    }

    /// The shards' names, in shard order.
    pub fn shard_names(&self) -> &[String] {
        &self.shards
    }

    /// The colocation groups, in the order of their ids.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The colocation group of this id.
    pub fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(usize::from(id.0))
    }

    /// The sharded tables.
    pub fn sharded(&self) -> &[ShardedTable] {
        &self.sharded
    }

    /// The reference tables.
    pub fn references(&self) -> &[ReferenceTable] {
        &self.references
    }

    /// The tables that a rule names as single.
    pub fn singles(&self) -> &[SingleTable] {
        &self.singles
    }

    /// The schemas that a rule puts on one shard.
    pub fn schemas(&self) -> &[SchemaRule] {
        &self.schemas
    }

    /// The rule of the schema, where it has one.
    pub fn schema(&self, name: &str) -> Option<&SchemaRule> {
        self.schemas.iter().find(|rule| rule.schema == name)
    }

    /// The shards other than the home shard on which rules put single tables, or schemas.
    pub fn shards_of_single_tables(&self) -> ShardSet {
        let singles = self.singles.iter().map(|rule| rule.shard);
        let schemas = self.schemas.iter().map(|rule| rule.shard);
        let mut shards = ShardSet::empty();
        singles.chain(schemas).filter(|shard| *shard != self.home).for_each(|shard| shards.insert(shard));
        shards
    }

    /// What the rules say of user functions.
    pub fn functions(&self) -> &[FunctionRule] {
        &self.functions
    }

    /// What the rules say of triggers.
    pub fn triggers(&self) -> &[TriggerRule] {
        &self.triggers
    }

    /// Whether any table is sharded.
    pub fn has_sharded(&self) -> bool {
        !self.sharded.is_empty()
    }

    /// Whether all tables lie on the home shard, so that nothing has to be planned.
    pub fn is_home_only(&self) -> bool {
        let home = self.home;
        self.sharded.is_empty()
            && self.references.is_empty()
            && self.singles.iter().all(|rule| rule.shard == home)
            && self.schemas.iter().all(|rule| rule.shard == home)
    }

    /// The home shard.
    pub fn home(&self) -> ShardId {
        self.home
    }

    /// The same rules, with the bucket maps that `map_of` gives for hash groups (those of the store) in place
    /// of the default ones.
    ///
    /// # Errors
    /// [`NoSuchShard`] where a map names a shard that the cluster does not have.
    pub fn with_maps(
        mut self,
        mut map_of: impl FnMut(&Group) -> Option<BucketMap>,
    ) -> Result<Rules, NoSuchShard> {
        let shards = self.shard_count();
        for group in &mut self.groups {
            if !matches!(group.placement, Placement::Hash(_)) {
                continue;
            }
            let Some(map) = map_of(group) else { continue };
            if let Some(shard) = map.as_slice().iter().find(|shard| shard.0 >= shards) {
                return Err(NoSuchShard { group: group.name.clone(), shard: *shard, shards });
            }
            group.placement = Placement::Hash(map);
        }
        Ok(self)
    }
}

/// A bucket map that does not fit the cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bucket map of group `{group}` names shard {shard}; the cluster has {shards}, counted from 0")]
pub struct NoSuchShard {
    /// The group.
    pub group: String,
    /// What its map names.
    pub shard: ShardId,
    /// How many shards there are.
    pub shards: u16,
}
