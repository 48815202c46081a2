//! Plans of any statement over a sharded schema, bound to any values: sound by the planner's own check, which a
//! build with debug assertions makes.
#![no_main]

use howdah::catalog::{Catalog, SearchPath};
use howdah::diagnostic::{Diagnostics, SourceText};
use howdah::ids::ShardId;
use howdah::plan::{Bound, Context, Hints, Param, Schema, Values, bind, plan};
use howdah::sql::splice::splice;
use howdah::sql::template::{Template, template};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

const RULES: &str = r#"
group = [{ name = "customers" }, { name = "accounts" }]
sharded = [
  { table = "customers", key = "id", group = "customers" },
  { table = "orders", key = "customer_id", group = "customers" },
  { table = "order_lines", key = "customer_id", group = "customers" },
  { table = "accounts", key = "aid", group = "accounts" },
]
single = [{ table = "archive", shard = "b" }, { table = "products" }]
"#;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let shards = ["a", "b", "c"].map(str::to_owned).to_vec();
    let sources = [SourceText::new("rules.toml", RULES)];
    let rules =
        howdah::rules::read(&sources, shards, ShardId(0), &mut Diagnostics::new()).expect("valid rules");
    // As COPY writes rows.
    let unescape = |field: &str| field.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\");
    let fields = |line: &str| -> Vec<Option<String>> {
        line.split('\t').map(|field| (field != "\\N").then(|| unescape(field))).collect()
    };
    let rows: Vec<_> = include_str!("../../tests/golden/catalog.txt").lines().map(fields).collect();
    let rows = rows.iter().map(|row| row.iter().map(Option::as_deref).collect::<Vec<_>>());
    Schema::new(Arc::new(rules), Arc::new(Catalog::from_rows(rows).expect("a catalog")))
});

/// Literals of the text, and parameters cut from the input's first bytes.
struct Given<'a> {
    sql: &'a [u8],
    lifted: &'a Template,
    params: &'a [u8],
}

impl Values for Given<'_> {
    fn literal(&self, index: usize) -> Option<&[u8]> {
        let literal = self.lifted.literals.get(index)?;
        self.sql.get(literal.start..literal.end)
    }

    fn param(&self, number: usize) -> Option<Param<'_>> {
        let (&kind, value) = self.params.split_first()?;
        let type_oid = [0, 20, 21, 23, 25, 1700, 1043, 701].get(usize::from(kind % 8)).copied()?;
        let value = Some(value).filter(|_| kind < 240);
        (number <= 4).then_some(Param { type_oid, format: i16::from(kind & 8 != 0), value })
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((params, sql)) = bytes.split_at_checked(9) else { return };
    let path = SearchPath::parse("\"$user\", public", "someone");
    let schema = &*SCHEMA;
    let scs = params[8] % 2 == 0;
    let hints = Hints { are_allowed: params[8] & 2 == 0, session: None };
    let context = Context { schema, search_path: &path, standard_conforming_strings: scs, hints };
    let planned = plan(sql, &context);
    assert_eq!(planned, plan(sql, &context), "the same inputs give an equal plan");
    let mut lifted = Template::default();
    template(sql, context.standard_conforming_strings, &mut lifted);
    match bind(&planned, schema.rules(), &Given { sql, lifted: &lifted, params: &params[..8] }) {
        Ok(Bound::Single(shard)) => assert!(shard.0 < 3),
        Ok(Bound::Scatter { scatter, shards, .. }) => {
            assert!(shards.len() > 1);
            assert!(splice(sql, scs, &scatter.edits).is_some(), "edits fit the text");
        }
        Ok(Bound::Explain(_)) | Err(_) => {}
    }
});
