//! Good and bad rules, with what is told of them.

use super::read;
use crate::diagnostic::{Diagnostics, SourceText};
use crate::ids::ShardId;
use crate::rules::{GroupId, Placement, Rules};

fn shards() -> Vec<String> {
    ["a", "b", "c"].map(str::to_owned).to_vec()
}

fn rules(text: &str) -> Result<Rules, Vec<String>> {
    let mut diagnostics = Diagnostics::new();
    let sources = [SourceText::new("rules.toml", text)];
    match read(&sources, shards(), ShardId(0), &mut diagnostics) {
        Some(rules) => Ok(rules),
        None => Err(diagnostics.into_sorted().iter().map(crate::diagnostic::Diagnostic::one_line).collect()),
    }
}

#[test]
fn the_examples_are_valid() {
    for text in [
        include_str!("../../../sharding-rules/shop.toml"),
        include_str!("../../../sharding-rules/pgbench.toml"),
    ] {
        rules(text).unwrap();
    }
    let shop = rules(include_str!("../../../sharding-rules/shop.toml")).unwrap();
    assert_eq!(shop.sharded().len(), 3);
    assert!(shop.sharded().iter().all(|table| table.group == GroupId(0)));
    assert!(matches!(&shop.groups()[0].placement, Placement::Hash(map) if map.buckets() == 4096));
}

#[test]
fn every_error_is_told_at_once_with_its_place() {
    let text = r#"
[[group]]
name = "customers"
key_type = "txet"
buckets = 1000

[[group]]
name = "other"

[[sharded]]
table = "orders"
key = "customer_id"
group = "othre"

[[single]]
table = "public.orders"

[[single]]
table = "x"
shard = "d"

[[sharded]]
table = "y"
keys = "id"
group = "other"
"#;
    let errors = rules(text).unwrap_err();
    for expected in [
        "rules.toml:4:12: error: `txet` is not a key type",
        "rules.toml:5:11: error: 1000 buckets cannot be",
        "rules.toml:13:9: error: there is no group `othre`",
        "rules.toml:16:9: error: `public.orders` already has a rule",
        "rules.toml:20:9: error: there is no shard `d`",
        "`keys`",
    ] {
        assert!(errors.iter().any(|error| error.contains(expected)), "{expected}\n{errors:#?}");
    }
}
