//! Sharded tables whose names are the aliases of others' catalog queries: psql's commands and pg_dump's
//! queries go on working, since only a name that stands where a relation can is one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use support::config::Config;
use support::postgres::Postgres;
use support::process;
use support::program::psql;
use support::proxy::Howdah;

/// Names that psql, pg_dump and drivers give to tables of the catalog, and keywords.
const NAMES: [&str; 20] = [
    "c", "n", "a", "t", "pg", "user", "index", "data", "d", "p", "r", "i", "s", "e", "cl", "ns", "attr",
    "con", "relname", "format",
];

const PLAIN: &str = "
    create table plain (id serial primary key, x text unique, y int references plain, z int check (z > 0));
    create view plain_v as select * from plain;
    create function f(int) returns int language sql immutable as 'select $1';
    create function tf() returns trigger language plpgsql as 'begin return new; end';
    create trigger tr before insert on plain for each row execute function tf();
    create sequence sq;
    create domain dom as int check (value > 0);
    create type en as enum ('a', 'b');
    create type co as (a int, b text);
    create materialized view mv as select 1 as one;
    comment on table plain is 'hello';
    comment on column plain.x is 'an x';
    grant select on plain to public;
    alter table plain enable row level security;
    create policy po on plain using (true);
    create publication pu for table plain;
    create statistics st on id, x from plain;";

/// Two shards with a sharded table of each name, and a Howdah in front. The catalog is the home shard's.
struct Stage {
    home: Postgres,
    _other: Postgres,
    howdah: Howdah,
}

impl Stage {
    fn new() -> Stage {
        let shards = [Postgres::start(), Postgres::start()];
        let mut rules = String::from("[[group]]\nname = \"g\"\n");
        for name in NAMES {
            for shard in &shards {
                shard.app().run(&format!("create table \"{name}\" (id int8 primary key, x text)"));
            }
            rules.push_str(&format!(
                "[[sharded]]\ntable = 'public.\"{name}\"'\nkey = \"id\"\ngroup = \"g\"\n"
            ));
        }
        shards[0].app().run(PLAIN);
        let folder = process::temporary_folder("rules");
        std::fs::write(folder.join("rules.toml"), rules).unwrap();
        let ports = [shards[0].port, shards[1].port];
        let howdah = Howdah::start(&Config::new(&ports).pool("size", 3).rules(folder));
        let [home, _other] = shards;
        Stage { home, _other, howdah }
    }
}

#[test]
fn psql_describes_everything() {
    let stage = Stage::new();
    let names = NAMES.map(|name| format!("\\d \"{name}\"")).join("\n");
    let script = format!(
        "\\set VERBOSITY verbose
        {names}
        \\d\n\\d+\n\\dt\n\\dt+\n\\dt+ c\n\\dt public.*\n\\dt *.c\n\\d plain\n\\d+ plain\n\\d plain_v\n\\d+ plain_v
        \\di\n\\di+\n\\di *plain*\n\\d plain_pkey\n\\ds\n\\ds+\n\\d sq\n\\dv\n\\dv+\n\\dm+\n\\d mv\n\\dE\n\\dS c
        \\df\n\\df+\n\\df f\n\\df+ f\n\\sf f\n\\sf+ f\n\\sv plain_v\n\\da\n\\do ~\n\\dy\n\\dL+
        \\dn\n\\dn+\n\\du\n\\du+\n\\dg\n\\drds\n\\l\n\\dp\n\\dp plain\n\\dp c\n\\z\n\\ddp\n\\db
        \\dT\n\\dT+\n\\dT+ en\n\\dD\n\\dD+ dom\n\\d co\n\\dC int4\n\\dO\n\\dc\n\\dd\n\\dX\n\\dRp+\n\\dRs\n\\dx+
        \\dF+\n\\dFp\n\\dFd\n\\dFt\n\\dA+\n\\dAc+ btree int*\n\\dAf btree int*\n\\dAo btree int*\n\\dAp btree int*
        \\des+\n\\det+\n\\deu+\n\\dew+\n\\dP+\n\\dconfig work_mem\n\\dl\n\\d pg_class\n\\dt *.*\n"
    );
    let show = |port: u16| {
        let output = psql(port, &[], &script);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr))
    };
    let (expected, found) = (show(stage.home.port), show(stage.howdah.port));
    assert!(expected.0.lines().count() > 1000, "{}", expected.1);
    assert_eq!(expected.1, found.1);
    assert_eq!(expected.0, found.0);
}

#[test]
fn the_tables_themselves_are_still_sharded() {
    let stage = Stage::new();
    let mut wire = stage.howdah.app();
    for name in NAMES {
        for sql in [
            format!("select max(\"{name}\".id) from public.\"{name}\" group by 1 operator(pg_catalog.+) 1"),
            format!("select 1 operator(pg_catalog.+) 1 from pg_class x, \"{name}\""),
            format!("lock table \"{name}\""),
            format!("truncate \"{name}\""),
        ] {
            assert_eq!(wire.query(&sql).sqlstate().as_deref(), Some("0A000"), "{sql}");
        }
        assert_eq!(wire.value(&format!("select count(*) from \"{name}\"")), "0");
    }
}
