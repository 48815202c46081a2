//! `howdah serve`.

use super::config_file::ConfigFile;
use super::{EXIT_FAILED, EXIT_USAGE, output};
use crate::config::{self, ConfigStore};
use crate::{server, telemetry};
use std::process::ExitCode;
use std::sync::Arc;

const EXAMPLES: &str = "Examples:
  howdah serve                             ./howdah.toml, or /etc/howdah/howdah.toml
  howdah serve --config shop.toml
  HOWDAH_LOG=debug howdah serve            log more than the file says

Signals:
  SIGHUP            read the configuration again
  SIGTERM, SIGINT   let running transactions end, then exit; a second one exits at once";

/// Arguments of `howdah serve`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) fn run(args: &Args) -> ExitCode {
    if let Ok(fault) = std::env::var("HOWDAH_FAULT")
        && cfg!(debug_assertions)
        && let Err(name) = crate::fault::Fault::plant(&fault)
    {
        output::complain(&format!("HOWDAH_FAULT: there is no fault \"{name}\""));
        return ExitCode::from(EXIT_USAGE);
    }
    let Some(path) = args.config.find() else { return ExitCode::from(EXIT_USAGE) };
    let (store, warnings) = match ConfigStore::open(&path, Box::new(server::check_settings)) {
        Ok(opened) => opened,
        Err(found) => {
            output::show(&found);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let log = match telemetry::init(&store.current().general) {
        Ok(log) => Some(log),
        Err(error) => {
            output::complain(&error.to_string());
            None
        }
    };
    for warning in &warnings {
        tracing::warn!("{}", warning.one_line());
    }
    if let Err(error) = config::watch(Arc::clone(&store)) {
        tracing::warn!(%error, "changes of the configuration will not be noticed: use RELOAD");
    }
    match server::run(store, log, || (), std::future::pending()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}
