//! What a server reports of its settings (ParameterStatus), as interned values.
//!
//! A client must be told a parameter's new value before it sees anything that depends on it, also
//! when the value differs only because the client moved to another server connection.

use crate::protocol::write;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Reported parameters: name to value, as bytes.
#[derive(Debug, Default, PartialEq, Eq, Hash, Clone)]
pub struct Parameters {
    values: BTreeMap<Box<[u8]>, Box<[u8]>>,
}

impl Parameters {
    /// From the ParameterStatus messages of a login.
    pub fn from_login(list: impl IntoIterator<Item = (Box<[u8]>, Box<[u8]>)>) -> Self {
        Parameters { values: list.into_iter().collect() }
    }

    /// A copy with one value changed.
    #[must_use]
    pub fn with(&self, name: &[u8], value: &[u8]) -> Self {
        let mut values = self.values.clone();
        values.insert(name.into(), value.into());
        Parameters { values }
    }

    /// The value of one parameter.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.values.get(name).map(AsRef::as_ref)
    }

    /// Whether string literals treat backslashes as plain characters.
    pub fn standard_conforming_strings(&self) -> bool {
        self.get(b"standard_conforming_strings") != Some(b"off")
    }

    /// Writes ParameterStatus for every parameter.
    pub fn write_all(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.values {
            write::parameter_status(out, name, value);
        }
    }

    /// Writes ParameterStatus for what differs from `known`.
    pub fn write_changes(&self, known: &Parameters, out: &mut Vec<u8>) {
        for (name, value) in &self.values {
            if known.values.get(name) != Some(value) {
                write::parameter_status(out, name, value);
            }
        }
    }
}

/// Gives equal parameters one allocation; locked only when a server reports a change.
#[derive(Debug, Default)]
pub struct Interner {
    known: Mutex<HashSet<Arc<Parameters>>>,
}

impl Interner {
    /// The one allocation for these contents.
    pub fn intern(&self, parameters: Parameters) -> Arc<Parameters> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&parameters) {
            return Arc::clone(found);
        }
        if known.len() > 1024 {
            known.retain(|entry| Arc::strong_count(entry) > 1);
        }
        let fresh = Arc::new(parameters);
        known.insert(Arc::clone(&fresh));
        fresh
    }
}
