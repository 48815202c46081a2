//! Good rules and what they mean; bad ones, with what is told of them.

mod errors;

use super::read;
use crate::datum::key::{KeyType, KeyValue};
use crate::diagnostic::{Diagnostics, SourceText};
use crate::ids::{ShardId, ShardSet};
use crate::rules::{FunctionTouches, GroupId, Rules, TriggerTouches};
use std::ops::Bound;

fn shards() -> Vec<String> {
    ["a", "b", "c"].map(str::to_owned).to_vec()
}

fn rules(text: &str) -> Result<Rules, Vec<String>> {
    let mut diagnostics = Diagnostics::new();
    let sources = [SourceText::new("f", text)];
    match read(&sources, shards(), ShardId(0), &mut diagnostics) {
        Some(rules) => Ok(rules),
        None => Err(diagnostics.into_sorted().iter().map(crate::diagnostic::Diagnostic::one_line).collect()),
    }
}

fn good(text: &str) -> Rules {
    rules(text).unwrap_or_else(|errors| panic!("{text}\n{errors:#?}"))
}

/// The errors of files that have some.
fn bad(text: &str) -> Vec<String> {
    rules(text).expect_err(text)
}

#[test]
fn nothing_is_a_set_of_rules() {
    let rules = good("");
    assert!(rules.is_home_only() && !rules.has_sharded());
}

#[test]
fn every_kind_of_rule_is_read() {
    let rules = good(
        r#"
group = [{ name = "g", key_type = ["uuid", "text"], buckets = 8 }]
sharded = [{ table = 'App."Order Lines"', key = ["tenant", '"Sku"'], group = "g" }]
reference = [{ table = "countries" }]
single = [{ table = "app.notes" }, { table = "app.logs", shard = "b" }]
schema = [{ name = ["tenant_1", '"Tenant 2"'], shard = "c" }, { name = "tenant_3", shard = "a" }]
function = [
  { name = "app.slug", touches = "pure" },
  { name = "count_notes", touches = "home" },
  { name = "place", touches = "by_key", argument = [2, 1] },
]
trigger = [
  { table = "app.notes", name = "stamp", touches = "pure" },
  { table = "app.notes", name = '"Audit"', touches = "home" },
  { table = 'app."Order Lines"', name = "total", touches = "by_key" },
]
"#,
    );
    let sharded = &rules.sharded()[0];
    assert_eq!((sharded.schema.as_str(), sharded.table.as_str()), ("app", "Order Lines"));
    assert_eq!(sharded.keys, ["tenant", "Sku"]);
    assert_eq!(rules.groups()[0].key_types, [KeyType::Uuid, KeyType::Text]);
    assert_eq!(rules.references()[0].table, "countries");
    let singles: Vec<_> = rules.singles().iter().map(|rule| (rule.table.as_str(), rule.shard.0)).collect();
    assert_eq!(singles, [("notes", 0), ("logs", 1)]);
    let schemas: Vec<_> = rules.schemas().iter().map(|rule| (rule.schema.as_str(), rule.shard.0)).collect();
    assert_eq!(schemas, [("tenant_1", 2), ("Tenant 2", 2), ("tenant_3", 0)]);
    assert_eq!(rules.schema("Tenant 2").unwrap().shard, ShardId(2));
    let touches: Vec<_> = rules.functions().iter().map(|rule| rule.touches.clone()).collect();
    let by_key = FunctionTouches::ByKey { group: GroupId(0), arguments: vec![2, 1] };
    assert_eq!(touches, [FunctionTouches::Pure, FunctionTouches::Home, by_key]);
    let triggers: Vec<_> = rules.triggers().iter().map(|rule| (rule.name.as_str(), rule.touches)).collect();
    let expected =
        [("stamp", TriggerTouches::Pure), ("Audit", TriggerTouches::Home), ("total", TriggerTouches::ByKey)];
    assert_eq!(triggers, expected);
    assert!(!rules.is_home_only());
}

#[test]
fn every_sharding_function_is_read() {
    let rules = good(
        r#"
[[group]]
name = "ranges"
key_type = ["int8", "text"]
function = "range"
range = [
  { from = [10, "m"], shard = "a" },
  { to = 0, shard = "b" },
  { from = 0, to = [10, "m"], shard = "a" },
]
[[group]]
name = "lists"
key_type = "text"
function = "list"
list = [{ values = ["de", "at"], shard = "b" }, { values = "ch", shard = "c" }]
[[group]]
name = "intervals"
key_type = "timestamptz"
function = "interval"
interval = "1 month"
anchor = "2024-01-01 00:00:00+00"
shards = ["c", "b", "c"]
"#,
    );
    let [ranges, lists, intervals] = rules.groups() else { panic!("{rules:?}") };
    let key =
        |number: i64, text: &'static str| [KeyValue::Int8(number), KeyValue::Text(text.as_bytes().into())];
    assert_eq!(ranges.placement.shard(&key(-1, "z")), Some(ShardId(1)));
    assert_eq!(ranges.placement.shard(&key(10, "lzz")), Some(ShardId(0)));
    assert_eq!(ranges.placement.name(), "range");
    let text = |text: &'static str| [KeyValue::Text(text.as_bytes().into())];
    assert_eq!(lists.placement.shard(&text("at")), Some(ShardId(1)));
    assert_eq!(lists.placement.shard(&text("AT")), None);
    let month = |number: i64| KeyValue::Timestamptz((8766 + number * 31) * 86_400_000_000);
    assert_eq!(intervals.placement.shard(&[month(0)]), Some(ShardId(2)));
    assert_eq!(intervals.placement.shard(&[month(1)]), Some(ShardId(1)));
    assert_eq!(intervals.placement.all(), [ShardId(1), ShardId(2)].into_iter().collect());
    let one = intervals.placement.between(Bound::Included(&month(1)), Bound::Included(&month(1)));
    assert_eq!(one, ShardSet::one(ShardId(1)));
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
    let errors = bad(text);
    for expected in [
        "f:4:12: error: `txet` is not a key type",
        "f:5:11: error: 1000 buckets cannot be",
        "f:13:9: error: there is no group `othre`",
        "f:16:9: error: `public.orders` already has a rule",
        "f:20:9: error: there is no shard `d`",
        "`keys`",
    ] {
        assert!(errors.iter().any(|error| error.contains(expected)), "{expected}\n{errors:#?}");
    }
}

#[test]
fn a_caret_stands_under_what_is_wrong() {
    let mut diagnostics = Diagnostics::new();
    let text = "[[group]]\nname = \"g\"\nkey_type = [\"int8\", \"txet\"]\n";
    assert!(read(&[SourceText::new("f.toml", text)], shards(), ShardId(0), &mut diagnostics).is_none());
    let expected = "error: `txet` is not a key type\n --> f.toml:3:21\n  |\n3 | key_type = [\"int8\", \"txet\"]\n  |                     ^^^^^^\n  = allowed: `int8`, `numeric`, `text`, `uuid`, `date`, `timestamp`, `timestamptz`\n  = help: did you mean `text`?";
    assert_eq!(diagnostics.as_slice()[0].to_string(), expected);
}

#[test]
fn files_are_one_set() {
    let files = [
        SourceText::new("1", "sharded = [{ table = \"t\", key = \"id\", group = \"g\" }]"),
        SourceText::new("2", "group = [{ name = \"g\" }]\nsingle = [{ table = \"t\" }]"),
    ];
    let mut diagnostics = Diagnostics::new();
    assert!(read(&files, shards(), ShardId(0), &mut diagnostics).is_none());
    let found: Vec<String> = diagnostics.into_sorted().iter().map(|one| one.one_line()).collect();
    assert_eq!(found, ["2:2:21: error: `public.t` already has a rule (the other one is at 1:1)"]);
}

#[test]
fn maps_of_the_store_replace_the_default_ones() {
    let rules = good(
        "group = [{ name = \"g\", buckets = 4 }, { name = \"l\", function = \"list\", list = [{ values = 1, shard = \"a\" }] }]",
    );
    let map = |shards: [u16; 4]| crate::rules::BucketMap::new(shards.map(ShardId).to_vec());
    let moved = rules.clone().with_maps(|_| map([2, 2, 2, 1])).unwrap();
    assert_eq!(moved.groups()[0].placement.all(), [ShardId(1), ShardId(2)].into_iter().collect());
    assert_eq!(moved.groups()[1], rules.groups()[1]);
    assert_eq!(rules.clone().with_maps(|_| None).unwrap(), rules);
    let error = rules.with_maps(|_| map([0, 1, 2, 3])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the bucket map of group `g` names shard 3; the cluster has 3, counted from 0"
    );
}
