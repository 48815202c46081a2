//! A pooler that protects nobody: all clients' transactions run on one server connection, one after
//! another. The isolation tests must fail on it, which shows that they see what they are for.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use super::frame::Frame;
use super::message;

/// Starts it in front of the server on `port`; gives its own port. It ends with the process.
pub fn start(port: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    server.write_all(&message::startup(&[("user", "app"), ("database", "app")])).unwrap();
    let mut input = Vec::new();
    let mut greeting = Vec::new();
    while !greeting.ends_with(&[b'Z', 0, 0, 0, 5, b'I']) {
        greeting.extend(next(&mut server, &mut input).unwrap().bytes());
    }
    let server = Arc::new(Mutex::new(server));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (server, greeting) = (Arc::clone(&server), greeting.clone());
            std::thread::spawn(move || serve(client, &server, &greeting));
        }
    });
    own
}

fn next(stream: &mut TcpStream, input: &mut Vec<u8>) -> Option<Frame> {
    let mut chunk = [0; 8192];
    loop {
        if let Some(frame) = Frame::take(input) {
            return Some(frame);
        }
        match stream.read(&mut chunk) {
            Ok(count) if count > 0 => input.extend_from_slice(&chunk[..count]),
            _ => return None,
        }
    }
}

/// Forwards a client's messages; it holds the server from its first message to ReadyForQuery `I`.
fn serve(mut client: TcpStream, server: &Mutex<TcpStream>, greeting: &[u8]) -> Option<()> {
    let mut length = [0; 4];
    client.read_exact(&mut length).ok()?;
    let mut parameters = vec![0; u32::from_be_bytes(length) as usize - 4];
    client.read_exact(&mut parameters).ok()?;
    client.write_all(greeting).ok()?;
    let (mut from_client, mut from_server) = (Vec::new(), Vec::new());
    loop {
        let mut frame = next(&mut client, &mut from_client)?;
        let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if frame.tag == b'X' {
                return None;
            }
            server.write_all(&frame.bytes()).ok()?;
            if matches!(frame.tag, b'Q' | b'S') {
                let status = loop {
                    let reply = next(&mut server, &mut from_server)?;
                    client.write_all(&reply.bytes()).ok()?;
                    if reply.tag == b'Z' {
                        break reply.body[0];
                    }
                };
                if status == b'I' {
                    break;
                }
            }
            frame = next(&mut client, &mut from_client)?;
        }
    }
}
