//! Text to standard output and standard error. A reader that has gone away is not an error.

use super::EXIT_FAILED;
use crate::diagnostic::Diagnostic;
use std::io::{self, Write};
use std::process::ExitCode;

/// Writes to standard output; `success` unless that fails.
pub(super) fn print(text: &str, success: ExitCode) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("cannot write to standard output: {error}"));
            ExitCode::from(EXIT_FAILED)
        }
        _ => success,
    }
}

/// Writes a line to standard error.
pub(super) fn say(text: &str) {
    // Nobody is left to tell when this fails.
    let _ignored = writeln!(io::stderr().lock(), "{text}");
}

/// Writes an error to standard error.
pub(super) fn complain(text: &str) {
    say(&format!("howdah: {text}"));
}

/// Writes findings about a file to standard error, and how many errors there are.
pub(super) fn show(found: &[Diagnostic]) {
    for diagnostic in found {
        say(&format!("{diagnostic}\n"));
    }
    let errors = found.iter().filter(|diagnostic| diagnostic.is_error()).count();
    match errors {
        0 => {}
        1 => complain("the configuration has 1 error"),
        _ => complain(&format!("the configuration has {errors} errors")),
    }
}
