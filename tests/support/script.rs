//! Exchanges written down as text, and their run against a server.
//!
//! A corpus file holds exchanges; each begins with `== name` and is one connection. Lines are
//! messages; those up to a wait go out in one write. Fields are separated by ` | `.
//!
//! | line | sends |
//! | --- | --- |
//! | `setup SQL` | (runs beforehand on a connection of its own) |
//! | `start k=v k=v` | StartupMessage parameters besides user and database (`%s` is a space); before all messages |
//! | `Q SQL` / `q SQL` | Query, and waits for ReadyForQuery / does not wait |
//! | `P name \| SQL \| oids` | Parse (`_` is the empty name) |
//! | `B portal stmt \| values \| formats \| result formats` | Bind; a value is text, `\N` (null), `\E` (empty) or `0x` and hex; `%s` is a space |
//! | `D S name`, `C P name` | Describe, Close of a statement or portal |
//! | `E portal rows` | Execute |
//! | `H` | Flush |
//! | `S` / `s` | Sync, and waits for ReadyForQuery / does not wait |
//! | `d text`, `dx hex` | CopyData; `\n` and `\t` as in C |
//! | `c`, `f reason` | CopyDone, CopyFail |
//! | `F oid \| format \| values \| result format` | FunctionCall |
//! | `raw hex` | these bytes |
//! | `until X n` | (waits until n frames of type X came) |
//! | `Z n` | (waits for n ReadyForQuery) |
//! | `eof` | (reads until the connection ends) |
//!
//! `{x*8000}` repeats a text. `== name @ K=a;b;c` makes an exchange of each value, with `{K}` in its lines.

use std::time::Duration;

use super::message as build;
use super::wire::{Event, Wire};

/// One exchange: a connection and what is said on it.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its name, unique in its file.
    pub name: String,
    lines: Vec<String>,
}

/// How the bytes go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// All messages up to a wait in one write.
    Whole,
    /// So many bytes in each write.
    Chunks(usize),
}

/// What came in answer, up to one wait.
#[derive(Clone, Debug)]
pub struct Step {
    /// The line that waited.
    pub line: String,
    /// What came.
    pub events: Vec<Event>,
}

/// Reads a corpus file.
pub fn parse(text: &str) -> Vec<Script> {
    let mut scripts: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        if let Some(header) = line.strip_prefix("== ") {
            scripts.push((header.trim().to_owned(), Vec::new()));
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            scripts.last_mut().expect("a corpus begins with ==").1.push(line.to_owned());
        }
    }
    scripts.into_iter().flat_map(|(header, lines)| expand(&header, &lines)).collect()
}

fn expand(header: &str, lines: &[String]) -> Vec<Script> {
    let Some((name, variable)) = header.split_once(" @ ") else {
        return vec![Script { name: header.to_owned(), lines: lines.to_vec() }];
    };
    let (key, values) = variable.split_once('=').expect("@ K=a;b");
    values
        .split(';')
        .map(|value| Script {
            name: format!("{name} [{value}]"),
            lines: lines.iter().map(|line| line.replace(&format!("{{{key}}}"), value)).collect(),
        })
        .collect()
}

/// `{x*3}` becomes `xxx`.
fn repeat(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        out.push_str(before);
        let inner = from.find('}').map(|close| (&from[1..close], &from[close + 1..]));
        let repeated = inner.and_then(|(inner, tail)| {
            let (unit, count) = inner.rsplit_once('*')?;
            Some((unit.repeat(count.parse().ok()?), tail))
        });
        if let Some((text, tail)) = repeated {
            out.push_str(&text);
            rest = tail;
        } else {
            out.push('{');
            rest = &from[1..];
        }
    }
    out + rest
}

fn name(field: &str) -> &str {
    if field == "_" { "" } else { field }
}

fn value(field: &str) -> Option<Vec<u8>> {
    match field {
        r"\N" => None,
        r"\E" => Some(Vec::new()),
        hex if hex.starts_with("0x") => Some(unhex(&hex[2..])),
        text => Some(text.replace("%s", " ").into_bytes()),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn numbers<T: std::str::FromStr>(field: Option<&str>) -> Vec<T> {
    field.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// The bytes of one line that is a message.
fn encode(verb: &str, rest: &str) -> Option<Vec<u8>> {
    let padded = format!("{rest} ");
    let mut fields = padded.split(" | ").map(str::trim);
    let mut words = rest.split_whitespace();
    Some(match verb {
        "Q" | "q" => build::query(rest),
        "P" => {
            let (statement, sql) = (fields.next()?, fields.next()?);
            build::parse(name(statement), sql, &numbers(fields.next()))
        }
        "B" => {
            let (portal, statement) = fields.next()?.split_once(' ')?;
            let values: Vec<_> = fields.next().unwrap_or_default().split_whitespace().map(value).collect();
            let values: Vec<_> = values.iter().map(Option::as_deref).collect();
            let (formats, results) = (numbers(fields.next()), numbers(fields.next()));
            build::bind(name(portal), name(statement), &formats, &values, &results)
        }
        "D" | "C" => build::named(verb.as_bytes()[0], words.next()?.as_bytes()[0], name(words.next()?)),
        "E" => build::execute(name(words.next()?), words.next().map_or(0, |rows| rows.parse().unwrap())),
        "H" => build::flush(),
        "S" | "s" => build::sync(),
        "d" => build::copy_data(rest.replace("\\n", "\n").replace("\\t", "\t").as_bytes()),
        "dx" => build::copy_data(&unhex(rest)),
        "c" => build::copy_done(),
        "f" => build::copy_fail(rest),
        "F" => {
            let (oid, format) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            let values: Vec<_> = fields.next()?.split_whitespace().map(value).collect();
            let values: Vec<_> = values.iter().map(Option::as_deref).collect();
            build::function_call(oid, format, &values, fields.next()?.parse().ok()?)
        }
        "raw" => unhex(rest),
        _ => return None,
    })
}

/// Reads until `count` frames of type `tag` came, or nothing more comes.
fn wait(wire: &mut Wire, tag: Option<u8>, mut count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while count > 0 {
        let event = wire.event();
        if matches!(&event, Event::Frame(frame) if Some(frame.tag) == tag) {
            count -= 1;
        }
        let last = !matches!(event, Event::Frame(_));
        events.push(event);
        if last {
            break;
        }
    }
    events
}

impl Script {
    /// The SQL that must run beforehand on a connection of its own.
    pub fn setup(&self) -> Vec<&str> {
        self.lines.iter().filter_map(|line| line.strip_prefix("setup ")).collect()
    }

    /// Holds the exchange with the server on `port`; the start-up's reply is the first step.
    ///
    /// # Panics
    /// On a line that is not in the notation.
    pub fn run(&self, port: u16, sending: Sending) -> Vec<Step> {
        let mut parameters = vec![("user".to_owned(), "app".to_owned()), ("database".into(), "app".into())];
        let start = self.lines.iter().find_map(|line| line.strip_prefix("start "));
        for pair in start.unwrap_or_default().split_whitespace() {
            let (key, value) = pair.split_once('=').expect("start k=v");
            parameters.retain(|(found, _)| found != key);
            parameters.push((key.to_owned(), value.replace("%s", " ")));
        }
        let parameters: Vec<_> =
            parameters.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut wire = Wire::open(port);
        wire.patience = Duration::from_secs(8);
        wire.send(&build::startup(&parameters));
        let mut steps = vec![Step { line: "start".into(), events: wait(&mut wire, Some(b'Z'), 1) }];
        let mut out = Vec::new();
        for line in &self.lines {
            if line.starts_with("setup ") || line.starts_with("start ") {
                continue;
            }
            let line_expanded = repeat(line);
            let (verb, rest) = line_expanded.split_once(' ').unwrap_or((&line_expanded, ""));
            let awaited = match verb {
                "Q" | "S" => Some((Some(b'Z'), 1)),
                "Z" => Some((Some(b'Z'), rest.trim().parse().unwrap_or(1))),
                "until" => {
                    let count = rest.split_whitespace().nth(1).map_or(1, |count| count.parse().unwrap());
                    Some((Some(rest.as_bytes()[0]), count))
                }
                "eof" => Some((None, 1)),
                _ => None,
            };
            match encode(verb, rest) {
                Some(bytes) => out.extend(bytes),
                None => assert!(awaited.is_some(), "{}: not in the notation: {line}", self.name),
            }
            if let Some((tag, count)) = awaited {
                transmit(&mut wire, &mut out, sending);
                steps.push(Step {
                    line: line.chars().take(200).collect(),
                    events: wait(&mut wire, tag, count),
                });
            }
        }
        out.extend(build::terminate());
        transmit(&mut wire, &mut out, sending);
        steps.push(Step { line: "after Terminate".into(), events: wait(&mut wire, None, 1) });
        steps
    }
}

fn transmit(wire: &mut Wire, out: &mut Vec<u8>, sending: Sending) {
    match sending {
        Sending::Whole => wire.send(out),
        Sending::Chunks(size) => wire.send_in_chunks(out, size),
    }
    out.clear();
}
