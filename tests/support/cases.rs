//! Statements written down as lines, asked in several ways, and what of their answers must be the same.
//!
//! `@ values |` before a statement gives its parameters (text; `\N` is null, `%s` a space). `{a|b}` writes
//! a statement for each alternative; `~` before it says that its LIMIT may keep any rows.

use super::frame::Reply;
use super::message::{bind, copy_fail, execute, named, parse, sync};
use super::wire::Wire;

/// A statement of a corpus.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its text.
    pub sql: String,
    /// Its parameters' values.
    pub parameters: Option<Vec<Option<String>>>,
    /// Whether its LIMIT may keep any rows.
    pub by_chance: bool,
}

/// How a statement is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The simple protocol.
    Simple,
    /// The extended protocol, everything as text.
    Text,
    /// The extended protocol, integer parameters and all results in binary.
    Binary,
}

/// Reads a corpus file.
pub fn read(text: &str) -> Vec<Case> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .flat_map(expand)
        .map(|line| match line.strip_prefix("~ ") {
            Some(rest) => (true, rest.to_owned()),
            None => (false, line),
        })
        .map(|(by_chance, line)| match line.strip_prefix("@ ").and_then(|rest| rest.split_once(" | ")) {
            None => Case { sql: line, parameters: None, by_chance },
            Some((values, sql)) => {
                let value = |word: &str| (word != r"\N").then(|| word.replace("%s", " "));
                let parameters = Some(values.split_whitespace().map(value).collect());
                Case { sql: sql.to_owned(), parameters, by_chance }
            }
        })
        .collect()
}

/// A line for each alternative of the first `{a|b}`, and so on for the others.
fn expand(line: &str) -> Vec<String> {
    for (start, _) in line.match_indices('{') {
        let (mut depth, mut parts, mut from) = (0, Vec::new(), start + 1);
        for (at, byte) in line.bytes().enumerate().skip(start) {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                b'|' if depth == 1 => {
                    parts.push(&line[from..at]);
                    from = at + 1;
                }
                _ => {}
            }
            if depth == 0 {
                if parts.is_empty() {
                    break;
                }
                parts.push(&line[from..at]);
                let whole = |part: &str| format!("{}{part}{}", &line[..start], &line[at + 1..]);
                return parts.iter().flat_map(|part| expand(&whole(part))).collect();
            }
        }
    }
    vec![line.to_owned()]
}

impl Case {
    /// Whether it may change what later statements see: it is asked in one way only.
    pub fn writes(&self) -> bool {
        let reads = [
            "select",
            "table",
            "values",
            "(select",
            "with a",
            "with t",
            "with o",
            "with users",
            "with recursive",
            "show",
        ];
        !reads.iter().any(|start| self.sql.starts_with(start)) || self.sql.contains(" into ")
    }

    /// The statement without LIMIT and OFFSET, where these may keep any rows; the numbers stay, as values.
    pub fn without_limit(&self) -> Option<Case> {
        let ends = [" limit", " offset", " fetch"];
        let end = ends.iter().filter_map(|word| self.sql.find(word)).min().filter(|_| self.by_chance)?;
        let (kept, cut) = self.sql.split_at(end);
        let parameters = if cut.contains('$') { None } else { self.parameters.clone() };
        Some(Case { sql: kept.to_owned(), parameters, by_chance: false })
    }

    /// Whether ORDER BY gives the rows their order.
    pub fn is_ordered(&self) -> bool {
        // That of a window or subquery stands inside parentheses.
        let depth = |before: &str| before.matches('(').count() as i64 - before.matches(')').count() as i64;
        self.sql.match_indices("order by").any(|(at, _)| depth(&self.sql[..at]) == 0)
    }

    /// The ways it is asked in; `number` varies the one of a statement that writes.
    pub fn modes(&self, number: usize) -> Vec<Mode> {
        if self.sql.contains("; ") {
            return vec![Mode::Simple];
        }
        let modes = match &self.parameters {
            None => vec![Mode::Simple, Mode::Text, Mode::Binary],
            Some(_) => vec![Mode::Text, Mode::Binary],
        };
        if self.writes() { vec![modes[number % modes.len()]] } else { modes }
    }
}

/// Asks a statement; a COPY FROM STDIN gets no rows.
pub fn ask(wire: &mut Wire, case: &Case, mode: Mode) -> Reply {
    if mode == Mode::Simple {
        let mut reply = wire.query(&case.sql);
        if reply.tagged(b'G').next().is_some() {
            reply = wire.ask(&copy_fail("no rows"));
        }
        return reply;
    }
    let values = case.parameters.as_deref().unwrap_or_default();
    let mut formats = Vec::new();
    let mut types = Vec::new();
    let mut bytes = Vec::new();
    for value in values {
        match value.as_deref().map(|text| (text, text.parse::<i64>())) {
            Some((_, Ok(number))) if mode == Mode::Binary => {
                formats.push(1);
                types.push(20);
                bytes.push(Some(number.to_be_bytes().to_vec()));
            }
            other => {
                formats.push(0);
                types.push(0);
                bytes.push(other.map(|(text, _)| text.as_bytes().to_vec()));
            }
        }
    }
    let bytes: Vec<Option<&[u8]>> = bytes.iter().map(Option::as_deref).collect();
    let results = if mode == Mode::Binary { &[1][..] } else { &[] };
    let mut out = parse("", &case.sql, &types);
    out.extend(bind("", "", &formats, &bytes, results));
    out.extend([named(b'D', b'P', ""), execute("", 0)].concat());
    if case.sql.contains("from stdin") {
        // A server that waits for rows passes over Sync; one that does not passes over this.
        out.extend(copy_fail("no rows"));
    }
    out.extend(sync());
    wire.ask(&out)
}

/// What of a reply must be the same: columns, rows, tags, errors, and the transaction's status.
#[derive(Debug)]
pub struct Answer {
    columns: Vec<(String, Vec<u8>)>,
    rows: Vec<Vec<String>>,
    tags: Vec<String>,
    error: Option<(String, String)>,
    status: char,
    /// Whether an error has a hint.
    pub has_hint: bool,
    /// An error's detail.
    pub detail: String,
}

impl PartialEq for Answer {
    fn eq(&self, other: &Answer) -> bool {
        (&self.columns, &self.rows, &self.tags, &self.error, self.status)
            == (&other.columns, &other.rows, &other.tags, &other.error, other.status)
    }
}

impl Answer {
    /// `0A000`, or the contract's own error for a row that has no shard because of its key.
    pub fn is_refusal(&self) -> bool {
        self.error.as_ref().is_some_and(|(state, said)| {
            state == "0A000" || state == "23514" && said.contains("sharding key")
        })
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.error.is_some()
    }

    /// Whether it is the same but for zeros behind a numeric's point, which min, max, DISTINCT and the like take
    /// from any of several equal values.
    pub fn is_like(&self, other: &Answer) -> bool {
        let trimmed = |answer: &Answer| -> Vec<Vec<String>> {
            let cell = |cell: &String| {
                let inner = cell.trim_matches('\'');
                let is_numeric =
                    inner.contains('.') && inner.bytes().all(|b| b.is_ascii_digit() || b"-.".contains(&b));
                if is_numeric {
                    inner.trim_end_matches('0').trim_end_matches('.').to_owned()
                } else {
                    cell.clone()
                }
            };
            answer.rows.iter().map(|row| row.iter().map(cell).collect()).collect()
        };
        self == other
            || (&self.columns, &self.tags, &self.error, self.status)
                == (&other.columns, &other.tags, &other.error, other.status)
                && trimmed(self) == trimmed(other)
    }

    /// Whether it has as many rows as `limited`, each of them one of `all`.
    pub fn is_some_of(&self, limited: &Answer, all: &Answer) -> bool {
        let mut left = all.rows.clone();
        let mut take = |row: &Vec<String>| {
            let at = left.iter().position(|other| other == row);
            at.map(|at| left.swap_remove(at)).is_some()
        };
        (&self.columns, &self.tags, &self.error, self.status)
            == (&limited.columns, &limited.tags, &limited.error, limited.status)
            && self.rows.len() == limited.rows.len()
            && self.rows.iter().all(&mut take)
    }

    /// The error's message.
    pub fn told(&self) -> &str {
        self.error.as_ref().map_or("", |(_, said)| said)
    }
}

/// Reads a reply; rows in no order where `ordered` is false.
pub fn answer(reply: &Reply, ordered: bool) -> Answer {
    let mut columns = Vec::new();
    for description in reply.tagged(b'T') {
        let mut rest = &description.body[2..];
        while let Some(end) = rest.iter().position(|&byte| byte == 0) {
            // After the name: table oid and column number, which differ, then type, size, modifier and format.
            let mut about = rest[end + 7..end + 19].to_vec();
            if about[..4] >= 16384_u32.to_be_bytes()[..] {
                // A user's type: its number is the server's own.
                about[..4].fill(0xff);
            }
            columns.push((String::from_utf8_lossy(&rest[..end]).into_owned(), about));
            rest = &rest[end + 19..];
        }
    }
    let cell =
        |cell: Option<Vec<u8>>| cell.map_or("NULL".into(), |bytes| format!("'{}'", bytes.escape_ascii()));
    let mut rows: Vec<Vec<String>> = reply
        .frames
        .iter()
        .filter_map(|frame| match frame.tag {
            b'D' => Some(frame.cells().into_iter().map(cell).collect()),
            b'd' => Some(vec![frame.body.escape_ascii().to_string()]),
            _ => None,
        })
        .collect();
    if !ordered {
        rows.sort();
    }
    let error = reply.sqlstate().map(|state| (state, reply.message().unwrap_or_default()));
    if error.is_some() {
        // Rows and columns that came before an error are no answer.
        rows.clear();
        columns.clear();
    }
    let has_hint = reply.tagged(b'E').any(|frame| frame.body.windows(2).any(|pair| pair == b"\0H"));
    let detail = reply.tagged(b'E').find_map(|frame| frame.field('D')).unwrap_or_default();
    Answer { columns, rows, tags: reply.tags(), error, status: reply.status(), has_hint, detail }
}

/// What differs, briefly.
pub fn contrast(expected: &Answer, found: &Answer) -> String {
    let brief = |answer: &Answer| {
        let rows: String = format!("{:?}", answer.rows).chars().take(160).collect();
        format!("{:?} {:?} {} {} rows {rows}", answer.tags, answer.error, answer.status, answer.rows.len())
    };
    let columns = if expected.columns == found.columns {
        String::new()
    } else {
        format!("\n  columns {:?} and {:?}", expected.columns, found.columns)
    };
    format!("one Postgres {}\n  Howdah       {}{columns}", brief(expected), brief(found))
}
