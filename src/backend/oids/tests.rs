//! The translator against a server that is played by hand.

use super::Translator;
use crate::catalog::{Catalog, OidMap};
use crate::protocol::{backend, frontend, write};
use std::sync::Arc;

/// A catalog with an enum and its array type, and a table.
fn catalog(mood: u32, moods: u32, table: u32) -> Catalog {
    let (mood, moods, table) = (mood.to_string(), moods.to_string(), table.to_string());
    let mut rows: Vec<[Option<&str>; 12]> = Vec::new();
    let mut row = [None; 12];
    let cells = ["type", &mood, "public", "mood", "e", &moods, "0", "-1", "false"];
    row.iter_mut().zip(cells).for_each(|(cell, text)| *cell = Some(text));
    rows.push(row);
    let _unused = table;
    Catalog::from_rows(rows).unwrap()
}

fn translator() -> Translator {
    let map = OidMap::between(&catalog(30_001, 30_002, 30_009), &catalog(20_001, 20_002, 20_009));
    assert!(map.is_needed());
    Translator::new(Arc::new(map))
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write::message(&mut out, tag, |b| b.extend_from_slice(body));
    out
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A binary array with one element.
fn moods(oid: u32) -> Vec<u8> {
    [words(&[1, 0, oid, 1, 1, 2]), b"up".to_vec()].concat()
}

fn parse(name: &str, oids: &[u32]) -> Vec<u8> {
    let count = u16::try_from(oids.len()).unwrap().to_be_bytes();
    message(frontend::PARSE, &[format!("{name}\0select\0").as_bytes(), &count, &words(oids)].concat())
}

/// Bind of one binary value, asking for binary rows.
fn bind(name: &str, value: &[u8]) -> Vec<u8> {
    let len = u32::try_from(value.len()).unwrap().to_be_bytes();
    let body = [format!("\0{name}\0").as_bytes(), &[0, 1, 0, 1, 0, 1], &len, value, &[0, 1, 0, 1]].concat();
    message(frontend::BIND, &body)
}

fn execute() -> Vec<u8> {
    message(frontend::EXECUTE, &[0, 0, 0, 0, 0])
}

fn describe(kind: u8, name: &str) -> Vec<u8> {
    message(frontend::DESCRIBE, &[&[kind], name.as_bytes(), &[0]].concat())
}

/// RowDescription of one column.
fn columns(type_oid: u32, format: u8) -> Vec<u8> {
    let body =
        [b"\0\x01m\0".as_slice(), &words(&[0]), &[0, 0], &words(&[type_oid]), &[0; 6], &[0, format]].concat();
    message(backend::ROW_DESCRIPTION, &body)
}

fn parameters(oid: u32) -> Vec<u8> {
    message(backend::PARAMETER_DESCRIPTION, &[vec![0, 1], words(&[oid])].concat())
}

fn row(value: &[u8]) -> Vec<u8> {
    let len = u32::try_from(value.len()).unwrap().to_be_bytes();
    message(backend::DATA_ROW, &[&[0, 1], len.as_slice(), value].concat())
}

fn complete(tag: u8) -> Vec<u8> {
    message(tag, &[])
}

fn wire(translator: &mut Translator) -> Vec<u8> {
    std::mem::take(&mut translator.wire)
}

fn told(translator: &mut Translator) -> Vec<u8> {
    let mut out = vec![0; 4096];
    let count = translator.give(&mut out);
    out.truncate(count);
    out
}

#[test]
fn what_nobody_described_is_asked_for_and_kept() {
    let mut translator = translator();
    let flush = message(frontend::FLUSH, &[]);
    let sent = [parse("s", &[30_002]), bind("s", &moods(30_001)), execute(), message(frontend::SYNC, &[])];
    let sent = sent.concat();
    let taken = translator.send(&sent);
    assert_eq!(taken, parse("s", &[30_002]).len(), "Bind waits");
    assert_eq!(wire(&mut translator), [parse("s", &[20_002]), describe(b'S', "s"), flush].concat());
    translator
        .received(&[complete(backend::PARSE_COMPLETE), parameters(20_002), columns(20_002, 0)].concat());
    assert_eq!(
        told(&mut translator),
        complete(backend::PARSE_COMPLETE),
        "what was not asked for is not told"
    );
    assert_eq!(taken + translator.send(&sent[taken..]), sent.len());
    let expected = [bind("s", &moods(20_001)), execute(), message(frontend::SYNC, &[])].concat();
    assert_eq!(wire(&mut translator), expected);
    let answer = [
        complete(backend::BIND_COMPLETE),
        row(&moods(20_001)),
        message(backend::COMMAND_COMPLETE, b"SELECT 1\0"),
    ];
    let answer = [answer.concat(), message(backend::READY_FOR_QUERY, b"I")].concat();
    // However the bytes are cut.
    for byte in answer {
        translator.received(&[byte]);
    }
    let expected = [
        complete(backend::BIND_COMPLETE),
        row(&moods(30_001)),
        message(backend::COMMAND_COMPLETE, b"SELECT 1\0"),
    ];
    assert_eq!(told(&mut translator), [expected.concat(), message(backend::READY_FOR_QUERY, b"I")].concat());
    assert!(translator.is_idle());
    // It is known now.
    let again = [bind("s", &moods(30_001)), execute()].concat();
    assert_eq!(translator.send(&again), again.len());
    assert_eq!(wire(&mut translator), [bind("s", &moods(20_001)), execute()].concat());
}

#[test]
fn rows_of_a_portal_that_nobody_described_are_described_for_the_translator() {
    let mut translator = translator();
    let body = [b"\0s\0".as_slice(), &[0, 0, 0, 0, 0, 1, 0, 1]].concat();
    let sent = [parse("s", &[]), message(frontend::BIND, &body), execute()].concat();
    assert_eq!(translator.send(&sent), sent.len());
    let expected = [parse("s", &[]), message(frontend::BIND, &body), describe(b'P', ""), execute()].concat();
    assert_eq!(wire(&mut translator), expected);
    translator.received(&[complete(backend::PARSE_COMPLETE), complete(backend::BIND_COMPLETE)].concat());
    translator.received(&[columns(20_002, 1), row(&moods(20_001))].concat());
    let expected = [complete(backend::PARSE_COMPLETE), complete(backend::BIND_COMPLETE), row(&moods(30_001))];
    assert_eq!(told(&mut translator), expected.concat());
}

#[test]
fn descriptions_that_were_asked_for_are_told_in_the_home_shards_oids() {
    let mut translator = translator();
    let sent = [parse("", &[]), describe(b'S', ""), message(frontend::SYNC, &[])].concat();
    assert_eq!(translator.send(&sent), sent.len());
    translator
        .received(&[complete(backend::PARSE_COMPLETE), parameters(20_001), columns(20_002, 0)].concat());
    let expected = [complete(backend::PARSE_COMPLETE), parameters(30_001), columns(30_002, 0)].concat();
    assert_eq!(told(&mut translator), expected);
    // A type that only the shard has is told as one that nobody knows.
    translator.send(&describe(b'P', ""));
    translator.received(&columns(29_999, 0));
    assert_eq!(told(&mut translator), columns(705, 0));
}

#[test]
fn after_an_error_nothing_is_awaited_up_to_sync() {
    let mut translator = translator();
    let value = moods(30_001);
    translator.send(&[parse("s", &[]), bind("s", &value), execute()].concat());
    translator.received(&message(backend::ERROR_RESPONSE, b"C42601\0\0"));
    wire(&mut translator);
    // What is skipped goes on as it is.
    let rest = [bind("s", &value), execute(), message(frontend::SYNC, &[])].concat();
    assert_eq!(translator.send(&rest), rest.len());
    assert_eq!(wire(&mut translator), rest);
    translator.received(&message(backend::READY_FOR_QUERY, b"I"));
    told(&mut translator);
    assert!(translator.is_idle());
}

/// A pipeline makes the statement and the portal without names anew before the first answer comes.
#[test]
fn answers_are_of_what_a_name_meant_when_it_was_asked() {
    let mut translator = translator();
    let bound = |text: &[u8]| message(frontend::BIND, &[b"\0\0".as_slice(), text].concat());
    let (binary, plain) = (bound(&[0, 0, 0, 0, 0, 1, 0, 1]), bound(&[0, 0, 0, 0, 0, 0]));
    let sent = [parse("", &[]), binary.clone(), execute(), parse("", &[]), plain.clone(), execute()].concat();
    assert_eq!(translator.send(&sent), sent.len());
    let expected = [parse("", &[]), binary, describe(b'P', ""), execute(), parse("", &[]), plain, execute()];
    assert_eq!(wire(&mut translator), expected.concat());
    let done = message(backend::COMMAND_COMPLETE, b"SELECT 1\0");
    let begun = [complete(backend::PARSE_COMPLETE), complete(backend::BIND_COMPLETE)].concat();
    translator.received(&[begun.clone(), columns(20_002, 1), row(&moods(20_001)), done.clone()].concat());
    translator.received(&[begun.clone(), row(&moods(20_001)), done.clone()].concat());
    let expected =
        [begun.clone(), row(&moods(30_001)), done.clone(), begun, row(&moods(20_001)), done].concat();
    assert_eq!(told(&mut translator), expected);
}
