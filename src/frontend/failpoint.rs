//! Places at which a test build can be made to die or to wait: HOWDAH_FAILPOINT=NAME kills the process there as
//! `kill -9` would; HOWDAH_FAILPOINT=NAME:PATH does so once the file exists, so that a test can arm it.

/// The process has come to the place of this name.
#[cfg(debug_assertions)]
pub fn reached(name: &str) {
    let Ok(armed) = std::env::var("HOWDAH_FAILPOINT") else { return };
    let (wanted, path) = match armed.split_once(':') {
        Some((wanted, path)) => (wanted, Some(path)),
        None => (armed.as_str(), None),
    };
    if wanted == name && path.is_none_or(|path| std::path::Path::new(path).exists()) {
        eprintln!("howdah: killed at the failpoint {name}");
        std::process::abort();
    }
}

/// The process has come to the place of this name.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn reached(_name: &str) {}
