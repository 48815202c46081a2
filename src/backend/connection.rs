//! One connection to a Postgres server, as the pool keeps it and a client uses it.

use super::connect::Connected;
use crate::net::stream::Stream;
use crate::protocol::write;
use crate::session::server_state::ServerState;
use crate::session::{Shared, params::Parameters};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::Notify;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// How long a server may take to end a connection that was told to terminate.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Counts one open connection against its pool's size, until the server has ended it.
#[derive(Debug)]
pub struct OpenPermit {
    open: Arc<AtomicU32>,
    closed: Arc<Notify>,
}

impl OpenPermit {
    /// Takes one of `size` places; `None` where all are taken. `closed` is told when it is given back.
    pub fn take(open: &Arc<AtomicU32>, size: u32, closed: &Arc<Notify>) -> Option<Self> {
        open.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| (now < size).then_some(now + 1)).ok()?;
        Some(OpenPermit { open: Arc::clone(open), closed: Arc::clone(closed) })
    }
}

impl Drop for OpenPermit {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
        self.closed.notify_waiters();
    }
}

/// What SHOW tells of an open connection; it never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// Unique while the process runs.
    pub id: u64,
    /// The server's process id.
    pub process_id: i32,
    /// When the login ended.
    pub connected_at: Instant,
    /// Whether bytes are encrypted.
    pub is_tls: bool,
    /// The server's address, where it has one.
    pub peer: Option<SocketAddr>,
    /// Our own address towards it.
    pub local: Option<SocketAddr>,
    /// The pool's generation it was opened under.
    pub generation: u64,
}

/// A connection to a server.
#[derive(Debug)]
pub struct ServerConnection {
    /// Unique while the process runs.
    pub id: u64,
    stream: Option<Stream>,
    /// What its session looks like.
    pub state: ServerState,
    /// For CancelRequest.
    pub process_id: i32,
    /// For CancelRequest.
    pub secret: i32,
    /// The start of a message whose rest was not read yet.
    pub partial: Vec<u8>,
    /// Bytes of a message's body that are to be passed on as they come.
    pub passing: usize,
    /// Bytes to be sent.
    pub out: Vec<u8>,
    /// How many bytes at the start of `out` were sent.
    pub sent: usize,
    /// When the login ended.
    pub connected_at: Instant,
    /// When it last went back to the pool.
    pub idle_since: Instant,
    /// The pool's generation it was opened under.
    pub generation: u64,
    shared: Arc<Shared>,
    broken: bool,
    permit: Option<OpenPermit>,
    /// Lives as long as this: the pool knows by it which connections are open.
    info: Arc<ServerInfo>,
}

impl ServerConnection {
    /// Takes over a connection after login.
    pub fn new(connected: Connected, shared: &Arc<Shared>, generation: u64, permit: OpenPermit) -> Self {
        let parameters = shared.parameters.intern(Parameters::from_login(connected.parameters));
        let now = Instant::now();
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let tcp = connected.stream.tcp();
        let info = Arc::new(ServerInfo {
            id,
            process_id: connected.process_id,
            connected_at: now,
            is_tls: connected.stream.is_tls(),
            peer: tcp.and_then(|tcp| tcp.peer_addr().ok()),
            local: tcp.and_then(|tcp| tcp.local_addr().ok()),
            generation,
        });
        let mut state = ServerState::new(parameters);
        state.sender = shared.senders.add(info.peer, connected.process_id);
        ServerConnection {
            id,
            stream: Some(connected.stream),
            state,
            process_id: connected.process_id,
            secret: connected.secret,
            partial: Vec::new(),
            passing: 0,
            out: Vec::new(),
            sent: 0,
            connected_at: now,
            idle_since: now,
            generation,
            shared: Arc::clone(shared),
            broken: false,
            permit: Some(permit),
            info,
        }
    }

    /// The server reported a parameter while no client's session listened.
    pub fn note_parameter(&mut self, name: &[u8], value: &[u8]) {
        self.state.parameters = self.shared.parameters.intern(self.state.parameters.with(name, value));
    }

    /// What SHOW tells of it.
    pub fn info(&self) -> &Arc<ServerInfo> {
        &self.info
    }

    /// Never to be used again: its state is unknown.
    pub fn break_it(&mut self) {
        self.broken = true;
    }

    /// Whether it may serve another client.
    pub fn is_reusable(&self) -> bool {
        !self.broken
            && self.stream.is_some()
            && self.state.is_clean()
            && !self.state.is_spoilt
            && self.partial.is_empty()
            && self.passing == 0
            && self.out.is_empty()
    }

    /// How many bytes wait to be sent.
    pub fn unsent(&self) -> usize {
        self.out.len().saturating_sub(self.sent)
    }

    /// Reads what is there into `buffer`; 0 bytes is the end.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<std::io::Result<usize>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(0)) };
        let mut buffer = ReadBuf::new(buffer);
        match tokio::io::AsyncRead::poll_read(Pin::new(stream), cx, &mut buffer) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().len())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Sends what waits in `out`; ready when nothing is left.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Err(std::io::ErrorKind::NotConnected.into()));
        };
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut *stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => self.sent += n,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.out.clear();
        self.sent = 0;
        if self.out.capacity() > 64 * 1024 {
            self.out = Vec::new();
        }
        if stream.is_tls() {
            return Pin::new(&mut *stream).poll_flush(cx);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the server has said or ended something while the connection was idle. Costs no system
    /// call when it has not.
    pub fn is_stale(&mut self) -> bool {
        let is_stale = self.stream.as_mut().is_none_or(Stream::has_input);
        self.broken |= is_stale;
        is_stale
    }

    /// Moves the socket to the current thread's reactor, where that can be done.
    ///
    /// # Errors
    /// Where the socket could not be registered: the connection is lost.
    pub fn move_here(&mut self) -> std::io::Result<bool> {
        match self.stream.take() {
            Some(Stream::Tcp(tcp)) => {
                self.stream = Some(Stream::Tcp(tokio::net::TcpStream::from_std(tcp.into_std()?)?));
                Ok(true)
            }
            other => {
                self.stream = other;
                Ok(false)
            }
        }
    }
}

impl Drop for ServerConnection {
    fn drop(&mut self) {
        let (Some(mut stream), Some(permit)) = (self.stream.take(), self.permit.take()) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let polite = self.state.expected.is_empty() && self.out.is_empty();
        // The place in the pool is free only when the server has really ended the session.
        runtime.spawn(async move {
            let farewell = async {
                if polite {
                    let mut terminate = Vec::new();
                    write::terminate(&mut terminate);
                    stream.write_all(&terminate).await?;
                }
                stream.shutdown().await?;
                let mut sink = [0_u8; 4096];
                while stream.read(&mut sink).await? > 0 {}
                Ok::<(), std::io::Error>(())
            };
            // Whether it ended by itself or by the time limit, the socket is closed now.
            let _ended = tokio::time::timeout(CLOSE_TIMEOUT, farewell).await;
            drop(stream);
            drop(permit);
        });
    }
}
