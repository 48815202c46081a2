//! Configuration files for the Howdah under test.

use std::fmt::Write;
use std::path::PathBuf;

/// What a test chooses; everything else is fixed.
#[derive(Clone, Debug)]
pub struct Config {
    shards: Vec<u16>,
    pooling: &'static str,
    pool: Vec<(&'static str, String)>,
    general: Vec<(&'static str, String)>,
    users: Vec<String>,
    hba: Vec<(String, String)>,
    rules: Option<PathBuf>,
    cluster: Vec<(&'static str, String)>,
    names: Option<Vec<&'static str>>,
    text: Option<String>,
}

impl Config {
    /// One cluster `app` over the servers on these ports, in transaction pooling, 20 connections.
    pub fn new(shards: &[u16]) -> Config {
        Config {
            shards: shards.to_vec(),
            pooling: "transaction",
            pool: vec![("size", "20".into())],
            general: vec![("threads", "2".into()), ("admin_users", "[\"admin\"]".into())],
            users: vec!["name = \"app\"".into(), "name = \"admin\"".into()],
            hba: Vec::new(),
            rules: None,
            cluster: Vec::new(),
            names: None,
            text: None,
        }
    }

    /// A whole file of one's own, for a listener on port 0.
    pub fn of_text(text: String) -> Config {
        Config { text: Some(text), ..Config::new(&[]) }
    }

    /// The pooling mode.
    pub fn pooling(mut self, mode: &'static str) -> Config {
        self.pooling = mode;
        self
    }

    /// A key of the cluster's pool; the last value counts.
    pub fn pool(mut self, key: &'static str, value: impl ToString) -> Config {
        self.pool.retain(|(found, _)| *found != key);
        self.pool.push((key, value.to_string()));
        self
    }

    /// A key of `[general]`; the last value counts.
    pub fn general(mut self, key: &'static str, value: impl ToString) -> Config {
        self.general.retain(|(found, _)| *found != key);
        self.general.push((key, value.to_string()));
        self
    }

    /// One more user, given as the lines of its table.
    pub fn user(mut self, lines: &str) -> Config {
        self.users.push(lines.into());
        self
    }

    /// A rule for one user, before the one that trusts everybody.
    pub fn hba(mut self, user: &str, method: &str) -> Config {
        self.hba.push((user.into(), method.into()));
        self
    }

    /// The folder of sharding rules.
    pub fn rules(mut self, dir: PathBuf) -> Config {
        self.rules = Some(dir);
        self
    }

    /// A key of the cluster.
    pub fn cluster(mut self, key: &'static str, value: impl ToString) -> Config {
        self.cluster.push((key, value.to_string()));
        self
    }

    /// The shards' names, in the order of their ports; `s0`, `s1`, ... if not told.
    pub fn names(mut self, names: &[&'static str]) -> Config {
        self.names = Some(names.to_vec());
        self
    }

    /// The file's text, for a listener on `port`.
    pub fn text(&self, port: u16) -> String {
        if let Some(text) = &self.text {
            return text.replace("\"127.0.0.1:0\"", &format!("\"127.0.0.1:{port}\""));
        }
        let mut out = String::from("[general]\n");
        for (key, value) in &self.general {
            writeln!(out, "{key} = {value}").unwrap();
        }
        writeln!(out, "\n[[listener]]\naddress = \"127.0.0.1:{port}\"").unwrap();
        let everybody = ("all".to_owned(), "trust".to_owned());
        for (user, method) in self.hba.iter().chain([&everybody]) {
            writeln!(
                out,
                "\n[[hba]]\ntype = \"host\"\ndatabase = \"all\"\nuser = \"{user}\"\naddress = \"127.0.0.1/32\"\nmethod = \"{method}\""
            )
            .unwrap();
        }
        for user in &self.users {
            writeln!(out, "\n[[user]]\n{user}").unwrap();
        }
        writeln!(out, "\n[[cluster]]\nname = \"app\"\npooling = \"{}\"", self.pooling).unwrap();
        if let Some(rules) = &self.rules {
            writeln!(out, "rules = \"{}\"\nmaintenance_user = \"app\"", rules.display()).unwrap();
        }
        for (key, value) in &self.cluster {
            writeln!(out, "{key} = {value}").unwrap();
        }
        for (number, port) in self.shards.iter().enumerate() {
            let name =
                self.names.as_ref().map_or_else(|| format!("s{number}"), |names| names[number].to_owned());
            writeln!(out, "\n[[cluster.shard]]\nname = \"{name}\"\nprimary = \"127.0.0.1:{port}\"").unwrap();
        }
        out.push_str("\n[cluster.pool]\n");
        for (key, value) in &self.pool {
            writeln!(out, "{key} = {value}").unwrap();
        }
        out
    }
}
