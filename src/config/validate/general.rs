//! `[general]`.

use super::{Context, limit, value_or};
use crate::config::model::{General, LogFormat, User};
use crate::config::raw::{RawGeneral, RawLogFormat, RawSize};
use crate::config::units::{SIZE_ALLOWED, parse_size, show_size};
use crate::diagnostic::At;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bounds of a client message: below, logging in would fail; above, Postgres itself refuses.
const MESSAGE_BYTES: std::ops::RangeInclusive<u32> = 16 << 10..=1 << 30;

impl Context<'_> {
    pub(super) fn general(&mut self, raw: RawGeneral) -> General {
        if let Some(name) = &raw.cluster_name {
            self.plain_name(name, "the installation");
        }
        let default = General::default();
        General {
            threads: value_or(raw.threads, default.threads),
            cluster_name: value_or(raw.cluster_name, default.cluster_name),
            admin_users: raw.admin_users.unwrap_or_default().into_iter().map(At::into_inner).collect(),
            log_format: match raw.log_format.map(At::into_inner) {
                None => default.log_format,
                Some(RawLogFormat::Text) => LogFormat::Text,
                Some(RawLogFormat::Json) => LogFormat::Json,
            },
            log_level: self.log_level(raw.log_level, default.log_level),
            slow_statement: self.duration_or_off(raw.slow_statement, default.slow_statement),
            login_timeout: self.duration_or_off(raw.login_timeout, default.login_timeout),
            drain_timeout: self.duration_or_off(raw.drain_timeout, default.drain_timeout),
            client_limit: value_or(raw.client_limit, default.client_limit),
            client_limit_per_user: limit(raw.client_limit_per_user),
            client_limit_per_database: limit(raw.client_limit_per_database),
            message_bytes_max: self.message_bytes(raw.message_size_max, default.message_bytes_max),
            idle_client_timeout: self.duration_or_off(raw.idle_client_timeout, default.idle_client_timeout),
            idle_transaction_timeout: self
                .duration_or_off(raw.idle_transaction_timeout, default.idle_transaction_timeout),
            query_timeout: self.duration_or_off(raw.query_timeout, default.query_timeout),
            tcp_keepalive: self.duration_or_off(raw.tcp_keepalive, default.tcp_keepalive),
            plan_cache_entries: value_or(raw.plan_cache_entries, default.plan_cache_entries),
        }
    }

    fn log_level(&mut self, raw: Option<At<String>>, default: String) -> String {
        let Some(level) = raw else { return default };
        if let Err(error) = crate::config::check_log_filter(level.get()) {
            let levels = ["error", "warn", "info", "debug", "trace", "off"];
            let found = format!("{:?} is not a log level: {error}", level.get());
            let allowed =
                "error, warn, info, debug, trace, off, or a filter such as \"info,howdah::pool=debug\"";
            let error = self.source.error(level.span(), found).allowed(allowed);
            self.push(error.suggest(level.get(), levels));
        }
        level.into_inner()
    }

    fn message_bytes(&mut self, raw: Option<At<RawSize>>, default: u32) -> u32 {
        let Some(raw) = raw else { return default };
        let parsed = match raw.get() {
            RawSize::Text(text) => parse_size(text),
            RawSize::Bytes(bytes) => Some(*bytes),
        };
        let Some(bytes) = parsed else {
            self.error(raw.span(), "`message_size_max` is not a size", SIZE_ALLOWED);
            return default;
        };
        match u32::try_from(bytes) {
            Ok(bytes) if MESSAGE_BYTES.contains(&bytes) => bytes,
            _ => {
                let [low, high] =
                    [MESSAGE_BYTES.start(), MESSAGE_BYTES.end()].map(|b| show_size(u64::from(*b)));
                let found = format!("`message_size_max` is {}", show_size(bytes));
                self.error(raw.span(), found, format!("{low} to {high}"));
                default
            }
        }
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
