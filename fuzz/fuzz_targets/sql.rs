//! SQL text, whatever its bytes: tokens, statements, templates, settings, names, transactions, trees.
#![no_main]

use howdah::sql::lexer::{Lexer, TokenKind};
use howdah::sql::template::{Template, literal_value, template};
use howdah::sql::{Statements, literal, names, parse, prepared, scan, settings, transaction};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The first byte's parity says whether backslashes are plain: capital and small letters of seeds differ in it.
    let Some((first, sql)) = bytes.split_first() else { return };
    let conforming = first % 2 == 0;
    tokens(sql, conforming);
    statements(sql, conforming);
});

/// Tokens are in order, apart, not empty, and hold every byte that is not white space.
fn tokens(sql: &[u8], conforming: bool) {
    let mut at = 0;
    for token in Lexer::new(sql, conforming) {
        assert!(
            at <= token.start && token.start < token.end && token.end <= sql.len(),
            "{token:?} behind {at}"
        );
        assert!(is_space(&sql[at..token.start]), "bytes before {token:?} are in no token");
        at = token.end;
        let text = token.text(sql);
        if token.kind.is_string() {
            let value = literal::decode_string(text, token.kind);
            if token.kind == TokenKind::String && conforming {
                let quoted = settings::quote_literal(&value);
                let again = Lexer::new(&quoted, true).next().expect("a literal is a token");
                assert_eq!(again.end, quoted.len(), "a quoted value is one token");
                assert_eq!(literal::decode_string(again.text(&quoted), again.kind), value);
            }
        }
        if matches!(token.kind, TokenKind::QuotedIdent | TokenKind::Word) {
            let name = names::decode_identifier(text, token.kind);
            let quoted = settings::quote_identifier(&name);
            let again = Lexer::new(&quoted, conforming).next().expect("a name is a token");
            assert_eq!(again.end, quoted.len(), "a quoted name is one token");
            assert_eq!(names::decode_identifier(again.text(&quoted), again.kind), name);
        }
    }
    assert!(is_space(&sql[at..]), "bytes at the end are in no token");
}

fn is_space(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c))
}

fn statements(sql: &[u8], conforming: bool) {
    let mut found = Statements::new();
    scan(sql, conforming, &mut found);
    let mut at = 0;
    for statement in &found {
        assert!(at <= statement.start && statement.start < statement.end && statement.end <= sql.len());
        at = statement.end;
        let text = statement.text(sql);
        templates(text, conforming);
        let _tree = parse::check(text, conforming);
        let _command = prepared::parse_prepared(text, statement.kind, conforming);
        let _command = transaction::parse_transaction(text, conforming);
        let _calls = settings::parse_set_config(text, conforming);
        let _command = settings::parse_setting(text, conforming);
    }
}

/// A template is the same each time, and its literals are tokens of the text.
fn templates(sql: &[u8], conforming: bool) {
    let (mut first, mut second) = (Template::default(), Template::default());
    template(sql, conforming, &mut first);
    template(sql, conforming, &mut second);
    assert_eq!(first, second);
    let mut at = 0;
    for lifted in &first.literals {
        assert!(at <= lifted.start && lifted.start < lifted.end && lifted.end <= sql.len());
        at = lifted.end;
        let _value = literal_value(sql, lifted);
    }
    let marks = first.normalised.iter().filter(|byte| **byte == 1).count();
    assert!(marks >= first.literals.len(), "each lifted literal leaves a mark");
}
