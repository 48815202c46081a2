//! `howdah check`: the configuration, and the servers that it names.

mod compare;
mod finding;
mod live;
mod queries;
mod tables;

pub use finding::{Finding, Status};
pub(super) use live::{BucketRanges, catalog, catalog_of_sql};

use super::config_file::ConfigFile;
use super::{EXIT_FAILED, EXIT_USAGE, output};
use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::rules::Rules;
use crate::server;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

const EXAMPLES: &str = "Examples:
  howdah check                             the file, and every server in it
  howdah check --config shop.toml --offline
  howdah check --deep                      also whether every row lies where it should
  howdah check --json | jq '.[] | select(.status == \"error\")'";

/// Arguments of `howdah check`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Check the files only, connect to no server
    #[arg(long)]
    offline: bool,
    /// Look at every row of sharded and reference tables, not at a sample
    #[arg(long, conflicts_with = "offline")]
    deep: bool,
    /// Print the findings as a JSON list
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let Some(path) = args.config.find() else { return ExitCode::from(EXIT_USAGE) };
    let config = match load(&path) {
        Ok(config) => config,
        Err(found) if args.json => {
            let findings: Vec<Finding> = found.iter().map(Finding::of_file).collect();
            return output::print(&finding::json(&findings), ExitCode::from(EXIT_USAGE));
        }
        Err(found) => {
            output::show(&found);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let (config, warnings) = config;
    let mut findings: Vec<Finding> = warnings.iter().map(Finding::of_file).collect();
    findings.push(Finding::ok("configuration", format!("{} is valid", path.display())));
    let rules = match rules(&config) {
        Ok(rules) => rules,
        Err(found) => {
            output::show(&found);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    findings.extend(rules.iter().flat_map(|(cluster, rules)| tables::about_rules(cluster, rules)));
    if !args.offline {
        let depth = if args.deep { tables::Depth::All } else { tables::Depth::Sample };
        match live::check(&config, &rules, depth) {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(Finding::error("servers", error.to_string())),
        }
    }
    let has_errors = findings.iter().any(|finding| finding.status == Status::Error);
    let exit = if has_errors { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS };
    let text = if args.json { finding::json(&findings) } else { finding::lines(&findings) };
    output::print(&text, exit)
}

/// The rules of each cluster, by its name.
fn rules(config: &Config) -> Result<BTreeMap<String, Arc<Rules>>, Vec<Diagnostic>> {
    config
        .clusters
        .values()
        .map(|cluster| Ok((cluster.name.clone(), server::cluster_rules(cluster)?)))
        .collect()
}

/// Reads and checks a configuration.
pub(super) fn load(path: &std::path::Path) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    let loaded = config::load(path)?;
    let mut found = loaded.warnings;
    found.extend(server::check_settings(&loaded.config));
    if found.iter().any(Diagnostic::is_error) { Err(found) } else { Ok((loaded.config, found)) }
}
