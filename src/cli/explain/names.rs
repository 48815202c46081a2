//! What a statement names that no table has, and its words.

use crate::sql::lexer::{Lexer, TokenKind};
use crate::sql::query::{CALLED_LIKE_A_COLUMN, Expr, Statement, missing_column};
use crate::sqlstate;

/// Columns that a statement names and no table has.
pub(super) fn missing(statement: &Statement) -> Vec<String> {
    let mut found = Vec::new();
    each_wrong(statement, |error| {
        found.extend(missing_column(error).map(str::to_owned));
    });
    found
}

/// How often a column is no column, but may be a function called like one.
pub(super) fn calls(statement: &Statement) -> usize {
    let mut count = 0;
    each_part(statement, |part| {
        count += usize::from(matches!(part, Expr::Beyond(what, _) if *what == CALLED_LIKE_A_COLUMN));
    });
    count
}

pub(super) fn is_ambiguous(statement: &Statement) -> bool {
    let mut found = false;
    each_wrong(statement, |error| found |= error.code == sqlstate::AMBIGUOUS_COLUMN);
    found
}

fn each_wrong(statement: &Statement, mut each: impl FnMut(&crate::error::SqlError)) {
    each_part(statement, |part| {
        if let Expr::Wrong(error) = part {
            each(error);
        }
    });
}

pub(super) fn each_part(statement: &Statement, mut each: impl FnMut(&Expr)) {
    statement.for_each_expr(&mut |expr| {
        expr.any(&mut |part| {
            each(part);
            false
        });
    });
}

/// Identifiers and key words, as Postgres stores them.
pub(super) fn words(text: &[u8]) -> Vec<String> {
    Lexer::new(text, true)
        .filter_map(|token| {
            let bytes = text.get(token.start..token.end)?;
            match token.kind {
                TokenKind::Word => Some(String::from_utf8_lossy(bytes).to_lowercase()),
                TokenKind::QuotedIdent => {
                    let text = String::from_utf8_lossy(bytes).into_owned();
                    Some(text.trim_matches('"').replace("\"\"", "\""))
                }
                _ => None,
            }
        })
        .collect()
}

/// The columns that joins name behind USING.
pub(super) fn using(text: &[u8]) -> Vec<String> {
    let words: Vec<(TokenKind, &[u8])> = Lexer::new(text, true)
        .filter_map(|token| Some((token.kind, text.get(token.start..token.end)?)))
        .collect();
    let mut found = Vec::new();
    for (at, (_, word)) in words.iter().enumerate() {
        if !word.eq_ignore_ascii_case(b"using") {
            continue;
        }
        let list = words.get(at + 1..).unwrap_or_default();
        if !matches!(list.first(), Some((_, b"("))) {
            continue;
        }
        let list: Vec<&(TokenKind, &[u8])> =
            list.iter().skip(1).take_while(|(_, part)| *part != b")").collect();
        // A subquery may stand there, too.
        let is_name = |(kind, part): &&(TokenKind, &[u8])| {
            matches!(kind, TokenKind::Word | TokenKind::QuotedIdent) || *part == b","
        };
        if list.iter().all(is_name) {
            found.extend(list.iter().flat_map(|(_, part)| self::words(part)));
        }
    }
    found
}
