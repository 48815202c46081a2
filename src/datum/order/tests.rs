//! Tests of the orders by hand; `tests/order_golden.rs` holds them against a live Postgres.

use super::*;

fn encoded(order: Order, is_binary: bool, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    order.encode(is_binary, value, &mut out).unwrap_or_else(|| panic!("{order:?} {value:?}"));
    out
}

/// The texts rise, except that those which stand in one list are equal.
fn rises(order: Order, values: &[&[&str]]) {
    for (i, left) in values.iter().enumerate() {
        for (j, right) in values.iter().enumerate() {
            for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (a, b))) {
                let (x, y) = (encoded(order, false, a.as_bytes()), encoded(order, false, b.as_bytes()));
                assert_eq!(x.cmp(&y), i.cmp(&j), "{order:?} {a} {b}");
                assert!(x == y || (!x.starts_with(&y) && !y.starts_with(&x)), "prefix-free: {a} {b}");
            }
        }
    }
}

#[test]
fn texts_order_as_their_values() {
    rises(
        Order::Int8,
        &[&["-9223372036854775808"], &["-1"], &["0"], &["9"], &["10"], &["9223372036854775807"]],
    );
    rises(Order::Oid, &[&["0"], &["9"], &["4294967295"]]);
    rises(
        Order::Float8,
        &[
            &["-Infinity"],
            &["-1e+20"],
            &["-1"],
            &["0", "-0"],
            &["1e-05"],
            &["2"],
            &["1e+20"],
            &["Infinity"],
            &["NaN"],
        ],
    );
    rises(
        Order::Numeric,
        &[
            &["-Infinity"],
            &["-100000000000000000000"],
            &["-10.01"],
            &["-10", "-10.00"],
            &["-9.5", "-9.50"],
            &["-0.001"],
            &["0", "0.00"],
            &["0.00001"],
            &["0.001", "0.0010"],
            &["0.0011"],
            &["0.01"],
            &["1", "1.0", "1.000"],
            &["1.05"],
            &["1.2"],
            &["1.21"],
            &["9.99999999999999999999"],
            &["10"],
            &["10.0001"],
            &["100"],
            &["Infinity"],
            &["NaN"],
        ],
    );
    rises(Order::Bool, &[&["f"], &["t"]]);
    rises(
        Order::Text,
        &[&[""], &["A"], &["B"], &["Ba"], &["a"], &["a "], &["ab"], &["\u{e4}"], &["\u{1f418}"]],
    );
    rises(Order::PaddedText, &[&["", "   "], &["A", "A  "], &["A b"], &["B"], &["a"]]);
    rises(Order::Bytea, &[&["\\x"], &["\\x00"], &["\\x0000"], &["\\x0001"], &["\\x01"], &["\\xff"]]);
    rises(Order::Bytea, &[&[""], &["\\000"], &["\\001"], &["a"], &["a\\\\"], &["b"], &["\\377"]]);
    rises(
        Order::Bits,
        &[&[""], &["0"], &["00"], &["01"], &["1"], &["10000000"], &["100000000"], &["10000001"]],
    );
    rises(Order::Char, &[&[""], &["A"], &["\\"], &["a"], &["\\200"], &["\\377"]]);
    rises(
        Order::Uuid,
        &[
            &["00000000-0000-0000-0000-000000000000"],
            &["0a000000-0000-0000-0000-000000000000"],
            &["a0000000-0000-0000-0000-000000000001"],
            &["ffffffff-ffff-ffff-ffff-ffffffffffff"],
        ],
    );
}

#[test]
fn dates_and_times_order_as_their_values() {
    rises(
        Order::Date,
        &[
            &["-infinity"],
            &["4714-01-01 BC"],
            &["0044-03-15 BC"],
            &["0001-01-01"],
            &["1999-12-31"],
            &["2000-02-29"],
            &["2000-03-01"],
            &["10000-01-01"],
            &["5874897-12-31"],
            &["infinity"],
        ],
    );
    rises(
        Order::Timestamp,
        &[
            &["-infinity"],
            &["0044-03-15 12:00:00 BC"],
            &["2000-01-01 00:00:00"],
            &["2000-01-01 00:00:00.000001"],
            &["2000-01-01 00:00:00.1"],
            &["2000-01-01 00:00:01"],
            &["2000-01-02 00:00:00"],
            &["294276-12-31 23:59:59.999999"],
            &["infinity"],
        ],
    );
    rises(
        Order::Timestamptz,
        &[
            &["0044-03-15 12:00:00+00 BC"],
            &["1999-12-31 23:30:00+02"],
            &["2000-01-01 00:00:00+02"],
            &["2000-01-01 00:00:00+01:30"],
            &["2000-01-01 00:00:00+00", "2000-01-01 00:19:32+00:19:32"],
            &["1999-12-31 23:30:00-01"],
        ],
    );
    rises(Order::Time, &[&["00:00:00"], &["00:00:00.5"], &["23:59:59.999999"], &["24:00:00"]]);
    rises(
        Order::Timetz,
        &[
            &["12:00:00+03"],
            &["12:00:00+02"],
            &["11:00:00+01"],
            &["10:00:00+00"],
            &["09:00:00-01"],
            &["12:00:00+01"],
        ],
    );
}

#[test]
fn binary_values_order_as_their_texts() {
    for value in [i64::MIN, -1, 0, 42, i64::MAX] {
        let text = encoded(Order::Int8, false, value.to_string().as_bytes());
        assert_eq!(encoded(Order::Int8, true, &value.to_be_bytes()), text);
    }
    let numeric =
        |text: &str| crate::datum::numeric::Numeric::from_text(text.as_bytes()).unwrap().to_binary();
    for text in [
        "0",
        "0.00",
        "1",
        "-1",
        "12345678.9012",
        "0.0001",
        "-0.00012",
        "100000000",
        "1000.5",
        "NaN",
        "-Infinity",
    ] {
        let binary = encoded(Order::Numeric, true, &numeric(text));
        assert_eq!(binary, encoded(Order::Numeric, false, text.as_bytes()), "{text}");
    }
    let days = |days: i32| encoded(Order::Date, true, &days.to_be_bytes());
    assert_eq!(days(59), encoded(Order::Date, false, b"2000-02-29"));
    assert_eq!(days(i32::MIN), encoded(Order::Date, false, b"-infinity"));
    let moment = encoded(Order::Timestamptz, true, &86_400_000_001_i64.to_be_bytes());
    assert_eq!(moment, encoded(Order::Timestamptz, false, b"2000-01-02 02:00:00.000001+02"));
    let bits = encoded(Order::Bits, true, &[0, 0, 0, 9, 0b1010_0000, 0b1000_0000]);
    assert_eq!(bits, encoded(Order::Bits, false, b"101000001"));
    let bytes = encoded(Order::Bytea, true, &[0, 1, 0xff]);
    assert_eq!(bytes, encoded(Order::Bytea, false, b"\\x0001ff"));
}

#[test]
fn intervals_order_by_length() {
    let interval = |months: i32, days: i32, time: i64| {
        let bytes = [&time.to_be_bytes()[..], &days.to_be_bytes(), &months.to_be_bytes()].concat();
        encoded(Order::Interval, true, &bytes)
    };
    assert_eq!(interval(1, 0, 0), interval(0, 30, 0));
    assert_eq!(interval(0, 1, 0), interval(0, 0, 86_400_000_000));
    assert!(interval(-1, 29, 0) < interval(0, 0, 0));
    assert!(interval(0, 0, i64::MAX) < interval(i32::MAX, i32::MAX, i64::MAX));
}

#[test]
fn what_is_no_such_value_is_not_read() {
    for (order, text) in [
        (Order::Date, "12/31/1999"),
        (Order::Date, "31.12.1999"),
        (Order::Date, "12-31-1999"),
        (Order::Date, "1999-13-01"),
        (Order::Timestamp, "1999-12-31"),
        (Order::Timestamp, "1999-12-31 00:00:00+00"),
        (Order::Timestamptz, "Fri Dec 31 23:59:59 1999 UTC"),
        (Order::Timestamptz, "1999-12-31 23:59:59"),
        (Order::Int8, "9223372036854775808"),
        (Order::Int8, ""),
        (Order::Int8, "1a"),
        (Order::Numeric, "1.2.3"),
        (Order::Numeric, ""),
        (Order::Bool, "true"),
        (Order::Uuid, "00000000-0000-0000-0000-00000000000"),
        (Order::Bytea, "\\x0"),
        (Order::Bytea, "\\9"),
        (Order::Text, "a\0b"),
        (Order::Money, "$1.00"),
        (Order::Interval, "1 day"),
    ] {
        assert_eq!(order.encode(false, text.as_bytes(), &mut Vec::new()), None, "{order:?} {text}");
    }
}

#[test]
fn styles_decide_what_is_exact() {
    let other = Style { has_iso_dates: false, float_digits: 0, has_server_encoding: false };
    for (order, text, binary) in [
        (Order::Date, false, true),
        (Order::Timestamptz, false, true),
        (Order::Float8, false, true),
        (Order::Text, false, false),
        (Order::Int8, true, true),
        (Order::Time, true, true),
    ] {
        assert_eq!(order.is_exact(false, other), text, "{order:?}");
        assert_eq!(order.is_exact(true, other), binary, "{order:?}");
        assert!(order.is_exact(false, Style::default()), "{order:?}");
    }
    assert!(!Order::Interval.is_exact(false, Style::default()));
}
