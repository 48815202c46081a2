//! A client's session and one server connection, message by message.

use super::expected::{Expected, Kind};
use super::server_state::ServerState;
use super::take::Take;
use super::{Pins, Pooling, Session, Shared};
use crate::error::SqlError;
use crate::protocol::{TransactionStatus, write};
use crate::sqlstate;
use std::sync::Arc;

/// What the client is told of these bytes of a server.
fn told(session: &mut Session, server: &mut ServerState, chunk: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let shared = Shared::default();
    let (partial, passing) = (&mut Vec::new(), &mut 0);
    let run = Take { session, shared: &shared, server, partial, passing, out: &mut out }.take(chunk).unwrap();
    [out.as_slice(), run].concat()
}

#[test]
fn an_error_that_answers_nothing_is_for_the_client_whose_connection_it_is() {
    for pooling in [Pooling::Transaction, Pooling::Session] {
        let mut session = Session::new(1, 1, pooling, Arc::default(), Arc::default());
        let mut server = ServerState::new(Arc::default());
        server.expected.push_back(Expected::client(Kind::Query));
        let mut answer = Vec::new();
        write::command_complete(&mut answer, "SELECT 0");
        write::ready_for_query(&mut answer, TransactionStatus::Idle);
        let mut chunk = answer.clone();
        let farewell = SqlError::fatal(sqlstate::ADMIN_SHUTDOWN, "terminating connection");
        write::error_response(&mut chunk, &farewell);
        let is_own = session.pins() == Pins::SESSION;
        assert_eq!(told(&mut session, &mut server, &chunk), if is_own { chunk } else { answer });
        assert_eq!(server.failed, is_own, "whoever has the connection next is told why it was lost");
        assert!(!server.is_clean(), "nobody is to have it");
    }
}
