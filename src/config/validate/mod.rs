//! From what is written to what is in force: defaults, meanings, cross-checks.
//!
//! Every check reports and goes on. A key that was of the wrong type or missing is `None` here and was
//! reported before, so what needs it is left out silently; the result is used only without errors.

mod address;
mod cluster;
mod files;
mod general;
mod hba;
mod listener;
mod user;
mod verifier;

use super::Environment;
use super::model::{Config, Pooling};
use super::raw::{RawConfig, RawDuration, RawPooling};
use super::units::{DURATION_ALLOWED, parse_duration};
use crate::diagnostic::{At, Diagnostic, Diagnostics, SourceText};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Checks meanings; errors and warnings go to `diagnostics`.
pub(super) fn validate(
    raw: RawConfig,
    source: &SourceText,
    path: &Path,
    environment: Environment<'_>,
    diagnostics: &mut Diagnostics,
) -> Config {
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut context = Context { source, folder, environment, diagnostics, files: Vec::new() };
    let has_auth_query = raw.auth.is_some();
    let users = context.users(raw.user);
    let general = raw.general.unwrap_or_default();
    if !has_auth_query {
        context.admins_are_users(general.admin_users.as_deref(), &users);
    }
    let general = context.general(general);
    let listeners = context.listeners(raw.listener);
    let auth_query = raw.auth.and_then(|auth| context.auth(auth));
    let clusters = context.clusters(raw.cluster);
    let known = hba::Known { users: &users, clusters: &clusters, listeners: &listeners, has_auth_query };
    let hba = context.hba(raw.hba, &known);
    let mut files = context.files;
    files.sort();
    files.dedup();
    Config { path: path.to_path_buf(), general, listeners, users, auth_query, hba, clusters, files }
}

/// What every check needs.
struct Context<'a> {
    source: &'a SourceText,
    /// Where relative paths start.
    folder: PathBuf,
    environment: Environment<'a>,
    diagnostics: &'a mut Diagnostics,
    /// Files read so far.
    files: Vec<PathBuf>,
}

impl Context<'_> {
    fn error(&mut self, span: Range<usize>, message: impl Into<String>, allowed: impl Into<String>) {
        self.push(self.source.error(span, message).allowed(allowed));
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// A path relative to the configuration file's folder.
    fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// A duration, or its default; `None` for zero, which switches it off.
    fn duration_or_off(
        &mut self,
        raw: Option<At<RawDuration>>,
        default: Option<Duration>,
    ) -> Option<Duration> {
        Some(self.duration(raw, default.unwrap_or_default())).filter(|duration| !duration.is_zero())
    }

    /// A duration, or its default.
    fn duration(&mut self, raw: Option<At<RawDuration>>, default: Duration) -> Duration {
        let Some(raw) = raw else { return default };
        let parsed = match raw.get() {
            RawDuration::Text(text) => parse_duration(text),
            RawDuration::Seconds(seconds) => parse_duration(&seconds.to_string()),
        };
        parsed.unwrap_or_else(|| {
            let found = match raw.get() {
                RawDuration::Text(text) => format!("{text:?} is not a duration, or too long"),
                RawDuration::Seconds(seconds) => format!("{seconds} seconds are too long"),
            };
            self.error(raw.span(), found, DURATION_ALLOWED);
            default
        })
    }

    /// A name that no entry before has; reports and gives `None` if one has.
    fn unique<T>(&mut self, name: &At<String>, what: &str, seen: &BTreeMap<String, T>) -> Option<String> {
        if seen.contains_key(name.get()) {
            let found = format!("there is already a {what} {:?}", name.get());
            self.error(name.span(), found, format!("each {what} once"));
            return None;
        }
        Some(name.get().clone())
    }

    /// A name in Postgres: 1 to 63 bytes without NUL.
    fn postgres_name(&mut self, name: &At<String>, what: &str) -> bool {
        let fits = (1..=63).contains(&name.get().len()) && !name.get().contains('\0');
        if !fits {
            let found = format!("{what} of {} bytes", name.get().len());
            self.error(name.span(), found, "1 to 63 bytes, as Postgres's names");
        }
        fits
    }

    /// A plain name of our own, safe in metrics and identifiers.
    fn plain_name(&mut self, name: &At<String>, what: &str) -> bool {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let fits = (1..=63).contains(&name.get().len()) && name.get().chars().all(is_plain);
        if !fits {
            let found = format!("{:?} is no name for {what}", name.get());
            self.error(name.span(), found, "1 to 63 of a-z, A-Z, 0-9, `_` and `-`");
        }
        fits
    }
}

/// The value of a key, or its default.
fn value_or<T>(raw: Option<At<T>>, default: T) -> T {
    raw.map_or(default, At::into_inner)
}

/// A limit; 0 and absence mean none.
fn limit(raw: Option<At<u32>>) -> Option<u32> {
    raw.map(At::into_inner).filter(|limit| *limit > 0)
}

fn pooling(raw: RawPooling) -> Pooling {
    match raw {
        RawPooling::Transaction => Pooling::Transaction,
        RawPooling::Session => Pooling::Session,
        RawPooling::Statement => Pooling::Statement,
    }
}
