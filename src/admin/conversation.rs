//! What a client's messages lead to: prepared statements, portals, transaction status, answers.
//!
//! Knows no socket. A command that does more than look is handed back as [`Step::Run`]; its outcome
//! comes in by [`Conversation::finished`].

use super::command::{Command, Constant, parse};
use super::table::{Column, Formats, Row, Value, int4, text, write_columns, write_row};
use super::{Admin, control::Notices, show};
use crate::error::{Severity, SqlError};
use crate::protocol::read::{Malformed, Reader};
use crate::protocol::{TransactionStatus, backend, frontend, write};
use crate::sqlstate;
use std::collections::{HashMap, VecDeque};

/// Prepared statements, and portals, that one client may have.
const NAMES_MAX: usize = 1000;

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// The message is answered.
    Next,
    /// Carry this out, and say how it went.
    Run(Command),
    /// The client said goodbye.
    End,
}

/// How a command is answered: the rest of a Query, or one portal.
#[derive(Debug)]
enum Pending {
    Query(VecDeque<Command>),
    Portal,
}

#[derive(Debug)]
struct Portal {
    command: Option<Command>,
    formats: Formats,
    /// What is left of the rows after a row limit; `None` before the first Execute.
    rows: Option<VecDeque<Row>>,
    is_done: bool,
}

/// The state of one client's session.
#[derive(Debug, Default)]
pub struct Conversation {
    statements: HashMap<Vec<u8>, Option<Command>>,
    portals: HashMap<Vec<u8>, Portal>,
    status: TransactionStatus,
    is_skipping: bool,
    pending: Option<Pending>,
}

fn malformed(_: Malformed) -> SqlError {
    SqlError::protocol("invalid message format")
}

/// The columns that a command's result has, if it has rows.
fn columns(command: &Command) -> Option<Vec<Column>> {
    match command {
        Command::Show(topic) => Some(show::columns(*topic).to_vec()),
        Command::Constant(Constant::Integer(_), _) => Some(vec![int4("?column?")]),
        Command::Constant(Constant::Text(name, _), _) => Some(vec![text(name)]),
        _ => None,
    }
}

/// The rows of a command that only looks, with its tag.
fn rows(command: &Command, admin: &Admin) -> Option<(Vec<Row>, &'static str)> {
    match command {
        Command::Show(topic) => Some((show::rows(*topic, admin), "SHOW")),
        Command::Constant(Constant::Integer(number), tag) => Some((vec![vec![(*number).into()]], tag)),
        Command::Constant(Constant::Text(_, value), tag) => Some((vec![vec![Value::from(*value)]], tag)),
        _ => None,
    }
}

/// The tag of a command without rows.
fn tag(command: &Command) -> &'static str {
    match command {
        Command::Show(_) | Command::Help => "SHOW",
        Command::Constant(_, tag) | Command::Accepted(tag) => tag,
        Command::Reload => "RELOAD",
        Command::Pause(_) => "PAUSE",
        Command::Resume(_) => "RESUME",
        Command::Reconnect(_) => "RECONNECT",
        Command::Kill(_) => "KILL",
        Command::Shutdown => "SHUTDOWN",
        Command::Begin => "BEGIN",
        Command::Commit => "COMMIT",
        Command::Rollback => "ROLLBACK",
    }
}

impl Conversation {
    /// Answers one whole message: its type and body.
    ///
    /// # Errors
    /// What ends the connection.
    pub fn message(
        &mut self,
        kind: u8,
        body: &[u8],
        admin: &Admin,
        out: &mut Vec<u8>,
    ) -> Result<Step, SqlError> {
        let mut reader = Reader::new(body);
        match kind {
            frontend::TERMINATE => return Ok(Step::End),
            frontend::SYNC => {
                self.is_skipping = false;
                self.ready(out);
                return Ok(Step::Next);
            }
            // As Postgres: what is left of a COPY that never was is ignored.
            frontend::COPY_DATA | frontend::COPY_DONE | frontend::COPY_FAIL | frontend::FLUSH => {
                return Ok(Step::Next);
            }
            _ if self.is_skipping && is_known(kind) => return Ok(Step::Next),
            _ => {}
        }
        let answered = match kind {
            frontend::QUERY => {
                let sql = reader.cstr().map_err(malformed)?;
                return self.query(sql, admin, out);
            }
            frontend::PARSE => self.parse(&mut reader, out),
            frontend::BIND => self.bind(&mut reader, out),
            frontend::DESCRIBE => self.describe(&mut reader, out),
            frontend::EXECUTE => match self.execute(&mut reader, admin, out) {
                Ok(Some(command)) => {
                    self.pending = Some(Pending::Portal);
                    return Ok(Step::Run(command));
                }
                other => other.map(|_| ()),
            },
            frontend::CLOSE => self.close(&mut reader, out),
            frontend::FUNCTION_CALL => {
                self.fail(&no_functions(), out);
                self.ready(out);
                return Ok(Step::Next);
            }
            _ => return Err(SqlError::protocol(format!("invalid frontend message type {kind}"))),
        };
        match answered {
            Ok(()) => Ok(Step::Next),
            Err(error) if error.severity == Severity::Fatal => Err(error),
            Err(error) => {
                self.fail(&error, out);
                self.is_skipping = true;
                Ok(Step::Next)
            }
        }
    }

    /// ReadyForQuery; portals live as long as their transaction.
    fn ready(&mut self, out: &mut Vec<u8>) {
        if self.status == TransactionStatus::Idle {
            self.portals.clear();
        }
        write::ready_for_query(out, self.status);
    }

    fn fail(&mut self, error: &SqlError, out: &mut Vec<u8>) {
        if self.status == TransactionStatus::InBlock {
            self.status = TransactionStatus::Failed;
        }
        write::error_response(out, error);
    }

    fn query(&mut self, sql: &[u8], admin: &Admin, out: &mut Vec<u8>) -> Result<Step, SqlError> {
        self.statements.remove(&b""[..]);
        self.portals.remove(&b""[..]);
        match parse(sql) {
            Ok(commands) if commands.is_empty() => {
                write::message(out, backend::EMPTY_QUERY_RESPONSE, |_| {});
                self.ready(out);
                Ok(Step::Next)
            }
            Ok(commands) => Ok(self.go_on(commands.into(), admin, out)),
            Err(error) => {
                self.fail(&error, out);
                self.ready(out);
                Ok(Step::Next)
            }
        }
    }

    /// Answers the commands of a Query up to one that has to be run.
    fn go_on(&mut self, mut commands: VecDeque<Command>, admin: &Admin, out: &mut Vec<u8>) -> Step {
        while let Some(command) = commands.pop_front() {
            if let Err(error) = self.check_block(&command) {
                self.fail(&error, out);
                break;
            }
            if let (Some(columns), Some((rows, tag))) = (columns(&command), rows(&command, admin)) {
                write_columns(out, &columns, &Formats::TEXT);
                rows.iter().for_each(|row| write_row(out, &columns, row, &Formats::TEXT));
                write::command_complete(out, tag);
            } else if !self.answer_alone(&command, out) {
                self.pending = Some(Pending::Query(commands));
                return Step::Run(command);
            }
        }
        self.ready(out);
        Step::Next
    }

    /// In a failed block only its end is accepted.
    fn check_block(&self, command: &Command) -> Result<(), SqlError> {
        if self.status == TransactionStatus::Failed && !matches!(command, Command::Commit | Command::Rollback)
        {
            return Err(SqlError::new(
                sqlstate::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    /// Answers a command without rows that changes nothing outside the session; whether it is one.
    fn answer_alone(&mut self, command: &Command, out: &mut Vec<u8>) -> bool {
        let before = self.status;
        let mut done = tag(command);
        match command {
            Command::Begin => {
                self.status = TransactionStatus::InBlock;
                if before == TransactionStatus::InBlock {
                    warn(out, sqlstate::ACTIVE_SQL_TRANSACTION, "there is already a transaction in progress");
                }
            }
            Command::Commit | Command::Rollback => {
                self.status = TransactionStatus::Idle;
                match before {
                    TransactionStatus::Failed => done = "ROLLBACK",
                    TransactionStatus::InBlock => {}
                    TransactionStatus::Idle => {
                        warn(out, sqlstate::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress")
                    }
                }
            }
            Command::Accepted(_) => {}
            Command::Help => {
                let help = SqlError::new(sqlstate::SUCCESSFUL_COMPLETION, "admin commands")
                    .with_detail(super::command::COMMANDS);
                write::notice_response(out, "NOTICE", &help);
            }
            _ => return false,
        }
        write::command_complete(out, done);
        true
    }

    /// Answers a command that [`Step::Run`] asked for, and goes on behind it.
    pub fn finished(
        &mut self,
        command: &Command,
        outcome: Result<Notices, SqlError>,
        admin: &Admin,
        out: &mut Vec<u8>,
    ) -> Step {
        let pending = self.pending.take();
        match outcome {
            Ok(notices) => {
                for notice in &notices {
                    let is_warning = notice.code == sqlstate::WARNING;
                    write::notice_response(out, if is_warning { "WARNING" } else { "NOTICE" }, notice);
                }
                write::command_complete(out, tag(command));
            }
            Err(error) => {
                self.fail(&error, out);
                return match pending {
                    Some(Pending::Query(_)) => {
                        self.ready(out);
                        Step::Next
                    }
                    Some(Pending::Portal) | None => {
                        self.is_skipping = true;
                        Step::Next
                    }
                };
            }
        }
        match pending {
            Some(Pending::Query(rest)) => self.go_on(rest, admin, out),
            Some(Pending::Portal) | None => Step::Next,
        }
    }
}

/// The extended protocol.
impl Conversation {
    fn parse(&mut self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let name = reader.cstr().map_err(malformed)?;
        let sql = reader.cstr().map_err(malformed)?;
        let types = reader.i16().map_err(malformed)?;
        let mut commands = parse(sql)?.into_iter();
        let (first, second) = (commands.next(), commands.next());
        if second.is_some() {
            return Err(SqlError::new(
                sqlstate::SYNTAX_ERROR,
                "cannot insert multiple commands into a prepared statement",
            ));
        }
        if types != 0 {
            return Err(SqlError::refused(
                "admin commands take no parameters",
                "Write the value into the command.",
            ));
        }
        if let Some(command) = &first {
            self.check_block(command)?;
        }
        if !name.is_empty() && self.statements.contains_key(name) {
            let name = String::from_utf8_lossy(name);
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(SqlError::new(sqlstate::DUPLICATE_PREPARED_STATEMENT, message));
        }
        check_room(self.statements.len(), "prepared statements")?;
        self.statements.insert(name.to_vec(), first);
        write::message(out, backend::PARSE_COMPLETE, |_| {});
        Ok(())
    }

    fn statement(&self, name: &[u8]) -> Result<&Option<Command>, SqlError> {
        self.statements.get(name).ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            let message = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{name}\" does not exist")
            };
            SqlError::new(sqlstate::INVALID_SQL_STATEMENT_NAME, message)
        })
    }

    fn bind(&mut self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let portal = reader.cstr().map_err(malformed)?;
        let statement = reader.cstr().map_err(malformed)?;
        read_codes(reader)?;
        let parameters = reader.i16().map_err(malformed)?;
        if parameters != 0 {
            return Err(SqlError::new(
                sqlstate::PROTOCOL_VIOLATION,
                format!("bind message supplies {parameters} parameters, but admin commands take none"),
            ));
        }
        let formats = read_codes(reader)?;
        let command = self.statement(statement)?.clone();
        let count = command.as_ref().and_then(columns).map_or(0, |columns| columns.len());
        if formats.len() > 1 && formats.len() != count {
            return Err(SqlError::new(
                sqlstate::PROTOCOL_VIOLATION,
                format!("bind message has {} result formats but query has {count} columns", formats.len()),
            ));
        }
        if let Some(command) = &command {
            self.check_block(command)?;
        }
        if !portal.is_empty() && self.portals.contains_key(portal) {
            let name = String::from_utf8_lossy(portal);
            let message = format!("cursor \"{name}\" already exists");
            return Err(SqlError::new(sqlstate::DUPLICATE_CURSOR, message));
        }
        check_room(self.portals.len(), "portals")?;
        self.portals.insert(portal.to_vec(), Portal { command, formats, rows: None, is_done: false });
        write::message(out, backend::BIND_COMPLETE, |_| {});
        Ok(())
    }

    fn describe(&mut self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let kind = reader.u8().map_err(malformed)?;
        let name = reader.cstr().map_err(malformed)?;
        let (command, formats) = match kind {
            b'S' => {
                let command = self.statement(name)?;
                write::message(out, backend::PARAMETER_DESCRIPTION, |b| b.extend_from_slice(&[0; 2]));
                (command, &Formats::TEXT)
            }
            b'P' => {
                let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
                (&portal.command, &portal.formats)
            }
            _ => return Err(SqlError::protocol(format!("invalid DESCRIBE message subtype {kind}"))),
        };
        match command.as_ref().and_then(columns) {
            Some(columns) => write_columns(out, &columns, formats),
            None => write::message(out, backend::NO_DATA, |_| {}),
        }
        Ok(())
    }

    /// Answers an Execute, or gives the command that is to be run for it.
    fn execute(
        &mut self,
        reader: &mut Reader<'_>,
        admin: &Admin,
        out: &mut Vec<u8>,
    ) -> Result<Option<Command>, SqlError> {
        let name = reader.cstr().map_err(malformed)?;
        let limit = reader.i32().map_err(malformed)?;
        let portal = self.portals.get_mut(name).ok_or_else(|| no_portal(name))?;
        let Some(command) = portal.command.clone() else {
            write::message(out, backend::EMPTY_QUERY_RESPONSE, |_| {});
            return Ok(None);
        };
        if let Some(columns) = columns(&command) {
            let tag = tag(&command);
            let left = portal.rows.get_or_insert_with(|| {
                rows(&command, admin).map(|(rows, _)| rows.into()).unwrap_or_default()
            });
            let most = usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
            let now = left.len().min(most);
            left.drain(..now).for_each(|row| write_row(out, &columns, &row, &portal.formats));
            // As Postgres: a limit that is just reached suspends, too.
            if now == most {
                write::message(out, backend::PORTAL_SUSPENDED, |_| {});
            } else {
                write::command_complete(out, tag);
            }
            return Ok(None);
        }
        if std::mem::replace(&mut portal.is_done, true) {
            let message = format!("portal \"{}\" cannot be run", String::from_utf8_lossy(name));
            return Err(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        self.check_block(&command)?;
        Ok(if self.answer_alone(&command, out) { None } else { Some(command) })
    }

    fn close(&mut self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let kind = reader.u8().map_err(malformed)?;
        let name = reader.cstr().map_err(malformed)?;
        match kind {
            b'S' => drop(self.statements.remove(name)),
            b'P' => drop(self.portals.remove(name)),
            _ => return Err(SqlError::protocol(format!("invalid CLOSE message subtype {kind}"))),
        }
        write::message(out, backend::CLOSE_COMPLETE, |_| {});
        Ok(())
    }
}

/// A count and as many format codes.
fn read_codes(reader: &mut Reader<'_>) -> Result<Formats, SqlError> {
    let count = reader.i16().map_err(malformed)?;
    let mut codes = Vec::new();
    for _ in 0..count {
        match reader.i16().map_err(malformed)? {
            0 => codes.push(false),
            1 => codes.push(true),
            other => {
                let message = format!("unsupported format code: {other}");
                return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
            }
        }
    }
    Ok(Formats::new(codes))
}

fn check_room(count: usize, what: &str) -> Result<(), SqlError> {
    if count < NAMES_MAX {
        return Ok(());
    }
    let message = format!("too many {what}: at most {NAMES_MAX} are kept for an admin client");
    Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message)
        .with_hint("Close those that are not needed."))
}

fn no_portal(name: &[u8]) -> SqlError {
    let message = format!("portal \"{}\" does not exist", String::from_utf8_lossy(name));
    SqlError::new(sqlstate::INVALID_CURSOR_NAME, message)
}

fn no_functions() -> SqlError {
    SqlError::refused("the admin database has no functions", "Send a command as a query.")
}

fn warn(out: &mut Vec<u8>, code: sqlstate::SqlState, message: &'static str) {
    write::notice_response(out, "WARNING", &SqlError::new(code, message));
}

/// Whether a message is one of those that are skipped up to Sync.
fn is_known(kind: u8) -> bool {
    matches!(
        kind,
        frontend::QUERY
            | frontend::PARSE
            | frontend::BIND
            | frontend::DESCRIBE
            | frontend::EXECUTE
            | frontend::CLOSE
            | frontend::FUNCTION_CALL
    )
}
