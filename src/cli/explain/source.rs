//! Where `howdah explain` takes the rules and the tables from.

use super::super::check;
use super::super::config_file::ConfigFile;
use super::super::output;
use crate::catalog::Catalog;
use crate::config::{Cluster, Config};
use crate::ids::ShardId;
use crate::rules::{Placement, Rules};
use crate::server;
use crate::store::map_of;
use crate::throwaway::{Options, Server};
use std::path::Path;
use std::sync::Arc;

/// What the arguments say.
pub(super) struct Sought<'a> {
    pub(super) config: &'a ConfigFile,
    pub(super) database: Option<&'a str>,
    pub(super) is_offline: bool,
    pub(super) schema: Option<&'a Path>,
    pub(super) rules: Option<&'a Path>,
    pub(super) shards: u16,
}

/// What is known of the tables.
pub(super) enum Source {
    /// What a server told.
    Catalog(Box<Catalog>),
    /// What the rules say.
    Rules,
}

/// What a statement is planned by.
pub(super) struct Found {
    pub(super) rules: Rules,
    pub(super) source: Source,
    /// Whether clients may name the shard in a hint.
    pub(super) allows_hints: bool,
}

/// What was wrong has been told.
pub(super) struct Told;

/// Finds both, and says on standard error where the tables are from.
pub(super) fn find(sought: &Sought<'_>) -> Result<Found, Told> {
    let (mut rules, configured) = match sought.rules {
        Some(folder) => {
            let shards = (0..sought.shards).map(|number| format!("s{number}")).collect();
            (server::read_rules(folder, shards, ShardId(0)).map_err(|found| show(&found))?, None)
        }
        None => {
            let path = sought.config.find().ok_or(Told)?;
            let (config, _warnings) = check::load(&path).map_err(|found| show(&found))?;
            let cluster = cluster(&config, sought.database)?;
            let rules = server::cluster_rules(&cluster).map_err(|found| show(&found))?;
            (Rules::clone(&rules), Some((config, cluster)))
        }
    };
    let allows_hints = configured.as_ref().is_none_or(|(_, cluster)| cluster.hints);
    let source = match (sought.schema, configured) {
        (Some(file), _) => Source::Catalog(Box::new(of_file(file)?)),
        (None, Some((config, cluster))) if !sought.is_offline => {
            match check::catalog(&config, &cluster, sought.database) {
                Ok((catalog, ranges)) => {
                    rules = with_maps(rules, &ranges)?;
                    Source::Catalog(Box::new(catalog))
                }
                Err(found) => {
                    let what = "the tables are not known, so the plan is by the rules alone";
                    output::complain(&format!("{what}: {found}"));
                    Source::Rules
                }
            }
        }
        (None, _) => Source::Rules,
    };
    Ok(Found { rules, source, allows_hints })
}

/// The rules with the buckets where the store has them.
fn with_maps(rules: Rules, ranges: &check::BucketRanges) -> Result<Rules, Told> {
    let shards = rules.shard_names().to_vec();
    let mut wrong = None;
    let placed = rules.with_maps(|group| {
        let Placement::Hash(map) = &group.placement else { return None };
        let ranges = ranges.get(&group.name)?;
        let buckets = u32::try_from(map.buckets()).unwrap_or(u32::MAX);
        map_of(&group.name, buckets, ranges, &shards).map_err(|error| wrong = Some(error.to_string())).ok()
    });
    let placed = placed.map_err(|error| error.to_string());
    wrong.map_or(placed, Err).map_err(|found| {
        output::complain(&found);
        Told
    })
}

fn show(found: &[crate::diagnostic::Diagnostic]) -> Told {
    output::show(found);
    Told
}

/// The cluster of the database; where none is named, the first that has rules.
fn cluster(config: &Config, database: Option<&str>) -> Result<Arc<Cluster>, Told> {
    let clusters = &config.clusters;
    let found = match database {
        Some(name) => clusters.get(name).or_else(|| clusters.values().find(|one| one.is_any_database())),
        None => clusters.values().find(|one| one.rules.is_some()).or_else(|| clusters.values().next()),
    };
    found.cloned().ok_or_else(|| {
        let names: Vec<&str> = clusters.keys().map(String::as_str).collect();
        let name = database.unwrap_or_default();
        output::complain(&format!(
            "there is no database {name:?} in the configuration, only: {}",
            names.join(", ")
        ));
        Told
    })
}

/// The tables that a file of SQL makes in an empty database.
fn of_file(file: &Path) -> Result<Catalog, Told> {
    let told = |what: String| {
        output::complain(&format!("{}: {what}", file.display()));
        Told
    };
    let text = std::fs::read_to_string(file).map_err(|error| told(format!("cannot be read: {error}")))?;
    // What pg_dump writes for psql.
    let is_sql = |line: &&str| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict ");
    let sql: Vec<&str> = text.split('\n').filter(is_sql).collect();
    let server = Server::start(&Options::default()).map_err(|error| told(error.to_string()))?;
    check::catalog_of_sql(server.config("postgres"), &sql.join("\n")).map_err(told)
}
