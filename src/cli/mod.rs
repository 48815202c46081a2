//! The command line: arguments in, exit code out. Each command has a module of its own.

pub mod check;
mod completions;
mod config_file;
pub mod demo;
pub mod explain;
mod output;
mod schema;
mod serve;

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// A command found something wrong, or failed while it ran.
pub const EXIT_FAILED: u8 = 1;

/// The arguments, the configuration or the rules are wrong; nothing was done. clap uses the same code.
pub const EXIT_USAGE: u8 = 2;

const EXIT_CODES: &str = "Exit codes:
  0  done, or nothing wrong
  1  failed while running, or `check` found errors
  2  wrong arguments, configuration or sharding rules";

/// Makes many Postgres servers answer as one.
#[derive(Debug, Parser)]
#[command(name = "howdah", version, about, after_help = EXIT_CODES, propagate_version = true)]
#[command(subcommand_required = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy
    Serve(serve::Args),
    /// Run a sharded shop on throwaway Postgres servers
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(demo::Args),
    /// Check the configuration, and the servers that it names
    Check(check::Args),
    /// Show how a statement would be answered
    Explain(explain::Args),
    /// Print the JSON schema of howdah.toml or of sharding rules
    Schema(schema::Args),
    /// Print shell completions
    Completions(completions::Args),
}

const DEMO_EXAMPLES: &str = "Examples:
  howdah demo                        three shards, gone after Ctrl-C
  howdah demo --shards 5 --port 7000
  howdah demo --keep /tmp/shop       keep the data for the next time";

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => completions::run(&args, &mut Arguments::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use clap::{CommandFactory, Parser};

    #[test]
    fn arguments_are_well_formed_and_every_command_has_examples() {
        let mut command = Arguments::command();
        command.build();
        command.clone().debug_assert();
        for subcommand in command.get_subcommands().filter(|command| command.get_name() != "help") {
            let examples = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.contains("howdah "), "{}", subcommand.get_name());
        }
    }

    #[test]
    fn wrong_arguments_have_exit_code_2() {
        for wrong in [&["howdah", "srve"][..], &["howdah", "serve", "--cnfig", "x"], &["howdah", "explain"]] {
            assert_eq!(Arguments::try_parse_from(wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
        assert_eq!(Arguments::try_parse_from(["howdah", "-V"]).unwrap_err().exit_code(), 0);
    }
}
