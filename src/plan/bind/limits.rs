//! The numbers of LIMIT and OFFSET.

use super::{Param, Values};
use crate::datum::int8::{self, Int8Text};
use crate::datum::oid;
use crate::error::SqlError;
use crate::merge::{LimitSource, Limits, MergePlan};
use crate::sqlstate;

/// The numbers of one execution.
///
/// # Errors
/// What Postgres says of a negative number, or one that cannot be read; `0A000` for a parameter of a type
/// that is not an integer.
pub(super) fn of<V: Values>(plan: &MergePlan, values: &V) -> Result<Limits, SqlError> {
    let negative = |code, clause: &str| Err(SqlError::new(code, format!("{clause} must not be negative")));
    let read = |source: Option<LimitSource>| source.map_or(Ok(None), |source| number(source, values));
    let limit = match read(plan.limit)? {
        None => None,
        Some(limit) => match u64::try_from(limit) {
            Ok(limit) => Some(limit),
            Err(_) => return negative(sqlstate::INVALID_ROW_COUNT_IN_LIMIT, "LIMIT"),
        },
    };
    let offset = match u64::try_from(read(plan.offset)?.unwrap_or(0)) {
        Ok(offset) => offset,
        Err(_) => return negative(sqlstate::INVALID_ROW_COUNT_IN_OFFSET, "OFFSET"),
    };
    Ok(Limits { limit, offset })
}

fn number<V: Values>(source: LimitSource, values: &V) -> Result<Option<i64>, SqlError> {
    match source {
        LimitSource::Constant(number) => Ok(Some(i64::try_from(number).unwrap_or(i64::MAX))),
        LimitSource::Literal(index) => {
            let text = values.literal(index).unwrap_or_default();
            super::key::integer(text, false).map(Some).ok_or_else(|| unread(text))
        }
        LimitSource::Param(number) => match values.param(number) {
            Some(param) => of_param(number, param),
            None => Err(SqlError::protocol("bind message supplies too few parameters")),
        },
    }
}

fn of_param(number: usize, param: Param<'_>) -> Result<Option<i64>, SqlError> {
    let type_oid = match param.type_oid {
        oid::UNKNOWN => 0,
        other => other,
    };
    if type_oid != 0 && !oid::is_integer(type_oid) {
        return Err(SqlError::refused(
            format!(
                "parameter ${number}, the number of a LIMIT or OFFSET over several shards, is not an integer"
            ),
            "Declare its type as bigint.",
        ));
    }
    let Some(value) = param.value else { return Ok(None) };
    if param.format == 0 {
        return match int8::from_text(value) {
            Int8Text::Value(value) => Ok(Some(value)),
            Int8Text::OutOfRange | Int8Text::Invalid | Int8Text::Unclear => Err(unread(value)),
        };
    }
    int8::from_binary(type_oid, value).map(Some).ok_or_else(|| {
        SqlError::new(
            sqlstate::INVALID_BINARY_REPRESENTATION,
            "incorrect binary data format in bind parameter",
        )
        .with_detail(format!("parameter ${number}"))
    })
}

#[cold]
fn unread(text: &[u8]) -> SqlError {
    let text = String::from_utf8_lossy(text);
    SqlError::new(
        sqlstate::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type bigint: \"{text}\""),
    )
}
