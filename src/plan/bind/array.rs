//! The elements of an array in `= ANY`.

use super::key::{Key, keeps};
use super::{KEYS_MAX, Values};
use crate::datum::key::{self, KeyRead, KeyType};
use crate::datum::oid;
use crate::plan::constant::literal_content;
use crate::plan::params::element_type;
use crate::plan::prune::{ArraySource, ParamType};
use std::borrow::Cow;

/// The elements' values; `None` where the array is not plain: it has several dimensions, or is not certain
/// to be of this type.
pub(super) fn read<'v, V: Values>(
    source: &ArraySource,
    key_type: KeyType,
    values: &'v V,
) -> Option<Vec<Key<'v>>> {
    let context = values.read_context();
    let of = |type_oid: u32, format: i16, element: Cow<'v, [u8]>| match element {
        Cow::Borrowed(bytes) => owned(key::read(key_type, type_oid, format, bytes, &context)),
        Cow::Owned(bytes) => match key::read(key_type, type_oid, format, &bytes, &context) {
            KeyRead::Value(value) => Key::Value(value.into_owned()),
            other => owned_nothing(&other),
        },
    };
    let text = |type_oid: u32, text: Cow<'v, [u8]>| -> Option<Vec<Key<'v>>> {
        let elements = match text {
            Cow::Borrowed(text) => text_elements(text)?,
            Cow::Owned(text) => {
                text_elements(&text)?.into_iter().map(|e| e.map(|e| Cow::Owned(e.into_owned()))).collect()
            }
        };
        Some(elements.into_iter().map(|e| e.map_or(Key::Null, |e| of(type_oid, 0, e))).collect())
    };
    match source {
        ArraySource::Literal(index) => text(0, literal_content(values.literal(*index)?)),
        ArraySource::Fixed(bytes) => text(0, Cow::Owned(bytes.to_vec())),
        ArraySource::Param { number, typing, cast } => {
            let Some(param) = values.param(*number) else { return Some(Vec::new()) };
            let (array, format) = match (param.type_oid, *cast) {
                (0 | oid::UNKNOWN, cast) if *typing == ParamType::FromKey => (cast, param.format),
                (0 | oid::UNKNOWN, _) => return None,
                (declared, 0) => (declared, param.format),
                (oid::TEXT | oid::VARCHAR, _) => (0, 0),
                (declared, cast) if keeps(element_type(declared)?, element_type(cast)?) => {
                    (declared, param.format)
                }
                _ => return None,
            };
            let element = if array == 0 { 0 } else { element_type(array)? };
            if !key_type.is_read_from(element) {
                return None;
            }
            let Some(bytes) = param.value else { return Some(Vec::new()) };
            if format == 0 {
                return text(element, Cow::Borrowed(bytes));
            }
            let elements = binary_elements(bytes)?;
            Some(
                elements
                    .into_iter()
                    .map(|e| e.map_or(Key::Null, |e| of(element, 1, Cow::Borrowed(e))))
                    .collect(),
            )
        }
    }
}

fn owned(read: KeyRead<'_>) -> Key<'_> {
    match read {
        KeyRead::Value(value) => Key::Value(value),
        other => owned_nothing(&other),
    }
}

fn owned_nothing<'v>(read: &KeyRead<'_>) -> Key<'v> {
    match read {
        KeyRead::Nothing => Key::Nothing,
        KeyRead::Invalid => Key::Invalid,
        KeyRead::Value(_) | KeyRead::Unclear | KeyRead::Unrelated => Key::Unclear(None),
    }
}

/// The elements of an array of one dimension in text; `None` is NULL.
///
/// Source: PostgreSQL 15, `src/backend/utils/adt/arrayfuncs.c` (`ReadArrayStr`); what is not plain is not
/// read.
fn text_elements(text: &[u8]) -> Option<Vec<Option<Cow<'_, [u8]>>>> {
    let inner = text.trim_ascii().strip_prefix(b"{")?.strip_suffix(b"}")?;
    if inner.trim_ascii().is_empty() {
        return Some(Vec::new());
    }
    let mut elements = Vec::new();
    let mut rest = inner;
    loop {
        rest = rest.trim_ascii_start();
        let element = if let Some(quoted) = rest.strip_prefix(b"\"") {
            let (value, behind) = quoted_element(quoted)?;
            rest = behind.trim_ascii_start();
            Some(Cow::Owned(value))
        } else {
            let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
            let (bare, behind) = rest.split_at_checked(end)?;
            rest = behind;
            let bare = bare.trim_ascii_end();
            if bare.is_empty() || bare.iter().any(|byte| b"{}\"\\".contains(byte)) {
                return None;
            }
            (!bare.eq_ignore_ascii_case(b"null")).then_some(Cow::Borrowed(bare))
        };
        elements.push(element);
        if elements.len() > KEYS_MAX {
            return None;
        }
        match rest.split_first() {
            None => return Some(elements),
            Some((b',', behind)) => rest = behind,
            Some(_) => return None,
        }
    }
}

/// A quoted element, and what stands behind its closing quote.
fn quoted_element(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut bytes = text.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value, text.get(at + 1..)?)),
            b'\\' => value.push(*bytes.next()?.1),
            other => value.push(*other),
        }
    }
    None
}

/// The elements of an array of one dimension in binary; `None` is NULL.
fn binary_elements(bytes: &[u8]) -> Option<Vec<Option<&[u8]>>> {
    fn int(bytes: &mut &[u8]) -> Option<i32> {
        let (first, rest) = bytes.split_first_chunk::<4>()?;
        *bytes = rest;
        Some(i32::from_be_bytes(*first))
    }
    let mut rest = bytes;
    let (dimensions, _has_nulls, _type) = (int(&mut rest)?, int(&mut rest)?, int(&mut rest)?);
    if dimensions == 0 {
        return Some(Vec::new());
    }
    let (count, _lower) = (usize::try_from(int(&mut rest)?).ok()?, int(&mut rest)?);
    if dimensions != 1 || count > KEYS_MAX {
        return None;
    }
    let mut elements = Vec::new();
    for _ in 0..count {
        let Ok(length) = usize::try_from(int(&mut rest)?) else {
            elements.push(None);
            continue;
        };
        let (element, behind) = rest.split_at_checked(length)?;
        elements.push(Some(element));
        rest = behind;
    }
    rest.is_empty().then_some(elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_as_postgres_reads_them() {
        let read = |text: &'static str| {
            text_elements(text.as_bytes()).map(|elements| {
                let show = |e: Option<Cow<'_, [u8]>>| {
                    e.map_or("NULL".into(), |e| String::from_utf8_lossy(&e).into_owned())
                };
                elements.into_iter().map(show).collect::<Vec<_>>()
            })
        };
        let some = |list: &[&str]| Some(list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(read("{}"), some(&[]));
        assert_eq!(read(" { 1 , 2,NULL, null } "), some(&["1", "2", "NULL", "NULL"]));
        assert_eq!(read(r#"{"a b","c\"d\\",e f,"NULL"}"#), some(&["a b", r#"c"d\"#, "e f", "NULL"]));
        for text in
            ["", "1,2", "{1,2", "{1,,2}", "{{1},{2}}", "{1}x", r#"{"a"#, r"{a\b}", "[1:2]={1,2}", "{1,}"]
        {
            assert_eq!(read(text), None, "{text}");
        }
        let mut bytes: Vec<u8> = [1_i32, 1, 20, 3, 1].iter().flat_map(|n| n.to_be_bytes()).collect();
        bytes.extend([0, 0, 0, 2, b'a', b'b', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(binary_elements(&bytes), Some(vec![Some(&b"ab"[..]), None, Some(&b""[..])]));
        assert_eq!(binary_elements(&bytes[..bytes.len() - 1]), None);
        assert_eq!(binary_elements(&[0; 12]), Some(Vec::new()));
    }
}
