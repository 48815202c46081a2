//! `howdah demo`.

use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `howdah demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Port on 127.0.0.1 that Howdah listens on; 0 takes a free one
    #[arg(long, default_value_t = 6432)]
    pub port: u16,
    /// How many Postgres servers the shop is spread over
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub shards: u16,
    /// Keep the data in DIR, and use them again at the next start with it
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// Refuses: this build has no demo.
pub fn run(_args: &Args) -> ExitCode {
    super::output::complain("this build has no demo");
    ExitCode::from(super::EXIT_USAGE)
}
