//! What runs user functions that are neither IMMUTABLE nor trusted without naming them: casts, operators
//! and comparisons of types that a statement uses.
//!
//! A cast or comparison is not written where it happens, so it is looked for at the types: whatever has a
//! value of such a type may run the function.

use super::{Catalog, Type, TypeKind};
use std::collections::{BTreeMap, BTreeSet};

/// OIDs below are Postgres's own.
const FIRST_USER_OID: u32 = 16384;

/// Operators that Postgres applies without their being written: IN, BETWEEN, USING, CASE, DISTINCT, LIKE
/// and their kin look them up by these names.
const UNWRITTEN: [&str; 10] = ["=", "<>", "<", "<=", ">", ">=", "~~", "!~~", "~~*", "!~~*"];

/// Functions, as `schema.name`.
type Functions = BTreeSet<String>;

/// Operators, types and their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Impure {
    operators: BTreeSet<String>,
    /// Types whose values may be cast or compared by a function, by OID.
    used: BTreeMap<u32, Functions>,
    /// Names of types of which a value may be made, cast or compared by a function.
    names: BTreeMap<String, Functions>,
    anything: Functions,
}

impl Impure {
    pub(super) fn is_operator(&self, name: &str) -> bool {
        self.operators.contains(name)
    }

    pub(super) fn used_type(&self, oid: u32) -> impl Iterator<Item = &str> {
        self.used.get(&oid).into_iter().flatten().map(String::as_str)
    }

    pub(super) fn type_name(&self, name: &str) -> impl Iterator<Item = &str> {
        self.names.get(name).into_iter().flatten().map(String::as_str)
    }

    pub(super) fn anything(&self) -> impl Iterator<Item = &str> {
        self.anything.iter().map(String::as_str)
    }

    /// An operator that runs the function.
    pub(super) fn operator(&mut self, name: &str, operands: [u32; 2], function: &str) {
        self.operators.insert(name.to_owned());
        if UNWRITTEN.contains(&name) {
            self.between(operands, function);
        }
    }

    /// An index's comparison, by which values of the type are sorted or grouped.
    pub(super) fn compares(&mut self, oid: u32, function: &str) {
        self.between([oid, oid], function);
    }

    /// The function runs where values of the types meet: wherever the types of users among them are used.
    fn between(&mut self, types: [u32; 2], function: &str) {
        let mut of_users = types.into_iter().filter(|oid| *oid >= FIRST_USER_OID).peekable();
        if of_users.peek().is_none() {
            self.anything.insert(function.to_owned());
        }
        for oid in of_users {
            self.used.entry(oid).or_default().insert(function.to_owned());
        }
    }
}

impl Catalog {
    /// Follows casts and types to all that contain them; to be called once all rows are read.
    pub(super) fn finish_impure(&mut self) {
        let mut impure = std::mem::take(&mut self.impure);
        for cast in &self.casts {
            impure.between([cast.source, cast.target], &cast.function);
        }
        // Until nothing new is found: types are made of types, at few levels.
        loop {
            let mut is_changed = false;
            for one in self.types.iter() {
                let parts = self.parts(one, &impure.used);
                if !parts.is_empty() {
                    let known = impure.used.entry(one.oid).or_default();
                    let before = known.len();
                    known.extend(parts);
                    is_changed |= known.len() > before;
                }
            }
            if !is_changed {
                break;
            }
        }
        for one in self.types.iter() {
            let used = impure.used.get(&one.oid).into_iter().flatten();
            let functions: Functions = used.chain(&one.calls).cloned().collect();
            // A table's row type has the table's name; its columns are looked at where it is used.
            if !functions.is_empty() && !matches!(one.kind, TypeKind::Row(_)) {
                impure.names.entry(one.name.clone()).or_default().extend(functions);
            }
            if let Some(functions) = impure.used.get(&one.oid).filter(|_| one.array != 0).cloned() {
                impure.used.insert(one.array, functions);
            }
        }
        self.impure = impure;
        self.finish_functions();
    }

    /// The functions that the parts of a type bring along.
    fn parts(&self, one: &Type, used: &BTreeMap<u32, Functions>) -> Functions {
        let mut found = Functions::new();
        let mut part = |oid: u32| {
            let element = self.types.element(oid).unwrap_or(oid);
            found.extend(used.get(&element).into_iter().flatten().cloned());
        };
        match &one.kind {
            TypeKind::Domain { base, .. } => part(*base),
            TypeKind::Range(of) | TypeKind::Multirange(of) => part(*of),
            TypeKind::Composite(attributes) => {
                attributes.iter().for_each(|attribute| part(attribute.type_oid))
            }
            TypeKind::Row(relation) => {
                let columns = self.relations.get(relation).into_iter().flat_map(|relation| &relation.columns);
                columns.for_each(|column| part(column.declared_type));
            }
            TypeKind::Base | TypeKind::Enum(_) | TypeKind::Pseudo => {}
        }
        found
    }

    /// A function whose arguments or result are of such types is called with casts of them.
    fn finish_functions(&mut self) {
        for functions in self.functions.values_mut() {
            for function in functions.iter_mut() {
                let types = function.arguments.iter().chain([&function.result]);
                if types.into_iter().any(|oid| self.impure.used.contains_key(oid)) && !function.is_trusted {
                    function.is_pure = false;
                    if let Some(name) = self.function_names.get_mut(&function.name) {
                        name.is_pure = false;
                    }
                }
            }
        }
    }
}
