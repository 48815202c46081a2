//! Routing, held against one plain Postgres: each statement of `tests/corpus/routing/` over 1, 2, 3 and 5
//! shards, some of them empty, answers the same, cell by cell, or is refused with `0A000` and a hint.
//! Those of `same.txt` must answer the same.
//!
//! The rows are loaded on the shards' own connections, and placed by SQL of Postgres's own, so that nothing
//! of Howdah decides where they lie.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use support::cases::{self, Case, answer, ask};
use support::config::Config;
use support::postgres::Postgres;
use support::process;
use support::proxy::Howdah;
use support::wire::Wire;

/// A table with the rows it is filled with (`i` counts), and the shard of a row in SQL (`$n` shards).
struct Filled {
    table: &'static str,
    rows: &'static str,
    shard: &'static str,
}

const TABLES: &[Filled] = &[
    Filled {
        table: "users",
        rows: "select i as id, 'name ' || i, 20 + i % 7, case when i % 5 > 0 then i * 1.25 end, i % 3 = 0,
            '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 day', (array['ch','cz','de'])[i % 3 + 1], i / 2.0,
            (array['sad','ok','happy'])[i % 3 + 1]::mood, array['t' || i % 4, 'x'], jsonb_build_object('n', i % 5)
            from generate_series(1, 40) i",
        shard: "(hashint8extended(id, 0) & 4095) * $n / 4096",
    },
    Filled {
        table: "orders",
        rows: "select u * 10 + n as id, u as user_id, n, u * n * 1.11, case when n % 2 = 0 then 'note ' || n end
            from generate_series(1, 40) u, generate_series(1, 4) n where u % 10 <> 0",
        shard: "(hashint8extended(user_id, 0) & 4095) * $n / 4096",
    },
    Filled {
        table: "lines",
        rows: "select u as user_id, n, 'item ' || i from generate_series(1, 40) u, generate_series(1, 3) n,
            generate_series(1, 2) i where u % 10 <> 0 and (u + n) % 3 > 0",
        shard: "(hashint8extended(user_id, 0) & 4095) * $n / 4096",
    },
    Filled {
        table: "blobs",
        rows: "select i as id, decode(lpad(to_hex(i * 7919 + 4096), 6, '0'), 'hex') from generate_series(1, 20) i",
        shard: "(hashint8extended(id, 0) & 4095) * $n / 4096",
    },
    Filled {
        table: "\"Mixed Case\"",
        rows: "select i as \"Key\", 'v' || i from generate_series(1, 9) i",
        shard: "(hashint8extended(\"Key\", 0) & 4095) * $n / 4096",
    },
    Filled {
        table: "metrics",
        rows: "select i as id, '2024-01-01'::date + i * 11, i * 2 from generate_series(1, 30) i",
        shard: "(hashint8extended(id, 0) & 4095) * $n / 4096",
    },
    Filled {
        table: "things",
        rows: "select i as id, 'thing ' || i from generate_series(1, 9) i",
        shard: "(hashint8extended(id, 0) & 4095) * $n / 4096",
    },
    Filled {
        table: "special_things",
        rows: "select i as id, 'special ' || i, i from generate_series(3, 12) i",
        shard: "(hashint8extended(id, 0) & 4095) * $n / 4096",
    },
    Filled {
        table: "accounts",
        rows: "select login, row_number() over () * 7 % 5 * 10 from unnest(array['ann', 'bob', 'Ann', 'zoe', 'Ünal',
            'o''brien', 'émile', 'eve', 'a b', '', 'ANN', 'straße', 'Zed', 'bob2', '日本']) login",
        shard: "(hashtextextended(login, 0) & 4095) * $n / 4096",
    },
    Filled {
        table: "docs",
        rows: "select ('00000000-0000-0000-0000-0000000000' || lpad(i::text, 2, '0'))::uuid as id, 'doc ' || i
            from generate_series(1, 20) i",
        shard: "(uuid_hash_extended(id, 0) & 4095) * $n / 4096",
    },
    Filled {
        table: "readings",
        rows: "select t as tenant, r as region, n, t * 10 + n * 0.5 from generate_series(1, 4) t,
            unnest(array['eu', 'us', 'asia']) r, generate_series(1, 3) n",
        shard: "(hashtextextended(region, hashint8extended(tenant, 0)) & 4095) * $n / 4096",
    },
    Filled {
        table: "diary",
        rows: "select '2023-12-30'::date + i as day, 'day ' || i from generate_series(1, 25) i",
        shard: "(hashint8extended(day - '2000-01-01'::date, 0) & 4095) * $n / 4096",
    },
    Filled {
        table: "stretch",
        rows: "select num, n from unnest(array[-50, -5, 0, 5, 10, 20, 55, 99, 100, 150, 1000]) num, generate_series(1, 3) n",
        shard: "case when num < 0 then 0 when num < 100 then 1 else 2 end % $n",
    },
    Filled {
        table: "regional",
        rows: "select region, n from unnest(array['north', 'south', 'west']) region, generate_series(1, 4) n",
        shard: "case region when 'north' then 0 when 'south' then 1 else 2 end % $n",
    },
    Filled {
        table: "archive",
        rows: "select i as id, '2024-01-03 10:00:00'::timestamp + i * interval '67 hours' as placed, i * 1.5
            from generate_series(1, 40) i union all select 99, '2024-03-10 10:00:00', 9.99",
        shard: "((extract(year from placed) - 2000) * 12 + extract(month from placed) - 1)::int % $n",
    },
];

const COUNTRIES: &str = "insert into countries values ('ch', 'Switzerland'), ('cz', 'Czechia'), ('de', 'Germany'), ('zz', 'Nowhere')";

/// The rules, where `LAST` is the last shard, and `S0`, `S1`, `S2` are shards modulo their number.
const RULES: &str = r#"
group = [
  { name = "users" },
  { name = "logins", key_type = "text" },
  { name = "docs", key_type = "uuid" },
  { name = "tenants", key_type = ["int8", "text"] },
  { name = "days", key_type = "date" },
  { name = "stretches", key_type = "int8", function = "range", range = [
    { to = 0, shard = "S0" }, { from = 0, to = 100, shard = "S1" }, { from = 100, shard = "S2" } ] },
  { name = "regions", key_type = "text", function = "list", list = [
    { values = "north", shard = "S0" }, { values = ["south"], shard = "S1" }, { values = ["west"], shard = "S2" } ] },
  { name = "months", key_type = "timestamp", function = "interval", interval = "1 month" },
]
sharded = [
  { table = "users", key = "id", group = "users" },
  { table = "orders", key = "user_id", group = "users" },
  { table = "lines", key = "user_id", group = "users" },
  { table = "blobs", key = "id", group = "users" },
  { table = '"Mixed Case"', key = '"Key"', group = "users" },
  { table = "metrics", key = "id", group = "users" },
  { table = "things", key = "id", group = "users" },
  { table = "accounts", key = "login", group = "logins" },
  { table = "docs", key = "id", group = "docs" },
  { table = "readings", key = ["tenant", "region"], group = "tenants" },
  { table = "diary", key = "day", group = "days" },
  { table = "stretch", key = "num", group = "stretches" },
  { table = "regional", key = "region", group = "regions" },
  { table = "archive", key = "placed", group = "months" },
]
reference = [ { table = "countries" } ]
single = [ { table = "audit", shard = "LAST" } ]
schema = [ { name = "tenant_a", shard = "s0" } ]
"#;

fn rules(shards: usize) -> String {
    let mut text = RULES.replace("LAST", &format!("s{}", shards - 1));
    for number in 0..3 {
        text = text.replace(&format!("\"S{number}\""), &format!("\"s{}\"", number % shards));
    }
    text
}

/// Some shards with a Howdah in front, and one Postgres with all their rows.
struct Stage {
    shards: Vec<Postgres>,
    plain: Postgres,
    howdah: Howdah,
}

fn load(postgres: &Postgres, only: Option<(usize, usize)>) {
    let mut wire = postgres.app();
    wire.run(include_str!("corpus/routing/schema.sql"));
    let is_shard = |wanted: usize| only.is_none_or(|(number, _)| number == wanted);
    if is_shard(0) {
        wire.run(include_str!("corpus/routing/home.sql"));
    }
    if is_shard(only.map_or(0, |(_, shards)| shards - 1)) {
        wire.run(include_str!("corpus/routing/last.sql"));
    }
    wire.run(COUNTRIES);
    for Filled { table, rows, shard } in TABLES {
        let place = match only {
            Some((number, shards)) => {
                format!("where {} = {number}", shard.replace("$n", &shards.to_string()))
            }
            None => String::new(),
        };
        wire.run(&format!("insert into {table} select * from ({rows}) r {place}"));
    }
    wire.run("analyze");
}

impl Stage {
    fn new(shards: usize, icu: bool) -> Stage {
        let start = || if icu { Postgres::start_icu() } else { Postgres::start() };
        let servers: Vec<Postgres> = (0..shards).map(|_| start()).collect();
        let plain = start();
        std::thread::scope(|scope| {
            scope.spawn(|| load(&plain, None));
            for (number, shard) in servers.iter().enumerate() {
                scope.spawn(move || load(shard, Some((number, shards))));
            }
        });
        let folder = process::temporary_folder("rules");
        std::fs::write(folder.join("rules.toml"), rules(shards)).unwrap();
        let ports: Vec<u16> = servers.iter().map(|shard| shard.port).collect();
        let howdah = Howdah::start(&Config::new(&ports).pool("size", 3).rules(folder));
        Stage { shards: servers, plain, howdah }
    }

    /// Every row of the sharded tables, from the shards and from the one Postgres: the same rows, each on
    /// its shard.
    fn rows_agree(&self, after: &str) {
        for Filled { table, shard, .. } in TABLES {
            if matches!(*table, "things" | "special_things") && self.shards.len() > 1 {
                continue;
            }
            let sql = format!("select t::text from {table} t");
            let mut sharded = Vec::new();
            for (number, server) in self.shards.iter().enumerate() {
                let mut wire = server.app();
                let place = shard.replace("$n", &self.shards.len().to_string());
                let astray =
                    wire.value(&format!("select count(*) from {table} where not ({place}) = {number}"));
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

/// What comparing all statements of a corpus gave.
#[derive(Default)]
struct Outcome {
    same: usize,
    refused: Vec<String>,
    wrong: Vec<String>,
}

fn compare(stage: &Stage, corpus: &[Case]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut written = String::new();
    for (number, case) in corpus.iter().enumerate() {
        let mut all_same = true;
        for mode in case.modes(number) {
            let mut through = Wire::app(stage.howdah.port);
            let found = answer(&ask(&mut through, case, mode), case.is_ordered());
            let next = through.query("select 1").value();
            if next != "1" {
                outcome.wrong.push(format!("{} ({mode:?}): the connection does not go on", case.sql));
            }
            through.terminate();
            if found.is_refusal() {
                all_same = false;
                outcome.refused.push(format!("{} ({mode:?}): {}", case.sql, found.told()));
                if !found.has_hint {
                    outcome.wrong.push(format!(
                        "{} ({mode:?}): refused without a hint: {}",
                        case.sql,
                        found.told()
                    ));
                }
                continue;
            }
            let mut direct = stage.plain.app();
            let expected = answer(&ask(&mut direct, case, mode), case.is_ordered());
            direct.terminate();
            if expected != found {
                all_same = false;
                outcome.wrong.push(format!(
                    "{} ({mode:?})\n  {}",
                    case.sql,
                    cases::contrast(&expected, &found)
                ));
            }
        }
        outcome.same += usize::from(all_same);
        if case.writes() {
            written.clone_from(&case.sql);
        }
    }
    if outcome.wrong.is_empty() {
        stage.rows_agree(&written);
    }
    outcome
}

fn traps() -> Vec<Case> {
    cases::read(include_str!("corpus/routing/traps.txt"))
}

fn same() -> Vec<Case> {
    cases::read(include_str!("corpus/routing/same.txt"))
}

fn traps_are_answered_the_same_or_refused(shards: usize, icu: bool) {
    let stage = Stage::new(shards, icu);
    let Outcome { same, refused, wrong } = compare(&stage, &traps());
    let counts = format!("{same} statements the same, {} answers refused", refused.len());
    assert!(wrong.is_empty(), "{counts}; {} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn what_must_be_the_same_is(shards: usize, icu: bool) {
    let stage = Stage::new(shards, icu);
    let Outcome { refused, wrong, .. } = compare(&stage, &same());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused.is_empty(), "{} refused:\n{}", refused.len(), refused.join("\n"));
}

#[test]
fn the_corpora_are_large_enough() {
    assert!(traps().len() + same().len() >= 500, "{} and {}", traps().len(), same().len());
    assert!(same().len() >= 150, "{}", same().len());
}

#[test]
fn traps_on_one_shard() {
    traps_are_answered_the_same_or_refused(1, false);
}

#[test]
fn traps_on_two_shards_that_sort_by_icu() {
    traps_are_answered_the_same_or_refused(2, true);
}

#[test]
fn traps_on_three_shards() {
    traps_are_answered_the_same_or_refused(3, false);
}

#[test]
fn traps_on_five_shards_that_sort_by_icu() {
    traps_are_answered_the_same_or_refused(5, true);
}

#[test]
fn the_same_on_one_shard() {
    what_must_be_the_same_is(1, true);
}

#[test]
fn the_same_on_two_shards() {
    what_must_be_the_same_is(2, false);
}

#[test]
fn the_same_on_three_shards_that_sort_by_icu() {
    what_must_be_the_same_is(3, true);
}

#[test]
fn the_same_on_five_shards() {
    what_must_be_the_same_is(5, false);
}
