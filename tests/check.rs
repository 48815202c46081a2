//! `howdah check` against live servers: what it finds, and that it shows no verifier.

#![expect(clippy::expect_used, reason = "how helpers of tests fail")]

use howdah::throwaway::{Options, Server};
use std::process::Command;

fn start(lines: &[&str]) -> Server {
    let config = lines.iter().map(|&line| line.to_owned()).collect();
    let options = Options { locale: "C.UTF-8".into(), config, ..Options::default() };
    Server::start(&options).expect("a throwaway server")
}

/// Runs `howdah check --json` over shards at these ports, with further lines.
fn check(ports: &[u16], superuser: &str, more: &str) -> (Option<i32>, String, Vec<(String, String, String)>) {
    let mut text = format!(
        "[[listener]]\naddress = \"127.0.0.1:6432\"\n{more}\n[[cluster]]\nname = \"postgres\"\nmaintenance_user = \"{superuser}\"\n"
    );
    for (number, port) in ports.iter().enumerate() {
        text += &format!("[[cluster.shard]]\nname = \"s{number}\"\nprimary = \"127.0.0.1:{port}\"\n");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("howdah.toml");
    std::fs::write(&file, text).expect("writable");
    let program = env!("CARGO_BIN_EXE_howdah");
    let done =
        Command::new(program).args(["check", "--json", "--config"]).arg(&file).output().expect("it runs");
    let shown = String::from_utf8(done.stdout).expect("UTF-8");
    let found: Vec<serde_json::Value> = serde_json::from_str(&shown).expect("a JSON list");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let rows = found.iter().map(|row| (text(&row["status"]), text(&row["subject"]), text(&row["message"])));
    (done.status.code(), shown.clone(), rows.collect())
}

#[test]
fn differences_between_shards_are_found_and_verifiers_stay_secret() {
    let (a, b) = (
        start(&["max_prepared_transactions = 200"]),
        start(&["max_prepared_transactions = 0", "bytea_output = 'escape'"]),
    );
    let key = "A".repeat(43) + "=";
    let verifier = format!("SCRAM-SHA-256$4096:c2FsdA==${key}:{key}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (server, password) in [(&a, verifier.as_str()), (&b, "another")] {
        runtime.block_on(async {
            let (client, connection) =
                server.config("postgres").connect(tokio_postgres::NoTls).await.unwrap();
            let create = format!("CREATE ROLE app LOGIN PASSWORD '{password}'");
            tokio::select! {
                done = client.batch_execute(&create) => done.unwrap(),
                ended = connection => ended.unwrap(),
            }
        });
    }
    let user = format!("[[user]]\nname = \"app\"\nverifier = \"{verifier}\"\n");
    let (code, shown, rows) = check(&[a.port(), b.port()], a.superuser(), &user);
    let has = |status: &str, subject: &str, part: &str| {
        rows.iter().any(|(s, on, message)| s == status && on == subject && message.contains(part))
    };
    assert_eq!(code, Some(1), "{rows:#?}");
    assert!(has("ok", "postgres/s0", "PostgreSQL 1"), "{rows:#?}");
    assert!(has("warning", "postgres/s1", "max_prepared_transactions is 0"), "{rows:#?}");
    assert!(has("warning", "postgres/s1", "the setting bytea_output is not as on postgres/s0"), "{rows:#?}");
    assert!(has("error", "postgres/s1", "the verifier of \"app\" is not the configured one"), "{rows:#?}");
    assert!(!has("error", "postgres/s0", ""), "{rows:#?}");
    assert!(!shown.contains("SCRAM-SHA-256$"), "{shown}");
}

#[test]
fn like_shards_pass_and_one_server_named_twice_does_not() {
    let server = start(&["max_prepared_transactions = 200"]);
    let (code, _, rows) = check(&[server.port()], server.superuser(), "");
    assert_eq!(code, Some(0), "{rows:#?}");
    let one = format!("primary = \"127.0.0.1:{}\"", server.port());
    let other = format!("primary = \"localhost:{}\"", server.port());
    let twice = format!(
        "[[cluster]]\nname = \"twice\"\nmaintenance_user = \"{}\"\n[[cluster.shard]]\nname = \"a\"\n{one}\ndatabase = \"postgres\"\n\
         [[cluster.shard]]\nname = \"b\"\n{other}\ndatabase = \"postgres\"\n",
        server.superuser()
    );
    let (code, _, rows) = check(&[server.port()], server.superuser(), &twice);
    assert_eq!(code, Some(1));
    assert!(
        rows.iter().any(|(_, on, message)| on == "twice/b" && message.contains("same server and database")),
        "{rows:#?}"
    );
}
