//! Clusters with a store, for tests of several files; not every file uses all of it.

#![allow(dead_code, reason = "each test file uses a part")]

use crate::support::config::Config;
use crate::support::frame::Reply;
use crate::support::postgres::Postgres;
use crate::support::process;
use crate::support::proxy::Howdah;
use std::path::{Path, PathBuf};

/// A table that is sharded from the start.
pub const USERS: &str = "create table users (id int8 primary key, name text)";
/// Its rule.
pub const RULES: &str = "
[[group]]
name = \"users\"

[[sharded]]
table = \"users\"
key = \"id\"
group = \"users\"
";

/// The condition that puts a key on a shard of `shards`.
pub fn on_shard(key: &str, shard: usize, shards: usize) -> String {
    format!("((hashint8extended({key}, 0) & 4095) * {shards} / 4096) = {shard}")
}

/// A folder with one file of rules.
pub fn rules(text: &str) -> PathBuf {
    let dir = process::temporary_folder("rules");
    std::fs::write(dir.join("rules.toml"), text).unwrap();
    dir
}

/// Other rules in that folder.
pub fn rewrite(dir: &Path, text: &str) {
    std::fs::write(dir.join("rules.toml"), text).unwrap();
}

/// Shards with an empty `users` each.
pub fn shards(count: usize) -> Vec<Postgres> {
    let shards: Vec<Postgres> = (0..count).map(|_| Postgres::start()).collect();
    shards.iter().for_each(|shard| drop(shard.app().run(USERS)));
    shards
}

/// A proxy over these shards.
pub fn config(shards: &[Postgres], rules: &Path) -> Config {
    let ports: Vec<u16> = shards.iter().map(|shard| shard.port).collect();
    Config::new(&ports).rules(rules.to_path_buf())
}

/// Starts a proxy and waits until it has looked at the store.
pub fn begin(config: &Config) -> Howdah {
    let howdah = Howdah::start(config);
    drop(howdah.app());
    howdah
}

/// So many users, through the proxy.
pub fn fill(howdah: &Howdah, rows: usize) {
    let mut wire = howdah.app();
    for id in 0..rows {
        wire.run(&format!("insert into users values ({id}, 'name {id}')"));
    }
}

/// No row of `users` lies on a shard that its key does not belong to.
pub fn nothing_astray(shards: &[Postgres], of: usize) {
    for (number, shard) in shards.iter().enumerate() {
        let sql = format!("select count(*) from users where not {}", on_shard("id", number, of));
        assert_eq!(shard.app().value(&sql), "0", "shard {number}");
    }
}

/// Whether it is this error, and says this.
pub fn is_error(reply: &Reply, code: &str, words: &str) -> bool {
    reply.sqlstate().as_deref() == Some(code) && reply.told().contains(words)
}

/// Makes the proxy read its rules again.
pub fn reload(howdah: &Howdah) {
    howdah.admin().run("RELOAD");
}

/// A rule for one more table.
pub const MORE: &str = "
[[sharded]]
table = \"orders\"
key = \"user_id\"
group = \"users\"
";
/// That table.
pub const ORDERS: &str = "create table orders (user_id int8, id int8, primary key (user_id, id))";
