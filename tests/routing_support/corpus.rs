//! The statements of `tests/corpus/routing/`.

use crate::support::cases::{self, Case};

/// Statements that are easily answered wrongly, those first that other systems do.
pub fn traps() -> Vec<Case> {
    let texts = [include_str!("../corpus/routing/peers.txt"), include_str!("../corpus/routing/traps.txt")];
    texts.iter().flat_map(|text| cases::read(text)).collect()
}

/// Statements that must be answered.
pub fn same() -> Vec<Case> {
    cases::read(include_str!("../corpus/routing/same.txt"))
}
