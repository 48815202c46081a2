//! What `scan` must see, and what must not fool it.

use super::super::effects::Effects;
use super::*;

fn scan_text(sql: &str) -> Vec<Statement> {
    scan_with(sql, true)
}

fn scan_with(sql: &str, standard_conforming_strings: bool) -> Vec<Statement> {
    let mut out = Statements::new();
    scan(sql.as_bytes(), standard_conforming_strings, &mut out);
    out.to_vec()
}

fn texts(sql: &str) -> Vec<&str> {
    scan_text(sql).iter().map(|statement| &sql[statement.start..statement.end]).collect()
}

fn kinds(sql: &str) -> Vec<Kind> {
    scan_text(sql).iter().map(|statement| statement.kind).collect()
}

fn effects(sql: &str) -> Effects {
    let mut all = Effects::NONE;
    for statement in scan_text(sql) {
        all |= statement.effects;
    }
    all
}

#[test]
fn semicolons_split_and_empty_statements_are_dropped() {
    assert_eq!(texts("select 1"), ["select 1"]);
    assert_eq!(texts(" ; ;select 1 ;; select ';' ; -- ;\n"), ["select 1", "select ';'"]);
    assert!(texts("").is_empty());
    assert!(texts(" /* only */ -- comments").is_empty());
    assert_eq!(texts("a;b;c;d;e").len(), 5);
}

#[test]
fn comments_belong_to_the_statement_they_stand_in() {
    assert_eq!(texts("/* a */ select 1 /* b */; /* c */"), ["/* a */ select 1 /* b */"]);
    assert_eq!(texts("select 1; -- x\n begin"), ["select 1", "-- x\n begin"]);
}

#[test]
fn semicolons_in_rules_and_routine_bodies_do_not_split() {
    assert_eq!(texts("create rule r as on update to t do (select 1; select 2); select 3").len(), 2);
    let body = "create or replace function f() returns int begin atomic \
                select case when a then 1 else 2 end; select 1 as case; select 2 end; end; select 3";
    assert_eq!(texts(body).len(), 2);
    assert_eq!(texts("create procedure p() begin atomic end; select 1").len(), 2);
    let nested =
        "create function f() begin atomic create function g() begin atomic select 1; end; end; commit";
    assert_eq!(kinds(nested), [Kind::Create, Kind::Commit]);
}

#[test]
fn names_that_look_like_a_routine_body_hide_no_statement() {
    assert_eq!(kinds("create table t as select begin atomic; set role x"), [Kind::Create, Kind::Set]);
    assert_eq!(kinds("create function begin() returns int as '' ; set role x"), [Kind::Create, Kind::Set]);
    assert_eq!(
        kinds("create function f() begin atomic select 1 as case; end; set role x"),
        [Kind::Create, Kind::Set]
    );
}

#[test]
fn strings_and_comments_hide_no_statement_and_make_none() {
    assert_eq!(kinds(r"select '\'; set role x; --'"), [Kind::Select, Kind::Set]);
    assert_eq!(scan_with(r"select '\'; set role x; --'", false).len(), 1);
    assert_eq!(kinds(r"select e'\'; set role x; --'"), [Kind::Select]);
    assert_eq!(kinds("select 'a'\n';'; begin"), [Kind::Select, Kind::Begin]);
    assert_eq!(kinds("select $a$ ; $b$ ; $a$; begin"), [Kind::Select, Kind::Begin]);
    assert_eq!(kinds("select /* /* ; */ ; */ 1; begin"), [Kind::Select, Kind::Begin]);
    assert_eq!(kinds("select a$b$; begin; select $b$"), [Kind::Select, Kind::Begin, Kind::Select]);
    assert_eq!(kinds("select +/* ; */1; begin"), [Kind::Select, Kind::Begin]);
    assert_eq!(kinds("select U&\"a\"\"; begin\""), [Kind::Select]);
}

#[test]
fn kinds_are_told_by_the_first_words() {
    use Kind::*;
    for (sql, kind) in [
        ("SELECT 1", Select),
        ("((select 1) union (select 2))", Select),
        ("values (1)", Values),
        ("table t", TableCommand),
        ("with a as (select 1) select 2", With),
        ("/* x */ Insert into t values (1)", Insert),
        ("begin work", Begin),
        ("START /* */ TRANSACTION", Begin),
        ("start", Other),
        ("commit and chain", Commit),
        ("end", Commit),
        ("commit prepared 'x'", CommitPrepared),
        ("abort", Rollback),
        ("rollback to a", RollbackTo),
        ("rollback work to savepoint a", RollbackTo),
        ("rollback transaction", Rollback),
        ("rollback prepared 'x'", RollbackPrepared),
        ("savepoint a", Savepoint),
        ("release a", Release),
        ("prepare transaction 'x'", PrepareTransaction),
        ("prepare transaction as select 1", Prepare),
        ("prepare transaction (int) as select 1", Prepare),
        ("set x to 1", Set),
        ("set session x to 1", Set),
        ("set local x to 1", SetLocal),
        ("set local.x = 1", Set),
        ("set transaction read only", SetTransaction),
        ("set local transaction read only", SetTransaction),
        ("set session transaction read only", SetTransaction),
        ("set local transaction.x = 1", SetLocal),
        ("set transaction.x = 1", Set),
        ("set session characteristics as transaction read only", Set),
        ("set constraints all deferred", SetConstraints),
        ("discard all", DiscardAll),
        ("discard temporary", DiscardTemp),
        ("discard plans", DiscardPlans),
        ("discard sequences", DiscardSequences),
        ("copy t from stdin", CopyFromStdin),
        ("copy public.from (a, b) to stdout with csv", CopyToStdout),
        ("copy (select 1 from t) to stdout", CopyToStdout),
        ("copy t from '/x'", CopyOther),
        ("copy t to program 'x'", CopyOther),
        ("copy t from stdout", CopyFromStdin),
        ("declare c cursor for select 1", Declare),
        ("deallocate all", Deallocate),
        ("unlisten *", Unlisten),
        ("checkpoint", Checkpoint),
        ("analyse t", Analyze),
        ("truncate t", Truncate),
        ("grant select on t to u", OtherDdl),
        ("refresh materialized view v", OtherDdl),
        ("\"select\" 1", Other),
        ("selects 1", Other),
        ("sel_ct", Other),
        ("1", Other),
    ] {
        assert_eq!(kinds(sql), [kind], "{sql}");
    }
}

#[test]
fn effects_are_found_anywhere_and_in_any_spelling() {
    for (sql, effect) in [
        ("create temp table t(a int)", Effects::TEMP),
        ("create local temporary table t(a int)", Effects::TEMP),
        ("create or replace temp view v as select 1", Effects::TEMP),
        ("select 1 into temp t", Effects::TEMP),
        ("select * from PG_TEMP.t", Effects::TEMP),
        ("select * from pg_temp_12.t", Effects::TEMP),
        ("set search_path to 'pg_temp'", Effects::TEMP),
        (r"set search_path to e'pg\x5ftemp'", Effects::TEMP),
        ("set search_path to 'pg_'\n'temp'", Effects::TEMP),
        ("select PG_Advisory_Lock(1)", Effects::ADVISORY),
        ("select pg_catalog./**/\"pg_try_advisory_lock_shared\" (1)", Effects::ADVISORY),
        ("select set_config('a','b',false)", Effects::SET_CONFIG),
        ("select \"set_config\"('a','b',false)", Effects::SET_CONFIG),
        ("select 1 where SET_CONFIG\x0b('a','b',false) is null", Effects::SET_CONFIG),
        ("select currval('s')", Effects::SEQUENCE_STATE),
        ("select lastval()", Effects::SEQUENCE_STATE),
        ("select nextval('s')", Effects::NEXTVAL),
        ("select setseed(0)", Effects::SETSEED),
        ("table pg_prepared_statements", Effects::PREPARED_VIEW),
        ("select * from pg_prepared_statement()", Effects::PREPARED_VIEW),
        ("declare c cursor with hold for select 1", Effects::HOLD),
        ("listen a", Effects::LISTEN),
        ("load 'x'", Effects::LOAD),
        ("update pg_settings set setting = 1", Effects::UPDATES_SETTINGS),
        ("with a as (update pg_catalog.pg_settings set setting = 1) select 1", Effects::UPDATES_SETTINGS),
        ("select 'NOW'::timestamp", Effects::DATETIME_WORD),
        ("select '[today,)'::daterange", Effects::DATETIME_WORD),
        (r"select E'n\x6fw'::timestamp", Effects::DATETIME_WORD),
        ("select 'to'\n'morrow'::date", Effects::DATETIME_WORD),
        ("select $$yesterday$$::date", Effects::DATETIME_WORD),
        ("select dblink_connect_u('x')", Effects::DBLINK),
        ("explain analyze execute p", Effects::EXECUTES_PREPARED),
        ("create table t as execute p", Effects::EXECUTES_PREPARED),
        ("select 1 from t for update", Effects::FOR_LOCK),
        ("select 1 from t for no key update", Effects::FOR_LOCK),
        ("select 1 from t for key share", Effects::FOR_LOCK),
        ("/* howdah: shard=2 */ select 1", Effects::HOWDAH_HINT),
        ("select 1 -- Howdah: shard=2", Effects::HOWDAH_HINT),
        ("explain (verbose, howdah) select 1", Effects::EXPLAIN_HOWDAH),
        ("explain (howdah on, costs off) select 1", Effects::EXPLAIN_HOWDAH),
        ("create temp table t(a int) on commit drop", Effects::WRITES_TEMP_ON_COMMIT_DROP),
        ("select U&\"set\\005fconfig\"('a','b',false)", Effects::UNICODE_IDENT),
        ("select query_to_xml('select 1', true, true, '')", Effects::SQL_IN_TEXT),
        ("select pg_backup_start('x')", Effects::OTHER_STATE),
        ("select pg_create_logical_replication_slot('a', 'b', true)", Effects::OTHER_STATE),
        ("select 'a", Effects::LEXICAL_ERROR),
    ] {
        assert!(effects(sql).contains(effect), "{sql}");
    }
}

#[test]
fn plain_names_and_texts_raise_no_alarm() {
    for sql in [
        "select temp from sensors where temp > 3",
        "insert into temp values (1)",
        "select 'snowman', 'they know', \"SET_CONFIG\"('a')",
        "select abalance from pgbench_accounts where aid = 12345",
        "update pgbench_accounts set abalance = abalance + 1 where aid = 2",
        "select pg_advisory_unlock(1), pg_advisory_xact_lock(2)",
        "select 1 /* not howdah: */",
        "explain (select howdah from t)",
        "explain (howdah off) select 1",
        "create trigger t before insert on a execute function f()",
        "grant execute on function f to u",
        "select U&'x'",
    ] {
        assert!(effects(sql).without(Effects::DATETIME_WORD).is_empty(), "{sql}: {:?}", effects(sql));
    }
    assert!(effects("select 'snowman', 'know', 'nowhere'").is_empty());
}

#[test]
fn effects_belong_to_their_own_statement() {
    let statements = scan_text("select set_config('a','b',true); select 1");
    assert_eq!(statements[0].effects, Effects::SET_CONFIG);
    assert_eq!(statements[1].effects, Effects::NONE);
}

#[test]
fn time_is_linear_in_statements_made_to_be_slow() {
    let comment = format!("/*{}*/", "x".repeat(400_000));
    let started_by_head = [
        format!("create {comment} function f() {}", "begin atomic ".repeat(40_000)),
        format!("explain (costs {}", "off, howdah off ".repeat(40_000)),
        "for no key ".repeat(60_000),
        "'a'\n".repeat(100_000),
        "$a$ ".repeat(100_000),
        "/*".repeat(200_000),
        "((((begin;".repeat(60_000),
    ];
    for sql in started_by_head {
        // Quadratic ones would take minutes in this build.
        scan_text(&sql);
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_scan_into_ordered_disjoint_spans(sql in proptest::collection::vec(
        proptest::prop_oneof![
            proptest::prelude::any::<u8>(),
            proptest::sample::select(b"'\"$;-/*\\()eEuU&\n ab1.:".to_vec()),
        ], 0..60), scs in proptest::bool::ANY)
    {
        let mut out = Statements::new();
        scan(&sql, scs, &mut out);
        let mut last = 0;
        for statement in &out {
            assert!(last <= statement.start && statement.start < statement.end);
            assert!(statement.end <= sql.len());
            last = statement.end;
        }
    }

    #[test]
    fn the_scan_splits_where_the_lexer_finds_semicolons(sql in proptest::collection::vec(
        proptest::sample::select(b"'\"$;-/*\\eEuUbxn&\n\xc3 a1.:=+".to_vec()), 0..60), scs in proptest::bool::ANY)
    {
        let mut out = Statements::new();
        scan(&sql, scs, &mut out);
        let spans: Vec<_> = out.iter().map(|statement| (statement.start, statement.end)).collect();
        let mut want = Vec::new();
        let mut current: Option<(usize, usize, bool)> = None;
        for token in Lexer::new(&sql, scs) {
            if token.kind == TokenKind::Semicolon {
                want.extend(current.take().filter(|it| it.2).map(|it| (it.0, it.1)));
            } else {
                let (start, _, has_token) = current.unwrap_or((token.start, 0, false));
                current = Some((start, token.end, has_token || !token.kind.is_comment()));
            }
        }
        want.extend(current.filter(|it| it.2).map(|it| (it.0, it.1)));
        assert_eq!(spans, want);
    }
}
