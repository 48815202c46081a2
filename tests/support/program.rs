//! Programs that speak to a server: psql and pgbench.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// A Postgres client program, told to connect as `app` to database `app` on `port`.
pub fn client_program(name: &str, port: u16) -> Command {
    let mut command = Command::new(name);
    for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("PG")) {
        command.env_remove(variable);
    }
    command
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", port.to_string())
        .env("PGUSER", "app")
        .env("PGDATABASE", "app")
        .env("PGSSLMODE", "disable")
        .env("PGGSSENCMODE", "disable")
        .env("LC_ALL", "C.UTF-8");
    command
}

/// Runs psql over a script; gives what it printed and how it ended.
pub fn psql(port: u16, arguments: &[&str], script: &str) -> Output {
    let mut child = client_program("psql", port)
        .args(["-X", "-f", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cannot start psql");
    let mut input = child.stdin.take().unwrap();
    let script = script.to_owned();
    let writer = std::thread::spawn(move || {
        let _ = input.write_all(script.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// Runs pgbench.
///
/// # Panics
/// Where it fails or counts a failed transaction.
pub fn pgbench(port: u16, arguments: &[&str]) -> String {
    let output = client_program("pgbench", port).args(arguments).output().expect("cannot start pgbench");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = complained.lines().rev().take(10).collect();
    assert!(output.status.success(), "pgbench {arguments:?} failed:\n{}", tail.join("\n"));
    let is_bench = printed.contains("transaction type");
    let none_failed = printed.contains("number of failed transactions: 0 ");
    assert!(!is_bench || none_failed, "pgbench {arguments:?}:\n{printed}\n{}", tail.join("\n"));
    printed
}
