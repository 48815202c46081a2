//! `[[hba]]`.

use super::{Context, address};
use crate::config::model::{
    ADMIN_DATABASE, ANY_DATABASE, AddressSet, Cluster, HbaClientCert, HbaConnection, HbaMethod, HbaRule,
    Listener, ListenerTls, NameSet, User,
};
use crate::config::raw::{RawClientCert, RawHba, RawHbaMethod, RawHbaType, RawList};
use crate::diagnostic::At;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What rules may speak of.
pub(super) struct Known<'a> {
    pub(super) users: &'a BTreeMap<String, Arc<User>>,
    pub(super) clusters: &'a BTreeMap<String, Arc<Cluster>>,
    pub(super) listeners: &'a [Listener],
    pub(super) has_auth_query: bool,
}

impl Known<'_> {
    fn has_client_ca(&self) -> bool {
        let has = |tls: &ListenerTls| matches!(tls, ListenerTls::Enabled { client_ca: Some(_), .. });
        self.listeners.iter().any(|listener| has(&listener.tls))
    }
}

impl Context<'_> {
    pub(super) fn hba(&mut self, raw: Vec<At<RawHba>>, known: &Known<'_>) -> Vec<HbaRule> {
        if raw.is_empty() {
            return default_rules();
        }
        raw.into_iter().filter_map(|rule| self.hba_rule(rule, known)).collect()
    }

    fn hba_rule(&mut self, raw: At<RawHba>, known: &Known<'_>) -> Option<HbaRule> {
        let line = self.source.place(raw.span()).line;
        let raw = raw.into_inner();
        let connection = raw.connection.as_ref().map_or(RawHbaType::Host, |connection| *connection.get());
        if let (RawHbaType::Local, Some(address)) = (connection, &raw.address) {
            self.error(
                address.span(),
                "`address` in a rule of type \"local\"",
                "no address for Unix sockets",
            );
        }
        let addresses = self.addresses(raw.address);
        self.names_are_known(raw.user.as_ref(), known);
        let databases = self.database_set(raw.database, known);
        let users = name_set(raw.user);
        let method = raw.method?;
        let client_cert = self.client_cert(raw.clientcert.as_ref(), connection, *method.get(), known);
        if *method.get() == RawHbaMethod::Cert {
            if !known.has_client_ca() {
                let found = "the method \"cert\" needs a listener whose tls has `client_ca`; none has";
                self.error(method.span(), found, "a `client_ca`, or another method");
            }
            if matches!(connection, RawHbaType::Local | RawHbaType::Hostnossl) {
                self.error(
                    method.span(),
                    "the method \"cert\" on connections without TLS",
                    "type \"hostssl\" or \"host\"",
                );
            }
        }
        Some(HbaRule {
            connection: match connection {
                RawHbaType::Host => HbaConnection::Host,
                RawHbaType::Hostssl => HbaConnection::HostSsl,
                RawHbaType::Hostnossl => HbaConnection::HostNoSsl,
                RawHbaType::Local => HbaConnection::Local,
            },
            databases,
            users,
            addresses,
            method: match method.get() {
                RawHbaMethod::Trust => HbaMethod::Trust,
                RawHbaMethod::Reject => HbaMethod::Reject,
                RawHbaMethod::ScramSha256 => HbaMethod::ScramSha256,
                RawHbaMethod::Md5 => HbaMethod::Md5,
                RawHbaMethod::Password => HbaMethod::Password,
                RawHbaMethod::Cert => HbaMethod::Cert,
            },
            client_cert,
            line,
        })
    }

    /// As in pg_hba.conf: `clientcert` is for connections with TLS, and the method `cert` looks at the name anyway.
    fn client_cert(
        &mut self,
        raw: Option<&At<RawClientCert>>,
        connection: RawHbaType,
        method: RawHbaMethod,
        known: &Known<'_>,
    ) -> HbaClientCert {
        let Some(raw) = raw else { return HbaClientCert::NotAsked };
        if connection != RawHbaType::Hostssl {
            let found = "`clientcert` in a rule for connections without TLS";
            self.error(raw.span(), found, "type \"hostssl\", or no `clientcert`");
        } else if !known.has_client_ca() {
            let found = "`clientcert` needs a listener whose tls has `client_ca`; none has";
            self.error(raw.span(), found, "a `client_ca`, or no `clientcert`");
        }
        match raw.get() {
            RawClientCert::VerifyCa if method == RawHbaMethod::Cert => {
                let found = "`clientcert` \"verify-ca\" with the method \"cert\", which asks for more";
                self.error(raw.span(), found, "\"verify-full\", or no `clientcert`");
                HbaClientCert::VerifyFull
            }
            RawClientCert::VerifyCa => HbaClientCert::VerifyCa,
            RawClientCert::VerifyFull => HbaClientCert::VerifyFull,
        }
    }

    /// Names that mean something else in pg_hba.conf, and would match nothing here.
    fn not_special(&mut self, raw: &At<RawList>, special: &[&str]) {
        let is_special =
            |name: &&String| special.contains(&name.as_str()) || name.starts_with(['+', '@', '/']);
        for name in items(raw.get()).iter().filter(is_special) {
            let found = format!("{name:?}, which in pg_hba.conf stands for others");
            self.error(raw.span(), found, "each by its name, or \"all\"");
        }
    }

    fn addresses(&mut self, raw: Option<At<RawList>>) -> AddressSet {
        let Some(raw) = raw else { return AddressSet::All };
        let mut ranges = Vec::new();
        for text in items(raw.get()) {
            match address::range(text) {
                _ if text == "all" => return AddressSet::All,
                Ok(range) => ranges.push(range),
                Err(wrong) => {
                    let allowed = "\"10.0.0.0/8\", \"192.168.1.7\", \"::1\", \"fe80::/10\" or \"all\"";
                    self.error(raw.span(), format!("{text:?}: {wrong}"), allowed);
                }
            }
        }
        self.not_empty(&raw, "address");
        AddressSet::Only(ranges)
    }

    /// An empty list would match nothing, which nobody means.
    fn not_empty(&mut self, raw: &At<RawList>, key: &str) {
        if items(raw.get()).is_empty() {
            self.error(raw.span(), format!("`{key}` is an empty list"), "\"all\", or at least one");
        }
    }

    fn names_are_known(&mut self, raw: Option<&At<RawList>>, known: &Known<'_>) {
        let Some(raw) = raw else { return };
        self.not_empty(raw, "user");
        self.not_special(raw, &[]);
        for name in items(raw.get()) {
            if name != "all" && !known.users.contains_key(name) && !known.has_auth_query {
                let found = format!("the rule names the user {name:?}, which no [[user]] defines");
                let warning = self.source.warning(raw.span(), found);
                self.push(warning.suggest(name, known.users.keys().map(String::as_str)));
            }
        }
    }

    fn database_set(&mut self, raw: Option<At<RawList>>, known: &Known<'_>) -> NameSet {
        if let Some(raw) = &raw {
            self.not_empty(raw, "database");
            self.not_special(raw, &["samerole", "samegroup"]);
            let is_known = |name: &str| {
                matches!(name, "all" | "sameuser")
                    || name == ADMIN_DATABASE
                    || known.clusters.contains_key(name)
                    || known.clusters.contains_key(ANY_DATABASE)
            };
            for name in items(raw.get()).iter().filter(|name| !is_known(name)) {
                let found = format!("the rule names the database {name:?}, which no [[cluster]] defines");
                let warning = self.source.warning(raw.span(), found);
                self.push(warning.suggest(name, known.clusters.keys().map(String::as_str)));
            }
        }
        name_set(raw)
    }
}

/// Without any rule: everybody proves themselves by SCRAM.
fn default_rules() -> Vec<HbaRule> {
    let rule = |connection| HbaRule {
        connection,
        databases: NameSet::All,
        users: NameSet::All,
        addresses: AddressSet::All,
        method: HbaMethod::ScramSha256,
        client_cert: HbaClientCert::NotAsked,
        line: 0,
    };
    vec![rule(HbaConnection::Host), rule(HbaConnection::Local)]
}

fn items(list: &RawList) -> &[String] {
    match list {
        RawList::One(one) => std::slice::from_ref(one),
        RawList::Many(many) => many,
    }
}

fn name_set(raw: Option<At<RawList>>) -> NameSet {
    match raw {
        Some(raw) if !items(raw.get()).iter().any(|name| name == "all") => {
            NameSet::Only(items(raw.get()).to_vec())
        }
        _ => NameSet::All,
    }
}
