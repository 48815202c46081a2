//! Log lines: set-up and level changes.
//!
//! Whoever logs passes no literal of a statement and no secret; nothing is filtered out here.

use crate::config::{General, LogFormat, check_log_filter};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// The environment variable that overrides the configured level.
pub const LEVEL_VARIABLE: &str = "HOWDAH_LOG";

/// Changes the level of a running process.
#[derive(Clone, Debug)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
    /// Whether the level comes from [`LEVEL_VARIABLE`], which a reload does not override.
    is_fixed: bool,
}

/// The log is set up already, or something else in the process has taken it.
#[derive(Debug, thiserror::Error)]
#[error("the log is set up already")]
pub struct AlreadySetUp;

/// Sends log lines to standard error, from now on and for the whole process.
///
/// # Errors
/// [`AlreadySetUp`] the second time.
pub fn init(general: &General) -> Result<LogControl, AlreadySetUp> {
    let variable = std::env::var(LEVEL_VARIABLE).ok().filter(|filter| check_log_filter(filter).is_ok());
    let (filter, handle) = reload::Layer::new(filter(variable.as_deref().unwrap_or(&general.log_level)));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match general.log_format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let set_up = tracing_subscriber::registry().with(filter).with(lines).try_init();
    set_up.map_err(|_taken| AlreadySetUp)?;
    Ok(LogControl { filter: handle, is_fixed: variable.is_some() })
}

impl LogControl {
    /// Puts the level of a reloaded configuration in force, unless the environment fixes it.
    pub fn apply(&self, general: &General) {
        if !self.is_fixed {
            // Fails only when the log itself is gone, at the end of the process.
            drop(self.filter.reload(filter(&general.log_level)));
        }
    }
}

fn filter(text: &str) -> EnvFilter {
    EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse_lossy(text)
}
