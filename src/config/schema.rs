//! The JSON schema of `howdah.toml`, and the reference page made of it.

use super::raw::RawConfig;
use serde_json::{Map, Value};
use std::fmt::Write;

/// The JSON schema of `howdah.toml`, indented, with a line end.
pub fn schema() -> String {
    let schema = schemars::schema_for!(RawConfig);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// The tables of `howdah.toml` in the order in which they are explained: heading, name in the schema.
const TABLES: [(&str, &str); 10] = [
    ("[general]", "General"),
    ("[[listener]]", "Listener"),
    ("[listener.tls]", "ListenerTls"),
    ("[[user]]", "User"),
    ("[auth]", "Auth"),
    ("[[hba]]", "Hba"),
    ("[[cluster]]", "Cluster"),
    ("[[cluster.shard]]", "Shard"),
    ("[cluster.shard.tls]", "ShardTls"),
    ("[cluster.pool]", "Pool"),
];

const HEAD: &str = "# Configuration: howdah.toml

<!-- Generated. Change the docstrings in src/config/raw.rs, then run:
     cargo run -- schema --markdown > docs/reference/configuration.md -->

`howdah serve --config howdah.toml` reads one file of [TOML](https://toml.io). A file with any error is
refused as a whole, with every error's line; `howdah check --offline` shows them without serving.
`howdah.example.toml` is a file to start from, and `howdah schema` prints a JSON schema for editors.

- Relative paths start at the folder of the file.
- A duration is a whole number of seconds, or text with a unit: `\"250ms\"`, `\"10s\"`, `\"5min\"`, `\"1h\"`, `\"1d\"`.
- A size is a whole number of bytes, or text with a unit: `\"512kB\"`, `\"64MB\"`, `\"1GB\"` (powers of 1024).
- A secret is the text itself, `\"env:NAME\"` for an environment variable, `\"file:PATH\"` for a file's first
  line, or `\"literal:TEXT\"`. Secrets are never logged or shown.
- SIGHUP, `RELOAD` in the admin database, or a change of the file puts the new contents in force without
  dropping a client. Listeners' addresses, `threads`, `log_format`, `cluster_name` and
  `plan_cache_entries` need a restart.
";

/// The reference page, in Markdown.
pub fn reference() -> String {
    let schema = Value::from(schemars::schema_for!(RawConfig));
    let mut page = HEAD.to_owned();
    for (heading, name) in TABLES {
        let table = schema.pointer(&format!("/$defs/{name}")).unwrap_or(&Value::Null);
        section(&mut page, heading, table, &schema);
    }
    page
}

fn section(page: &mut String, heading: &str, table: &Value, schema: &Value) {
    let text = description(table);
    let _infallible = write!(page, "\n## `{heading}`\n\n{text}\n\n");
    page.push_str("| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
    let required: Vec<&str> = strings(table.get("required"));
    let empty = Map::new();
    let properties = table.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let (mut first, mut rest): (Vec<_>, Vec<_>) =
        properties.iter().partition(|(key, _)| required.contains(&key.as_str()));
    first.append(&mut rest);
    for (key, property) in first {
        if is_table(property, schema) {
            continue;
        }
        let default = match property.get("default") {
            Some(default) => format!("`{default}`"),
            None if required.contains(&key.as_str()) => "required".to_owned(),
            None => String::new(),
        };
        let (kinds, choices) = kinds(property, schema);
        let meaning = description(property).replace('|', "\\|").replace('\n', " ");
        let _infallible = writeln!(page, "| `{key}` | {kinds} | {default} | {meaning}{choices} |");
    }
}

/// Whether a key holds tables, which have sections of their own.
fn is_table(property: &Value, schema: &Value) -> bool {
    let items = property.get("items").unwrap_or(property);
    alternatives(items, schema).iter().any(|shape| shape.get("properties").is_some())
}

/// What a value may be, and what its words mean.
fn kinds(property: &Value, schema: &Value) -> (String, String) {
    let reference = alternative_names(property);
    if let Some(name) = reference.first() {
        return (name.clone(), String::new());
    }
    let mut kinds: Vec<String> = Vec::new();
    let mut choices = String::new();
    for shape in alternatives(property, schema) {
        if let Some(word) = shape.get("const").and_then(Value::as_str) {
            kinds.push(format!("`\"{word}\"`"));
            let _infallible = write!(choices, " `{word}`: {}", description(shape));
            continue;
        }
        let range = match (
            shape.get("minimum").and_then(Value::as_u64),
            shape.get("maximum").and_then(Value::as_u64),
        ) {
            (Some(low), Some(high)) if high < u64::from(u32::MAX) => format!(", {low} to {high}"),
            (Some(low), _) if low > 0 => format!(", at least {low}"),
            _ => String::new(),
        };
        let types =
            strings(shape.get("type")).into_iter().filter(|name| *name != "null").map(|name| match name {
                "string" => "text",
                "integer" => "number",
                "boolean" => "true or false",
                "array" => "list of text",
                other => other,
            });
        kinds.extend(types.map(|name| format!("{name}{range}")));
    }
    (kinds.join(", "), choices)
}

/// The reader's name of a type that the head of the page explains.
fn alternative_names(property: &Value) -> Vec<String> {
    let several = ["anyOf", "oneOf"].iter().find_map(|key| property.get(key)).and_then(Value::as_array);
    let shapes: Vec<&Value> = several.map_or_else(|| vec![property], |several| several.iter().collect());
    let names = shapes.iter().filter_map(|shape| shape.get("$ref")).filter_map(Value::as_str);
    let shown = names.filter_map(|name| match name.rsplit('/').next() {
        Some("Duration") => Some("duration"),
        Some("Size") => Some("size"),
        Some("Secret") => Some("secret"),
        Some("OneOrMore") => Some("text, or list of text"),
        _ => None,
    });
    shown.map(str::to_owned).collect()
}

/// The shapes that a value may have, references followed.
fn alternatives<'a>(shape: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    if let Some(reference) = shape.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| schema.pointer(pointer));
        return target.map(|target| alternatives(target, schema)).unwrap_or_default();
    }
    match ["anyOf", "oneOf"].iter().find_map(|key| shape.get(key)).and_then(Value::as_array) {
        Some(several) => several.iter().flat_map(|shape| alternatives(shape, schema)).collect(),
        None => vec![shape],
    }
}

fn description(shape: &Value) -> &str {
    shape.get("description").and_then(Value::as_str).unwrap_or_default()
}

fn strings(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
