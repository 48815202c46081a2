//! `howdah explain`.

use super::{EXIT_FAILED, EXIT_USAGE, output};
use crate::catalog::{Catalog, SearchPath};
use crate::exec::Literals;
use crate::ids::ShardId;
use crate::plan::explain::{self, Format};
use crate::plan::{Context, Hints, Route, Schema, bind, plan};
use crate::server;
use crate::sql::lexer::{Lexer, TokenKind};
use crate::sql::template::{Template, template};
use crate::sql::{Statements, scan};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

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

pub(super) fn run(args: &Args) -> ExitCode {
    let shards: Vec<String> = (0..args.shards).map(|number| format!("s{number}")).collect();
    let rules = match server::read_rules(&args.rules, shards, ShardId(0)) {
        Ok(rules) => Arc::new(rules),
        Err(found) => {
            output::show(&found);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let schema = Schema::new(Arc::clone(&rules), Arc::new(Catalog::default()));
    let search_path = SearchPath::parse("public", "");
    let context = Context {
        schema: &schema,
        search_path: &search_path,
        standard_conforming_strings: true,
        hints: Hints::default(),
    };
    let sql = args.statement.as_bytes();
    let mut statements = Statements::default();
    scan(sql, true, &mut statements);
    let [statement] = statements.as_slice() else {
        output::complain(&format!("found {} statements where one is to be explained", statements.len()));
        return ExitCode::from(EXIT_USAGE);
    };
    let text = statement.text(sql);
    let planned = plan(text, &context);
    let mut lifted = Template::default();
    template(text, true, &mut lifted);
    let bound = bind(&planned, &rules, &Literals { sql: text, lifted: &lifted });
    // Where parameters decide, the plan alone is shown.
    let has_parameters = Lexer::new(text, true).any(|token| token.kind == TokenKind::Param);
    let bound = (!has_parameters).then_some(&bound);
    let lines = explain::rows(&planned, bound, &rules, Format::Text);
    let code = match planned.route {
        Route::Refused(_) => ExitCode::from(EXIT_FAILED),
        _ => ExitCode::SUCCESS,
    };
    output::print(&(lines.join("\n") + "\n"), code)
}
