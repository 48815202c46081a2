//! `howdah check` looks at the shards' tables: none of its findings where all is as the rules want it, and each
//! fault that is planted is found, with what to do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod check_support;

use check_support::{Cluster, RULES};

#[test]
fn a_cluster_as_the_rules_want_it_has_no_faults() {
    let cluster = Cluster::new("good");
    assert_eq!(cluster.faults(RULES, &[]), [""; 0]);
    assert_eq!(cluster.faults(RULES, &["--deep"]), [""; 0]);
    let found = cluster.check(RULES, &["--offline"]);
    let rules = "rules: 4 groups, 5 sharded, 1 reference and 1 single tables, 1 schemas on one shard";
    assert!(
        found
            .iter()
            .any(|[status, subject, message, _]| status == "ok" && subject == "shop" && message == rules)
    );
}

#[test]
fn every_planted_difference_is_found() {
    let cluster = Cluster::new("drift");
    cluster.on(
        1,
        "DROP TABLE shops; ALTER TABLE orders DETACH PARTITION orders_2; DROP TABLE orders_2;
         ALTER TABLE customers ADD COLUMN extra text DEFAULT 'x'; DROP INDEX archive_closed;
         ALTER TABLE stock ALTER COLUMN amount SET NOT NULL; ALTER TABLE stock ADD CHECK (amount > 0);
         ALTER TYPE mood ADD VALUE 'middling' BEFORE 'bad'; CREATE TABLE notes (id int); CREATE TABLE spare (id int);
         DELETE FROM countries WHERE code = 'c7'; DROP VIEW big_orders",
    );
    cluster.on(
        2,
        "UPDATE countries SET rank = rank + 1 WHERE code = 'c9'; CREATE TABLE logs (at int);
         ALTER TABLE archive ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON archive USING (note IS NULL);
         CREATE OR REPLACE FUNCTION place_order(customer bigint, total numeric) RETURNS void LANGUAGE sql AS ' ';
         GRANT SELECT ON archive TO PUBLIC; ALTER TABLE orders DISABLE TRIGGER stamp",
    );
    cluster.on(0, "CREATE EXTENSION \"pg_trgm\"");
    let expected = [
        "warning shop/s1: 2 tables without a rule that spreads them: only those of the home shard are used: public.notes, public.spare",
        "warning shop/s2: table \"public.logs\" is here too, but only that of shard s1 is used",
        "error shop/s1: table \"public.orders_2\" is missing; shop/s0 has it",
        "error shop/s1: table \"public.shops\" is missing; shop/s0 has it",
        "error shop/s1: view \"public.big_orders\" is missing; shop/s0 has it",
        "error shop/s1: \"public.customers\" has column \"extra\", which shop/s0 lacks: text DEFAULT 'x'::text",
        "warning shop/s1: \"public.archive\" lacks index \"archive_closed\", which shop/s0 has: CREATE INDEX archive_closed ON public.archive USING btree (closed)",
        "error shop/s1: \"public.stock\": column \"amount\" is integer NOT NULL, not integer as on shop/s0",
        "error shop/s1: \"public.stock\" has constraint \"stock_amount_check\", which shop/s0 lacks: CHECK ((amount > 0))",
        "error shop/s1: type public.mood is enum: good, middling, bad, not enum: good, bad as on shop/s0",
        "error shop/s1: reference table \"public.countries\" has 199 rows, where shop/s0 has 200",
        "error shop/s2: reference table \"public.countries\" has other contents than on shop/s0, in as many rows (200)",
        "error shop/s2: \"public.archive\": kind is table with row security, not table as on shop/s0",
        "error shop/s2: \"public.archive\" has policy \"own\", which shop/s0 lacks: permissive for * to public using (note IS NULL)",
        "warning shop/s2: function public.place_order(customer bigint, total numeric) is not the same as on shop/s0",
        "warning shop/s2: \"public.archive\" has privileges of \"public\", which shop/s0 lacks: SELECT",
        "error shop/s2: \"public.orders\": trigger \"stamp\" is",
        "warning shop/s1: extension pg_trgm is missing; shop/s0 has it",
        "warning shop/s2: extension pg_trgm is missing; shop/s0 has it",
    ];
    let faults = cluster.faults(RULES, &[]);
    for expected in expected {
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected}\n{faults:#?}");
    }
    // Partitions repeat what their table lacks; nothing else is told.
    let is_told = |fault: &&String| {
        expected.iter().any(|part| fault.starts_with(part)) || fault.contains("\"public.orders_")
    };
    let others: Vec<&String> = faults.iter().filter(|fault| !is_told(fault)).collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn keys_and_constraints_that_cannot_hold_are_found() {
    let cluster = Cluster::new("keys");
    cluster.everywhere(
        "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         ALTER TABLE customers ADD COLUMN email text, ADD UNIQUE (email);
         CREATE UNIQUE INDEX ON orders_1 (total) WHERE total > 5000;
         CREATE UNIQUE INDEX ON shops (region COLLATE blind);
         CREATE EXTENSION btree_gist;
         ALTER TABLE customers ADD COLUMN open int8range, ADD EXCLUDE USING gist (id WITH =, open WITH &&),
           ADD EXCLUDE USING gist (id WITH <>, open WITH =);
         CREATE TABLE settings (name text PRIMARY KEY);
         ALTER TABLE customers ADD COLUMN setting text REFERENCES settings;
         ALTER TABLE countries ADD COLUMN chief bigint REFERENCES customers;
         CREATE TABLE mismatched (customer_id numeric(20,0), other text, at timestamp);
         CREATE TABLE blind (region text COLLATE blind, customer_id bigint, other bigint, PRIMARY KEY (region, customer_id));
         CREATE TABLE computed (a bigint, customer_id bigint GENERATED ALWAYS AS (a + 1) STORED);
         CREATE TABLE lines (customer_id bigint, order_id bigint, at bigint,
           FOREIGN KEY (order_id, at) REFERENCES orders (customer_id, id),
           FOREIGN KEY (customer_id, order_id) REFERENCES orders ON DELETE SET NULL,
           CONSTRAINT fine FOREIGN KEY (customer_id, at) REFERENCES orders ON DELETE SET NULL (at));
         CREATE TABLE other_group (sku varchar(40), warehouse uuid, customer_id bigint REFERENCES customers)",
    );
    let rules = format!(
        "{RULES}
[[sharded]]
table = \"mismatched\"
key = \"customer_id\"
group = \"customers\"
[[sharded]]
table = \"blind\"
key = \"region\"
group = \"regions\"
[[sharded]]
table = \"computed\"
key = \"customer_id\"
group = \"customers\"
[[sharded]]
table = \"lines\"
key = \"customer_id\"
group = \"customers\"
[[sharded]]
table = \"other_group\"
key = [\"warehouse\", \"sku\"]
group = \"sku\"
[[sharded]]
table = \"nowhere\"
key = \"id\"
group = \"customers\"
[[reference]]
table = \"settings_2\"
"
    )
    .replace(
        "key = \"region\"\ngroup = \"regions\"\n\n[[reference]]",
        "key = \"regio\"\ngroup = \"regions\"\n\n[[reference]]",
    );
    let faults = cluster.faults(&rules, &[]);
    let expected = [
        "warning shop: sharded table \"public.nowhere\" is on no shard",
        "warning shop: reference table \"public.settings_2\" is on no shard",
        "error shop/s0: sharded table \"public.shops\" has no column \"regio\", its sharding key",
        "error shop/s0: the sharding key \"customer_id\" of \"public.mismatched\" is not of a type that group \"customers\" places by int8",
        "error shop/s0: the sharding key \"region\" of \"public.blind\" has the nondeterministic collation \"blind\"",
        "error shop/s0: the sharding key \"customer_id\" of \"public.computed\" is a generated column",
        "error shop/s0: a unique key of sharded table \"public.customers\" (email) does not contain its sharding key (id)",
        "error shop/s0: a unique key of sharded table \"public.orders_1\" (total) does not contain its sharding key (customer_id)",
        "error shop/s0: a unique key of sharded table \"public.customers\" (an expression, open) does not contain its sharding key (id)",
        "error shop/s0: a unique key of sharded table \"public.shops\" (an expression) does not contain its sharding key (regio)",
        "error shop/s0: foreign key \"customers_setting_fkey\" from \"public.customers\" to \"public.settings\" points to a table of one shard",
        "error shop/s0: foreign key \"countries_chief_fkey\" from \"public.countries\" to \"public.customers\" points from a reference table to a sharded one",
        "error shop/s0: foreign key \"lines_order_id_at_fkey\" from \"public.lines\" to \"public.orders\" does not connect the sharding keys (customer_id) and (customer_id)",
        "error shop/s0: foreign key \"lines_customer_id_order_id_fkey\" from \"public.lines\" to \"public.orders\" changes the sharding key when the referenced row is deleted",
        "error shop/s0: foreign key \"other_group_customer_id_fkey\" from \"public.other_group\" to \"public.customers\" connects tables of two colocation groups",
    ];
    for expected in expected {
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected}\n{faults:#?}");
    }
    assert!(!faults.iter().any(|fault| fault.contains("\"fine\"")), "{faults:#?}");
    let unique_keys = faults.iter().filter(|fault| fault.contains("a unique key of")).count();
    assert_eq!(unique_keys, 6, "{faults:#?}");
}

#[test]
fn rows_on_the_wrong_shard_are_found() {
    let cluster = Cluster::new("rows");
    cluster.on(
        1,
        "INSERT INTO customers VALUES (1000001), (1000002), (1000003), (1000004), (1000005), (1000006)",
    );
    cluster.on(2, "INSERT INTO archive VALUES ('infinity'); INSERT INTO shops VALUES ('a')");
    cluster.everywhere("INSERT INTO stock VALUES ('00000000-0000-0000-0000-000000000001', 'x')");
    for arguments in [&[][..], &["--deep"]] {
        let faults = cluster.faults(RULES, arguments);
        let count = |part: &str| faults.iter().filter(|fault| fault.contains(part)).count();
        assert_eq!(count("rows of \"public.customers\" belong on another shard"), 1, "{faults:#?}");
        assert_eq!(
            count(
                "rows of \"public.stock\" belong on another shard, such as that of key 00000000-0000-0000-0000-000000000001, 'x'"
            ),
            2
        );
        assert_eq!(count("rows of \"public.shops\" belong on another shard, such as that of key 'a'"), 1);
        assert_eq!(count("rows of \"public.archive\" have a key that no shard takes, such as infinity"), 1);
        assert_eq!(faults.len(), 5, "{faults:#?}");
    }
}

#[test]
fn a_large_table_is_sampled_unless_all_rows_are_asked_for() {
    let cluster = Cluster::new("large");
    cluster.on(
        0,
        "INSERT INTO archive SELECT date '2024-01-01' FROM generate_series(1, 200000); ANALYZE archive",
    );
    let looked = |arguments: &[&str]| -> u64 {
        // One misplaced row in ten: a sample finds some of them.
        let faults = cluster.faults(RULES, arguments);
        let fault = faults
            .iter()
            .find(|fault| fault.contains("\"public.archive\""))
            .unwrap_or_else(|| panic!("{faults:#?}"));
        fault.split(" of ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
    };
    cluster.on(0, "INSERT INTO archive SELECT date '2024-02-01' FROM generate_series(1, 20000)");
    let sample = looked(&[]);
    assert!(sample < 100_000, "{sample}");
    assert!(looked(&["--deep"]) > 220_000);
}

#[test]
fn undeclared_functions_and_triggers_are_told() {
    let cluster = Cluster::new("routines");
    cluster.everywhere(
        "CREATE FUNCTION opaque() RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION clean(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
         CREATE FUNCTION keyed(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE TRIGGER other AFTER UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION stamp();
         CREATE TRIGGER home AFTER UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION stamp()",
    );
    let rules = format!(
        "{RULES}
[[function]]
name = \"keyed\"
touches = \"by_key\"
argument = 2
group = \"customers\"
[[function]]
name = \"gone\"
touches = \"pure\"
[[trigger]]
table = \"customers\"
name = \"home\"
touches = \"home\"
[[trigger]]
table = \"countries\"
name = \"stamp\"
touches = \"by_key\"
[[trigger]]
table = \"orders\"
name = \"gone\"
touches = \"pure\"
"
    );
    let faults = cluster.faults(&rules, &[]);
    let expected = [
        "warning shop: 1 user functions are neither IMMUTABLE nor declared, so their calls are refused: public.opaque",
        "warning shop/s0: trigger \"other\" on \"public.customers\" calls public.stamp(), which may reach other tables: writes to the table are refused",
        "error shop/s0: function public.keyed has 1 arguments; its rule says that argument 2 holds a key",
        "warning shop: function public.gone, which has a rule, does not exist",
        "error shop/s0: trigger \"home\" on \"public.customers\" cannot touch single tables of the home shard from where its table lies",
        "error shop/s0: trigger \"stamp\" on \"public.countries\" is declared by_key, but its table is not sharded",
        "warning shop/s0: trigger \"gone\" on \"public.orders\" has a rule, but does not exist",
    ];
    for expected in expected {
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected}\n{faults:#?}");
    }
}

#[test]
fn gaps_between_ranges_are_told_without_a_server() {
    let cluster = Cluster { name: "none" };
    let rules = "[[group]]\nname = \"g\"\nfunction = \"range\"\nrange = [{ from = 1, to = 5, shard = \"s0\" }, { from = 9, shard = \"s1\" }]\n[[sharded]]\ntable = \"t\"\nkey = \"id\"\ngroup = \"g\"\n";
    let faults = cluster.faults(rules, &["--offline"]);
    assert_eq!(
        faults,
        [
            "warning shop: no range of group \"g\" holds keys before 1, from 5 to 9: rows with them are refused"
        ]
    );
}
