//! Programs on drivers and ORMs: in transaction pooling they print what they print on plain Postgres.
//!
//! The programs are in `tests/clients/`. Their packages are installed with pip into a virtual environment
//! under `target/`, once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::config::Config;
use support::postgres::Postgres;
use support::proxy::Howdah;
use support::relay::{Fault, Relay};

/// The Python of the virtual environment, which is made where it is not there.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients-python");
        let python = folder.join("bin/python");
        let wanted = include_str!("clients/requirements.txt");
        let marker = folder.join("installed.txt");
        if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
            return python;
        }
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/requirements.txt");
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(requirements));
        std::fs::write(marker, wanted).unwrap();
        python
    })
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
}

/// What a program prints when it is given this port, and whether it ended well.
fn printed(program: &str, port: u16) -> (String, bool) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(program);
    let output = Command::new(python())
        .args(["-B", "-W", "ignore"])
        .arg(script)
        .arg(port.to_string())
        .env_remove("PGPASSWORD")
        .output()
        .unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = complained.lines().rev().take(12).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    let well = output.status.success();
    // What libraries log on the side depends on timing; it is shown where the program failed.
    let tail = if well { String::new() } else { tail.join("\n") };
    (format!("{}{tail}", String::from_utf8_lossy(&output.stdout)), well)
}

/// A server of its own, since programs make and drop tables; three server connections for Howdah.
fn prints_the_same(program: &str) {
    let postgres = Postgres::start();
    postgres.app().run(include_str!("corpus/fixture.sql"));
    let (expected, well) = printed(program, postgres.port);
    assert!(well && expected.lines().count() > 10, "{program} fails on plain Postgres:\n{expected}");
    let howdah = Howdah::start(&Config::new(&[postgres.port]).pool("size", 3));
    let (found, _) = printed(program, howdah.port);
    for (number, (left, right)) in expected.lines().zip(found.lines()).enumerate() {
        assert_eq!(left, right, "line {} of {program}; all of it:\n{found}", number + 1);
    }
    assert_eq!(expected, found);
}

#[test]
fn psycopg_3() {
    prints_the_same("psycopg3.py");
}

#[test]
fn asyncpg() {
    prints_the_same("asyncpg_program.py");
}

#[test]
fn sqlalchemy() {
    prints_the_same("sqlalchemy_program.py");
}

#[test]
fn django_with_migrations() {
    prints_the_same("django_program.py");
}

#[test]
fn a_planted_difference_is_seen() {
    let postgres = Postgres::start();
    postgres.app().run(include_str!("corpus/fixture.sql"));
    let expected = printed("psycopg3.py", postgres.port);
    assert_eq!(expected, printed("psycopg3.py", Relay::start(postgres.port, Fault::None).port));
    assert_ne!(expected, printed("psycopg3.py", Relay::start(postgres.port, Fault::FlipBit(b'D')).port));
}

/// Types made in another order on every shard, after others, so that each has OIDs of its own.
fn people(shard: usize) -> String {
    let mut parts = vec![
        "create type mood as enum ('sad', 'ok', 'happy')".to_owned(),
        "create type span as range (subtype = float8)".to_owned(),
    ];
    parts.rotate_left(shard % 2);
    for other in 0..shard * 3 {
        parts.insert(0, format!("create type other{other} as (a int, b text)"));
        parts.insert(0, format!("create table other_table{other} (a int)"));
    }
    parts.extend([
        "create domain weekday as mood default 'ok'".to_owned(),
        "create type address as (street text, is_let bool, feels mood)".to_owned(),
        "create table people (id int8 primary key, moods mood[], home address, past address[], mood mood,
           spans span[] default '{\"[1,2]\",empty}', weekday weekday)"
            .to_owned(),
    ]);
    parts.join(";\n")
}

/// What a program prints on plain Postgres, and over three shards with `config`'s text changed.
fn printed_over_shards(program: &str, change: impl Fn(String) -> String) -> (String, String) {
    let plain = Postgres::start();
    plain.app().run(&people(0));
    let (expected, well) = printed(program, plain.port);
    assert!(well && expected.lines().count() > 10, "{program} fails on plain Postgres:\n{expected}");
    let shards: Vec<Postgres> = (0..3).map(|_| Postgres::start()).collect();
    shards.iter().enumerate().for_each(|(number, shard)| drop(shard.app().run(&people(number))));
    let rules = support::process::temporary_folder("rules");
    let text =
        "[[group]]\nname = \"people\"\n\n[[sharded]]\ntable = \"people\"\nkey = \"id\"\ngroup = \"people\"\n";
    std::fs::write(rules.join("rules.toml"), text).unwrap();
    let ports: Vec<u16> = shards.iter().map(|shard| shard.port).collect();
    let config = Config::new(&ports).rules(rules).pool("size", 3);
    let howdah = Howdah::start(&Config::of_text(change(config.text(0))));
    (expected, printed(program, howdah.port).0)
}

/// As [`prints_the_same`], over three shards.
fn prints_the_same_over_shards(program: &str) {
    let (expected, found) = printed_over_shards(program, |text| text);
    for (number, (left, right)) in expected.lines().zip(found.lines()).enumerate() {
        assert_eq!(left, right, "line {} of {program}; all of it:\n{found}", number + 1);
    }
    assert_eq!(expected, found);
}

#[test]
fn asyncpg_over_shards_with_other_oids() {
    prints_the_same_over_shards("oids_asyncpg.py");
}

#[test]
fn psycopg_3_over_shards_with_other_oids() {
    prints_the_same_over_shards("oids_psycopg.py");
}

/// Without a maintenance user nobody knows the shards' OIDs.
#[test]
fn oids_that_are_not_translated_are_seen() {
    for program in ["oids_asyncpg.py", "oids_psycopg.py"] {
        let (expected, found) =
            printed_over_shards(program, |text| text.replace("maintenance_user = \"app\"\n", ""));
        assert_ne!(expected, found, "{program}");
    }
}
