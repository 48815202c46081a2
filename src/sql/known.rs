//! The words and names that matter anywhere in a statement, and a filter that passes over all others.
//!
//! Owns the list of names with their effects. Most words fail the filter, which reads the first letter and
//! the length only.

use super::effects::Effects;

/// Keywords that `scan` reads by their context.
const KEYWORDS: &[&[u8]] = &[
    b"update",
    b"share",
    b"no",
    b"key",
    b"temp",
    b"temporary",
    b"drop",
    b"hold",
    b"execute",
    b"atomic",
    b"end",
    b"howdah",
];

/// Functions and views by their exact names.
const NAMES: &[(&[u8], Effects)] = &[
    (b"set_config", Effects::SET_CONFIG),
    (b"pg_advisory_lock", Effects::ADVISORY),
    (b"pg_advisory_lock_shared", Effects::ADVISORY),
    (b"pg_try_advisory_lock", Effects::ADVISORY),
    (b"pg_try_advisory_lock_shared", Effects::ADVISORY),
    (b"currval", Effects::SEQUENCE_STATE),
    (b"lastval", Effects::SEQUENCE_STATE),
    (b"nextval", Effects::NEXTVAL),
    (b"setval", Effects::NEXTVAL),
    (b"setseed", Effects::SETSEED),
    (b"pg_prepared_statements", Effects::PREPARED_VIEW),
    (b"pg_prepared_statement", Effects::PREPARED_VIEW),
    // Only together with UPDATE, which `scan` adds.
    (b"pg_settings", Effects::NONE),
    (b"pg_temp", Effects::TEMP),
    (b"query_to_xml", Effects::SQL_IN_TEXT),
    (b"query_to_xmlschema", Effects::SQL_IN_TEXT),
    (b"query_to_xml_and_xmlschema", Effects::SQL_IN_TEXT),
    (b"ts_stat", Effects::SQL_IN_TEXT),
    (b"ts_rewrite", Effects::SQL_IN_TEXT),
    (b"crosstab", Effects::SQL_IN_TEXT),
    (b"crosstab2", Effects::SQL_IN_TEXT),
    (b"crosstab3", Effects::SQL_IN_TEXT),
    (b"crosstab4", Effects::SQL_IN_TEXT),
    (b"connectby", Effects::SQL_IN_TEXT),
    (b"xpath_table", Effects::SQL_IN_TEXT),
    (b"pg_backup_start", Effects::OTHER_STATE),
    (b"pg_create_logical_replication_slot", Effects::OTHER_STATE),
    (b"pg_create_physical_replication_slot", Effects::OTHER_STATE),
    (b"pg_copy_logical_replication_slot", Effects::OTHER_STATE),
    (b"pg_copy_physical_replication_slot", Effects::OTHER_STATE),
    (b"pg_replication_origin_session_setup", Effects::OTHER_STATE),
    (b"pg_replication_origin_xact_setup", Effects::OTHER_STATE),
];

/// Beginnings of names, and the longest name with each that the filter must pass.
const PREFIXES: &[(&[u8], usize, Effects)] =
    &[(b"pg_temp_", 20, Effects::TEMP), (b"dblink_connect", 16, Effects::DBLINK)];

/// Longer than every known name, so that a longer word that is cut to this length equals none.
pub(super) const NAME_BYTES_MAX: usize = 40;

/// What a name (decoded, unquoted ones lowered) says wherever it stands.
pub(super) fn effects_of_name(name: &[u8]) -> Effects {
    if let Some((_, effects)) = NAMES.iter().find(|(known, _)| *known == name) {
        return *effects;
    }
    let prefix = PREFIXES.iter().find(|(prefix, _, _)| name.starts_with(prefix));
    prefix.map_or(Effects::NONE, |(_, _, effects)| *effects)
}

/// Lengths of known words by the low five bits of their first letter, one bit each; bit 31 stands for 31
/// and more.
const fn lengths() -> [u32; 32] {
    let mut table = [0u32; 32];
    let mut keywords = KEYWORDS;
    while let [word, tail @ ..] = keywords {
        add(&mut table, word, word.len());
        keywords = tail;
    }
    let mut names = NAMES;
    while let [(word, _), tail @ ..] = names {
        add(&mut table, word, word.len());
        names = tail;
    }
    let mut prefixes = PREFIXES;
    while let [(word, longest, _), tail @ ..] = prefixes {
        let mut len = word.len();
        while len <= *longest {
            add(&mut table, word, len);
            len += 1;
        }
        prefixes = tail;
    }
    table
}

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time, where a bad index cannot build")]
const fn add(table: &mut [u32; 32], word: &[u8], len: usize) {
    let bit = if len > 31 { 31 } else { len };
    table[(word[0] & 0x1f) as usize] |= 1 << bit;
}

static LENGTHS: [u32; 32] = lengths();

/// Whether first letter and length of the word at `start..end` are those of a known one.
#[inline(always)]
pub(super) fn may_be_known(sql: &[u8], first: u8, start: usize, end: usize) -> bool {
    let lengths = LENGTHS.get(usize::from(first & 0x1f)).copied().unwrap_or(0);
    let len = (end - start).min(31);
    if lengths >> len & 1 == 0 {
        return false;
    }
    // Names with `p` that are longer than a keyword all start with `pg_`.
    len <= 8 || first | 0x20 != b'p' || sql.get(start + 2) == Some(&b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_passes_the_filter_in_both_cases() {
        for name in KEYWORDS.iter().chain(NAMES.iter().map(|(name, _)| name)) {
            for text in [name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
                assert!(may_be_known(&text, text[0], 0, text.len()), "{}", String::from_utf8_lossy(name));
                assert!(name.len() < NAME_BYTES_MAX);
            }
        }
    }

    #[test]
    fn every_known_name_is_seen_unquoted_and_quoted() {
        for (name, effects) in NAMES {
            let name = std::str::from_utf8(name).unwrap();
            for sql in [format!("select a, {}(1)", name.to_uppercase()), format!("select 1 from \"{name}\"")]
            {
                let mut out = crate::sql::Statements::new();
                crate::sql::scan(sql.as_bytes(), true, &mut out);
                assert_eq!(out[0].effects, *effects, "{sql}");
            }
        }
    }

    #[test]
    fn most_names_of_a_benchmark_fail_the_filter() {
        for text in ["pgbench_accounts", "abalance", "FROM", "aid", "WHERE", "tid", "delta", "filler"] {
            assert!(!may_be_known(text.as_bytes(), text.as_bytes()[0], 0, text.len()), "{text}");
        }
    }
}
