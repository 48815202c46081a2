//! The messages of the extended protocol, one by one.

use super::super::Admin;
use super::super::command::{Command, parse};
use super::super::table::{Formats, write_columns, write_row};
use super::{Conversation, Portal, columns, malformed, rows, tag};
use crate::error::SqlError;
use crate::protocol::read::Reader;
use crate::protocol::{backend, write};
use crate::sqlstate;

/// Prepared statements, and portals, that one client may have.
const NAMES_MAX: usize = 1000;

impl Conversation {
    pub(super) fn parse(&mut self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), SqlError> {
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

    pub(super) fn bind(&mut self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), SqlError> {
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

    pub(super) fn describe(&mut self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), SqlError> {
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
    pub(super) fn execute(
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

    pub(super) fn close(&mut self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), SqlError> {
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
