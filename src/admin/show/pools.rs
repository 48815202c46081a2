//! SHOW POOLS, SHOW SHARDS and SHOW DATABASES.

use super::super::Admin;
use super::super::table::{Column, Row, Value, int4, text};
use crate::config::Cluster;
use crate::frontend::ClientHandle;
use crate::pool::ServerPool;
use crate::session::Pooling;
use crate::topology::Database;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// PgBouncer's sixteen, then how many shards the row sums.
pub const POOLS: [Column; 17] = [
    text("database"),
    text("user"),
    int4("cl_active"),
    int4("cl_waiting"),
    int4("cl_active_cancel_req"),
    int4("cl_waiting_cancel_req"),
    int4("sv_active"),
    int4("sv_active_cancel"),
    int4("sv_being_canceled"),
    int4("sv_idle"),
    int4("sv_used"),
    int4("sv_tested"),
    int4("sv_login"),
    int4("maxwait"),
    int4("maxwait_us"),
    text("pool_mode"),
    int4("shards"),
];

/// The pools one by one: all our own.
pub const SHARDS: [Column; 14] = [
    text("database"),
    text("user"),
    text("shard"),
    text("host"),
    int4("port"),
    int4("pool_size"),
    int4("sv_active"),
    int4("sv_idle"),
    int4("sv_login"),
    int4("cl_waiting"),
    int4("maxwait"),
    int4("maxwait_us"),
    int4("paused"),
    text("last_failure"),
];

/// PgBouncer's thirteen, then the shard.
pub const DATABASES: [Column; 14] = [
    text("name"),
    text("host"),
    int4("port"),
    text("database"),
    text("force_user"),
    int4("pool_size"),
    int4("min_pool_size"),
    int4("reserve_pool"),
    text("pool_mode"),
    int4("max_connections"),
    int4("current_connections"),
    int4("paused"),
    int4("disabled"),
    text("shard"),
];

/// Server connections and waiting clients of one or more pools.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    active: u32,
    idle: u32,
    /// Being opened, or being closed.
    login: u32,
    waiting: u32,
    max_wait: Duration,
}

impl Counts {
    fn of(pool: &ServerPool) -> Self {
        let gate = pool.gate();
        let manager = pool.manager();
        let logged_in = u32::try_from(manager.connections().len()).unwrap_or(u32::MAX);
        let idle = pool.idle().min(logged_in);
        Counts {
            active: logged_in - idle,
            idle,
            login: manager.open().saturating_sub(logged_in),
            waiting: gate.waiting,
            max_wait: gate.oldest.map(|since| Instant::now() - since).unwrap_or_default(),
        }
    }

    fn plus(self, other: Self) -> Self {
        Counts {
            active: self.active + other.active,
            idle: self.idle + other.idle,
            login: self.login + other.login,
            waiting: self.waiting + other.waiting,
            max_wait: self.max_wait.max(other.max_wait),
        }
    }

    fn max_wait(self) -> [Value; 2] {
        [self.max_wait.as_secs().into(), self.max_wait.subsec_micros().into()]
    }
}

/// The rows of SHOW POOLS: one per database and user, all shards together.
pub fn pools(admin: &Admin) -> Vec<Row> {
    let clients = admin.service.registry.list();
    let databases = admin.service.directory.databases();
    databases.iter().map(|database| pool_row(database, &clients)).collect()
}

fn pool_row(database: &Database, clients: &[Arc<ClientHandle>]) -> Row {
    let counts =
        database.pools.iter().map(|pool| Counts::of(pool)).fold(Counts::default(), |sum, one| sum.plus(one));
    let own = |client: &ClientHandle| {
        client.pools.is_some() && client.database == database.name && client.user == database.user
    };
    // As PgBouncer counts: whoever does not wait, idle clients too.
    let not_waiting = clients.iter().filter(|c| own(c) && !c.is_waiting.load(Ordering::Relaxed)).count();
    let none = || Value::from(0_u32);
    let [max_wait, max_wait_us] = counts.max_wait();
    vec![
        database.name.as_ref().into(),
        database.user.as_ref().into(),
        not_waiting.into(),
        counts.waiting.into(),
        none(),
        none(),
        counts.active.into(),
        none(),
        none(),
        counts.idle.into(),
        none(),
        none(),
        counts.login.into(),
        max_wait,
        max_wait_us,
        mode(database.pooling).into(),
        database.pools.len().into(),
    ]
}

/// The pooling mode's name.
fn mode(pooling: Pooling) -> &'static str {
    match pooling {
        Pooling::Transaction => "transaction",
        Pooling::Session => "session",
        Pooling::Statement => "statement",
    }
}

/// The rows of SHOW SHARDS.
pub fn shards(admin: &Admin) -> Vec<Row> {
    let databases = admin.service.directory.databases();
    let row = |database: &Database, pool: &ServerPool| {
        let counts = Counts::of(pool);
        let target = pool.manager().target();
        let [max_wait, max_wait_us] = counts.max_wait();
        vec![
            database.name.as_ref().into(),
            database.user.as_ref().into(),
            pool.shard.as_ref().into(),
            target.host.as_ref().into(),
            u32::from(target.port).into(),
            pool.options().size.into(),
            counts.active.into(),
            counts.idle.into(),
            counts.login.into(),
            counts.waiting.into(),
            max_wait,
            max_wait_us,
            u32::from(pool.gate().is_paused).into(),
            pool.manager().last_failure().into(),
        ]
    };
    databases.iter().flat_map(|database| database.pools.iter().map(move |pool| row(database, pool))).collect()
}

/// The rows of SHOW DATABASES: one per configured cluster and shard.
pub fn databases(admin: &Admin) -> Vec<Row> {
    let config = admin.store.current();
    let databases = admin.service.directory.databases();
    config.clusters.values().flat_map(|cluster| database_rows(admin, cluster, &databases)).collect()
}

fn database_rows(admin: &Admin, cluster: &Cluster, databases: &[Arc<Database>]) -> Vec<Row> {
    let config = admin.store.current();
    let own = |database: &&Arc<Database>| {
        config.cluster_for(&database.name).is_some_and(|found| found.name == cluster.name)
    };
    let own: Vec<_> = databases.iter().filter(own).collect();
    let row = |shard: &crate::config::Shard| {
        let pools = own.iter().filter_map(|database| database.pool(shard.id));
        let open: u32 = pools.map(|pool| pool.manager().open()).sum();
        let (host, port) = match &shard.primary {
            crate::config::ServerAddress::Tcp { host, port } => (host.clone(), *port),
            crate::config::ServerAddress::Unix { directory, port } => {
                (directory.display().to_string(), *port)
            }
        };
        let database =
            shard.database.clone().or_else(|| (!cluster.is_any_database()).then(|| cluster.name.clone()));
        vec![
            cluster.name.clone().into(),
            host.into(),
            u32::from(port).into(),
            database.into(),
            Value::Null,
            cluster.pool.size.into(),
            cluster.pool.min_idle.into(),
            0_u32.into(),
            cluster.pooling.to_string().into(),
            0_u32.into(),
            open.into(),
            u32::from(admin.service.directory.is_paused(Some(&cluster.name))).into(),
            0_u32.into(),
            shard.name.clone().into(),
        ]
    };
    cluster.shards.iter().map(|shard| row(shard)).collect()
}
