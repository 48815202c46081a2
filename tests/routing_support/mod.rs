//! The stage of the routing tests: some shards with a Howdah in front, and one Postgres with all their rows.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod corpus;
pub mod generate;
pub mod tables;

use crate::support::cases::{self, Case, answer, ask};
use crate::support::config::Config;
use crate::support::postgres::Postgres;
use crate::support::process;
use crate::support::proxy::Howdah;
use crate::support::wire::Wire;
use tables::{COUNTRIES, Filled, TABLES, rules};

/// Some shards with a Howdah in front, and one Postgres with all their rows.
pub struct Stage {
    pub shards: Vec<Postgres>,
    pub plain: Postgres,
    pub howdah: Howdah,
}

fn load(postgres: &Postgres, only: Option<(usize, usize)>) {
    let mut wire = postgres.app();
    wire.run(include_str!("../corpus/routing/schema.sql"));
    let is_shard = |wanted: usize| only.is_none_or(|(number, _)| number == wanted);
    if is_shard(0) {
        wire.run(include_str!("../corpus/routing/home.sql"));
    }
    if is_shard(only.map_or(0, |(_, shards)| shards - 1)) {
        wire.run(include_str!("../corpus/routing/last.sql"));
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
    /// Starts the servers and loads the rows.
    pub fn new(shards: usize, icu: bool) -> Stage {
        let start = || if icu { Postgres::start_icu() } else { Postgres::start() };
        let servers: Vec<Postgres> = (0..shards).map(|_| start()).collect();
        let plain = start();
        std::thread::scope(|scope| {
            scope.spawn(|| load(&plain, None));
            for (number, shard) in servers.iter().enumerate() {
                scope.spawn(move || load(shard, Some((number, shards))));
            }
        });
        let howdah = Howdah::start(&config(&servers));
        Stage { shards: servers, plain, howdah }
    }

    /// Another Howdah in front of the shards, with a fault planted.
    pub fn howdah_with(&self, fault: &'static str) -> Howdah {
        Howdah::start_with(&config(&self.shards), Some(fault))
    }

    /// Every row of the sharded tables, from the shards and from the one Postgres: the same rows, each on
    /// its shard.
    pub fn rows_agree(&self, after: &str) {
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

fn config(shards: &[Postgres]) -> Config {
    let folder = process::temporary_folder("rules");
    std::fs::write(folder.join("rules.toml"), rules(shards.len())).unwrap();
    let ports: Vec<u16> = shards.iter().map(|shard| shard.port).collect();
    Config::new(&ports).pool("size", 3).rules(folder)
}

/// What comparing all statements of a corpus gave.
#[derive(Default)]
pub struct Outcome {
    pub same: usize,
    pub refused: Vec<String>,
    pub wrong: Vec<String>,
}

/// Asks every statement of a corpus, both ways.
pub fn compare(stage: &Stage, corpus: &[Case]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut written = String::new();
    for (number, case) in corpus.iter().enumerate() {
        let mut all_same = true;
        for mode in case.modes(number) {
            let mut through = Wire::app(stage.howdah.port);
            let found = answer(&ask(&mut through, case, mode), case.is_ordered());
            let next = through.query("select 1");
            if next.column() != ["1"] {
                let told = next.message().unwrap_or_default();
                outcome.wrong.push(format!("{} ({mode:?}): the connection does not go on: {told}", case.sql));
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
            let all = case.without_limit().map(|case| answer(&ask(&mut direct, &case, mode), false));
            direct.terminate();
            let is_same = match &all {
                None => expected == found,
                Some(all) => found.is_some_of(&expected, all),
            };
            if !is_same {
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
