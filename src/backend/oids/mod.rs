//! Between a shard and everybody above: messages in the home shard's OIDs become messages in the shard's, and back.
//!
//! Type OIDs stand in Parse, ParameterDescription, RowDescription and inside binary values; they have a fixed
//! length and are rewritten in place. What a binary value is made of is known from the statement's description:
//! where nobody has asked for it on this connection, this does, and keeps the answer to itself.
//!
//! Only connections whose shard has other OIDs than the home shard have one of these.

mod receive;
mod send;
mod slot;

pub use slot::OidSlot;

use crate::catalog::OidMap;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

/// Columns of a row whose binary values name types: each one's place, and its type's OID on the shard.
type Rewritten = Arc<[(usize, u32)]>;

/// The state of one connection's translation.
#[derive(Debug)]
pub(super) struct Translator {
    map: Arc<OidMap>,
    statements: HashMap<Box<[u8]>, Arc<Described>>,
    portals: HashMap<Box<[u8]>, Portal>,
    owed: VecDeque<Owed>,
    /// The server ignores what is sent up to Sync.
    is_skipping: bool,
    /// A message waits for a description that was asked for.
    is_asking: bool,
    /// Translated bytes for the server, of which `sent` are sent.
    pub(super) wire: Vec<u8>,
    pub(super) sent: usize,
    /// Bytes of a message for the server that are passed on as they come.
    passing_out: usize,
    /// What came from the server and is no whole message yet.
    partial: Vec<u8>,
    /// Bytes of a message from the server that are passed on as they come.
    passing_in: usize,
    /// Translated bytes from the server, of which `told` are told.
    ready: Vec<u8>,
    told: usize,
    /// Of the rows that a simple query gives.
    query_rows: Option<Rewritten>,
}

/// What is known of a prepared statement. A name may mean another by the time that the server's answer comes.
#[derive(Debug, Default)]
struct Described {
    /// Its parameters' types in clients' OIDs, once the server told them.
    parameters: OnceLock<Box<[u32]>>,
    /// Its columns' types in the shard's OIDs, once the server told them.
    columns: OnceLock<Box<[u32]>>,
}

/// A bound statement.
#[derive(Clone, Debug, Default)]
struct Portal {
    statement: Option<Arc<Described>>,
    /// Empty: not known yet.
    rewritten: Arc<OnceLock<Rewritten>>,
}

/// What the server owes, as far as that matters here.
#[derive(Debug)]
enum Owed {
    /// ParseComplete, BindComplete, CloseComplete.
    Completion,
    Statement {
        described: Arc<Described>,
        is_own: bool,
    },
    Portal {
        portal: Portal,
        is_own: bool,
    },
    Execute(Arc<OnceLock<Rewritten>>),
    Query,
    Sync,
}

impl Translator {
    pub(super) fn new(map: Arc<OidMap>) -> Translator {
        Translator {
            map,
            statements: HashMap::new(),
            portals: HashMap::new(),
            owed: VecDeque::new(),
            is_skipping: false,
            is_asking: false,
            wire: Vec::new(),
            sent: 0,
            passing_out: 0,
            partial: Vec::new(),
            passing_in: 0,
            ready: Vec::new(),
            told: 0,
            query_rows: None,
        }
    }

    /// Whether nothing is kept that was not passed on.
    pub(super) fn is_idle(&self) -> bool {
        self.wire.is_empty() && self.partial.is_empty() && self.ready.is_empty() && self.owed.is_empty()
    }

    /// The columns that are to be rewritten, of columns of these types and formats.
    fn rewritten(&self, columns: &[u32], format: impl Fn(usize) -> i16) -> Rewritten {
        let is_rewritten = |(at, oid): &(usize, u32)| format(*at) == 1 && self.map.names_types_to_home(*oid);
        columns.iter().copied().enumerate().filter(is_rewritten).collect()
    }
}

/// The format of a value by a message's list of codes.
fn format_of(formats: &[i16], at: usize) -> i16 {
    match formats {
        [] => 0,
        [one] => *one,
        many => many.get(at).copied().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests;
