//! Code in a database that leaves marks on sessions, and everything that runs it without naming it.

use crate::session::describe::{HiddenState, Reach, mentions_session_state};
use std::collections::HashSet;

/// The statements that read it, as one simple query of rows for [`hidden_state`].
///
/// `code`: user-defined functions that are not part of an extension, with their source; `uses`: what else
/// depends on one of them. On functions of Postgres's own nothing is said to depend: their numbers are looked for in
/// parsed expressions. A body of parsed SQL is given by the names it calls, since printing it would lock
/// the tables that it reads, and wait for whoever changes them.
pub(super) const HIDDEN_SQL: &str = "SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL client_encoding = 'UTF8'; \
    SET LOCAL search_path = pg_catalog; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
    SET LOCAL jit = off; \
    WITH code AS ( \
      SELECT p.oid, p.proname, coalesce(p.prosrc, '') || coalesce(( \
          SELECT ' set_config' FROM unnest(p.proconfig) c WHERE split_part(c, '=', 1) LIKE '%.%' LIMIT 1), '') AS source, p.prosqlbody::text AS body, l.lanname \
      FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace \
      WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND l.lanname NOT IN ('c', 'internal') \
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e') \
    ) \
    SELECT 'code', proname, source || ' ' || coalesce(( \
        SELECT string_agg(c.proname, ' ') FROM regexp_matches(body, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\\d+)', 'g') AS f \
        JOIN pg_proc c ON c.oid = f[1]::oid), '') || ' ' || coalesce(( \
        SELECT string_agg(c.relname, ' ') FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid \
        WHERE body IS NOT NULL AND d.classid = 'pg_proc'::regclass AND d.objid = code.oid AND d.refclassid = 'pg_class'::regclass), ''), lanname, \
      CASE WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = code.oid AND NOT t.tgisinternal) \
        OR EXISTS (SELECT FROM pg_event_trigger t WHERE t.evtfoid = code.oid) THEN 'writes' ELSE 'named' END \
    FROM code \
    UNION ALL \
    SELECT 'uses', coalesce(r.relname, pol.relname, o.oprname, t.typname, a.proname, ''), coalesce(u.proname, v.relname), '', \
      CASE WHEN r.oid IS NOT NULL OR pol.oid IS NOT NULL OR o.oid IS NOT NULL OR a.oid IS NOT NULL THEN 'named' \
        WHEN d.classid IN ('pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_class'::regclass, 'pg_trigger'::regclass, 'pg_event_trigger'::regclass) \
        THEN 'writes' ELSE 'any' END \
    FROM pg_depend d \
    LEFT JOIN code u ON d.refclassid = 'pg_proc'::regclass AND u.oid = d.refobjid \
    LEFT JOIN pg_class v ON d.refclassid = 'pg_class'::regclass AND v.oid = d.refobjid AND v.relkind IN ('v', 'm') \
      AND d.classid = 'pg_rewrite'::regclass \
    LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid \
    LEFT JOIN pg_class r ON r.oid = w.ev_class \
    LEFT JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid \
    LEFT JOIN pg_class pol ON pol.oid = p.polrelid \
    LEFT JOIN pg_operator o ON d.classid = 'pg_operator'::regclass AND o.oid = d.objid \
    LEFT JOIN pg_proc a ON d.classid = 'pg_proc'::regclass AND a.oid = d.objid \
    LEFT JOIN pg_constraint c ON d.classid = 'pg_constraint'::regclass AND c.oid = d.objid \
    LEFT JOIN pg_type t ON t.oid = c.contypid \
    WHERE u.oid IS NOT NULL OR (v.oid IS NOT NULL AND v.oid IS DISTINCT FROM r.oid) \
    UNION ALL \
    SELECT 'code', s.name, string_agg(DISTINCT p.proname, ' '), 'sql', s.reach FROM ( \
      SELECT r.relname AS name, w.ev_action::text AS tree, 'named' AS reach, r.relnamespace AS space \
        FROM pg_rewrite w JOIN pg_class r ON r.oid = w.ev_class \
      UNION ALL SELECT r.relname, d.adbin::text, 'writes', r.relnamespace \
        FROM pg_attrdef d JOIN pg_class r ON r.oid = d.adrelid \
      UNION ALL SELECT coalesce(r.relname, t.typname), c.conbin::text, 'writes', c.connamespace FROM pg_constraint c \
        LEFT JOIN pg_class r ON r.oid = c.conrelid LEFT JOIN pg_type t ON t.oid = c.contypid \
      UNION ALL SELECT r.relname, concat(p.polqual::text, p.polwithcheck::text), 'named', r.relnamespace \
        FROM pg_policy p JOIN pg_class r ON r.oid = p.polrelid \
      UNION ALL SELECT r.relname, g.tgqual::text, 'writes', r.relnamespace \
        FROM pg_trigger g JOIN pg_class r ON r.oid = g.tgrelid \
      UNION ALL SELECT f.proname, f.proargdefaults::text, 'named', f.pronamespace FROM pg_proc f \
    ) s JOIN pg_proc p ON s.tree LIKE '%:funcid ' || p.oid || ' %' \
    WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN ('set_config', 'setseed', \
      'pg_advisory_lock', 'pg_advisory_lock_shared', 'pg_try_advisory_lock', 'pg_try_advisory_lock_shared') \
    AND s.space NOT IN (SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema')) \
    GROUP BY s.name, s.reach";

/// One row of [`HIDDEN_SQL`].
struct Row<'a> {
    /// The function, or what depends on one.
    name: &'a str,
    /// A function's source; or the name that `name` depends on.
    text: String,
    reach: Reach,
    is_code: bool,
    /// Code in a language that is not read.
    is_unread: bool,
}

/// What the rows of [`HIDDEN_SQL`] say.
///
/// A function counts where its source mentions session state, or the name of anything that counts: names are
/// looked for as text, since a name too many is harmless.
pub(super) fn hidden_state(rows: &[Vec<Option<String>>]) -> HiddenState {
    let mut rest: Vec<Row<'_>> = rows.iter().filter_map(|row| parse(row)).collect();
    let mut found: HashSet<String> = HashSet::new();
    let mut reach = Reach::Named;
    loop {
        let (counting, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|row| counts(row, &found));
        rest = others;
        if counting.is_empty() {
            break;
        }
        for row in counting {
            reach = reach.max(row.reach);
            found.insert(row.name.to_lowercase());
        }
    }
    found.remove("");
    let mut names: Vec<Box<str>> = found.into_iter().map(Into::into).collect();
    names.sort_unstable();
    if names.iter().any(|name| !is_written_plainly(name)) {
        reach = Reach::Any;
    }
    HiddenState { names, reach, epoch: 0 }
}

fn parse(row: &[Option<String>]) -> Option<Row<'_>> {
    let [Some(kind), Some(name), Some(text), Some(language), Some(reach)] = row else { return None };
    let reach = match reach.as_str() {
        "named" => Reach::Named,
        "writes" => Reach::Writes,
        _ => Reach::Any,
    };
    let is_code = kind == "code";
    let is_unread = is_code && !matches!(language.as_str(), "sql" | "plpgsql");
    Some(Row { name, text: text.to_lowercase(), reach, is_code, is_unread })
}

fn counts(row: &Row<'_>, found: &HashSet<String>) -> bool {
    if !row.is_code {
        return found.contains(&row.text);
    }
    row.is_unread
        || (found.is_empty() && mentions_session_state(row.text.as_bytes()))
        || found.iter().any(|name| memchr::memmem::find(row.text.as_bytes(), name.as_bytes()).is_some())
}

/// Whether a statement that names it holds these very bytes, whatever its encoding and quotes.
fn is_written_plainly(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii() && byte != b'"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(rows: &[[&str; 5]]) -> HiddenState {
        let rows: Vec<_> =
            rows.iter().map(|row| row.iter().map(|text| Some((*text).into())).collect()).collect();
        hidden_state(&rows)
    }

    fn names(state: &HiddenState) -> Vec<&str> {
        state.names.iter().map(AsRef::as_ref).collect()
    }

    #[test]
    fn callers_of_callers_count() {
        let found = state(&[
            ["code", "outer_one", "select Middle()", "sql", "named"],
            ["code", "pure", "select 1", "sql", "writes"],
            ["code", "middle", "select inner_one()", "sql", "named"],
            ["code", "inner_one", "select set_config('a.b', '1', false)", "sql", "named"],
        ]);
        assert_eq!(names(&found), ["inner_one", "middle", "outer_one"]);
        assert_eq!(found.reach, Reach::Named);
    }

    #[test]
    fn what_depends_on_code_counts_by_its_reach() {
        let code = ["code", "f", "select setseed(1)", "sql", "named"];
        let found = state(&[code, ["uses", "v", "f", "", "named"], ["uses", "over_v", "v", "", "named"]]);
        assert_eq!((names(&found), found.reach), (vec!["f", "over_v", "v"], Reach::Named));
        let found = state(&[code, ["uses", "", "f", "", "writes"]]);
        assert_eq!((names(&found), found.reach), (vec!["f"], Reach::Writes));
        let found = state(&[code, ["uses", "", "f", "", "any"]]);
        assert_eq!(found.reach, Reach::Any);
        assert_eq!(state(&[["uses", "v", "g", "", "any"]]), HiddenState::default());
    }

    #[test]
    fn a_name_that_may_be_written_otherwise_is_looked_for_everywhere() {
        for name in ["größe", "a\"b"] {
            assert_eq!(state(&[["code", name, "", "plpython3u", "named"]]).reach, Reach::Any, "{name}");
        }
    }
}
