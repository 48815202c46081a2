//! Log lines: set-up, level changes, and the line of a slow statement. Never a literal, never a secret.

use tracing_subscriber::filter::EnvFilter;

/// Checks a log filter such as `info` or `info,howdah::pool=debug`.
///
/// # Errors
/// What is wrong with it.
pub fn check_filter(filter: &str) -> Result<(), String> {
    EnvFilter::builder().parse(filter).map(|_filter| ()).map_err(|error| error.to_string())
}
