//! `[[cluster]]`, its shards and its pool.

use super::address::{self, Parts};
use super::files::Pem;
use super::{Context, pooling, value_or};
use crate::config::model::{
    ADMIN_DATABASE, ANY_DATABASE, Cluster, Maintenance, PoolSettings, Pooling, ServerAddress, ServerTls,
    ServerTlsMode, Shard,
};
use crate::config::raw::{RawCluster, RawPool, RawPooling, RawShard, RawShardTls, RawShardTlsMode};
use crate::diagnostic::At;
use crate::ids::ShardId;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

const PRIMARY_ALLOWED: &str = "\"10.0.0.5:5432\", \"db.example:5432\", \"[::1]:5432\" or a Unix socket's directory: \"/run/postgresql:5432\"";

/// The port where none is given, Postgres's.
const PORT: u16 = 5432;

impl Context<'_> {
    pub(super) fn clusters(&mut self, raw: Vec<At<RawCluster>>) -> BTreeMap<String, Arc<Cluster>> {
        if raw.is_empty() {
            let error = self.source.error(0..0, "there is no [[cluster]]: no database could be served");
            self.push(error.hint("add [[cluster]] with a name and a [[cluster.shard]]"));
        }
        let mut clusters = BTreeMap::new();
        for raw in raw {
            let table = raw.span();
            let raw = raw.into_inner();
            let Some(written) = raw.name.clone() else { continue };
            let mut fits = self.postgres_name(&written, "cluster name");
            if written.get() == ADMIN_DATABASE {
                self.error(
                    written.span(),
                    format!("a cluster called {ADMIN_DATABASE:?}"),
                    "any other name: this is the admin database",
                );
                fits = false;
            }
            let name = self.unique(&written, "cluster", &clusters).filter(|_| fits);
            let cluster = self.cluster(raw, &written, table);
            if let (Some(name), Some(cluster)) = (name, cluster) {
                clusters.insert(name, Arc::new(cluster));
            }
        }
        clusters
    }

    fn cluster(&mut self, raw: RawCluster, name: &At<String>, table: Range<usize>) -> Option<Cluster> {
        let is_any = name.get() == ANY_DATABASE;
        if is_any {
            if let Some(second) = raw.shard.get(1) {
                let allowed = "one shard: only a named cluster can be sharded";
                self.error(second.span(), "a second shard in the cluster \"*\"", allowed);
            }
            if let Some(rules) = &raw.rules {
                self.error(rules.span(), "`rules` in the cluster \"*\"", "sharding rules in a named cluster");
            }
        }
        if raw.shard.is_empty() {
            let found = format!("the cluster {:?} has no [[cluster.shard]]", name.get());
            self.error(name.span(), found, "1 to 65535 shards");
        }
        if raw.shard.len() > usize::from(u16::MAX) {
            let found = format!("the cluster {:?} has {} shards", name.get(), raw.shard.len());
            self.error(table.clone(), found, "1 to 65535 shards");
            return None;
        }
        let count = raw.shard.len();
        let shards = self.shards(raw.shard, name.get());
        let is_whole = shards.len() == count;
        let home_shard =
            raw.home_shard.map_or(Some(ShardId(0)), |home| self.home_shard(&home, &shards, is_whole));
        let rules = raw.rules.and_then(|rules| self.rules_folder(&rules));
        let maintenance = self.maintenance(raw.maintenance_user, raw.maintenance_password);
        if rules.is_some() && maintenance.is_none() {
            let warning = self.source.warning(name.span(), "sharding rules without `maintenance_user`");
            let why = "without one, where rows lie is not kept on the shards, so that only one proxy may run; add `maintenance_user = ...`";
            self.push(warning.hint(why));
        }
        Some(Cluster {
            name: name.get().clone(),
            pooling: raw
                .pooling
                .map_or(Pooling::Transaction, |mode: At<RawPooling>| pooling(mode.into_inner())),
            rules,
            home_shard: home_shard?,
            maintenance,
            hints: value_or(raw.hints, false),
            shards,
            pool: self.pool(raw.pool.map(At::into_inner).unwrap_or_default()),
        })
    }

    fn home_shard(&mut self, home: &At<String>, shards: &[Arc<Shard>], is_whole: bool) -> Option<ShardId> {
        let found = shards.iter().find(|shard| shard.name == *home.get()).map(|shard| shard.id);
        if found.is_none() && is_whole {
            let names: Vec<&str> = shards.iter().map(|shard| shard.name.as_str()).collect();
            let shown: Vec<String> = names.iter().take(20).map(|name| format!("{name:?}")).collect();
            let more = if names.len() > shown.len() { ", ..." } else { "" };
            let error = self.source.error(home.span(), format!("there is no shard {:?}", home.get()));
            let error = error.allowed(format!("{}{more}", shown.join(", ")));
            self.push(error.suggest(home.get(), names));
        }
        found
    }

    fn rules_folder(&mut self, rules: &At<String>) -> Option<PathBuf> {
        let folder = self.resolve(rules.get());
        let files = match std::fs::read_dir(&folder) {
            Ok(files) => files,
            Err(error) => {
                let found = format!("cannot read {:?}: {error}", folder.display().to_string());
                self.error(
                    rules.span(),
                    found,
                    "a folder of *.toml files; relative paths start at the configuration file",
                );
                return None;
            }
        };
        let is_toml = |path: PathBuf| path.extension().is_some_and(|extension| extension == "toml");
        if !files.flatten().any(|file| is_toml(file.path())) {
            let warning = self.source.warning(rules.span(), "the folder holds no *.toml file");
            self.push(warning.hint("without rules every table is on the home shard"));
        }
        Some(folder)
    }

    fn maintenance(
        &mut self,
        user: Option<At<String>>,
        password: Option<At<crate::config::raw::RawSecret>>,
    ) -> Option<Maintenance> {
        if let (None, Some(password)) = (&user, &password) {
            self.error(
                password.span(),
                "`maintenance_password` without `maintenance_user`",
                "both, or the user alone",
            );
        }
        let password = password.and_then(|password| self.secret(password, "maintenance_password"));
        let user = user.filter(|user| self.postgres_name(user, "user name"))?;
        Some(Maintenance { user: user.into_inner(), password })
    }

    fn shards(&mut self, raw: Vec<At<RawShard>>, cluster: &str) -> Vec<Arc<Shard>> {
        let mut names: BTreeMap<String, ()> = BTreeMap::new();
        let mut places: BTreeMap<(ServerAddress, Option<String>), String> = BTreeMap::new();
        let mut shards: Vec<Arc<Shard>> = Vec::new();
        for (number, raw) in (0u16..).zip(raw) {
            let raw = raw.into_inner();
            let name = raw.name.and_then(|name| {
                let fits = self.plain_name(&name, "a shard");
                self.unique(&name, "shard of this cluster", &names).filter(|_| fits)
            });
            names.extend(name.clone().map(|name| (name, ())));
            let database = raw.database.filter(|database| self.postgres_name(database, "database name"));
            let database = database.map(At::into_inner).or_else(|| Some(cluster.to_owned()));
            let database = database.filter(|database| database != ANY_DATABASE);
            let tls = self.shard_tls(raw.tls);
            let Some(written) = raw.primary else { continue };
            let primary = self.server_address(&written);
            let (Some(name), Some(primary), Some(tls)) = (name, primary, tls) else { continue };
            let place = (primary.clone(), database.clone());
            if let Some(other) = places.insert(place, name.clone()) {
                let found = format!("the same server and database as the shard {other:?}");
                self.error(written.span(), found, "each shard a database of its own");
            }
            shards.push(Arc::new(Shard { id: ShardId(number), name, primary, database, tls }));
        }
        shards
    }

    fn server_address(&mut self, written: &At<String>) -> Option<ServerAddress> {
        match address::split(written.get()) {
            Ok(Parts::Host(_, Some(0)) | Parts::Directory(_, Some(0))) => {
                self.error(written.span(), "the port is 0", "1 to 65535");
                None
            }
            Ok(Parts::Host(host, port)) => {
                Some(ServerAddress::Tcp { host: host.to_owned(), port: port.unwrap_or(PORT) })
            }
            Ok(Parts::Directory(directory, port)) => {
                Some(ServerAddress::Unix { directory: self.resolve(directory), port: port.unwrap_or(PORT) })
            }
            Err(wrong) => {
                self.error(written.span(), format!("{:?}: {wrong}", written.get()), PRIMARY_ALLOWED);
                None
            }
        }
    }

    fn shard_tls(&mut self, raw: Option<At<RawShardTls>>) -> Option<ServerTls> {
        let Some(raw) = raw else {
            return Some(ServerTls { mode: ServerTlsMode::Disable, root: None, identity: None });
        };
        let table = raw.span();
        let raw = raw.into_inner();
        let mode = match value_or(raw.mode, RawShardTlsMode::Prefer) {
            RawShardTlsMode::Disable => ServerTlsMode::Disable,
            RawShardTlsMode::Prefer => ServerTlsMode::Prefer,
            RawShardTlsMode::Require => ServerTlsMode::Require,
            RawShardTlsMode::VerifyCa => ServerTlsMode::VerifyCa,
            RawShardTlsMode::VerifyFull => ServerTlsMode::VerifyFull,
        };
        let verifies = matches!(mode, ServerTlsMode::VerifyCa | ServerTlsMode::VerifyFull);
        if verifies && raw.root.is_none() {
            self.error(table.clone(), "this `mode` needs `root`", "a PEM file with the authorities");
        }
        let identity = self.identity(raw.certificate, raw.key, table);
        let root = match raw.root {
            None => None,
            Some(root) => Some(self.pem(&root, Pem::Certificates)?),
        };
        Some(ServerTls { mode, root, identity })
    }

    fn pool(&mut self, raw: RawPool) -> PoolSettings {
        let default = PoolSettings::default();
        let size = value_or(raw.size, default.size);
        if let Some(min_idle) = raw.min_idle.as_ref().filter(|min_idle| *min_idle.get() > size) {
            let found = format!("`min_idle` is {}, above `size`", min_idle.get());
            self.error(min_idle.span(), found, format!("0 to {size}"));
        }
        let timeout_span = raw.connect_timeout.as_ref().map(At::span);
        let connect_timeout = self.duration(raw.connect_timeout, default.connect_timeout);
        if let (true, Some(span)) = (connect_timeout.is_zero(), timeout_span) {
            self.error(
                span,
                "`connect_timeout` is 0",
                "more than 0: a server that hangs would hold its clients",
            );
        }
        PoolSettings {
            size,
            min_idle: value_or(raw.min_idle, default.min_idle),
            max_lifetime: self.duration_or_off(raw.max_lifetime, default.max_lifetime),
            idle_timeout: self.duration_or_off(raw.idle_timeout, default.idle_timeout),
            queue_limit: value_or(raw.queue_limit, default.queue_limit),
            queue_timeout: self.duration_or_off(raw.queue_timeout, default.queue_timeout),
            connect_timeout,
            prepared_statements_max: value_or(raw.prepared_statements_max, default.prepared_statements_max),
        }
    }
}
