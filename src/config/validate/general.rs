//! `[general]`.

use super::{Context, limit, value_or};
use crate::config::model::{General, LogFormat, User};
use crate::config::raw::{RawGeneral, RawLogFormat, RawSize};
use crate::config::units::{SIZE_ALLOWED, parse_size, show_size};
use crate::diagnostic::At;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Bounds of a client message: below, logging in would fail; above, Postgres itself refuses.
const MESSAGE_BYTES: std::ops::RangeInclusive<u64> = 16 << 10..=1 << 30;

/// Worker threads at most.
const THREADS_MAX: u16 = 1024;

impl Context<'_> {
    pub(super) fn general(&mut self, raw: RawGeneral) -> General {
        if let Some(threads) = raw.threads.as_ref().filter(|threads| *threads.get() > THREADS_MAX) {
            let found = format!("`threads` is {}", threads.get());
            self.error(threads.span(), found, format!("0 (one per core) to {THREADS_MAX}"));
        }
        if let Some(name) = &raw.cluster_name {
            self.plain_name(name, "installation");
        }
        General {
            threads: value_or(raw.threads, 0),
            cluster_name: value_or(raw.cluster_name, "howdah".to_owned()),
            admin_users: raw.admin_users.unwrap_or_default().into_iter().map(At::into_inner).collect(),
            log_format: match value_or(raw.log_format, RawLogFormat::Text) {
                RawLogFormat::Text => LogFormat::Text,
                RawLogFormat::Json => LogFormat::Json,
            },
            log_level: self.log_level(raw.log_level),
            slow_statement: self.duration_or_off(raw.slow_statement, Duration::from_secs(1)),
            login_timeout: self.duration_or_off(raw.login_timeout, MINUTE),
            drain_timeout: self.duration_or_off(raw.drain_timeout, MINUTE),
            client_limit: value_or(raw.client_limit, 10_000),
            client_limit_per_user: limit(raw.client_limit_per_user),
            client_limit_per_database: limit(raw.client_limit_per_database),
            message_bytes_max: self.message_bytes(raw.message_size_max),
            idle_client_timeout: self.duration_or_off(raw.idle_client_timeout, Duration::ZERO),
            idle_transaction_timeout: self.duration_or_off(raw.idle_transaction_timeout, Duration::ZERO),
            query_timeout: self.duration_or_off(raw.query_timeout, Duration::ZERO),
            tcp_keepalive: self.duration_or_off(raw.tcp_keepalive, MINUTE),
            plan_cache_entries: value_or(raw.plan_cache_entries, 10_000),
        }
    }

    fn log_level(&mut self, raw: Option<At<String>>) -> String {
        let Some(level) = raw else { return "info".to_owned() };
        if let Err(error) = crate::telemetry::check_filter(level.get()) {
            let levels = ["error", "warn", "info", "debug", "trace", "off"];
            let found = format!("{:?} is not a log level: {error}", level.get());
            let allowed =
                "error, warn, info, debug, trace, off, or a filter such as \"info,howdah::pool=debug\"";
            let error = self.source.error(level.span(), found).allowed(allowed);
            self.push(error.suggest(level.get(), levels));
        }
        level.into_inner()
    }

    fn message_bytes(&mut self, raw: Option<At<RawSize>>) -> u32 {
        let default = *MESSAGE_BYTES.end();
        let bytes = match &raw {
            None => default,
            Some(raw) => {
                let parsed = match raw.get() {
                    RawSize::Text(text) => parse_size(text),
                    RawSize::Bytes(bytes) => Some(*bytes),
                };
                if parsed.is_none() {
                    self.error(raw.span(), "`message_size_max` is not a size", SIZE_ALLOWED);
                } else if !parsed.is_some_and(|bytes| MESSAGE_BYTES.contains(&bytes)) {
                    let (low, high) = (show_size(*MESSAGE_BYTES.start()), show_size(default));
                    self.error(raw.span(), "`message_size_max` is out of range", format!("{low} to {high}"));
                }
                parsed.unwrap_or(default)
            }
        };
        u32::try_from(bytes).unwrap_or(1 << 30)
    }

    /// Without an auth query an admin who is no user can never log in, except under `trust`.
    pub(super) fn admins_are_users(
        &mut self,
        admins: Option<&[At<String>]>,
        users: &BTreeMap<String, Arc<User>>,
    ) {
        for admin in admins.into_iter().flatten().filter(|admin| !users.contains_key(admin.get())) {
            let found = format!("`admin_users` names {:?}, which no [[user]] defines", admin.get());
            let warning = self.source.warning(admin.span(), found);
            self.push(warning.suggest(admin.get(), users.keys().map(String::as_str)));
        }
    }
}
