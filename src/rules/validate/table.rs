//! Rules of tables and schemas.

use super::{Check, Subject};
use crate::diagnostic::{At, OneOrMore, SourceText};
use crate::rules::raw::{RawReference, RawSchema, RawSharded, RawSingle};
use crate::rules::{GroupId, ReferenceTable, SchemaRule, ShardedTable, SingleTable};

impl Check<'_> {
    pub(super) fn sharded(&mut self, source: &SourceText, raw: &At<RawSharded>) {
        let sharded = raw.get();
        let table = sharded.table.as_ref().and_then(|table| self.table(source, table));
        let group = sharded.group.as_ref().and_then(|group| self.group_id(source, group));
        let keys = sharded.key.as_ref().and_then(|key| self.keys(source, key, group));
        if let (Some((schema, table)), Some(keys), Some(group)) = (table, keys, group) {
            self.rules.sharded.push(ShardedTable { schema, table, keys, group });
        }
    }

    /// Key columns: distinct, and as many as the group has key types.
    fn keys(
        &mut self,
        source: &SourceText,
        key: &At<OneOrMore<String>>,
        group: Option<GroupId>,
    ) -> Option<Vec<String>> {
        let mut keys = Vec::new();
        let mut is_valid = true;
        for (name, span) in key.values() {
            let Some(column) = self.unqualified(source, (name.as_str(), span.clone()), "column") else {
                is_valid = false;
                continue;
            };
            if keys.contains(&column) {
                let found = format!("column `{column}` is there twice");
                self.error(source, span, found, "each column once");
                is_valid = false;
            }
            keys.push(column);
        }
        if let Some(group) = group.and_then(|id| self.rules.group(id))
            && is_valid
            && keys.len() != group.key_types.len()
        {
            let types = group.key_types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let (given, wanted) = (keys.len(), group.key_types.len());
            let found = format!("{given} key columns, where group `{}` has {wanted}", group.name);
            self.error(source, key.span(), found, &format!("one column for each of: {types}"));
            return None;
        }
        is_valid.then_some(keys)
    }

    pub(super) fn reference(&mut self, source: &SourceText, raw: &At<RawReference>) {
        let table = raw.get().table.as_ref().and_then(|table| self.table(source, table));
        if let Some((schema, table)) = table {
            self.rules.references.push(ReferenceTable { schema, table });
        }
    }

    pub(super) fn single(&mut self, source: &SourceText, raw: &At<RawSingle>) {
        let single = raw.get();
        let table = single.table.as_ref().and_then(|table| self.table(source, table));
        let shard = match &single.shard {
            None => Some(self.rules.home),
            Some(name) => self.shard(source, name),
        };
        if let (Some((schema, table)), Some(shard)) = (table, shard) {
            self.rules.singles.push(SingleTable { schema, table, shard });
        }
    }

    pub(super) fn schema(&mut self, source: &SourceText, raw: &At<RawSchema>) {
        let shard = raw.get().shard.as_ref().and_then(|shard| self.shard(source, shard));
        let Some(names) = &raw.get().name else { return };
        for (name, span) in names.values() {
            let Some(schema) = self.unqualified(source, (name.as_str(), span.clone()), "schema") else {
                continue;
            };
            if !self.is_ruled_schema(source, span.clone(), &schema) {
                continue;
            }
            let is_first =
                self.take(source, span, Subject::Schema(schema.clone()), &format!("schema `{schema}`"));
            if let Some(shard) = shard.filter(|_| is_first) {
                self.rules.schemas.push(SchemaRule { schema, shard });
            }
        }
    }
}
