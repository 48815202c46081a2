//! What is known of Postgres's own functions beyond the tables of `catalog::builtin`.

use crate::catalog::builtin::{self, BuiltinFunction};
use crate::catalog::{FunctionKind, Volatility};
use crate::sql::query::Call;

/// STABLE functions that depend on nothing but their arguments and on settings, which are the same on all
/// shards.
///
/// Source: PostgreSQL 15, `src/include/catalog/pg_proc.dat` (`provolatile`), read one by one.
const BY_SETTINGS: &[&str] = &[
    "array_to_json",
    "array_to_string",
    "concat",
    "concat_ws",
    "convert",
    "convert_from",
    "convert_to",
    "date",
    "date_part",
    "date_trunc",
    "enum_first",
    "enum_last",
    "enum_range",
    "extract",
    "format",
    "generate_series",
    "json_agg",
    "json_build_array",
    "json_build_object",
    "json_object_agg",
    "json_populate_record",
    "json_populate_recordset",
    "json_to_record",
    "json_to_recordset",
    "jsonb_agg",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_object_agg",
    "jsonb_path_exists_tz",
    "jsonb_path_match_tz",
    "jsonb_path_query_array_tz",
    "jsonb_path_query_first_tz",
    "jsonb_path_query_tz",
    "jsonb_populate_record",
    "jsonb_populate_recordset",
    "jsonb_to_record",
    "jsonb_to_recordset",
    "length",
    "make_timestamptz",
    "money",
    "numeric",
    "overlaps",
    "phraseto_tsquery",
    "plainto_tsquery",
    "quote_literal",
    "quote_nullable",
    "row_to_json",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "timezone",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "to_tsquery",
    "to_tsvector",
    "ts_headline",
    "websearch_to_tsquery",
];

/// Aggregates whose result depends on the order of their input.
const BY_ORDER: &[&str] = &[
    "any_value",
    "array_agg",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "string_agg",
    "xmlagg",
];

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

/// Whether a function must not run on the shard of a key.
pub(super) fn is_beyond_shard(name: &[String]) -> bool {
    let Some(name) = name.last() else { return true };
    BEYOND_SHARD.contains(&name.as_str()) || BEYOND_SHARD_PREFIXES.iter().any(|p| name.starts_with(p))
}

/// Whether a function runs SQL given as text.
pub(super) fn runs_text(name: &str) -> bool {
    RUNS_TEXT.contains(&name) || name.starts_with("dblink") || name.starts_with("crosstab")
}

/// The functions of `pg_catalog` that a call may mean: those with as many arguments, if there are any.
pub(super) fn candidates(bare: &str, call: &Call) -> Vec<BuiltinFunction> {
    let all = builtin::functions(bare);
    let count = call.arguments.len();
    let fits = |function: &BuiltinFunction| {
        function.arguments.len() == count || (function.is_variadic && count + 1 >= function.arguments.len())
    };
    // Arguments may have defaults.
    if call.is_star || call.has_named || !all.iter().any(fits) {
        return all;
    }
    all.into_iter().filter(|function| fits(function)).collect()
}

/// Whether a function of `pg_catalog` gives the same for the same arguments on every shard.
pub(super) fn is_per_row(bare: &str, function: &BuiltinFunction) -> bool {
    match function.volatility {
        Volatility::Immutable => true,
        // `date(x)` and `length(x)` are there; `age(x)` reads the clock.
        Volatility::Stable => BY_SETTINGS.binary_search(&bare).is_ok(),
        Volatility::Volatile => false,
    }
}

/// Whether one of these is an aggregate.
pub(super) fn is_aggregate(bare: &str) -> bool {
    builtin::functions(bare).iter().any(|function| function.kind == FunctionKind::Aggregate)
}

/// Whether an aggregate's result depends on the order of its input.
pub(super) fn depends_on_order(bare: &str) -> bool {
    BY_ORDER.contains(&bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_name_functions() {
        assert!(BY_SETTINGS.is_sorted());
        for name in BY_SETTINGS.iter().chain(BY_ORDER).filter(|name| **name != "any_value") {
            assert!(!builtin::functions(name).is_empty(), "{name}");
        }
    }
}
