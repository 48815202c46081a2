//! The order of what compares byte by byte.

/// Bytes that may hold zeros: each zero gets a one behind it, and two zeros end them.
pub(super) fn escaped(value: &[u8], out: &mut Vec<u8>) {
    for byte in value {
        out.push(*byte);
        if *byte == 0 {
            out.push(1);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

/// A text, which holds no zero.
pub(super) fn text(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if memchr::memchr(0, value).is_some() {
        return None;
    }
    out.extend_from_slice(value);
    out.push(0);
    Some(())
}

/// `byteaout`, in both styles of `bytea_output`.
pub(super) fn bytea_text(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut put = |byte: u8| {
        out.push(byte);
        if byte == 0 {
            out.push(1);
        }
    };
    if let [b'\\', b'x', digits @ ..] = value {
        let (pairs, rest) = digits.as_chunks::<2>();
        if !rest.is_empty() {
            return None;
        }
        for [high, low] in pairs {
            put(hex(*high)? << 4 | hex(*low)?);
        }
    } else {
        let mut rest = value;
        while let Some((byte, behind)) = rest.split_first() {
            rest = behind;
            match (byte, rest) {
                (b'\\', [b'\\', behind @ ..]) => {
                    put(b'\\');
                    rest = behind;
                }
                (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..]) => {
                    put((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                    rest = behind;
                }
                (b'\\', _) => return None,
                (byte, _) => put(*byte),
            }
        }
    }
    out.extend_from_slice(&[0, 0]);
    Some(())
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// `uuid_out`.
pub(super) fn uuid_text(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let value = <&[u8; 36]>::try_from(value).ok()?;
    let mut at = 0;
    for byte in 0..16 {
        if matches!(byte, 4 | 6 | 8 | 10) {
            if value.get(at) != Some(&b'-') {
                return None;
            }
            at += 1;
        }
        let (high, low) = (*value.get(at)?, *value.get(at + 1)?);
        out.push(hex(high)? << 4 | hex(low)?);
        at += 2;
    }
    Some(())
}

/// `bit_out`. Zeros and ones compare as the bits do: of two where one begins the other, the shorter is less.
pub(super) fn bits_text(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if !value.iter().all(|byte| matches!(byte, b'0' | b'1')) {
        return None;
    }
    out.extend_from_slice(value);
    out.push(0);
    Some(())
}

/// `bit_send`: the number of bits, and the bits from the highest on.
pub(super) fn bits_binary(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (len, bits) = value.split_first_chunk::<4>()?;
    let len = usize::try_from(i32::from_be_bytes(*len)).ok()?;
    if bits.len() != len.div_ceil(8) {
        return None;
    }
    out.extend(bits.iter().flat_map(|byte| (0..8).rev().map(move |bit| b'0' + (byte >> bit & 1))).take(len));
    out.push(0);
    Some(())
}

/// `charout` and `charsend`: the zero byte is an empty text, and from PostgreSQL 16 on those beyond ASCII
/// are written in octal.
pub(super) fn one_char(value: &[u8], is_binary: bool) -> Option<u8> {
    match (value, is_binary) {
        ([byte], _) => Some(*byte),
        ([], false) => Some(0),
        ([b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'], false) => {
            Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
        }
        _ => None,
    }
}
