//! Sharding rules in one or two files, whatever their text; and keys placed by what is taken.
#![no_main]

use howdah::datum::key::{self, KeyRead, KeyValue, ReadContext};
use howdah::diagnostic::{Diagnostics, SourceText};
use howdah::ids::ShardId;
use howdah::rules::{Group, Rules};
use libfuzzer_sys::fuzz_target;
use std::ops::Bound;

fuzz_target!(|text: &str| {
    let sources: Vec<SourceText> = text
        .splitn(2, "\n---\n")
        .enumerate()
        .map(|(number, part)| SourceText::new(format!("rules-{number}.toml"), part))
        .collect();
    let shards: Vec<String> = ["s0", "s1", "s2"].map(str::to_owned).to_vec();
    let mut diagnostics = Diagnostics::new();
    let rules = howdah::rules::read(&sources, shards, ShardId(1), &mut diagnostics);
    assert_eq!(rules.is_none(), diagnostics.has_errors(), "refused with an error, or taken without");
    if let Some(rules) = rules {
        examine(&rules);
    }
    for one in diagnostics.into_sorted() {
        assert!(!one.to_string().is_empty());
    }
});

fn examine(rules: &Rules) {
    let exists = |shard: ShardId| shard.0 < rules.shard_count();
    for table in rules.sharded() {
        let group = rules.group(table.group).expect("a table's group exists");
        assert_eq!(group.key_types.len(), table.keys.len());
    }
    assert!(rules.singles().iter().all(|table| exists(table.shard)));
    assert!(rules.schemas().iter().all(|schema| exists(schema.shard)));
    for group in rules.groups() {
        assert!(group.placement.all().iter().all(exists));
        place(group);
    }
}

/// Where a key lies is among all shards, and among those between it and itself.
fn place(group: &Group) {
    let context = ReadContext { is_utc: true, is_server_encoding: true };
    for text in ["0", "17", "-3.5", "de", "2024-02-29", "infinity", "00000000-0000-0000-0000-000000000001"] {
        let read = |key_type| match key::read(key_type, 0, 0, text.as_bytes(), &context) {
            KeyRead::Value(value) => Some(value),
            _ => None,
        };
        let key: Option<Vec<KeyValue<'_>>> = group.key_types.iter().map(|key_type| read(*key_type)).collect();
        let Some(key) = key else { continue };
        if let Some(shard) = group.placement.shard(&key) {
            assert!(group.placement.all().contains(shard));
            let first = Bound::Included(&key[0]);
            assert!(group.placement.between(first, first).contains(shard));
            assert!(group.placement.between(first, Bound::Unbounded).contains(shard));
            assert!(group.placement.between(Bound::Unbounded, first).contains(shard));
        }
    }
}
