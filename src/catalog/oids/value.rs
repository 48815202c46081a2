//! The type OIDs inside binary values. They have a fixed length: a value is rewritten in place.
//!
//! A value that is not shaped as its type says is left as it is from there on: a client's is refused by the
//! server, which checks it.
//!
//! Source: PostgreSQL 15, `array_send` (arrayfuncs.c), `record_send` (rowtypes.c), `range_send`
//! (rangetypes.c), `multirange_send` (multirangetypes.c).

use super::{Shape, Side};

/// Values nest no deeper.
const DEPTH_MAX: usize = 64;

/// Flags of a range that has no lower, or no upper, bound to send.
///
/// Source: PostgreSQL 15, `src/include/utils/rangetypes.h`.
const EMPTY: u8 = 0x01;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;
const LOWER_NULL: u8 = 0x20;
const UPPER_NULL: u8 = 0x40;

impl Side {
    /// Rewrites the OIDs in a value of a type.
    pub(super) fn rewrite(&self, oid: u32, value: &mut [u8]) {
        let _malformed = self.value(oid, value, 0);
    }

    /// `None`: it is not shaped as the type says.
    fn value(&self, oid: u32, value: &mut [u8], depth: usize) -> Option<()> {
        if depth > DEPTH_MAX || !self.names_types(oid) {
            return Some(());
        }
        match self.shape(oid)? {
            Shape::Domain(base) => self.value(base, value, depth + 1),
            Shape::Array(element) => self.array(element, value, depth),
            Shape::Composite => self.composite(value, depth),
            Shape::Range(inner) => self.range(inner, value, depth),
            Shape::Multirange(range) => {
                let mut rest = value;
                for _ in 0..take_u32(&mut rest)? {
                    self.part(range, &mut rest, depth)?;
                }
                Some(())
            }
        }
    }

    fn array(&self, element: u32, value: &mut [u8], depth: usize) -> Option<()> {
        let mut rest = value;
        let dimensions = take_u32(&mut rest)?;
        let _flags = take_u32(&mut rest)?;
        self.oid(&mut rest)?;
        for _ in 0..dimensions {
            let (_length, _lower_bound) = (take_u32(&mut rest)?, take_u32(&mut rest)?);
        }
        if !self.names_types(element) {
            return Some(());
        }
        while !rest.is_empty() {
            self.part(element, &mut rest, depth)?;
        }
        Some(())
    }

    fn composite(&self, value: &mut [u8], depth: usize) -> Option<()> {
        let mut rest = value;
        for _ in 0..take_u32(&mut rest)? {
            let oid = self.oid(&mut rest)?;
            self.part(oid, &mut rest, depth)?;
        }
        Some(())
    }

    fn range(&self, inner: u32, value: &mut [u8], depth: usize) -> Option<()> {
        let mut rest = value;
        let flags = *take(&mut rest, 1)?.first()?;
        if flags & EMPTY != 0 {
            return Some(());
        }
        for absent in [LOWER_INFINITE | LOWER_NULL, UPPER_INFINITE | UPPER_NULL] {
            if flags & absent == 0 {
                self.part(inner, &mut rest, depth)?;
            }
        }
        Some(())
    }

    /// A length and a value of that length; -1 is NULL.
    fn part(&self, oid: u32, rest: &mut &mut [u8], depth: usize) -> Option<()> {
        let length = take_u32(rest)?;
        if length == u32::MAX {
            return Some(());
        }
        let part = take(rest, usize::try_from(length).ok()?)?;
        self.value(oid, part, depth + 1)
    }

    /// Rewrites an OID; what it was.
    fn oid(&self, rest: &mut &mut [u8]) -> Option<u32> {
        let place = take(rest, 4)?;
        let oid = u32::from_be_bytes((&*place).try_into().ok()?);
        place.copy_from_slice(&self.translated(oid).to_be_bytes());
        Some(oid)
    }
}

fn take<'a>(rest: &mut &'a mut [u8], count: usize) -> Option<&'a mut [u8]> {
    let (taken, behind) = std::mem::take(rest).split_at_mut_checked(count)?;
    *rest = behind;
    Some(taken)
}

fn take_u32(rest: &mut &mut [u8]) -> Option<u32> {
    let taken = take(rest, 4)?;
    Some(u32::from_be_bytes((&*taken).try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn side() -> Side {
        Side {
            types: HashMap::from([(20_001, 30_001), (20_002, 30_002), (20_003, 30_003), (20_004, 30_004)]),
            // 1 is an enum, 2 its array, 3 a composite with a field of type 2, 4 an array of 3, 5 a domain over 4.
            shapes: HashMap::from([
                (20_002, Shape::Array(20_001)),
                (20_003, Shape::Composite),
                (20_004, Shape::Array(20_003)),
                (20_005, Shape::Domain(20_004)),
                (20_006, Shape::Range(20_003)),
                (20_007, Shape::Multirange(20_006)),
            ]),
            missing: 705,
        }
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn with_length(value: Vec<u8>) -> Vec<u8> {
        [u32::try_from(value.len()).unwrap().to_be_bytes().to_vec(), value].concat()
    }

    fn enums(oid: u32) -> Vec<u8> {
        [words(&[1, 0, oid, 2, 1]), with_length(b"up".to_vec()), words(&[u32::MAX])].concat()
    }

    fn composite(oids: [u32; 3]) -> Vec<u8> {
        let [number, list, unknown] = oids;
        [
            words(&[3, number, 4, 7, list]),
            with_length(enums(if list == 20_002 { 20_001 } else { 30_001 })),
            words(&[unknown, u32::MAX]),
        ]
        .concat()
    }

    fn composites(oid: u32, fields: [u32; 3]) -> Vec<u8> {
        [words(&[1, 0, oid, 1, 1]), with_length(composite(fields))].concat()
    }

    #[test]
    fn oids_are_rewritten_at_every_depth() {
        let (before, after) = ([23, 20_002, 29_999], [23, 30_002, 705]);
        for (oid, mut value, expected) in [
            (20_001, b"up".to_vec(), b"up".to_vec()),
            (20_002, enums(20_001), enums(30_001)),
            (20_003, composite(before), composite(after)),
            (2249, composite(before), composite(after)),
            (20_004, composites(20_003, before), composites(30_003, after)),
            (20_005, composites(20_003, before), composites(30_003, after)),
            (
                20_006,
                [vec![0x10], with_length(composite(before))].concat(),
                [vec![0x10], with_length(composite(after))].concat(),
            ),
            (
                20_007,
                [words(&[1]), with_length([vec![0x08], with_length(composite(before))].concat())].concat(),
                [words(&[1]), with_length([vec![0x08], with_length(composite(after))].concat())].concat(),
            ),
            (1007, words(&[1, 0, 23, 1, 1, 4, 5]), words(&[1, 0, 23, 1, 1, 4, 5])),
            (20_002, words(&[0, 0, 20_001]), words(&[0, 0, 30_001])),
        ] {
            side().rewrite(oid, &mut value);
            assert_eq!(value, expected, "{oid}");
        }
    }

    #[test]
    fn malformed_values_do_no_harm() {
        let whole = composites(20_003, [23, 20_002, 29_999]);
        for cut in 0..whole.len() {
            side().rewrite(20_004, &mut whole[..cut].to_vec());
            let mut wild = whole.clone();
            wild[cut] = 0xff;
            side().rewrite(20_004, &mut wild);
        }
    }
}
