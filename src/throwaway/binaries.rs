//! Finds the Postgres programs of this machine: on the PATH, then where distributions put them.
//!
//! It must not install anything and must not look at running clusters.

use super::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest major version that Howdah works with.
pub const OLDEST_MAJOR: u32 = 15;

/// A folder with `initdb` and `postgres` of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    folder: PathBuf,
    major: u32,
}

impl Binaries {
    /// Finds Postgres 15 or newer: the first on the PATH, else the newest that a distribution installed.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], which names the package to install.
    pub fn find() -> Result<Binaries, Error> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path = std::env::split_paths(&path).filter_map(|folder| Binaries::at(&folder));
        let installed = installed_folders().into_iter().filter_map(|folder| Binaries::at(&folder));
        on_path
            .into_iter()
            .find(Binaries::is_supported)
            .or_else(|| installed.filter(Binaries::is_supported).max_by_key(|found| found.major))
            .ok_or(Error::NotInstalled)
    }

    /// The programs in one folder, or `None` when it has no working `initdb` and `postgres`.
    pub fn at(folder: &Path) -> Option<Binaries> {
        if !folder.join("initdb").is_file() {
            return None;
        }
        let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
        let major = major_version(&String::from_utf8_lossy(&output.stdout))?;
        Some(Binaries { folder: folder.to_owned(), major })
    }

    /// The path of one program, such as `initdb`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The major version: 15, 16, ...
    pub fn major(&self) -> u32 {
        self.major
    }

    fn is_supported(&self) -> bool {
        self.major >= OLDEST_MAJOR
    }
}

/// Reads the major version from `postgres (PostgreSQL) 15.8 (Debian ...)`, also `17beta1` and `18devel`.
fn major_version(text: &str) -> Option<u32> {
    let word = text.split_whitespace().nth(2)?;
    let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Folders in which Debian, Ubuntu, the PGDG packages for Red Hat, and Homebrew put the server's programs.
fn installed_folders() -> Vec<PathBuf> {
    let places = [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
    ];
    let mut folders = Vec::new();
    for (parent, prefix, inner) in places {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                folders.push(entry.path().join(inner));
            }
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_is_read_from_releases_and_previews() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 17beta1"), Some(17));
        assert_eq!(major_version("postgres (PostgreSQL) 18devel"), Some(18));
        assert_eq!(major_version("postgres"), None);
        assert_eq!(major_version("postgres (PostgreSQL) x"), None);
    }

    #[test]
    fn a_folder_without_initdb_is_not_postgres() {
        assert_eq!(Binaries::at(Path::new("/nonexistent")), None);
    }
}
