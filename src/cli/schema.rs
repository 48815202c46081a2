//! `howdah schema`.

use super::output;
use crate::config;
use std::process::ExitCode;

const EXAMPLES: &str = "Examples:
  howdah schema > howdah.schema.json       for editors that complete and check TOML
  howdah schema --markdown                 the same as a reference to read";

/// Arguments of `howdah schema`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Print docs/reference/configuration.md instead
    #[arg(long)]
    markdown: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let text = if args.markdown { config::reference() } else { config::schema() };
    output::print(&text, ExitCode::SUCCESS)
}
