//! Which log filters are accepted.

use tracing_subscriber::filter::{EnvFilter, LevelFilter};

/// Checks a log filter: levels, or `target=level`, separated by commas.
///
/// Stricter than what tracing accepts, which takes a misspelt level for a module's name.
///
/// # Errors
/// What is wrong with it.
pub fn check_log_filter(text: &str) -> Result<(), String> {
    for part in text.split(',') {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level).trim();
        if level.parse::<LevelFilter>().is_err() || level.is_empty() {
            return Err(format!("{level:?} is no level"));
        }
    }
    EnvFilter::builder().parse(text).map(|_filter| ()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::check_log_filter;

    #[test]
    fn filters_are_levels_or_targets_with_levels() {
        for good in ["info", "off", "WARN", "info,howdah::pool=debug", "howdah=trace"] {
            assert_eq!(check_log_filter(good), Ok(()), "{good}");
        }
        for bad in ["", "inof", "info,", "howdah::pool", "howdah=loud", "info,,debug"] {
            assert!(check_log_filter(bad).is_err(), "{bad}");
        }
    }
}
