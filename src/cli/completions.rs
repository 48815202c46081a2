//! `howdah completions`.

use super::output;
use clap_complete::Shell;
use std::process::ExitCode;

const EXAMPLES: &str = "Examples:
  howdah completions bash > /etc/bash_completion.d/howdah
  howdah completions zsh > ~/.zfunc/_howdah
  howdah completions fish > ~/.config/fish/completions/howdah.fish";

/// Arguments of `howdah completions`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &Args, command: &mut clap::Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "howdah", &mut script);
    output::print(&String::from_utf8_lossy(&script), ExitCode::SUCCESS)
}
