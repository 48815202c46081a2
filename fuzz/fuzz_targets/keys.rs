//! Keys in text and binary, whatever their bytes: reading never fails hard, equal values hash alike, and the
//! order is one.
#![no_main]

use howdah::datum::key::{self, KeyRead, KeyType, KeyValue, ReadContext};
use libfuzzer_sys::fuzz_target;
use std::cmp::Ordering;

fuzz_target!(|bytes: &[u8]| {
    let middle = bytes.len() / 2;
    let parts = [bytes, &bytes[..middle], &bytes[middle..]];
    for key_type in KeyType::ALL {
        let mut values: Vec<KeyValue<'_>> = Vec::new();
        for (part, format) in parts.into_iter().flat_map(|part| [(part, 0), (part, 1)]) {
            for is_utc in [false, true] {
                let context = ReadContext { is_utc, is_server_encoding: is_utc };
                if let KeyRead::Value(value) = key::read(key_type, 0, format, part, &context) {
                    values.push(value);
                }
            }
        }
        ordered(&values);
    }
});

fn ordered(values: &[KeyValue<'_>]) {
    for a in values {
        for b in values {
            let order = a.compare(b).expect("one type");
            assert_eq!(order, b.compare(a).expect("one type").reverse());
            assert_eq!(order == Ordering::Equal, a == b, "{a:?} {b:?}");
            if a == b {
                assert_eq!(key::hash(&[a.clone()]), key::hash(&[b.clone()]));
            }
            for c in values {
                let is_sorted = order != Ordering::Greater && b.compare(c) != Some(Ordering::Greater);
                assert!(!is_sorted || a.compare(c) != Some(Ordering::Greater), "{a:?} {b:?} {c:?}");
            }
        }
        for typmod in [-1, 0, 4, 655_366] {
            let _may_be_stored = a.is_stored_as_is(typmod);
        }
        assert_eq!(&a.clone().into_owned(), a);
    }
}
