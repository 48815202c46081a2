//! Any bytes as messages of a client and of a server: no panic, and cutting the server's bytes changes nothing.

use super::Input;
use howdah::protocol::frame;
use howdah::session::describe::HiddenState;
use howdah::session::params::Parameters;
use howdah::session::server_state::ServerState;
use howdah::session::take::Take;
use howdah::session::{Pooling, Session, Shared, Tools};
use std::sync::Arc;

/// What a client got, and whether the server was found to be out of step.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    bytes: Vec<u8>,
    /// The start of a message whose rest did not come.
    partial: Vec<u8>,
    refused: bool,
}

/// The input: frames of the client up to a byte 255, then the server's bytes.
pub fn run(input: &mut Input<'_>) {
    let Some(step) = input.next() else { return };
    let cut = input.0.iter().position(|byte| *byte == 255).unwrap_or(input.0.len());
    let (client, server) = input.0.split_at(cut);
    let server = server.get(1..).unwrap_or_default();
    let whole = exchange(client, server, usize::MAX);
    let pieces = exchange(client, server, usize::from(step) + 1);
    // A run that was cut may have been told before what follows was seen to be wrong.
    if whole.refused {
        assert!(pieces.refused);
    } else {
        assert!(!pieces.refused);
        // The start of a row may have been told.
        let with_start = [whole.bytes.as_slice(), whole.partial.as_slice()].concat();
        assert!(pieces.bytes == whole.bytes || pieces.bytes == with_start, "{whole:?}\n{pieces:?}");
    }
}

fn exchange(client: &[u8], server: &[u8], step: usize) -> Told {
    let shared = Shared::default();
    let hidden = HiddenState::default();
    let parameters = Arc::new(Parameters::default());
    let mut session = Session::new(1, 1, Pooling::Transaction, Arc::default(), Arc::clone(&parameters));
    let mut state = ServerState::new(parameters);
    let mut scanned = Default::default();
    let mut told = Told { bytes: Vec::new(), refused: false, partial: Vec::new() };
    let mut rest = client;
    while let Ok(Some(header)) = frame::header(rest) {
        let Some((message, after)) = rest.split_at_checked(header.frame_len) else { break };
        rest = after;
        let mut tools =
            Tools { shared: &shared, scanned: &mut scanned, hidden: &hidden, prepared_statements_max: 2 };
        if session.frontend(message, &mut state, &mut tools, &mut Vec::new()).is_err() {
            break;
        }
        if state.owes_synthetic() {
            Session::synthetic(&mut state, &mut told.bytes);
        }
    }
    let (mut partial, mut passing) = (Vec::new(), 0);
    for chunk in server.chunks(step) {
        // As `Client` does with a short start of a message: it goes before the next chunk.
        let chunk = if step % 2 == 0 {
            [std::mem::take(&mut partial).as_slice(), chunk].concat()
        } else {
            chunk.to_vec()
        };
        let mut take = Take {
            session: &mut session,
            shared: &shared,
            server: &mut state,
            partial: &mut partial,
            passing: &mut passing,
            out: &mut told.bytes,
        };
        match take.take(&chunk) {
            Ok(run) => told.bytes.extend_from_slice(run),
            Err(_) => {
                told.refused = true;
                break;
            }
        }
    }
    told.partial = partial;
    told
}
