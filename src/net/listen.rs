//! Listeners: TCP with one socket per thread on the same port, and Unix-domain.

use super::stream::Stream;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UnixListener};

/// Connections that the kernel may hold before they are accepted (it cuts this to `net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// A socket that accepts clients.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// Unix-domain; the socket's file is removed on drop.
    Unix(UnixListener, SocketFile),
}

/// A Unix-domain socket's file, removed on drop.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _already_gone = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Listens on `addr`; several threads may each have a listener of their own on one address, and
    /// the kernel spreads connections over them. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The operating system's, such as an address in use by another program's socket.
    pub fn tcp(addr: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(addr),
            socket2::Type::STREAM.nonblocking().cloexec(),
            Some(socket2::Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        Ok(Listener::Tcp(TcpListener::from_std(socket.into())?))
    }

    /// Listens on a Unix-domain socket at `path` with the file mode `mode` (such as `0o777`).
    ///
    /// A socket file that nothing listens on any more is replaced. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// `AddrInUse` where another process listens on it; else the operating system's.
    pub fn unix(path: &Path, mode: u32) -> io::Result<Self> {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt};
        let is_socket = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
        if is_socket {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            std::fs::remove_file(path)?;
        }
        let socket =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM.nonblocking().cloexec(), None)?;
        socket.bind(&socket2::SockAddr::unix(path)?)?;
        let file = SocketFile(path.to_owned());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        socket.listen(BACKLOG)?;
        Ok(Listener::Unix(UnixListener::from_std(socket.into())?, file))
    }

    /// The TCP address listened on (with the port that the system chose for port 0).
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(tcp) => tcp.local_addr().ok(),
            Listener::Unix(..) => None,
        }
    }

    /// Waits for the next client. Cancel safe.
    ///
    /// # Errors
    /// The operating system's; `EMFILE` and the like pass, and the caller should wait a little then.
    pub async fn accept(&self) -> io::Result<Stream> {
        match self {
            Listener::Tcp(tcp) => {
                let (stream, _) = tcp.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Listener::Unix(unix, _) => Ok(Stream::Unix(unix.accept().await?.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn several_listeners_share_a_port() {
        let first = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = first.local_addr().unwrap();
        let second = Listener::tcp(addr).unwrap();
        assert_eq!(second.local_addr(), Some(addr));
        let _client = tokio::net::TcpStream::connect(addr).await.unwrap();
        let accepted = tokio::select! {
            stream = first.accept() => stream,
            stream = second.accept() => stream,
        };
        assert!(accepted.unwrap().tcp().unwrap().nodelay().unwrap());
    }

    #[tokio::test]
    async fn unix_socket_has_its_mode_and_goes_with_the_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".s.PGSQL.5432");
        let listener = Listener::unix(&path, 0o700).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(Listener::unix(&path, 0o700).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let _client = tokio::net::UnixStream::connect(&path).await.unwrap();
        let stream = listener.accept().await.unwrap();
        assert_eq!(stream.peer_addr().unwrap().to_string(), "[local]");
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_but_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(Listener::unix(&path, 0o777).is_ok());
        std::fs::write(&path, "mine").unwrap();
        assert!(Listener::unix(&path, 0o777).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
