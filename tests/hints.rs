//! Hints that force a shard: a comment in the statement, and `SET howdah.shard`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use support::config::Config;
use support::message::{bind, execute, parse, sync};
use support::postgres::Postgres;
use support::process;
use support::proxy::Howdah;
use support::wire::Wire;

const RULES: &str =
    "group = [{ name = \"t\" }]\nsharded = [{ table = \"t\", key = \"id\", group = \"t\" }]\n";

/// Two shards with a table that says which one it is on.
fn stage(hints: bool) -> (Vec<Postgres>, Howdah) {
    let shards: Vec<Postgres> = (0..2).map(|_| Postgres::start()).collect();
    for (number, shard) in shards.iter().enumerate() {
        shard.app().run(&format!(
            "create table t (id int8 primary key, place text); insert into t values ({number}, 'shard {number}')"
        ));
    }
    let folder = process::temporary_folder("rules");
    std::fs::write(folder.join("rules.toml"), RULES).unwrap();
    let ports: Vec<u16> = shards.iter().map(|shard| shard.port).collect();
    let howdah = Howdah::start(&Config::new(&ports).rules(folder).cluster("hints", hints));
    (shards, howdah)
}

fn extended(wire: &mut Wire, sql: &str) -> Vec<String> {
    let mut out = parse("", sql, &[]);
    out.extend(bind("", "", &[], &[], &[]));
    out.extend([execute("", 0), sync()].concat());
    wire.ask(&out).ok().column()
}

#[test]
fn a_hint_forces_the_shard() {
    let (_shards, howdah) = stage(true);
    let mut wire = howdah.app();
    for shard in ["0", "1", "s0", "s1"] {
        let expected = [format!("shard {}", shard.trim_start_matches('s'))];
        for sql in [
            format!("/* howdah: shard={shard} */ select place from t"),
            format!("select place from t /* howdah: shard={shard} */"),
            format!("select place from t -- howdah: shard={shard}"),
        ] {
            assert_eq!(wire.run(&sql).column(), expected, "{sql}");
            assert_eq!(extended(&mut wire, &sql), expected, "{sql}");
        }
        wire.run(&format!("set howdah.shard = '{shard}'"));
        assert_eq!(wire.run("select place from t").column(), expected);
        assert_eq!(extended(&mut wire, "select place from t"), expected);
        assert_eq!(wire.run("select place from t /* howdah: shard=1 */").column(), ["shard 1"]);
        wire.run("reset howdah.shard");
        assert_eq!(wire.run("select place from t order by id").column(), ["shard 0", "shard 1"]);
    }
    for sql in ["select 1 /* howdah: shard=2 */", "select 1 /* howdah: sharp=1 */"] {
        assert_eq!(wire.query(sql).sqlstate().as_deref(), Some("22023"), "{sql}");
    }
}

#[test]
fn a_hint_that_is_not_allowed_is_refused() {
    let (_shards, howdah) = stage(false);
    let mut wire = howdah.app();
    assert_eq!(wire.query("select place from t /* howdah: shard=1 */").sqlstate().as_deref(), Some("0A000"));
    wire.run("set howdah.shard = 1");
    assert_eq!(wire.query("select place from t").sqlstate().as_deref(), Some("0A000"));
    wire.run("reset howdah.shard");
    assert_eq!(wire.run("select place from t order by id").column(), ["shard 0", "shard 1"]);
}
