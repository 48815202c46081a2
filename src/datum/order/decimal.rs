//! The order of numerics, of any length.
//!
//! A class, then of a finite number other than 0 the place of its first digit and its digits, two to a
//! byte, without zeros at either end; all but the class inverted where it is negative.
//!
//! Source: PostgreSQL 15, `cmp_numerics` and `numeric_send` in `src/backend/utils/adt/numeric.c`.

const NEGATIVE_INFINITY: u8 = 0;
const NEGATIVE: u8 = 1;
const ZERO: u8 = 2;
const POSITIVE: u8 = 3;
const INFINITY: u8 = 4;
const NAN: u8 = 5;

/// `numeric_out`.
pub(super) fn from_text(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (is_negative, number) = match text {
        b"NaN" => return special(NAN, out),
        b"Infinity" => return special(INFINITY, out),
        b"-Infinity" => return special(NEGATIVE_INFINITY, out),
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (whole, fraction) = match memchr::memchr(b'.', number) {
        Some(at) => (number.get(..at)?, number.get(at + 1..)?),
        None => (number, &[][..]),
    };
    if whole.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    let digits = whole.iter().chain(fraction).map(|byte| byte - b'0');
    put(is_negative, whole.len(), digits, out)
}

/// `numeric_send`.
pub(super) fn from_binary(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (words, rest) = bytes.as_chunks::<2>();
    let [count, weight, sign, _scale, groups @ ..] = words else { return None };
    if !rest.is_empty() || groups.len() != usize::from(u16::from_be_bytes(*count)) {
        return None;
    }
    let is_negative = match u16::from_be_bytes(*sign) {
        0x0000 => false,
        0x4000 => true,
        0xC000 => return special(NAN, out),
        0xD000 => return special(INFINITY, out),
        0xF000 => return special(NEGATIVE_INFINITY, out),
        _ => return None,
    };
    let weight = i64::from(i16::from_be_bytes(*weight));
    let digits = groups.iter().flat_map(|group| {
        let group = u16::from_be_bytes(*group);
        [group / 1000, group / 100 % 10, group / 10 % 10, group % 10].map(|digit| digit as u8)
    });
    if groups.iter().any(|group| u16::from_be_bytes(*group) > 9999) {
        return None;
    }
    put_digits(is_negative, (weight + 1) * 4, digits, out)
}

fn special(class: u8, out: &mut Vec<u8>) -> Option<()> {
    out.push(class);
    Some(())
}

fn put(is_negative: bool, whole: usize, digits: impl Iterator<Item = u8>, out: &mut Vec<u8>) -> Option<()> {
    put_digits(is_negative, i64::try_from(whole).ok()?, digits, out)
}

/// `whole`: how many of the digits stand before the point; negative where zeros stand between it and them.
fn put_digits(
    is_negative: bool,
    whole: i64,
    digits: impl Iterator<Item = u8>,
    out: &mut Vec<u8>,
) -> Option<()> {
    let start = out.len();
    out.push(if is_negative { NEGATIVE } else { POSITIVE });
    let mut place = whole;
    let mut high = None;
    let mut has_digits = false;
    // Where the bytes of the last digit other than 0 end: zeros behind it are none of the value's.
    let mut end = out.len();
    for digit in digits {
        if !has_digits {
            if digit == 0 {
                place -= 1;
                continue;
            }
            has_digits = true;
            let place = i32::try_from(place).ok()?;
            out.extend_from_slice(&((place as u32) ^ (1 << 31)).to_be_bytes());
        }
        match high.take() {
            None => high = Some(digit),
            Some(high) => {
                out.push(high * 10 + digit + 1);
                if high != 0 || digit != 0 {
                    end = out.len();
                }
            }
        }
    }
    if !has_digits {
        out.truncate(start);
        return special(ZERO, out);
    }
    match high {
        Some(high) if high != 0 => out.push(high * 10 + 1),
        _ => out.truncate(end),
    }
    out.push(0);
    if is_negative {
        for byte in out.get_mut(start + 1..)? {
            *byte = !*byte;
        }
    }
    Some(())
}
