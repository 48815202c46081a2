//! Statements about what every shard has for itself: roles, settings of the server, functions, types,
//! operators, casts, extensions, privileges on them.
//!
//! Run on the home shard alone they would leave the shards different, and the next statement that another
//! shard answers would get what is no longer so.
//!
//! Protects from: half-applied definitions and privileges, until definitions run on all shards at once.

use super::mention::Mentions;
use super::schema::Schema;
use crate::error::SqlError;

/// Why the statement must not run on one shard of several, if so.
pub(super) fn refusal(mentions: &Mentions, schema: &Schema) -> Option<SqlError> {
    let (first, second, third) = (mentions.word(0), mentions.word(1), mentions.word(2));
    let what = match (first, second) {
        ("create" | "alter" | "drop", "user") if third == "mapping" => return None,
        ("create" | "alter" | "drop", "role" | "user" | "group") => format!("{} ROLE", first.to_uppercase()),
        ("alter", "system" | "database") => format!("ALTER {}", second.to_uppercase()),
        ("grant" | "revoke", _) => privileges(mentions, schema)?,
        ("create", _) => created(mentions, schema)?,
        ("alter" | "drop", "schema") if schema_is_shared(mentions, schema) => {
            format!("{} SCHEMA of a schema with functions, types or sharded tables", first.to_uppercase())
        }
        ("alter" | "drop", _) => changed(mentions, schema)?,
        _ => return None,
    };
    Some(SqlError::refused(
        format!("{what} in a cluster with sharded tables is not supported yet: every shard has its own"),
        "Run it on each shard, on connections to the shards themselves.",
    ))
}

/// GRANT and REVOKE of roles, and on anything but tables and sequences, whose names decide for themselves.
fn privileges(mentions: &Mentions, schema: &Schema) -> Option<String> {
    let first = mentions.word(0).to_uppercase();
    let Some(on) = mentions.names.iter().position(|name| name == "on") else {
        return Some(format!("{first} of a role"));
    };
    let kind = mentions.names.get(on + 1).map_or("", String::as_str);
    let is_shared = match kind {
        "function" | "procedure" | "routine" => mentions.names.iter().any(|name| is_function(schema, name)),
        "type" | "domain" => mentions.names.iter().any(|name| is_type(schema, name)),
        "schema" => schema_is_shared(mentions, schema),
        // ON ALL FUNCTIONS IN SCHEMA; tables and sequences are looked at elsewhere.
        "all" => mentions.names.get(on + 2).is_some_and(|of| of != "tables" && of != "sequences"),
        "database" | "language" | "foreign" | "tablespace" => true,
        _ => false,
    };
    is_shared.then(|| format!("{first} ON {}", kind.to_uppercase()))
}

/// CREATE of what changes how statements are read, or of a function whose name the shards know already.
fn created(mentions: &Mentions, schema: &Schema) -> Option<String> {
    let kinds = mentions.leading.iter().skip(1).map(String::as_str);
    let mut kinds =
        kinds.skip_while(|word| matches!(*word, "or" | "replace" | "trusted" | "procedural" | "default"));
    let kind = kinds.next()?;
    match kind {
        "cast" | "operator" | "transform" | "conversion" | "language" | "access" => {
            Some(format!("CREATE {}", kind.to_uppercase()))
        }
        "function" | "procedure" | "aggregate" => {
            let is_known = mentions.first_call.as_deref().is_some_and(|name| is_function(schema, name));
            is_known.then(|| format!("CREATE {} of a name that exists", kind.to_uppercase()))
        }
        _ => None,
    }
}

/// ALTER and DROP of what the shards know.
fn changed(mentions: &Mentions, schema: &Schema) -> Option<String> {
    let (first, kind) = (mentions.word(0), mentions.word(1));
    let any = |is_known: fn(&Schema, &str) -> bool| {
        mentions.names.iter().skip(2).any(|name| is_known(schema, name))
    };
    let is_shared = match kind {
        "function" | "procedure" | "routine" | "aggregate" => any(is_function),
        "type" | "domain" => any(is_type),
        "cast" | "operator" | "transform" | "conversion" | "language" | "access" | "extension"
        | "collation" | "text" => true,
        _ => false,
    };
    is_shared.then(|| format!("{} {}", first.to_uppercase(), kind.to_uppercase()))
}

fn is_function(schema: &Schema, name: &str) -> bool {
    schema.catalog().function(name).is_some()
}

/// A type, but for a table's row type.
fn is_type(schema: &Schema, name: &str) -> bool {
    schema
        .catalog()
        .types()
        .any(|one| one.name == name && !matches!(one.kind, crate::catalog::TypeKind::Row(_)))
}

/// Whether a schema that the statement names holds what other shards have too.
fn schema_is_shared(mentions: &Mentions, schema: &Schema) -> bool {
    let catalog = schema.catalog();
    let holds = |name: &String| {
        schema.schema_reaches_sharded(name)
            || catalog.functions().any(|function| function.schema == *name)
            || catalog
                .types()
                .any(|one| one.schema == *name && !matches!(one.kind, crate::catalog::TypeKind::Row(_)))
    };
    let is_end =
        |name: &&String| matches!(name.as_str(), "to" | "from" | "cascade" | "restrict" | "rename" | "owner");
    let named = mentions.names.iter().skip_while(|name| *name != "schema").skip(1);
    named.take_while(|name| !is_end(name)).any(holds)
}
