//! The slice of sharding, held against one plain Postgres: each statement of `tests/corpus/slice.sql`
//! over three shards answers the same, cell by cell, or is refused with `0A000`.
//!
//! The rows are loaded on the shards' own connections, and placed by SQL of Postgres's own (its extended
//! hash), so that nothing of Howdah decides where they lie.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use support::config::Config;
use support::frame::Reply;
use support::message::{bind, execute, named, parse, sync};
use support::postgres::Postgres;
use support::process;
use support::proxy::Howdah;
use support::relay::{Fault, Relay};
use support::wire::Wire;

const SCHEMA: &str = "
    create table users (id int8 primary key, name text not null, age int check (age >= 0), score numeric,
        active bool, made timestamptz, country text, half float8);
    create table orders (id int8 not null, user_id int8 not null, amount numeric(10,2), note text, primary key (user_id, id));
    create view young as select id, name from users where age < 30;
    create function count_users() returns bigint language sql stable as 'select count(*) from users';
    create function key_of(text) returns int8 language sql stable as 'select 3::int8';
";
/// What only the home shard has.
const HOME: &str = "
    create table countries (code text primary key, title text);
    insert into countries values ('ch', 'Switzerland'), ('cz', 'Czechia'), ('de', 'Germany'), ('zz', 'Nowhere');
    create sequence ticket;
";
const USERS: &str = "
    insert into users select i, 'name ' || i, 20 + i % 7, case when i % 5 > 0 then i * 1.25 end, i % 3 = 0,
        '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 day', (array['ch','cz','de'])[i % 3 + 1], i / 2.0
    from generate_series(1, 40) i";
const ORDERS: &str = "
    insert into orders select u * 10 + n, u, u * n * 1.11, case when n % 2 = 0 then 'note ' || n end
    from generate_series(1, 40) u, generate_series(1, 4) n where u % 10 <> 0";

/// The condition that puts a key on a shard: 4,096 buckets, bucket b on shard ⌊b·3/4096⌋.
fn on_shard(key: &str, shard: usize) -> String {
    format!("((hashint8extended({key}, 0) & 4095) * 3 / 4096) = {shard}")
}

const RULES: &str = "
[[group]]
name = \"users\"

[[sharded]]
table = \"public.users\"
key = \"id\"
group = \"users\"

[[sharded]]
table = \"public.orders\"
key = \"user_id\"
group = \"users\"
";

/// Three shards with a Howdah in front, and one Postgres with all their rows.
struct Stage {
    shards: Vec<Postgres>,
    plain: Postgres,
    howdah: Howdah,
}

impl Stage {
    fn new() -> Stage {
        let shards: Vec<Postgres> = (0..3).map(|_| Postgres::start()).collect();
        for (number, shard) in shards.iter().enumerate() {
            let mut wire = shard.app();
            wire.run(SCHEMA);
            if number == 0 {
                wire.run(HOME);
            }
            wire.run(&format!("{USERS} where {}", on_shard("i", number)));
            wire.run(&format!("{ORDERS} and {}", on_shard("u", number)));
            let rows: usize = wire.value("select count(*) from users").parse().unwrap();
            assert!((5..30).contains(&rows), "shard {number} has {rows} of 40 users");
        }
        let plain = Postgres::start();
        for sql in [SCHEMA, HOME, USERS, ORDERS] {
            plain.app().run(sql);
        }
        let rules = process::temporary_folder("rules");
        std::fs::write(rules.join("rules.toml"), RULES).unwrap();
        let ports: Vec<u16> = shards.iter().map(|shard| shard.port).collect();
        let howdah = Howdah::start(&Config::new(&ports).pool("size", 3).rules(rules));
        Stage { shards, plain, howdah }
    }

    /// Every row of the tables, from the shards and from the one Postgres: the same rows, each on its shard.
    fn rows_agree(&self, after: &str) {
        for (table, key) in [("users", "id"), ("orders", "user_id")] {
            let sql = format!("select t::text from {table} t");
            let mut sharded = Vec::new();
            for (number, shard) in self.shards.iter().enumerate() {
                let mut wire = shard.app();
                let astray =
                    wire.value(&format!("select count(*) from {table} where not {}", on_shard(key, number)));
                assert_eq!(astray, "0", "rows of {table} on a wrong shard after: {after}");
                sharded.extend(wire.run(&sql).column());
            }
            let mut plain = self.plain.app().run(&sql).column();
            sharded.sort();
            plain.sort();
            assert_eq!(sharded, plain, "{table} differs after: {after}");
        }
    }
}

/// A statement of the corpus.
#[derive(Debug)]
struct Case {
    sql: String,
    parameters: Option<Vec<Option<String>>>,
}

fn corpus() -> Vec<Case> {
    let lines = include_str!("corpus/slice.sql").lines();
    lines
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| match line.strip_prefix("@ ").and_then(|rest| rest.split_once(" | ")) {
            None => Case { sql: line.to_owned(), parameters: None },
            Some((values, sql)) => {
                let value = |word: &str| (word != r"\N").then(|| word.replace("%s", " "));
                Case { sql: sql.to_owned(), parameters: Some(values.split_whitespace().map(value).collect()) }
            }
        })
        .collect()
}

impl Case {
    fn writes(&self) -> bool {
        !["select", "table", "values", "explain (", "with x as (select id", "with users"]
            .iter()
            .any(|start| self.sql.starts_with(start))
            || self.sql.contains(" into ")
    }

    /// Whether LIMIT or OFFSET leaves some rows, and nothing says which.
    fn is_by_chance(&self) -> bool {
        !self.is_ordered()
            && [" limit ", " offset ", " fetch "].iter().any(|word| self.sql.contains(word))
            && self.sql.starts_with("select id from users")
            && self.parameters.is_none()
    }

    /// Whether ORDER BY gives the rows their order.
    fn is_ordered(&self) -> bool {
        self.sql.contains("order by")
    }
}

fn without_limit(sql: &str) -> String {
    let end = [" limit ", " offset ", " fetch "].iter().filter_map(|word| sql.find(word)).min();
    sql[..end.unwrap_or(sql.len())].to_owned()
}

/// How a statement is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Simple,
    Text,
    /// Integer parameters and all results in binary.
    Binary,
}

fn ask(wire: &mut Wire, case: &Case, mode: Mode) -> Reply {
    if mode == Mode::Simple {
        let mut reply = wire.query(&case.sql);
        if reply.tagged(b'G').next().is_some() {
            reply = wire.ask(&support::message::copy_fail("no rows"));
        }
        return reply;
    }
    let values = case.parameters.as_deref().unwrap_or_default();
    let mut formats = Vec::new();
    let mut types = Vec::new();
    let mut bytes = Vec::new();
    for value in values {
        match value.as_deref().map(|text| (text, text.parse::<i64>())) {
            Some((_, Ok(number))) if mode == Mode::Binary => {
                formats.push(1);
                types.push(20);
                bytes.push(Some(number.to_be_bytes().to_vec()));
            }
            other => {
                formats.push(0);
                types.push(0);
                bytes.push(other.map(|(text, _)| text.as_bytes().to_vec()));
            }
        }
    }
    let bytes: Vec<Option<&[u8]>> = bytes.iter().map(Option::as_deref).collect();
    let results = if mode == Mode::Binary { &[1][..] } else { &[] };
    let mut out = parse("", &case.sql, &types);
    out.extend(bind("", "", &formats, &bytes, results));
    out.extend([named(b'D', b'P', ""), execute("", 0), sync()].concat());
    wire.ask(&out)
}

/// What of a reply must be the same: columns, rows, tags, errors, and the transaction's status.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    columns: Vec<(String, Vec<u8>)>,
    rows: Vec<Vec<String>>,
    tags: Vec<String>,
    error: Option<(String, String)>,
    status: char,
}

fn answer(reply: &Reply, ordered: bool) -> Answer {
    let mut columns = Vec::new();
    for description in reply.tagged(b'T') {
        let mut rest = &description.body[2..];
        while let Some(end) = rest.iter().position(|&byte| byte == 0) {
            // After the name: table oid and column number, which differ, then type, size, modifier and format.
            columns
                .push((String::from_utf8_lossy(&rest[..end]).into_owned(), rest[end + 7..end + 19].to_vec()));
            rest = &rest[end + 19..];
        }
    }
    let cell =
        |cell: Option<Vec<u8>>| cell.map_or("NULL".into(), |bytes| format!("'{}'", bytes.escape_ascii()));
    let mut rows: Vec<Vec<String>> = reply
        .frames
        .iter()
        .filter_map(|frame| match frame.tag {
            b'D' => Some(frame.cells().into_iter().map(cell).collect()),
            b'd' => Some(vec![frame.body.escape_ascii().to_string()]),
            _ => None,
        })
        .collect();
    if !ordered {
        rows.sort();
    }
    let error = reply.sqlstate().map(|state| (state, reply.message().unwrap_or_default()));
    if error.is_some() {
        // Rows and columns that came before an error are no answer.
        rows.clear();
        columns.clear();
    }
    Answer { columns, rows, tags: reply.tags(), error, status: reply.status() }
}

/// `0A000`, or the contract's own error for a row that has no shard because its key is NULL.
fn is_refusal(state: &str, said: &str) -> bool {
    state == "0A000" || state == "23514" && said.contains("sharding key")
}

/// What differs, briefly.
fn contrast(expected: &Answer, found: &Answer) -> String {
    let brief = |answer: &Answer| {
        let rows: String = format!("{:?}", answer.rows).chars().take(160).collect();
        format!("{:?} {:?} {} {} rows {rows}", answer.tags, answer.error, answer.status, answer.rows.len())
    };
    let columns = if expected.columns == found.columns {
        String::new()
    } else {
        format!("\n  columns {:?} and {:?}", expected.columns, found.columns)
    };
    format!("one Postgres {}\n  Howdah       {}{columns}", brief(expected), brief(found))
}

/// Every statement in every mode; gives how many answered the same, and what was wrong.
fn compare(stage: &Stage, port: u16) -> (usize, usize, Vec<String>) {
    let (mut same, mut refused, mut wrong) = (0, 0, Vec::new());
    for (number, case) in corpus().iter().enumerate() {
        let mut modes = match &case.parameters {
            None => vec![Mode::Simple, Mode::Text, Mode::Binary],
            Some(_) => vec![Mode::Text, Mode::Binary],
        };
        if case.writes() {
            modes = vec![modes[number % modes.len()]];
        }
        let mut all_same = true;
        for mode in modes {
            let mut through = Wire::app(port);
            let found = answer(&ask(&mut through, case, mode), case.is_ordered());
            let next = through.query("select 1").value();
            if next != "1" {
                wrong.push(format!("{} ({mode:?}): the connection does not go on", case.sql));
            }
            through.terminate();
            if found.error.as_ref().is_some_and(|(state, said)| is_refusal(state, said)) {
                all_same = false;
            } else {
                let mut direct = stage.plain.app();
                let mut expected = answer(&ask(&mut direct, case, mode), case.is_ordered());
                direct.terminate();
                if case.is_by_chance() && expected.rows.len() == found.rows.len() {
                    // Which rows a LIMIT leaves is not said; that they are rows of the table is.
                    let all = Case { sql: without_limit(&case.sql), parameters: None };
                    let all = answer(&ask(&mut stage.plain.app(), &all, mode), false);
                    assert!(found.rows.iter().all(|row| all.rows.contains(row)), "{}", case.sql);
                    expected.rows.clone_from(&found.rows);
                }
                if expected != found {
                    all_same = false;
                    wrong.push(format!("{} ({mode:?})\n  {}", case.sql, contrast(&expected, &found)));
                }
            }
            if case.writes() && wrong.is_empty() {
                stage.rows_agree(&case.sql);
            }
        }
        if all_same { same += 1 } else { refused += 1 }
    }
    (same, refused, wrong)
}

#[test]
fn every_statement_answers_as_one_postgres_or_is_refused() {
    let stage = Stage::new();
    stage.rows_agree("the load");
    let (same, refused, wrong) = compare(&stage, stage.howdah.port);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    stage.rows_agree("all statements");
    println!("{same} statements answer the same, {refused} are refused");
    assert!(same + refused >= 150, "only {} statements", same + refused);
    assert!(same >= 60, "only {same} statements answer the same, {refused} are refused");
}

#[test]
fn what_the_slice_promises_is_not_refused() {
    let stage = Stage::new();
    let mut wire = stage.howdah.app();
    for (sql, answer) in [
        ("select name from users where id = 3", "name 3"),
        ("select count(*) from users", "40"),
        ("select sum(age) from users where id > 0", "920"),
        ("select min(id) from users", "1"),
        ("select max(id) from users", "40"),
        (
            "select u.name from users u join orders o on o.user_id = u.id where u.id = 5 and o.user_id = 5 and o.id = 51",
            "name 5",
        ),
        ("select count(*) from countries", "4"),
    ] {
        assert_eq!(wire.value(sql), answer, "{sql}");
    }
    assert_eq!(wire.run("select id from users where age > 0").rows().len(), 40);
    assert_eq!(wire.run("insert into users (id, name) values (201, 'x')").tags(), ["INSERT 0 1"]);
    assert_eq!(wire.run("update users set age = 5 where id = 201").tags(), ["UPDATE 1"]);
    assert_eq!(wire.run("delete from users where id = 201").tags(), ["DELETE 1"]);
}

#[test]
fn a_transaction_on_one_shard_commits_and_rolls_back() {
    let stage = Stage::new();
    let (mut a, mut b) = (stage.howdah.app(), stage.howdah.app());
    a.run("begin");
    a.run("update users set age = 99 where id = 3");
    assert_eq!(a.value("select age from users where id = 3"), "99");
    assert_ne!(b.value("select age from users where id = 3"), "99");
    a.run("rollback");
    assert_ne!(a.value("select age from users where id = 3"), "99");
    a.run("begin; update users set age = 98 where id = 3; commit");
    assert_eq!(b.value("select age from users where id = 3"), "98");
}

#[test]
fn a_transaction_never_writes_half() {
    let stage = Stage::new();
    let mut wire = stage.howdah.app();
    wire.run("begin");
    let mut refused = false;
    for id in 1..=10 {
        refused |= wire.query(&format!("update users set age = 88 where id = {id}")).sqlstate().is_some();
    }
    wire.query("commit");
    wire.terminate();
    let counts: usize = stage
        .shards
        .iter()
        .map(|shard| shard.app().value("select count(*) from users where age = 88").parse::<usize>().unwrap())
        .sum();
    assert!(counts == 10 && !refused || counts == 0 && refused, "{counts} of 10 rows were written");
    for shard in &stage.shards {
        assert_eq!(shard.app().value("select count(*) from pg_prepared_xacts"), "0");
    }
}

/// Statements of blocks over several shards, and what is left when they ended.
fn a_block_over_shards_ends_on_all(stage: &Stage, before: Option<&str>) {
    let mut wire = stage.howdah.app();
    if let Some(sql) = before {
        wire.run(sql);
    }
    let sum = "select sum(age) from users";
    let was = wire.value(sum);
    for id in 1..=6 {
        wire.run("begin");
        wire.run(&format!("update users set age = age + 1000 where id = {id}"));
        assert_ne!(wire.value(sum), was, "own writes are seen, by all shards' rows");
        wire.run("savepoint a");
        wire.run(&format!("update users set age = age + 1000 where id = {id}"));
        wire.run("rollback to a");
        wire.run("rollback");
        assert_eq!(wire.value(sum), was, "nothing of the block is left");
        wire.run("begin");
        assert_eq!(wire.value(sum), was);
        assert_eq!(wire.query("select count(distinct age) from users").sqlstate().as_deref(), Some("0A000"));
        assert_eq!(wire.query(sum).sqlstate().as_deref(), Some("25P02"));
        assert_eq!(wire.query("commit").status(), 'I');
        wire.run("begin");
        wire.run("commit");
        assert_eq!(wire.value(sum), was);
    }
    let open = "select count(*) from pg_stat_activity where state like 'idle in transaction%'";
    for shard in &stage.shards {
        assert_eq!(shard.app().value(open), "0", "a transaction is open on a shard");
    }
}

#[test]
fn a_block_over_several_shards_ends_on_all_of_them() {
    a_block_over_shards_ends_on_all(&Stage::new(), None);
}

#[test]
fn a_client_that_keeps_its_connection_joins_each_block_with_it() {
    a_block_over_shards_ends_on_all(&Stage::new(), Some("listen something"));
}

#[test]
fn a_statement_reused_with_other_keys_goes_to_the_right_shard_each_time() {
    let stage = Stage::new();
    let mut wire = stage.howdah.app();
    wire.ask(&[parse("by_id", "select name from users where id = $1", &[20]), sync()].concat()).ok();
    for id in 1..=40_i64 {
        let bytes = id.to_be_bytes();
        let text = id.to_string();
        let (format, value) = if id % 2 == 0 { (1, &bytes[..]) } else { (0, text.as_bytes()) };
        let reply =
            wire.ask(&[bind("", "by_id", &[format], &[Some(value)], &[]), execute("", 0), sync()].concat());
        assert_eq!(reply.ok().column(), [format!("name {id}")]);
        assert_eq!(
            wire.run(&format!("select name from users where id = {id}")).column(),
            [format!("name {id}")]
        );
    }
}

#[test]
fn the_users_schema_is_that_of_the_role_in_force() {
    let stage = Stage::new();
    let made = "create role \"Other One\" superuser; create schema \"Other One\";
        create table \"Other One\".users (id int8, name text); insert into \"Other One\".users values (5, 'theirs')";
    stage.shards[0].app().run(made);
    stage.plain.app().run(made);
    for role in [
        "set role \"Other One\"",
        "set session authorization 'Other One'",
        "select set_config('role', 'Other One', false)",
    ] {
        let (mut through, mut direct) = (stage.howdah.app(), stage.plain.app());
        for wire in [&mut through, &mut direct] {
            wire.run("select name from users where id = 5");
            wire.run(role);
        }
        let sql = "select name from users where id = 5";
        assert_eq!(direct.value(sql), "theirs");
        assert_eq!(through.value(sql), "theirs", "{role}");
        through.run("reset role; reset session authorization");
        assert_eq!(through.value(sql), "name 5", "{role}");
    }
}

#[test]
fn planted_differences_are_found() {
    let plain = Postgres::start();
    for sql in [SCHEMA, HOME, USERS, ORDERS] {
        plain.app().run(sql);
    }
    let case = Case { sql: "select id, name from users where age > 21".into(), parameters: None };
    for mode in [Mode::Simple, Mode::Text, Mode::Binary] {
        let expected = answer(&ask(&mut plain.app(), &case, mode), false);
        let through =
            |fault| answer(&ask(&mut Wire::app(Relay::start(plain.port, fault).port), &case, mode), false);
        assert_eq!(expected, through(Fault::None));
        for fault in [Fault::Drop(b'D'), Fault::Double(b'D'), Fault::FlipBit(b'D'), Fault::FlipBit(b'T')] {
            assert_ne!(expected, through(fault), "{fault:?} {mode:?}");
        }
    }
}
