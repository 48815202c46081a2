//! Our lexer, splitter and classifier against Postgres's own, over the statements of its regression suite.
//!
//! The golden file holds what Postgres 15's scanner and grammar say; `tests/corpus/regress/README.md` tells its
//! format and how it is made.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use flate2::read::GzDecoder;
use howdah::sql::lexer::{Lexer, TokenKind};
use howdah::sql::{Kind, Statements, scan};
use std::io::Read;

/// One statement of the golden file.
struct Golden {
    kind: String,
    /// Digest of the tokens; none if Postgres's scanner refuses the text.
    digest: Option<u32>,
    sql: Vec<u8>,
}

fn golden() -> Vec<Golden> {
    let file = std::fs::File::open("tests/corpus/regress/statements.gz").unwrap();
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    let mut rest = bytes.as_slice();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let line_end = rest.iter().position(|&byte| byte == b'\n').unwrap();
        let line = std::str::from_utf8(&rest[..line_end]).unwrap();
        let mut fields = line.split(' ');
        let kind = fields.next().unwrap().to_owned();
        let digest = u32::from_str_radix(fields.next().unwrap(), 16).ok();
        let len: usize = fields.next().unwrap().parse().unwrap();
        let body = line_end + 1;
        found.push(Golden { kind, digest, sql: rest[body..body + len].to_vec() });
        rest = &rest[body + len + 1..];
    }
    found
}

fn class(kind: TokenKind, text: &[u8]) -> u8 {
    match kind {
        TokenKind::Word | TokenKind::NationalPrefix => b'w',
        TokenKind::QuotedIdent => b'q',
        TokenKind::UnicodeIdent => b'u',
        TokenKind::String | TokenKind::EscapeString | TokenKind::DollarString => b's',
        TokenKind::UnicodeString => b'U',
        TokenKind::BitString => b'b',
        TokenKind::HexString => b'x',
        TokenKind::Integer => b'i',
        TokenKind::Numeric => b'f',
        TokenKind::Param => b'p',
        TokenKind::TypeCast => b't',
        TokenKind::ColonEquals => b'=',
        TokenKind::EqualsGreater => b'>',
        TokenKind::DotDot => b'd',
        TokenKind::LineComment | TokenKind::BlockComment => b'c',
        TokenKind::Operator => b'o',
        TokenKind::Semicolon
        | TokenKind::ParenOpen
        | TokenKind::ParenClose
        | TokenKind::BracketOpen
        | TokenKind::BracketClose
        | TokenKind::Comma
        | TokenKind::Dot
        | TokenKind::Colon => text.first().copied().unwrap(),
        _ => b'?',
    }
}

/// FNV-1a over each token's class and boundaries, folded to 32 bits, as the oracle has it.
fn digest(sql: &[u8]) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for token in Lexer::new(sql, true) {
        add(class(token.kind, token.text(sql)));
        let has_end = !matches!(token.kind, TokenKind::UnicodeIdent | TokenKind::UnicodeString);
        let (start, end) = (token.start as u32, if has_end { token.end as u32 } else { 0 });
        start.to_le_bytes().into_iter().chain(end.to_le_bytes()).for_each(&mut add);
    }
    (hash ^ (hash >> 32)) as u32
}

/// The kinds that a node of Postgres's tree may have here.
fn kinds_of(node: &str) -> &'static [Kind] {
    let fields: Vec<&str> = node.split(':').collect();
    match fields.as_slice() {
        ["SelectStmt"] => &[Kind::Select, Kind::Values, Kind::TableCommand, Kind::With],
        ["InsertStmt"] => &[Kind::Insert, Kind::With],
        ["UpdateStmt"] => &[Kind::Update, Kind::With],
        ["DeleteStmt"] => &[Kind::Delete, Kind::With],
        ["MergeStmt"] => &[Kind::Merge, Kind::With],
        ["Transaction", "1" | "2"] => &[Kind::Begin],
        ["Transaction", "3"] => &[Kind::Commit],
        ["Transaction", "4"] => &[Kind::Rollback],
        ["Transaction", "5"] => &[Kind::Savepoint],
        ["Transaction", "6"] => &[Kind::Release],
        ["Transaction", "7"] => &[Kind::RollbackTo],
        ["Transaction", "8"] => &[Kind::PrepareTransaction],
        ["Transaction", "9"] => &[Kind::CommitPrepared],
        ["Transaction", "10"] => &[Kind::RollbackPrepared],
        ["Set", "4", _, "TRANSACTION" | "TRANSACTION_SNAPSHOT"] => &[Kind::SetTransaction],
        ["Set", "5" | "6", ..] => &[Kind::Reset],
        ["Set", _, "true", _] => &[Kind::SetLocal],
        ["Set", ..] => &[Kind::Set],
        ["ConstraintsSetStmt"] => &[Kind::SetConstraints],
        ["VariableShowStmt"] => &[Kind::Show],
        ["Discard", "1"] => &[Kind::DiscardAll],
        ["Discard", "2"] => &[Kind::DiscardPlans],
        ["Discard", "3"] => &[Kind::DiscardSequences],
        ["Discard", "4"] => &[Kind::DiscardTemp],
        ["PrepareStmt"] => &[Kind::Prepare],
        ["ExecuteStmt"] => &[Kind::Execute],
        ["DeallocateStmt"] => &[Kind::Deallocate],
        ["DeclareCursorStmt"] => &[Kind::Declare],
        ["Fetch", "false"] => &[Kind::Fetch],
        ["Fetch", "true"] => &[Kind::Move],
        ["ClosePortalStmt"] => &[Kind::CloseCursor],
        ["Copy", "true", "true"] => &[Kind::CopyFromStdin],
        ["Copy", "false", "true"] => &[Kind::CopyToStdout],
        ["Copy", _, "false"] => &[Kind::CopyOther],
        ["ListenStmt"] => &[Kind::Listen],
        ["UnlistenStmt"] => &[Kind::Unlisten],
        ["NotifyStmt"] => &[Kind::Notify],
        ["LockStmt"] => &[Kind::Lock],
        ["ExplainStmt"] => &[Kind::Explain],
        ["CallStmt"] => &[Kind::Call],
        ["DoStmt"] => &[Kind::Do],
        ["TruncateStmt"] => &[Kind::Truncate],
        ["Vacuum", "true"] => &[Kind::Vacuum],
        ["Vacuum", "false"] => &[Kind::Analyze],
        ["ClusterStmt"] => &[Kind::Cluster],
        ["ReindexStmt"] => &[Kind::Reindex],
        ["CheckPointStmt"] => &[Kind::Checkpoint],
        ["LoadStmt"] => &[Kind::Load],
        // SELECT INTO is a SelectStmt here, as the raw grammar has it.
        ["CreateTableAsStmt"] => &[Kind::Create],
        ["GrantStmt" | "GrantRoleStmt" | "CommentStmt" | "SecLabelStmt" | "ReassignOwnedStmt"] => {
            &[Kind::OtherDdl]
        }
        ["ImportForeignSchemaStmt" | "RefreshMatViewStmt"] => &[Kind::OtherDdl],
        _ => &[Kind::Create, Kind::Alter, Kind::Drop],
    }
}

fn statements(sql: &[u8]) -> Statements {
    let mut out = Statements::new();
    scan(sql, true, &mut out);
    out
}

/// The oracle's scanner reads `123abc` as `123 abc`, as Postgres did before version 15, whose `scan.l` refuses it
/// ("trailing junk after numeric literal"). These are the only statements that it may read in another way.
const WITH_TRAILING_JUNK: usize = 10;

#[test]
fn tokens_have_the_boundaries_of_postgres() {
    let golden = golden();
    let mut wrong = Vec::new();
    let mut with_junk = 0;
    for Golden { sql, digest: want, .. } in &golden {
        let is_junk = |kind| matches!(kind, TokenKind::JunkNumber | TokenKind::JunkParam);
        if Lexer::new(sql, true).any(|token| is_junk(token.kind)) {
            with_junk += 1;
            continue;
        }
        let agrees = match want {
            Some(want) => digest(sql) == *want,
            // Escapes that the scanner checks inside strings have no bearing on boundaries.
            None => {
                Lexer::new(sql, true).any(|token| token.kind.is_error())
                    || sql.windows(2).any(|pair| pair == b"\\u" || pair == b"\\U")
            }
        };
        if !agrees {
            wrong.push(String::from_utf8_lossy(sql).into_owned());
        }
    }
    assert!(wrong.is_empty(), "{} of {}: {:#?}", wrong.len(), golden.len(), &wrong[..wrong.len().min(20)]);
    assert_eq!(with_junk, WITH_TRAILING_JUNK);
}

#[test]
fn accepted_statements_are_one_each_and_of_their_kind() {
    let mut wrong = Vec::new();
    for Golden { kind, sql, .. } in &golden() {
        if kind == "error" {
            continue;
        }
        let found = statements(sql);
        let agrees = match found.as_slice() {
            [statement] => kinds_of(kind).contains(&statement.kind),
            _ => false,
        };
        if !agrees {
            wrong.push((kind.clone(), found, String::from_utf8_lossy(sql).into_owned()));
        }
    }
    assert!(wrong.is_empty(), "{}: {:#?}", wrong.len(), &wrong[..wrong.len().min(60)]);
}

#[test]
fn many_statements_in_one_message_split_where_postgres_splits_them() {
    let golden: Vec<_> = golden().into_iter().filter(|golden| golden.kind != "error").collect();
    for chunk in golden.chunks(500) {
        let mut message = Vec::new();
        let mut spans = Vec::new();
        for Golden { sql, .. } in chunk {
            // A statement may end in a line comment.
            spans.push((message.len(), message.len() + sql.len()));
            message.extend_from_slice(sql);
            message.extend_from_slice(b"\n;");
        }
        let found: Vec<_> =
            statements(&message).iter().map(|statement| (statement.start, statement.end)).collect();
        assert_eq!(found, spans);
    }
}
