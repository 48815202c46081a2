//! `howdah.toml`: as written ([`raw`]) → checked as a whole (`validate`) → in force (`model`).
//!
//! Loading reads the file and those it names (certificates, secrets), and reports every error at once
//! with its place. Nothing here is global: a [`Config`] is passed to whoever needs it.

mod log_filter;
mod model;
pub mod raw;
mod reload;
mod schema;
mod show;
mod units;
mod validate;
mod watch;

pub use log_filter::check_log_filter;
pub use model::*;
pub use reload::{Check, ConfigStore, Observer, ReloadReport};
pub use schema::{reference, schema};
pub use show::{Setting, settings};
pub use units::{parse_duration, parse_size, show_duration, show_size};
pub use watch::watch;

use crate::diagnostic::{Diagnostic, Diagnostics, SourceText, read_toml};
use std::path::Path;

/// The value of an environment variable; an argument so that a load is repeatable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A configuration that may be put in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What its author should look at.
    pub warnings: Vec<Diagnostic>,
}

/// Reads and checks a configuration file, with the process's environment.
///
/// # Errors
/// Every error and warning of the file, by place.
pub fn load(path: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        vec![Diagnostic::of_file(name.clone(), format!("cannot read the configuration file: {error}"))]
    })?;
    let source = match String::from_utf8(bytes) {
        Ok(text) => SourceText::new(name, text),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let source = SourceText::new(name, String::from_utf8_lossy(error.as_bytes()));
            let found = source.error(at..at + 1, "a byte that is not UTF-8");
            return Err(vec![found.allowed("TOML is UTF-8 throughout")]);
        }
    };
    parse(&source, path, &|name| std::env::var(name).ok())
}

/// Checks a configuration's text as [`load`] does; `path` is the file that relative paths start from.
///
/// # Errors
/// Every error and warning of the text, by place.
pub fn parse(
    source: &SourceText,
    path: &Path,
    environment: Environment<'_>,
) -> Result<Loaded, Vec<Diagnostic>> {
    let mut diagnostics = Diagnostics::new();
    let document = read_toml::<raw::RawConfig>(source, &mut diagnostics);
    let config = document
        .filter(|document| document.is_complete)
        .map(|document| validate::validate(document.value, source, path, environment, &mut diagnostics));
    match config {
        Some(config) if !diagnostics.has_errors() => {
            Ok(Loaded { config, warnings: diagnostics.into_sorted() })
        }
        _ => Err(diagnostics.into_sorted()),
    }
}
