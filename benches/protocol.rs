//! What bytes on their way cost: the frame decoder, the relay's step over rows, the session's step per message.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use howdah::protocol::{TransactionStatus, backend, frame, frontend, write};
use howdah::session::describe::HiddenState;
use howdah::session::params::Parameters;
use howdah::session::server_state::ServerState;
use howdah::session::take::Take;
use howdah::session::{Pooling, Session, Shared, Tools};
use std::hint::black_box;
use std::sync::Arc;

/// Bytes that the relay reads at a time.
const CHUNK: usize = 64 * 1024;

/// A chunk of whole DataRows of so many bytes each, header included.
fn rows(frame_len: usize) -> Vec<u8> {
    let value = vec![b'x'; frame_len - frame::HEADER_LEN - 2 - 4];
    let mut chunk = Vec::new();
    while chunk.len() + frame_len <= CHUNK {
        write::data_row(&mut chunk, &[Some(&value)]);
    }
    chunk
}

/// A client's session and its server connection, without sockets.
struct Pair {
    shared: Shared,
    hidden: HiddenState,
    session: Session,
    server: ServerState,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    scanned: howdah::sql::Statements,
}

impl Pair {
    fn new() -> Self {
        let parameters = Arc::new(Parameters::default());
        Pair {
            shared: Shared::default(),
            hidden: HiddenState::default(),
            session: Session::new(1, 1, Pooling::Transaction, Arc::default(), Arc::clone(&parameters)),
            server: ServerState::new(parameters),
            to_server: Vec::new(),
            to_client: Vec::new(),
            scanned: howdah::sql::Statements::new(),
        }
    }

    /// The client's messages, one after the other.
    fn send(&mut self, mut messages: &[u8]) {
        self.to_server.clear();
        while let Ok(Some(header)) = frame::header(messages) {
            let Some((message, rest)) = messages.split_at_checked(header.frame_len) else { break };
            messages = rest;
            let mut tools = Tools {
                shared: &self.shared,
                scanned: &mut self.scanned,
                hidden: &self.hidden,
                prepared_statements_max: 500,
            };
            let sent = self.session.frontend(message, &mut self.server, &mut tools, &mut self.to_server);
            assert!(sent.is_ok(), "{sent:?}");
        }
        if self.server.owes_synthetic() {
            Session::synthetic(&mut self.server, &mut self.to_client);
        }
    }

    /// What the server answers; gives how many bytes go on to the client.
    fn answer(&mut self, chunk: &[u8]) -> usize {
        self.to_client.clear();
        let (mut partial, mut passing) = (Vec::new(), 0);
        let run = Take {
            session: &mut self.session,
            shared: &self.shared,
            server: &mut self.server,
            partial: &mut partial,
            passing: &mut passing,
            out: &mut self.to_client,
        }
        .take(chunk);
        assert!(run.is_ok(), "{run:?}");
        run.map_or(0, <[u8]>::len) + self.to_client.len()
    }
}

fn decoder(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame decoder");
    for frame_len in [15, 147] {
        let chunk = rows(frame_len);
        group.throughput(Throughput::Elements((chunk.len() / frame_len) as u64));
        group.bench_with_input(BenchmarkId::from_parameter(frame_len), &chunk, |bench, chunk| {
            bench.iter(|| {
                let mut rest = black_box(chunk.as_slice());
                let mut count = 0;
                while let Ok(Some(header)) = frame::header(rest) {
                    rest = rest.get(header.frame_len..).unwrap_or_default();
                    count += 1;
                }
                count
            });
        });
    }
    group.finish();
}

fn relay(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("relay step");
    for frame_len in [15, 147] {
        let chunk = rows(frame_len);
        let mut pair = Pair::new();
        let mut query = Vec::new();
        write::query(&mut query, b"select * from t");
        pair.send(&query);
        group.throughput(Throughput::Elements((chunk.len() / frame_len) as u64));
        group.bench_with_input(BenchmarkId::from_parameter(frame_len), &chunk, |bench, chunk| {
            bench.iter(|| pair.answer(black_box(chunk)));
        });
    }
    group.finish();
}

/// One point select from the client's message to the server's ReadyForQuery, in each protocol.
fn transaction(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session step");
    let sql = b"SELECT abalance FROM pgbench_accounts WHERE aid = 12345;";
    let mut rows = Vec::new();
    write::row_description(&mut rows, &[("abalance", 23, 4)]);
    write::data_row(&mut rows, &[Some(b"0")]);
    write::command_complete(&mut rows, "SELECT 1");
    write::ready_for_query(&mut rows, TransactionStatus::Idle);

    let mut query = Vec::new();
    write::query(&mut query, sql);
    let mut pair = Pair::new();
    group.bench_function("simple", |bench| {
        bench.iter(|| {
            pair.send(black_box(&query));
            pair.answer(black_box(&rows))
        });
    });

    let execution = |name: &[u8]| {
        let mut out = Vec::new();
        write::message(&mut out, frontend::BIND, |body| {
            write::cstr(body, b"");
            write::cstr(body, name);
            body.extend_from_slice(b"\0\0\0\x01\0\0\0\x0512345\0\0");
        });
        write::describe(&mut out, b'P', b"");
        write::message(&mut out, frontend::EXECUTE, |body| {
            write::cstr(body, b"");
            body.extend_from_slice(&[0; 4]);
        });
        write::sync(&mut out);
        out
    };
    let mut bound = Vec::new();
    write::message(&mut bound, backend::BIND_COMPLETE, |_| ());
    bound.extend_from_slice(&rows);
    let mut parsed = Vec::new();
    write::message(&mut parsed, backend::PARSE_COMPLETE, |_| ());

    let mut extended = Vec::new();
    write::parse(&mut extended, b"", b"SELECT abalance FROM pgbench_accounts WHERE aid = $1;", &[0, 0]);
    extended.extend_from_slice(&execution(b""));
    let answers = [parsed.as_slice(), bound.as_slice()].concat();
    let mut pair = Pair::new();
    group.bench_function("extended", |bench| {
        bench.iter(|| {
            pair.send(black_box(&extended));
            pair.answer(black_box(&answers))
        });
    });

    let mut pair = Pair::new();
    let mut parse = Vec::new();
    write::parse(&mut parse, b"P_0", b"SELECT abalance FROM pgbench_accounts WHERE aid = $1;", &[0, 0]);
    write::sync(&mut parse);
    write::ready_for_query(&mut parsed, TransactionStatus::Idle);
    pair.send(&parse);
    pair.answer(&parsed);
    let prepared = execution(b"P_0");
    group.bench_function("prepared", |bench| {
        bench.iter(|| {
            pair.send(black_box(&prepared));
            pair.answer(black_box(&bound))
        });
    });
    group.finish();
}

criterion_group!(benches, decoder, relay, transaction);
criterion_main!(benches);
