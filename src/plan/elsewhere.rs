//! Tables of other shards, which the catalog, being the home shard's, may not have.

use super::planner::Subject;
use super::schema::Meaning;
use crate::sql::query::{Source, Statement};

/// Whether the statement names a table that the rules put on another shard and that the catalog, which is
/// the home shard's, does not have.
pub(super) fn names_unseen(subject: &Subject<'_>, statement: &Statement) -> bool {
    let schema = subject.schema();
    let is_unseen = |name: &[String], oid: Option<u32>| {
        let is_known = oid.is_some_and(|oid| schema.catalog().relation_by_oid(oid).is_some());
        let by_schema = || match name {
            [.., of, _] => schema.rules().schema(of).is_some_and(|rule| rule.shard != subject.home()),
            _ => false,
        };
        let by_name = || matches!(schema.resolve(subject.context.search_path, name), Some(Meaning::Single(single)) if single.shard != subject.home());
        !is_known && (by_schema() || by_name())
    };
    let items = statement.items.iter().filter_map(|item| match &item.source {
        Source::Relation(named) => Some(named),
        _ => None,
    });
    items.chain(&statement.unused).any(|named| is_unseen(&named.name, named.oid))
}
