//! Sharding rules in one or two files, whatever their text.
#![no_main]

use howdah::diagnostic::{Diagnostics, SourceText};
use howdah::ids::ShardId;
use libfuzzer_sys::fuzz_target;

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
        for table in rules.sharded() {
            let group = rules.group(table.group).expect("a table's group exists");
            assert_eq!(group.key_types.len(), table.keys.len());
            assert!(group.placement.all().iter().all(|shard| shard.0 < rules.shard_count()));
        }
        assert!(rules.singles().iter().all(|table| table.shard.0 < rules.shard_count()));
    }
    for one in diagnostics.into_sorted() {
        assert!(!one.to_string().is_empty());
    }
});
