//! A relay in front of a server that lies in one planted way: it shows that a comparison sees it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::frame::Frame;

/// How a cancel request begins: its length, and its code.
const CANCEL_REQUEST: [u8; 8] = [0, 0, 0, 16, 4, 210, 22, 46];

/// What the relay does to the frames of one type on their way to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: an honest relay.
    None,
    /// One bit of the body's last byte is another.
    FlipBit(u8),
    /// The first such frame of each connection is missing.
    Drop(u8),
    /// The first such frame of each connection comes twice.
    Double(u8),
    /// Each such frame changes places with the one before it.
    Swap(u8),
    /// Cancel requests take this long.
    SlowCancel(Duration),
}

/// A running relay; it ends with the test.
#[derive(Debug)]
pub struct Relay {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    active: Arc<AtomicBool>,
}

impl Relay {
    /// Starts a relay to the server on `port`. The start-up's frames pass unchanged.
    pub fn start(port: u16, fault: Fault) -> Relay {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let relay =
            Relay { port: listener.local_addr().unwrap().port(), active: Arc::new(AtomicBool::new(true)) };
        let active = Arc::clone(&relay.active);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if !active.load(Ordering::Relaxed) {
                    return;
                }
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                for stream in [&client, &server] {
                    stream.set_nodelay(true).unwrap();
                }
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || copy(from, to, fault));
                std::thread::spawn(move || answer(server, client, fault));
            }
        });
        relay
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.active.store(false, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, fault: Fault) {
    let mut chunk = [0; 65536];
    while let Ok(count) = from.read(&mut chunk) {
        if let Fault::SlowCancel(time) = fault
            && chunk[..count].starts_with(&CANCEL_REQUEST)
        {
            std::thread::sleep(time);
        }
        if count == 0 || to.write_all(&chunk[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

fn answer(mut server: TcpStream, mut client: TcpStream, fault: Fault) {
    let (mut input, mut chunk, mut started, mut done) = (Vec::new(), [0; 65536], false, false);
    while let Ok(count) = server.read(&mut chunk) {
        if count == 0 {
            break;
        }
        input.extend_from_slice(&chunk[..count]);
        let mut frames: Vec<Frame> = Vec::new();
        while let Some(frame) = Frame::take(&mut input) {
            let ready = frame.tag == b'Z';
            if started {
                pass(frame, fault, &mut done, &mut frames)
            } else {
                frames.push(frame)
            }
            started |= ready;
        }
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        if client.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
}

fn pass(mut frame: Frame, fault: Fault, done: &mut bool, out: &mut Vec<Frame>) {
    let first = |tag: u8, done: &mut bool| frame.tag == tag && !std::mem::replace(done, true);
    match fault {
        Fault::FlipBit(tag) if frame.tag == tag => {
            if let Some(byte) = frame.body.last_mut() {
                *byte ^= 1;
            }
            out.push(frame);
        }
        Fault::Drop(tag) if first(tag, done) => {}
        Fault::Double(tag) if first(tag, done) => out.extend([frame.clone(), frame]),
        Fault::Swap(tag) if frame.tag == tag => {
            out.push(frame);
            if let [.., a, b] = out.as_mut_slice() {
                std::mem::swap(a, b);
            }
        }
        _ => out.push(frame),
    }
}
