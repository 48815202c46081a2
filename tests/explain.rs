//! `howdah explain`: by the rules alone it plans what they are enough for, says what it assumed, and guesses
//! nothing; by a schema in SQL and by a running home shard it plans as the proxy does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use support::config::Config;
use support::postgres::Postgres;
use support::process;
use support::proxy::Howdah;

const RULES: &str = r#"
group = [{ name = "customers" }, { name = "words", key_type = "text" }]
sharded = [
  { table = "customers", key = "id", group = "customers" },
  { table = "orders", key = "customer_id", group = "customers" },
  { table = "notes", key = "word", group = "words" },
]
reference = [{ table = "countries" }]
single = [{ table = "archive", shard = "s1" }]
"#;

const SCHEMA: &str = "
create table customers (id bigint primary key, name text, country text);
create table orders (customer_id bigint, number int, total numeric, placed timestamptz default now(), primary key (customer_id, number));
create table notes (word text primary key, body text);
create table countries (code text primary key, name text);
create table archive (id int, old text);
create table products (id int, price numeric);
create view big as select * from orders where total > 1000;
";

struct Told {
    code: i32,
    out: String,
    err: String,
}

fn explain(arguments: &[&str]) -> Told {
    let output = Command::new(env!("CARGO_BIN_EXE_howdah")).arg("explain").args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Told { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
}

fn rules() -> PathBuf {
    let folder = process::temporary_folder("rules");
    std::fs::write(folder.join("rules.toml"), RULES).unwrap();
    folder
}

fn by_rules(folder: &Path, statement: &str) -> Told {
    explain(&["--rules", folder.to_str().unwrap(), "--shards", "3", statement])
}

/// Statement, how its plan begins, and what is assumed.
const PLANS: &[(&str, &str, &[&str])] = &[
    ("select * from orders where customer_id = 7", "Single on shard s", &["orders (customer_id bigint)"]),
    (
        "select o.total from orders o where o.customer_id = 7 and o.number > 3",
        "Single on shard s",
        &["orders (customer_id bigint, total bigint, number bigint)"],
    ),
    (
        "select total from orders where number in (1, 2)",
        "Scatter on shards s0, s1, s2",
        &["orders (customer_id bigint, total bigint, number bigint)"],
    ),
    (
        "select c.name, count(*) from customers c join orders o on o.customer_id = c.id group by c.id, c.name",
        "Scatter on shards",
        &["customers (id bigint, name bigint)", "orders (customer_id bigint)"],
    ),
    ("select * from notes where word = 'x'", "Single on shard s", &["notes (word text)"]),
    (
        "select n.body from notes n where exists (select from countries where code = n.body)",
        "Scatter on shards",
        &["notes (word text, body bigint)", "countries (code bigint)"],
    ),
    ("select name from countries", "Single on shard s0", &["countries (name bigint)"]),
    ("select old from archive", "Single on shard s1", &["archive (old bigint)"]),
    ("select price from products", "Single on shard s0", &["products (price bigint), on the home shard"]),
    ("select 1", "Single on shard s0", &[]),
    (
        "insert into orders (customer_id, number) values (4, 1)",
        "Single on shard s",
        &["orders (customer_id bigint)"],
    ),
    (
        "insert into orders (customer_id, number) values (4, 1) returning total",
        "Single on shard s",
        &["orders (customer_id bigint, total bigint)"],
    ),
    (
        "update orders set total = total + 1 where customer_id = 3",
        "Single on shard s",
        &["orders (customer_id bigint, total bigint)"],
    ),
    (
        "delete from orders where customer_id = 3 and number = 2",
        "Single on shard s",
        &["orders (customer_id bigint, number bigint)"],
    ),
    (
        "select * from notes join countries using (word) where word = 'x'",
        "Single on shard s",
        &["countries (word bigint)"],
    ),
    (
        "with big as (select customer_id, total from orders where customer_id = 2) select max(total) from big",
        "Single on shard s",
        &["orders (customer_id bigint, total bigint)"],
    ),
    ("select * from orders where customer_id = $1", "Scatter over the shards of the keys", &[]),
    (
        "select \"Odd\" from orders where customer_id = 1",
        "Single on shard s",
        &["orders (customer_id bigint, Odd bigint)"],
    ),
];

#[test]
fn the_rules_alone_are_enough_for_these() {
    let folder = rules();
    for (statement, plan, assumed) in PLANS {
        let told = by_rules(&folder, statement);
        assert!(told.code == 0 && told.out.starts_with(plan), "{statement}: {}{}", told.out, told.err);
        for table in *assumed {
            let line = format!("Assumed: table public.{table}\n");
            assert!(told.out.contains(&line), "{statement}: no {line:?} in {}", told.out);
        }
        assert!(told.out.trim_end().ends_with("no server was asked"), "{statement}");
        assert_eq!(told.err, "", "{statement}");
    }
}

#[test]
fn a_refusal_says_why_and_what_was_assumed() {
    let folder = rules();
    for (statement, reason) in [
        ("update customers set name = random()", "random() is not known"),
        ("select * from customers c, products p where c.id = p.id", "\"p\" lies on one shard only"),
        ("copy orders from stdin", "COPY that mentions \"orders\""),
    ] {
        let told = by_rules(&folder, statement);
        assert!(told.code == 1 && told.out.starts_with("Refused"), "{statement}: {}", told.out);
        assert!(told.out.contains(reason) && told.out.contains("Assumed: "), "{statement}: {}", told.out);
    }
}

#[test]
fn what_the_rules_cannot_tell_is_not_guessed() {
    let folder = rules();
    for (statement, what) in [
        ("select total from orders, customers where id = customer_id", "customers or orders"),
        ("insert into orders values (1, 2)", "which columns INSERT fills"),
        ("select * from orders natural join customers", "NATURAL JOIN"),
        ("select a from orders o (a) where a = 1", "an alias renames"),
        ("select orders.x from customers", "missing FROM-clause entry"),
    ] {
        let told = by_rules(&folder, statement);
        assert_eq!(told.code, 1, "{statement}: {}", told.out);
        assert!((told.err + &told.out).contains(what), "{statement}");
    }
    for statement in ["", "select 1; select 2", "explain select 1"] {
        assert_eq!(by_rules(&folder, statement).code, 2, "{statement}");
    }
}

#[test]
fn a_schema_in_sql_is_read_by_a_postgres_of_its_own() {
    let folder = rules();
    let file = folder.join("schema.sql");
    let explain = |statement: &str| {
        let (rules, file) = (folder.to_str().unwrap(), file.to_str().unwrap());
        explain(&["--rules", rules, "--schema", file, statement])
    };
    std::fs::write(&file, format!("\\restrict x\n{SCHEMA}\\unrestrict x\n")).unwrap();
    let told = explain("insert into orders values (7, 1, 2.5, default)");
    assert!(told.code == 0 && told.out.starts_with("Single on shard"), "{}{}", told.out, told.err);
    assert!(!told.out.contains("Assumed"), "{}", told.out);
    let told = explain("select * from big");
    assert!(told.out.contains("Sharded tables: public.orders"), "{}{}", told.out, told.err);
    std::fs::write(&file, "create table a (\n  id int\n);\ncreate tabel b ();\n").unwrap();
    let told = explain("select 1");
    assert_eq!(told.code, 2);
    assert!(told.err.contains("line 4") && told.err.contains("42601"), "{}", told.err);
}

#[test]
fn a_home_shard_that_runs_tells_the_columns() {
    let home = Postgres::start();
    home.app().run(SCHEMA);
    let folder = rules();
    let others = [Postgres::start(), Postgres::start()];
    let config = Config::new(&[home.port, others[0].port, others[1].port]).rules(folder.clone());
    let file = folder.join("howdah.conf");
    std::fs::write(&file, config.text(1)).unwrap();
    let live = |more: &[&str]| explain(&[&["--config", file.to_str().unwrap()], more].concat());
    let statement =
        "select country, sum(total) from orders, customers where id = customer_id group by country";
    let told = live(&[statement]);
    assert!(
        told.code == 0 && told.out.starts_with("Scatter on shards s0, s1, s2"),
        "{}{}",
        told.out,
        told.err
    );
    assert!(!told.out.contains("Assumed"), "{}", told.out);
    let told = live(&["--json", "select * from orders where customer_id = 1"]);
    let plan: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert!(plan.is_array(), "{}", told.out);
    // What the proxy says.
    let howdah = Howdah::start(&config);
    let mut wire = howdah.app();
    for statement in
        [statement, "select * from big", "select name from countries", "select total from orders"]
    {
        let served = wire.run(&format!("explain (howdah) {statement}")).column().join("\n");
        assert_eq!(live(&[statement]).out.trim_end(), served, "{statement}");
    }
    // Where the store has the buckets.
    let by_key = "select total from orders where customer_id = 1";
    let before = live(&[by_key]).out;
    home.app().run(
        "update howdah.bucket_range set shard = case shard when 's0' then 's1' when 's1' then 's2' else 's0' end",
    );
    let after = live(&[by_key]).out;
    assert!(after.starts_with("Single on shard s") && after != before, "{before}{after}");
    let told = live(&["--offline", "select total from orders where customer_id = 1"]);
    assert!(
        told.code == 0 && told.out.contains("no server was asked") && told.err.is_empty(),
        "{}",
        told.err
    );
    assert_eq!(live(&["--database", "other", "select 1"]).code, 2);
    drop(home);
    let told = live(&["select total from orders where customer_id = 1"]);
    assert!(told.code == 0 && told.out.contains("Assumed: table public.orders"), "{}{}", told.out, told.err);
    assert!(told.err.contains("by the rules alone: shard \"s0\": cannot connect"), "{}", told.err);
}
