//! A value, or a list of values, each with its place.

use super::At;
use schemars::JsonSchema;
use serde::de::{self, IntoDeserializer};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

/// One value or a list: `key = "a"` or `key = ["a", "b"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OneOrMore<T> {
    /// A value that is no list; its place is that of the whole.
    One(T),
    /// A list, perhaps empty.
    More(Vec<At<T>>),
}

impl<T> At<OneOrMore<T>> {
    /// The values with their places.
    pub fn values(&self) -> Vec<(&T, Range<usize>)> {
        match self.get() {
            OneOrMore::One(value) => vec![(value, self.span())],
            OneOrMore::More(values) => values.iter().map(|value| (value.get(), value.span())).collect(),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OneOrMore<T>, D::Error> {
        deserializer.deserialize_any(Visitor(PhantomData))
    }
}

/// Hands numbers and texts to `T`, and lists to [`At`]: an untagged enum would lose the places.
struct Visitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
    type Value = OneOrMore<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<OneOrMore<T>, E> {
        T::deserialize(value.into_deserializer()).map(OneOrMore::One)
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<OneOrMore<T>, E> {
        T::deserialize(value.into_deserializer()).map(OneOrMore::One)
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<OneOrMore<T>, E> {
        T::deserialize(value.into_deserializer()).map(OneOrMore::One)
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore<T>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(OneOrMore::More(values))
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMore<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMore{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = generator.subschema_for::<T>();
        schemars::json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Diagnostics, SourceText, read_toml};

    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct File {
        key: Option<At<OneOrMore<String>>>,
        number: Option<At<OneOrMore<u16>>>,
    }

    fn read(text: &str) -> (File, Vec<String>) {
        let mut diagnostics = Diagnostics::new();
        let read = read_toml::<File>(&SourceText::new("f", text), &mut diagnostics);
        let lines = diagnostics.into_sorted().iter().map(crate::diagnostic::Diagnostic::one_line).collect();
        (read.map(|document| document.value).unwrap_or_default(), lines)
    }

    #[test]
    fn values_keep_their_places() {
        let (file, errors) = read("key = \"a\"\nnumber = [1, 2]");
        assert_eq!(errors, [""; 0]);
        assert_eq!(file.key.unwrap().values(), [(&"a".to_owned(), 6..9)]);
        assert_eq!(file.number.unwrap().values(), [(&1, 20..21), (&2, 23..24)]);
    }

    #[test]
    fn misfits_are_told_with_what_is_allowed() {
        let (_, errors) = read("key = [\"a\", 1]\nnumber = true");
        assert_eq!(
            errors,
            [
                "f:1:13: error: `key` is the number 1 (allowed: a text in quotes)",
                "f:2:10: error: `number` is true (allowed: a whole number or a list)",
            ]
        );
    }
}
