//! A blocking client that speaks frames and hides nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::frame::{Frame, Reply};
use super::message;

/// How long a reply may take before a test calls it stuck.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What came from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole frame.
    Frame(Frame),
    /// The connection ended.
    Closed,
    /// Nothing within the patience.
    TimedOut,
}

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    input: Vec<u8>,
    port: u16,
    /// How long to wait for a frame.
    pub patience: Duration,
    /// From BackendKeyData.
    pub pid: i32,
    /// From BackendKeyData.
    pub key: Vec<u8>,
    /// The frames of the start-up.
    pub greeting: Reply,
}

impl Wire {
    /// Connects, and says nothing yet.
    pub fn open(port: u16) -> Wire {
        let end = Instant::now() + Duration::from_secs(5);
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > end => panic!("cannot connect to port {port}: {error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        stream.set_nodelay(true).unwrap();
        Wire {
            stream,
            input: Vec::new(),
            port,
            patience: PATIENCE,
            pid: 0,
            key: Vec::new(),
            greeting: Reply::default(),
        }
    }

    /// Connects and sends a StartupMessage; the reply is in `greeting`, refused or not.
    pub fn start(port: u16, parameters: &[(&str, &str)]) -> Wire {
        let mut wire = Wire::open(port);
        wire.send(&message::startup(parameters));
        wire.greeting = wire.reply();
        let key = wire.greeting.tagged(b'K').next().map(|key| key.body.clone());
        if let Some(key) = key {
            wire.pid = i32::from_be_bytes(key[..4].try_into().unwrap());
            wire.key = key[4..].to_vec();
        }
        wire
    }

    /// Logs in by trust.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn login(port: u16, parameters: &[(&str, &str)]) -> Wire {
        let wire = Wire::start(port, parameters);
        assert_eq!(wire.greeting.status(), 'I', "login refused: {:?}", wire.greeting);
        wire
    }

    /// Logs in as user `app` to database `app`.
    pub fn app(port: u16) -> Wire {
        Wire::login(port, &[("user", "app"), ("database", "app")])
    }

    /// Sends bytes; a connection that the other side has closed shows at the next read.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends bytes `size` at a time, each in a write of its own.
    pub fn send_in_chunks(&mut self, bytes: &[u8], size: usize) {
        for chunk in bytes.chunks(size.max(1)) {
            if self.stream.write_all(chunk).is_err() {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// The next frame, or why there is none.
    pub fn event(&mut self) -> Event {
        self.event_within(self.patience)
    }

    /// The next frame if it comes within `patience`.
    pub fn event_within(&mut self, patience: Duration) -> Event {
        let end = Instant::now() + patience;
        let mut chunk = [0_u8; 65536];
        loop {
            if let Some(frame) = Frame::take(&mut self.input) {
                return Event::Frame(frame);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Event::TimedOut;
            }
            self.stream.set_read_timeout(Some(left)).unwrap();
            match self.stream.read(&mut chunk) {
                Ok(0) => return Event::Closed,
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Event::Closed,
            }
        }
    }

    /// Everything up to the next ReadyForQuery, or what came before the connection's end.
    ///
    /// # Panics
    /// When nothing comes within the patience.
    pub fn reply(&mut self) -> Reply {
        self.until(b'Z')
    }

    /// Everything up to the next frame of type `tag`, or what came before the connection's end.
    ///
    /// # Panics
    /// When nothing comes within the patience.
    pub fn until(&mut self, tag: u8) -> Reply {
        let mut reply = Reply::default();
        loop {
            match self.event() {
                Event::Frame(frame) => {
                    let last = frame.tag == tag;
                    reply.frames.push(frame);
                    if last {
                        return reply;
                    }
                }
                Event::Closed => return reply,
                Event::TimedOut => panic!("no {} within {:?}, only {reply:?}", tag as char, self.patience),
            }
        }
    }

    /// Sends bytes and reads up to ReadyForQuery.
    pub fn ask(&mut self, bytes: &[u8]) -> Reply {
        self.send(bytes);
        self.reply()
    }

    /// A simple query.
    pub fn query(&mut self, sql: &str) -> Reply {
        self.ask(&message::query(sql))
    }

    /// A simple query that must succeed.
    pub fn run(&mut self, sql: &str) -> Reply {
        let reply = self.query(sql);
        assert!(reply.sqlstate().is_none() && reply.status() != '-', "{sql}: {:?}", reply.frames);
        reply
    }

    /// The one value of a simple query that must succeed.
    pub fn value(&mut self, sql: &str) -> String {
        self.run(sql).value()
    }

    /// The process id of the server connection that runs a statement of this client now.
    pub fn server_pid(&mut self) -> i32 {
        self.value("select pg_backend_pid()").parse().unwrap()
    }

    /// Asks the server to cancel what this connection runs.
    pub fn cancel(&self) {
        Wire::open(self.port).send(&message::cancel_request(self.pid, &self.key));
    }

    /// Says Terminate and waits for the end.
    pub fn terminate(mut self) {
        self.send(&message::terminate());
        while let Event::Frame(_) = self.event() {}
    }

    /// Ends the socket at once, without Terminate.
    pub fn vanish(self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    /// Whether the server has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.event(), Event::Closed)
    }

    /// The socket, for what frames cannot say.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}
