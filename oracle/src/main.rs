//! Writes the golden files that `tests/sql_regress.rs` and `tests/relation_places.rs` read: statements of
//! Postgres's own regression suite with the kind, and a digest of the token boundaries, that Postgres's scanner
//! and grammar give them; and the relations that each one's tree names.
//!
//! Usage: `howdah-oracle REGRESS_SQL_DIR [GOLDEN_DIR]`. The formats are in `tests/corpus/regress/README.md`.

use flate2::{Compression, write::GzEncoder};
use pg_query::NodeEnum;
use pg_query::protobuf::{KeywordKind, ScanToken, Token};
use std::collections::HashSet;
use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let Some(from) = args.next().or_else(|| std::env::var("REGRESS_SQL").ok()) else {
        return Err(
            "name the folder src/test/regress/sql of PostgreSQL 15, as an argument or in REGRESS_SQL".into(),
        );
    };
    let to = std::path::PathBuf::from(args.next().unwrap_or_else(|| "../tests/corpus/regress".into()));
    let golden =
        |name| std::fs::File::create(to.join(name)).map(|file| GzEncoder::new(file, Compression::best()));
    let mut files: Vec<_> = std::fs::read_dir(from)?.collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(|file| file.file_name());
    let mut seen = HashSet::new();
    let (mut out, mut relations) = (golden("statements.gz")?, golden("relations.gz")?);
    let (mut accepted, mut refused) = (0usize, 0usize);
    for file in files {
        let text = String::from_utf8_lossy(&std::fs::read(file.path())?).into_owned();
        for statement in statements(&text) {
            if statement.contains('\0') || !seen.insert(statement.clone()) {
                continue;
            }
            let kind = kind_of(&statement);
            if kind == "several0" {
                continue;
            }
            let digest = pg_query::scan(&statement).ok().map(|scanned| digest(&statement, &scanned.tokens));
            if kind == "error" {
                refused += 1
            } else {
                accepted += 1
            }
            writeln!(
                out,
                "{} {} {}",
                kind,
                digest.map_or("-".into(), |digest| format!("{digest:08x}")),
                statement.len()
            )?;
            writeln!(out, "{statement}")?;
            writeln!(relations, "{}", relations_of(&statement).map_or("-".into(), |names| names.join("\t")))?;
        }
    }
    out.finish()?;
    relations.finish()?;
    println!("{accepted} statements that Postgres's grammar accepts, {refused} that it refuses");
    Ok(())
}

/// Splits a psql script: backslash commands and COPY data left out, statements ended as psql ends them.
///
/// A statement goes on until Postgres's scanner accepts it and it ends in a semicolon outside parentheses,
/// and, for a routine with a body, until Postgres's grammar accepts it.
fn statements(script: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current = String::new();
    let mut copies_data = false;
    for line in script.lines() {
        if copies_data {
            copies_data = line != "\\.";
            continue;
        }
        if line.trim_start().starts_with('\\') && (current.trim().is_empty() || is_complete_scan(&current)) {
            current.clear();
            continue;
        }
        current.push_str(line);
        current.push('\n');
        // More than one statement may end on this line.
        while let Some(end) = statement_end(&current) {
            let statement = current[..end].trim().to_owned();
            current = current[end + 1..].to_owned();
            let lower = statement.to_lowercase();
            copies_data |= lower.starts_with("copy ") && lower.contains("from stdin");
            if !statement.is_empty() {
                found.push(statement);
            }
        }
        if current.trim().is_empty() || copies_data {
            current.clear();
        }
    }
    found
}

fn is_complete_scan(text: &str) -> bool {
    pg_query::scan(text).is_ok()
}

/// The semicolon that ends the first statement of `text`, if it is there.
fn statement_end(text: &str) -> Option<usize> {
    if !text.contains(';') {
        return None;
    }
    let scanned = pg_query::scan(text).ok()?;
    let mut depth = 0usize;
    let lower = text.trim_start().to_lowercase();
    let may_have_body = lower.starts_with("create") && lower.contains("begin atomic");
    for token in &scanned.tokens {
        match token.token() {
            Token::Ascii40 => depth += 1,
            Token::Ascii41 => depth = depth.saturating_sub(1),
            Token::Ascii59 if depth == 0 => {
                let end = usize::try_from(token.start).ok()?;
                if !may_have_body || pg_query::parse(&text[..end]).is_ok() {
                    return Some(end);
                }
            }
            _ => {}
        }
    }
    None
}

/// FNV-1a over each token's class and boundaries, folded to 32 bits.
fn digest(sql: &str, tokens: &[ScanToken]) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for token in tokens {
        // libpg_query does not tell where a `U&` token ends.
        let has_end = !matches!(token.token(), Token::Uident | Token::Usconst);
        let (start, end) = (token.start as u32, if has_end { token.end as u32 } else { 0 });
        add(class(sql, token));
        start.to_le_bytes().into_iter().chain(end.to_le_bytes()).for_each(&mut add);
    }
    (hash ^ (hash >> 32)) as u32
}

fn class(sql: &str, token: &ScanToken) -> u8 {
    let text = &sql.as_bytes()[token.start as usize..token.end as usize];
    match token.token() {
        _ if token.keyword_kind() != KeywordKind::NoKeyword => b'w',
        Token::Ident if text.first() == Some(&b'"') => b'q',
        Token::Ident => b'w',
        Token::Uident => b'u',
        Token::Sconst => b's',
        Token::Usconst => b'U',
        Token::Bconst => b'b',
        Token::Xconst => b'x',
        Token::Iconst => b'i',
        Token::Fconst if text.iter().all(u8::is_ascii_digit) => b'i',
        Token::Fconst => b'f',
        Token::Param => b'p',
        Token::Typecast => b't',
        Token::ColonEquals => b'=',
        Token::EqualsGreater => b'>',
        Token::DotDot => b'd',
        Token::SqlComment | Token::CComment => b'c',
        Token::Op | Token::LessEquals | Token::GreaterEquals | Token::NotEquals => b'o',
        _ => match text {
            [byte @ (b';' | b'(' | b')' | b'[' | b']' | b',' | b'.' | b':')] => *byte,
            [b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'<' | b'>' | b'='] => b'o',
            _ => b'?',
        },
    }
}

/// The name of the statement's node in Postgres's tree, with what tells our kinds apart.
fn kind_of(sql: &str) -> String {
    let Ok(parsed) = pg_query::parse(sql) else {
        return "error".into();
    };
    if parsed.protobuf.stmts.len() != 1 {
        return format!("several{}", parsed.protobuf.stmts.len());
    }
    let node =
        parsed.protobuf.stmts.first().and_then(|raw| raw.stmt.as_ref()).and_then(|node| node.node.as_ref());
    match node {
        Some(NodeEnum::TransactionStmt(it)) => format!("Transaction:{}", it.kind),
        Some(NodeEnum::VariableSetStmt(it)) => {
            format!("Set:{}:{}:{}", it.kind, it.is_local, it.name.replace(' ', "_"))
        }
        Some(NodeEnum::DiscardStmt(it)) => format!("Discard:{}", it.target),
        Some(NodeEnum::CopyStmt(it)) => {
            format!("Copy:{}:{}", it.is_from, it.filename.is_empty() && !it.is_program)
        }
        Some(NodeEnum::FetchStmt(it)) => format!("Fetch:{}", it.ismove),
        Some(NodeEnum::VacuumStmt(it)) => format!("Vacuum:{}", it.is_vacuumcmd),
        Some(node) => {
            let debug = format!("{node:?}");
            debug.split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
        }
        None => "none".into(),
    }
}

/// The relations that the statement's tree names, in order; `None` where Postgres's grammar refuses it.
///
/// They are read off the printed tree, which leaves no place of a RangeVar out. Those of a locking clause are
/// left out: they name items of FROM again.
fn relations_of(sql: &str) -> Option<Vec<String>> {
    let mut tree = format!("{:?}", pg_query::parse(sql).ok()?.protobuf);
    while let Some(start) = tree.find("locked_rels: [") {
        let end = tree[start..].find("], strength: ")? + start;
        tree.replace_range(start..end, "");
    }
    let mut names: Vec<String> = Vec::new();
    for found in tree.split("RangeVar { catalogname: ").skip(1) {
        let name = found.split_once(", relname: \"")?.1.split_once("\", inh: ")?.0;
        names.push(name.replace("\\\"", "\"").replace("\\\\", "\\"));
    }
    names.sort_unstable();
    names.dedup();
    Some(names)
}
