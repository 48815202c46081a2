//! A byte relay without any knowledge of the protocol: the floor for every proxy on this machine.
//!
//! `relay LISTEN_PORT SERVER_PORT`, on 127.0.0.1; one server connection for each client, one thread.

use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let mut ports = std::env::args().skip(1).map_while(|text| text.parse::<u16>().ok());
    let (Some(own), Some(server)) = (ports.next(), ports.next()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "usage: relay LISTEN_PORT SERVER_PORT"));
    };
    let listener = TcpListener::bind(("127.0.0.1", own)).await?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(async move {
            // A client that leaves, or a server that refuses it, ends this pair only.
            let _ended = relay(client, server).await;
        });
    }
}

async fn relay(client: TcpStream, port: u16) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    // The first direction to end drops both sockets.
    tokio::select! {
        ended = copy(&mut from_client, &mut to_server) => ended,
        ended = copy(&mut from_server, &mut to_client) => ended,
    }
}

async fn copy(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer).await? {
            0 => return to.shutdown().await,
            n => to.write_all(buffer.get(..n).unwrap_or_default()).await?,
        }
    }
}
