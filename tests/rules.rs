//! The example rules in `sharding-rules/`, and those of the reference page, are rules that Howdah takes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use howdah::diagnostic::{Diagnostics, SourceText};
use howdah::ids::ShardId;
use howdah::rules::{GroupId, Placement, Rules};
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(sources: &[SourceText]) -> Rules {
    let shards: Vec<String> = (0..3).map(|number| format!("s{number}")).collect();
    let mut diagnostics = Diagnostics::new();
    let rules = howdah::rules::read(sources, shards, ShardId(0), &mut diagnostics);
    rules.unwrap_or_else(|| {
        let errors: Vec<String> = diagnostics.into_sorted().iter().map(ToString::to_string).collect();
        panic!("{}", errors.join("\n"))
    })
}

/// The folders below `sharding-rules/`, itself among them, each with its rules.
fn examples() -> Vec<(PathBuf, Vec<SourceText>)> {
    let mut folders = vec![root().join("sharding-rules")];
    let mut examples = Vec::new();
    while let Some(folder) = folders.pop() {
        let mut sources = Vec::new();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                sources.push(SourceText::new(
                    path.display().to_string(),
                    std::fs::read_to_string(&path).unwrap(),
                ));
            }
        }
        examples.push((folder, sources));
    }
    examples
}

#[test]
fn every_folder_of_examples_is_a_set_of_rules() {
    let examples = examples();
    for (folder, sources) in &examples {
        assert!(!sources.is_empty(), "{} has no rules", folder.display());
        read(sources);
    }
}

#[test]
fn the_shop_lies_by_customer() {
    let shop = read(&[SourceText::new("shop.toml", include_str!("../sharding-rules/shop.toml"))]);
    let by_customer: Vec<&str> = shop
        .sharded()
        .iter()
        .filter(|table| table.group == GroupId(0))
        .map(|table| table.table.as_str())
        .collect();
    assert_eq!(by_customer, ["customers", "orders", "order_lines"]);
    assert!(matches!(&shop.groups()[0].placement, Placement::Hash(map) if map.buckets() == 4096));
}

#[test]
fn the_rules_of_the_reference_page_are_rules() {
    let page = include_str!("../docs/reference/sharding-rules.md");
    let blocks: Vec<&str> =
        page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() > 3, "{}", blocks.len());
    for block in blocks {
        read(&[SourceText::new("the page", block)]);
    }
}

#[test]
fn the_json_schema_knows_every_kind_of_rule() {
    let program = env!("CARGO_BIN_EXE_howdah");
    let done = std::process::Command::new(program).args(["schema", "--rules"]).output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    for kind in ["group", "sharded", "reference", "single", "schema", "function", "trigger"] {
        let described = schema["properties"][kind]["description"].as_str();
        assert!(described.is_some_and(|text| !text.is_empty()), "{kind}");
    }
    let required = &schema["$defs"]["RawSharded"]["required"];
    assert_eq!(required, &serde_json::json!(["table", "key", "group"]));
}

/// As `fuzz/fuzz_targets/rules.rs` does, for a moment: whatever the text, it is refused with an error or taken
/// without, and what is taken names shards that exist.
#[test]
fn mutated_rules_are_refused_with_an_error_or_taken_whole() {
    let files: Vec<SourceText> = examples().into_iter().flat_map(|(_, sources)| sources).collect();
    let shards: Vec<String> = (0..3).map(|number| format!("s{number}")).collect();
    let mut state = 1_u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize) % limit
    };
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..3000 {
        let mut text: Vec<char> = files[below(files.len())].text().chars().collect();
        for _ in 0..=below(3) {
            let at = below(text.len());
            let new: Vec<char> = "\"[]{}=,.0x19é\n -_#abs".chars().collect();
            match below(3) {
                0 => text.insert(at, new[below(new.len())]),
                1 => text[at] = new[below(new.len())],
                _ => drop(text.drain(at..text.len().min(at + 1 + below(20)))),
            }
        }
        let text: String = text.into_iter().collect();
        let mut diagnostics = Diagnostics::new();
        let sources = [SourceText::new("mutated", text.clone())];
        let rules = howdah::rules::read(&sources, shards.clone(), ShardId(1), &mut diagnostics);
        assert_eq!(rules.is_none(), diagnostics.has_errors(), "{text}");
        let Some(rules) = rules else {
            refused += 1;
            continue;
        };
        taken += 1;
        for group in rules.groups() {
            assert!(group.placement.all().iter().all(|shard| shard.0 < 3), "{text}");
        }
        for table in rules.sharded() {
            assert_eq!(rules.group(table.group).unwrap().key_types.len(), table.keys.len(), "{text}");
        }
    }
    assert!(taken > 100 && refused > 100, "{taken} {refused}");
}
