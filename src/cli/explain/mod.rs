//! `howdah explain`: a statement's plan, without running it.
//!
//! The plan is made by the planner that serves clients. What differs is where the tables' columns come from: the
//! home shard, a file of SQL, or, where there is neither, assumptions that are printed with the plan.

mod assume;
mod names;
mod source;

use super::config_file::ConfigFile;
use super::{EXIT_FAILED, EXIT_USAGE, output};
use crate::catalog::{Catalog, SearchPath};
use crate::exec::Literals;
use crate::plan::explain::{self, Format};
use crate::plan::{Context, Hints, Schema, bind, plan};
use crate::rules::Rules;
use crate::sql::lexer::{Lexer, TokenKind};
use crate::sql::template::{Template, template};
use crate::sql::{Kind, Statements, scan};
use assume::Assumed;
use source::{Sought, Source};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

const EXAMPLES: &str = "Examples:
  howdah explain \"SELECT * FROM orders WHERE customer_id = 7\"    by howdah.toml and its home shard
  howdah explain --offline \"UPDATE products SET price = 1\"       asks no server
  howdah explain --schema schema.sql \"SELECT count(*) FROM orders\"
  howdah explain --rules sharding-rules --shards 3 \"SELECT * FROM orders WHERE customer_id = 7\"

Where no server is asked and no schema is given, the plan says which columns it takes the tables to have.";

/// Arguments of `howdah explain`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// The database, as clients name it [default: the first with sharding rules]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Ask no server
    #[arg(long)]
    offline: bool,
    /// Take the tables from this file, as `pg_dump --schema-only --no-owner --no-privileges` writes it: a
    /// Postgres of this machine reads it into a temporary folder
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// A folder of sharding rules, in place of a configuration
    #[arg(long, value_name = "DIR", conflicts_with_all = ["config", "database"])]
    rules: Option<PathBuf>,
    /// How many shards there are, with --rules
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    shards: u16,
    /// The search path that names are looked up in [default: what sessions start with]
    #[arg(long, value_name = "LIST")]
    search_path: Option<String>,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
    /// The statement
    #[arg(value_name = "SQL")]
    statement: String,
}

/// A search path where nobody says another.
const SEARCH_PATH: &str = "\"$user\", public";

pub(super) fn run(args: &Args) -> ExitCode {
    let sql = args.statement.as_bytes();
    let text = match one_statement(sql) {
        Ok(text) => text,
        Err(found) => {
            output::complain(&found);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let sought = Sought {
        config: &args.config,
        database: args.database.as_deref(),
        is_offline: args.offline,
        schema: args.schema.as_deref(),
        rules: args.rules.as_deref(),
        shards: args.shards,
    };
    let Ok(found) = source::find(&sought) else { return ExitCode::from(EXIT_USAGE) };
    let explain = Explain {
        text,
        rules: Arc::new(found.rules),
        path: args.search_path.as_deref(),
        allows_hints: found.allows_hints,
        is_json: args.json,
    };
    let explained = match found.source {
        Source::Catalog(catalog) => Ok(explain.by_catalog(*catalog)),
        Source::Rules => explain.by_rules_alone(),
    };
    match explained {
        Ok(explained) => {
            let code = if explained.is_refused { EXIT_FAILED } else { 0 };
            output::print(&(explained.lines.join("\n") + "\n"), ExitCode::from(code))
        }
        Err(unclear) => {
            output::complain(&unclear);
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// The statement of the argument; in words why it is none to be explained.
fn one_statement(sql: &[u8]) -> Result<&[u8], String> {
    let mut statements = Statements::default();
    scan(sql, true, &mut statements);
    match statements.as_slice() {
        [statement] if statement.kind == Kind::Explain => {
            Err("the statement is an EXPLAIN: give the one that it explains".to_owned())
        }
        [statement] => Ok(statement.text(sql)),
        others => Err(format!("found {} statements where one is to be explained", others.len())),
    }
}

/// A plan in words.
struct Explained {
    lines: Vec<String>,
    is_refused: bool,
}

/// What is explained, and how.
struct Explain<'a> {
    text: &'a [u8],
    rules: Arc<Rules>,
    /// The search path, where one was given.
    path: Option<&'a str>,
    allows_hints: bool,
    is_json: bool,
}

impl Explain<'_> {
    fn by_catalog(&self, catalog: Catalog) -> Explained {
        let own = catalog.database().search_path_of("").unwrap_or(SEARCH_PATH);
        let path = SearchPath::parse(self.path.unwrap_or(own), "");
        self.plan(catalog, &path)
    }

    /// Plans with the columns that the statement and the rules name, of the first type under which there is a
    /// plan.
    ///
    /// # Errors
    /// What cannot be assumed, in words.
    fn by_rules_alone(&self) -> Result<Explained, String> {
        let path = SearchPath::parse(self.path.unwrap_or(SEARCH_PATH), "");
        let mut chosen: Option<(Explained, Assumed)> = None;
        for column_type in assume::TYPES {
            let assumed = Assumed::of(self.text, &self.rules, &path, column_type)?;
            let explained = self.plan(assumed.catalog()?, &path);
            let is_refused = explained.is_refused;
            if chosen.is_none() || !is_refused {
                chosen = Some((explained, assumed));
            }
            if !is_refused {
                break;
            }
        }
        let (mut explained, assumed) = chosen.ok_or("there is no type to assume")?;
        let assumptions = assumed.lines();
        if self.is_json {
            assumptions.iter().for_each(|line| output::say(line));
        } else {
            explained.lines.extend(assumptions.into_iter().map(|line| format!("  {line}")));
        }
        Ok(explained)
    }

    fn plan(&self, catalog: Catalog, path: &SearchPath) -> Explained {
        let schema = Schema::new(Arc::clone(&self.rules), Arc::new(catalog));
        let context = Context {
            schema: &schema,
            search_path: path,
            standard_conforming_strings: true,
            hints: Hints { are_allowed: self.allows_hints, session: None },
        };
        let planned = plan(self.text, &context);
        let mut lifted = Template::default();
        template(self.text, true, &mut lifted);
        let bound = bind(&planned, &self.rules, &Literals { sql: self.text, lifted: &lifted });
        // Where parameters decide, the plan alone is shown.
        let has_parameters = Lexer::new(self.text, true).any(|token| token.kind == TokenKind::Param);
        let bound = (!has_parameters).then_some(&bound);
        let lines = explain::rows(&planned, bound, &self.rules, Format::Text);
        let is_refused = lines.first().is_some_and(|line| line.starts_with("Refused"));
        if !self.is_json {
            return Explained { lines, is_refused };
        }
        Explained { lines: explain::rows(&planned, bound, &self.rules, Format::Json), is_refused }
    }
}
