//! The rungs in order.

use super::mention::{self, Mentions};
use super::pins::ShardedItem;
use super::schema::{Meaning, Schema, Single};
use super::{Context, Declined, Explain, Planned, Route, explain, scatter, single, utility, verify, write};
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::rules::{KeyType, Placement};
use crate::sql::analysis::{self, Analysis, Kind, Source};
use crate::sql::template::{self, Template};

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

/// A rung's answer: a plan or why it declined.
pub(super) type Answer = Result<Route, String>;

/// Plans one statement (no `;` inside, but one may end it).
pub fn plan(sql: &[u8], context: &Context<'_>) -> Planned {
    let scs = context.standard_conforming_strings;
    let mentions = mention::read(sql, 0, scs, context.schema);
    let mut lifted = Template::default();
    template::template(sql, scs, &mut lifted);
    let subject = Subject { context: *context, sql, from: 0, mentions, template: &lifted };
    let planned = match utility::howdah_explain(&subject) {
        Some(Ok((from, format))) => {
            let inner = plan_subject(&subject.starting_at(from));
            Planned {
                tables: inner.tables.clone(),
                declined: Vec::new(),
                changes_catalog: false,
                route: Route::Explain(Box::new(Explain { inner, format })),
            }
        }
        Some(Err(error)) => refused(error),
        None => plan_subject(&subject),
    };
    debug_assert_eq!(verify::check(&planned, context.schema.rules()), Ok(()));
    planned
}

fn refused(error: SqlError) -> Planned {
    Planned {
        route: Route::Refused(Box::new(error)),
        tables: Vec::new(),
        declined: Vec::new(),
        changes_catalog: false,
    }
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
    planned
}

fn plan_route(subject: &Subject<'_>) -> Planned {
    let home = || Planned {
        route: Route::Home(subject.home()),
        tables: Vec::new(),
        declined: Vec::new(),
        changes_catalog: false,
    };
    let has_sharded = subject.schema().rules().has_sharded();
    if let Some(error) = has_sharded.then(|| utility::refusal(subject)).flatten() {
        return refused(error);
    }
    if subject.mentions.notable.is_empty() {
        return home();
    }
    let inner = utility::explained(&subject.mentions);
    let from = inner.unwrap_or(subject.from);
    let scs = subject.context.standard_conforming_strings;
    match analysis::analyse(subject.sql, from, scs) {
        Ok(Some(analysis)) => {
            let mut planned = plan_analysed(subject, &analysis);
            if inner.is_some() && matches!(planned.route, Route::Scatter(_)) {
                planned.route = Route::Refused(Box::new(SqlError::refused(
                    "EXPLAIN of a statement that runs on several shards is not supported yet",
                    "EXPLAIN (howdah) shows Howdah's plan; on a shard, EXPLAIN shows Postgres's.",
                )));
            }
            planned
        }
        Ok(None) => unanalysed(subject, None),
        Err(error) => unanalysed(subject, Some(&error.0)),
    }
}

/// A statement that is not analysed: what its names mean decides.
fn unanalysed(subject: &Subject<'_>, reason: Option<&str>) -> Planned {
    let route = match utility::route(subject, reason) {
        Ok(shard) => Route::Home(shard),
        Err(error) => Route::Refused(Box::new(error)),
    };
    Planned { route, tables: Vec::new(), declined: Vec::new(), changes_catalog: false }
}

/// The tables of a statement by what they mean.
struct Tables<'a> {
    sharded: Vec<ShardedItem<'a>>,
    /// Plain tables: name and shard.
    singles: Vec<(String, ShardId)>,
}

fn plan_analysed(subject: &Subject<'_>, analysis: &Analysis) -> Planned {
    let tables = match tables(subject, analysis) {
        Ok(tables) => tables,
        Err(error) => return refused(error),
    };
    let mut names: Vec<String> = Vec::new();
    for item in &tables.sharded {
        let name = format!("{}.{}", item.table.schema, item.table.table);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut declined = Vec::new();
    let route = if tables.sharded.is_empty() {
        single_tables(subject, &tables.singles)
    } else {
        route_sharded(subject, analysis, &tables, &mut declined)
    };
    let route = route.unwrap_or_else(|error| Route::Refused(Box::new(error)));
    Planned { route, tables: names, declined, changes_catalog: false }
}

fn tables<'a>(subject: &Subject<'a>, analysis: &Analysis) -> Result<Tables<'a>, SqlError> {
    let schema = subject.schema();
    let mut tables = Tables { sharded: Vec::new(), singles: Vec::new() };
    for (level, at) in analysis.levels.iter().enumerate() {
        for (item, entry) in at.items.iter().enumerate() {
            let Source::Table(name) = &entry.source else { continue };
            let shown = name.join(".");
            match schema.resolve(subject.context.search_path, name) {
                None => tables.singles.push((shown, subject.home())),
                Some(Meaning::Single(found)) => {
                    let is_target = level == 0 && item == 0 && !matches!(analysis.kind, Kind::Select);
                    single_allowed(found, is_target)?;
                    tables.singles.push((shown, found.shard));
                }
                Some(Meaning::Blocked(reason)) => return Err(blocked(reason)),
                Some(Meaning::Reaches(how)) => {
                    return Err(SqlError::refused(
                        format!("\"{shown}\" is {how}, which is sharded; using it is not supported yet"),
                        "Use the sharded table itself, with a condition on its key.",
                    ));
                }
                Some(Meaning::Sharded(index)) => {
                    let Some(table) = schema.sharded(*index) else { continue };
                    if entry.renames_columns {
                        return Err(SqlError::refused(
                            format!(
                                "an alias that renames the columns of sharded table \"{shown}\" is not supported yet"
                            ),
                            "Leave out the list of column names behind the alias.",
                        ));
                    }
                    tables.sharded.push(ShardedItem { level, item, table });
                }
            }
        }
    }
    Ok(tables)
}

/// Why a table is not used now: proxies do not agree on where it lies.
pub(super) fn blocked(reason: &str) -> SqlError {
    SqlError::new(crate::sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, reason.to_owned())
        .with_hint("Every proxy of the cluster must have the same sharding rules; other tables can be used.")
}

/// Whether a plain table may be used, and written to where it is the target.
pub(super) fn single_allowed(found: &Single, is_target: bool) -> Result<(), SqlError> {
    let hint = "Where the cluster has sharded tables, functions of users run only if they are IMMUTABLE; declaring them in the rules comes later.";
    if let Some(reason) = &found.refuse_use {
        return Err(SqlError::refused(format!("{reason}, which may reach a sharded table"), hint));
    }
    match &found.refuse_write {
        Some(reason) if is_target => {
            Err(SqlError::refused(format!("writing is not supported yet: {reason}"), hint))
        }
        _ => Ok(()),
    }
}

/// Statements of single tables only: all on one shard, or refused.
fn single_tables(subject: &Subject<'_>, singles: &[(String, ShardId)]) -> Result<Route, SqlError> {
    let Some((first, shard)) = singles.first() else { return Ok(Route::Home(subject.home())) };
    match singles.iter().find(|(_, other)| other != shard) {
        None => Ok(Route::Home(*shard)),
        Some((second, _)) => Err(SqlError::refused(
            format!("\"{first}\" and \"{second}\" lie on different shards"),
            "Put them on one shard in the sharding rules, or ask for them one by one.",
        )),
    }
}

fn route_sharded(
    subject: &Subject<'_>,
    analysis: &Analysis,
    tables: &Tables<'_>,
    declined: &mut Vec<Declined>,
) -> Result<Route, SqlError> {
    if super::pins::hides_builtins(subject.context.search_path) {
        return Err(SqlError::refused(
            "sharded tables under a search_path that names pg_catalog behind another schema are not supported",
            "Leave pg_catalog out of search_path.",
        ));
    }
    if let Some((name, _)) = tables.singles.first() {
        let sharded = tables.sharded.first().map_or("", |item| item.table.table.as_str());
        return Err(SqlError::refused(
            format!(
                "\"{name}\" lies on one shard only: using it together with sharded table \"{sharded}\" is not supported yet"
            ),
            "Ask for them one by one; reference tables, which lie on every shard, come later.",
        ));
    }
    for item in &tables.sharded {
        usable(subject, item)?;
    }
    write::check(subject, analysis, &tables.sharded)?;
    let rung = |rung, reason| Declined { rung, reason };
    match single::route(subject, analysis, &tables.sharded) {
        Ok(route) => return Ok(route),
        Err(reason) => declined.push(rung(super::Rung::Single, reason)),
    }
    match scatter::route(subject, analysis, &tables.sharded) {
        Ok(route) => return Ok(route),
        Err(reason) => declined.push(rung(super::Rung::Scatter, reason)),
    }
    Err(explain::refusal(&analysis.kind, &tables.sharded, declined))
}

/// Whether a sharded table can be used at all.
fn usable(subject: &Subject<'_>, item: &ShardedItem<'_>) -> Result<(), SqlError> {
    let table = item.table;
    let Some(relation) = subject.schema().sharded_relation(table) else { return Ok(()) };
    let name = &table.table;
    let is_planned = subject.schema().rules().group(table.group).is_some_and(|group| {
        group.key_types == [KeyType::Int8] && matches!(group.placement, Placement::Hash(_))
    });
    if !is_planned {
        return Err(SqlError::refused(
            format!("\"{name}\" is sharded in a way that is not planned yet"),
            "Only tables sharded by the hash of one int8 key are.",
        ));
    }
    let Some(key) = relation.column(table.key()) else {
        return Err(SqlError::refused(
            format!("sharded table \"{name}\" has no column \"{}\", its sharding key", table.key()),
            "Correct the sharding rules.",
        ));
    };
    if !crate::datum::oid::is_integer(key.type_oid) {
        return Err(SqlError::refused(
            format!(
                "the sharding key \"{}\" of \"{name}\" is not a smallint, integer or bigint",
                table.key()
            ),
            "Only integer keys are supported yet.",
        ));
    }
    if key.default == crate::catalog::ColumnDefault::Generated {
        return Err(SqlError::refused(
            format!("the sharding key \"{}\" of \"{name}\" is a generated column", table.key()),
            "Make it a plain column.",
        ));
    }
    if let Some(function) = relation.calls.first() {
        return Err(SqlError::refused(
            format!("a policy or rule of sharded table \"{name}\" calls the user function {function}()"),
            "Make the function IMMUTABLE, or leave it out of the policy.",
        ));
    }
    if relation.has_rules || !relation.reads.is_empty() {
        return Err(SqlError::refused(
            format!("sharded table \"{name}\" has rewrite rules, or policies that read other tables"),
            "Remove them; they are not supported on sharded tables.",
        ));
    }
    Ok(())
}
