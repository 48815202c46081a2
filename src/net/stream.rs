//! One connection's byte stream, whatever carries it: TCP, Unix-domain, or TLS over TCP.

use super::prefixed::Prefixed;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected byte stream; the TLS variants are boxed so that an idle plain one stays small.
#[derive(Debug)]
pub enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// Unix-domain socket.
    Unix(UnixStream),
    /// TLS over TCP, Howdah being the server.
    TlsServer(Box<tokio_rustls::server::TlsStream<Prefixed>>),
    /// TLS over TCP, Howdah being the client.
    TlsClient(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddr {
    /// A TCP peer.
    Tcp(SocketAddr),
    /// A peer on a Unix-domain socket.
    Local,
}

impl std::fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PeerAddr::Tcp(addr) => addr.fmt(f),
            PeerAddr::Local => f.write_str("[local]"),
        }
    }
}

/// Keepalive of TCP connections, as in Postgres's `tcp_keepalives_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Idle time before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Probes lost before the connection is given up.
    pub count: u32,
}

/// Bytes that [`Stream::read_more`] reads at most.
pub const READ_BYTES_MAX: usize = 1024;
/// How long a connection that was refused is drained, so that its peer can read why.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// How many bytes of a refused connection are read and thrown away at most.
const DRAIN_BYTES_MAX: usize = 64 * 1024;

impl Stream {
    /// The TCP socket underneath, if there is one.
    pub fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Stream::Tcp(tcp) => Some(tcp),
            Stream::Unix(_) => None,
            Stream::TlsServer(tls) => Some(tls.get_ref().0.tcp()),
            Stream::TlsClient(tls) => Some(tls.get_ref().0),
        }
    }

    /// Whether bytes are encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self, Stream::TlsServer(_) | Stream::TlsClient(_))
    }

    /// The other end's address.
    ///
    /// # Errors
    /// The socket's, where it is no longer connected.
    pub fn peer_addr(&self) -> io::Result<PeerAddr> {
        match self.tcp() {
            Some(tcp) => tcp.peer_addr().map(PeerAddr::Tcp),
            None => Ok(PeerAddr::Local),
        }
    }

    /// Turns Nagle's algorithm off; nothing to do on a Unix-domain socket.
    ///
    /// # Errors
    /// The socket's.
    pub fn set_nodelay(&self) -> io::Result<()> {
        self.tcp().map_or(Ok(()), |tcp| tcp.set_nodelay(true))
    }

    /// Sets TCP keepalive; nothing to do on a Unix-domain socket.
    ///
    /// # Errors
    /// The socket's.
    pub fn set_keepalive(&self, keepalive: &Keepalive) -> io::Result<()> {
        let Some(tcp) = self.tcp() else { return Ok(()) };
        let settings = socket2::TcpKeepalive::new()
            .with_time(keepalive.idle)
            .with_interval(keepalive.interval)
            .with_retries(keepalive.count);
        socket2::SockRef::from(tcp).set_tcp_keepalive(&settings)
    }

    /// The peer's TLS certificates, its own first; empty without TLS or where it sent none.
    pub fn peer_certificates(&self) -> &[rustls::pki_types::CertificateDer<'static>] {
        let certificates = match self {
            Stream::Tcp(_) | Stream::Unix(_) => None,
            Stream::TlsServer(tls) => tls.get_ref().1.peer_certificates(),
            Stream::TlsClient(tls) => tls.get_ref().1.peer_certificates(),
        };
        certificates.unwrap_or_default()
    }

    /// Whether the peer has said or ended something; it is not to be read afterwards where it has. Costs no
    /// system call where it has not.
    pub fn has_input(&mut self) -> bool {
        let mut byte = [0_u8; 1];
        let read = match self {
            Stream::Tcp(tcp) => tcp.try_read(&mut byte),
            Stream::Unix(unix) => unix.try_read(&mut byte),
            Stream::TlsServer(_) | Stream::TlsClient(_) => {
                let mut cx = Context::from_waker(Waker::noop());
                return Pin::new(self).poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_ready();
            }
        };
        !read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Reads what has arrived (at least one byte, [`READ_BYTES_MAX`] at most) to the end of `buffer`;
    /// 0 at the end of the stream. Holds no memory while it waits.
    ///
    /// # Errors
    /// The socket's. Cancel safe: bytes are either in `buffer` or still to be read.
    pub async fn read_more(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        poll_fn(|cx| {
            let mut chunk = [const { MaybeUninit::uninit() }; READ_BYTES_MAX];
            let mut read = ReadBuf::uninit(&mut chunk);
            ready!(Pin::new(&mut *self).poll_read(cx, &mut read))?;
            buffer.extend_from_slice(read.filled());
            Poll::Ready(Ok(read.filled().len()))
        })
        .await
    }

    /// Writes `last_words`, ends the sending side, and reads on for a moment.
    ///
    /// Closing with unread input makes the kernel send a reset, which may overtake the words; so what
    /// the peer still sends is drained, for one second and 64 KiB at most. Failures are of no interest.
    pub async fn close_with(mut self, last_words: &[u8]) {
        let farewell = async {
            self.write_all(last_words).await?;
            self.flush().await?;
            self.shutdown().await?;
            let mut sink = Vec::new();
            let mut drained = 0;
            while drained < DRAIN_BYTES_MAX {
                sink.clear();
                match self.read_more(&mut sink).await? {
                    0 => break,
                    n => drained += n,
                }
            }
            io::Result::Ok(())
        };
        let _gone_either_way = tokio::time::timeout(DRAIN_TIMEOUT, farewell).await;
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(s) => Pin::new(s).poll_read(cx, buf),
            Stream::Unix(s) => Pin::new(s).poll_read(cx, buf),
            Stream::TlsServer(s) => Pin::new(s.as_mut()).poll_read(cx, buf),
            Stream::TlsClient(s) => Pin::new(s.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(s) => Pin::new(s).poll_write(cx, buf),
            Stream::Unix(s) => Pin::new(s).poll_write(cx, buf),
            Stream::TlsServer(s) => Pin::new(s.as_mut()).poll_write(cx, buf),
            Stream::TlsClient(s) => Pin::new(s.as_mut()).poll_write(cx, buf),
        }
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Stream::Unix(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Stream::TlsServer(s) => Pin::new(s.as_mut()).poll_write_vectored(cx, bufs),
            Stream::TlsClient(s) => Pin::new(s.as_mut()).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Tcp(s) => s.is_write_vectored(),
            Stream::Unix(s) => s.is_write_vectored(),
            Stream::TlsServer(s) => s.is_write_vectored(),
            Stream::TlsClient(s) => s.is_write_vectored(),
        }
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(s) => Pin::new(s).poll_flush(cx),
            Stream::Unix(s) => Pin::new(s).poll_flush(cx),
            Stream::TlsServer(s) => Pin::new(s.as_mut()).poll_flush(cx),
            Stream::TlsClient(s) => Pin::new(s.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(s) => Pin::new(s).poll_shutdown(cx),
            Stream::Unix(s) => Pin::new(s).poll_shutdown(cx),
            Stream::TlsServer(s) => Pin::new(s.as_mut()).poll_shutdown(cx),
            Stream::TlsClient(s) => Pin::new(s.as_mut()).poll_shutdown(cx),
        }
    }
}
