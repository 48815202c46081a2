//! Errors of a server: what they undo, and how the client is told of them.

use super::backend::{OutOfStep, Verdict};
use super::expected::{Audience, Kind, OnError};
use super::server_state::{Copy, ServerState};
use super::settings::Change;
use super::statements::{NAME_PREFIX, Undo, Unnamed};
use super::{Session, Shared};
use crate::protocol::{backend, read, write};

impl Session {
    pub(super) fn error_response(
        &mut self,
        body: &[u8],
        server: &mut ServerState,
        shared: &Shared,
        to_client: &mut Vec<u8>,
    ) -> Result<Verdict, OutOfStep> {
        server.copy = Copy::None;
        self.know_custom_settings(server, shared);
        if self.is_stale_plan(body) {
            self.note_stale();
        }
        let Some(entry) = server.expected.front_mut() else {
            // Not an answer: the server is about to end the connection, and says why. That is for the client whose
            // connection it is, and not for one that happens to have it.
            server.is_ending = true;
            server.failed = !self.pins.is_empty();
            return Ok(if server.failed { Verdict::Forward } else { Verdict::Swallow });
        };
        server.failed = true;
        let on_error = entry.on_error.take();
        let (kind, audience) = (entry.kind, entry.audience);
        let verdict = match kind {
            Kind::Query | Kind::FunctionCall | Kind::Sync if audience == Audience::Howdah => Verdict::Swallow,
            Kind::Query | Kind::FunctionCall | Kind::Sync => Verdict::Forward,
            _ => self.skip_to_sync(server),
        };
        if verdict == Verdict::Swallow {
            server.own_error = Some(body.into());
            return Ok(verdict);
        }
        match on_error {
            None => Ok(Verdict::Forward),
            Some(OnError::Preceding) => {
                let code = read::error_field(body, b'C');
                let is_missing = matches!(code, Some(b"26000" | b"25P02"));
                let Some(preceding) = server.own_error.take().filter(|_| is_missing) else {
                    return Ok(Verdict::Forward);
                };
                write::message(to_client, backend::ERROR_RESPONSE, |b| b.extend_from_slice(&preceding));
                Ok(Verdict::Swallow)
            }
            Some(OnError::Replace(error)) => {
                write::error_response(to_client, &error);
                Ok(Verdict::Swallow)
            }
            Some(OnError::Rename(to)) => {
                rewrite_error(body, to_client, |kind, value, out| {
                    if kind == b'M' { rename(value, &to, out) } else { out.extend_from_slice(value) }
                });
                Ok(Verdict::Swallow)
            }
            Some(OnError::Shift(added)) => {
                rewrite_error(body, to_client, |kind, value, out| {
                    if kind == b'P' { shift(value, &added, out) } else { out.extend_from_slice(value) }
                });
                Ok(Verdict::Swallow)
            }
        }
    }

    /// Of a statement that failed: it may have called set_config before.
    fn know_custom_settings(&mut self, server: &mut ServerState, shared: &Shared) {
        let outcomes = server.expected.front().and_then(|entry| entry.outcomes.as_ref());
        let Some(outcome) = outcomes.and_then(|outcomes| outcomes.list.get(outcomes.done)) else { return };
        let names: Vec<Box<str>> = outcome.custom_settings().map(Into::into).collect();
        for name in names {
            self.apply_setting(&Change::Know { name }, server, shared);
        }
    }

    fn is_stale_plan(&self, body: &[u8]) -> bool {
        read::error_field(body, b'C') == Some(b"0A000")
            && read::error_field(body, b'R') == Some(b"RevalidateCachedQuery")
    }

    /// After an error in the extended protocol the server ignores everything up to Sync: what the
    /// ignored messages would have done is undone, last first. Whether the client is told.
    fn skip_to_sync(&mut self, server: &mut ServerState) -> Verdict {
        let sync = server.expected.iter().position(|entry| entry.kind == Kind::Sync);
        let skipped = server.expected.pop_many(sync.unwrap_or(server.expected.len()));
        // What fails of Howdah's own fails the message of the client's that needed it.
        let failed = skipped.iter().position(|entry| entry.audience == Audience::Client);
        let mut unnamed = None;
        for (place, entry) in skipped.into_iter().enumerate().rev() {
            let Some(undo) = entry.undo else { continue };
            match *undo {
                Undo::Unnamed { before, server } => {
                    // A Parse of the unnamed statement that fails drops the one before.
                    let before = before.filter(|_| failed != Some(place));
                    unnamed = Some((before, if place == 0 { 0 } else { server }));
                }
                undo => self.undo(undo, server),
            }
        }
        if let Some((before, id)) = unnamed {
            self.unnamed_was(before, id, server);
        }
        match server.expected.front_mut() {
            Some(sync) if failed.is_some() => sync.audience = Audience::Client,
            Some(sync) => return sync.verdict(),
            None => server.skipping = true,
        }
        Verdict::Forward
    }

    /// The unnamed statement was this, up to what was sent since and not skipped.
    fn unnamed_was(&mut self, was: Option<Unnamed>, id: u64, server: &mut ServerState) {
        let next = server.expected.iter_mut().find_map(|entry| match entry.undo.as_deref_mut() {
            Some(Undo::Unnamed { before, server }) => Some((before, server)),
            _ => None,
        });
        match next {
            Some((before, server_id)) => (*before, *server_id) = (was, id),
            None => (self.unnamed, server.unnamed) = (was, id),
        }
    }

    fn undo(&mut self, undo: Undo, server: &mut ServerState) {
        match undo {
            Undo::Statement { name, before, prepared } => {
                if let Some(id) = prepared {
                    server.prepared.remove(id);
                }
                match before {
                    Some(statement) => {
                        self.names().statements.insert(name, statement);
                    }
                    None => {
                        self.names().statements.remove(&name);
                    }
                }
            }
            Undo::Prepared(id) => server.prepared.remove(id),
            Undo::Closed { id, name } => server.prepared.insert(id, &name),
            Undo::NamedClosed { id, name } => {
                server.named.insert(name, id);
            }
            Undo::Named(name) => {
                server.named.remove(&name);
            }
            Undo::SequenceOwner(id) => server.sequence_owner = id,
            Undo::Portal(name) => {
                let is_made_anew = server.expected.iter().any(
                    |entry| matches!(entry.undo.as_deref(), Some(Undo::Portal(later)) if *later == name),
                );
                if let Some(names) = self.names.as_mut().filter(|_| !is_made_anew) {
                    names.portals.remove(&name);
                }
            }
            // Where it is not the whole of what is undone, its order matters.
            Undo::Unnamed { .. } => {}
        }
    }
}

/// Copies an error's fields, each as `field` writes it.
fn rewrite_error(body: &[u8], out: &mut Vec<u8>, field: impl Fn(u8, &[u8], &mut Vec<u8>)) {
    write::message(out, backend::ERROR_RESPONSE, |b| {
        let mut reader = read::Reader::new(body);
        while let Ok(kind) = reader.u8() {
            if kind == 0 {
                break;
            }
            let Ok(value) = reader.cstr() else { break };
            b.push(kind);
            field(kind, value, b);
            b.push(0);
        }
        b.push(0);
    });
}

/// Whether an ErrorResponse says that the statement was cancelled.
pub fn is_cancellation(body: &[u8]) -> bool {
    read::error_field(body, b'C') == Some(crate::sqlstate::QUERY_CANCELED.as_str().as_bytes())
}

/// Writes the ErrorResponse of a cancelled statement as Postgres words it for `statement_timeout`.
pub fn timeout_error(body: &[u8], out: &mut Vec<u8>) {
    rewrite_error(body, out, |kind, value, out| match kind {
        b'M' => out.extend_from_slice(b"canceling statement due to statement timeout"),
        _ => out.extend_from_slice(value),
    });
}

/// Puts the client's name of a prepared statement where the server's stands.
fn rename(message: &[u8], to: &[u8], out: &mut Vec<u8>) {
    let Some(at) = memchr::memmem::find(message, NAME_PREFIX) else {
        out.extend_from_slice(message);
        return;
    };
    out.extend_from_slice(message.get(..at).unwrap_or_default());
    out.extend_from_slice(to);
    let rest = message.get(at + NAME_PREFIX.len()..).unwrap_or_default();
    let len = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    out.extend_from_slice(rest.get(len..).unwrap_or_default());
}

/// An error's position in the text that the client sent.
fn shift(position: &[u8], added: &[(usize, usize)], out: &mut Vec<u8>) {
    let Some(position) = std::str::from_utf8(position).ok().and_then(|text| text.parse::<usize>().ok())
    else {
        out.extend_from_slice(position);
        return;
    };
    let before: usize = added.iter().filter(|(at, _)| *at < position).map(|(_, len)| len).sum();
    out.extend_from_slice(position.saturating_sub(before).to_string().as_bytes());
}
