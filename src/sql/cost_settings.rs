//! Settings that only say how a server plans and runs statements, never what these answer.

use super::lexer::TokenKind;
use super::names::Cursor;
use super::settings::canonical_name;

/// Their names, and what the names of others begin with.
///
/// Source: PostgreSQL 15 manual, section 20.7 "Query Planning".
const NAMES: [&str; 26] = [
    "constraint_exclusion",
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "cpu_tuple_cost",
    "cursor_tuple_fraction",
    "effective_cache_size",
    "from_collapse_limit",
    "geqo",
    "geqo_effort",
    "geqo_generations",
    "geqo_pool_size",
    "geqo_seed",
    "geqo_selection_bias",
    "geqo_threshold",
    "hash_mem_multiplier",
    "jit",
    "jit_above_cost",
    "jit_inline_above_cost",
    "jit_optimize_above_cost",
    "join_collapse_limit",
    "max_parallel_workers_per_gather",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "plan_cache_mode",
    "random_page_cost",
    "seq_page_cost",
];

/// Whether every call of set_config in the statement sets one of these for the session, by a constant name;
/// the value may be computed.
pub fn sets_only_costs(statement: &[u8], standard_conforming_strings: bool) -> bool {
    let mut cursor = Cursor::new(statement, standard_conforming_strings);
    while cursor.peek().is_some() {
        match cursor.name() {
            Some(name) if name.name == b"set_config" => {
                if !is_cost_call(&mut cursor) {
                    return false;
                }
            }
            Some(_) => {}
            None => drop(cursor.next()),
        }
    }
    true
}

/// Behind the function's name: a call whose value holds no parentheses or commas.
fn is_cost_call(cursor: &mut Cursor<'_>) -> bool {
    if !cursor.eat_kind(TokenKind::ParenOpen) {
        return false;
    }
    let name = cursor.string().and_then(|name| canonical_name(&name));
    if !name.is_some_and(|name| is_cost(&name)) {
        return false;
    }
    if !cursor.eat_kind(TokenKind::Comma) {
        return false;
    }
    while let Some(token) = cursor.next() {
        match token.kind {
            TokenKind::Comma => return cursor.eat(b"false") && cursor.eat_kind(TokenKind::ParenClose),
            TokenKind::ParenOpen | TokenKind::ParenClose | TokenKind::Semicolon => return false,
            _ => {}
        }
    }
    false
}

fn is_cost(name: &str) -> bool {
    NAMES.contains(&name) || (name.starts_with("enable_") && !name.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::sets_only_costs;

    #[test]
    fn only_constant_names_of_costs_for_the_session_are_taken() {
        for (sql, expected) in [
            ("select set_config('jit', $1, false)", true),
            ("select pg_catalog.set_config('Enable_SeqScan', 'o' || 'ff', false), 1 from t", true),
            ("select 1", true),
            ("select set_config('jit', $1, true)", false),
            ("select set_config('jit', f(1), false)", false),
            ("select set_config('search_path', $1, false)", false),
            ("select set_config($1, 'off', false)", false),
            ("select set_config('jit', 'off', false), set_config('role', 'x', false)", false),
            ("select set_config", false),
        ] {
            assert_eq!(sets_only_costs(sql.as_bytes(), true), expected, "{sql}");
        }
    }
}
