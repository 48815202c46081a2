//! `howdah demo` as a user meets it: the psql line works as printed, the statements do what they say, and
//! after a signal no process and no folder is left.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(90);

/// A demo whose temporary folders all lie in a folder of its own.
struct Demo {
    child: Child,
    folder: PathBuf,
    /// What was printed, without indentation and empty lines.
    lines: Vec<String>,
}

impl Demo {
    fn start(arguments: &[&str]) -> Demo {
        let folder = tempfile::Builder::new().prefix("howdah-test-").tempdir().unwrap().keep();
        // As root, the servers run as another user, who must be able to make and remove folders in it.
        Command::new("chmod").arg("1777").arg(&folder).status().unwrap();
        let mut child = howdah(&folder).args(["demo", "--port", "0"]).args(arguments).spawn().unwrap();
        let mut lines = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap().trim().to_owned();
            let is_last = line.starts_with("Ctrl-C");
            lines.extend(Some(line).filter(|line| !line.is_empty()));
            if is_last {
                return Demo { child, folder, lines };
            }
        }
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        let _status = child.wait();
        panic!("the demo ended before it was ready: {errors}");
    }

    /// The printed lines that begin with a word.
    fn printed(&self, start: &str) -> Vec<&str> {
        self.lines.iter().map(String::as_str).filter(|line| line.starts_with(start)).collect()
    }

    /// Runs the psql line as printed, with one statement more.
    fn psql(&self, statement: &str) -> Output {
        let line = self.printed("psql ")[0];
        let command = format!("{line} -X -v VERBOSITY=verbose -c \"$STATEMENT\" </dev/null");
        Command::new("/bin/sh").args(["-c", &command]).env("STATEMENT", statement).output().unwrap()
    }

    /// The processes of this demo: itself and whatever has its folder in its arguments.
    fn processes(&self) -> Vec<String> {
        let folder = self.folder.to_string_lossy().into_owned();
        let list = Command::new("ps").args(["-eo", "args"]).output().unwrap();
        let text = String::from_utf8_lossy(&list.stdout).into_owned();
        text.lines().filter(|line| line.contains(&folder)).map(str::to_owned).collect()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for the demo's end, then until nothing of it is left.
    fn assert_gone(&mut self) -> Option<i32> {
        let code = self.child.wait().unwrap().code();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (processes, files) = (self.processes(), entries(&self.folder));
            if processes.is_empty() && files.is_empty() {
                return code;
            }
            assert!(Instant::now() < deadline, "left behind: {processes:?} {files:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        let _removed = std::fs::remove_dir_all(&self.folder);
    }
}

fn howdah(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_howdah"));
    command.env("TMPDIR", folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_printed_psql_line_and_statements_work_and_ctrl_c_leaves_nothing() {
    let mut demo = Demo::start(&[]);
    let selects = demo.printed("SELECT ");
    let [by_key, join, scatter, sorted, count, groups, products, month, single, refused] = selects[..] else {
        panic!("{selects:?}")
    };

    assert!(text(&demo.psql(by_key)).contains("(1 row)"));
    assert!(!text(&demo.psql(join)).contains("(0 rows)"));
    // Icelanders live on more than one shard; the shards' own answers add up to Howdah's.
    let on_shards: usize = demo.printed("psql ").iter().skip(2).map(|line| rows_through(line, scatter)).sum();
    assert_eq!(rows_through(demo.printed("psql ")[0], scatter), on_shards);
    assert!(on_shards > 0);
    assert!(text(&demo.psql(sorted)).contains("(5 rows)"));
    let counted = text(&demo.psql(count));
    let rows: u64 = counted.lines().nth(2).unwrap().split('|').next().unwrap().trim().parse().unwrap();
    assert!((30_000..45_000).contains(&rows), "{counted}");
    assert!(text(&demo.psql(groups)).contains("(4 rows)"));
    assert!(text(&demo.psql(products)).contains("Table"));
    assert!(text(&demo.psql(month)).contains("(1 row)"));
    assert!(text(&demo.psql(single)).contains("(3 rows)"));
    let plan = text(&demo.psql(demo.printed("EXPLAIN ")[0]));
    assert!(plan.to_lowercase().contains("shard"), "{plan}");
    assert!(text(&demo.psql(demo.printed("UPDATE ")[0])).contains("UPDATE 1"));
    assert!(text(&demo.psql(by_key)).contains("Oslo"));

    let refusal = demo.psql(refused);
    let message = String::from_utf8_lossy(&refusal.stderr).into_owned();
    assert!(!refusal.status.success());
    assert!(message.contains("0A000") && message.contains("HINT:"), "{message}");

    let pools = Command::new("/bin/sh").args(["-c", demo.printed("psql ")[1]]).output().unwrap();
    assert!(text(&pools).contains("shop"));

    demo.signal("INT");
    assert_eq!(demo.assert_gone(), Some(0));
}

fn rows_through(psql: &str, statement: &str) -> usize {
    let command = format!("{psql} -XAt -c \"$STATEMENT\"");
    let output = Command::new("/bin/sh").args(["-c", &command]).env("STATEMENT", statement).output();
    text(&output.unwrap()).lines().count()
}

#[test]
fn a_closed_terminal_or_kill_9_leaves_nothing_either() {
    for name in ["HUP", "KILL"] {
        let mut demo = Demo::start(&["--shards", "2"]);
        assert!(!demo.processes().is_empty());
        demo.signal(name);
        demo.assert_gone();
    }
}

#[test]
fn a_signal_during_set_up_leaves_nothing() {
    let folder = tempfile::Builder::new().prefix("howdah-test-").tempdir().unwrap().keep();
    Command::new("chmod").arg("1777").arg(&folder).status().unwrap();
    let child = howdah(&folder).args(["demo", "--port", "0"]).spawn().unwrap();
    let mut demo = Demo { child, folder, lines: Vec::new() };
    let deadline = Instant::now() + PATIENCE;
    while entries(&demo.folder).len() < 2 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    demo.signal("TERM");
    assert_eq!(demo.assert_gone(), Some(0));
}

#[test]
fn kept_data_are_used_again_and_another_number_of_shards_is_refused() {
    let kept = tempfile::Builder::new().prefix("howdah-kept-").tempdir().unwrap();
    Command::new("chmod").arg("1777").arg(kept.path()).status().unwrap();
    let folder = kept.path().join("demo");
    let folder = folder.to_str().unwrap();
    let mut first = Demo::start(&["--shards", "2", "--keep", folder]);
    let shard = first.printed("psql ")[2].to_owned();
    let change = format!("{shard} -qc 'UPDATE customers SET city = $$Tromsø$$'");
    text(&Command::new("/bin/sh").args(["-c", &change]).output().unwrap());
    first.signal("TERM");
    assert_eq!(first.assert_gone(), Some(0));

    let mut second = Demo::start(&["--keep", folder]);
    let cities = rows_through(second.printed("psql ")[2], "SELECT DISTINCT city FROM customers");
    assert_eq!(cities, 1);
    second.signal("TERM");
    assert_eq!(second.assert_gone(), Some(0));

    let refused =
        howdah(Path::new("/tmp")).args(["demo", "--port", "0", "--shards", "3", "--keep", folder]).output();
    let refused = refused.unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("2 shards, not 3"), "{message}");
}

#[test]
fn a_taken_port_is_told_before_anything_is_started() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let output = howdah(Path::new("/tmp")).args(["demo", "--port", &port]).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(message.contains(&port) && message.contains("--port"), "{message}");
    assert!(!message.contains("starting"), "{message}");
}
