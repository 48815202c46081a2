//! Arithmetic over integers, as Postgres computes it.
//!
//! Source: PostgreSQL 15, `src/backend/utils/adt/int.c` and `int8.c`.

use super::{Values, key};
use crate::datum::int8::{self, Int8Text};
use crate::datum::oid;
use crate::plan::prune::{Arithmetic, Computed};

/// What arithmetic comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An integer, and its type's width in bytes; 0 where it has yet to take another operand's.
    Integer(i64, u8),
    /// NULL.
    Null,
    /// An error: any server says so.
    Invalid,
    /// A parameter that cannot be read.
    Unclear(Option<usize>),
}

/// Computes the value.
pub(super) fn value<V: Values>(computed: &Computed, values: &V) -> Outcome {
    match computed {
        Computed::Literal(index) => match values.literal(*index).and_then(|text| key::integer(text, false)) {
            Some(value) => typed(value),
            None => Outcome::Unclear(None),
        },
        Computed::Fixed(value) => typed(*value),
        Computed::Param(number) => param(*number, values),
        Computed::Negated(inner) => match self::value(inner, values) {
            Outcome::Integer(value, width) => fits(value.checked_neg(), width),
            other => other,
        },
        Computed::Binary(operator, left, right) => {
            match (self::value(left, values), self::value(right, values)) {
                (Outcome::Integer(left, a), Outcome::Integer(right, b)) => {
                    binary(*operator, (left, a), (right, b))
                }
                // NULL with what is an error is an error all the same.
                (Outcome::Invalid, _) | (_, Outcome::Invalid) => Outcome::Invalid,
                (Outcome::Unclear(number), _) | (_, Outcome::Unclear(number)) => Outcome::Unclear(number),
                _ => Outcome::Null,
            }
        }
        Computed::Cast(inner, width) => match self::value(inner, values) {
            Outcome::Integer(value, _) => fits(Some(value), *width),
            other => other,
        },
    }
}

/// A number's own type is the narrowest of integer and bigint.
fn typed(value: i64) -> Outcome {
    Outcome::Integer(value, if i32::try_from(value).is_ok() { 4 } else { 8 })
}

fn fits(value: Option<i64>, width: u8) -> Outcome {
    let Some(value) = value else { return Outcome::Invalid };
    let is_in = match width {
        2 => i16::try_from(value).is_ok(),
        4 => i32::try_from(value).is_ok(),
        _ => true,
    };
    if is_in { Outcome::Integer(value, width) } else { Outcome::Invalid }
}

fn binary(operator: Arithmetic, (left, a): (i64, u8), (right, b): (i64, u8)) -> Outcome {
    // An untyped parameter takes the other's type, and must fit it.
    let width = a.max(b);
    for (value, own) in [(left, a), (right, b)] {
        if own == 0 && fits(Some(value), width) == Outcome::Invalid {
            return Outcome::Invalid;
        }
    }
    let result = match operator {
        Arithmetic::Plus => left.checked_add(right),
        Arithmetic::Minus => left.checked_sub(right),
        Arithmetic::Times => left.checked_mul(right),
        Arithmetic::Divide => left.checked_div(right),
        // The least integer divided by -1 leaves nothing, though the quotient is out of range.
        Arithmetic::Modulo if right == -1 => Some(0),
        Arithmetic::Modulo => left.checked_rem(right),
    };
    fits(result, width)
}

fn param<V: Values>(number: usize, values: &V) -> Outcome {
    let unclear = Outcome::Unclear(Some(number));
    let Some(param) = values.param(number) else { return Outcome::Invalid };
    let width = match param.type_oid {
        0 | oid::UNKNOWN => 0,
        oid::INT2 => 2,
        oid::INT4 => 4,
        oid::INT8 => 8,
        _ => return unclear,
    };
    let Some(bytes) = param.value else { return Outcome::Null };
    let read = match param.format {
        0 => match int8::from_text(bytes) {
            Int8Text::Value(value) => Some(value),
            Int8Text::OutOfRange | Int8Text::Invalid => None,
            Int8Text::Unclear => return unclear,
        },
        _ => int8::from_binary(if width == 0 { 0 } else { param.type_oid }, bytes),
    };
    match read {
        Some(value) if width != 0 => fits(Some(value), width),
        Some(value) => Outcome::Integer(value, 0),
        None => Outcome::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::bind::Param;

    struct Fixed(&'static [u8], u32, i16);

    impl Values for Fixed {
        fn literal(&self, _: usize) -> Option<&[u8]> {
            Some(self.0)
        }
        fn param(&self, _: usize) -> Option<Param<'_>> {
            Some(Param { type_oid: self.1, format: self.2, value: Some(self.0) })
        }
    }

    fn op(operator: Arithmetic, left: Computed, right: Computed) -> Computed {
        Computed::Binary(operator, Box::new(left), Box::new(right))
    }

    #[test]
    fn arithmetic_keeps_to_the_wider_type() {
        use Arithmetic::{Divide, Minus, Modulo, Plus, Times};
        let fixed = Computed::Fixed;
        let values = Fixed(b"5", 0, 0);
        for (computed, expected) in [
            (op(Plus, fixed(1), fixed(2)), Outcome::Integer(3, 4)),
            (op(Plus, fixed(2_147_483_647), fixed(1)), Outcome::Invalid),
            (op(Plus, fixed(2_147_483_648), fixed(1)), Outcome::Integer(2_147_483_649, 8)),
            (op(Times, fixed(i64::MAX), fixed(2)), Outcome::Invalid),
            (op(Divide, Computed::Negated(Box::new(fixed(7))), fixed(2)), Outcome::Integer(-3, 4)),
            (op(Modulo, Computed::Negated(Box::new(fixed(7))), fixed(4)), Outcome::Integer(-3, 4)),
            (op(Divide, fixed(7), fixed(0)), Outcome::Invalid),
            (op(Minus, Computed::Param(1), fixed(2)), Outcome::Integer(3, 4)),
            (Computed::Cast(Box::new(fixed(40_000)), 2), Outcome::Invalid),
            (op(Plus, Computed::Cast(Box::new(fixed(3)), 2), Computed::Literal(0)), Outcome::Integer(8, 4)),
        ] {
            assert_eq!(value(&computed, &values), expected, "{computed:?}");
        }
        let wide = Fixed(b"3000000000", 0, 0);
        assert_eq!(value(&op(Plus, Computed::Param(1), fixed(1)), &wide), Outcome::Invalid);
        let declared = Fixed(b"3000000000", oid::INT8, 0);
        assert_eq!(
            value(&op(Plus, Computed::Param(1), fixed(1)), &declared),
            Outcome::Integer(3_000_000_001, 8)
        );
        let numeric = Fixed(b"3", oid::NUMERIC, 0);
        assert_eq!(value(&op(Plus, Computed::Param(1), fixed(1)), &numeric), Outcome::Unclear(Some(1)));
    }
}
