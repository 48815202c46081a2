//! Tests of numerics.

use super::*;

fn read(text: &str) -> Numeric {
    Numeric::from_text(text.as_bytes()).unwrap()
}

#[test]
fn sums_are_exact_and_keep_the_greater_scale() {
    for (a, b, sum) in [
        ("1.10", "2.2", "3.30"),
        ("-1", "1", "0"),
        ("-1.00", "1", "0.00"),
        ("0.001", "-1", "-0.999"),
        ("99999999999999999999", "1", "100000000000000000000"),
        ("10000", "-0.0001", "9999.9999"),
        ("NaN", "1", "NaN"),
        ("Infinity", "-Infinity", "NaN"),
        ("-Infinity", "5", "-Infinity"),
        ("5", "Infinity", "Infinity"),
    ] {
        assert_eq!(read(a).add(&read(b)).to_text(), sum.as_bytes(), "{a} + {b}");
        assert_eq!(read(b).add(&read(a)).to_text(), sum.as_bytes(), "{b} + {a}");
    }
}

#[test]
fn binary_and_text_agree() {
    for text in [
        "0",
        "0.00",
        "1",
        "-1",
        "10000",
        "12345678.9012",
        "0.0001",
        "-0.00012",
        "100000000",
        "9999.9999",
        "0.1",
    ] {
        let value = read(text);
        let again = Numeric::from_binary(&value.to_binary()).unwrap();
        assert_eq!(again.to_text(), text.as_bytes());
        assert_eq!(again, value);
    }
    // As numeric_send gives 12345678.9012 and -0.00012.
    let sent = [0, 3, 0, 1, 0, 0, 0, 4, 0x04, 0xd2, 0x16, 0x2e, 0x23, 0x34];
    assert_eq!(read("12345678.9012").to_binary(), sent);
    let sent = [0, 2, 0xff, 0xff, 0x40, 0, 0, 5, 0, 1, 0x07, 0xd0];
    assert_eq!(read("-0.00012").to_binary(), sent);
}

#[test]
fn order_is_postgres_own() {
    let rising = ["-Infinity", "-10", "-9.5", "0", "0.001", "1", "1.5", "10", "Infinity", "NaN"];
    for (i, a) in rising.iter().enumerate() {
        for (j, b) in rising.iter().enumerate() {
            assert_eq!(read(a).compare(&read(b)), i.cmp(&j), "{a} {b}");
        }
    }
    assert_eq!(read("1.0").compare(&read("1.00")), Ordering::Equal);
}

#[test]
fn averages_have_the_scale_that_postgres_gives() {
    for (sum, count, average) in [
        ("0", 5, "0.00000000000000000000"),
        ("1", 3, "0.33333333333333333333"),
        ("2", 3, "0.66666666666666666667"),
        ("-2", 3, "-0.66666666666666666667"),
        ("10", 2, "5.0000000000000000"),
        ("99999", 7, "14285.571428571429"),
        ("1.005", 2, "0.50250000000000000000"),
        ("123456789012345678901234567890", 7, "17636684144620811271604938270"),
        ("0.000000000000000000000000000001", 3, "0.000000000000000000000000000000333333333333333333"),
        ("1.00000000000000000000000000", 3, "0.33333333333333333333333333"),
        ("NaN", 3, "NaN"),
        ("-Infinity", 3, "-Infinity"),
    ] {
        let average = average.to_owned();
        assert_eq!(
            String::from_utf8(read(sum).divide(count).unwrap().to_text()).unwrap(),
            average,
            "{sum} {count}"
        );
    }
    assert_eq!(read("1").divide(0), None);
}
