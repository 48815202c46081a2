//! The `howdah` binary: arguments in, exit code out.

use std::process::ExitCode;
use tikv_jemalloc_ctl::{Access, AsName};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long freed memory may be kept for the next allocation, in milliseconds.
const KEPT_MS: isize = 500;

fn main() -> ExitCode {
    give_memory_back();
    howdah::cli::main()
}

/// Has the allocator return freed memory to the system soon, by threads of its own: without them it looks only
/// when something is allocated, and a proxy whose clients have left allocates nothing.
fn give_memory_back() {
    let later_arenas = b"arenas.dirty_decay_ms\0"[..].name().write(KEPT_MS);
    let first_arena = b"arena.0.dirty_decay_ms\0"[..].name().write(KEPT_MS);
    let by_itself = b"background_thread\0"[..].name().write(true);
    // Where the platform cannot, memory is given back later: nothing else depends on it.
    let _as_far_as_it_goes = later_arenas.and(first_arena).and(by_itself);
}
