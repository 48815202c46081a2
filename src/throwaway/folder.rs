//! The folder of a throwaway server, the account that owns it, and the guard that cleans it up.
//!
//! It must not know what Postgres needs in the folder, except where its process id is written.

use super::Error;
use nix::unistd::{Gid, Uid, User};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The unprivileged user under whom servers run when this process is root: Postgres refuses root.
#[derive(Clone, Debug)]
pub(super) struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
}

impl Account {
    /// The account to change to: `None` when this process is not root, else `postgres` or `nobody`.
    pub(super) fn to_run_as() -> Result<Option<Account>, Error> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(None);
        }
        for name in ["postgres", "nobody"] {
            if let Ok(Some(user)) = User::from_name(name) {
                return Ok(Some(Account { name: user.name, uid: user.uid, gid: user.gid }));
            }
        }
        Err(Error::NoAccount)
    }

    /// The account's name, for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// A command that runs in `folder`, as `account` where there is one, and in a process group of its own, so
/// that Ctrl-C in the terminal reaches only the program that decides what it means.
pub(super) fn command(program: &Path, folder: &Path, account: Option<&Account>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null()).process_group(0);
    // Settings of the caller's own Postgres must not leak into this one.
    for name in ["PGDATA", "PGHOST", "PGPORT", "PGUSER", "PGOPTIONS", "PGSERVICE"] {
        command.env_remove(name);
    }
    if let Some(account) = account {
        // Also drops root's supplementary groups.
        command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    command
}

/// A folder that only its owner can enter; removed when it is dropped or its process dies, unless kept.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    keep: bool,
    /// Waits on a pipe whose other end dies with this process, then cleans up.
    guard: Child,
}

/// Stops the server that runs in folder $1 with signal $2, and removes the folder unless $3 says `keep`.
/// A process id with a minus (a single-user backend, during initdb) is not a server's.
const GUARD: &str = r#"
cat >/dev/null
cd /
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
case $pid in
''|*[!0-9]*) ;;
*)  kill -"$2" "$pid" 2>/dev/null
    n=0
    while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done ;;
esac
[ "$3" = keep ] && exit 0
n=0
while [ -e "$1" ] && [ $n -lt 50 ]; do rm -rf "$1" 2>/dev/null || sleep 0.1; n=$((n + 1)); done
"#;

impl Folder {
    /// A new, empty folder in the system's temporary folder, for this process's own files.
    ///
    /// # Errors
    /// When it cannot be made, or `/bin/sh` not be run.
    pub fn temporary() -> Result<Folder, Error> {
        Folder::create(None, false, None)
    }

    /// Makes a folder: at `path`, or a new one in the system's temporary folder.
    pub(super) fn create(
        path: Option<&Path>,
        keep: bool,
        account: Option<&Account>,
    ) -> Result<Folder, Error> {
        let path = match path {
            Some(path) => {
                std::fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(path)
                    .map_err(Error::folder(path))?;
                path.canonicalize().map_err(Error::folder(path))?
            }
            None => {
                let pattern = std::env::temp_dir().join("howdah-XXXXXX");
                nix::unistd::mkdtemp(&pattern).map_err(|error| Error::folder(&pattern)(error.into()))?
            }
        };
        if let Some(account) = account {
            chown(&path, Some(account.uid.as_raw()), Some(account.gid.as_raw()))
                .map_err(Error::folder(&path))?;
        }
        let (signal, fate) = if keep { ("INT", "keep") } else { ("QUIT", "remove") };
        let guard = command(Path::new("/bin/sh"), Path::new("/"), account)
            .args(["-c", GUARD, "howdah-guard"])
            .arg(&path)
            .args([signal, fate])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::run("/bin/sh"))?;
        let folder = Folder { path, keep, guard };
        folder.check_entry(account)?;
        Ok(folder)
    }

    /// Fails early, and clearly, where the unprivileged account cannot reach the folder.
    fn check_entry(&self, account: Option<&Account>) -> Result<(), Error> {
        let Some(account) = account else { return Ok(()) };
        let entered = command(Path::new("/bin/sh"), Path::new("/"), Some(account))
            .args(["-c", "cd \"$1\" 2>/dev/null", "sh"])
            .arg(&self.path)
            .status()
            .map_err(Error::run("/bin/sh"))?;
        if entered.success() {
            return Ok(());
        }
        Err(Error::Unreachable { folder: self.path.clone(), account: account.name().to_owned() })
    }

    /// Whether it stays when this value is dropped.
    pub(super) fn is_kept(&self) -> bool {
        self.keep
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // End of input is the guard's cue; the end of the guard means that the folder is gone.
        drop(self.guard.stdin.take());
        let _ended = self.guard.wait();
        if !self.keep && self.path.exists() {
            // The guard's account may not be able to reach it; this process may.
            let _gone = std::fs::remove_dir_all(&self.path);
        }
    }
}
