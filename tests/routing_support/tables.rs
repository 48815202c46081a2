//! The tables of the routing tests: their rows, where these lie, and the rules.

/// A table with the rows it is filled with (`i` counts), and the shard of a row in SQL (`$n` shards).
pub struct Filled {
    pub table: &'static str,
    pub rows: &'static str,
    pub shard: &'static str,
}

/// The sharded tables.
pub const TABLES: &[Filled] = &[
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

/// The rows of the reference table.
pub const COUNTRIES: &str = "insert into countries values ('ch', 'Switzerland'), ('cz', 'Czechia'), ('de', 'Germany'), ('zz', 'Nowhere')";

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
schema = [ { name = "tenant_a", shard = "s0" }, { name = "tenant_b", shard = "LAST" } ]
"#;

/// The rules for so many shards.
pub fn rules(shards: usize) -> String {
    let mut text = RULES.replace("LAST", &format!("s{}", shards - 1));
    for number in 0..3 {
        text = text.replace(&format!("\"S{number}\""), &format!("\"s{}\"", number % shards));
    }
    text
}
