//! Several statements in one simple-protocol message that need several shards: one after the other.

use super::super::client::{Client, End};
use super::block::{Block, Command};
use super::local::{explain_description, explain_rows};
use super::scatter::{Ask, Describe};
use super::simple::{Aimed, Target};
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::protocol::read::error_field;
use crate::protocol::{TransactionStatus, backend, frontend, write};
use crate::session::expected::{Expected, Kind as Owed};
use crate::sql::Kind;
use crate::sql::scan::Statement as Scanned;
use crate::sql::transaction::{Modes, TransactionCommand, begin_tag, parse_transaction};
use crate::sqlstate;

/// Longest text before a statement that is made up for, in bytes: so that errors give the place in the whole message.
const PADDING_MAX: usize = 64 * 1024;

impl Client {
    /// Runs the statements of a message step by step, each planned when its turn comes.
    pub(super) async fn run_several(&mut self, sql: &[u8], statements: &[Scanned]) -> Result<(), End> {
        let scs = self.session.parameters().standard_conforming_strings();
        if self.is_outside() && self.has_syntax_error(sql).await? {
            return self.end_of_steps().await;
        }
        self.begin_steps()?;
        if statements.is_empty() {
            write::message(&mut self.out, backend::EMPTY_QUERY_RESPONSE, |_| ());
        }
        let mut failed = false;
        for statement in statements {
            failed = match self.aim(statement.text(sql), statement, scs) {
                Ok(one) => self.run_statement(sql, statement, one).await?,
                Err(error) if self.session.status() == TransactionStatus::Failed => {
                    // Postgres says first that the block has failed.
                    let _not_told = error;
                    let shard = self.current_or_home()?;
                    self.send_statement(sql, statement, shard).await?
                }
                Err(error) => self.fail_step(error).await?,
            };
            if failed {
                break;
            }
            if self.is_outside() {
                // A block ended among the statements: those behind it are in a transaction of their own.
                self.open_implicit()?;
            }
        }
        self.end_implicit(!failed).await?;
        self.end_of_steps().await
    }

    /// Whether the message has a syntax error, as the client was told: Postgres reads all of it before it
    /// runs the first statement. (In an open block it cannot be asked without failing the block: there the
    /// statements before the error are answered first.)
    async fn has_syntax_error(&mut self, sql: &[u8]) -> Result<bool, End> {
        let shard = self.current_or_home()?;
        if self.begin_step(shard).await? {
            return Ok(true);
        }
        let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) else {
            return Ok(false);
        };
        connection.state.own_error = None;
        connection.state.unnamed = 0;
        connection.state.expected.push_back(Expected::own(Owed::Parse));
        connection.state.expected.push_back(Expected::own(Owed::Sync));
        write::parse(&mut connection.out, b"", sql, &[0, 0]);
        write::sync(&mut connection.out);
        self.wait_quiet_keeping().await?;
        let connection = self.lease.as_mut().and_then(|lease| lease.connection());
        let Some(body) = connection.and_then(|connection| connection.state.own_error.take()) else {
            return Ok(false);
        };
        // More than one statement is all that is wrong with a message that can be read.
        if error_field(&body, b'R') == Some(b"exec_parse_message") {
            return Ok(false);
        }
        write::message(&mut self.out, backend::ERROR_RESPONSE, |b| b.extend_from_slice(&body));
        Ok(true)
    }

    /// Runs one of the statements; whether it failed, as the client was told.
    async fn run_statement(&mut self, sql: &[u8], statement: &Scanned, one: Aimed) -> Result<bool, End> {
        let scs = self.session.parameters().standard_conforming_strings();
        if let Some(warning) = &one.warning {
            self.warn(warning);
        }
        match one.command {
            Command::Begin if self.session.status() == TransactionStatus::Idle => {
                return self.begin_among(statement.text(sql), &one.modes).await;
            }
            Command::Prepare if self.is_implicit() => return self.fail_step(prepare_without_block()).await,
            Command::Everywhere
                if self.is_implicit()
                    && let Some(command) = needs_block(statement.text(sql), scs) =>
            {
                return self.fail_step(block_needed(command)).await;
            }
            Command::End { is_commit, chains } => return self.end_among(is_commit, chains).await,
            Command::Prepare => return self.prepare_among(sql, statement).await,
            Command::Everywhere => {
                return self.everywhere_among(sql, statement, &one).await;
            }
            Command::Begin | Command::Plain | Command::Refused => {}
        }
        if one.is_local_setting {
            return self.everywhere_among(sql, statement, &one).await;
        }
        match one.target {
            Target::Any => {
                let shard = self.current_or_home()?;
                self.send_statement(sql, statement, shard).await
            }
            Target::Shard(shard) => {
                if one.writes
                    && let Err(error) = self.note_write(shard)?
                {
                    return self.fail_step(error).await;
                }
                self.send_statement(sql, statement, shard).await
            }
            Target::Scatter(scatter) => {
                let Some(text) = padded(sql, statement) else { return self.fail_step(too_long()).await };
                let outcome = self.scatter(&Ask::Query(text.into()), &scatter, Describe::Yes).await?;
                self.finish_scatter(outcome, frontend::QUERY)
            }
            Target::Explain(rows) => {
                explain_description(&mut self.out);
                explain_rows(&mut self.out, &rows);
                Ok(false)
            }
        }
    }

    /// Sends one statement to a shard and waits for its answers; whether it failed.
    async fn send_statement(&mut self, sql: &[u8], statement: &Scanned, shard: ShardId) -> Result<bool, End> {
        if statement.kind == Kind::CopyFromStdin {
            return self.fail_step(copy_among()).await;
        }
        let Some(text) = padded(sql, statement) else { return self.fail_step(too_long()).await };
        if self.begin_step(shard).await? {
            return Ok(true);
        }
        let mut query = Vec::new();
        write::query(&mut query, &text);
        self.forward_bytes(&query)?;
        if let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection())
            && let Some(entry) = connection.state.expected.back_mut()
        {
            entry.hides_ready = true;
        }
        self.await_step().await
    }

    /// BEGIN among other statements: those before it are in the block, too.
    pub(super) async fn begin_among(&mut self, text: &[u8], modes: &Modes) -> Result<bool, End> {
        let has_joined = self.routed()?.block.as_ref().is_some_and(super::block::Block::has_joined);
        if has_joined {
            if *modes != Modes::default() {
                let error = SqlError::refused(
                    "BEGIN with transaction modes behind other statements in one message is not supported yet with several shards",
                    "Send BEGIN first, or alone.",
                );
                return self.fail_step(error).await;
            }
            if let Some(block) = &mut self.routed()?.block {
                block.is_implicit = false;
            }
            self.session.set_status(TransactionStatus::InBlock);
        } else {
            self.open_block(text, modes)?;
        }
        write::command_complete(&mut self.out, begin_tag(text));
        Ok(false)
    }

    /// COMMIT or ROLLBACK among other statements, of an open block or of what they share without one.
    pub(super) async fn end_among(&mut self, is_commit: bool, chains: bool) -> Result<bool, End> {
        if self.is_implicit() {
            if chains {
                let command = if is_commit { "COMMIT AND CHAIN" } else { "ROLLBACK AND CHAIN" };
                return self.fail_step(block_needed(command)).await;
            }
            // As Postgres: it warns, and does it.
            self.warn(&SqlError::new(
                sqlstate::NO_ACTIVE_SQL_TRANSACTION,
                "there is no transaction in progress",
            ));
        }
        let next = self.routed()?.block.as_ref().filter(|_| chains).map(Block::chained);
        let is_commit = is_commit && self.session.status() != TransactionStatus::Failed;
        let failed = self.end_on_shards(is_commit).await?;
        let next = next.filter(|_| !failed);
        let status = if next.is_some() { TransactionStatus::InBlock } else { TransactionStatus::Idle };
        self.session.set_status(status);
        self.routed()?.block = next;
        self.routed()?.portals.clear();
        self.release_parked();
        if !failed {
            write::command_complete(&mut self.out, if is_commit { "COMMIT" } else { "ROLLBACK" });
        }
        Ok(failed)
    }

    /// PREPARE TRANSACTION among other statements.
    async fn prepare_among(&mut self, sql: &[u8], statement: &Scanned) -> Result<bool, End> {
        if self.session.status() == TransactionStatus::Failed {
            return self.end_among(false, false).await;
        }
        let home = match self.may_prepare()? {
            Ok(home) => home,
            Err(error) => return self.fail_step(error).await,
        };
        let failed = self.send_statement(sql, statement, home).await?;
        self.end_prepared()?;
        Ok(failed)
    }

    /// Behind PREPARE TRANSACTION: the block is over, also where that failed.
    pub(super) fn end_prepared(&mut self) -> Result<(), End> {
        let connection = self.lease.as_mut().and_then(|lease| lease.connection());
        if connection.is_some_and(|connection| connection.state.status == TransactionStatus::Idle) {
            self.session.set_status(TransactionStatus::Idle);
            self.routed()?.block = None;
            self.routed()?.portals.clear();
            self.release_parked();
        }
        Ok(())
    }

    /// A statement that every shard of the block must run.
    async fn everywhere_among(&mut self, sql: &[u8], statement: &Scanned, one: &Aimed) -> Result<bool, End> {
        if let Err(error) = self.note_modes(&one.modes)? {
            return self.fail_step(error).await;
        }
        let shard = self.current_or_home()?;
        if self.send_statement(sql, statement, shard).await? {
            return Ok(true);
        }
        if self.session.status() == TransactionStatus::Failed {
            // ROLLBACK TO made the block whole again.
            self.session.set_status(TransactionStatus::InBlock);
        }
        self.run_on_parked(statement.text(sql)).await?;
        Ok(self.session.status() == TransactionStatus::Failed)
    }

    /// Hands bytes that are a message to the session, for the server in use.
    fn forward_bytes(&mut self, message: &[u8]) -> Result<(), SqlError> {
        let start = self.input.len();
        self.input.extend_from_slice(message);
        let end = self.input.len();
        let result = self.forward(start..end);
        self.input.truncate(start);
        // Nothing is owed that it could wait for.
        result.map(|taken| debug_assert_eq!(taken, end))
    }
}

/// A statement's text with blanks before it, as many characters as stand before it in the message; `None`
/// where those are too many.
fn padded(sql: &[u8], statement: &Scanned) -> Option<Vec<u8>> {
    let before = sql.get(..statement.start)?;
    if before.len() > PADDING_MAX {
        return None;
    }
    let characters = before.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    let mut text = vec![b' '; characters];
    text.extend_from_slice(statement.text(sql));
    Some(text)
}

fn too_long() -> SqlError {
    SqlError::refused(
        "a message of this length whose statements need several shards is not supported",
        "Send the statements one by one.",
    )
}

pub(super) fn copy_among() -> SqlError {
    SqlError::refused(
        "COPY FROM STDIN together with statements of other shards in one message or pipeline is not supported",
        "Send COPY alone.",
    )
}

pub(super) fn prepare_without_block() -> SqlError {
    SqlError::refused(
        "PREPARE TRANSACTION outside a transaction block, together with other statements in one message, is not supported with several shards",
        "Send the statements behind BEGIN.",
    )
}

/// The name of a command that Postgres refuses outside a transaction block, also where statements share one that
/// nobody began.
pub(super) fn needs_block(text: &[u8], scs: bool) -> Option<&'static str> {
    match parse_transaction(text, scs)? {
        TransactionCommand::Savepoint(_) => Some("SAVEPOINT"),
        TransactionCommand::Release(_) => Some("RELEASE SAVEPOINT"),
        TransactionCommand::RollbackTo(_) => Some("ROLLBACK TO SAVEPOINT"),
        _ => None,
    }
}

/// Postgres's own error.
pub(super) fn block_needed(command: &str) -> SqlError {
    SqlError::new(
        sqlstate::NO_ACTIVE_SQL_TRANSACTION,
        format!("{command} can only be used in transaction blocks"),
    )
}
