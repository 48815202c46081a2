//! What the fuzz target `session` holds, over inputs from a generator: clients in turn on one server connection are
//! told what each is told on a server of its own. `SESSION_INPUT=FILE` runs one input instead, such as the fuzzer's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    clippy::should_implement_trait,
    reason = "the fuzz target's files"
)]

#[path = "../fuzz/fuzz_targets/session/model.rs"]
mod model;
#[path = "../fuzz/fuzz_targets/session/pair.rs"]
mod pair;
#[path = "../fuzz/fuzz_targets/session/setting.rs"]
mod setting;

/// The input, byte by byte.
#[derive(Debug)]
pub struct Input<'a>(pub &'a [u8]);

impl Input<'_> {
    /// The next byte; `None` at the end.
    pub fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

/// Bytes that are the same each time (xorshift64*).
fn generated(mut seed: u64, len: usize) -> Vec<u8> {
    let byte = |_| {
        seed ^= seed >> 12;
        seed ^= seed << 25;
        seed ^= seed >> 27;
        seed.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]
    };
    (0..len).map(byte).collect()
}

/// The shortest prefix, and then with as many operations left out as can be, that fails as well.
fn shrink(bytes: Vec<u8>) -> Vec<u8> {
    let fails = |bytes: &[u8]| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pair::run(&mut Input(bytes)))).is_err()
    };
    let mut least = bytes;
    for size in [64, 16, 8, 4, 3, 2, 1, 3, 2, 1] {
        let mut at = 0;
        while at + size <= least.len() {
            let mut less = least.clone();
            less.drain(at..at + size);
            if fails(&less) { least = less } else { at += 1 }
        }
    }
    least
}

#[test]
fn clients_that_share_a_connection_are_told_what_they_are_told_alone() {
    if let Some(file) = std::env::var_os("SESSION_INPUT") {
        let bytes = std::fs::read(file).unwrap();
        return pair::run(&mut Input(&bytes[1..]));
    }
    let seeds: u64 = std::env::var("SESSION_SEEDS").map_or(3_000, |text| text.parse().unwrap());
    for seed in 1..=seeds {
        let len = [20, 60, 200][usize::try_from(seed % 3).unwrap()];
        let bytes = generated(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), len);
        let run = || pair::run(&mut Input(&bytes));
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err() {
            std::panic::set_hook(Box::new(|_| ()));
            let least = shrink(bytes);
            drop(std::panic::take_hook());
            eprintln!("seed {seed}: {}", least.escape_ascii());
            pair::show();
            pair::run(&mut Input(&least));
        }
    }
}
