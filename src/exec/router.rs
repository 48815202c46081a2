//! Plans of one database's statements, kept by template; and the schema that they are made against.

use crate::backend::ServerConnection;
use crate::backend::query::{self, QueryError};
use crate::catalog::{Catalog, LOAD_SQL, SearchPath};
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::plan::{self, Context, Hints, Param, Planned, Schema, Values};
use crate::rules::Rules;
use crate::session::settings::{KNOWN, Settings};
use crate::sql::Statement;
use crate::sql::settings::{
    ConfigCall, ConfigValue, SettingCommand, SettingValue, parse_set_config, parse_setting, quote_identifier,
};
use crate::sql::template::{Literal, LiteralKind, Template, template};
use crate::store::Snapshot;
use arc_swap::ArcSwapOption;
use moka::sync::Cache;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A catalog older than this is read again before it is used: changes made beside Howdah are seen.
const CATALOG_AGE_MAX: Duration = Duration::from_secs(5);
/// A catalog that could not be read anew serves for as long before that is tried again.
const CATALOG_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Reading it takes no longer.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Why the catalog could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// The server's or the connection's trouble.
    #[error("cannot read the catalog: {0}")]
    Query(#[from] QueryError),
    /// The catalog's rows make no sense.
    #[error("cannot read the catalog: {0}")]
    Rows(String),
}

/// Rules and catalog as of one moment.
#[derive(Debug)]
struct Loaded {
    schema: Arc<Schema>,
    default_path: Box<str>,
    source: Source,
    version: u64,
}

/// Where rules and catalog come from, and so until when they hold.
#[derive(Debug)]
enum Source {
    /// Read on a client's own connection: as of this schema epoch, and this moment.
    Own { epoch: u64, read_at: Instant },
    /// The cluster's view: while its snapshot is the present one.
    View,
}

/// The plans of one database, for one user.
///
/// Under a cluster's view a router is of one snapshot, and another takes its place with the next.
#[derive(Debug)]
pub struct Router {
    rules: Arc<Rules>,
    user: Box<str>,
    /// By shard; empty where every shard may be used.
    usable: Box<[bool]>,
    loaded: ArcSwapOption<Loaded>,
    failed_at: ArcSwapOption<Instant>,
    plans: Cache<Box<[u8]>, Arc<Planned>>,
}

/// A statement with its plan, as a prepared statement keeps it.
#[derive(Clone, Debug)]
pub struct PlannedStatement {
    /// The plan.
    pub planned: Arc<Planned>,
    /// The statement's text, to which literals point.
    pub sql: Box<[u8]>,
    /// The places of the literals.
    pub literals: Vec<std::ops::Range<usize>>,
    /// Parameter types as the client declared them.
    pub types: Vec<u32>,
    /// The version of rules and catalog that it was planned against.
    pub version: u64,
    /// The settings that it was planned under.
    pub settings: Arc<Settings>,
    /// What the lexer says of it, if it is one statement.
    pub scanned: Option<Statement>,
    /// The whole text that was parsed, of which `sql` is the statement.
    pub source: Box<[u8]>,
}

/// The last simple query of a client, with its plan: the next one is most often the same but for numbers.
#[derive(Clone, Debug)]
pub struct Memo {
    /// The plan.
    pub planned: Arc<Planned>,
    /// What the lexer says of it.
    pub scanned: Statement,
    sql: Vec<u8>,
    literals: Vec<std::ops::Range<usize>>,
    version: u64,
    settings: Arc<Settings>,
}

impl Memo {
    /// Of a query that is one statement whose lifted literals are all plain small integers; `None` for
    /// others.
    pub fn new(
        sql: &[u8],
        scanned: Statement,
        lifted: &Template,
        (planned, version): (Arc<Planned>, u64),
        settings: &Arc<Settings>,
    ) -> Option<Memo> {
        let is_whole = scanned.start == 0 && sql.len() < 4096;
        let is_small = |literal: &Literal| {
            literal.kind == LiteralKind::Int4
                && sql.get(literal.start..literal.end).is_some_and(|text| text.iter().all(u8::is_ascii_digit))
        };
        (is_whole && planned.warning.is_none() && lifted.literals.iter().all(is_small)).then(|| Memo {
            planned,
            scanned,
            sql: sql.to_vec(),
            literals: lifted.literals.iter().map(|literal| literal.start..literal.end).collect(),
            version,
            settings: Arc::clone(settings),
        })
    }

    /// The places of the literals of `sql`, where it is this query but for the numbers' digits.
    ///
    /// The bytes around the numbers are the same, and a number stays one of up to nine digits: so the
    /// tokens are the same, and with them the template.
    pub fn literals_of(&self, sql: &[u8], version: u64, settings: &Arc<Settings>) -> Option<Spans> {
        if self.version != version || !Arc::ptr_eq(&self.settings, settings) {
            return None;
        }
        let mut spans = Spans::new();
        let (mut mine, mut theirs) = (0, 0);
        for literal in &self.literals {
            let between = self.sql.get(mine..literal.start)?;
            let rest = sql.get(theirs..)?.strip_prefix(between)?;
            theirs += between.len();
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 || digits > 9 {
                return None;
            }
            spans.push(theirs..theirs + digits);
            theirs += digits;
            mine = literal.end;
        }
        (sql.get(theirs..)? == self.sql.get(mine..)?).then_some(spans)
    }
}

/// Places of literals.
pub type Spans = SmallVec<[std::ops::Range<usize>; 4]>;

/// A query's literals by their places.
#[derive(Debug)]
pub(crate) struct Spanned<'a> {
    pub(crate) sql: &'a [u8],
    pub(crate) spans: &'a [std::ops::Range<usize>],
}

impl Values for Spanned<'_> {
    fn literal(&self, index: usize) -> Option<&[u8]> {
        self.sql.get(self.spans.get(index)?.clone())
    }

    fn param(&self, _number: usize) -> Option<Param<'_>> {
        None
    }
}

impl Router {
    /// Without a catalog yet; at most `plans_max` plans are kept.
    pub fn new(rules: Arc<Rules>, user: &str, plans_max: u64) -> Self {
        Router {
            rules,
            user: user.into(),
            usable: Box::default(),
            loaded: ArcSwapOption::empty(),
            failed_at: ArcSwapOption::empty(),
            plans: Cache::new(plans_max),
        }
    }

    /// Of a snapshot of the cluster's view. Where the snapshot does not tell the user's search_path,
    /// [`Router::load_path`] has to.
    pub fn of_snapshot(snapshot: &Snapshot, user: &str, plans_max: u64) -> Self {
        let usable = snapshot.usable_shards();
        let router = Router { usable, ..Router::new(Arc::clone(&snapshot.rules), user, plans_max) };
        if let Some(path) = snapshot.schema.catalog().database().search_path_of(user) {
            router.set_path(snapshot, path);
        }
        router
    }

    fn set_path(&self, snapshot: &Snapshot, path: &str) {
        self.loaded.store(Some(Arc::new(Loaded {
            schema: Arc::clone(&snapshot.schema),
            default_path: path.into(),
            source: Source::View,
            version: snapshot.version,
        })));
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether the catalog is as of this schema epoch, and not too old; or there is one, and reading it anew
    /// has just failed.
    pub fn is_current(&self, epoch: u64) -> bool {
        self.version_if_current(epoch, Instant::now()).is_some()
    }

    /// The version of rules and catalog, if [`Self::is_current`] at this moment.
    pub fn version_if_current(&self, epoch: u64, now: Instant) -> Option<u64> {
        let loaded = self.loaded.load();
        let loaded = loaded.as_ref()?;
        let is_current = match loaded.source {
            Source::Own { epoch: of, read_at } => {
                let age = now.saturating_duration_since(read_at);
                (of == epoch && age < CATALOG_AGE_MAX) || self.has_just_failed(now)
            }
            Source::View => false,
        };
        is_current.then_some(loaded.version)
    }

    #[cold]
    fn has_just_failed(&self, now: Instant) -> bool {
        let failed_at = self.failed_at.load();
        failed_at.as_ref().is_some_and(|at| now.saturating_duration_since(**at) < CATALOG_RETRY_AFTER)
    }

    /// Whether a shard is known to be the one that the configuration says.
    #[inline]
    pub fn may_use(&self, shard: ShardId) -> bool {
        self.usable.get(shard.index()).is_none_or(|usable| *usable)
    }

    /// Changes with any setting that a role or database brings along.
    pub fn defaults_digest(&self) -> Option<String> {
        let loaded = self.loaded.load();
        loaded.as_ref().and_then(|loaded| loaded.schema.catalog().database().defaults_digest.clone())
    }

    /// The version of rules and catalog; 0 before the first.
    pub fn version(&self) -> u64 {
        self.loaded.load().as_ref().map_or(0, |loaded| loaded.version)
    }

    /// Reads the catalog on a connection to the home shard that nobody uses at the moment. `others` are those of
    /// [`Rules::shards_of_single_tables`], as far as they could be read.
    ///
    /// # Errors
    /// See [`RouterError`]; the catalog before stays in use.
    pub async fn load(
        &self,
        connection: &mut ServerConnection,
        others: Vec<(ShardId, Arc<Catalog>)>,
        epoch: u64,
    ) -> Result<(), RouterError> {
        let outcome = self.read(connection, others, epoch).await;
        self.failed_at.store(outcome.is_err().then(|| Arc::new(Instant::now())));
        outcome
    }

    async fn read(
        &self,
        connection: &mut ServerConnection,
        others: Vec<(ShardId, Arc<Catalog>)>,
        epoch: u64,
    ) -> Result<(), RouterError> {
        let catalog = read_catalog(connection).await?;
        let default_path = own_path(connection).await?;
        let before = self.loaded.load_full();
        let same = before.as_ref().is_some_and(|before| {
            before.schema.has_catalogs(&catalog, &others) && *before.default_path == *default_path
        });
        let version = before.as_ref().map_or(1, |before| before.version + u64::from(!same));
        let home = Schema::new(Arc::clone(&self.rules), Arc::new(catalog));
        let schema =
            others.into_iter().fold(home, |schema, (shard, catalog)| schema.with_other(shard, catalog));
        self.loaded.store(Some(Arc::new(Loaded {
            schema: Arc::new(schema),
            default_path: default_path.into(),
            source: Source::Own { epoch, read_at: Instant::now() },
            version,
        })));
        Ok(())
    }

    /// Reads the user's search_path, which the snapshot does not tell, on a connection of the user's own.
    ///
    /// # Errors
    /// See [`RouterError`].
    pub async fn load_path(
        &self,
        connection: &mut ServerConnection,
        snapshot: &Snapshot,
    ) -> Result<(), RouterError> {
        let path = own_path(connection).await?;
        self.set_path(snapshot, &path);
        Ok(())
    }

    /// The plan of a statement under the session's settings; `template` is filled for binding.
    ///
    /// # Errors
    /// `XX000` before the first [`Router::load`].
    pub fn plan(
        &self,
        sql: &[u8],
        settings: &Settings,
        standard_conforming_strings: bool,
        lifted: &mut Template,
    ) -> Result<(Arc<Planned>, u64), SqlError> {
        let loaded = self.loaded.load();
        let Some(loaded) = loaded.as_ref() else {
            return Err(SqlError::new(crate::sqlstate::INTERNAL_ERROR, "the catalog was not read yet"));
        };
        template(sql, standard_conforming_strings, lifted);
        // The key's end says what else the plan depends on.
        lifted.normalised.push(0);
        if let Some(replay) = settings.get("search_path") {
            lifted.normalised.extend_from_slice(replay);
        }
        for setting in ROLES.into_iter().chain([SHARD_HINT]) {
            lifted.normalised.push(0);
            lifted.normalised.extend_from_slice(settings.get(setting).unwrap_or_default());
        }
        lifted.normalised.push(u8::from(standard_conforming_strings));
        lifted.normalised.extend_from_slice(&loaded.version.to_be_bytes());
        if let Some(planned) = self.plans.get(lifted.normalised.as_slice()) {
            return Ok((planned, loaded.version));
        }
        let path = match settings.get("search_path") {
            Some(replay) => path_of(replay),
            None => Some(loaded.default_path.to_string()),
        };
        let Some(path) = path else {
            return Err(SqlError::refused(
                "this form of search_path is not understood with sharded tables",
                "Set search_path to a plain list of schemas.",
            ));
        };
        let hint = settings.get(SHARD_HINT).filter(|replay| *replay != KNOWN);
        let shard = hint.map(|replay| value_of(replay).ok_or_else(hint_unread)).transpose()?;
        let Some(user) = acting_user(settings, &self.user) else {
            return Err(SqlError::refused(
                "this form of SET ROLE or SET SESSION AUTHORIZATION is not understood with sharded tables",
                "Give the role by its plain name.",
            ));
        };
        let context = Context {
            schema: &loaded.schema,
            search_path: &SearchPath::parse(&path, &user),
            standard_conforming_strings,
            hints: Hints { are_allowed: self.rules.allows_hints(), session: shard.as_deref() },
        };
        let planned = Arc::new(plan::plan(sql, &context));
        self.plans.insert(lifted.normalised.as_slice().into(), Arc::clone(&planned));
        Ok((planned, loaded.version))
    }
}

/// Reads the catalog of the connection's shard.
///
/// # Errors
/// See [`RouterError`].
pub async fn read_catalog(connection: &mut ServerConnection) -> Result<Catalog, RouterError> {
    let rows = query::query(connection, LOAD_SQL, LOAD_TIMEOUT).await?;
    Catalog::from_rows(rows.iter().map(|row| row.iter().map(Option::as_deref).collect::<Vec<Option<&str>>>()))
        .map_err(|bad| RouterError::Rows(bad.0))
}

/// The settings that say who acts, the outer one first.
const ROLES: [&str; 2] = ["session_authorization", "role"];

/// The session's hint.
const SHARD_HINT: &str = "howdah.shard";

fn hint_unread() -> SqlError {
    SqlError::refused("this form of SET howdah.shard is not understood", "SET howdah.shard = NAME.")
}

/// The single value that a statement gives to a setting.
fn value_of(replay: &[u8]) -> Option<String> {
    let value = match parse_set_config(replay, true) {
        Some(calls) => match calls.as_slice() {
            [ConfigCall { value: ConfigValue::Session(value), .. }] => value.clone(),
            _ => return None,
        },
        None => match parse_setting(replay, true)? {
            SettingCommand::Set { value: SettingValue::List(list), .. } => match list.as_slice() {
                [value] => value.clone(),
                _ => return None,
            },
            _ => return None,
        },
    };
    String::from_utf8(value).ok()
}

/// The user that `"$user"` in a search path stands for: `login`, or whom SET ROLE made of it.
fn acting_user(settings: &Settings, login: &str) -> Option<String> {
    let mut user = login.to_owned();
    let mut session_user = user.clone();
    for setting in ROLES {
        let Some(replay) = settings.get(setting) else { continue };
        let name = value_of(replay)?;
        let goes_back = (setting == "role" && name == "none") || name == "default";
        user = if goes_back { session_user.clone() } else { name };
        if setting == "session_authorization" {
            session_user.clone_from(&user);
        }
    }
    Some(user)
}

/// The `search_path` that the connection's session started with.
async fn own_path(connection: &mut ServerConnection) -> Result<String, RouterError> {
    let sql = "SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path'";
    let rows = query::query(connection, sql, LOAD_TIMEOUT).await?;
    let path = rows.into_iter().flatten().flatten().next();
    Ok(path.unwrap_or_else(|| "\"$user\", public".to_owned()))
}

/// The value that a statement gives to `search_path`, as SHOW would print it.
fn path_of(replay: &[u8]) -> Option<String> {
    if let Some(calls) = parse_set_config(replay, true) {
        let [ConfigCall { value: ConfigValue::Session(value), .. }] = calls.as_slice() else { return None };
        return String::from_utf8(value.clone()).ok();
    }
    match parse_setting(replay, true)? {
        SettingCommand::Set { value: SettingValue::List(list), .. } => {
            let quoted: Vec<Vec<u8>> = list.iter().map(|name| quote_identifier(name)).collect();
            String::from_utf8(quoted.join(&b", "[..])).ok()
        }
        _ => None,
    }
}

/// The literals of a statement, for binding without parameters.
#[derive(Debug)]
pub(crate) struct Literals<'a> {
    pub(crate) sql: &'a [u8],
    pub(crate) lifted: &'a Template,
}

impl Values for Literals<'_> {
    fn literal(&self, index: usize) -> Option<&[u8]> {
        let literal = self.lifted.literals.get(index)?;
        self.sql.get(literal.start..literal.end)
    }

    fn param(&self, _number: usize) -> Option<Param<'_>> {
        None
    }
}

/// A prepared statement's literals, and the values of one Bind message.
#[derive(Debug)]
pub(crate) struct Bindings<'a> {
    pub(crate) statement: &'a PlannedStatement,
    pub(crate) formats: SmallVec<[i16; 8]>,
    pub(crate) values: SmallVec<[Option<&'a [u8]>; 8]>,
}

impl Values for Bindings<'_> {
    fn literal(&self, index: usize) -> Option<&[u8]> {
        self.statement.sql.get(self.statement.literals.get(index)?.clone())
    }

    fn param(&self, number: usize) -> Option<Param<'_>> {
        let at = number.checked_sub(1)?;
        let value = *self.values.get(at)?;
        let format = match self.formats.as_slice() {
            [] => 0,
            [one] => *one,
            many => *many.get(at)?,
        };
        let type_oid = self.statement.types.get(at).copied().unwrap_or(0);
        Some(Param { type_oid, format, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_plans_are_kept_than_configured() {
        let rules = Arc::new(Rules::unsharded(vec!["s0".to_owned()], crate::ids::ShardId(0)));
        let router = Router::new(Arc::clone(&rules), "me", 3);
        router.loaded.store(Some(Arc::new(Loaded {
            schema: Arc::new(Schema::new(rules, Arc::new(Catalog::default()))),
            default_path: "public".into(),
            source: Source::Own { epoch: 0, read_at: Instant::now() },
            version: 1,
        })));
        let mut lifted = Template::default();
        for table in 0..50 {
            let sql = format!("select * from t{table}");
            let planned = router.plan(sql.as_bytes(), &Settings::default(), true, &mut lifted);
            assert!(planned.is_ok(), "{planned:?}");
        }
        router.plans.run_pending_tasks();
        assert!((1..=3).contains(&router.plans.entry_count()), "{}", router.plans.entry_count());
    }
}
