//! `howdah explain`.

use super::{EXIT_USAGE, output};
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "Examples:
  howdah explain --rules sharding-rules --shards 3 \"SELECT * FROM orders WHERE customer_id = 7\"
  howdah explain --rules sharding-rules \"UPDATE products SET price = 1\"";

/// Arguments of `howdah explain`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The folder of sharding rules
    #[arg(long, value_name = "DIR")]
    pub rules: PathBuf,
    /// How many shards there are
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub shards: u16,
    /// The statement
    #[arg(value_name = "SQL")]
    pub statement: String,
}

pub(super) fn run(_args: &Args) -> ExitCode {
    output::complain("this build has no planner to ask");
    ExitCode::from(EXIT_USAGE)
}
