//! What the demo says while it works: bars on a terminal, plain lines elsewhere, on standard error.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// One step at a time, each with a count of its own.
#[derive(Debug)]
pub(super) struct Progress {
    is_terminal: bool,
    bar: ProgressBar,
    text: String,
}

impl Progress {
    pub(super) fn new() -> Progress {
        Progress {
            is_terminal: std::io::stderr().is_terminal(),
            bar: ProgressBar::hidden(),
            text: String::new(),
        }
    }

    /// Begins a step of `total` parts.
    pub(super) fn begin(&mut self, text: impl Into<String>, total: u64) {
        self.text = text.into();
        if !self.is_terminal {
            say(&format!("{} ...", self.text));
            return;
        }
        let style = ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {human_pos}/{human_len}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        self.bar = ProgressBar::new(total).with_style(style.progress_chars("=> "));
        self.bar.set_message(self.text.clone());
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// Counts finished parts from elsewhere.
    pub(super) fn counter(&self) -> Counter {
        Counter(self.bar.clone())
    }

    /// Counts finished parts of the step.
    pub(super) fn advance(&self, parts: u64) {
        self.bar.inc(parts);
    }

    /// Ends the step with what was achieved.
    pub(super) fn end(&mut self, text: &str) {
        self.bar.finish_and_clear();
        say(&format!("{}: {text}", self.text));
    }
}

/// Counts parts of the step during which it was taken.
#[derive(Clone, Debug)]
pub(super) struct Counter(ProgressBar);

impl Counter {
    pub(super) fn advance(&self, parts: u64) {
        self.0.inc(parts);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Says one line. A terminal that has gone away is no reason to fail: cleaning up matters more.
pub(super) fn say(line: &str) {
    let _written = writeln!(std::io::stderr(), "{line}");
}
