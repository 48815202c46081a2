//! The error a client is told: SQLSTATE, message, detail, hint.
//!
//! Modules with richer errors convert into [`SqlError`] at the boundary to the session; nothing else
//! turns an error into an `ErrorResponse`.

use crate::sqlstate::{self, SqlState};
use std::borrow::Cow;

/// How bad an error is for the connection it is told on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed; the session goes on.
    Error,
    /// The session ends after the message.
    Fatal,
}

/// An error in the words of the Postgres protocol, answered by Howdah itself.
///
/// `message` is lower case without a full stop; it names no host and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (SQLSTATE {code})")]
pub struct SqlError {
    /// Whether the session survives.
    pub severity: Severity,
    /// Five-character code.
    pub code: SqlState,
    /// What was found, and what is allowed.
    pub message: Cow<'static, str>,
    /// More of it.
    pub detail: Option<Cow<'static, str>>,
    /// What the user can do.
    pub hint: Option<Cow<'static, str>>,
    /// Character position in the statement, from 1.
    pub position: Option<u32>,
}

impl SqlError {
    /// An `ERROR` with no detail or hint.
    pub fn new(code: SqlState, message: impl Into<Cow<'static, str>>) -> Self {
        SqlError {
            severity: Severity::Error,
            code,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
        }
    }

    /// A `FATAL` with no detail or hint.
    pub fn fatal(code: SqlState, message: impl Into<Cow<'static, str>>) -> Self {
        SqlError { severity: Severity::Fatal, ..SqlError::new(code, message) }
    }

    /// `08P01`, which ends the connection.
    pub fn protocol(message: impl Into<Cow<'static, str>>) -> Self {
        SqlError::fatal(sqlstate::PROTOCOL_VIOLATION, message)
    }

    /// `0A000`: a statement that is refused.
    pub fn refused(message: impl Into<Cow<'static, str>>, hint: impl Into<Cow<'static, str>>) -> Self {
        SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).with_hint(hint)
    }

    /// Adds a detail line.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a hint line.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the character position (from 1) in the statement's text.
    #[must_use]
    pub fn with_position(mut self, position: u32) -> Self {
        self.position = Some(position);
        self
    }
}
