//! User-defined types of the catalog, and those of extensions.

use std::collections::BTreeMap;

/// A type that is not Postgres's own. Array types are not listed: [`Type::array`] names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// OID on the shard that the catalog was read from.
    pub oid: u32,
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// What it is made of.
    pub kind: TypeKind,
    /// OID of the array type over it; 0 where there is none.
    pub array: u32,
    /// The extension that it belongs to.
    pub extension: Option<String>,
    /// User functions called where a value becomes one of this type, by its or its parts' constraints and
    /// defaults, that are neither IMMUTABLE nor trusted.
    pub calls: Vec<String>,
}

/// What a type is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// Made in C, mostly by an extension.
    Base,
    /// An enum, with its labels in sort order.
    Enum(Vec<String>),
    /// A domain.
    Domain {
        /// The type below it, which may be a domain too.
        base: u32,
        /// The type modifier for the type below; -1 for none.
        typmod: i32,
        /// Whether it refuses NULL.
        is_not_null: bool,
    },
    /// A composite type of its own (`CREATE TYPE ... AS (...)`).
    Composite(Vec<Attribute>),
    /// The row type of this relation (its OID): its attributes are the relation's columns.
    Row(u32),
    /// A range over this type.
    Range(u32),
    /// The multirange of this range type.
    Multirange(u32),
    /// A pseudo-type, or a shell that was never filled.
    Pseudo,
}

/// An attribute of a composite type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Attribute number.
    pub number: i16,
    /// Name.
    pub name: String,
    /// Type.
    pub type_oid: u32,
}

/// The types of one database, by OID and by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Types {
    by_oid: BTreeMap<u32, Type>,
    /// From array type to element type.
    elements: BTreeMap<u32, u32>,
    /// OIDs in the order of name and schema.
    by_name: Vec<u32>,
}

impl Types {
    pub(super) fn insert(&mut self, one: Type) {
        if one.array != 0 {
            self.elements.insert(one.array, one.oid);
        }
        self.by_oid.insert(one.oid, one);
    }

    pub(super) fn get(&self, oid: u32) -> Option<&Type> {
        self.by_oid.get(&oid)
    }

    pub(super) fn get_mut(&mut self, oid: u32) -> Option<&mut Type> {
        self.by_oid.get_mut(&oid)
    }

    pub(super) fn element(&self, array: u32) -> Option<u32> {
        self.elements.get(&array).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Type> {
        self.by_oid.values()
    }

    pub(super) fn named(&self, schema: &str, name: &str) -> Option<&Type> {
        let key = |oid: &u32| self.by_oid.get(oid).map(|one| (one.name.as_str(), one.schema.as_str()));
        let at = self.by_name.binary_search_by(|oid| key(oid).cmp(&Some((name, schema)))).ok()?;
        self.by_oid.get(self.by_name.get(at)?)
    }

    /// To be called once all types are there.
    pub(super) fn finish(&mut self) {
        for one in self.by_oid.values_mut() {
            if let TypeKind::Composite(attributes) = &mut one.kind {
                attributes.sort_by_key(|attribute| attribute.number);
            }
            one.calls.sort_unstable();
        }
        let mut names: Vec<_> = self.by_oid.values().map(|one| (&one.name, &one.schema, one.oid)).collect();
        names.sort();
        self.by_name = names.into_iter().map(|(_, _, oid)| oid).collect();
    }
}
