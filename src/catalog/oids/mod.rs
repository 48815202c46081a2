//! OIDs of a shard's types and tables against those that clients see: the home shard's.
//!
//! Names tell which belong together. Postgres's own have the same OIDs everywhere and are not listed.

mod value;

use super::{Catalog, Type, TypeKind};
use std::collections::HashMap;

/// OIDs from here on are given by each server by itself.
///
/// Source: PostgreSQL 15, `FirstNormalObjectId` in `src/include/access/transam.h`.
const FIRST_OF_USERS: u32 = 16384;

/// The pseudo-type `unknown`: told for a type that only the shard has.
const UNKNOWN: u32 = 705;

/// No type has it: sent for a type that only the home shard has, so that the shard refuses it.
const NO_TYPE: u32 = u32::MAX;

/// `record` and `record[]`, which name the types of their fields.
const RECORD: u32 = 2249;
const RECORD_ARRAY: u32 = 2287;

/// OIDs of a shard and of the home shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidMap {
    to_home: Side,
    to_shard: Side,
    tables: HashMap<u32, u32>,
    is_needed: bool,
}

/// OIDs in one direction, and how values of the types that they come from are put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Side {
    types: HashMap<u32, u32>,
    shapes: HashMap<u32, Shape>,
    /// Told for a type that has no counterpart.
    missing: u32,
}

/// How binary values of a type carry OIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Of elements of this type, which it names.
    Array(u32),
    /// Of fields whose types it names.
    Composite,
    /// Bounds of this type.
    Range(u32),
    /// Ranges of this type.
    Multirange(u32),
    /// As this type.
    Domain(u32),
}

impl OidMap {
    /// The map from the catalogs of the home shard and of another.
    pub fn between(home: &Catalog, shard: &Catalog) -> OidMap {
        let mut to_home = Side::of(shard, UNKNOWN);
        let mut to_shard = Side::of(home, NO_TYPE);
        let mut pair = |mine: u32, theirs: u32| {
            if mine != 0 && theirs != 0 {
                to_home.types.insert(theirs, mine);
                to_shard.types.insert(mine, theirs);
            }
        };
        for theirs in shard.types() {
            if let Some(mine) = home.type_named(&theirs.schema, &theirs.name) {
                pair(mine.oid, theirs.oid);
                pair(mine.array, theirs.array);
            }
        }
        let theirs = shard.relations();
        let tables = theirs
            .filter_map(|theirs| Some((theirs.oid, home.relation(&theirs.schema, &theirs.name)?.oid)))
            .collect();
        let is_same = |oid: u32| oid == 0 || to_home.types.get(&oid) == Some(&oid);
        let is_other = |one: &Type| !(is_same(one.oid) && is_same(one.array));
        let is_needed = shard.types().filter(|one| !matches!(one.kind, TypeKind::Row(_))).any(is_other);
        OidMap { to_home, to_shard, tables, is_needed }
    }

    /// Whether any type, other than tables' row types, has another OID on the shard than on the home shard. If
    /// not, only descriptions of columns have to be translated: a table's row has fields of types that are
    /// the same everywhere.
    pub fn is_needed(&self) -> bool {
        self.is_needed
    }

    /// The shard's table, as clients see it; 0 where the home shard has none of that name.
    pub fn table_to_home(&self, oid: u32) -> u32 {
        if oid < FIRST_OF_USERS { oid } else { self.tables.get(&oid).copied().unwrap_or(0) }
    }

    /// The shard's type, as clients see it.
    pub fn type_to_home(&self, oid: u32) -> u32 {
        self.to_home.translated(oid)
    }

    /// A client's type, as the shard has it.
    pub fn type_to_shard(&self, oid: u32) -> u32 {
        self.to_shard.translated(oid)
    }

    /// Whether binary values of a type, by the shard's OID, name types.
    pub fn names_types_to_home(&self, oid: u32) -> bool {
        self.to_home.names_types(oid)
    }

    /// Likewise by a client's OID.
    pub fn names_types_to_shard(&self, oid: u32) -> bool {
        self.to_shard.names_types(oid)
    }

    /// Makes a shard's binary value of a type (the shard's OID) one for clients, in place.
    pub fn value_to_home(&self, oid: u32, value: &mut [u8]) {
        self.to_home.rewrite(oid, value);
    }

    /// Makes a client's binary value of a type (the client's OID) one for the shard, in place.
    pub fn value_to_shard(&self, oid: u32, value: &mut [u8]) {
        self.to_shard.rewrite(oid, value);
    }
}

impl Side {
    fn of(catalog: &Catalog, missing: u32) -> Side {
        let mut side = Side { missing, ..Side::default() };
        for one in catalog.types() {
            if one.array != 0 {
                side.shapes.insert(one.array, Shape::Array(one.oid));
            }
            let shape = match one.kind {
                TypeKind::Composite(_) | TypeKind::Row(_) => Shape::Composite,
                TypeKind::Domain { base, .. } => Shape::Domain(base),
                TypeKind::Range(inner) => Shape::Range(inner),
                TypeKind::Multirange(range) => Shape::Multirange(range),
                TypeKind::Base | TypeKind::Enum(_) | TypeKind::Pseudo => continue,
            };
            side.shapes.insert(one.oid, shape);
        }
        side
    }

    fn translated(&self, oid: u32) -> u32 {
        if oid < FIRST_OF_USERS { oid } else { self.types.get(&oid).copied().unwrap_or(self.missing) }
    }

    fn shape(&self, oid: u32) -> Option<Shape> {
        match oid {
            RECORD => Some(Shape::Composite),
            RECORD_ARRAY => Some(Shape::Array(RECORD)),
            _ if oid < FIRST_OF_USERS => None,
            _ => self.shapes.get(&oid).copied(),
        }
    }

    fn names_types(&self, oid: u32) -> bool {
        match self.shape(oid) {
            None => false,
            Some(Shape::Array(_) | Shape::Composite) => true,
            Some(Shape::Range(inner) | Shape::Multirange(inner) | Shape::Domain(inner)) => {
                self.names_types(inner)
            }
        }
    }
}
