//! The queue of replies that a server connection owes.
//!
//! Every message sent to a server that is answered has one entry, in order. Entries for messages that
//! Howdah answers itself stand in the same queue, so that their answers come in their turn.

use super::outcome::Outcome;
use super::statements::{Statement, Undo};
use std::sync::Arc;

/// What an entry waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Everything up to ReadyForQuery.
    Query,
    /// FunctionCallResponse and ReadyForQuery.
    FunctionCall,
    /// ParseComplete.
    Parse,
    /// BindComplete.
    Bind,
    /// ParameterDescription, then RowDescription or NoData.
    DescribeStatement,
    /// RowDescription or NoData.
    DescribePortal,
    /// Rows, then CommandComplete, EmptyQueryResponse or PortalSuspended; or a COPY.
    Execute,
    /// CloseComplete.
    Close,
    /// ReadyForQuery.
    Sync,
    /// Nothing: ParseComplete is told by Howdah in its turn.
    ParseDone,
    /// Nothing: CloseComplete is told by Howdah in its turn.
    CloseDone,
    /// Nothing: the client's CopyDone or CopyFail, which ends a COPY FROM STDIN that was not yet
    /// answered when it was sent.
    CopyEnd,
    /// Nothing at all: a Sync that the server ignored during a COPY, or a CopyEnd whose COPY has begun.
    Nothing,
}

/// Who is told the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The client asked, and is told.
    Client,
    /// Howdah asked; nothing of it but an error reaches the client.
    Howdah,
}

/// What an ErrorResponse to this entry is turned into.
#[derive(Debug)]
pub enum OnError {
    /// In its message, the server's name of a prepared statement becomes this one, the client's.
    Rename(Box<[u8]>),
    /// Text was added to the client's: for each piece its place and its length, in characters.
    Shift(Vec<(usize, usize)>),
    /// Where the statement is missing because what prepares it anew on this server has failed: that error.
    Preceding,
    /// The message was sent only to make the transaction fail: this is the error to tell.
    Replace(Box<crate::error::SqlError>),
}

/// One reply owed.
#[derive(Debug)]
pub struct Expected {
    /// What ends it.
    pub kind: Kind,
    /// Who is told.
    pub audience: Audience,
    /// What its success does to the session; for a Query one outcome per statement.
    pub outcomes: Option<Box<Outcomes>>,
    /// What its failure, or its being skipped after an earlier error, undoes.
    pub undo: Option<Box<Undo>>,
    /// What its error is turned into.
    pub on_error: Option<OnError>,
    /// The statement whose columns the reply tells, to be compared.
    pub columns_of: Option<Arc<Statement>>,
    /// Its ReadyForQuery is not for the client: it ends a step of something longer.
    pub hides_ready: bool,
}

impl Expected {
    /// A client's message with nothing special about it.
    pub fn client(kind: Kind) -> Self {
        Expected {
            kind,
            audience: Audience::Client,
            outcomes: None,
            undo: None,
            on_error: None,
            columns_of: None,
            hides_ready: false,
        }
    }

    /// Whether what the server says now is for the client.
    pub fn is_shown(&self) -> bool {
        self.audience == Audience::Client
            && self.outcomes.as_ref().is_none_or(|outcomes| !outcomes.hidden.contains(&outcomes.done))
    }

    /// A Sync of Howdah's own behind messages of the client's, whose errors the client is told.
    pub fn end_of_step() -> Self {
        Expected { hides_ready: true, ..Expected::client(Kind::Sync) }
    }

    /// A message of Howdah's own.
    pub fn own(kind: Kind) -> Self {
        Expected { audience: Audience::Howdah, ..Expected::client(kind) }
    }
}

/// What the statements of one message do to the session when they succeed.
#[derive(Debug)]
pub struct Outcomes {
    /// One per statement, in order.
    pub list: Vec<Outcome>,
    /// How many have completed.
    pub done: usize,
    /// Which statements Howdah added: their CommandComplete is not told.
    pub hidden: Vec<usize>,
    /// What names and settings are is known only when the answer has come.
    pub decides: bool,
    /// The schema may change.
    pub redefines: bool,
}

impl Outcomes {
    /// Of these statements, of which those at the places `hidden` are Howdah's own.
    pub fn new(list: Vec<Outcome>, hidden: Vec<usize>) -> Self {
        Outcomes {
            decides: list.iter().any(Outcome::decides),
            redefines: list.iter().any(|outcome| matches!(outcome, Outcome::SchemaChange { .. })),
            list,
            done: 0,
            hidden,
        }
    }

    /// Of one statement.
    pub fn one(outcome: Outcome) -> Box<Self> {
        Box::new(Outcomes::new(vec![outcome], Vec::new()))
    }
}
