//! The body of a DO, as far as it is plain: migrations wrap a definition so that it may exist already.
//!
//! Owns which statements such a body runs. What is more than SQL statements, conditions and handlers (variables,
//! loops, EXECUTE, a change of the session) is not read, and whoever asks has to take it for the unknown.
//!
//! Source: PostgreSQL manual, "PL/pgSQL", sections "Structure" and "Conditionals".

use super::lexer::{Lexer, Token, TokenKind};
use super::literal::decode_string;

/// The statements of SQL that `statement`, a DO in PL/pgSQL, may run, each as a text of its own: a condition or a
/// PERFORM as the SELECT that it stands for. `None` where not all of it is read.
pub fn statements_of_do(statement: &[u8], standard_conforming_strings: bool) -> Option<Vec<Vec<u8>>> {
    let body = body(statement, standard_conforming_strings)?;
    let tokens = significant(&body, standard_conforming_strings);
    let mut reader = Reader { sql: &body, rest: &tokens, found: Vec::new() };
    reader.block()?;
    reader.eat_kind(TokenKind::Semicolon);
    reader.rest.is_empty().then_some(reader.found)
}

/// The text of the body; none in another language.
fn body(statement: &[u8], scs: bool) -> Option<Vec<u8>> {
    let tokens = significant(statement, scs);
    let (first, mut rest) = tokens.split_first()?;
    if !first.is_word(statement, b"do") {
        return None;
    }
    let mut body = None;
    loop {
        rest = match rest {
            [] => return body,
            [end] if end.kind == TokenKind::Semicolon => return body,
            [language, name, rest @ ..] if language.is_word(statement, b"language") => {
                let is_plpgsql = [&b"plpgsql"[..], b"'plpgsql'", b"\"plpgsql\""]
                    .iter()
                    .any(|known| name.text(statement).eq_ignore_ascii_case(known));
                is_plpgsql.then_some(rest)?
            }
            [text, rest @ ..] if text.kind.is_string() && text.kind != TokenKind::UnicodeString => {
                let decoded = decode_string(text.text(statement), text.kind).into_owned();
                if body.replace(decoded).is_some() {
                    return None;
                }
                rest
            }
            _ => return None,
        }
    }
}

fn significant(sql: &[u8], scs: bool) -> Vec<Token> {
    let mut lexer = Lexer::new(sql, scs);
    std::iter::from_fn(|| lexer.next_significant()).collect()
}

/// What ends a list of statements.
const ENDS: [&[u8]; 5] = [b"end", b"exception", b"else", b"elsif", b"elseif"];

/// Statements of SQL that mean in a body what they mean alone.
const COMMANDS: [&[u8]; 10] = [
    b"create",
    b"alter",
    b"drop",
    b"comment",
    b"insert",
    b"update",
    b"delete",
    b"truncate",
    b"grant",
    b"revoke",
];

/// Words that change the session, or hide a body in the body.
const UNREAD: [&[u8]; 4] = [b"set_config", b"pg_settings", b"atomic", b"into"];

struct Reader<'a> {
    sql: &'a [u8],
    rest: &'a [Token],
    found: Vec<Vec<u8>>,
}

impl<'a> Reader<'a> {
    fn is_word(&self, word: &[u8]) -> bool {
        self.rest.first().is_some_and(|token| token.is_word(self.sql, word))
    }

    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn eat(&mut self, word: &[u8]) -> bool {
        let is_next = self.is_word(word);
        if is_next {
            self.next();
        }
        is_next
    }

    fn eat_kind(&mut self, kind: TokenKind) -> bool {
        let is_next = self.rest.first().is_some_and(|token| token.kind == kind);
        if is_next {
            self.next();
        }
        is_next
    }

    fn expect(&mut self, word: &[u8]) -> Option<()> {
        self.eat(word).then_some(())
    }

    fn semicolon(&mut self) -> Option<()> {
        self.eat_kind(TokenKind::Semicolon).then_some(())
    }

    /// BEGIN statements [EXCEPTION handlers] END.
    fn block(&mut self) -> Option<()> {
        self.expect(b"begin")?;
        self.statements()?;
        if self.eat(b"exception") {
            while self.eat(b"when") {
                self.text_up_to(b"then")?;
                while !self.is_word(b"when") && !self.is_word(b"end") {
                    self.statement()?;
                }
            }
        }
        self.expect(b"end")
    }

    fn statements(&mut self) -> Option<()> {
        while !ENDS.iter().any(|end| self.is_word(end)) {
            self.statement()?;
        }
        Some(())
    }

    fn statement(&mut self) -> Option<()> {
        if self.is_word(b"begin") {
            self.block()?;
            return self.semicolon();
        }
        if self.eat(b"if") {
            return self.condition();
        }
        if self.eat(b"null") {
            return self.semicolon();
        }
        if self.eat(b"raise") {
            if self.rest.first().is_some_and(|token| token.kind == TokenKind::Word) {
                self.next();
            }
            let format = self.next()?;
            return if format.kind.is_string() { self.semicolon() } else { None };
        }
        if self.eat(b"perform") {
            let value = self.text_up_to_semicolon()?;
            self.found.push([b"SELECT ", value].concat());
            return Some(());
        }
        if !COMMANDS.iter().any(|command| self.is_word(command)) {
            return None;
        }
        let text = self.text_up_to_semicolon()?;
        self.found.push(text.to_vec());
        Some(())
    }

    /// Behind IF.
    fn condition(&mut self) -> Option<()> {
        loop {
            let condition = self.text_up_to(b"then")?;
            self.found.push([b"SELECT ", condition].concat());
            self.statements()?;
            if !self.eat(b"elsif") && !self.eat(b"elseif") {
                break;
            }
        }
        if self.eat(b"else") {
            self.statements()?;
        }
        self.expect(b"end")?;
        self.expect(b"if")?;
        self.semicolon()
    }

    fn text_up_to_semicolon(&mut self) -> Option<&'a [u8]> {
        self.text_up_to_where(|token, _| token.kind == TokenKind::Semicolon)
    }

    fn text_up_to(&mut self, word: &[u8]) -> Option<&'a [u8]> {
        self.text_up_to_where(|token, sql| token.is_word(sql, word))
    }

    /// The text before the first token outside parentheses and CASE that ends it; that token is passed.
    fn text_up_to_where(&mut self, is_end: impl Fn(&Token, &[u8]) -> bool) -> Option<&'a [u8]> {
        let start = self.rest.first()?.start;
        let (mut depth, mut cases) = (0u32, 0u32);
        loop {
            let token = self.next()?;
            if depth == 0 && cases == 0 && is_end(token, self.sql) {
                return self.sql.get(start..token.start);
            }
            match token.kind {
                TokenKind::ParenOpen => depth += 1,
                TokenKind::ParenClose => depth = depth.checked_sub(1)?,
                TokenKind::Word if token.is_word(self.sql, b"case") => cases += 1,
                TokenKind::Word if cases > 0 && token.is_word(self.sql, b"end") => cases -= 1,
                TokenKind::Word if self.is_unread(token) => return None,
                TokenKind::Semicolon | TokenKind::UnicodeIdent | TokenKind::Param => return None,
                kind if kind.is_error() => return None,
                _ => {}
            }
        }
    }

    /// INTO is read in INSERT alone, where it is the first word behind.
    fn is_unread(&self, token: &Token) -> bool {
        let text = token.text(self.sql);
        let is_insert = || {
            let before = self.sql.get(..token.start).unwrap_or_default().trim_ascii_end();
            before.len() >= 6
                && before.get(before.len() - 6..).is_some_and(|w| w.eq_ignore_ascii_case(b"insert"))
        };
        UNREAD.iter().any(|word| text.eq_ignore_ascii_case(word))
            && !(text.eq_ignore_ascii_case(b"into") && is_insert())
    }
}

#[cfg(test)]
mod tests {
    fn read(sql: &str) -> Option<Vec<String>> {
        let list = super::statements_of_do(sql.as_bytes(), true)?;
        Some(list.into_iter().map(|text| String::from_utf8(text).unwrap()).collect())
    }

    #[test]
    fn plain_bodies_are_read() {
        let orm = "DO 'BEGIN CREATE TYPE \"e\" AS ENUM(''a'', ''b''); EXCEPTION WHEN duplicate_object THEN null; END';";
        assert_eq!(read(orm).unwrap(), ["CREATE TYPE \"e\" AS ENUM('a', 'b')"]);
        let migration = "do language plpgsql $$ begin
            -- a comment; with a semicolon
            if not exists (select 1 from pg_type where typname = 'x') and case when true then 1 else 2 end = 1 then
              create type x as enum ('a');
            elsif (select then_ from t) then null;
            else raise notice 'there'; perform f(1, 2);
            end if;
            begin insert into t values (1); exception when others then null; when unique_violation or sqlstate '23503' then
              drop table t; end;
            end $$";
        let found = read(migration).unwrap();
        let first = "SELECT not exists (select 1 from pg_type where typname = 'x') and case when true then 1 else 2 end = 1 ";
        assert_eq!(found[0], first);
        assert_eq!(
            found[1..],
            [
                "create type x as enum ('a')",
                "SELECT (select then_ from t) ",
                "SELECT f(1, 2)",
                "insert into t values (1)",
                "drop table t"
            ]
        );
        assert_eq!(read("do $$ begin end $$").unwrap(), [""; 0]);
    }

    #[test]
    fn others_are_not() {
        for body in [
            "declare x int; begin null; end",
            "begin execute 'drop table t'; end",
            "begin for i in 1..2 loop null; end loop; end",
            "begin perform set_config('search_path', 'x', false); end",
            "begin update pg_settings set setting = 'x'; end",
            "begin set search_path = x; end",
            "begin insert into t values (1) returning a into b; end",
            "begin select 1; end",
            "begin x := 1; end",
            "begin commit; end",
            "begin create function f() returns int begin atomic select 1; end; end",
            "begin create rule r as on insert to t do (select 1; select 2); end",
            "begin raise notice '%', f(); end",
            "begin null; end; drop table t",
            "begin null; end if;",
            "<<label>> begin null; end",
            "begin if true then null; end;",
            "begin perform U&\"\\0066\"(); end",
        ] {
            assert_eq!(read(&format!("do $do$ {body} $do$")), None, "{body}");
        }
        assert_eq!(read("do 'begin end' language plperl"), None);
        assert_eq!(read("do 'begin end' 'begin end'"), None);
        assert_eq!(read("do"), None);
    }
}
