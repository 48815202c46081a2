//! What a statement costs before it is planned: lexer, scan, template and its look-up in the plan cache.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use howdah::sql::lexer::Lexer;
use howdah::sql::template::{Template, template};
use howdah::sql::{Statements, scan};
use std::hint::black_box;
use std::sync::Arc;

const STATEMENTS: &[(&str, &str)] = &[
    ("pgbench select", "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;"),
    ("pgbench update", "UPDATE pgbench_accounts SET abalance = abalance + -2345 WHERE aid = 12345;"),
    ("begin", "BEGIN;"),
    (
        "orm select",
        "SELECT \"o\".\"id\", \"o\".\"total\", \"c\".\"name\" FROM \"orders\" \"o\" INNER JOIN \"customers\" \"c\" ON \
         (\"o\".\"customer_id\" = \"c\".\"id\") WHERE (\"o\".\"customer_id\" = 4711 AND \"o\".\"state\" IN ('open', \
         'paid') AND \"o\".\"created_at\" >= '2024-01-01'::timestamptz) ORDER BY \"o\".\"id\" DESC LIMIT 20",
    ),
    (
        "tpc-h q9",
        "select nation, o_year, sum(amount) as sum_profit from (select n_name as nation, extract(year from \
         o_orderdate) as o_year, l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity as amount from \
         part, supplier, lineitem, partsupp, orders, nation where s_suppkey = l_suppkey and ps_suppkey = l_suppkey \
         and ps_partkey = l_partkey and p_partkey = l_partkey and o_orderkey = l_orderkey and s_nationkey = \
         n_nationkey and p_name like '%green%') as profit group by nation, o_year order by nation, o_year desc",
    ),
];

fn per_statement(criterion: &mut Criterion, name: &str, mut run: impl FnMut(&[u8])) {
    let mut group = criterion.benchmark_group(name);
    for (label, sql) in STATEMENTS {
        group.throughput(Throughput::Bytes(sql.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(label), sql.as_bytes(), |bench, sql| {
            bench.iter(|| run(black_box(sql)));
        });
    }
    group.finish();
}

fn lexer(criterion: &mut Criterion) {
    per_statement(criterion, "lexer", |sql| {
        black_box(Lexer::new(sql, true).count());
    });
}

fn scanner(criterion: &mut Criterion) {
    let mut out = Statements::new();
    per_statement(criterion, "scan", |sql| {
        scan(sql, true, &mut out);
        black_box(out.len());
    });
}

fn templates(criterion: &mut Criterion) {
    let mut out = Template::default();
    per_statement(criterion, "template", |sql| {
        template(sql, true, &mut out);
        black_box(out.hash);
    });
}

/// Template and look-up by its whole text among 10,000 others.
fn cached_plan(criterion: &mut Criterion) {
    let cache: moka::sync::Cache<Arc<[u8]>, Arc<usize>> = moka::sync::Cache::new(20_000);
    let mut out = Template::default();
    for index in 0..10_000 {
        let sql = format!("select a{index} from t where k = 1");
        template(sql.as_bytes(), true, &mut out);
        cache.insert(out.normalised.as_slice().into(), Arc::new(index));
    }
    for (index, (_, sql)) in STATEMENTS.iter().enumerate() {
        template(sql.as_bytes(), true, &mut out);
        cache.insert(out.normalised.as_slice().into(), Arc::new(index));
    }
    per_statement(criterion, "template and look-up", |sql| {
        template(sql, true, &mut out);
        black_box(cache.get(out.normalised.as_slice()));
    });
}

criterion_group!(benches, lexer, scanner, templates, cached_plan);
criterion_main!(benches);
