//! One connection to a Postgres server, as the pool keeps it and a client uses it.

use super::connect::Connected;
use super::oids::{OidSlot, Translator};
use crate::net::stream::Stream;
use crate::protocol::write;
use crate::session::server_state::ServerState;
use crate::session::{Shared, params::Parameters};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
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
    /// The shard's OIDs; none on the home shard.
    oids: Option<Arc<OidSlot>>,
    /// The version of them that `translator` is of.
    oids_version: u64,
    translator: Option<Box<Translator>>,
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
            oids: None,
            oids_version: 0,
            translator: None,
            permit: Some(permit),
            info,
        }
    }

    /// From now on messages are in the home shard's OIDs, whatever the shard's are.
    pub fn follow_oids(&mut self, slot: Option<&Arc<OidSlot>>) {
        self.oids = slot.cloned();
        self.renew_oids();
    }

    /// To be called while nothing is owed: takes the shard's OIDs as they are now.
    #[inline]
    pub fn renew_oids(&mut self) {
        if let Some(version) = self.oids.as_ref().map(|slot| slot.version())
            && version != self.oids_version
        {
            self.take_oids(version);
        }
    }

    #[cold]
    fn take_oids(&mut self, version: u64) {
        let map = self.oids.as_ref().and_then(|slot| slot.map());
        self.oids_version = version;
        self.state.oids = map.clone();
        self.translator = map.filter(|map| map.is_needed()).map(|map| Box::new(Translator::new(map)));
        if self.translator.is_some() {
            self.state.oids = None;
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
            && self.translator.as_ref().is_none_or(|translator| translator.is_idle())
    }

    /// How many bytes wait to be sent.
    pub fn unsent(&self) -> usize {
        self.out.len().saturating_sub(self.sent)
    }

    /// Reads what is there into `buffer`; 0 bytes is the end.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.translator.is_some() {
            return self.poll_read_translated(cx, buffer);
        }
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(0)) };
        read_some(stream, cx, buffer)
    }

    #[cold]
    fn poll_read_translated(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let (Some(stream), Some(translator)) = (&mut self.stream, &mut self.translator) else {
                return Poll::Ready(Ok(0));
            };
            let given = translator.give(buffer);
            if given > 0 {
                return Poll::Ready(Ok(given));
            }
            let count = ready!(read_some(stream, cx, buffer))?;
            if count == 0 && !translator.end() {
                return Poll::Ready(Ok(0));
            }
            translator.received(buffer.get(..count).unwrap_or_default());
            if !self.out.is_empty() {
                // It may have waited for this. Errors are met again by who flushes.
                let _sent_or_waits = self.poll_flush(cx);
            }
        }
    }

    /// Sends what waits in `out`; ready when nothing is left.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        match &mut self.translator {
            None => ready!(write_all(stream, cx, &self.out, &mut self.sent))?,
            Some(translator) => loop {
                ready!(write_all(stream, cx, &translator.wire, &mut translator.sent))?;
                translator.wire.clear();
                translator.sent = 0;
                self.sent += translator.send(self.out.get(self.sent..).unwrap_or_default());
                if !translator.wire.is_empty() {
                    continue;
                }
                if self.sent < self.out.len() {
                    // The server has to answer first: who reads that goes on here.
                    return Poll::Pending;
                }
                break;
            },
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

fn read_some(stream: &mut Stream, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(buffer);
    ready!(tokio::io::AsyncRead::poll_read(Pin::new(stream), cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}

/// Sends `bytes` from `sent` on, and counts them.
fn write_all(
    stream: &mut Stream,
    cx: &mut Context<'_>,
    bytes: &[u8],
    sent: &mut usize,
) -> Poll<io::Result<()>> {
    while let Some(rest) = bytes.get(*sent..).filter(|rest| !rest.is_empty()) {
        match ready!(Pin::new(&mut *stream).poll_write(cx, rest))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => *sent += count,
        }
    }
    Poll::Ready(Ok(()))
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
