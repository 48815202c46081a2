//! Every error of bad rules, word for word.

use super::bad;

#[test]
fn errors_of_groups() {
    for (text, expected) in [
        (r#"name = """#, "f:2:8: error: a group without a name (allowed: any other text)"),
        (
            r#"name = "g"
               key_type = "varchar""#,
            "f:3:27: error: `varchar` is not a key type (allowed: `int8`, `numeric`, `text`, `uuid`, `date`, `timestamp`, `timestamptz`; `text` serves columns of that type)",
        ),
        (
            r#"name = "g"
               key_type = ["int8", "citext"]"#,
            "f:3:36: error: `citext` is not a key type (allowed: `int8`, `numeric`, `text`, `uuid`, `date`, `timestamp`, `timestamptz`; columns of that type cannot be keys: what is equal there is not the same bytes)",
        ),
        (
            r#"name = "g"
               key_type = []"#,
            "f:3:27: error: a key of 0 columns (allowed: 1 to 32 columns)",
        ),
        (
            r#"name = "g"
               buckets = 1000"#,
            "f:3:26: error: 1000 buckets cannot be (allowed: a power of two from 4 to 65536)",
        ),
        (
            r#"name = "g"
               buckets = 2"#,
            "f:3:26: error: 2 buckets cannot be (allowed: a power of two from 4 to 65536)",
        ),
        (
            r#"name = "g"
               function = "lookup""#,
            "f:3:27: error: sharding function `lookup` is not supported yet (allowed: `hash`, `range`, `list`, `interval`)",
        ),
        (
            r#"name = "g"
               function = "hsah""#,
            "f:3:27: error: sharding function `hsah` is not known (allowed: `hash`, `range`, `list`, `interval`; did you mean `hash`?)",
        ),
        (
            r#"name = "g"
               function = "list""#,
            "f:3:27: error: the sharding function `list` needs more (add `list = [{ values = [...], shard = \"...\" }]`)",
        ),
        (
            r#"name = "g"
               interval = "1 month""#,
            "f:3:27: error: `interval` does not go with the sharding function `hash` (allowed: only with function = \"interval\")",
        ),
    ] {
        assert_eq!(bad(&format!("[[group]]\n{text}")), [expected], "{text}");
    }
}

#[test]
fn errors_of_ranges_and_lists() {
    for (head, entry, expected) in [
        (
            "int8 range",
            r#"{ from = 5, to = 5, shard = "a" }"#,
            "f:5:1: error: no key is in the range (allowed: `from` (the first key in it) below `to` (the first key behind it))",
        ),
        (
            "int8 range",
            r#"{ from = "5", shard = "a" }"#,
            "f:5:10: error: `5` is not read as int8 (allowed: a whole number, without quotes)",
        ),
        (
            "int8 range",
            r#"{ from = 5.5, shard = "a" }"#,
            "f:5:10: error: `group.range.from` is the number 5.5 (allowed: a whole number or a text in quotes or a list)",
        ),
        (
            "int8 range",
            r#"{ from = 5, shard = "d" }"#,
            "f:5:21: error: there is no shard `d` (allowed: `a`, `b`, `c`; did you mean `a`?)",
        ),
        (
            "int8 range",
            r#"{ from = [1, 2], shard = "a" }"#,
            "f:5:10: error: a bound of 2 values (allowed: 1 to 1 values, one for each key column)",
        ),
        (
            "int8 range",
            r#"{ from = [], shard = "a" }"#,
            "f:5:10: error: a bound of 0 values (allowed: 1 to 1 values, one for each key column)",
        ),
        (
            "int8 range",
            r#"{ from = 1 }"#,
            "f:5:1: error: `shard` is missing in `group.range` (add `shard = ...`)",
        ),
        (
            "int8 range",
            "{ to = 9, shard = \"a\" },\n{ from = 8, shard = \"b\" }",
            "f:6:1: error: the range overlaps another one (allowed: ranges of which no key is in two; the other one is at f:5)",
        ),
        (
            "date range",
            r#"{ from = "2024-02-30", shard = "a" }"#,
            "f:5:10: error: `2024-02-30` is not read as date (allowed: a date in quotes, such as \"2024-12-31\")",
        ),
        (
            "date range",
            r#"{ from = 2024-02-28, shard = "a" }"#,
            "f:5:10: error: `group.range.from` is the date 2024-02-28 (allowed: a whole number or a text in quotes or a list)",
        ),
        (
            "timestamptz range",
            r#"{ from = "today", shard = "a" }"#,
            "f:5:10: error: `today` is not read as timestamptz (allowed: a time in quotes, such as \"2024-12-31 23:59:59+00\")",
        ),
        (
            "numeric range",
            r#"{ from = "1", to = "1.00", shard = "a" }"#,
            "f:5:1: error: no key is in the range (allowed: `from` (the first key in it) below `to` (the first key behind it))",
        ),
        (
            "uuid list",
            r#"{ values = ["a"], shard = "a" }"#,
            "f:5:13: error: `a` is not read as uuid (allowed: a uuid in quotes)",
        ),
        (
            "text list",
            r#"{ values = ["x", 1], shard = "a" }"#,
            "f:5:18: error: `1` is not read as text (allowed: a text in quotes)",
        ),
        (
            "numeric list",
            "{ values = [1, \"2\"], shard = \"a\" },\n{ values = [\"1.0\"], shard = \"b\" }",
            "f:6:13: error: the value `1.0` is listed twice (allowed: each value once; the other one is at f:5)",
        ),
        (
            "int8 list",
            r#"{ values = [], shard = "a" }"#,
            "f:4:8: error: no value is listed (allowed: at least one)",
        ),
        ("int8 list", "", "f:4:8: error: no value is listed (allowed: at least one)"),
        ("int8 range", "", "f:4:9: error: no range (allowed: at least one)"),
    ] {
        let (key_type, function) = head.split_once(' ').unwrap();
        let head = format!(
            "[[group]]\nname = \"g\"\nfunction = \"{function}\"\n{function} = [\n{entry}\n]\nkey_type = \"{key_type}\""
        );
        assert_eq!(bad(&head), [expected], "{head}");
    }
}

#[test]
fn errors_of_intervals() {
    for (key_type, more, expected) in [
        (
            "int8",
            "interval = \"1 day\"",
            "f:4:12: error: intervals of the first key column, which is int8 (allowed: date, timestamp, timestamptz)",
        ),
        (
            "date",
            "interval = \"12 hours\"",
            "f:5:12: error: `12 hours` is no interval (allowed: a number of days, weeks, months or years, such as `1 month`)",
        ),
        (
            "timestamp",
            "interval = \"month\"",
            "f:5:12: error: `month` is no interval (allowed: a number of minutes, hours, days, weeks, months or years, such as `1 month`)",
        ),
        (
            "date",
            "interval = \"1 month\"\nanchor = \"2024-01-15\"",
            "f:6:10: error: intervals of months cannot begin there (allowed: the first day of a month, at midnight)",
        ),
        (
            "date",
            "interval = \"1 day\"\nanchor = \"infinity\"",
            "f:6:10: error: no interval can begin at `infinity` (allowed: a moment before the year 294277)",
        ),
        (
            "date",
            "interval = \"1 day\"\nanchor = \"soon\"",
            "f:6:10: error: `soon` is not read as date (allowed: a date in quotes, such as \"2024-12-31\")",
        ),
        (
            "date",
            "interval = \"1 day\"\nshards = [\"a\", \"x\"]",
            "f:6:16: error: there is no shard `x` (allowed: `a`, `b`, `c`; did you mean `a`?)",
        ),
        ("date", "interval = \"1 day\"\nshards = []", "f:6:10: error: no shard (allowed: at least one)"),
        (
            "date",
            "anchor = \"2024-01-01\"",
            "f:3:12: error: the sharding function `interval` needs more (add `interval = \"1 month\"`)",
        ),
    ] {
        let text =
            format!("[[group]]\nname = \"g\"\nfunction = \"interval\"\nkey_type = \"{key_type}\"\n{more}");
        assert_eq!(bad(&text), [expected], "{text}");
    }
}

#[test]
fn errors_of_tables_and_schemas() {
    let head = "group = [{ name = \"g\" }, { name = \"two\", key_type = [\"int8\", \"text\"] }]\n";
    for (text, expected) in [
        (
            r#"sharded = [{ table = "a.b.c", key = "id", group = "g" }]"#,
            "f:2:22: error: `a.b.c` is not a table's name (allowed: `schema.table` or `table` (in schema public), quoted as in SQL where needed)",
        ),
        (
            r#"sharded = [{ table = "t", key = "a.b", group = "g" }]"#,
            "f:2:33: error: `a.b` is not a column's name (allowed: one column, quoted as in SQL where needed)",
        ),
        (
            r#"sharded = [{ table = "t", key = "id", group = "gg" }]"#,
            "f:2:47: error: there is no group `gg` (allowed: `g`, `two`; did you mean `g`?)",
        ),
        (
            r#"sharded = [{ table = "t", key = "id", group = "two" }]"#,
            "f:2:33: error: 1 key columns, where group `two` has 2 (allowed: one column for each of: int8, text)",
        ),
        (
            r#"sharded = [{ table = "t", key = ["id", "id"], group = "two" }]"#,
            "f:2:40: error: column `id` is there twice (allowed: each column once)",
        ),
        (
            r#"sharded = [{ table = "t", key = [], group = "g" }]"#,
            "f:2:33: error: 0 key columns, where group `g` has 1 (allowed: one column for each of: int8)",
        ),
        (
            r#"sharded = [{ table = "t", key = "id", group = "g", function = "hash" }]"#,
            "f:2:52: error: unknown key `function` in `sharded` (allowed: `group`, `key`, `table`)",
        ),
        (
            "reference = [{ table = \"t\" }]\nsingle = [{ table = \"public.T\" }]",
            "f:3:21: error: `public.t` already has a rule (the other one is at f:2)",
        ),
        (
            "schema = [{ name = \"x\", shard = \"a\" }]\nsingle = [{ table = \"x.t\" }]",
            "f:3:21: error: all tables of schema `x` have a rule (it is at f:2)",
        ),
        (
            r#"schema = [{ name = ["x", "x"], shard = "a" }]"#,
            "f:2:26: error: schema `x` already has a rule (the other one is at f:2)",
        ),
        (r#"schema = [{ name = "x" }]"#, "f:2:11: error: `shard` is missing in `schema` (add `shard = ...`)"),
        (
            r#"schema = [{ name = "pg_catalog", shard = "a" }]"#,
            "f:2:20: error: schema `pg_catalog` can have no rules (allowed: schemas of users)",
        ),
        (
            r#"reference = [{ table = "howdah.t" }]"#,
            "f:2:24: error: schema `howdah` can have no rules (allowed: schemas of users)",
        ),
        (
            "single = [{ table = \"x234567890123456789012345678901234567890123456789012345678901234\" }]",
            "f:2:21: error: the name `x234567890123456789012345678901234567890123456789012345678901234` is 64 bytes long (allowed: at most 63 bytes, as in Postgres)",
        ),
        (
            r#"group2 = []"#,
            "f:2:1: error: unknown key `group2` in the file (allowed: `function`, `group`, `reference`, `schema`, `sharded`, `single`, `trigger`; did you mean `group`?)",
        ),
    ] {
        assert_eq!(bad(&format!("{head}{text}")), [expected], "{text}");
    }
    let twice = bad("group = [{ name = \"g\" }, { name = \"g\" }]");
    assert_eq!(twice, ["f:1:35: error: group `g` already has a rule (the other one is at f:1)"]);
}

#[test]
fn errors_of_functions_and_triggers() {
    let head = "group = [{ name = \"g\" }, { name = \"h\" }]\n";
    for (text, expected) in [
        (
            r#"function = [{ name = "f", touches = "nothing" }]"#,
            "f:2:37: error: `nothing` is nothing to touch (allowed: `pure`, `home`, `by_key`)",
        ),
        (
            r#"function = [{ name = "f", touches = "pure", argument = 1 }]"#,
            "f:2:56: error: `argument` does not go with touches = \"pure\" (allowed: only with touches = \"by_key\")",
        ),
        (
            r#"function = [{ name = "f", touches = "by_key", group = "g" }]"#,
            "f:2:13: error: `argument` is missing: which argument holds the key? (add `argument = 1`, or a list with one for each key column)",
        ),
        (
            r#"function = [{ name = "f", touches = "by_key", argument = 1 }]"#,
            "f:2:13: error: `group` is missing: whose key does the argument hold? (allowed: `g`, `h`)",
        ),
        (
            r#"function = [{ name = "f", touches = "by_key", argument = 0, group = "g" }]"#,
            "f:2:58: error: no function has an argument 0 (allowed: 1 to 100)",
        ),
        (
            r#"function = [{ name = "f", touches = "by_key", argument = [1, 2], group = "g" }]"#,
            "f:2:58: error: 2 arguments for the 1 keys of `g` (allowed: one argument for each key column)",
        ),
        (
            "function = [{ name = \"f\", touches = \"pure\" },\n{ name = \"public.f\", touches = \"home\" }]",
            "f:3:10: error: function `public.f` already has a rule (the other one is at f:2)",
        ),
        (
            r#"function = [{ name = "pg_catalog.now", touches = "pure" }]"#,
            "f:2:22: error: schema `pg_catalog` can have no rules (allowed: schemas of users)",
        ),
        (
            "trigger = [{ table = \"t\", name = \"x\", touches = \"pure\" },\n{ table = \"t\", name = \"x\", touches = \"home\" }]",
            "f:3:23: error: trigger `x` on `public.t` already has a rule (the other one is at f:2)",
        ),
        (
            r#"trigger = [{ table = "t", name = "x" }]"#,
            "f:2:12: error: `touches` is missing in `trigger` (add `touches = ...`)",
        ),
    ] {
        assert_eq!(bad(&format!("{head}{text}")), [expected], "{text}");
    }
}
