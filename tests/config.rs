//! `howdah.toml`: good files, every error of bad ones with its place, reload, and the pages made of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use howdah::config::{
    self, AddressSet, Config, ConfigStore, Credential, HbaClientCert, HbaMethod, ListenAddress, ListenerTls,
    NameSet, Pooling, ServerAddress, ServerTlsMode,
};
use howdah::diagnostic::SourceText;
use std::path::Path;
use std::time::Duration;

/// A file that is right, as short as can be: lines 1 to 7. Tests add to it.
const BASE: &str = "\
[[listener]]
address = \"127.0.0.1:6432\"
[[cluster]]
name = \"shop\"
[[cluster.shard]]
name = \"s0\"
primary = \"127.0.0.1:5501\"
";

fn parse_in(folder: &Path, text: &str) -> Result<config::Loaded, Vec<String>> {
    let environment = |name: &str| (name == "APP_PASSWORD").then(|| "from env".to_owned());
    let source = SourceText::new("f", text);
    config::parse(&source, &folder.join("howdah.toml"), &environment)
        .map_err(|found| found.iter().map(|d| d.one_line()).collect())
}

fn good(text: &str) -> Config {
    parse_in(Path::new(""), text).unwrap_or_else(|errors| panic!("{text}\n{errors:#?}")).config
}

fn errors(text: &str) -> Vec<String> {
    parse_in(Path::new(""), text).err().unwrap_or_default()
}

#[test]
fn shortest_file_gets_the_defaults() {
    let config = good(BASE);
    assert_eq!(config.general, config::General::default());
    let cluster = &config.clusters["shop"];
    assert_eq!(cluster.pooling, Pooling::Transaction);
    assert_eq!(cluster.pool, config::PoolSettings::default());
    assert_eq!(cluster.shards[0].database.as_deref(), Some("shop"));
    assert_eq!(cluster.shards[0].primary, ServerAddress::Tcp { host: "127.0.0.1".into(), port: 5501 });
    assert!(config.hba.iter().all(|rule| rule.method == HbaMethod::ScramSha256));
    assert!(matches!(config.listeners[0].address, ListenAddress::Tcp(address) if address.port() == 6432));
}

#[test]
fn every_key_is_read() {
    let text = format!(
        "{BASE}database = \"shop_0\"\ntls = {{ mode = \"require\" }}\n\
         [[cluster.shard]]\nname = \"s1\"\nprimary = \"/run/pg:5433\"\n\
         [cluster.pool]\nsize = 3\nmin_idle = 2\nmax_lifetime = 0\nqueue_timeout = \"250ms\"\n\
         [[cluster]]\nname = \"*\"\npooling = \"session\"\n[[cluster.shard]]\nname = \"x\"\nprimary = \"[::1]\"\n\
         [general]\nthreads = 2\nmessage_size_max = \"1MB\"\nslow_statement = \"0s\"\nclient_limit_per_user = 5\n\
         log_level = \"info,howdah::pool=debug\"\nadmin_users = [\"a\"]\n\
         [[user]]\nname = \"a\"\npassword = \"env:APP_PASSWORD\"\nclient_limit = 0\n\
         [[user]]\nname = \"b\"\npassword = \"literal:env:x\"\nserver_password = \"s\"\n\
         [auth]\nauth_user = \"lookup\"\nauth_query_ttl = 5\n\
         [[hba]]\ndatabase = [\"shop\", \"howdah\"]\nuser = \"a\"\naddress = [\"10.0.0.0/8\", \"::1\"]\nmethod = \"md5\"\n\
         [[hba]]\ntype = \"local\"\nmethod = \"trust\"\n"
    );
    let config = good(&text);
    let shop = &config.clusters["shop"];
    assert_eq!(shop.shards[0].database.as_deref(), Some("shop_0"));
    assert_eq!(shop.shards[0].tls.mode, ServerTlsMode::Require);
    assert_eq!(shop.shards[1].primary, ServerAddress::Unix { directory: "/run/pg".into(), port: 5433 });
    assert_eq!((shop.pool.size, shop.pool.min_idle, shop.pool.max_lifetime), (3, 2, None));
    assert_eq!(shop.pool.queue_timeout, Some(Duration::from_millis(250)));
    let any = config.cluster_for("elsewhere").unwrap();
    assert_eq!((any.pooling, any.shards[0].database.as_deref()), (Pooling::Session, None));
    assert_eq!(any.shards[0].primary, ServerAddress::Tcp { host: "::1".into(), port: 5432 });
    assert_eq!(config.general.message_bytes_max, 1 << 20);
    assert_eq!(config.general.slow_statement, None);
    assert_eq!(config.general.client_limit_per_user, Some(5));
    assert!(config.is_admin("a") && !config.is_admin("b"));
    let [a, b] = ["a", "b"].map(|name| &config.users[name]);
    assert!(matches!(&a.credential, Credential::Password(secret) if secret.expose() == "from env"));
    assert_eq!(a.client_limit, Some(None));
    assert!(matches!(&b.credential, Credential::Password(secret) if secret.expose() == "env:x"));
    assert_eq!(b.server_password.as_ref().unwrap().expose(), "s");
    assert_eq!(config.auth_query.as_ref().unwrap().ttl, Duration::from_secs(5));
    assert_eq!(config.hba[0].databases, NameSet::Only(vec!["shop".into(), "howdah".into()]));
    let AddressSet::Only(ranges) = &config.hba[0].addresses else { panic!("all addresses") };
    assert_eq!(ranges.len(), 2);
}

/// What is added to `BASE`, and the errors: `line:column: start of the message`.
const BAD: &[(&str, &[&str])] = &[
    ("colour = 1", &["8:1: unknown key `colour` in `cluster.shard`"]),
    (
        "[general]\nthreds = 1\nthreads = \"two\"\nlog_format = \"xml\"",
        &[
            "9:1: unknown key `threds` in `general`",
            "10:11: `general.threads` is \"two\"",
            "11:14: `general.log_format` is \"xml\"",
        ],
    ),
    ("[general]\nlog_level = \"inof\"", &["9:13: \"inof\" is not a log level"]),
    (
        "[general]\nlogin_timeout = \"5m\"\nidle_client_timeout = -1\ndrain_timeout = 99999999999",
        &[
            "9:17: \"5m\" is not a duration",
            "10:23: `general.idle_client_timeout` is",
            "11:17: 99999999999 seconds are too long",
        ],
    ),
    ("[general]\nmessage_size_max = \"1TB\"", &["9:20: `message_size_max` is not a size"]),
    ("[general]\nmessage_size_max = \"2GB\"", &["9:20: `message_size_max` is 2GB"]),
    (
        "[general]\nclient_limit = 0\ncluster_name = \"a b\"",
        &["9:16: `general.client_limit` is out of range", "10:16: \"a b\" is no name for the installation"],
    ),
    (
        "[[listener]]\naddress = \"0.0.0.0:6432\"",
        &["9:11: 0.0.0.0:6432 overlaps the listener on 127.0.0.1:6432"],
    ),
    ("[[listener]]\naddress = \"*:6432\"", &["9:11: \"*\" is not an IP address"]),
    ("[[listener]]\naddress = \"127.0.0.1:x\"", &["9:11: \"127.0.0.1:x\": the port"]),
    ("[[listener]]\naddress = \"127.0.0.1:1\"\nport = 1", &["10:8: the port is given twice"]),
    ("[[listener]]\naddress = \"/no/such/folder\"", &["9:11: there is no directory"]),
    ("[[listener]]\nport = 1", &["8:1: `address` is missing in `listener`"]),
    ("[[listener]]\naddress = \"127.0.0.1:1\"\ntls = { }", &["10:7: TLS needs a certificate"]),
    (
        "[[listener]]\naddress = \"127.0.0.1:1\"\ntls = { certificate = \"none.crt\" }",
        &["10:23: a certificate without its key"],
    ),
    (
        "[[listener]]\naddress = \"127.0.0.1:1\"\ntls = { certificate = \"none.crt\", key = \"Cargo.toml\" }",
        &["10:23: cannot read \"none.crt\"", "10:41: \"Cargo.toml\" is not such a PEM file"],
    ),
    ("[[user]]\nname = \"a\"\n[[user]]\nname = \"a\"", &["11:8: there is already a user \"a\""]),
    (
        "[[user]]\nname = \"\"\n[[user]]\npassword = \"x\"",
        &["9:8: user name of 0 bytes", "10:1: `name` is missing in `user`"],
    ),
    (
        "[[user]]\nname = \"a\"\npassword = \"x\"\nverifier = \"md5\"",
        &["11:12: `verifier` together with `password`"],
    ),
    ("[[user]]\nname = \"a\"\nverifier = \"md5xyz\"", &["10:12: `verifier` is not a verifier: after `md5`"]),
    (
        "[[user]]\nname = \"a\"\npassword = \"env:NOT_SET\"",
        &["10:12: `password` names an environment variable"],
    ),
    ("[[user]]\nname = \"a\"\npassword = \"file:none\"", &["10:12: `password`: No such file"]),
    ("[[user]]\nname = \"a\"\npassword = \"\"", &["10:12: `password` is empty"]),
    ("[[user]]\nname = \"a\"\npassword = 7", &["10:12: `user.password` is of type integer"]),
    ("[[user]]\nname = \"a\"\npool_size = 0", &["10:13: `user.pool_size` is out of range"]),
    ("[auth]\nauth_query = \"SELECT 1\"", &["8:1: `auth_user` is missing", "9:14: `auth_query` has no $1"]),
    ("[[hba]]\nmethod = \"scram\"", &["9:10: `hba.method` is \"scram\""]),
    (
        "[[hba]]\naddress = [\"10.0.0.1/8\", \"x\"]\nmethod = \"trust\"",
        &["9:11: \"10.0.0.1/8\": bits are set", "9:11: \"x\": not an IP address"],
    ),
    ("[[hba]]\nuser = []\nmethod = \"trust\"", &["9:8: `user` is an empty list"]),
    (
        "[[hba]]\ntype = \"local\"\naddress = \"all\"\nmethod = \"trust\"",
        &["10:11: `address` in a rule of type"],
    ),
    ("[[hba]]\nmethod = \"cert\"", &["9:10: the method \"cert\" needs a listener"]),
    (
        "[[hba]]\nmethod = \"trust\"\nclientcert = \"verify-ca\"",
        &["10:14: `clientcert` in a rule for connections without TLS"],
    ),
    (
        "[[hba]]\ntype = \"hostssl\"\nmethod = \"trust\"\nclientcert = \"verify-full\"",
        &["11:14: `clientcert` needs a listener whose tls has `client_ca`"],
    ),
    ("[[hba]]\nmethod = \"trust\"\nclientcert = \"no\"", &["10:14: `hba.clientcert` is \"no\""]),
    (
        "[[hba]]\nuser = \"+admins\"\ndatabase = [\"samerole\"]\nmethod = \"trust\"",
        &["9:8: \"+admins\", which in pg_hba.conf", "10:12: \"samerole\", which in pg_hba.conf"],
    ),
    (
        "[[cluster]]\nname = \"shop\"",
        &["9:8: there is already a cluster \"shop\"", "9:8: the cluster \"shop\" has no [[cluster.shard]]"],
    ),
    (
        "[[cluster]]\nname = \"howdah\"\n[[cluster.shard]]\nname = \"s\"\nprimary = \"h\"",
        &["9:8: a cluster called \"howdah\""],
    ),
    (
        "[[cluster]]\nname = \"c\"\nhome_shard = \"s1\"\n[[cluster.shard]]\nname = \"s0\"\nprimary = \"h\"",
        &["10:14: there is no shard \"s1\""],
    ),
    (
        "[[cluster]]\nname = \"c\"\nrules = \"no-such-folder\"\nmaintenance_password = \"x\"\n[[cluster.shard]]\nname = \"s0\"\nprimary = \"h\"",
        &["10:9: cannot read \"no-such-folder\"", "11:24: `maintenance_password` without `maintenance_user`"],
    ),
    (
        "[[cluster]]\nname = \"*\"\n[[cluster.shard]]\nname = \"a\"\nprimary = \"h\"\n[[cluster.shard]]\nname = \"b\"\nprimary = \"i\"",
        &["13:1: a second shard in the cluster \"*\""],
    ),
    (
        "[[cluster.shard]]\nname = \"s0\"\nprimary = \"h\"",
        &["9:8: there is already a shard of this cluster \"s0\""],
    ),
    (
        "[[cluster.shard]]\nname = \"s1\"\nprimary = \"127.0.0.1:5501\"",
        &["10:11: the same server and database"],
    ),
    ("[[cluster.shard]]\nname = \"s1\"\nprimary = \"h:0\"", &["10:11: the port is 0"]),
    (
        "[[cluster.shard]]\nname = \"s1\"\nprimary = \"::1\"",
        &["10:11: \"::1\": an IPv6 address needs brackets"],
    ),
    (
        "[[cluster.shard]]\nname = \"s1\"\nprimary = \"h\"\ntls = { mode = \"verify-full\" }",
        &["11:7: this `mode` needs `root`"],
    ),
    ("[cluster.pool]\nsize = 0", &["9:8: `cluster.pool.size` is out of range"]),
    (
        "[cluster.pool]\nsize = 2\nmin_idle = 3\nconnect_timeout = 0",
        &["10:12: `min_idle` is 3, above `size`", "11:19: `connect_timeout` is 0"],
    ),
    ("[cluster.pool]\nsize = 2\nsize = 3", &["10:1: not valid TOML: duplicate key"]),
    ("[general]\nthreads =\n[cluster.pool\nsize = 1", &["9:10: not valid TOML", "10:14: not valid TOML"]),
];

#[test]
fn every_error_has_its_line_and_column() {
    for (added, expected) in BAD {
        let found = errors(&format!("{BASE}{added}\n"));
        let errors: Vec<String> = found
            .iter()
            .filter(|line| line.contains(": error: "))
            .map(|line| line.replace(": error: ", ": "))
            .collect();
        assert_eq!(errors.len(), expected.len(), "{added}\n{found:#?}");
        for (error, expected) in errors.iter().zip(*expected) {
            assert!(
                error.starts_with(&format!("f:{expected}")),
                "{added}\nexpected {expected}\nfound {error}"
            );
        }
    }
}

#[test]
fn empty_file_says_what_is_needed() {
    let found = errors("");
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("no [[listener]]") && found[1].contains("no [[cluster]]"));
}

#[test]
fn rendering_shows_line_caret_and_help() {
    let source = SourceText::new("howdah.toml", format!("{BASE}[cluster.pool]\nsise = 5\n"));
    let found = config::parse(&source, Path::new("howdah.toml"), &|_| None).unwrap_err();
    let expected = "\
error: unknown key `sise` in `cluster.pool`
 --> howdah.toml:9:1
  |
9 | sise = 5
  | ^^^^
  = allowed: `connect_timeout`, `idle_timeout`, `max_lifetime`, `min_idle`, `prepared_statements_max`, `queue_limit`, `queue_timeout`, `size`
  = help: did you mean `size`?";
    assert_eq!(found[0].to_string(), expected);
}

#[test]
fn what_looks_wrong_but_works_is_a_warning() {
    let text = format!(
        "{BASE}[general]\nadmin_users = [\"admni\"]\n[[user]]\nname = \"admin\"\n\
         [[hba]]\nuser = \"ghost\"\ndatabase = \"shpo\"\nmethod = \"trust\"\n"
    );
    let warnings: Vec<String> =
        parse_in(Path::new(""), &text).unwrap().warnings.iter().map(|d| d.one_line()).collect();
    assert_eq!(
        warnings,
        [
            "f:9:16: warning: `admin_users` names \"admni\", which no [[user]] defines (did you mean `admin`?)",
            "f:13:8: warning: the rule names the user \"ghost\", which no [[user]] defines",
            "f:14:12: warning: the rule names the database \"shpo\", which no [[cluster]] defines (did you mean `shop`?)",
        ]
    );
}

#[test]
fn secrets_are_shown_nowhere() {
    let users = "[[user]]\nname = \"a\"\npassword = \"hunter2\"\nserver_password = \"hunter2\"\n";
    let clusters = BASE.replace(
        "[[cluster.shard]]",
        "maintenance_user = \"m\"\nmaintenance_password = \"hunter2\"\n[[cluster.shard]]",
    );
    let config = good(&format!("{clusters}{users}[auth]\nauth_user = \"u\"\nauth_password = \"hunter2\"\n"));
    assert!(!format!("{config:?} {:?}", config::settings(&config)).contains("hunter2"));
    for bad in [
        "[[user]]\nname = \"a\"\nverifier = \"hunter2\"",
        "[[user]]\nname = \"a\"\npasswrd = \"hunter2\"",
        "[[user]]\nname = \"a\"\npassword = [\"hunter2\"]",
        "[[user]]\nname = \"a\"\npassword = \"hunter2",
        "[[user]]\npassword = \"hunter2\" x",
        "user = [{ nam = \"a\", password = \"hunter2\" }]",
    ] {
        let source = SourceText::new("f", format!("{BASE}{bad}\n"));
        let found = config::parse(&source, Path::new("f"), &|_| None).unwrap_err();
        for diagnostic in found {
            let shown = format!("{diagnostic}\n{}\n{diagnostic:?}", diagnostic.one_line());
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}

#[test]
fn certificates_and_secrets_are_read_from_files_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.path().join("s.crt"), own.cert.pem()).unwrap();
    std::fs::write(folder.path().join("s.key"), own.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.path().join("password"), "from file\n").unwrap();
    let tls = "tls = { mode = \"require\", certificate = \"s.crt\", key = \"s.key\", client_ca = \"s.crt\" }\n[[cluster]]";
    let text = BASE.replacen("[[cluster]]", tls, 1)
        + "tls = { mode = \"verify-full\", root = \"s.crt\" }\n[[user]]\nname = \"a\"\npassword = \"file:password\"\n[[hba]]\ntype = \"hostssl\"\nmethod = \"cert\"\n\
           [[hba]]\ntype = \"hostssl\"\ndatabase = \"sameuser\"\nmethod = \"scram-sha-256\"\nclientcert = \"verify-ca\"\n";
    let config = parse_in(folder.path(), &text).unwrap().config;
    assert!(matches!(
        &config.listeners[0].tls,
        ListenerTls::Enabled { required: true, identity, client_ca: Some(_) } if identity.certificate.path == folder.path().join("s.crt")
    ));
    assert!(
        matches!(&config.users["a"].credential, Credential::Password(secret) if secret.expose() == "from file")
    );
    assert_eq!(config.files.len(), 3);
    let certs: Vec<HbaClientCert> = config.hba.iter().map(|rule| rule.client_cert).collect();
    assert_eq!(certs, [HbaClientCert::NotAsked, HbaClientCert::VerifyCa]);
    let shown = config::settings(&config);
    let shown = shown.iter().find(|setting| setting.key == "hba.1").unwrap();
    assert_eq!(shown.value, "hostssl sameuser all all scram-sha-256 clientcert=verify-ca");
    assert_eq!(parse_in(folder.path(), &text).unwrap().warnings, [], "sameuser is no unknown database");
    let loose = text.replacen("method = \"cert\"", "method = \"cert\"\nclientcert = \"verify-ca\"", 1);
    let found = parse_in(folder.path(), &loose).unwrap_err();
    assert!(found[0].contains("which asks for more"), "{found:#?}");
    let swapped = text.replacen("key = \"s.key\"", "key = \"s.crt\"", 1);
    let found = parse_in(folder.path(), &swapped).unwrap_err();
    assert!(found[0].contains("a PEM file with -----BEGIN PRIVATE KEY-----"), "{found:#?}");
}

#[test]
fn example_file_is_valid() {
    let text = std::fs::read_to_string("howdah.example.toml").unwrap();
    let loaded = parse_in(Path::new(""), &text).unwrap();
    assert_eq!(loaded.warnings, []);
    assert!(matches!(loaded.config.users["app"].credential, Credential::Password(_)));
}

#[test]
fn files_shown_in_the_documentation_are_valid() {
    let mut pages = vec![std::path::PathBuf::from("README.md"), "docs".into()];
    let mut shown = 0;
    while let Some(page) = pages.pop() {
        if page.is_dir() {
            pages.extend(std::fs::read_dir(&page).unwrap().map(|entry| entry.unwrap().path()));
        } else if page.extension().is_some_and(|extension| extension == "md") && page.exists() {
            let text = std::fs::read_to_string(&page).unwrap();
            let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
            for block in blocks.filter(|block| block.contains("[[listener]]")) {
                let found: Vec<String> = errors(block)
                    .into_iter()
                    .filter(|e| !e.contains("cannot read") && !e.contains("is not set"))
                    .collect();
                assert!(found.is_empty(), "{}\n{found:#?}", page.display());
                shown += 1;
            }
        }
    }
    assert!(shown < 1000);
}

#[test]
fn reference_page_is_current() {
    let page = std::fs::read_to_string("docs/reference/configuration.md").unwrap_or_default();
    assert!(
        page == config::reference(),
        "docs/reference/configuration.md is out of date; run:\n  cargo run -- schema --markdown > docs/reference/configuration.md"
    );
}

/// The keys of a table in the schema with their defaults, as TOML.
fn schema_defaults(table: &str) -> String {
    let schema: serde_json::Value = serde_json::from_str(&config::schema()).expect("the schema is JSON");
    let properties = schema["$defs"][table]["properties"].as_object().expect("the table has keys").clone();
    let written =
        properties.iter().filter_map(|(key, shape)| Some(format!("{key} = {}\n", shape.get("default")?)));
    written.collect()
}

#[test]
fn defaults_in_the_schema_are_those_in_force() {
    let (listener, shard) = ("[[cluster]]", "[[cluster.shard]]");
    let text = BASE
        .replacen("127.0.0.1:6432", "127.0.0.1", 1)
        .replacen(listener, &format!("{}{listener}", schema_defaults("Listener")), 1)
        .replacen(shard, &format!("{}{shard}", schema_defaults("Cluster")), 1)
        + &format!("[cluster.pool]\n{}[general]\n{}", schema_defaults("Pool"), schema_defaults("General"));
    assert!(text.contains("prepared_statements_max = 500") && text.contains("pooling = \"transaction\""));
    assert_eq!(good(&text), good(BASE));
    let hba = |keys: &str| good(&format!("{BASE}[[hba]]\nmethod = \"trust\"\n{keys}")).hba;
    assert_eq!(hba(&schema_defaults("Hba")), hba(""));
    let auth = |keys: &str| good(&format!("{BASE}[auth]\nauth_user = \"u\"\n{keys}")).auth_query;
    assert_eq!(auth(&schema_defaults("Auth")), auth(""));
}

#[test]
fn every_key_in_the_schema_is_explained_and_nothing_else_is_allowed() {
    let schema: serde_json::Value = serde_json::from_str(&config::schema()).unwrap();
    for (name, table) in schema["$defs"].as_object().unwrap() {
        let Some(properties) = table.get("properties") else { continue };
        assert_eq!(table["additionalProperties"], false, "{name}");
        for (key, shape) in properties.as_object().unwrap() {
            assert!(shape["description"].as_str().is_some_and(|text| !text.is_empty()), "{name}.{key}");
        }
    }
}

fn open(text: &str) -> (tempfile::TempDir, std::sync::Arc<ConfigStore>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("howdah.toml");
    std::fs::write(&path, text).expect("writable");
    let (store, _) = ConfigStore::open(&path, Box::new(|_| Vec::new())).expect("a good file");
    (folder, store)
}

#[test]
fn reload_reports_what_changed_and_what_needs_a_restart() {
    let (folder, store) = open(BASE);
    let mut changes = store.subscribe();
    let before = store.current();
    assert_eq!(store.reload().unwrap(), config::ReloadReport::default());
    let text = BASE.replace("6432", "6433")
        + "[cluster.pool]\nsize = 7\n[[user]]\nname = \"a\"\n[general]\nclient_limit = 9\n";
    std::fs::write(folder.path().join("howdah.toml"), text).unwrap();
    let report = store.reload().unwrap();
    assert_eq!(report.changed, ["general", "listener", "user a", "cluster shop"]);
    assert_eq!(report.needs_restart, ["listener.address"]);
    assert_eq!(store.current().clusters["shop"].pool.size, 7);
    assert_eq!(before.clusters["shop"].pool.size, 20);
    assert_eq!(changes.borrow_and_update().general.client_limit, 9);
}

#[test]
fn bad_file_or_failed_check_leaves_the_old_configuration_in_force() {
    let (folder, store) = open(BASE);
    let before = store.current();
    let path = folder.path().join("howdah.toml");
    std::fs::write(&path, format!("{BASE}nonsense = 1\nmore = 2\n")).unwrap();
    assert_eq!(store.reload().unwrap_err().len(), 2);
    std::fs::write(&path, b"\xff\xfe").unwrap();
    assert!(store.reload().unwrap_err()[0].message.contains("not UTF-8"));
    std::fs::remove_file(&path).unwrap();
    assert!(store.reload().unwrap_err()[0].message.contains("cannot read"));
    assert!(std::sync::Arc::ptr_eq(&before, &store.current()));
    std::fs::write(&path, BASE).unwrap();
    let refuse = |_: &Config| vec![howdah::diagnostic::Diagnostic::of_file("rules", "no")];
    assert_eq!(ConfigStore::open(&path, Box::new(refuse)).unwrap_err().len(), 1);
}

#[tokio::test]
async fn changed_file_is_put_in_force_by_itself() {
    let (folder, store) = open(BASE);
    let mut changes = store.subscribe();
    changes.mark_unchanged();
    config::watch(store.clone()).unwrap();
    // Editors write beside the file and rename; the watch may begin after the first write, so write again.
    let path = folder.path().join("howdah.toml");
    for size in 1..200 {
        std::fs::write(folder.path().join("new"), format!("{BASE}[cluster.pool]\nsize = {size}\n")).unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        if tokio::time::timeout(Duration::from_millis(500), changes.changed()).await.is_ok() {
            break;
        }
    }
    assert_eq!(store.current().clusters["shop"].shards.len(), 1);
    assert_ne!(store.current().clusters["shop"].pool.size, 20);
}

#[test]
fn any_text_is_read_or_refused_without_a_panic() {
    use proptest::prelude::*;
    let example = std::fs::read_to_string("howdah.example.toml").unwrap();
    proptest!(ProptestConfig::with_cases(400), |(at in 0usize..1600, cut in 0usize..40, put in "[\\[\\]{}=\"'\n#a-z0-9é\\\\.,-]{0,12}")| {
        let mut text: Vec<char> = example.chars().collect();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, put.chars());
        let text: String = text.into_iter().collect();
        let source = SourceText::new("f", text);
        if let Err(found) = config::parse(&source, Path::new("f"), &|_| None) {
            prop_assert!(!found.is_empty());
            for diagnostic in found {
                prop_assert!(!diagnostic.to_string().is_empty());
            }
        }
    });
}

mod program {
    use std::process::{Command, Output, Stdio};

    fn howdah(arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_howdah")).args(arguments).output().expect("howdah runs")
    }

    #[test]
    fn exit_codes_say_good_usage_and_bad_file() {
        assert_eq!(howdah(&["check", "--offline", "--config", "howdah.example.toml"]).status.code(), Some(0));
        for wrong in [
            &["check", "--offline", "--config", "Cargo.toml"][..],
            &["check", "--config", "no-such-file"],
            &["serve", "--config", "Cargo.toml"],
            &["serv"],
        ] {
            assert_eq!(howdah(wrong).status.code(), Some(2), "{wrong:?}");
        }
    }

    #[test]
    fn servers_that_cannot_be_reached_are_errors_in_the_json_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.toml");
        std::fs::write(&file, super::BASE.replace(":5501", ":1")).unwrap();
        let done = howdah(&["check", "--json", "--config", file.to_str().unwrap()]);
        assert_eq!(done.status.code(), Some(1));
        let found: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        let errors = found.as_array().unwrap().iter().filter(|finding| finding["status"] == "error");
        assert_eq!(errors.count(), 1, "{found:#}");
    }

    #[test]
    fn reader_that_goes_away_is_no_error() {
        for arguments in [&["schema"][..], &["completions", "bash"], &["schema", "--markdown"]] {
            let mut child = Command::new(env!("CARGO_BIN_EXE_howdah"))
                .args(arguments)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            drop(child.stdout.take());
            let done = child.wait_with_output().unwrap();
            assert!(done.status.success() && done.stderr.is_empty(), "{arguments:?} {done:?}");
        }
    }
}
