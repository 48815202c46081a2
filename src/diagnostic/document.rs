//! TOML read as a whole: every syntax error, unknown key and wrong type at once, each with its place.
//!
//! The shape that a document must have is the JSON schema of the type that it is read into, so what is
//! checked, what is documented and what serde accepts cannot differ. What does not fit is reported and
//! left out; the rest is read, so that the caller can go on and check meanings too. For that every field
//! of the type is an `Option` or has a default of its own; `#[schemars(required)]` marks those that must be there.

use super::{Diagnostics, SourceText};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// A value with its byte range in the file. Equal when the values are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct At<T>(Spanned<T>);

impl<T> At<T> {
    /// The value.
    pub fn get(&self) -> &T {
        self.0.get_ref()
    }

    /// Where it is.
    pub fn span(&self) -> Range<usize> {
        self.0.span()
    }

    /// The value without its place.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// What was read of a document.
#[derive(Debug)]
pub struct Document<T> {
    /// What fitted.
    pub value: T,
    /// Whether the text was TOML throughout; if not, what is missing from `value` may be in the file.
    pub is_complete: bool,
}

/// Reads a document, adding every error to `diagnostics`.
///
/// `None` only when nothing could be made of it.
pub fn read_toml<T: DeserializeOwned + JsonSchema>(
    source: &SourceText,
    diagnostics: &mut Diagnostics,
) -> Option<Document<T>> {
    let (mut root, syntax_errors) = DeTable::parse_recoverable(source.text());
    for error in &syntax_errors {
        let span = error.span().unwrap_or(0..0);
        diagnostics.push(source.error(span, format!("not valid TOML: {}", first_line(error.message()))));
    }
    let schema = Value::from(schemars::schema_for!(T));
    let broken_lines =
        syntax_errors.iter().filter_map(toml::de::Error::span).map(|span| source.place(span).line).collect();
    let is_complete = syntax_errors.is_empty();
    let mut check = Check { source, schema: &schema, diagnostics, broken_lines, is_complete };
    let span = root.span();
    check.table(root.get_mut(), span, &schema, "the file");
    match T::deserialize(toml::Deserializer::from(root)) {
        Ok(value) => Some(Document { value, is_complete }),
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            if is_complete {
                diagnostics.push(source.error(span, first_line(error.message())));
            }
            None
        }
    }
}

fn first_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join("; ")
}

struct Check<'a> {
    source: &'a SourceText,
    schema: &'a Value,
    diagnostics: &'a mut Diagnostics,
    broken_lines: Vec<u32>,
    is_complete: bool,
}

impl<'a> Check<'a> {
    /// Checks a table's keys and values and removes those that do not fit.
    fn table(&mut self, table: &mut DeTable<'_>, span: Range<usize>, shape: &'a Value, name: &str) {
        let Some(properties) = shape.get("properties").and_then(Value::as_object) else { return };
        let mut misfits: Vec<String> = Vec::new();
        for (key, value) in table.iter_mut() {
            let path = if name == "the file" {
                key.get_ref().to_string()
            } else {
                format!("{name}.{}", key.get_ref())
            };
            let fits = match properties.get(key.get_ref().as_ref()) {
                Some(property) => self.value(value, property, &path),
                // Keys under a broken heading end up here.
                None if name == "the file" && !self.is_complete => false,
                None => {
                    self.unknown_key(key.get_ref(), key.span(), properties.keys().map(String::as_str), name);
                    false
                }
            };
            if !fits {
                misfits.push(key.get_ref().to_string());
            }
        }
        let required = shape.get("required").and_then(Value::as_array).into_iter().flatten();
        for key in required.filter_map(Value::as_str) {
            if self.is_complete && table.get(key).is_none() {
                let error = self.source.error(span.clone(), format!("`{key}` is missing in {}", shown(name)));
                self.diagnostics.push(error.hint(format!("add `{key} = ...`")));
            }
        }
        for key in misfits {
            table.remove(key.as_str());
        }
    }

    fn unknown_key<'k>(
        &mut self,
        key: &str,
        span: Range<usize>,
        known: impl Iterator<Item = &'k str> + Clone,
        name: &str,
    ) {
        let allowed = known.clone().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
        let error = self.source.error(span.clone(), format!("unknown key `{key}` in {}", shown(name)));
        self.report(span, error.allowed(allowed).suggest(key, known));
    }

    /// Whether a value fits; reports if not.
    fn value(&mut self, value: &mut Spanned<DeValue<'_>>, shape: &'a Value, name: &str) -> bool {
        let span = value.span();
        let alternatives = self.alternatives(shape);
        let found = kind(value.get_ref());
        let Some(&shape) = alternatives.iter().find(|shape| admits(shape, found)) else {
            self.mismatch(value, &alternatives, name);
            return false;
        };
        match value.get_mut() {
            DeValue::Table(table) => self.table(table, span, shape, name),
            DeValue::Array(array) => {
                if let Some(items) = shape.get("items") {
                    let mut items_fit = Vec::new();
                    for item in array.iter_mut() {
                        items_fit.push(self.value(item, items, name));
                    }
                    let mut fits = items_fit.into_iter();
                    let kept = std::mem::replace(array, DeArray::new())
                        .into_iter()
                        .filter(|_| fits.next().unwrap_or(false));
                    *array = kept.collect();
                }
            }
            DeValue::String(text) => {
                let allowed = words(&alternatives);
                if !allowed.is_empty() && !allowed.contains(&text.as_ref()) {
                    let shown = quoted(&allowed);
                    let found = self.shown_value(text, &span);
                    let error = self.source.error(span.clone(), format!("`{name}` is {found}"));
                    self.report(span, error.allowed(shown).suggest(text, allowed));
                    return false;
                }
            }
            DeValue::Integer(number) => {
                let digits = number.as_str().replace('_', "");
                let number = i128::from_str_radix(&digits, number.radix()).unwrap_or(i128::MAX);
                return self.in_range(number, span, shape, name);
            }
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
        }
        true
    }

    fn in_range(&mut self, number: i128, span: Range<usize>, shape: &Value, name: &str) -> bool {
        let bound = |key: &str| {
            let bound = shape.get(key)?;
            bound.as_i64().map(i128::from).or_else(|| bound.as_u64().map(i128::from))
        };
        let (low, high) = (
            bound("minimum").unwrap_or(i128::from(i64::MIN)),
            bound("maximum").unwrap_or(i128::from(i64::MAX)),
        );
        let fits = (low..=high).contains(&number);
        if !fits {
            let error = self.source.error(span.clone(), format!("`{name}` is out of range"));
            self.report(span, error.allowed(format!("{low} to {high}")));
        }
        fits
    }

    fn mismatch(&mut self, value: &Spanned<DeValue<'_>>, alternatives: &[&Value], name: &str) {
        let found = match value.get_ref() {
            DeValue::Table(_) => "a table".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::String(text) => self.shown_value(text, &value.span()),
            _ if self.source.is_secret(&value.span()) => format!("of type {}", kind(value.get_ref())),
            DeValue::Integer(number) => format!("the number {number}"),
            DeValue::Float(number) => format!("the number {number}"),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(date) => format!("the date {date}"),
        };
        let mut allowed: Vec<&str> =
            alternatives.iter().flat_map(|shape| types(shape)).map(type_name).collect();
        allowed.dedup();
        let words = words(alternatives);
        let allowed = if words.is_empty() { allowed.join(" or ") } else { quoted(&words) };
        let error = self.source.error(value.span(), format!("`{name}` is {found}"));
        self.report(value.span(), error.allowed(allowed));
    }

    fn shown_value(&self, text: &str, span: &Range<usize>) -> String {
        match self.source.is_secret(span) {
            true => "a text".to_owned(),
            false => format!("{:?}", text.chars().take(60).collect::<String>()),
        }
    }

    /// Reports, unless the line's syntax is already known to be broken.
    fn report(&mut self, span: Range<usize>, error: super::Diagnostic) {
        if !self.broken_lines.contains(&self.source.place(span).line) {
            self.diagnostics.push(error);
        }
    }

    /// The shapes a value may have: references followed, alternatives flattened, null left out.
    fn alternatives(&self, shape: &'a Value) -> Vec<&'a Value> {
        if let Some(reference) = shape.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| self.schema.pointer(pointer));
            return target.map(|target| self.alternatives(target)).unwrap_or_default();
        }
        let several = ["anyOf", "oneOf"].iter().find_map(|key| shape.get(key)).and_then(Value::as_array);
        match several {
            Some(several) => several.iter().flat_map(|shape| self.alternatives(shape)).collect(),
            None if types(shape) == ["null"] => Vec::new(),
            None => vec![shape],
        }
    }
}

fn shown(name: &str) -> String {
    if name == "the file" { name.to_owned() } else { format!("`{name}`") }
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

/// The words that a text may be; empty: any.
fn words<'a>(alternatives: &[&'a Value]) -> Vec<&'a str> {
    let mut words = Vec::new();
    for shape in alternatives.iter().filter(|shape| admits(shape, "string")) {
        match (shape.get("const"), shape.get("enum").and_then(Value::as_array)) {
            (Some(word), _) => words.extend(word.as_str()),
            (None, Some(several)) => words.extend(several.iter().filter_map(Value::as_str)),
            (None, None) => return Vec::new(),
        }
    }
    words
}

fn types(shape: &Value) -> Vec<&str> {
    match shape.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ if shape.get("properties").is_some() => vec!["object"],
        _ if shape.get("const").is_some() || shape.get("enum").is_some() => vec!["string"],
        _ => Vec::new(),
    }
}

fn admits(shape: &Value, found: &str) -> bool {
    let types = types(shape);
    types.is_empty() || types.contains(&found) || (found == "integer" && types.contains(&"number"))
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "datetime",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
    }
}

fn type_name(name: &str) -> &str {
    match name {
        "string" => "a text in quotes",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::{At, read_toml};
    use crate::diagnostic::{Diagnostics, SourceText};
    use schemars::JsonSchema;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[schemars(required)]
        name: Option<At<String>>,
        count: Option<At<u16>>,
        mode: Option<At<Mode>>,
        #[serde(default)]
        part: Vec<At<Part>>,
    }

    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Part {
        #[schemars(required)]
        label: Option<At<String>>,
        tags: Option<Vec<At<String>>>,
    }

    /// Modes.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        /// One.
        OneWay,
        /// Both.
        TwoWay,
    }

    fn read(text: &str) -> (Option<File>, Vec<String>) {
        let mut diagnostics = Diagnostics::new();
        let read = read_toml::<File>(&SourceText::new("f", text), &mut diagnostics);
        let lines = diagnostics.into_sorted().iter().map(|d| d.one_line()).collect();
        (read.map(|d| d.value), lines)
    }

    #[test]
    fn good_document_is_read_with_places() {
        let (file, errors) =
            read("name = \"x\"\ncount = 3\nmode = \"two-way\"\n[[part]]\nlabel = \"l\"\ntags=[\"t\"]");
        assert_eq!(errors, [""; 0]);
        let file = file.unwrap();
        assert_eq!(file.name.unwrap().span(), 7..10);
        assert_eq!(*file.count.unwrap().get(), 3);
        assert!(matches!(file.mode.unwrap().get(), Mode::TwoWay));
        assert_eq!(file.part.len(), 1);
    }

    #[test]
    fn every_misfit_is_reported_and_the_rest_is_read() {
        let (file, errors) = read(
            "nme = 1\ncount = 70000\nmode = \"tow-way\"\nx.y = 2\n[[part]]\nlabel = 3\n[[part]]\ntags = [1, \"b\"]\n",
        );
        assert_eq!(
            errors,
            [
                "f:1:1: error: unknown key `nme` in the file (allowed: `count`, `mode`, `name`, `part`; did you mean `name`?)",
                "f:1:1: error: `name` is missing in the file (add `name = ...`)",
                "f:2:9: error: `count` is out of range (allowed: 0 to 65535)",
                "f:3:8: error: `mode` is \"tow-way\" (allowed: \"one-way\", \"two-way\"; did you mean `two-way`?)",
                "f:4:1: error: unknown key `x` in the file (allowed: `count`, `mode`, `name`, `part`)",
                "f:6:9: error: `part.label` is the number 3 (allowed: a text in quotes)",
                "f:7:1: error: `label` is missing in `part` (add `label = ...`)",
                "f:8:9: error: `part.tags` is the number 1 (allowed: a text in quotes)",
            ]
        );
        let file = file.unwrap();
        assert_eq!(file.part[1].get().tags.as_ref().unwrap().len(), 1);
        assert!(file.part[0].get().label.is_none());
    }

    #[test]
    fn every_syntax_error_is_reported_once() {
        let (_, errors) = read("name = \ncount = 1\ncount = 2\n[[part]\nlable = \"x\"\n");
        assert!(errors.len() >= 3, "{errors:#?}");
        assert!(errors.iter().any(|e| e.starts_with("f:1:")), "{errors:#?}");
        assert!(errors.iter().any(|e| e.starts_with("f:4:")), "{errors:#?}");
        assert!(errors.iter().any(|e| e.contains("duplicate")), "{errors:#?}");
    }

    #[test]
    fn scalar_for_a_table_and_table_for_a_scalar_are_reported() {
        let (_, errors) = read("part = 1\n[name]\na = 1\n");
        assert_eq!(
            errors,
            [
                "f:1:8: error: `part` is the number 1 (allowed: a list)",
                "f:2:1: error: `name` is a table (allowed: a text in quotes)"
            ]
        );
    }
}
