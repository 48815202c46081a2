//! A cluster of three shards, with tables and rows as its rules want them, for `howdah check`.

use howdah::throwaway::{Options, Server};
use std::process::Command;
use std::sync::OnceLock;

/// The rules.
pub const RULES: &str = r#"
[[group]]
name = "customers"

[[group]]
name = "sku"
key_type = ["uuid", "text"]

[[group]]
name = "days"
key_type = "date"
function = "interval"
interval = "1 month"
anchor = "2024-01-01"

[[group]]
name = "regions"
key_type = "text"
function = "range"
range = [{ to = "h", shard = "s0" }, { from = "h", to = "p", shard = "s1" }, { from = "p", shard = "s2" }]

[[sharded]]
table = "customers"
key = "id"
group = "customers"

[[sharded]]
table = "orders"
key = "customer_id"
group = "customers"

[[sharded]]
table = "stock"
key = ["warehouse", "sku"]
group = "sku"

[[sharded]]
table = "archive"
key = "closed"
group = "days"

[[sharded]]
table = "shops"
key = "region"
group = "regions"

[[reference]]
table = "countries"

[[single]]
table = "logs"
shard = "s1"

[[schema]]
name = "tenant"
shard = "s2"

[[function]]
name = "place_order"
touches = "by_key"
argument = 1
group = "customers"

[[trigger]]
table = "orders"
name = "stamp"
touches = "pure"
"#;

/// What every shard has.
const TABLES: &str = "
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL, rank float8, added timestamptz DEFAULT '2024-01-01 00:00+00');
CREATE TABLE customers (id bigint PRIMARY KEY, country text REFERENCES countries, mood mood);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION place_order(customer bigint, total numeric) RETURNS void LANGUAGE sql AS '';
CREATE TABLE orders (customer_id integer NOT NULL, id bigint, total numeric(10,2) CHECK (total > 0), PRIMARY KEY (customer_id, id))
  PARTITION BY RANGE (id);
CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (1000);
CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM (1000) TO (100000);
ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE;
CREATE TRIGGER stamp BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE VIEW big_orders AS SELECT * FROM orders WHERE total > 100;
CREATE TABLE stock (warehouse uuid, sku varchar(40), amount int, PRIMARY KEY (warehouse, sku));
CREATE TABLE archive (closed date NOT NULL, note text);
CREATE INDEX archive_closed ON archive (closed);
CREATE TABLE shops (region text COLLATE \"C\" PRIMARY KEY);
INSERT INTO countries SELECT 'c' || i, md5(i::text), i / 7.0 FROM generate_series(1, 200) i;
";

/// The rows of one shard; `{shard}` is its number.
const ROWS: &str = "
INSERT INTO customers SELECT i FROM generate_series(-100, 500) i WHERE (hashint8extended(i, 0) & 4095) * 3 / 4096 = {shard};
INSERT INTO orders SELECT id, n, n + 1 FROM customers, unnest(ARRAY[1, 999, 1000]) n;
INSERT INTO stock SELECT w, s, 1 FROM (SELECT md5((i % 7)::text)::uuid w, 'sku' || i s FROM generate_series(1, 300) i) t
  WHERE (hashtextextended(s, uuid_hash_extended(w, 0)) & 4095) * 3 / 4096 = {shard};
INSERT INTO archive SELECT d FROM generate_series(date '2020-01-01', '2026-12-31', interval '5 days') d
  WHERE mod(mod((extract(year FROM d) * 12 + extract(month FROM d) - 2024 * 12 - 1)::int, 3) + 3, 3) = {shard};
INSERT INTO shops SELECT r FROM unnest(ARRAY['a', 'gz', 'h', 'oz', 'p', 'é']) r
  WHERE CASE WHEN r < 'h' COLLATE \"C\" THEN 0 WHEN r < 'p' COLLATE \"C\" THEN 1 ELSE 2 END = {shard};
";

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let options = Options {
            locale: "C.UTF-8".into(),
            config: vec!["max_prepared_transactions = 200".into()],
            ..Options::default()
        };
        Server::start(&options).expect("a throwaway server")
    })
}

fn run(database: &str, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = server().config(database).connect(tokio_postgres::NoTls).await.unwrap();
        let done = async {
            for statement in sql.split(";\n").filter(|statement| !statement.trim().is_empty()) {
                client
                    .batch_execute(statement)
                    .await
                    .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
            }
        };
        tokio::select! {
            () = done => {}
            ended = connection => panic!("{ended:?}"),
        }
    });
}

/// Three databases of one server as three shards, with the tables and rows that the rules want.
pub struct Cluster {
    pub name: &'static str,
}

impl Cluster {
    pub fn new(name: &'static str) -> Cluster {
        let cluster = Cluster { name };
        for shard in 0..3 {
            run("postgres", &format!("CREATE DATABASE {}", cluster.database(shard)));
            cluster.on(shard, TABLES);
            cluster.on(shard, &ROWS.replace("{shard}", &shard.to_string()));
        }
        cluster.on(0, "CREATE TABLE notes (id int); CREATE VIEW names AS SELECT name FROM countries");
        cluster.on(1, "CREATE TABLE logs (at timestamptz)");
        cluster.on(2, "CREATE SCHEMA tenant; CREATE TABLE tenant.things (id int PRIMARY KEY)");
        cluster
    }

    fn database(&self, shard: u16) -> String {
        format!("{}_{shard}", self.name)
    }

    pub fn on(&self, shard: u16, sql: &str) {
        run(&self.database(shard), sql);
    }

    pub fn everywhere(&self, sql: &str) {
        (0..3).for_each(|shard| self.on(shard, sql));
    }

    /// The findings of a check: status, subject, message, hint. Those about the server are left out: all shards
    /// lie on one.
    pub fn check(&self, rules: &str, arguments: &[&str]) -> Vec<[String; 4]> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        std::fs::write(folder.path().join("rules/rules.toml"), rules).unwrap();
        let superuser = server().superuser();
        let mut text = format!(
            "[[listener]]\naddress = \"127.0.0.1:6432\"\n[[cluster]]\nname = \"shop\"\nrules = \"rules\"\nmaintenance_user = \"{superuser}\"\n"
        );
        for shard in 0..3 {
            let (port, database) = (server().port(), self.database(shard));
            text += &format!(
                "[[cluster.shard]]\nname = \"s{shard}\"\nprimary = \"127.0.0.1:{port}\"\ndatabase = \"{database}\"\n"
            );
        }
        let file = folder.path().join("howdah.toml");
        std::fs::write(&file, text).unwrap();
        let program = env!("CARGO_BIN_EXE_howdah");
        let done = Command::new(program)
            .args(["check", "--json"])
            .args(arguments)
            .arg("--config")
            .arg(&file)
            .output()
            .unwrap();
        let shown = String::from_utf8(done.stdout).unwrap();
        let found: Vec<serde_json::Value> = serde_json::from_str(&shown)
            .unwrap_or_else(|error| panic!("{error}: {shown}{}", String::from_utf8_lossy(&done.stderr)));
        let field = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        found
            .iter()
            .map(|row| ["status", "subject", "message", "hint"].map(|name| field(row, name)))
            .collect()
    }

    /// Warnings and errors in words, but for those that have nothing to do with tables.
    pub fn faults(&self, rules: &str, arguments: &[&str]) -> Vec<String> {
        let found = self.check(rules, arguments);
        let faults = found.into_iter().filter(|[status, ..]| status != "ok");
        faults.map(|[status, subject, message, _]| format!("{status} {subject}: {message}")).collect()
    }
}
