//! Holds the layers of `src/lib.rs` apart: no import points up, no two modules import each other, and the
//! pure layers know no socket, clock, randomness, file or global.
//!
//! The table in the crate's documentation is the rule; this test reads it. Test modules are exempt.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A layer: its number and whether it is pure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layer {
    number: u8,
    is_pure: bool,
}

type Layers = BTreeMap<String, Layer>;

#[test]
fn no_import_points_up_and_pure_layers_are_pure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let layers = read_table(&std::fs::read_to_string(root.join("lib.rs")).unwrap());
    let mut problems = Vec::new();
    let mut arrows = BTreeSet::new();
    for file in source_files(&root) {
        let name = file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        if name == "lib.rs" || name.ends_with("tests.rs") || name.contains("/tests/") {
            continue;
        }
        let found = examine(&name, &std::fs::read_to_string(&file).unwrap(), &layers);
        problems.extend(found.problems);
        arrows.extend(found.arrows);
    }
    problems.extend(mutual(&arrows));
    assert!(problems.is_empty(), "{} problem(s):\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn every_module_is_in_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let layers = read_table(&std::fs::read_to_string(root.join("lib.rs")).unwrap());
    let on_disk: BTreeSet<String> = source_files(&root)
        .iter()
        .map(|file| module_path(&file.strip_prefix(&root).unwrap().to_string_lossy()))
        .filter_map(|path| path.into_iter().next())
        .collect();
    let listed: BTreeSet<String> = layers.keys().cloned().collect();
    assert_eq!(on_disk, listed, "the modules in src/ and those in the table of src/lib.rs differ");
}

// ---- the oracle itself ----

fn sample() -> Layers {
    read_table(
        "//! | 3 I/O | [`net`], [`pool`] |\n//! | 1 pure | [`sql`], [`auth`] |\n//! | 0 pure | [`error`] |\n",
    )
}

fn problems(file: &str, text: &str) -> Vec<String> {
    examine(file, text, &sample()).problems
}

#[test]
fn the_table_is_read() {
    let layers = sample();
    assert_eq!(layers.len(), 5);
    assert_eq!(layers["pool"], Layer { number: 3, is_pure: false });
    assert_eq!(layers["auth"], Layer { number: 1, is_pure: true });
}

#[test]
fn planted_arrows_that_point_up_are_found() {
    for planted in [
        "use crate::pool::Pool;",
        "use crate::{error::Error, pool};",
        "use super::super::pool;",
        "fn f() { crate::net::open() }",
        "pub use crate::sql::{self, lexer::{Token}};\nuse crate::{sql, net::{a, b}};",
    ] {
        let found = problems("sql/lexer.rs", planted);
        assert_eq!(found.len(), 1, "{planted}: {found:?}");
    }
    assert_eq!(problems("error.rs", "use crate::sql::Statement;").len(), 1);
    assert_eq!(problems("sql/mod.rs", "use super::net;").len(), 1);
}

#[test]
fn planted_impurities_are_found() {
    for planted in [
        "use tokio::sync::Mutex;",
        "use std::time::{Duration, Instant};",
        "fn f() { let now = std::time::SystemTime::now(); }",
        "use std::time; fn f() -> time::Instant { loop {} }",
        "fn f() -> u8 { rand::random() }",
        "use std::net::{IpAddr, TcpStream};",
        "use std::{fs, fmt};",
        "fn f() { std::env::var(\"X\"); }",
        "static COUNT: AtomicU64 = AtomicU64::new(0);",
        "static CACHE: std::sync::OnceLock<u8> = std::sync::OnceLock::new();",
        "static mut N: u8 = 0;",
        "thread_local! { static X: u8 = 1; }",
    ] {
        assert!(!problems("auth/mod.rs", planted).is_empty(), "{planted}");
        assert!(problems("net/mod.rs", planted).is_empty(), "{planted} is allowed where I/O is");
    }
}

#[test]
fn what_is_allowed_passes() {
    for allowed in [
        "use crate::error::Error;",
        "use crate::auth::Verifier;",
        "use super::keyword; use super::super::error;",
        "use std::time::Duration; use std::net::{IpAddr, Ipv4Addr};",
        "// use crate::pool::Pool;\n/* crate::net /* tokio::x */ crate::net */",
        "const TEXT: &str = \"crate::pool \\\" tokio::spawn\"; const RAW: &str = r#\"crate::net \" std::fs\"#;",
        "const QUOTE: char = '\"'; fn f<'a>(x: &'a str) -> &'a str { x } const END: char = '\\'';",
        "static WORDS: [&str; 2] = [\"a\", \"b\"]; fn f(x: &'static str) {}",
        "#[cfg(test)]\nmod tests { use crate::pool::Pool; fn f() { if x { tokio::spawn(y) } } }",
        "#[cfg(test)] use crate::pool; #[cfg(test)] mod tests; #[cfg(test)] fn f() { std::fs::read(x) }",
    ] {
        let found = problems("sql/lexer.rs", allowed);
        assert!(found.is_empty(), "{allowed}: {found:?}");
    }
}

#[test]
fn code_after_a_test_module_counts_again() {
    let text = "#[cfg(test)] mod tests { fn f() {} }\nuse crate::pool::Pool;";
    assert_eq!(problems("sql/lexer.rs", text).len(), 1);
}

#[test]
fn two_modules_that_import_each_other_are_found() {
    let mut arrows = examine("sql/mod.rs", "use crate::auth::A;", &sample()).arrows;
    assert!(mutual(&arrows).is_empty());
    arrows.extend(examine("auth/mod.rs", "use crate::sql::B;", &sample()).arrows);
    assert_eq!(mutual(&arrows).len(), 1);
}

#[test]
fn a_module_that_the_table_lacks_is_found() {
    assert_eq!(problems("sql/mod.rs", "use crate::nowhere::X;").len(), 1);
    assert_eq!(problems("stray.rs", "").len(), 1);
}

// ---- reading the table and the sources ----

/// Rows such as `//! | 1 pure | [`sql`], [`auth`] |`.
fn read_table(text: &str) -> Layers {
    let mut layers = Layers::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("//! |")) {
        let Some((name, modules)) = line.split_once('|') else { continue };
        let Some(number) = name.trim().chars().next().and_then(|c| c.to_digit(10)) else { continue };
        let layer = Layer { number: u8::try_from(number).unwrap(), is_pure: name.contains("pure") };
        for module in modules.split('`').skip(1).step_by(2) {
            layers.insert(module.to_owned(), layer);
        }
    }
    assert!(!layers.is_empty(), "src/lib.rs has no table of layers");
    layers
}

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// `a/b.rs` is the module a::b, `a/mod.rs` and `a.rs` are a; `lib.rs` and `main.rs` are none.
fn module_path(file: &str) -> Vec<String> {
    let stem = file.strip_suffix(".rs").unwrap();
    let parts = stem.split('/').filter(|part| !["mod", "lib", "main"].contains(part));
    parts.map(str::to_owned).collect()
}

#[derive(Default)]
struct Examined {
    problems: Vec<String>,
    /// From module to module.
    arrows: BTreeSet<(String, String)>,
}

fn examine(file: &str, text: &str, layers: &Layers) -> Examined {
    let mut examined = Examined::default();
    let here = module_path(file);
    let tokens = without_tests(tokens(text));
    let Some(module) = here.first() else { return examined };
    let Some(&layer) = layers.get(module) else {
        examined.problems.push(format!("src/{file}: {module} is not in the table of layers"));
        return examined;
    };
    for path in paths(&tokens) {
        let target = match path.first().map(String::as_str) {
            Some("crate") => path.get(1),
            Some("super") => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                if ups == here.len() { path.get(ups) } else { None }
            }
            _ => None,
        };
        if let Some(target) =
            target.filter(|target| *target != module && target.starts_with(char::is_lowercase))
        {
            match layers.get(target) {
                None => examined.problems.push(format!("src/{file}: {target} is not in the table of layers")),
                Some(other) if other.number > layer.number => examined.problems.push(format!(
                    "src/{file}: {module} (layer {}) imports {target} (layer {})",
                    layer.number, other.number
                )),
                Some(_) => {}
            }
            examined.arrows.insert((module.clone(), target.clone()));
        }
        if layer.is_pure && is_impure(&path) {
            examined.problems.push(format!("src/{file}: {} in a pure layer", path.join("::")));
        }
    }
    if layer.is_pure {
        let found = globals(&tokens).map(|what| format!("src/{file}: {what} in a pure layer"));
        examined.problems.extend(found);
    }
    examined.problems.sort();
    examined.problems.dedup();
    examined
}

fn mutual(arrows: &BTreeSet<(String, String)>) -> Vec<String> {
    let back = |(a, b): &(String, String)| a < b && arrows.contains(&(b.clone(), a.clone()));
    arrows.iter().filter(|arrow| back(arrow)).map(|(a, b)| format!("{a} and {b} import each other")).collect()
}

/// Whether a path leads to the outside world.
fn is_impure(path: &[String]) -> bool {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let outside = ["tokio", "tokio_postgres", "tokio_rustls", "bb8", "rand", "nix", "socket2", "notify"];
    match parts.as_slice() {
        [first, _, ..] if outside.contains(first) => true,
        ["std", "fs" | "env" | "process" | "thread", ..] | ["std", "net"] => true,
        ["std", "net", what, ..] => {
            !["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "AddrParseError"].contains(what)
        }
        _ => parts.windows(2).any(|pair| matches!(pair, ["time", "Instant" | "SystemTime" | "*"])),
    }
}

/// Statics that can change, and thread-locals.
fn globals(tokens: &[String]) -> impl Iterator<Item = String> + '_ {
    tokens.iter().enumerate().filter_map(|(i, token)| {
        if token == "thread_local" {
            return Some("thread_local".to_owned());
        }
        if token != "static" || (i > 0 && tokens[i - 1] == "'") {
            return None;
        }
        let declared = tokens[i + 1..].iter().take_while(|token| *token != "=" && *token != ";");
        let changeable = ["mut", "Mutex", "RwLock", "OnceLock", "LazyLock", "OnceCell", "RefCell", "Cell"];
        let mut declared =
            declared.filter(|token| changeable.contains(&token.as_str()) || token.starts_with("Atomic"));
        declared.next().map(|kind| format!("static {} ({kind})", tokens[i + 1]))
    })
}

/// All paths of two parts or more, with `use` trees written out.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            at = use_tree(tokens, at + 1, &[], &mut paths);
        } else if is_word(&tokens[at]) {
            let mut path = vec![tokens[at].clone()];
            while tokens.get(at + 1).is_some_and(|token| token == "::")
                && tokens.get(at + 2).is_some_and(|token| is_word(token))
            {
                path.push(tokens[at + 2].clone());
                at += 2;
            }
            if path.len() > 1 {
                paths.push(path);
            }
            at += 1;
        } else {
            at += 1;
        }
    }
    paths
}

/// Reads one use tree that starts at `at`, and says where it ends.
fn use_tree(tokens: &[String], mut at: usize, prefix: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = use_tree(tokens, at, &path, paths);
                    at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
                }
                return at + 1;
            }
            "as" => at += 2,
            "self" if !path.is_empty() => at += 1,
            word if is_word(word) || word == "*" => {
                path.push(word.to_owned());
                at += 1;
            }
            _ => break,
        }
    }
    paths.push(path);
    at
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Drops every item under `#[cfg(test)]`, and what only debug builds have.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    let marks =
        [["#", "[", "cfg", "(", "test", ")", "]"], ["#", "[", "cfg", "(", "debug_assertions", ")", "]"]];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_marked = |mark: &[&str; 7]| tokens[at..].iter().take(mark.len()).eq(mark.iter());
        let Some(mark) = marks.iter().find(|mark| is_marked(mark)) else {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        };
        // The item ends at its first `;` outside braces, or where its braces close; those of `use` do not end it.
        at += mark.len();
        let mut depth = 0;
        let mut is_use = false;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token.as_str() {
                "use" => is_use = true,
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => {
                    depth -= 1;
                    if depth == 0 && token == "}" && !is_use {
                        break;
                    }
                }
                ";" if depth == 0 => break,
                _ => {}
            }
        }
    }
    kept
}

/// Words and punctuation, without comments, strings and characters.
fn tokens(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(b"//") {
            at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        } else if rest.starts_with(b"/*") {
            at += comment_length(rest);
        } else if let Some(length) = string_length(rest) {
            at += length;
        } else if rest[0].is_ascii_alphanumeric() || rest[0] == b'_' {
            let length =
                rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
            tokens.push(text[at..at + length].to_owned());
            at += length;
        } else if rest.starts_with(b"::") {
            tokens.push("::".to_owned());
            at += 2;
        } else {
            if rest[0].is_ascii_punctuation() {
                tokens.push(char::from(rest[0]).to_string());
            }
            at += 1;
        }
    }
    tokens
}

fn comment_length(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if rest[at..].starts_with(b"*/") {
            (at, depth) = (at + 2, depth - 1);
        } else {
            at += 1;
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string or character literal that starts here; a lifetime is none.
fn string_length(rest: &[u8]) -> Option<usize> {
    let prefix = rest.iter().take_while(|byte| b"brc".contains(byte)).count().min(2);
    let body = &rest[prefix..];
    let hashes = body.iter().take_while(|byte| **byte == b'#').count();
    if rest[..prefix].contains(&b'r') && body.get(hashes) == Some(&b'"') {
        let end: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
        let inside = &body[hashes + 1..];
        let length = inside.windows(end.len()).position(|window| window == end).unwrap_or(inside.len());
        return Some(prefix + hashes + 1 + length + end.len());
    }
    let quote = *body.first().filter(|byte| **byte == b'"' || **byte == b'\'')?;
    let is_character = body.get(1) == Some(&b'\\')
        || std::str::from_utf8(&body[1..])
            .ok()
            .and_then(|text| text.char_indices().nth(1))
            .is_some_and(|(i, c)| c == '\'' && i > 0);
    if quote == b'\'' && !is_character {
        return None;
    }
    let mut at = 1;
    while let Some(&byte) = body.get(at) {
        at += if byte == b'\\' { 2 } else { 1 };
        if byte == quote {
            break;
        }
    }
    Some(prefix + at)
}
