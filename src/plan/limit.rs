//! LIMIT and OFFSET of one execution: the plan says where their numbers are found.
//!
//! Source: PostgreSQL 15, `recompute_limits` in `src/backend/executor/nodeLimit.c`.

use super::Values;
use crate::datum::int8::{self, Int8Text};
use crate::datum::oid;
use crate::error::SqlError;
use crate::merge::{LimitSource, Limits, MergePlan};
use crate::sqlstate;

/// The numbers of one execution.
///
/// # Errors
/// `2201W` and `2201X` for a negative number, `22P02` and `22003` for a text that is no bigint; `0A000` for
/// a number of a type that is not read.
pub(super) fn limits<V: Values>(merge: &MergePlan, values: &V) -> Result<Limits, SqlError> {
    let limit = match &merge.limit {
        None => None,
        Some(source) => number(source, values)?.map(|limit| not_negative(limit, true)).transpose()?,
    };
    let offset = match &merge.offset {
        None => 0,
        Some(source) => match number(source, values)? {
            None => 0,
            Some(offset) => not_negative(offset, false)?,
        },
    };
    Ok(Limits { limit, offset })
}

fn not_negative(number: i64, is_limit: bool) -> Result<u64, SqlError> {
    u64::try_from(number).map_err(|_negative| {
        if is_limit {
            SqlError::new(sqlstate::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE, "LIMIT must not be negative")
        } else {
            SqlError::new(sqlstate::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE, "OFFSET must not be negative")
        }
    })
}

/// `None` is NULL.
fn number<V: Values>(source: &LimitSource, values: &V) -> Result<Option<i64>, SqlError> {
    match *source {
        LimitSource::Constant(number) => Ok(Some(i64::try_from(number).unwrap_or(i64::MAX))),
        LimitSource::Literal(index) => {
            let text = values.literal(index).ok_or_else(super::bind::missing_value)?;
            from_text(text.strip_prefix(b"'").and_then(|text| text.strip_suffix(b"'")).unwrap_or(text))
                .map(Some)
        }
        LimitSource::Param(number) => {
            let param = values.param(number).ok_or_else(super::bind::missing_value)?;
            let Some(value) = param.value else { return Ok(None) };
            match param.type_oid {
                // The server gives it the type that LIMIT has.
                0 | oid::UNKNOWN | oid::INT8 | oid::INT4 | oid::INT2 => {}
                _ => return Err(unread(number)),
            }
            if param.format == 0 {
                return from_text(value).map(Some);
            }
            let type_oid = if param.type_oid == oid::UNKNOWN { 0 } else { param.type_oid };
            let is_bigint = type_oid != 0 || value.len() == 8;
            int8::from_binary(type_oid, value).filter(|_| is_bigint).map(Some).ok_or_else(|| {
                SqlError::new(
                    sqlstate::INVALID_BINARY_REPRESENTATION,
                    "incorrect binary data format in bind parameter",
                )
            })
        }
    }
}

fn from_text(text: &[u8]) -> Result<i64, SqlError> {
    let shown = || String::from_utf8_lossy(text).into_owned();
    match int8::from_text(text) {
        Int8Text::Value(number) => Ok(number),
        Int8Text::Invalid => Err(SqlError::new(
            sqlstate::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type bigint: \"{}\"", shown()),
        )),
        Int8Text::OutOfRange => Err(SqlError::new(
            sqlstate::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value \"{}\" is out of range for type bigint", shown()),
        )),
        Int8Text::Unclear => Err(SqlError::refused(
            "a LIMIT or OFFSET that is no plain number is not supported over several shards",
            "Write it in decimal digits.",
        )),
    }
}

fn unread(number: usize) -> SqlError {
    SqlError::refused(
        format!("parameter ${number}, a LIMIT or OFFSET, is not known to be an integer"),
        format!("Declare the type of ${number} as bigint, or add a condition on the sharding key."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::MergeKind;
    use crate::plan::Param;

    struct One(Option<&'static [u8]>, u32, i16);

    impl Values for One {
        fn literal(&self, index: usize) -> Option<&[u8]> {
            if index == 0 { self.0 } else { None }
        }

        fn param(&self, number: usize) -> Option<Param<'_>> {
            (number == 1).then_some(Param { type_oid: self.1, format: self.2, value: self.0 })
        }
    }

    fn bound(
        limit: Option<LimitSource>,
        offset: Option<LimitSource>,
        values: &One,
    ) -> Result<Limits, SqlError> {
        limits(&MergePlan { limit, offset, ..MergePlan::new(MergeKind::Concat) }, values)
    }

    #[test]
    fn numbers_come_from_constants_literals_and_parameters() {
        let param = Some(LimitSource::Param(1));
        for (limit, value, expected) in [
            (None, One(None, 0, 0), None),
            (Some(LimitSource::Constant(5)), One(None, 0, 0), Some(5)),
            (Some(LimitSource::Literal(0)), One(Some(b"7"), 0, 0), Some(7)),
            (Some(LimitSource::Literal(0)), One(Some(b"'7'"), 0, 0), Some(7)),
            (param, One(None, 0, 0), None),
            (param, One(Some(b" 9 "), 0, 0), Some(9)),
            (param, One(Some(&[0, 0, 0, 0, 0, 0, 0, 3]), 0, 1), Some(3)),
            (param, One(Some(&[0, 0, 0, 3]), oid::INT4, 1), Some(3)),
        ] {
            assert_eq!(bound(limit, None, &value).unwrap().limit, expected);
            assert_eq!(bound(None, limit, &value).unwrap().offset, expected.unwrap_or(0));
        }
    }

    #[test]
    fn what_is_no_row_count_is_postgres_own_error() {
        let param = Some(LimitSource::Param(1));
        for (value, limit_code, offset_code) in [
            (One(Some(b"-1"), 0, 0), "2201W", "2201X"),
            (One(Some(b"x"), 0, 0), "22P02", "22P02"),
            (One(Some(b"9223372036854775808"), 0, 0), "22003", "22003"),
            (One(Some(&[0, 0, 0, 3]), 0, 1), "22P03", "22P03"),
            (One(Some(b"1.5"), oid::NUMERIC, 0), "0A000", "0A000"),
        ] {
            assert_eq!(bound(param, None, &value).unwrap_err().code.as_str(), limit_code);
            assert_eq!(bound(None, param, &value).unwrap_err().code.as_str(), offset_code);
        }
    }
}
