//! The first packet of a connection, whatever its bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| howdah::protocol::startup::fuzz(bytes));
