//! One client of the admin database: its socket, and when it ends.

use super::Admin;
use super::command::Command;
use super::control::{self, Notices};
use super::conversation::{Conversation, Step};
use crate::error::SqlError;
use crate::frontend::ClientHandle;
use crate::net::stream::Stream;
use crate::protocol::frame::{self, HEADER_LEN};
use crate::sqlstate;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::io::AsyncWriteExt;

/// Longest message taken, in bytes; commands are short.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Bytes kept of what a client sends while its command is still waiting.
const AHEAD_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;

/// Answers are sent when they are this long, in bytes.
const FLUSH_BYTES: usize = 64 * 1024;

/// Why a client's loop ended.
enum End {
    /// It said goodbye, or is simply gone.
    Gone,
    /// It is told this.
    Told(SqlError),
}

impl From<SqlError> for End {
    fn from(error: SqlError) -> Self {
        End::Told(error)
    }
}

struct Client {
    admin: Arc<Admin>,
    stream: Stream,
    handle: Arc<ClientHandle>,
    input: Vec<u8>,
    out: Vec<u8>,
    conversation: Conversation,
}

/// Serves a client that was told everything up to ReadyForQuery, until it leaves.
pub async fn serve(admin: Arc<Admin>, stream: Stream, read_ahead: Vec<u8>, handle: Arc<ClientHandle>) {
    let mut client = Client {
        admin,
        stream,
        handle,
        input: read_ahead,
        out: Vec::new(),
        conversation: Conversation::default(),
    };
    if let Err(End::Told(error)) = client.run().await {
        let error = SqlError { severity: crate::error::Severity::Fatal, ..error };
        crate::protocol::write::error_response(&mut client.out, &error);
        client.stream.close_with(&client.out).await;
    }
}

fn shutting_down() -> End {
    End::Told(SqlError::fatal(
        sqlstate::ADMIN_SHUTDOWN,
        "terminating connection due to administrator command",
    ))
}

impl Client {
    async fn run(&mut self) -> Result<(), End> {
        loop {
            self.process_input().await?;
            self.flush().await?;
            self.read().await?;
        }
    }

    /// Answers the whole messages that are there.
    async fn process_input(&mut self) -> Result<(), End> {
        while let Some(length) = self.next_frame()? {
            let frame: Vec<u8> = self.input.drain(..length).collect();
            let kind = frame.first().copied().unwrap_or_default();
            let body = frame.get(HEADER_LEN..).unwrap_or_default();
            let mut step = self.conversation.message(kind, body, &self.admin, &mut self.out)?;
            while let Step::Run(command) = step {
                let outcome = self.carry_out(&command).await?;
                step = self.conversation.finished(&command, outcome, &self.admin, &mut self.out);
            }
            if matches!(step, Step::End) {
                return Err(End::Gone);
            }
            if self.out.len() >= FLUSH_BYTES {
                self.flush().await?;
            }
        }
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        Ok(())
    }

    /// The length of the whole message that the input starts with, if it does.
    fn next_frame(&self) -> Result<Option<usize>, SqlError> {
        let header = frame::header(&self.input).map_err(|bad| SqlError::protocol(bad.to_string()))?;
        let Some(header) = header else { return Ok(None) };
        let limit = self.admin.service.limits.load().message_size_max.min(MESSAGE_BYTES_MAX);
        if header.frame_len > limit {
            return Err(SqlError::protocol(format!(
                "message of type 0x{:02X} has {} bytes: the admin database takes at most {limit}",
                header.tag, header.frame_len
            )));
        }
        Ok((self.input.len() >= header.frame_len).then_some(header.frame_len))
    }

    /// Sends the answers; a client that never reads is ended by a kill.
    async fn flush(&mut self) -> Result<(), End> {
        let Client { stream, out, handle, .. } = self;
        let sent = async {
            stream.write_all(out).await?;
            stream.flush().await
        };
        tokio::select! {
            // A killed client that does read is told its answers first, then its end.
            biased;
            sent = sent => sent.map_err(|_gone| End::Gone)?,
            () = handle.killed() => return Err(End::Gone),
        }
        *out = Vec::new();
        Ok(())
    }

    /// Waits for input, and for what ends an idle client.
    async fn read(&mut self) -> Result<(), End> {
        let service = &self.admin.service;
        // Enrolled before the flag is looked at; told again and again while the process ends.
        let drain = service.drain.notified();
        if service.draining.load(Ordering::SeqCst) {
            return Err(shutting_down());
        }
        tokio::select! {
            read = self.stream.read_more(&mut self.input) => match read {
                Ok(0) | Err(_) => Err(End::Gone),
                Ok(_) => Ok(()),
            },
            () = self.handle.killed() => Err(shutting_down()),
            () = drain => Err(shutting_down()),
        }
    }

    /// Runs a command that does more than look.
    async fn carry_out(&mut self, command: &Command) -> Result<Result<Notices, SqlError>, End> {
        let admin = Arc::clone(&self.admin);
        let done = |outcome: Result<(), SqlError>| outcome.map(|()| Notices::new());
        Ok(match command {
            Command::Reload => control::reload(&admin).await,
            Command::Pause(name) => return self.pause(name.as_deref()).await,
            Command::Resume(name) => done(control::resume(&admin, name.as_deref())),
            Command::Reconnect(name) => done(control::reconnect(&admin, name.as_deref())),
            Command::Kill(victim) => control::kill(&admin, victim).await,
            Command::Shutdown => {
                tracing::info!(user = %self.handle.user, "told to shut down");
                admin.service.stop.notify_one();
                Ok(Notices::new())
            }
            _ => Err(SqlError::new(sqlstate::INTERNAL_ERROR, "an answer was taken for a command")),
        })
    }

    /// Pauses, and waits until server connections are free. A client that leaves, is killed or cancels
    /// before that undoes it.
    async fn pause(&mut self, name: Option<&str>) -> Result<Result<Notices, SqlError>, End> {
        let admin = Arc::clone(&self.admin);
        if let Err(error) = control::begin_pause(&admin, name) {
            return Ok(Err(error));
        }
        self.flush().await?;
        let outcome = self.wait_released(name).await;
        match outcome {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => {
                // It may have been resumed by somebody else meanwhile.
                let _was_paused = admin.service.directory.set_paused(name, false);
            }
        }
        outcome
    }

    async fn wait_released(&mut self, name: Option<&str>) -> Result<Result<Notices, SqlError>, End> {
        let admin = Arc::clone(&self.admin);
        let handle = Arc::clone(&self.handle);
        let mut released = std::pin::pin!(control::released(&admin, name));
        let mut cancelled = std::pin::pin!(handle.cancel_requested());
        loop {
            let may_read = self.input.len() < AHEAD_BYTES_MAX;
            tokio::select! {
                () = &mut released => return Ok(Ok(Notices::new())),
                () = &mut cancelled => {
                    let message = "canceling statement due to user request";
                    return Ok(Err(SqlError::new(sqlstate::QUERY_CANCELED, message)));
                }
                () = handle.killed() => return Err(shutting_down()),
                () = admin.service.drain.notified() => return Err(shutting_down()),
                read = self.stream.read_more(&mut self.input), if may_read => match read {
                    Ok(0) | Err(_) => return Err(End::Gone),
                    Ok(_) => {}
                },
            }
        }
    }
}
