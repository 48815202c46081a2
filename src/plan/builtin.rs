//! What is known of Postgres's own functions and columns.

/// Functions whose every form gives the same answer for the same row on every shard: IMMUTABLE, or
/// depending on the session's settings only, which are the same on all shards.
///
/// Source: PostgreSQL 15, `src/include/catalog/pg_proc.dat` (`provolatile`).
const PER_ROW: &[&str] = &[
    "abs",
    "acos",
    "array",
    "array_append",
    "array_cat",
    "array_dims",
    "array_length",
    "array_lower",
    "array_ndims",
    "array_position",
    "array_positions",
    "array_prepend",
    "array_remove",
    "array_replace",
    "array_to_string",
    "array_upper",
    "ascii",
    "asin",
    "atan",
    "atan2",
    "bit_length",
    "btrim",
    "cardinality",
    "cbrt",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "chr",
    "coalesce",
    "concat",
    "concat_ws",
    "cos",
    "cot",
    "date",
    "date_bin",
    "date_part",
    "date_trunc",
    "decode",
    "degrees",
    "div",
    "encode",
    "exp",
    "extract",
    "factorial",
    "floor",
    "format",
    "gcd",
    "greatest",
    "initcap",
    "int4",
    "int8",
    "isempty",
    "isfinite",
    "json_array_length",
    "json_extract_path",
    "json_extract_path_text",
    "json_typeof",
    "jsonb_array_length",
    "jsonb_exists",
    "jsonb_extract_path",
    "jsonb_extract_path_text",
    "jsonb_pretty",
    "jsonb_set",
    "jsonb_strip_nulls",
    "jsonb_typeof",
    "justify_days",
    "justify_hours",
    "justify_interval",
    "lcm",
    "least",
    "left",
    "length",
    "ln",
    "log",
    "log10",
    "lower",
    "lower_inc",
    "lower_inf",
    "lpad",
    "ltrim",
    "make_date",
    "make_interval",
    "make_time",
    "make_timestamp",
    "md5",
    "min_scale",
    "mod",
    "normalize",
    "nullif",
    "num_nonnulls",
    "num_nulls",
    "octet_length",
    "overlay",
    "pi",
    "position",
    "power",
    "quote_ident",
    "radians",
    "regexp_match",
    "regexp_replace",
    "regexp_split_to_array",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "row",
    "rpad",
    "rtrim",
    "scale",
    "sha256",
    "sha512",
    "sign",
    "sin",
    "split_part",
    "sqrt",
    "starts_with",
    "string_to_array",
    "strpos",
    "substr",
    "substring",
    "tan",
    "timezone",
    "to_char",
    "to_date",
    "to_hex",
    "to_number",
    "to_timestamp",
    "translate",
    "trim",
    "trim_scale",
    "trunc",
    "upper",
    "upper_inc",
    "upper_inf",
    "width_bucket",
];

/// Columns that every table has and that differ from shard to shard.
const SYSTEM_COLUMNS: [&str; 6] = ["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"];

/// Functions that reach beyond the shard they run on, or whose effect must be the cluster's: they are not
/// run on the shard of a key.
const BEYOND_SHARD: &[&str] = &[
    "currtid2",
    "currval",
    "lastval",
    "nextval",
    "pg_cancel_backend",
    "pg_current_snapshot",
    "pg_current_xact_id",
    "pg_current_xact_id_if_assigned",
    "pg_export_snapshot",
    "pg_indexes_size",
    "pg_notify",
    "pg_relation_filepath",
    "pg_relation_size",
    "pg_sequence_last_value",
    "pg_snapshot_xmin",
    "pg_table_size",
    "pg_terminate_backend",
    "pg_total_relation_size",
    "pg_visible_in_snapshot",
    "pg_xact_status",
    "set_config",
    "setseed",
    "setval",
    "to_regclass",
];

/// The same by how their names start.
const BEYOND_SHARD_PREFIXES: [&str; 6] =
    ["lo_", "pg_advisory_", "pg_logical_", "pg_replication_", "pg_try_advisory_", "txid_"];

/// Functions that run SQL given as text, so that the tables they read do not show.
const RUNS_TEXT: &[&str] = &[
    "connectby",
    "cursor_to_xml",
    "cursor_to_xmlschema",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "database_to_xmlschema",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "query_to_xmlschema",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "schema_to_xmlschema",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "table_to_xmlschema",
    "ts_rewrite",
    "ts_stat",
    "xpath_table",
];

/// Strips `pg_catalog.` from a function's name; `None` for one of another schema.
fn bare(name: &[String]) -> Option<&str> {
    match name {
        [name] => Some(name),
        [schema, name] if schema == "pg_catalog" => Some(name),
        _ => None,
    }
}

/// Whether a function may run once per row on whichever shard the row is.
pub(super) fn is_per_row(name: &[String]) -> bool {
    bare(name).is_some_and(|name| PER_ROW.binary_search(&name).is_ok())
}

/// Whether a function must not run on the shard of a key.
pub(super) fn is_beyond_shard(name: &[String]) -> bool {
    let Some(name) = name.last() else { return true };
    BEYOND_SHARD.contains(&name.as_str()) || BEYOND_SHARD_PREFIXES.iter().any(|p| name.starts_with(p))
}

/// Whether a function runs SQL given as text.
pub(super) fn runs_text(name: &str) -> bool {
    RUNS_TEXT.contains(&name) || name.starts_with("dblink") || name.starts_with("crosstab")
}

/// Whether a column is one of the system's.
pub(super) fn is_system_column(name: &str) -> bool {
    SYSTEM_COLUMNS.contains(&name)
}

/// How an aggregate of this name is combined from one value per shard.
pub(super) fn combine(name: &[String]) -> Option<crate::merge::Combine> {
    use crate::merge::Combine;
    match bare(name)? {
        "count" => Some(Combine::Count),
        "sum" => Some(Combine::Sum),
        "min" => Some(Combine::Min { text_is_c: false }),
        "max" => Some(Combine::Max { text_is_c: false }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_is_sorted_for_binary_search() {
        assert!(super::PER_ROW.is_sorted());
    }
}
