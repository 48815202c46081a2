//! The command line.

pub mod demo;

use std::process::ExitCode;

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let path = std::env::args().nth(3).unwrap_or_default();
    let opened = crate::config::ConfigStore::open(
        std::path::Path::new(&path),
        Box::new(crate::server::check_settings),
    );
    match opened {
        Ok((store, _)) => {
            let log = crate::telemetry::init(&store.current().general).ok();
            let _w = crate::config::watch(std::sync::Arc::clone(&store));
            match crate::server::run(store, log, || (), std::future::pending()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(e) => {
                    eprintln!("{e}");
                    ExitCode::FAILURE
                }
            }
        }
        Err(found) => {
            for d in found {
                eprintln!("{}", d.one_line());
            }
            ExitCode::from(2)
        }
    }
}
