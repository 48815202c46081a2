//! `howdah.toml`, whatever its text: errors have places in it, and a valid one can be shown.
#![no_main]

use howdah::config;
use howdah::diagnostic::SourceText;
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|text: &str| {
    // A fuzzer that learns to write a path would read devices: only relative ones, below nothing.
    if text.contains("/dev") || text.contains("/proc") || text.contains("..") {
        return;
    }
    let source = SourceText::new("howdah.toml", text);
    let environment = |name: &str| (name.len() % 2 == 0).then(|| "a value".to_owned());
    match config::parse(&source, Path::new("/nonexistent/howdah.toml"), &environment) {
        Ok(loaded) => {
            let _shown = config::settings(&loaded.config);
        }
        Err(found) => {
            assert!(found.iter().any(|one| one.is_error()), "a refusal has an error");
            found.iter().for_each(|one| assert!(!one.to_string().is_empty()));
        }
    }
});
