//! Where relations are named in a query, by tokens alone, against Postgres's own grammar: over the statements
//! of its regression suite, no relation that a query reaches stands at a place that was left out.
//!
//! `tests/corpus/regress/README.md` tells the golden files' formats and how they are made.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use flate2::read::GzDecoder;
use howdah::sql::lexer::{Lexer, Token};
use howdah::sql::parse;
use howdah::sql::relation_places::relation_places;
use std::io::Read;

fn read(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(format!("tests/corpus/regress/{name}")).unwrap();
    GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The statements of the suite, each with the relations that Postgres's tree names; `None` where Postgres
/// refuses it.
fn golden() -> Vec<(Vec<u8>, Option<Vec<String>>)> {
    let statements = read("statements.gz");
    let relations = String::from_utf8(read("relations.gz")).unwrap();
    let mut relations = relations.lines();
    let mut rest = statements.as_slice();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let line_end = rest.iter().position(|&byte| byte == b'\n').unwrap();
        let line = std::str::from_utf8(&rest[..line_end]).unwrap();
        let len: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
        let sql = rest[line_end + 1..][..len].to_vec();
        rest = &rest[line_end + 1 + len + 1..];
        let names = match relations.next().unwrap() {
            "-" => None,
            line => Some(line.split('\t').filter(|name| !name.is_empty()).map(str::to_owned).collect()),
        };
        found.push((sql, names));
    }
    assert_eq!(relations.next(), None);
    found
}

fn tokens(sql: &[u8]) -> Vec<Token> {
    let mut lexer = Lexer::new(sql, true);
    std::iter::from_fn(|| lexer.next_significant()).collect()
}

/// The names at the places where a relation can stand; `None` where all may be relations.
fn places(sql: &[u8]) -> Option<Vec<String>> {
    let tokens = tokens(sql);
    let places = relation_places(sql, &tokens)?;
    Some(places.into_iter().filter_map(|at| parse::name(sql, &tokens[at])).collect())
}

#[test]
fn no_place_that_names_a_relation_is_left_out() {
    let (mut checked, mut named, mut exact) = (0, 0, 0);
    let mut missed = Vec::new();
    for (sql, relations) in golden() {
        let (Some(relations), Some(places)) = (relations, places(&sql)) else { continue };
        // A U& name is refused before places are looked at.
        let text = String::from_utf8_lossy(&sql).to_lowercase();
        if text.contains("u&\"") {
            continue;
        }
        checked += 1;
        named += relations.len();
        exact += usize::from(places.iter().all(|place| relations.contains(place)));
        for relation in relations.iter().filter(|relation| !places.contains(relation)) {
            missed.push(format!("{relation}: {}", String::from_utf8_lossy(&sql)));
        }
    }
    assert!(missed.is_empty(), "{} missed: {:#?}", missed.len(), &missed[..missed.len().min(20)]);
    println!("{checked} queries that name {named} relations; {exact} name nothing else");
    assert!(checked > 15_000 && named > 10_000, "only {checked} queries and {named} relations");
    assert!(exact * 10 > checked * 8, "only {exact} of {checked} are exact");
}

#[test]
fn aliases_columns_and_functions_are_no_relations() {
    for (sql, expected) in [
        ("select c.x, c, f(c) from pg_class c where c.c = 1 group by c order by c", "pg_class"),
        ("select * from a c, b as c join d c on c.x = c.y, e", "a b d e"),
        ("select * from (a c join b on c.x = 1), lateral (select c from d c) e", "a b d"),
        ("select * from s.c, only (c), only c, c *", "c c c c"),
        ("select * from f(c) with ordinality c, d", "f d"),
        ("select * from set, c", "set c"),
        ("select * from update set, c", "update set c"),
        ("update c set c = 1, d = c.e from x c where c.y", "c x"),
        ("update set set c = 1", "set"),
        ("insert into t (c) values (1) on conflict (c) do update set c = excluded.c where t.c", "t"),
        ("select c into temp t from d", "temp t d"),
        ("explain (analyze, verbose) select c from d", "d"),
        ("explain analyze verbose delete from c using d c", "c d"),
        ("declare c cursor for select c from d c", "d"),
        ("prepare c (c) as table d", "d"),
        ("(((select c from d)))", "d"),
        ("select c.c::c from d \"c\"", "d"),
        ("select x is distinct from c, c from d c", "c c d"),
    ] {
        assert_eq!(places(sql.as_bytes()).map(|names| names.join(" ")).as_deref(), Some(expected), "{sql}");
    }
    for sql in
        ["lock c", "explain refresh materialized view c", "create view v as select 1", "copy c to stdout"]
    {
        assert_eq!(places(sql.as_bytes()), None, "{sql}");
    }
}
