//! SET in all its spellings, and what it is replayed as.

use super::*;

fn replay(sql: &str) -> Option<String> {
    let text = |name: &str, value| String::from_utf8(replay_sql(name, value)).unwrap();
    Some(match parse_setting(sql.as_bytes(), true)? {
        SettingCommand::Set { scope: Scope::Session, name, value } => text(&name, &value),
        SettingCommand::Set { scope: Scope::Local, name, value } => format!("local {}", text(&name, &value)),
        SettingCommand::Characteristics(changes) => {
            changes.iter().map(|(name, value)| text(name, value)).collect::<Vec<_>>().join("; ")
        }
        SettingCommand::Reset { name } => format!("reset {name}"),
        SettingCommand::ResetAll => "reset all".into(),
    })
}

#[test]
fn every_form_of_set_is_read_and_replayed() {
    for (sql, want) in [
        (
            "SET Search_Path TO A, \"B\", 'c d', pg_temp;",
            r#"SET "search_path" TO 'a', 'B', 'c d', 'pg_temp'"#,
        ),
        ("set /* x */ session work_mem = 010", r#"SET "work_mem" TO '10'"#),
        ("set local statement_timeout = 1.5e3", r#"local SET "statement_timeout" TO '1.5e3'"#),
        ("set x = -5", r#"SET "x" TO '-5'"#),
        ("set x = +5", r#"SET "x" TO '5'"#),
        ("set x = on", r#"SET "x" TO 'on'"#),
        ("set my.Var to 'it''s'", r#"SET "my"."var" TO 'it''s'"#),
        (r"set my.var to e'a\\b'", r#"SET "my"."var" TO E'a\\b'"#),
        (r"set my.var to 'a\b'", r#"SET "my"."var" TO E'a\\b'"#),
        ("set x to default", r#"SET "x" TO DEFAULT"#),
        ("set local.x = 1", r#"SET "local"."x" TO '1'"#),
        ("set session to 1", r#"SET "session" TO '1'"#),
        ("set time zone 'UTC'", r#"SET "timezone" TO 'UTC'"#),
        ("set local time zone -8", r#"local SET "timezone" TO '-8'"#),
        ("set time zone local", r#"SET "timezone" TO DEFAULT"#),
        ("set time zone default", r#"SET "timezone" TO DEFAULT"#),
        ("set time zone interval '-08:00' hour to minute", "SET TIME ZONE INTERVAL '-08:00' hour to minute"),
        ("set time zone interval(0) '1'", "SET TIME ZONE INTERVAL (0) '1'"),
        ("set TimeZone = 'x'", r#"SET "timezone" TO 'x'"#),
        ("set names 'utf8'", r#"SET "client_encoding" TO 'utf8'"#),
        ("set names", r#"SET "client_encoding" TO DEFAULT"#),
        ("set schema 'a'", r#"SET "search_path" TO 'a'"#),
        ("set role Bob", r#"SET "role" TO 'bob'"#),
        ("set role none", r#"SET "role" TO 'none'"#),
        ("set role to 'x'", r#"SET "role" TO 'x'"#),
        ("set session authorization bob", r#"SET "session_authorization" TO 'bob'"#),
        ("set session session authorization default", r#"SET "session_authorization" TO DEFAULT"#),
        ("set local session authorization 'b'", r#"local SET "session_authorization" TO 'b'"#),
        ("set xml option document", r#"SET "xmloption" TO 'DOCUMENT'"#),
        ("set seed to 0.5", r#"SET "seed" TO '0.5'"#),
        ("set sort_mem = 1", r#"SET "work_mem" TO '1'"#),
        (
            "set session characteristics as transaction isolation level serializable, read only, not deferrable",
            concat!(
                r#"SET "default_transaction_isolation" TO 'serializable'; "#,
                r#"SET "default_transaction_read_only" TO 'on'; SET "default_transaction_deferrable" TO 'off'"#
            ),
        ),
        ("reset all", "reset all"),
        ("reset Time Zone", "reset timezone"),
        ("reset session authorization", "reset session_authorization"),
        ("reset role", "reset role"),
        ("reset my.var", "reset my.var"),
        ("reset all.x", "reset all.x"),
    ] {
        assert_eq!(replay(sql).as_deref(), Some(want), "{sql}");
    }
}

#[test]
fn what_is_not_fully_understood_gives_none() {
    for sql in [
        "set x",
        "set x to",
        "set x to a b",
        "set x from current",
        "set transaction read only",
        "set session characteristics as transaction",
        "set constraints all deferred",
        "set catalog 'x'",
        "set x to 1; set y to 2",
        "set x to (1)",
        r"set x to e'\u00e9'",
        "reset",
        "select 1",
    ] {
        assert_eq!(replay(sql), None, "{sql}");
    }
}

#[test]
fn set_config_is_read_only_if_it_is_the_whole_statement() {
    let calls = parse_set_config(
        b"SELECT pg_catalog.SET_CONFIG('Search_Path', '', false), set_config('a.b', 'x''y', true) AS z;",
        true,
    )
    .unwrap();
    assert_eq!(
        calls,
        [
            ConfigCall { name: "search_path".into(), value: ConfigValue::Session(b"".to_vec()) },
            ConfigCall { name: "a.b".into(), value: ConfigValue::Local },
        ]
    );
    let reading = b"select current_setting('jit') as cur, set_config('jit', 'off', false) as new";
    let expected = ConfigCall { name: "jit".into(), value: ConfigValue::Session(b"off".to_vec()) };
    assert_eq!(parse_set_config(reading, true), Some(vec![expected]));
    let calls =
        parse_set_config(b"select set_config('a.b', $1, true), set_config('c', $2::text, true)", true);
    assert!(calls.unwrap().iter().all(|call| call.value == ConfigValue::Local));
    for sql in [
        "select current_setting('a')",
        "select set_config('a', 'b', false) from t",
        "select set_config('a', $1, false)",
        "select set_config('a', $1 || 'b', true)",
        "select set_config($1, 'b', true)",
        "select set_config('a', 'b' || 'c', false)",
        "select other.set_config('a', 'b', false)",
        "select \"SET_CONFIG\"('a', 'b', false)",
        "select set_config('a', 'b', false), 1",
        "select set_config('a', 'b', false); select 1",
        "select set_config('a', 'b', null)",
    ] {
        assert_eq!(parse_set_config(sql.as_bytes(), true), None, "{sql}");
    }
}

#[test]
fn the_text_of_a_list_of_names_is_replayed_by_set_config() {
    let text = SettingValue::Text(b"a,\"B\"".to_vec());
    assert_eq!(
        replay_sql("search_path", &text),
        br#"SELECT pg_catalog.set_config('search_path', 'a,"B"', false)"#
    );
    assert_eq!(
        replay_sql("datestyle", &SettingValue::Text(b"ISO, DMY".to_vec())),
        br#"SET "datestyle" TO 'ISO, DMY'"#
    );
}

proptest::proptest! {
    #[test]
    fn quoted_values_read_back_under_both_string_settings(value in proptest::collection::vec(
        proptest::sample::select(b"ab'\\\n;$- ".to_vec()), 0..20), scs in proptest::bool::ANY)
    {
        let sql = replay_sql("x", &SettingValue::List(vec![value.clone()]));
        let Some(SettingCommand::Set { value: SettingValue::List(list), .. }) = parse_setting(&sql, scs) else {
            panic!("{}", String::from_utf8_lossy(&sql));
        };
        assert_eq!(list, [value]);
    }
}
