//! One database's OIDs of user-defined types and tables as another's, by qualified name; also where they stand inside
//! binary values. An OID takes four bytes on either side: values are changed in place.
//!
//! Source of the binary formats: PostgreSQL 15, `array_send`, `record_send`, `range_send`, `multirange_send`.

use super::{Catalog, TypeKind};
use crate::datum::oid;
use std::collections::HashMap;

/// OIDs below are Postgres's own, the same everywhere.
const FIRST_USER_OID: u32 = 16_384;

/// Deepest nesting of values that is looked into.
const DEPTH_MAX: usize = 32;

/// From one database's OIDs to another's, and what values of the first are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OidMap {
    types: HashMap<u32, u32>,
    relations: HashMap<u32, u32>,
    nested: HashMap<u32, Nested>,
}

/// A shard's OIDs and the home shard's, both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oids {
    /// From the shard's to the home shard's.
    pub outward: OidMap,
    /// From the home shard's to the shard's.
    pub inward: OidMap,
}

impl Oids {
    /// `None` where the two have the same.
    pub fn of(shard: &Catalog, home: &Catalog) -> Option<Oids> {
        let outward = OidMap::new(shard, home);
        (!outward.is_identity()).then(|| Oids { outward, inward: OidMap::new(home, shard) })
    }
}

/// A type whose binary values hold OIDs, or hold values that do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nested {
    Array,
    Record,
    /// A domain over this type.
    Domain(u32),
    /// A range over this type.
    Range(u32),
    /// A multirange of this range type.
    Multirange(u32),
}

impl OidMap {
    /// From `from`'s OIDs to `to`'s. What `to` lacks keeps its OID.
    pub fn new(from: &Catalog, to: &Catalog) -> OidMap {
        let mut map = OidMap::default();
        for one in from.types() {
            let nested = match &one.kind {
                TypeKind::Composite(_) | TypeKind::Row(_) => Some(Nested::Record),
                TypeKind::Domain { base, .. } => Some(Nested::Domain(*base)),
                TypeKind::Range(inner) => Some(Nested::Range(*inner)),
                TypeKind::Multirange(range) => Some(Nested::Multirange(*range)),
                TypeKind::Base | TypeKind::Enum(_) | TypeKind::Pseudo => None,
            };
            map.nested.extend(nested.map(|nested| (one.oid, nested)));
            if one.array != 0 {
                map.nested.insert(one.array, Nested::Array);
            }
            let Some(other) = to.type_named(&one.schema, &one.name) else { continue };
            map.types.insert(one.oid, other.oid);
            if one.array != 0 && other.array != 0 {
                map.types.insert(one.array, other.array);
            }
        }
        map.nested.insert(oid::RECORD, Nested::Record);
        map.nested.insert(oid::RECORD_ARRAY, Nested::Array);
        for relation in from.relations() {
            if let Some(other) = to.relation(&relation.schema, &relation.name) {
                map.relations.insert(relation.oid, other.oid);
            }
        }
        map
    }

    /// Whether nothing is another.
    pub fn is_identity(&self) -> bool {
        self.types.iter().chain(&self.relations).all(|(from, to)| from == to)
    }

    /// The other database's OID of a type.
    pub fn type_oid(&self, oid: u32) -> u32 {
        if oid < FIRST_USER_OID { oid } else { self.types.get(&oid).copied().unwrap_or(oid) }
    }

    /// The other database's OID of a table.
    pub fn relation_oid(&self, oid: u32) -> u32 {
        if oid < FIRST_USER_OID { oid } else { self.relations.get(&oid).copied().unwrap_or(oid) }
    }

    /// Whether binary values of a type (of the first database) may hold OIDs.
    pub fn is_nested(&self, oid: u32) -> bool {
        self.kind(oid, DEPTH_MAX).is_some()
    }

    /// What a value is to be looked at as: domains are what they are over, and a range is of interest where its bounds
    /// are.
    fn kind(&self, oid: u32, depth: usize) -> Option<Nested> {
        let depth = depth.checked_sub(1)?;
        match self.nested.get(&oid).copied()? {
            Nested::Domain(base) => self.kind(base, depth),
            range @ Nested::Range(inner) => self.kind(inner, depth).map(|_| range),
            multirange @ Nested::Multirange(range) => self.kind(range, depth).map(|_| multirange),
            own @ (Nested::Array | Nested::Record) => Some(own),
        }
    }

    /// Changes the OIDs in a binary value of a type (of the first database). What does not look like a value of the
    /// type stays as it is: whoever reads it will say so.
    pub fn value(&self, oid: u32, value: &mut [u8]) {
        // What is found to be malformed on the way needs nothing more.
        let _looked_at = self.value_within(oid, value, DEPTH_MAX);
    }

    fn value_within(&self, oid: u32, value: &mut [u8], depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match self.kind(oid, DEPTH_MAX) {
            None | Some(Nested::Domain(_)) => Some(()),
            Some(Nested::Array) => self.array(value, depth),
            Some(Nested::Record) => self.record(value, depth),
            Some(Nested::Range(inner)) => self.range(inner, value, depth),
            Some(Nested::Multirange(range)) => {
                let count = get_u32(value, 0)?;
                let mut at = 4;
                for _ in 0..count {
                    at = self.part(range, value, at, depth)?;
                }
                Some(())
            }
        }
    }

    /// Dimensions, flags, the elements' type; for each dimension its length and lower bound; the elements.
    fn array(&self, value: &mut [u8], depth: usize) -> Option<()> {
        let dimensions = usize::try_from(get_u32(value, 0)?).ok().filter(|count| *count <= 6)?;
        let element = get_u32(value, 8)?;
        put_u32(value, 8, self.type_oid(element))?;
        if !self.is_nested(element) {
            return Some(());
        }
        let mut count = usize::from(dimensions > 0);
        for dimension in 0..dimensions {
            count = count.checked_mul(usize::try_from(get_u32(value, 12 + 8 * dimension)?).ok()?)?;
        }
        let mut at = 12 + 8 * dimensions;
        for _ in 0..count {
            at = self.part(element, value, at, depth)?;
        }
        Some(())
    }

    /// The number of attributes; of each its type, and the value.
    fn record(&self, value: &mut [u8], depth: usize) -> Option<()> {
        let count = get_u32(value, 0)?;
        let mut at = 4;
        for _ in 0..count {
            let oid = get_u32(value, at)?;
            put_u32(value, at, self.type_oid(oid))?;
            at = self.part(oid, value, at + 4, depth)?;
        }
        Some(())
    }

    /// Flags (1 empty, 8 and 16 no lower and upper bound), and the bounds that there are.
    fn range(&self, inner: u32, value: &mut [u8], depth: usize) -> Option<()> {
        let flags = *value.first()?;
        if flags & 1 != 0 {
            return Some(());
        }
        let mut at = 1;
        for without in [8, 16] {
            if flags & without == 0 {
                at = self.part(inner, value, at, depth)?;
            }
        }
        Some(())
    }

    /// A length (-1 for NULL) and a value; where the next one starts.
    fn part(&self, oid: u32, value: &mut [u8], at: usize, depth: usize) -> Option<usize> {
        let start = at + 4;
        let Ok(len) = usize::try_from(get_u32(value, at)? as i32) else { return Some(start) };
        let end = start.checked_add(len)?;
        self.value_within(oid, value.get_mut(start..end)?, depth)?;
        Some(end)
    }
}

fn get_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) -> Option<()> {
    bytes.get_mut(at..at.checked_add(4)?)?.copy_from_slice(&value.to_be_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOOD: u32 = 20_000;
    const MOODS: u32 = 20_001;
    const PAIR: u32 = 20_002;
    const PAIRS: u32 = 20_003;
    const NAMED: u32 = 20_004;
    const SPAN: u32 = 20_005;

    /// Every type 100 further on the other side.
    fn map() -> OidMap {
        let all = [MOOD, MOODS, PAIR, PAIRS, NAMED, SPAN];
        OidMap {
            types: all.into_iter().map(|oid| (oid, oid + 100)).collect(),
            relations: HashMap::from([(30_000, 30_100)]),
            nested: HashMap::from([
                (MOODS, Nested::Array),
                (PAIR, Nested::Record),
                (PAIRS, Nested::Array),
                (NAMED, Nested::Domain(PAIRS)),
                (SPAN, Nested::Range(PAIR)),
                (oid::RECORD, Nested::Record),
            ]),
        }
    }

    fn sized(value: &[u8]) -> Vec<u8> {
        [&u32::try_from(value.len()).unwrap().to_be_bytes()[..], value].concat()
    }

    fn array(element: u32, values: &[&[u8]]) -> Vec<u8> {
        let count = u32::try_from(values.len()).unwrap();
        let head = [1, 0, element, count, 1].map(u32::to_be_bytes).concat();
        [head, values.iter().flat_map(|value| sized(value)).collect()].concat()
    }

    fn record(attributes: &[(u32, &[u8])]) -> Vec<u8> {
        let mut out = u32::try_from(attributes.len()).unwrap().to_be_bytes().to_vec();
        for (oid, value) in attributes {
            out.extend_from_slice(&oid.to_be_bytes());
            out.extend(sized(value));
        }
        out
    }

    fn changed(oid: u32, value: &[u8]) -> Vec<u8> {
        let mut value = value.to_vec();
        map().value(oid, &mut value);
        value
    }

    #[test]
    fn oids_stand_in_arrays_and_records_however_deep() {
        assert_eq!(changed(MOODS, &array(MOOD, &[b"ok", b"bad"])), array(MOOD + 100, &[b"ok", b"bad"]));
        let pair = |offset| record(&[(MOOD + offset, b"ok"), (23, &[0, 0, 0, 7])]);
        assert_eq!(changed(PAIR, &pair(0)), pair(100));
        assert_eq!(
            changed(PAIRS, &array(PAIR, &[&pair(0), &pair(0)])),
            array(PAIR + 100, &[&pair(100), &pair(100)])
        );
        assert_eq!(changed(NAMED, &array(PAIR, &[&pair(0)])), array(PAIR + 100, &[&pair(100)]));
        let row = |offset| record(&[(PAIRS + offset, &array(PAIR + offset, &[&pair(offset)])), (25, b"x")]);
        assert_eq!(changed(oid::RECORD, &row(0)), row(100));
        let span = |offset| [&[2][..], &sized(&pair(offset)), &sized(&pair(offset))].concat();
        assert_eq!(changed(SPAN, &span(0)), span(100));
        assert_eq!(changed(SPAN, &[1]), [1]);
    }

    #[test]
    fn nulls_empty_arrays_and_other_types_stay() {
        let empty = [0, 0, MOOD].map(u32::to_be_bytes).concat();
        assert_eq!(changed(MOODS, &empty), [0, 0, MOOD + 100].map(u32::to_be_bytes).concat());
        let null = [1, MOOD, u32::MAX].map(u32::to_be_bytes).concat();
        assert_eq!(changed(PAIR, &null), [1, MOOD + 100, u32::MAX].map(u32::to_be_bytes).concat());
        let ints = array(23, &[&[0, 0, 0, 1]]);
        assert_eq!(changed(1007, &ints), ints);
        assert_eq!(changed(MOOD, b"ok"), b"ok");
    }

    #[test]
    fn malformed_values_do_no_harm() {
        let whole = array(PAIR, &[&record(&[(MOOD, b"ok")])]);
        for len in 0..whole.len() {
            let cut = whole.get(..len).unwrap();
            assert_eq!(changed(PAIRS, cut).len(), len);
        }
        let huge = [6, 0, PAIR, u32::MAX, 0, u32::MAX, 0, u32::MAX, 0].map(u32::to_be_bytes).concat();
        assert_eq!(changed(PAIRS, &huge).len(), huge.len());
        // A type that is made of itself.
        let mut endless = map();
        endless.nested.insert(NAMED, Nested::Domain(NAMED));
        assert!(!endless.is_nested(NAMED));
    }
}
