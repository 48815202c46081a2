//! `[[user]]` and `[auth]`.

use super::verifier::{self, Kind};
use super::{Context, pooling, value_or};
use crate::config::model::{AuthQuery, Credential, Secret, User};
use crate::config::raw::{RawAuth, RawSecret, RawUser};
use crate::diagnostic::At;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const AUTH_QUERY: &str = "SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1";

impl Context<'_> {
    pub(super) fn users(&mut self, raw: Vec<At<RawUser>>) -> BTreeMap<String, Arc<User>> {
        let mut users = BTreeMap::new();
        for raw in raw {
            let raw = raw.into_inner();
            let Some(written) = raw.name.clone() else { continue };
            let fits = self.postgres_name(&written, "user name");
            let name = self.unique(&written, "user", &users).filter(|_| fits);
            let user = self.user(raw, written.into_inner());
            if let Some(name) = name {
                users.insert(name, Arc::new(user));
            }
        }
        users
    }

    fn user(&mut self, raw: RawUser, name: String) -> User {
        if let (Some(_), Some(verifier)) = (&raw.password, &raw.verifier) {
            self.error(verifier.span(), "`verifier` together with `password`", "one of them");
        }
        let password = raw.password.and_then(|password| self.secret(password, "password"));
        let credential = match (&password, raw.verifier) {
            (Some(password), _) => Credential::Password(password.clone()),
            (None, Some(verifier)) => self.verifier(verifier),
            (None, None) => Credential::None,
        };
        let server_password = raw.server_password.and_then(|secret| self.secret(secret, "server_password"));
        User {
            name,
            credential,
            server_password: server_password.or(password),
            client_limit: raw.client_limit.map(|limit| Some(limit.into_inner()).filter(|limit| *limit > 0)),
            pool_size: raw.pool_size.map(At::into_inner),
            pooling: raw.pooling.map(|mode| pooling(mode.into_inner())),
        }
    }

    fn verifier(&mut self, raw: At<RawSecret>) -> Credential {
        let span = raw.span();
        let Some(verifier) = self.secret(raw, "verifier") else { return Credential::None };
        match verifier::kind(verifier.expose()) {
            Ok(Kind::Scram) => Credential::Scram(verifier),
            Ok(Kind::Md5) => Credential::Md5(verifier),
            Err(wrong) => {
                let allowed = "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey> or md5<32 hex digits>, as in pg_authid";
                self.error(span, format!("`verifier` is not a verifier: {wrong}"), allowed);
                Credential::None
            }
        }
    }

    pub(super) fn auth(&mut self, raw: At<RawAuth>) -> Option<Arc<AuthQuery>> {
        let raw = raw.into_inner();
        if let Some(query) = raw.auth_query.as_ref().filter(|query| !query.get().contains("$1")) {
            self.error(query.span(), "`auth_query` has no $1", "a query with $1 for the user's name");
        }
        let password: Option<Secret> =
            raw.auth_password.and_then(|password| self.secret(password, "auth_password"));
        let ttl = self.duration(raw.auth_query_ttl, Duration::from_secs(60));
        let user = raw.auth_user.filter(|user| self.postgres_name(user, "user name"))?;
        let query = value_or(raw.auth_query, AUTH_QUERY.to_owned());
        Some(Arc::new(AuthQuery { query, user: user.into_inner(), password, ttl }))
    }
}
