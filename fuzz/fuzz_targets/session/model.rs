//! A server as far as its order of answers goes: transactions, prepared statements, portals, COPY, errors.
//!
//! Source: PostgreSQL 15, `src/backend/tcop/postgres.c`.

use super::setting::Setting;
use howdah::error::SqlError;
use howdah::protocol::read::Reader;
use howdah::protocol::{TransactionStatus, backend, frame, frontend, write};
use howdah::sqlstate::SqlState;
use std::collections::HashMap;

/// Rows of every SELECT.
const ROWS: u8 = 3;

/// A session on Postgres.
#[derive(Default)]
pub struct Server {
    status: TransactionStatus,
    statements: HashMap<Vec<u8>, String>,
    portals: HashMap<Vec<u8>, Portal>,
    skipping: bool,
    copying: Option<Copying>,
    setting: Setting,
    /// What it has said, and not sent.
    unsent: Vec<u8>,
    /// It ended the connection.
    pub is_lost: bool,
}

struct Portal {
    sql: String,
    /// What its rows are of, as of Bind; empty where it gives none.
    described: String,
    told: u8,
    done: bool,
}

/// A COPY FROM STDIN: of a Query, with its statements to come, or of an Execute.
enum Copying {
    Query(Vec<String>),
    Execute,
}

type Answer = Result<(), SqlError>;

fn error(code: &[u8; 5], text: String) -> Answer {
    Err(failure(code, text))
}

fn failure(code: &[u8; 5], text: String) -> SqlError {
    SqlError::new(SqlState(*code), text)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn is_exit(sql: &str) -> bool {
    sql.starts_with("commit") || sql.starts_with("rollback")
}

impl Server {
    /// With the value that the setting starts with.
    pub fn new(setting: u8) -> Self {
        Server { setting: Setting::new(setting), ..Server::default() }
    }

    /// Answers one message. Like Postgres it sends what it has said only where it has to.
    pub fn run(&mut self, frame: &[u8], out: &mut Vec<u8>) {
        let heeds_flush = !self.skipping && self.copying.is_none();
        let mut said = Vec::new();
        self.answer(frame, &mut said);
        let is_sent = (frame[0] == frontend::FLUSH && heeds_flush) || makes_send(&said);
        self.unsent.append(&mut said);
        if is_sent {
            self.send(out);
        }
    }

    /// Sends what it has said.
    pub fn send(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.unsent);
    }

    fn answer(&mut self, frame: &[u8], out: &mut Vec<u8>) {
        let (tag, body) = (frame[0], &frame[5..]);
        if self.is_lost {
            return;
        }
        if self.copying.is_some() {
            return self.during_copy(tag, out);
        }
        if self.skipping && tag != frontend::SYNC {
            return;
        }
        match tag {
            frontend::QUERY => {
                self.statements.remove(b"".as_slice());
                let sql = text(body.strip_suffix(&[0]).unwrap_or(body));
                let mut list: Vec<String> =
                    sql.split(';').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect();
                if list.iter().any(|one| one == "bad" || one == "howdah_refused") {
                    list = vec!["bad".to_owned()];
                } else if list.is_empty() {
                    write::message(out, backend::EMPTY_QUERY_RESPONSE, |_| ());
                }
                self.query(list, out);
            }
            frontend::SYNC => {
                self.skipping = false;
                self.end_implicit();
                write::ready_for_query(out, self.status);
            }
            frontend::FLUSH | frontend::COPY_DATA | frontend::COPY_DONE | frontend::COPY_FAIL => {}
            _ => {
                let answer = self.extended(tag, body, out);
                self.extended_failed(answer, out);
            }
        }
    }

    fn extended_failed(&mut self, answer: Answer, out: &mut Vec<u8>) {
        if let Err(error) = answer {
            write::error_response(out, &error);
            self.skipping = true;
            self.fail();
        }
    }

    fn end_implicit(&mut self) {
        if self.status == TransactionStatus::Idle {
            self.portals.clear();
            self.setting.commit();
        }
    }

    fn fail(&mut self) {
        if self.status == TransactionStatus::InBlock {
            self.status = TransactionStatus::Failed;
        }
        self.setting.roll_back();
        self.end_implicit();
    }

    fn query(&mut self, list: Vec<String>, out: &mut Vec<u8>) {
        let mut list = list.into_iter();
        while let Some(sql) = list.next() {
            let answer = self.allowed(&sql).and_then(|()| {
                if sql == "bad" {
                    return Err(failure(b"42601", "syntax error".to_owned()));
                }
                // It runs in the unnamed portal.
                self.portals.remove(b"".as_slice());
                let sql = self.resolve(&sql)?;
                if sql.starts_with("copy t from") {
                    write::message(out, backend::COPY_IN_RESPONSE, |body| body.extend_from_slice(&[0, 0, 0]));
                    return Ok(true);
                }
                if sql.starts_with("select") {
                    write::row_description(out, &[(sql.as_str(), 23, 4)]);
                    rows(&self.shown(&sql), 0, ROWS, out);
                }
                self.execute(&sql, ROWS, out).map(|()| false)
            });
            match answer {
                Ok(false) => {}
                Ok(true) => {
                    self.copying = Some(Copying::Query(list.collect()));
                    return;
                }
                Err(error) => {
                    write::error_response(out, &error);
                    self.fail();
                    break;
                }
            }
        }
        self.end_implicit();
        write::ready_for_query(out, self.status);
    }

    fn during_copy(&mut self, tag: u8, out: &mut Vec<u8>) {
        let failure = match tag {
            frontend::COPY_DATA | frontend::FLUSH | frontend::SYNC => return,
            frontend::COPY_DONE => None,
            frontend::COPY_FAIL => Some(failure(b"57014", "COPY from stdin failed: no".to_owned())),
            _ => {
                self.is_lost = true;
                return;
            }
        };
        let copying = self.copying.take();
        match (failure, copying) {
            (None, Some(Copying::Query(rest))) => {
                write::command_complete(out, "COPY 1");
                self.query(rest, out);
            }
            (None, _) => write::command_complete(out, "COPY 1"),
            (Some(error), Some(Copying::Query(_))) => {
                write::error_response(out, &error);
                self.fail();
                write::ready_for_query(out, self.status);
            }
            (Some(error), _) => self.extended_failed(Err(error), out),
        }
    }

    fn allowed(&self, sql: &str) -> Answer {
        if self.status == TransactionStatus::Failed && !is_exit(sql) {
            return error(b"25P02", "current transaction is aborted".to_owned());
        }
        Ok(())
    }

    /// The statement that runs: of EXECUTE the prepared one.
    fn resolve(&self, sql: &str) -> Result<String, SqlError> {
        let Some(name) = sql.strip_prefix("execute ") else { return Ok(sql.to_owned()) };
        self.statements.get(name.as_bytes()).cloned().ok_or_else(|| missing(name))
    }

    /// What the rows of a statement say: of one, the setting's value.
    fn shown(&self, sql: &str) -> String {
        if sql == "select x" { format!("x is {}", self.setting.now) } else { sql.to_owned() }
    }

    /// Runs a statement but for its rows.
    fn execute(&mut self, sql: &str, row_count: u8, out: &mut Vec<u8>) -> Answer {
        let words: Vec<&str> = sql.split(' ').collect();
        let tag = match words.as_slice() {
            ["select", "fail()"] => return error(b"22000", "it failed".to_owned()),
            ["select", ..] => format!("SELECT {row_count}"),
            // Of a statement without text.
            [""] => "EXECUTE".to_owned(),
            ["begin"] => {
                self.status = TransactionStatus::InBlock;
                "BEGIN".to_owned()
            }
            ["commit" | "rollback"] => {
                let failed = self.status == TransactionStatus::Failed;
                self.status = TransactionStatus::Idle;
                self.portals.clear();
                if words == ["rollback"] {
                    self.setting.roll_back();
                }
                self.setting.commit();
                if failed || words == ["rollback"] { "ROLLBACK" } else { "COMMIT" }.to_owned()
            }
            ["copy", "t", "to", ..] => {
                write::message(out, backend::COPY_OUT_RESPONSE, |body| body.extend_from_slice(&[0, 0, 0]));
                write::message(out, backend::COPY_DATA, |body| body.extend_from_slice(b"1\n"));
                write::message(out, backend::COPY_DONE, |_| ());
                "COPY 1".to_owned()
            }
            ["prepare", name, "as", prepared @ ..] => {
                self.store(name.as_bytes(), &prepared.join(" "))?;
                "PREPARE".to_owned()
            }
            ["deallocate", "all"] => {
                self.statements.retain(|name, _| name.is_empty());
                "DEALLOCATE ALL".to_owned()
            }
            ["deallocate", name] => {
                self.statements.remove(name.as_bytes()).ok_or_else(|| missing(name))?;
                "DEALLOCATE".to_owned()
            }
            _ => {
                self.setting.run(sql);
                words[0].to_uppercase()
            }
        };
        write::command_complete(out, &tag);
        Ok(())
    }

    fn store(&mut self, name: &[u8], sql: &str) -> Answer {
        if !name.is_empty() && self.statements.contains_key(name) {
            let text = format!("prepared statement \"{}\" already exists", text(name));
            return error(b"42P05", text);
        }
        self.statements.insert(name.to_owned(), sql.to_owned());
        Ok(())
    }

    fn extended(&mut self, tag: u8, body: &[u8], out: &mut Vec<u8>) -> Answer {
        let mut reader = Reader::new(body);
        let mut name = || reader.cstr().map(<[u8]>::to_owned).expect("whole messages are sent");
        match tag {
            frontend::PARSE => {
                let (name, sql) = (name(), text(&name()));
                self.parse(&name, &sql)?;
                write::message(out, backend::PARSE_COMPLETE, |_| ());
            }
            frontend::BIND => {
                let (portal, name) = (name(), name());
                let found = self.statements.get(&name).cloned();
                let sql = found.ok_or_else(|| missing(&text(&name)))?;
                self.allowed(&sql)?;
                if !portal.is_empty() && self.portals.contains_key(&portal) {
                    return error(b"42P03", "the portal exists".to_owned());
                }
                let described = self.resolve(&sql).unwrap_or_default();
                self.portals.insert(portal, Portal { sql, described, told: 0, done: false });
                write::message(out, backend::BIND_COMPLETE, |_| ());
            }
            frontend::DESCRIBE => {
                let target = name();
                let (kind, name) = target.split_first().expect("a kind");
                let (sql, described) = if *kind == b'S' {
                    let sql = self.statements.get(name).cloned().ok_or_else(|| missing(&text(name)))?;
                    let described = self.resolve(&sql).unwrap_or_default();
                    (sql, described)
                } else {
                    let portal = self.portals.get(name).ok_or_else(|| missing_portal(name))?;
                    (portal.sql.clone(), portal.described.clone())
                };
                if described.starts_with("select") {
                    self.allowed(&sql)?;
                }
                if *kind == b'S' {
                    write::message(out, backend::PARAMETER_DESCRIPTION, |body| {
                        body.extend_from_slice(&[0, 0]);
                    });
                }
                if described.starts_with("select") {
                    write::row_description(out, &[(described.as_str(), 23, 4)]);
                } else {
                    write::message(out, backend::NO_DATA, |_| ());
                }
            }
            frontend::CLOSE => {
                let target = name();
                let (kind, name) = target.split_first().expect("a kind");
                if *kind == b'S' {
                    self.statements.remove(name);
                } else {
                    self.portals.remove(name);
                }
                write::message(out, backend::CLOSE_COMPLETE, |_| ());
            }
            _ => {
                let portal = name();
                self.run_portal(&portal, body.last().copied().unwrap_or(0), out)?;
            }
        }
        Ok(())
    }

    fn parse(&mut self, name: &[u8], sql: &str) -> Answer {
        if name.is_empty() {
            self.statements.remove(name);
        }
        if sql == "bad" || sql.contains(';') {
            return error(b"42601", "syntax error".to_owned());
        }
        if !sql.is_empty() {
            self.allowed(sql)?;
        }
        self.store(name, sql)
    }

    fn run_portal(&mut self, name: &[u8], row_limit: u8, out: &mut Vec<u8>) -> Answer {
        let Some(portal) = self.portals.get(name) else { return Err(missing_portal(name)) };
        let (sql, told, done) = (portal.sql.clone(), portal.told, portal.done);
        if sql.is_empty() {
            write::message(out, backend::EMPTY_QUERY_RESPONSE, |_| ());
            return Ok(());
        }
        self.allowed(&sql)?;
        if done {
            return error(b"55000", "the portal was run".to_owned());
        }
        let is_rows = portal.described.starts_with("select");
        let row_sql = self.resolve(&sql)?;
        let row_count = if row_limit == 0 { ROWS - told } else { row_limit.min(ROWS - told) };
        let is_suspended = is_rows && row_limit > 0 && told + row_count < ROWS && sql != "select fail()";
        if let Some(portal) = self.portals.get_mut(name) {
            portal.told += row_count;
            portal.done = !is_suspended;
        }
        if row_sql.starts_with("copy t from") {
            write::message(out, backend::COPY_IN_RESPONSE, |body| body.extend_from_slice(&[0, 0, 0]));
            self.copying = Some(Copying::Execute);
            return Ok(());
        }
        if is_rows {
            rows(&self.shown(&row_sql), told, row_count, out);
        }
        if is_suspended {
            write::message(out, backend::PORTAL_SUSPENDED, |_| ());
            return Ok(());
        }
        self.execute(&row_sql, row_count, out)
    }
}

/// Whether Postgres sends what it has said when these messages are among it.
fn makes_send(mut said: &[u8]) -> bool {
    while let Ok(Some(header)) = frame::header(said) {
        if matches!(
            header.tag,
            backend::ERROR_RESPONSE | backend::READY_FOR_QUERY | backend::COPY_IN_RESPONSE
        ) {
            return true;
        }
        said = &said[header.frame_len..];
    }
    false
}

/// Rows that say which statement they are of.
fn rows(sql: &str, from: u8, count: u8, out: &mut Vec<u8>) {
    for row in from..from + count {
        write::data_row(out, &[Some(sql.as_bytes()), Some(&[b'0' + row])]);
    }
}

fn missing(name: &str) -> SqlError {
    failure(b"26000", format!("prepared statement \"{name}\" does not exist"))
}

fn missing_portal(name: &[u8]) -> SqlError {
    failure(b"34000", format!("portal \"{}\" does not exist", text(name)))
}
