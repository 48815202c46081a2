//! Rules, catalog and values for the planner's tests.

use howdah::catalog::{Catalog, SearchPath};
use howdah::datum::hash;
use howdah::diagnostic::{Diagnostics, SourceText};
use howdah::error::SqlError;
use howdah::ids::ShardId;
use howdah::plan::{Bound, Context, Param, Planned, Route, Schema, Values, bind, plan};
use howdah::rules::{BucketMap, Rules};
use howdah::sql::template::{Template, template};
use std::sync::Arc;

const RULES: &str = r#"
group = [{ name = "customers" }, { name = "accounts" }]
sharded = [
  { table = "customers", key = "id", group = "customers" },
  { table = "orders", key = "customer_id", group = "customers" },
  { table = "order_lines", key = "customer_id", group = "customers" },
  { table = "events", key = "customer_id", group = "customers" },
  { table = "audited", key = "customer_id", group = "customers" },
  { table = "tickets", key = "customer_id", group = "customers" },
  { table = "numbered", key = "customer_id", group = "customers" },
  { table = "missing", key = "customer_id", group = "customers" },
  { table = "textkeyed", key = "k", group = "customers" },
  { table = "accounts", key = "aid", group = "accounts" },
]
single = [{ table = "archive", shard = "b" }, { table = "products" }]
"#;

/// A parameter: type, format, value.
pub type TestParam<'a> = (u32, i16, Option<&'a [u8]>);

/// The cluster that statements are planned for: three shards, the schema of `golden/catalog.sql`.
pub struct Fixture {
    schema: Schema,
    path: SearchPath,
}

struct TestValues<'a> {
    sql: &'a [u8],
    literals: Vec<std::ops::Range<usize>>,
    params: &'a [TestParam<'a>],
}

impl Values for TestValues<'_> {
    fn literal(&self, index: usize) -> Option<&[u8]> {
        self.sql.get(self.literals.get(index)?.clone())
    }

    fn param(&self, number: usize) -> Option<Param<'_>> {
        let (type_oid, format, value) = *self.params.get(number.checked_sub(1)?)?;
        Some(Param { type_oid, format, value })
    }
}

impl Fixture {
    pub fn new() -> Fixture {
        let shards = ["a", "b", "c"].map(str::to_owned).to_vec();
        let mut diagnostics = Diagnostics::new();
        let sources = [SourceText::new("rules.toml", RULES)];
        let rules = howdah::rules::read(&sources, shards, ShardId(0), &mut diagnostics);
        Fixture::with(rules.unwrap_or_else(|| panic!("{:?}", diagnostics.as_slice())))
    }

    pub fn unsharded() -> Fixture {
        Fixture::with(Rules::unsharded(vec!["a".to_owned()], ShardId(0)))
    }

    fn with(rules: Rules) -> Fixture {
        // As COPY writes rows; tests/catalog.rs makes the file.
        let unescape = |field: &str| field.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\");
        let rows: Vec<Vec<Option<String>>> = include_str!("../golden/catalog.txt")
            .lines()
            .map(|line| line.split('\t').map(|field| (field != "\\N").then(|| unescape(field))).collect())
            .collect();
        let catalog =
            Catalog::from_rows(rows.iter().map(|row| row.iter().map(Option::as_deref).collect::<Vec<_>>()))
                .unwrap();
        let path = SearchPath::parse("\"$user\", public", "someone");
        Fixture { schema: Schema::new(Arc::new(rules), Arc::new(catalog)), path }
    }

    pub fn rules(&self) -> &Rules {
        self.schema.rules()
    }

    pub fn shard_of(&self, key: i64) -> u16 {
        BucketMap::default_map(4096, 3).shard(hash::hash_int8(key, 0)).0
    }

    pub fn plan(&self, sql: &str) -> Planned {
        self.plan_bytes(sql.as_bytes())
    }

    pub fn plan_bytes(&self, sql: &[u8]) -> Planned {
        let context =
            Context { schema: &self.schema, search_path: &self.path, standard_conforming_strings: true };
        plan(sql, &context)
    }

    pub fn bind_planned<'p>(
        &self,
        planned: &'p Planned,
        sql: &str,
        params: &[TestParam<'_>],
    ) -> Result<Bound<'p>, SqlError> {
        let mut lifted = Template::default();
        template(sql.as_bytes(), true, &mut lifted);
        let literals = lifted.literals.iter().map(|literal| literal.start..literal.end).collect();
        bind(planned, self.rules(), &TestValues { sql: sql.as_bytes(), literals, params })
    }

    /// Plans and binds; the shards in words.
    pub fn bind_params(&self, sql: &str, params: &[TestParam<'_>]) -> Result<String, SqlError> {
        let planned = self.plan(sql);
        Ok(match self.bind_planned(&planned, sql, params)? {
            Bound::Single(shard) => format!("single {shard}"),
            Bound::Scatter { scatter, .. } => format!("scatter {:?}", scatter.merge),
            Bound::Explain(_) => "explain".to_owned(),
        })
    }
}

/// A statement and what is expected of it.
pub struct Case {
    pub expected: String,
    pub sql: String,
}

impl Case {
    /// Reads `expectation: statement` lines; a line that starts with a space goes on with the one before.
    pub fn parse_all(text: &str) -> Vec<Case> {
        let mut cases: Vec<Case> = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            match (line.strip_prefix(' '), cases.last_mut()) {
                (Some(more), Some(case)) => {
                    case.sql.push('\n');
                    case.sql.push_str(more);
                }
                _ => {
                    let (expected, sql) = line.split_once(": ").unwrap_or_else(|| panic!("{line}"));
                    cases.push(Case { expected: expected.to_owned(), sql: sql.to_owned() });
                }
            }
        }
        cases
    }
}

/// Runs the cases of a file; how many there were.
///
/// Expectations: `home`, `home b` (another shard's single tables), `key K` (the shard of key K, `$1` being
/// 1 and `$2` being 2), `any` (a key route that ends on the home shard), `concat`, `aggregate`, `refused`
/// (perhaps with a part of the message or detail behind it).
pub fn run_file(text: &str) -> usize {
    let fixture = Fixture::new();
    let cases = Case::parse_all(text);
    let mut wrong = Vec::new();
    for case in &cases {
        let planned = fixture.plan(&case.sql);
        let one = 1_i64.to_be_bytes();
        let bound = fixture.bind_planned(&planned, &case.sql, &[(20, 1, Some(&one)), (20, 0, Some(b"2"))]);
        let got = match (&planned.route, &bound) {
            (Route::Home(shard), _) if shard.0 == 0 => "home".to_owned(),
            (Route::Home(_), _) => "home b".to_owned(),
            (Route::Key(_), Ok(Bound::Single(shard))) => format!("key on {shard}"),
            (Route::Scatter(scatter), Ok(_)) => match scatter.merge.kind {
                howdah::merge::MergeKind::Concat => "concat".to_owned(),
                howdah::merge::MergeKind::Ordered(_) => "ordered".to_owned(),
                howdah::merge::MergeKind::Grouped { .. } => "grouped".to_owned(),
                howdah::merge::MergeKind::Aggregate(_) => "aggregate".to_owned(),
            },
            (_, Err(error)) => {
                let detail = error.detail.as_deref().unwrap_or_default();
                format!("refused {} {} ({detail})", error.code, error.message)
            }
            (Route::Explain(_), _) => "explain".to_owned(),
            other => format!("{other:?}"),
        };
        let expected = match case.expected.split_once(' ') {
            Some(("key", key)) => format!("key on {}", fixture.shard_of(key.parse().unwrap())),
            _ if case.expected == "any" => "key on 0".to_owned(),
            _ => case.expected.clone(),
        };
        let is_right = match expected.strip_prefix("refused") {
            Some(part) => got.starts_with("refused") && got.contains(part.trim()),
            None => got == expected,
        };
        if !is_right {
            wrong.push(format!("{}\n  expected {expected}\n  got      {got}", case.sql));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    cases.len()
}
