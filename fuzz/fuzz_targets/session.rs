//! Two clients in turn on one server connection, which is a model of Postgres: what each is told equals, byte for
//! byte, what it is told by a model of its own. Or, by the first byte, any bytes from client and server.
#![no_main]

#[path = "session/hostile.rs"]
mod hostile;
#[path = "session/model.rs"]
mod model;
#[path = "session/pair.rs"]
mod pair;
#[path = "session/setting.rs"]
mod setting;

use libfuzzer_sys::fuzz_target;

/// The input, byte by byte.
pub struct Input<'a>(pub &'a [u8]);

impl Input<'_> {
    /// The next byte; `None` at the end.
    pub fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    match input.next() {
        Some(b'!') => hostile::run(&mut input),
        Some(_) => pair::run(&mut input),
        None => {}
    }
});
