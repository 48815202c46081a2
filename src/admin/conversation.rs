//! What a client's messages lead to: prepared statements, portals, transaction status, answers.
//!
//! Knows no socket. A command that does more than look is handed back as [`Step::Run`]; its outcome
//! comes in by [`Conversation::finished`].

mod extended;

use super::command::{Command, Constant, parse};
use super::table::{Column, Formats, Row, Value, int4, text, write_columns, write_row};
use super::{Admin, control::Notices, show};
use crate::error::{Severity, SqlError};
use crate::protocol::read::{Malformed, Reader};
use crate::protocol::{TransactionStatus, backend, frontend, write};
use crate::sqlstate;
use std::collections::{HashMap, VecDeque};

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
