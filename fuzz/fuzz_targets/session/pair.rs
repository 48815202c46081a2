//! Clients by way of Howdah's session on a shared server connection, and each alone with a server of its own.

use super::Input;
use super::model::Server;
use howdah::protocol::{TransactionStatus, frame, frontend, write};
use howdah::session::describe::HiddenState;
use howdah::session::expected::{Expected, Kind};
use howdah::session::params::Parameters;
use howdah::session::server_state::ServerState;
use howdah::session::settings::Settings;
use howdah::session::take::Take;
use howdah::session::{Pooling, Session, Shared, Step, Tools};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const STATEMENTS: [&str; 34] = [
    "select 1",
    "select 2",
    "insert into t values (1)",
    "select fail()",
    "bad",
    "",
    "begin",
    "commit",
    "rollback",
    "copy t from stdin",
    "copy t to stdout",
    "select 1; select 2",
    "select 1; select fail(); select 2",
    "begin; select 1",
    "select 1; commit",
    "copy t from stdin; select 2",
    "prepare a as select 3",
    "execute a",
    "deallocate a",
    "deallocate all",
    "prepare b as select 4",
    "execute b",
    "begin; select fail()",
    "rollback; select 5",
    "set x to 1",
    "set x to 2",
    "reset x",
    "select x",
    "set x to 3; select x; select fail()",
    "begin; set x to 4",
    "begin; set local x to 5; select x",
    "reset x; commit; select x",
    "copy t from stdin; copy t from stdin; select 2",
    "set x to 6; copy t from stdin; select fail()",
];
/// How often a message may be held.
const HOLDS_MAX: usize = 3;
const NAMES: [&[u8]; 4] = [b"", b"a", b"b", b"c"];

/// A client, its session, and what it was told by Howdah and by a server of its own.
struct Client {
    session: Session,
    told: Vec<u8>,
    own: Server,
    own_told: Vec<u8>,
}

/// The server connection that the clients share.
struct Connection {
    server: Server,
    state: ServerState,
    sent: Vec<u8>,
    replies: Vec<u8>,
    partial: Vec<u8>,
    passing: usize,
}

static SHOWN: AtomicBool = AtomicBool::new(false);

/// From now on, what is said is printed (as by SHOW in the environment).
pub fn show() {
    SHOWN.store(true, Ordering::Relaxed);
}

fn is_shown() -> bool {
    SHOWN.load(Ordering::Relaxed) || std::env::var_os("SHOW").is_some()
}

pub fn run(input: &mut Input<'_>) {
    let Some(prepared_statements_max) = input.next().map(|byte| usize::from(byte % 3) + 1) else { return };
    let shared = Shared::default();
    let parameters = Arc::new(Parameters::default());
    let mut connection = Connection {
        server: Server::default(),
        state: ServerState::new(Arc::clone(&parameters)),
        sent: Vec::new(),
        replies: Vec::new(),
        partial: Vec::new(),
        passing: 0,
    };
    let client = |id, startup: Settings| Client {
        session: Session::new(id, 1, Pooling::Transaction, Arc::new(startup), Arc::clone(&parameters)),
        told: Vec::new(),
        own: Server::new(if id == 2 { 9 } else { 0 }),
        own_told: Vec::new(),
    };
    let other = client(2, Settings::default().with("x", b"SET \"x\" TO '9'"));
    let (mut client, mut other) = (client(1, Settings::default()), other);
    while let Some(operation) = input.next() {
        match operation % 16 {
            14 => {
                connection.serve();
                let bytes = usize::from(input.next().unwrap_or(0));
                if is_shown() {
                    eprintln!("served, {bytes} bytes are taken");
                }
                connection.take(&mut client, &shared, bytes);
            }
            15 => {
                connection.settle(&mut client, &shared);
                if connection.server.is_lost {
                    return;
                }
                if client.session.may_release(&connection.state) {
                    client.session.leave(&mut connection.state);
                    if is_shown() {
                        eprintln!("swap");
                    }
                    std::mem::swap(&mut client, &mut other);
                }
            }
            _ => {
                let Some(message) = message(operation % 16, input) else { break };
                if is_unknowable(&message, &connection.state) {
                    continue;
                }
                if is_shown() {
                    eprintln!("client {}: {}", client.session.id, message.escape_ascii());
                }
                client.own.run(&message, &mut client.own_told);
                if !connection.send(&mut client, &message, &shared, prepared_statements_max) {
                    break;
                }
            }
        }
    }
    connection.settle(&mut client, &shared);
}

/// Leaves out what Howdah does not answer as Postgres does: in a failed transaction, the Describe of a statement, which
/// Postgres answers where it gives no rows; on another server Howdah cannot prepare there what is to be described.
fn is_unknowable(message: &[u8], state: &ServerState) -> bool {
    matches!(message, [frontend::DESCRIBE, _, _, _, _, b'S', ..]) && state.may_have_failed()
}

/// One message of a client.
fn message(operation: u8, input: &mut Input<'_>) -> Option<Vec<u8>> {
    let choice = input.next()?;
    let sql = STATEMENTS[usize::from(choice) % STATEMENTS.len()].as_bytes();
    let name = NAMES[usize::from(choice) % NAMES.len()];
    let second = NAMES[usize::from(choice / 4) % 3];
    let mut out = Vec::new();
    match operation {
        0..=2 => write::query(&mut out, sql),
        3 | 4 => {
            // What an EXECUTE of an EXECUTE describes is as of its Parse: no model of that.
            let is_execute = sql.starts_with(b"execute");
            let named = NAMES[usize::from(input.next()?) % NAMES.len()];
            write::parse(&mut out, if is_execute { b"" } else { named }, sql, &[0, 0]);
        }
        5 | 6 => write::message(&mut out, frontend::BIND, |body| {
            write::cstr(body, second);
            write::cstr(body, name);
            body.extend_from_slice(&[0; 6]);
        }),
        7 => write::describe(&mut out, b'S', name),
        8 => write::describe(&mut out, b'P', second),
        9 | 10 => write::message(&mut out, frontend::EXECUTE, |body| {
            write::cstr(body, second);
            body.extend_from_slice(&[0, 0, 0, choice % 4]);
        }),
        11 => write::close(&mut out, if choice >= 128 { b'P' } else { b'S' }, name),
        12 => write::sync(&mut out),
        _ => match choice % 4 {
            0 => write::message(&mut out, frontend::COPY_DATA, |body| body.extend_from_slice(b"1\n")),
            1 => write::message(&mut out, frontend::COPY_DONE, |_| ()),
            2 => write::message(&mut out, frontend::COPY_FAIL, |body| write::cstr(body, b"no")),
            _ => write::flush(&mut out),
        },
    }
    Some(out)
}

impl Connection {
    fn send(&mut self, client: &mut Client, message: &[u8], shared: &Shared, prepared_max: usize) -> bool {
        let hidden = HiddenState::default();
        let mut tools = Tools {
            shared,
            scanned: &mut Default::default(),
            hidden: &hidden,
            prepared_statements_max: prepared_max,
        };
        for _ in 0..HOLDS_MAX {
            if self.state.is_between_messages() && self.state.status != TransactionStatus::Failed {
                self.apply_settings(client, shared);
            }
            let sent = client.session.frontend(message, &mut self.state, &mut tools, &mut self.sent);
            if self.state.owes_synthetic() {
                Session::synthetic(&mut self.state, &mut client.told);
            }
            match sent {
                Err(_) => return false,
                Ok(Step::Taken) => return true,
                Ok(Step::Held) => {
                    if self.state.keeps_answers() {
                        write::flush(&mut self.sent);
                    }
                    self.serve();
                    self.take(client, shared, usize::MAX);
                    let goes_on = self.server.is_lost || self.state.awaits_messages();
                    assert!(goes_on, "waits for ever: {}", message.escape_ascii());
                }
            }
            if self.server.is_lost {
                return false;
            }
        }
        panic!("held for ever: {}", message.escape_ascii());
    }

    /// As a client's loop does before a message that finds nothing owed.
    fn apply_settings(&mut self, client: &mut Client, shared: &Shared) {
        let Some(sql) = client.session.settings_to_apply(&self.state) else { return };
        self.state.unnamed = 0;
        self.state.expected.push_back(Expected::own(Kind::Query));
        write::query(&mut self.sent, &sql);
        self.serve();
        self.take(client, shared, usize::MAX);
        client.session.settings_applied(&mut self.state);
    }

    /// The server answers everything that it was sent.
    fn serve(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        let mut rest = sent.as_slice();
        while let Ok(Some(header)) = frame::header(rest) {
            let (message, after) = rest.split_at(header.frame_len);
            if is_shown() {
                eprintln!("    server: {}", message.escape_ascii());
            }
            self.server.run(message, &mut self.replies);
            rest = after;
        }
        assert!(rest.is_empty(), "whole messages are sent");
    }

    /// So many bytes of the answers go to the client.
    fn take(&mut self, client: &mut Client, shared: &Shared, bytes: usize) {
        let rest = self.replies.split_off(bytes.min(self.replies.len()));
        let fresh = std::mem::replace(&mut self.replies, rest);
        if fresh.is_empty() || self.server.is_lost {
            return;
        }
        let chunk = [std::mem::take(&mut self.partial), fresh].concat();
        let taken = Take {
            session: &mut client.session,
            shared,
            server: &mut self.state,
            partial: &mut self.partial,
            passing: &mut self.passing,
            out: &mut client.told,
        }
        .take(&chunk);
        let run = taken.expect("the server is in step");
        client.told.extend_from_slice(run);
    }

    /// Everything is answered and told: by now Howdah's client has been told what the other was.
    fn settle(&mut self, client: &mut Client, shared: &Shared) {
        self.serve();
        self.server.send(&mut self.replies);
        client.own.send(&mut client.own_told);
        self.take(client, shared, usize::MAX);
        if self.server.is_lost || client.own.is_lost {
            // Postgres ends such a connection.
            self.server.is_lost = true;
            return;
        }
        let same = client.told.iter().zip(&client.own_told).take_while(|(a, b)| a == b).count();
        let from = |bytes: &[u8]| bytes[same.saturating_sub(80)..].escape_ascii().to_string();
        assert!(
            client.told == client.own_told,
            "after {same} bytes\ntold:\n{}\nbut a server of its own tells:\n{}",
            from(&client.told),
            from(&client.own_told)
        );
        client.told.clear();
        client.own_told.clear();
    }
}
