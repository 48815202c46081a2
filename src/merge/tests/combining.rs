//! Aggregates and groups.

use super::*;

const MIN: Combine = Combine::Min { text_is_c: true };
const MAX: Combine = Combine::Max { text_is_c: true };

fn aggregate(outputs: &[OutputColumn]) -> MergePlan {
    MergePlan::new(MergeKind::Aggregate(outputs.to_vec()))
}

/// Combines one value per shard.
fn combine(how: Combine, type_oid: u32, values: &[Option<&str>]) -> Result<Cell, SqlError> {
    let plan = aggregate(&[OutputColumn::Combine(how, 0)]);
    let answers: Vec<Vec<u8>> = values.iter().map(|value| answer(&[("x", type_oid)], &[&[*value]])).collect();
    let (rows, tag) = read(&Play::new(&plan).run(&answers)?);
    assert_eq!((rows.len(), tag.as_str()), (1, "SELECT 1"));
    Ok(rows[0][0].clone())
}

type Case<'a> = (Combine, u32, &'a [Option<&'a str>], Option<&'a str>);

#[test]
fn values_of_all_shards_are_combined() {
    let cases: &[Case<'_>] = &[
        (Combine::Count, oid::INT8, &[Some("3"), Some("0"), Some("39")], Some("42")),
        (Combine::Sum, oid::INT8, &[Some("-5"), None, Some("7")], Some("2")),
        (Combine::Sum, oid::INT8, &[None, None], None),
        (
            Combine::Sum,
            oid::INT8,
            &[Some("9223372036854775807"), Some("1"), Some("-1")],
            Some("9223372036854775807"),
        ),
        (Combine::Sum, oid::NUMERIC, &[Some("1.10"), None, Some("2.2")], Some("3.30")),
        (Combine::Sum, oid::NUMERIC, &[Some("Infinity"), Some("-Infinity")], Some("NaN")),
        (Combine::Sum, oid::NUMERIC, &[None], None),
        (Combine::Sum, oid::FLOAT8, &[Some("0.5"), Some("1e+20")], Some("1e+20")),
        (Combine::Sum, oid::FLOAT8, &[Some("-0"), None], Some("-0")),
        (Combine::Sum, oid::FLOAT8, &[Some("Infinity"), Some("-Infinity")], Some("NaN")),
        (Combine::Sum, oid::FLOAT8, &[None, None], None),
        (MIN, oid::INT4, &[Some("10"), Some("9"), None], Some("9")),
        (MAX, oid::NUMERIC, &[Some("10.0"), Some("9.99"), Some("NaN")], Some("NaN")),
        (MIN, oid::TEXT, &[Some("b"), Some("B"), Some("a")], Some("B")),
        (MAX, oid::TEXT, &[None, Some(""), None], Some("")),
        (MAX, oid::DATE, &[Some("0044-03-15 BC"), Some("1999-12-31")], Some("1999-12-31")),
        (
            MIN,
            oid::TIMESTAMPTZ,
            &[Some("2000-01-01 00:00:00+00"), Some("2000-01-01 01:00:00+02")],
            Some("2000-01-01 01:00:00+02"),
        ),
        (MAX, oid::FLOAT8, &[None, None], None),
        (Combine::BoolAnd, oid::BOOL, &[Some("t"), None, Some("t")], Some("t")),
        (Combine::BoolAnd, oid::BOOL, &[Some("t"), Some("f"), Some("t")], Some("f")),
        (Combine::BoolOr, oid::BOOL, &[Some("f"), Some("t"), Some("f")], Some("t")),
        (Combine::BoolOr, oid::BOOL, &[None], None),
        (Combine::BitAnd, oid::INT4, &[Some("12"), Some("10"), None], Some("8")),
        (Combine::BitOr, oid::INT2, &[Some("12"), Some("-1")], Some("-1")),
        (Combine::BitXor, oid::INT8, &[Some("12"), Some("10")], Some("6")),
        (Combine::BitAnd, oid::BIT, &[Some("1100"), Some("1010")], Some("1000")),
        (Combine::BitOr, oid::VARBIT, &[Some("1100"), Some("1010")], Some("1110")),
        (Combine::BitXor, oid::BIT, &[Some("1100"), None, Some("1010")], Some("0110")),
    ];
    for (how, type_oid, values, expected) in cases {
        assert_eq!(combine(*how, *type_oid, values).unwrap().as_deref(), *expected, "{how:?} {values:?}");
    }
}

#[test]
fn what_leaves_its_range_is_postgres_own_error() {
    for (how, type_oid, values, code, message) in [
        (Combine::Sum, oid::INT8, ["9223372036854775807", "1"], "22003", "bigint out of range"),
        (Combine::Count, oid::INT8, ["9223372036854775807", "1"], "22003", "bigint out of range"),
        (
            Combine::Sum,
            oid::FLOAT8,
            ["1.7976931348623157e+308", "1.7976931348623157e+308"],
            "22003",
            "value out of range: overflow",
        ),
        (Combine::BitAnd, oid::BIT, ["11", "111"], "22026", "cannot AND bit strings of different sizes"),
    ] {
        let error = combine(how, type_oid, &values.map(Some)).unwrap_err();
        assert_eq!((error.code.as_str(), error.message.as_ref()), (code, message));
    }
}

#[test]
fn what_has_no_exact_combination_is_refused_by_name() {
    for (how, type_oid, function) in [
        (Combine::Sum, oid::FLOAT4, "sum()"),
        (Combine::Sum, oid::MONEY, "sum()"),
        (Combine::Sum, oid::INTERVAL, "sum()"),
        (MIN, 2277, "min()"),
        (Combine::Max { text_is_c: false }, oid::TEXT, "max()"),
        (MAX, oid::INTERVAL, "max()"),
        (Combine::BoolAnd, oid::INT4, "bool_and()"),
        (Combine::BitOr, oid::NUMERIC, "bit_or()"),
    ] {
        let error = combine(how, type_oid, &[Some("1"), Some("2")]).unwrap_err();
        assert_eq!(error.code, crate::sqlstate::FEATURE_NOT_SUPPORTED);
        assert!(error.message.contains(function) && error.message.contains("\"x\""), "{error:?}");
    }
    let plan = aggregate(&[OutputColumn::Avg { sum: 0, count: 1 }]);
    let answers = [answer(&[("avg", oid::FLOAT4), ("count", oid::INT8)], &[])];
    assert!(Play::new(&plan).run(&answers).unwrap_err().message.starts_with("avg() of this type"));
}

#[test]
fn averages_divide_the_sum_of_sums_by_the_sum_of_counts() {
    let plan = aggregate(&[OutputColumn::Avg { sum: 1, count: 2 }, OutputColumn::Combine(Combine::Count, 0)]);
    for (type_oid, sums, average, result) in [
        (oid::INT8, [Some("1"), Some("1")], "0.66666666666666666667", oid::NUMERIC),
        (oid::NUMERIC, [Some("1.5"), None], "0.50000000000000000000", oid::NUMERIC),
        (oid::FLOAT8, [Some("1"), Some("1")], "0.6666666666666666", oid::FLOAT8),
    ] {
        let columns = &[("n", oid::INT8), ("mean", type_oid), ("count", oid::INT8)];
        let answers = [
            answer(columns, &[&[Some("9"), sums[0], Some("1")]]),
            answer(columns, &[&[Some("1"), sums[1], Some("2")]]),
        ];
        let bytes = Play::new(&plan).run(&answers).unwrap();
        assert_eq!(shown(&read(&bytes).0), [format!("{average} 10")]);
        let described = columns::read(&bytes[5..]).unwrap();
        assert_eq!(described[0].name, b"mean");
        assert_eq!((described[0].type_oid, described[0].type_modifier), (result, -1));
        assert_eq!(described[1].name, b"n");
    }
    let columns = &[("n", oid::INT8), ("avg", oid::INT8), ("count", oid::INT8)];
    let empty = answer(columns, &[&[Some("0"), None, Some("0")]]);
    assert_eq!(shown(&read(&Play::new(&plan).run(&[empty.clone(), empty]).unwrap()).0), ["- 0"]);
}

#[test]
fn formats_are_the_clients() {
    let plan = aggregate(&[OutputColumn::Avg { sum: 0, count: 1 }, OutputColumn::Combine(Combine::Sum, 2)]);
    assert!(plan.has_helpers());
    for (formats, shard_formats) in
        [(&[][..], [1, 1, 0]), (&[1], [1, 1, 1]), (&[0, 1], [1, 1, 1]), (&[1, 0], [1, 1, 0])]
    {
        assert_eq!(plan.shard_formats(formats).unwrap(), shard_formats);
    }
    assert!(plan.shard_formats(&[0, 0, 0]).unwrap_err().message.contains("3 result formats but query has 2"));
    let columns = &[("avg", oid::INT8), ("count", oid::INT8), ("sum", oid::INT8)];
    let mut answers = vec![binary_description(columns)];
    let value = |value: i64| value.to_be_bytes();
    let cells = [value(5), value(2), value(-3)];
    write::data_row(&mut answers[0], &cells.each_ref().map(|cell| Some(cell.as_slice())));
    write::command_complete(&mut answers[0], "SELECT 1");
    let bytes = Play { formats: &[0, 1], ..Play::new(&plan) }.run(&answers).unwrap();
    let described = columns::read(&bytes[5..]).unwrap();
    assert_eq!((described[0].format, described[1].format), (0, 1));
    let row = &bytes[frame::header(&bytes).unwrap().unwrap().frame_len..];
    let mut expected = Vec::new();
    write::data_row(&mut expected, &[Some(b"2.5000000000000000"), Some(&value(-3))]);
    assert!(row.starts_with(&expected));

    let sorted = MergePlan { shown: Some(2), ..ordered(&[key(3), key(0)]) };
    assert_eq!(sorted.shard_formats(&[1, 0]).unwrap(), [1, 0, 1, 1]);
    assert_eq!(sorted.shard_formats(&[]).unwrap(), [0, 0, 1, 1]);
    assert_eq!(ordered(&[key(3)]).shard_formats(&[1]).unwrap(), [1]);
}

const GROUPED: &[(&str, u32)] = &[("g", oid::TEXT), ("count", oid::INT8), ("max", oid::INT4)];

fn grouped() -> MergePlan {
    let columns =
        vec![OutputColumn::Input(0), OutputColumn::Combine(Combine::Count, 1), OutputColumn::Combine(MAX, 2)];
    MergePlan::new(MergeKind::Grouped { keys: vec![key(0)], by: 1, columns })
}

fn groups() -> [Vec<u8>; 3] {
    [
        answer(
            GROUPED,
            &[
                &[Some("a"), Some("1"), Some("5")],
                &[Some("b"), Some("2"), None],
                &[None, Some("1"), Some("1")],
            ],
        ),
        answer(GROUPED, &[]),
        answer(
            GROUPED,
            &[
                &[Some("b"), Some("3"), Some("-1")],
                &[Some("c"), Some("4"), Some("0")],
                &[None, Some("5"), None],
            ],
        ),
    ]
}

#[test]
fn equal_rows_become_one_group() {
    let plan = grouped();
    let (rows, tag) = read(&Play::new(&plan).run(&groups()).unwrap());
    // NULLs are one group.
    assert_eq!(shown(&rows), ["a 1 5", "b 5 -1", "c 4 0", "- 6 1"]);
    assert_eq!(tag, "SELECT 4");
    for (limit, offset, expected) in [
        (Some(2), 1, vec!["b 5 -1", "c 4 0"]),
        (Some(1), 0, vec!["a 1 5"]),
        (None, 3, vec!["- 6 1"]),
        (Some(0), 0, vec![]),
    ] {
        let play = Play { limits: Limits { limit, offset }, ..Play::new(&plan) };
        assert_eq!(shown(&read(&play.run(&groups()).unwrap()).0), expected);
    }
}

#[test]
fn a_group_without_values_does_not_show_the_one_before() {
    let plan = grouped();
    let answers = [
        answer(GROUPED, &[&[Some("a"), Some("1"), Some("5")], &[Some("b"), Some("1"), None]]),
        answer(GROUPED, &[&[Some("b"), Some("2"), None]]),
    ];
    let (rows, _) = read(&Play::new(&plan).run(&answers).unwrap());
    assert_eq!(shown(&rows), ["a 1 5", "b 3 -"]);
}

#[test]
fn values_that_are_equal_are_one_group_whatever_they_look_like() {
    let plan = MergePlan::new(MergeKind::Grouped {
        keys: vec![key(0)],
        by: 1,
        columns: vec![OutputColumn::Input(0), OutputColumn::Combine(Combine::Sum, 1)],
    });
    for (type_oid, first, second) in [(oid::NUMERIC, "1.0", "1.00"), (oid::FLOAT8, "-0", "0")] {
        let columns = &[("g", type_oid), ("sum", oid::NUMERIC)];
        let answers =
            [answer(columns, &[&[Some(first), Some("1")]]), answer(columns, &[&[Some(second), Some("2.5")]])];
        let (rows, _) = read(&Play::new(&plan).run(&answers).unwrap());
        assert_eq!(shown(&rows), [format!("{first} 3.5")]);
    }
}

#[test]
fn distinct_on_keeps_the_first_row_by_all_keys() {
    let plan = MergePlan::new(MergeKind::Grouped {
        keys: vec![key(0), SortKey { descending: true, nulls_first: true, ..key(1) }],
        by: 1,
        columns: vec![OutputColumn::Input(0), OutputColumn::Input(1)],
    });
    let columns = &[("g", oid::INT4), ("v", oid::INT4)];
    let answers = [
        answer(columns, &[&[Some("1"), Some("5")], &[Some("2"), Some("9")]]),
        answer(columns, &[&[Some("1"), Some("7")], &[Some("2"), None]]),
    ];
    assert_eq!(shown(&read(&Play::new(&plan).run(&answers).unwrap()).0), ["1 7", "2 -"]);
}

#[test]
fn a_limit_counts_the_one_row_of_an_aggregate() {
    let plan = aggregate(&[OutputColumn::Combine(Combine::Count, 0)]);
    let answers = [answer(&[("count", oid::INT8)], &[]), answer(&[("count", oid::INT8)], &[])];
    for (limit, offset, expected) in [(Some(0), 0, 0), (None, 1, 0), (Some(1), 0, 1)] {
        let play = Play { limits: Limits { limit, offset }, ..Play::new(&plan) };
        assert_eq!(read(&play.run(&answers).unwrap()).0.len(), expected);
    }
}
