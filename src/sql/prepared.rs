//! The names in PREPARE, EXECUTE and DEALLOCATE, and in statements that execute a prepared one inside.
//!
//! Owns finding and decoding these names; which statement a name stands for is the session's.

use super::kind::Kind;
use super::lexer::TokenKind;
use super::names::{Cursor, Name};

/// A command on SQL-level prepared statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreparedCommand {
    /// PREPARE name ...
    Prepare(Name),
    /// EXECUTE name ...
    Execute(Name),
    /// EXPLAIN ... EXECUTE name, or CREATE TABLE ... AS EXECUTE name.
    NestedExecute(Name),
    /// DEALLOCATE name
    Deallocate(Name),
    /// DEALLOCATE ALL
    DeallocateAll,
}

/// Reads the command and its name from a statement of the given kind; none where there is no such name.
pub fn parse_prepared(
    statement: &[u8],
    kind: Kind,
    standard_conforming_strings: bool,
) -> Option<PreparedCommand> {
    let mut cursor = Cursor::new(statement, standard_conforming_strings);
    match kind {
        Kind::Prepare => {
            cursor.next();
            cursor.name().map(PreparedCommand::Prepare)
        }
        Kind::Execute => {
            cursor.next();
            cursor.name().map(PreparedCommand::Execute)
        }
        Kind::Deallocate => deallocate(&mut cursor),
        Kind::Explain | Kind::Create => nested(&mut cursor, kind),
        _ => None,
    }
}

fn deallocate(cursor: &mut Cursor<'_>) -> Option<PreparedCommand> {
    cursor.next();
    let mut ahead = cursor.clone();
    if ahead.eat(b"prepare") && !ahead.is_at_end() {
        *cursor = ahead;
    }
    if cursor.eat(b"all") {
        return Some(PreparedCommand::DeallocateAll);
    }
    cursor.name().map(PreparedCommand::Deallocate)
}

/// The EXECUTE that EXPLAIN explains (behind its options), or that follows AS outside parentheses.
fn nested(cursor: &mut Cursor<'_>, kind: Kind) -> Option<PreparedCommand> {
    let mut depth = 0usize;
    let mut follows_as = false;
    let mut may_start = kind == Kind::Explain;
    cursor.next();
    while let Some(token) = cursor.peek() {
        if depth == 0 && (follows_as || may_start) && cursor.eat(b"execute") {
            return cursor.name().map(PreparedCommand::NestedExecute);
        }
        match token.kind {
            TokenKind::ParenOpen => depth += 1,
            TokenKind::ParenClose => depth = depth.saturating_sub(1),
            _ if depth == 0 => {
                follows_as = cursor.is_at(b"as");
                may_start = may_start
                    && [b"analyze", b"analyse", b"verbose"].iter().any(|option| cursor.is_at(*option));
            }
            _ => {}
        }
        cursor.next();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::PreparedCommand::*;
    use super::*;

    fn parse(sql: &str) -> Option<PreparedCommand> {
        let mut out = crate::sql::Statements::new();
        crate::sql::scan(sql.as_bytes(), true, &mut out);
        parse_prepared(sql.as_bytes(), out[0].kind, true)
    }

    fn name_of(sql: &str) -> String {
        let name = match parse(sql).unwrap() {
            Prepare(name) | Execute(name) | NestedExecute(name) | Deallocate(name) => name,
            DeallocateAll => panic!(),
        };
        format!("{} {}", String::from_utf8(name.name).unwrap(), &sql[name.start..name.end])
    }

    #[test]
    fn names_are_decoded_and_have_spans() {
        for (sql, want) in [
            ("PREPARE Foo (int) AS select $1", "foo Foo"),
            ("prepare/**/\"Foo\" as select 1", "Foo \"Foo\""),
            ("execute FOO(1)", "foo FOO"),
            ("deallocate foo", "foo foo"),
            ("deallocate prepare foo;", "foo foo"),
            ("deallocate prepare", "prepare prepare"),
            ("explain analyze verbose execute p(1)", "p p"),
            ("explain (analyze, costs off) execute p", "p p"),
            ("explain create table t as execute p", "p p"),
            ("create temp table if not exists t (a, b) with (x = 1) as execute P (1)", "p P"),
        ] {
            assert_eq!(name_of(sql), want, "{sql}");
        }
    }

    #[test]
    fn statements_without_such_a_name_give_none() {
        assert_eq!(parse("deallocate all"), Some(DeallocateAll));
        assert_eq!(parse("deallocate prepare all"), Some(DeallocateAll));
        assert_eq!(parse("explain select execute from t"), None);
        assert_eq!(parse("create trigger t before insert on a execute function f()"), None);
    }
}
