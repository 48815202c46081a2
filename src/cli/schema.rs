//! `howdah schema`.

use super::output;
use crate::{config, rules};
use std::process::ExitCode;

const EXAMPLES: &str = "Examples:
  howdah schema > howdah.schema.json       for editors that complete and check TOML
  howdah schema --rules > rules.schema.json
  howdah schema --markdown                 the same as a reference to read";

/// Arguments of `howdah schema`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Print the schema of files of sharding rules
    #[arg(long)]
    rules: bool,
    /// Print docs/reference/configuration.md instead
    #[arg(long, conflicts_with = "rules")]
    markdown: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let text = match (args.rules, args.markdown) {
        (true, _) => rules::schema(),
        (false, true) => config::reference(),
        (false, false) => config::schema(),
    };
    output::print(&text, ExitCode::SUCCESS)
}
