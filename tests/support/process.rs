//! Processes and folders that must not outlive the test binary, however it ends.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// Reads `kill PID`, `done PID` and `rm DIR` lines until the test binary is gone, then acts on them.
const REAPER: &str = r#"
pids=" "; dirs=
while read -r verb arg; do
  case $verb in
    kill) pids="$pids$arg ";;
    done) pids=$(printf %s "$pids" | sed "s/ $arg / /");;
    rm) dirs="$dirs $arg";;
  esac
done
[ "$pids" = " " ] || kill -9 $pids 2>/dev/null
[ -z "$dirs" ] || rm -rf $dirs
"#;

fn tell(line: &str) {
    static REAPER_INPUT: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    let input = REAPER_INPUT.get_or_init(|| {
        #[expect(clippy::zombie_processes, reason = "the reaper outlives this process")]
        let child = Command::new("/bin/sh")
            .args(["-c", REAPER])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("cannot start /bin/sh");
        Mutex::new(child.stdin.expect("stdin is a pipe"))
    });
    let mut input = input.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    writeln!(input, "{line}").expect("the reaper is gone");
}

/// Kills the process when this test binary ends.
pub fn kill_at_end(pid: u32) {
    tell(&format!("kill {pid}"));
}

/// The process has ended and its id may be another's: do not kill it.
pub fn ended(pid: u32) {
    tell(&format!("done {pid}"));
}

/// Removes the folder when this test binary ends.
pub fn remove_at_end(dir: &Path) {
    tell(&format!("rm {}", dir.display()));
}

/// A folder that goes with the test binary.
pub fn temporary_folder(name: &str) -> std::path::PathBuf {
    let dir = tempfile::Builder::new().prefix(&format!("howdah-test-{name}-")).tempdir().unwrap().keep();
    remove_at_end(&dir);
    dir
}

/// A TCP port that nobody listens on now.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
