//! What may reach a sharded table without a query's naming it: casts, domains, constraints, triggers, rules,
//! policies, foreign keys, commands, functions of sizes. Each statement of `tests/corpus/hazards.sql` answers
//! as one Postgres does, or is refused with `0A000`; the home shard's part is never taken for the whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use support::config::Config;
use support::frame::Reply;
use support::message::{bind, copy_fail, execute, parse, query, sync};
use support::postgres::Postgres;
use support::process;
use support::proxy::Howdah;
use support::wire::Wire;

/// On every shard, and on the one Postgres.
const EVERYWHERE: &str = "
    create table users (id int8 primary key, name text not null, age int check (age >= 0), score numeric, active bool);
    create table parted (id int8 not null, x int, primary key (id)) partition by hash (id);
    create table parted_0 partition of parted for values with (modulus 2, remainder 0);
    create table parted_1 partition of parted for values with (modulus 2, remainder 1);
    create table serials (id int8 primary key, n bigserial, note text);
    create table heads (id int8 primary key, x int);
    create table tails (id int8 references heads on delete set null, x int);
    create table tops (id int8, x int, primary key (id, x));
    create table subs (id int8, x int, foreign key (id, x) references tops on delete cascade on update cascade);
    create table policed (id int8, note text);
    create table countries (code text primary key, title text);
    alter table policed enable row level security;
    alter table policed force row level security;
    create policy po on policed using (exists (select from countries));
    create view young as select id, name from users where age < 30;
    create function count_users() returns bigint language sql stable as 'select count(*) from users';
    create function trg() returns trigger language plpgsql as 'begin perform count(*) from users; return new; end';
    create index users_name on users (name);";

/// On the home shard, and on the one Postgres.
const HOME: &str = "
    insert into countries values ('ch', 'Switzerland'), ('cz', 'Czechia'), ('de', 'Germany'), ('zz', 'Nowhere');
    create view countries_v as select * from countries;
    create sequence ticket;
    create type pair as (a int, b int);
    create function to_pair(int) returns pair language sql stable as 'select row(count(*), $1)::pair from users';
    create function from_pair(pair) returns int language sql stable as 'select count(*)::int from users';
    create cast (pair as int) with function from_pair(pair) as implicit;
    create cast (int as pair) with function to_pair(int) as implicit;
    create function version() returns text language sql stable as 'select count(*)::text from users';
    create function user_ok(int) returns bool language sql stable as 'select count(*) > $1 from users';
    create function user_n(int) returns int language sql stable as 'select count(*)::int + $1 from users';
    create function user_alike(int, int) returns bool language sql stable as 'select count(*) > 30 from users';
    create operator === (leftarg = int, rightarg = int, function = user_alike);
    create function via_default(int default user_n(0)) returns int language sql immutable as 'select $1';
    create domain few as int check (user_ok(value));
    create domain defd as int default user_n(0);
    create type holder as (v few);
    create function twice_ok(few) returns int language sql immutable as 'select $1::int * 2';
    create table checked (id int, v int check (user_ok(v)));
    insert into checked values (1, 1);
    create table domained (id int, v few);
    create table defdomained (id int, v defd);
    create table casted (id int, p pair);
    create table indexed (id int);
    create table parent1 (id int8 primary key);
    create table child1 (id int8 primary key, p int8 references parent1 on delete cascade on update cascade);
    create materialized view young_m as select id, name from users where age < 30;
    create view rewritten as select id, id operator(public.===) 1 as alike from checked;
    create table ruled (id int);
    create rule count_them as on insert to ruled do also insert into checked select count(*), 1 from users;
    create table triggered (id int);
    create trigger t before insert or update on triggered for each row execute function trg();
    create extension dblink;
    create extension tablefunc;";

/// Rows by the condition that puts a key on a shard: 4,096 buckets, bucket b on shard ⌊b·2/4096⌋.
fn rows(shard: Option<usize>) -> String {
    let condition = shard
        .map_or("true".to_owned(), |shard| format!("((hashint8extended(i, 0) & 4095) * 2 / 4096) = {shard}"));
    let fill = |table: &str, columns: &str| {
        format!("insert into {table} select {columns} from generate_series(1, 40) i where {condition};")
    };
    [
        fill("users", "i, 'name ' || i, 20 + i % 7, i * 1.25, i % 3 = 0"),
        fill("parted", "i, i"),
        fill("serials", "i, i, 'x'"),
        fill("heads", "i, i"),
        fill("tails", "i, i"),
        fill("tops", "i, i"),
        fill("subs", "i, i"),
        fill("policed", "i, 'x'"),
    ]
    .concat()
}

struct Stage {
    shards: [Postgres; 2],
    plain: Postgres,
    howdah: Howdah,
}

impl Stage {
    fn new() -> Stage {
        let shards = [Postgres::start(), Postgres::start()];
        for (number, shard) in shards.iter().enumerate() {
            let mut wire = shard.app();
            wire.run(EVERYWHERE);
            wire.run(&rows(Some(number)));
            let found: usize = wire.value("select count(*) from users").parse().unwrap();
            assert!((10..31).contains(&found), "shard {number} has {found} of 40 users");
        }
        shards[0].app().run(HOME);
        let plain = Postgres::start();
        for sql in [EVERYWHERE, &rows(None), HOME] {
            plain.app().run(sql);
        }
        let tables = ["users", "parted", "serials", "heads", "tails", "tops", "subs", "policed"];
        let rule = |table: &&str| {
            format!("[[sharded]]\ntable = \"public.{table}\"\nkey = \"id\"\ngroup = \"users\"\n")
        };
        let rules: String = tables.iter().map(rule).collect();
        let folder = process::temporary_folder("rules");
        std::fs::write(folder.join("rules.toml"), format!("[[group]]\nname = \"users\"\n{rules}")).unwrap();
        let ports = [shards[0].port, shards[1].port];
        let howdah = Howdah::start(&Config::new(&ports).pool("size", 3).rules(folder));
        Stage { shards, plain, howdah }
    }
}

/// What of a reply must be the same.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    rows: Vec<String>,
    tags: Vec<String>,
    error: Option<(String, String)>,
}

fn answer(reply: &Reply) -> Answer {
    let rows = reply.frames.iter().filter(|frame| matches!(frame.tag, b'D' | b'd'));
    let mut rows: Vec<String> = rows.map(|frame| frame.body.escape_ascii().to_string()).collect();
    rows.sort();
    let error = reply.sqlstate().map(|state| (state, reply.message().unwrap_or_default()));
    Answer { rows, tags: reply.tags(), error }
}

/// The statement in a transaction that is rolled back, where it can run in one.
fn ask(mut wire: Wire, sql: &str) -> Answer {
    let is_alone =
        ["vacuum", "cluster", "reindex database", "alter system"].iter().any(|start| sql.starts_with(start));
    if !is_alone {
        wire.run("begin");
    }
    // Postgres ignores a CopyFail where no COPY waits for data.
    let reply = match sql.ends_with("from stdin") {
        true => wire.ask(&[query(sql), copy_fail("no rows")].concat()),
        false => wire.query(sql),
    };
    let found = answer(&reply);
    wire.query("rollback");
    wire.terminate();
    found
}

/// Statements, each with whether it must answer.
fn corpus() -> Vec<(bool, &'static str)> {
    let lines = include_str!("corpus/hazards.sql").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.strip_prefix("= ").map_or((false, line), |sql| (true, sql))).collect()
}

#[test]
fn every_statement_answers_as_one_postgres_or_is_refused() {
    let stage = Stage::new();
    let (mut same, mut refused, mut wrong) = (0, 0, Vec::new());
    for (must_answer, sql) in corpus() {
        let found = ask(stage.howdah.app(), sql);
        if found.error.as_ref().is_some_and(|(state, _)| state == "0A000") && !must_answer {
            refused += 1;
            continue;
        }
        let expected = ask(stage.plain.app(), sql);
        if found == expected {
            same += 1;
        } else {
            wrong.push(format!("{sql}\n  one Postgres {expected:?}\n  Howdah       {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    println!("{same} statements answer the same, {refused} are refused");
    assert!(same >= 70, "only {same} statements answer the same, {refused} are refused");
    let left = stage.howdah.app().value("select count(*) from pg_class where relname like 'z_'");
    assert_eq!(left, "0");
}

#[test]
fn the_home_shard_alone_would_be_found_wrong() {
    let stage = Stage::new();
    let differs = |(_, sql): &(bool, &str)| ask(stage.shards[0].app(), sql) != ask(stage.plain.app(), sql);
    let found = corpus().iter().filter(|case| differs(case)).count();
    assert!(found >= 30, "only {found} statements tell the home shard from one Postgres");
}

#[test]
fn sizes_and_statistics_say_whose_they_are() {
    let stage = Stage::new();
    let mut wire = stage.howdah.app();
    let warned = |reply: &Reply| {
        reply.tagged(b'N').any(|frame| frame.body.windows(9).any(|word| word == b"home shar"))
    };
    for sql in [
        "select pg_total_relation_size(oid) from pg_class where relkind = 'r'",
        "select n_live_tup from pg_stat_user_tables",
        "select reltuples from pg_class",
        "select pg_database_size('app')",
    ] {
        let reply = wire.query(sql);
        assert!(reply.sqlstate().is_none() && warned(&reply), "{sql}");
        let reply =
            wire.ask(&[parse("", sql, &[]), bind("", "", &[], &[], &[]), execute("", 0), sync()].concat());
        assert!(reply.sqlstate().is_none() && warned(&reply), "{sql}");
    }
    for sql in [
        "select pg_relation_size('users')",
        "select pg_table_size('public.\"parted_0\"'::regclass)",
        "select pg_relation_size('users_name')",
        "select pg_stat_get_numscans('users'::regclass)",
    ] {
        assert_eq!(wire.query(sql).sqlstate().as_deref(), Some("0A000"), "{sql}");
    }
    wire.run("set client_min_messages = error");
    assert!(!warned(&wire.query("select n_live_tup from pg_stat_user_tables")));
    assert!(!warned(&wire.query("select relname from pg_class")));
}

#[test]
fn an_event_trigger_of_a_users_function_stops_definitions() {
    let stage = Stage::new();
    let sql = "create function watch() returns event_trigger language plpgsql as 'begin perform count(*) from users; end';
               create event trigger watching on ddl_command_end execute function watch()";
    stage.shards[0].app().run(sql);
    let mut wire = stage.howdah.app();
    support::eventually("the catalog is read again", 20, || {
        wire.query("create table if not exists watched (a int)").sqlstate().as_deref() == Some("0A000")
    });
    assert_eq!(wire.query("comment on table countries is 'x'").sqlstate().as_deref(), Some("0A000"));
    assert_eq!(wire.value("select count(*) from countries"), "4");
}
