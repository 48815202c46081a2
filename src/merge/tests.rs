//! Tests of the merge machine.

use super::*;
use crate::datum::oid;

fn body_of(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = Vec::new();
    write(&mut frame);
    frame.split_off(5)
}

fn description(columns: &[(&str, u32)]) -> Vec<u8> {
    let columns: Vec<(&str, u32, i16)> = columns.iter().map(|(name, oid)| (*name, *oid, -1)).collect();
    body_of(|out| write::row_description(out, &columns))
}

fn row(values: &[Option<&str>]) -> Vec<u8> {
    let values: Vec<Option<&[u8]>> = values.iter().map(|value| value.map(str::as_bytes)).collect();
    body_of(|out| write::data_row(out, &values))
}

fn plan(combine: Combine) -> MergePlan {
    MergePlan::new(MergeKind::Aggregate(vec![OutputColumn::Combine(combine, 0)]))
}

const MIN: Combine = Combine::Min { text_is_c: false };
const MAX: Combine = Combine::Max { text_is_c: false };

fn combine(combine: Combine, type_oid: u32, values: &[Option<&str>]) -> Result<Option<String>, SqlError> {
    let shards = u16::try_from(values.len()).unwrap();
    let mut merge = Merge::new(&plan(combine), shards, ShardId(0));
    for shard in 0..shards {
        merge.row_description(ShardId(shard), &description(&[("x", type_oid)]))?;
    }
    for value in values {
        merge.data_row(&row(&[*value]))?;
        merge.complete(b"SELECT 1\0")?;
    }
    let mut out = Vec::new();
    merge.finish(&mut out)?;
    let row_len = u32::from_be_bytes(out[1..5].try_into().unwrap()) as usize + 1;
    let (row, tag) = out.split_at(row_len);
    assert_eq!(tag, body_with_header(b'C', b"SELECT 1\0"));
    let len = i32::from_be_bytes(row[7..11].try_into().unwrap());
    Ok((len >= 0).then(|| String::from_utf8(row[11..].to_vec()).unwrap()))
}

fn body_with_header(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write::message(&mut out, tag, |b| b.extend_from_slice(body));
    out
}

#[test]
fn values_of_all_shards_are_combined() {
    type Case<'a> = (Combine, u32, &'a [Option<&'a str>], Option<&'a str>);
    let cases: &[Case<'_>] = &[
        (Combine::Count, oid::INT8, &[Some("3"), Some("0"), Some("4")], Some("7")),
        (Combine::Count, oid::INT8, &[Some("0"), Some("0")], Some("0")),
        (Combine::Sum, oid::INT8, &[Some("3"), None, Some("-4")], Some("-1")),
        (Combine::Sum, oid::INT8, &[None, None], None),
        (Combine::Sum, oid::NUMERIC, &[Some("1.10"), None, Some("2.205")], Some("3.305")),
        (Combine::Sum, oid::NUMERIC, &[Some("9223372036854775807"), Some("1")], Some("9223372036854775808")),
        (Combine::Sum, oid::NUMERIC, &[Some("NaN"), Some("1")], Some("NaN")),
        (Combine::Sum, oid::NUMERIC, &[None, None], None),
        (MIN, oid::INT4, &[Some("10"), Some("9"), None], Some("9")),
        (MAX, oid::INT4, &[Some("10"), Some("9"), None], Some("10")),
        (MAX, oid::NUMERIC, &[Some("10.50"), Some("10.5"), Some("NaN")], Some("NaN")),
        (MIN, oid::FLOAT8, &[Some("NaN"), Some("1e-05"), Some("0.1")], Some("1e-05")),
        (MAX, oid::DATE, &[Some("1999-12-31"), Some("2000-01-01")], Some("2000-01-01")),
        (MIN, oid::DATE, &[Some("0044-03-15 BC"), Some("0001-01-01")], Some("0044-03-15 BC")),
        (MAX, oid::DATE, &[None, None], None),
    ];
    for (how, type_oid, values, expected) in cases {
        let got = combine(*how, *type_oid, values).unwrap();
        assert_eq!(got.as_deref(), *expected, "{how:?} {values:?}");
    }
}

#[test]
fn a_bigint_sum_beyond_its_range_is_postgres_error() {
    let error = combine(Combine::Sum, oid::INT8, &[Some("9223372036854775807"), Some("1")]).unwrap_err();
    assert_eq!((error.code, &*error.message), (sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range"));
}

#[test]
fn types_that_do_not_combine_exactly_are_refused_before_any_row() {
    for (how, type_oid) in [
        (Combine::Sum, oid::FLOAT8),
        (Combine::Sum, oid::FLOAT4),
        (MIN, oid::TEXT),
        (MAX, oid::VARCHAR),
        (Combine::Sum, 790),
        (MAX, 1186),
    ] {
        let mut merge = Merge::new(&plan(how), 2, ShardId(0));
        let error = merge.row_description(ShardId(1), &description(&[("x", type_oid)])).unwrap_err();
        assert_eq!(error.code, sqlstate::FEATURE_NOT_SUPPORTED);
        assert!(error.hint.is_some());
    }
}

#[test]
fn dates_in_another_style_are_refused() {
    let error = combine(MAX, oid::DATE, &[Some("12/31/1999"), Some("01/01/2000")]).unwrap_err();
    assert_eq!(error.code, sqlstate::FEATURE_NOT_SUPPORTED);
}

#[test]
fn concatenation_waits_for_all_shards_and_shows_the_home_shards_description() {
    let mut merge = Merge::new(&MergePlan::new(MergeKind::Concat), 2, ShardId(1));
    assert!(merge.forwards_rows());
    let mut home = description(&[("a", oid::TEXT)]);
    home[7] = 9;
    assert_eq!(merge.row_description(ShardId(0), &description(&[("a", oid::TEXT)])), Ok(Described::Waiting));
    assert_eq!(merge.description(), None);
    assert_eq!(merge.row_description(ShardId(1), &home), Ok(Described::Ready));
    assert_eq!(merge.description(), Some(&home[..]));
    merge.complete(b"SELECT 2").unwrap();
    merge.complete(b"SELECT 40\0").unwrap();
    let mut out = Vec::new();
    merge.finish(&mut out).unwrap();
    assert_eq!(out, body_with_header(b'C', b"SELECT 42\0"));
}

#[test]
fn shards_whose_columns_differ_are_refused() {
    for other in [description(&[("b", oid::TEXT)]), description(&[("a", oid::INT4)]), description(&[])] {
        let mut merge = Merge::new(&MergePlan::new(MergeKind::Concat), 2, ShardId(0));
        merge.row_description(ShardId(0), &description(&[("a", oid::TEXT)])).unwrap();
        let error = merge.row_description(ShardId(1), &other).unwrap_err();
        assert_eq!(error.code, sqlstate::FEATURE_NOT_SUPPORTED);
    }
}

#[test]
fn malformed_messages_are_errors() {
    let mut merge = Merge::new(&plan(Combine::Count), 1, ShardId(0));
    assert!(merge.row_description(ShardId(0), &[0]).is_err());
    merge.row_description(ShardId(0), &description(&[("count", oid::INT8)])).unwrap();
    assert!(merge.data_row(&[0, 1, 0, 0, 0, 9]).is_err());
    assert!(merge.data_row(&row(&[])).is_err());
    assert!(merge.complete(b"INSERT 0 1").is_err());
}
