//! Hints that force a shard: `/* howdah: shard=2 */` somewhere in the statement, `SET howdah.shard = 2` for
//! all.

use super::Hints;
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::rules::Rules;
use crate::sql::lexer::Lexer;
use crate::sqlstate;

/// The shard that a hint forces, if there is one; a comment goes before the session's setting.
///
/// # Errors
/// `0A000` where the configuration allows no hints; `22023` for one that is not understood, or names no shard.
pub(super) fn shard(
    sql: &[u8],
    standard_conforming_strings: bool,
    hints: &Hints<'_>,
    rules: &Rules,
) -> Result<Option<ShardId>, SqlError> {
    let comment = Lexer::new(sql, standard_conforming_strings)
        .filter(|token| token.kind.is_comment())
        .find_map(|token| comment_hint(token.text(sql)));
    let named = match (comment, hints.session) {
        (Some(body), _) => {
            let (key, value) = body.split_once('=').unwrap_or((body, ""));
            if !key.trim().eq_ignore_ascii_case("shard") {
                return Err(not_understood(body));
            }
            value.trim().to_owned()
        }
        (None, Some(setting)) if !setting.trim().is_empty() => setting.trim().to_owned(),
        (None, _) => return Ok(None),
    };
    if !hints.are_allowed {
        return Err(SqlError::refused(
            "hints that force a shard are not allowed on this cluster",
            "Leave out the hint, or set hints = true for the cluster in Howdah's configuration.",
        ));
    }
    let by_name = rules.shard_names().iter().position(|name| *name == named);
    let found =
        by_name.or_else(|| named.parse().ok().filter(|number| *number < usize::from(rules.shard_count())));
    match found.and_then(|number| u16::try_from(number).ok()) {
        Some(number) => Ok(Some(ShardId(number))),
        None => Err(SqlError::new(
            sqlstate::INVALID_PARAMETER_VALUE,
            format!("the hint names no shard: \"{}\"", named.escape_debug()),
        )
        .with_hint(format!(
            "Name one of {}, or a number from 0 to {}.",
            rules.shard_names().join(", "),
            rules.shard_count().saturating_sub(1)
        ))),
    }
}

/// What stands behind `howdah:` in a comment.
fn comment_hint(comment: &[u8]) -> Option<&str> {
    let body = std::str::from_utf8(comment.get(2..)?).ok()?;
    let body = body.strip_suffix("*/").unwrap_or(body).trim();
    let start = body.get(..7)?;
    start.eq_ignore_ascii_case("howdah:").then(|| body.get(7..).unwrap_or_default().trim())
}

fn not_understood(body: &str) -> SqlError {
    SqlError::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("the hint is not understood: \"{}\"", body.escape_debug()),
    )
    .with_hint("A hint reads /* howdah: shard=NAME */, with a shard's name or number.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forced(sql: &str, session: Option<&str>, are_allowed: bool) -> Result<Option<u16>, String> {
        let rules = Rules::unsharded(vec!["a".to_owned(), "b".to_owned(), "7".to_owned()], ShardId(0));
        let hints = Hints { are_allowed, session };
        shard(sql.as_bytes(), true, &hints, &rules)
            .map(|shard| shard.map(|shard| shard.0))
            .map_err(|error| error.code.to_string())
    }

    #[test]
    fn hints_name_a_shard() {
        for (sql, session, expected) in [
            ("SELECT 1", None, Ok(None)),
            ("SELECT 1", Some(""), Ok(None)),
            ("SELECT 1", Some("1"), Ok(Some(1))),
            ("/* howdah: shard=b */ SELECT 1", Some("0"), Ok(Some(1))),
            ("SELECT 1 -- Howdah: shard = 0", None, Ok(Some(0))),
            ("SELECT 1 /*howdah:shard=7*/", None, Ok(Some(2))),
            ("SELECT '/* howdah: shard=b */'", None, Ok(None)),
            ("SELECT 1 /* howdah: shard=3 */", None, Err("22023".to_owned())),
            ("SELECT 1 /* howdah: something */", None, Err("22023".to_owned())),
            ("SELECT 1 /* howdah */", None, Ok(None)),
        ] {
            assert_eq!(forced(sql, session, true), expected, "{sql}");
        }
        assert_eq!(forced("SELECT 1 /* howdah: shard=1 */", None, false), Err("0A000".to_owned()));
        assert_eq!(forced("SELECT 1", Some("1"), false), Err("0A000".to_owned()));
        assert_eq!(forced("SELECT 1", None, false), Ok(None));
    }
}
