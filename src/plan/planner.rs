//! The rungs in order.

use super::locate::{Locate, Spread};
use super::mention::{self, Mentions};
use super::prune::Prune;
use super::schema::Schema;
use super::tables::{self, Uses};
use super::{
    Context, Declined, Explain, Planned, Route, Rung, Scatter, Several, Sharded, elsewhere, explain, hint,
    physical, push, utility, verify, write,
};
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::sql::plpgsql;
use crate::sql::query::{self, Kind, Names, NotRead, Statement};
use crate::sql::template::{self, Template};
use std::sync::Arc;

/// A statement being planned.
pub(super) struct Subject<'a> {
    pub(super) context: Context<'a>,
    pub(super) sql: &'a [u8],
    /// Byte where the statement proper starts: behind EXPLAIN.
    pub(super) from: usize,
    pub(super) mentions: Mentions,
    /// The template of the whole text: which literals are lifted out of it.
    pub(super) template: &'a Template,
}

/// Plans one statement (no `;` inside, but one may end it).
pub fn plan(sql: &[u8], context: &Context<'_>) -> Planned {
    let planned = with_subject(sql, context, |subject| match utility::howdah_explain(subject) {
        Some(Ok((from, format))) => {
            let inner = plan_subject(&subject.starting_at(from));
            explained(inner, format)
        }
        Some(Err(error)) => refused(error),
        None => plan_subject(subject),
    });
    debug_assert_eq!(verify::check(&planned, context.schema.rules()), Ok(()));
    planned
}

fn with_subject<T>(sql: &[u8], context: &Context<'_>, work: impl FnOnce(&Subject<'_>) -> T) -> T {
    let scs = context.standard_conforming_strings;
    let mentions = mention::read(sql, 0, scs, context.schema);
    let mut lifted = Template::default();
    template::template(sql, scs, &mut lifted);
    work(&Subject { context: *context, sql, from: 0, mentions, template: &lifted })
}

/// Whether a DO is read as a whole, and all that it runs goes to the home shard.
fn is_do_of_home(subject: &Subject<'_>) -> bool {
    let scs = subject.context.standard_conforming_strings;
    let text = subject.sql.get(subject.from..).unwrap_or_default();
    subject.mentions.word(0) == "do"
        && plpgsql::statements_of_do(text, scs).is_some_and(|statements| {
            let is_home = |inner: &Subject<'_>| {
                // What one of them defines does not change what the next ones mean: see `is_plain_definition`.
                inner.mentions.notable.is_empty()
                    && inner.mentions.declared.is_empty()
                    && utility::is_plain_definition(&inner.mentions)
                    && plan_subject(inner).route == Route::Home(subject.home())
            };
            statements.iter().all(|sql| with_subject(sql, &subject.context, is_home))
        })
}

fn explained(inner: Planned, format: explain::Format) -> Planned {
    Planned {
        tables: inner.tables.clone(),
        declined: Vec::new(),
        changes_catalog: false,
        warning: None,
        route: Route::Explain(Box::new(Explain { inner, format })),
    }
}

fn refused(error: SqlError) -> Planned {
    only(Route::Refused(Box::new(error)))
}

fn only(route: Route) -> Planned {
    Planned { route, tables: Vec::new(), declined: Vec::new(), changes_catalog: false, warning: None }
}

impl<'a> Subject<'a> {
    pub(super) fn schema(&self) -> &'a Schema {
        self.context.schema
    }

    pub(super) fn home(&self) -> ShardId {
        self.schema().rules().home()
    }

    /// The same text, with the statement proper starting at byte `from`.
    fn starting_at(&self, from: usize) -> Subject<'a> {
        let scs = self.context.standard_conforming_strings;
        Subject {
            context: self.context,
            sql: self.sql,
            from,
            mentions: mention::read(self.sql, from, scs, self.schema()),
            template: self.template,
        }
    }
}

fn plan_subject(subject: &Subject<'_>) -> Planned {
    let mut planned = plan_route(subject);
    planned.changes_catalog =
        !matches!(planned.route, Route::Refused(_)) && utility::changes_catalog(&subject.mentions);
    let is_partial = subject.schema().rules().has_sharded() && matches!(planned.route, Route::Home(_));
    planned.warning = is_partial.then(|| physical::warning(&subject.mentions)).flatten().map(Box::new);
    planned
}

fn plan_route(subject: &Subject<'_>) -> Planned {
    let rules = subject.schema().rules();
    let scs = subject.context.standard_conforming_strings;
    match hint::shard(subject.sql, scs, &subject.context.hints, rules) {
        Ok(None) => {}
        Ok(Some(shard)) => return only(Route::Home(shard)),
        Err(error) => return refused(error),
    }
    let is_spread = rules.has_sharded() || !rules.references().is_empty();
    if is_spread && is_do_of_home(subject) {
        return only(Route::Home(subject.home()));
    }
    if let Some(error) = is_spread.then(|| utility::refusal(subject)).flatten() {
        return refused(error);
    }
    if subject.mentions.notable.is_empty() && subject.mentions.declared.is_empty() {
        return match utility::shard_of_new(subject) {
            Ok(shard) => only(Route::Home(shard)),
            Err(error) => refused(error),
        };
    }
    let inner = utility::explained(&subject.mentions);
    let from = inner.unwrap_or(subject.from);
    let names = Names {
        catalog: subject.schema().catalog(),
        search_path: subject.context.search_path,
        standard_conforming_strings: scs,
    };
    let planned = match query::read(subject.sql, from, &subject.template.literals, &names) {
        Ok(Some(statement)) if elsewhere::names_unseen(subject, &statement) => {
            unread(subject, Some("it also names a table that lies on one other shard only"))
        }
        Ok(Some(statement)) => match plan_read(subject, &statement) {
            Ok(planned) => planned,
            Err(error) => refused(error),
        },
        Ok(None) => unread(subject, None),
        Err(NotRead(reason)) => unread(subject, Some(&reason)),
    };
    match (inner, &planned.route) {
        (Some(_), Route::Sharded(_)) => utility::plain_explain(subject, planned),
        _ => planned,
    }
}

/// A statement that is not read: what its names mean decides.
fn unread(subject: &Subject<'_>, reason: Option<&str>) -> Planned {
    match utility::route(subject, reason) {
        Ok(shard) => only(Route::Home(shard)),
        Err(error) => refused(error),
    }
}

fn plan_read(subject: &Subject<'_>, statement: &Statement) -> Result<Planned, SqlError> {
    if utility::hides_builtins(subject.context.search_path) {
        return Err(SqlError::refused(
            "sharded tables under a search_path that names pg_catalog behind another schema are not supported",
            "Leave pg_catalog out of search_path.",
        ));
    }
    let uses = tables::uses(subject, statement)?;
    let mut names: Vec<String> = Vec::new();
    for used in &uses.sharded {
        tables::usable(subject.schema(), used)?;
        let name = format!("{}.{}", used.relation.schema, used.relation.name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    tables::impure_operators(subject, statement)?;
    if !uses.sharded.is_empty() {
        tables::beyond_shard(statement)?;
    }
    tables::locks(statement, &uses)?;
    let mut locate = Locate::new(subject.sql, subject.schema(), statement);
    let (prune, scatter) = match &statement.kind {
        Kind::Select(query) => {
            let pushed = push::query(&mut locate, query, subject.sql);
            let prune = match pushed.is_everywhere {
                // Any shard has all rows: the home shard also has what the client keeps there.
                true if pushed.reach == Prune::Nothing => Prune::Shard(subject.home()),
                _ => pushed.reach,
            };
            (prune, pushed.scatter)
        }
        Kind::Call(call) => {
            let mut sets = Vec::new();
            let mut spread = Spread::Everywhere;
            locate.value(call, &mut spread, &mut sets);
            let set = Prune::any(sets);
            let set = if set == Prune::Nothing { Prune::Shard(subject.home()) } else { set };
            (set, Err("CALL over several shards is not supported".to_owned()))
        }
        Kind::Insert(_) | Kind::Modify(_) => {
            let reach = write::reach(subject, &mut locate, statement, &uses)?;
            (reach, Err("writes to several shards are not supported yet".to_owned()))
        }
    };
    let unused = locate.unused();
    let shards = unused.iter().map(|(shard, _)| Prune::Shard(*shard));
    let prune = if unused.is_empty() { prune } else { Prune::any(std::iter::once(prune).chain(shards)) };
    let scatter = match unused.first() {
        Some((_, name)) => scatter.and(Err(format!("\"{name}\" lies on one shard only"))),
        None => scatter,
    };
    route(subject, statement, &uses, names, prune, scatter)
}

fn route(
    subject: &Subject<'_>,
    statement: &Statement,
    uses: &Uses<'_>,
    tables: Vec<String>,
    prune: Prune,
    scatter: Result<Scatter, String>,
) -> Result<Planned, SqlError> {
    if uses.sharded.is_empty()
        && let Some(shard) = prune.fixed()
    {
        return Ok(only(Route::Home(shard.unwrap_or(subject.home()))));
    }
    let describes = describes(&prune).unwrap_or(subject.home());
    let mut declined = vec![Declined { rung: Rung::Single, reason: explain::several_reason(&prune, uses) }];
    let several = match scatter {
        Ok(scatter) => Several::Scatter(Arc::new(scatter)),
        Err(reason) => {
            declined.push(Declined { rung: Rung::Scatter, reason });
            // What is wrong whatever the shard is told as Postgres would.
            let wrong = tables::wrong(statement);
            Several::Refused(
                wrong.unwrap_or_else(|| Box::new(explain::refusal(&statement.kind, uses, &declined))),
            )
        }
    };
    let is_always_one = matches!(&prune, Prune::Nothing | Prune::Shard(_));
    if is_always_one {
        declined.clear();
    }
    let sharded = Sharded { prune, several, describes };
    Ok(Planned {
        route: Route::Sharded(Box::new(sharded)),
        tables,
        declined,
        changes_catalog: false,
        warning: None,
    })
}

/// A shard that has every table that the statement names, if one is known to.
fn describes(prune: &Prune) -> Option<ShardId> {
    match prune {
        Prune::Shard(shard) => Some(*shard),
        Prune::And(sets) | Prune::Or(sets) => sets.iter().find_map(describes),
        Prune::Group(_) | Prune::Nothing | Prune::Key { .. } | Prune::Range { .. } | Prune::Place { .. } => {
            None
        }
    }
}
