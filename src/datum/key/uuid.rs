//! Reading a uuid's text as `uuid_in` does.

use super::read::Reading;

/// Reads all the spellings that Postgres reads: 32 hexadecimal digits, a hyphen behind any four of them,
/// braces around all.
///
/// Source: PostgreSQL 15, `string_to_uuid` in `src/backend/utils/adt/uuid.c`.
pub(super) fn from_text(text: &[u8]) -> Reading<[u8; 16]> {
    read(text).map_or(Reading::Invalid, Reading::Value)
}

fn read(text: &[u8]) -> Option<[u8; 16]> {
    let mut rest = match text {
        [b'{', inner @ .., b'}'] => inner,
        text => text,
    };
    let mut uuid = [0; 16];
    for (number, byte) in uuid.iter_mut().enumerate() {
        let [high, low, behind @ ..] = rest else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        *byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
        rest = match behind {
            [b'-', behind @ ..] if number % 2 == 1 && number < 15 => behind,
            behind => behind,
        };
    }
    rest.is_empty().then_some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read_and_nothing_else() {
        let expected: [u8; 16] = std::array::from_fn(|i| (i * 17) as u8);
        for text in [
            "00112233-4455-6677-8899-aabbccddeeff",
            "00112233445566778899AABBCCDDEEFF",
            "{00112233-4455-6677-8899-aabbccddeeff}",
            "0011-2233-4455-6677-8899-aabb-ccdd-eeff",
            "{0011223344556677-8899aabbccdd-eeff}",
        ] {
            assert_eq!(from_text(text.as_bytes()), Reading::Value(expected), "{text}");
        }
        for text in [
            "",
            "00112233-4455-6677-8899-aabbccddeef",
            "00112233-4455-6677-8899-aabbccddeefff",
            "00112233-4455-6677-8899-aabbccddeeff-",
            "001-12233445566778899aabbccddeeff",
            "{00112233445566778899aabbccddeeff",
            "00112233445566778899aabbccddeeff}",
            " 00112233445566778899aabbccddeeff",
            "g0112233445566778899aabbccddeeff",
            "0011--2233-4455-6677-8899-aabbccddeeff",
        ] {
            assert_eq!(from_text(text.as_bytes()), Reading::Invalid, "{text}");
        }
    }
}
