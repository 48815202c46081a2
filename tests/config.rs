//! `howdah.toml`: good files, and every error of bad ones with its place.

#![expect(clippy::panic, reason = "how a helper of tests fails")]

use howdah::config::{self, Config, Credential, ListenAddress, Pooling, ServerAddress};
use howdah::diagnostic::SourceText;
use std::path::Path;
use std::time::Duration;

/// A file that is right, as short as can be; tests add to it.
const BASE: &str = "[[listener]]\naddress = \"127.0.0.1:6432\"\n[[cluster]]\nname = \"shop\"\n[[cluster.shard]]\nname = \"s0\"\nprimary = \"127.0.0.1:5501\"\n";

fn parse(text: &str) -> Result<config::Loaded, Vec<String>> {
    let environment = |name: &str| (name == "APP_PASSWORD").then(|| "from env".to_owned());
    let source = SourceText::new("howdah.toml", text);
    config::parse(&source, Path::new("howdah.toml"), &environment)
        .map_err(|found| found.iter().map(|d| d.one_line()).collect())
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|errors| panic!("{errors:#?}")).config
}

#[test]
fn shortest_file_gets_the_defaults() {
    let config = good(BASE);
    assert_eq!(config.general.client_limit, 10_000);
    assert_eq!(config.general.slow_statement, Some(Duration::from_secs(1)));
    assert_eq!(config.general.idle_client_timeout, None);
    let cluster = &config.clusters["shop"];
    assert_eq!(cluster.pooling, Pooling::Transaction);
    assert_eq!(cluster.pool.size, 20);
    assert_eq!(cluster.shards[0].database.as_deref(), Some("shop"));
    assert_eq!(cluster.shards[0].primary, ServerAddress::Tcp { host: "127.0.0.1".into(), port: 5501 });
    assert_eq!(config.hba.len(), 2);
    assert!(matches!(config.listeners[0].address, ListenAddress::Tcp(address) if address.port() == 6432));
}

#[test]
fn example_file_is_valid() {
    let text = std::fs::read_to_string("howdah.example.toml").unwrap();
    let loaded = parse(&text).unwrap();
    assert_eq!(loaded.warnings, []);
    assert!(matches!(loaded.config.users["app"].credential, Credential::Password(_)));
}
