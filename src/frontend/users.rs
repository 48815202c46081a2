//! Where clients' verifiers come from: the configured users, then the auth query.

use super::authenticate::{Lookup, UserSource};
use crate::auth::Verifier;
use crate::backend::auth_query::AuthQuery;
use std::collections::HashMap;
use std::sync::Arc;

/// The users of a configuration.
#[derive(Debug, Default)]
pub struct Users {
    /// By name, from the configuration.
    pub configured: HashMap<Box<str>, Arc<Verifier>>,
    /// For everyone else.
    pub auth_query: Option<Arc<AuthQuery>>,
}

impl UserSource for Users {
    fn lookup<'a>(&'a self, user: &'a str, _database: &'a str) -> Lookup<'a> {
        if let Some(verifier) = self.configured.get(user) {
            return Lookup::Done(Some(verifier.clone()));
        }
        let Some(auth_query) = &self.auth_query else { return Lookup::Done(None) };
        match auth_query.cached(user) {
            Some(found) => Lookup::Done(found),
            None => Lookup::Pending(Box::pin(async move {
                auth_query.lookup(user).await.map_err(|error| {
                    tracing::warn!(%error, user, "auth query failed");
                    error.to_sql_error()
                })
            })),
        }
    }
}
