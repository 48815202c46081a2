//! The configuration in force, and how another takes its place.
//!
//! A file with any error leaves the old configuration in force. What is swapped is one pointer: whoever
//! took the old value keeps it until done.

use super::{Config, Loaded, load};
use crate::diagnostic::Diagnostic;
use arc_swap::ArcSwap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// A further condition on a configuration before it is put in force, such as that its sharding rules are
/// right.
pub type Check = Box<dyn Fn(&Config) -> Vec<Diagnostic> + Send + Sync>;

/// Something that follows every reload that succeeds, such as the log's level.
pub type Observer = Box<dyn Fn(&Config) + Send + Sync>;

/// What a reload changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadReport {
    /// Parts that differ from before, in the file's words.
    pub changed: Vec<String>,
    /// Parts that differ from what the process was started with and need a restart.
    pub needs_restart: Vec<String>,
    /// What the file's author should look at.
    pub warnings: Vec<Diagnostic>,
}

/// The configuration in force.
pub struct ConfigStore {
    path: PathBuf,
    check: Check,
    started: Arc<Config>,
    current: ArcSwap<Config>,
    changes: watch::Sender<Arc<Config>>,
    observers: Mutex<Vec<Observer>>,
    /// Held during a reload, so that two do not overtake each other.
    reloading: Mutex<()>,
}

impl std::fmt::Debug for ConfigStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ConfigStore {
    /// Loads the file that the process starts with; also gives its warnings.
    ///
    /// # Errors
    /// Every error of the file, and what `check` finds.
    pub fn open(path: &Path, check: Check) -> Result<(Arc<Self>, Vec<Diagnostic>), Vec<Diagnostic>> {
        let Loaded { config, warnings } = load_checked(path, &check)?;
        let config = Arc::new(config);
        let store = ConfigStore {
            path: path.to_path_buf(),
            check,
            started: Arc::clone(&config),
            current: ArcSwap::new(Arc::clone(&config)),
            changes: watch::Sender::new(config),
            observers: Mutex::new(Vec::new()),
            reloading: Mutex::new(()),
        };
        Ok((Arc::new(store), warnings))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration in force.
    pub fn current(&self) -> Arc<Config> {
        self.current.load_full()
    }

    /// Follows the configuration. A value is sent after every reload that succeeds, also one that equals
    /// the last: files that it names, such as sharding rules, may have changed.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Config>> {
        self.changes.subscribe()
    }

    /// Calls `observer` with the new configuration after every reload that succeeds.
    pub fn on_reload(&self, observer: Observer) {
        self.observers.lock().unwrap_or_else(PoisonError::into_inner).push(observer);
    }

    /// Reads the file again and puts it in force. Blocks on the file system.
    ///
    /// # Errors
    /// Every error of the file, and what the further check finds; then the old one stays in force.
    pub fn reload(&self) -> Result<ReloadReport, Vec<Diagnostic>> {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let Loaded { config, warnings } = load_checked(&self.path, &self.check)?;
        let changed = changed_parts(&self.current.load(), &config);
        let needs_restart = restart_parts(&self.started, &config);
        let config = Arc::new(config);
        self.current.store(Arc::clone(&config));
        for observer in self.observers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            observer(&config);
        }
        self.changes.send_replace(config);
        Ok(ReloadReport { changed, needs_restart, warnings })
    }

    /// Reloads, and logs what came of it.
    pub fn reload_and_log(&self) {
        match self.reload() {
            Ok(report) => {
                for warning in &report.warnings {
                    tracing::warn!("{}", warning.one_line());
                }
                let changed = report.changed.join(", ");
                tracing::info!(changed, "configuration reloaded");
                if !report.needs_restart.is_empty() {
                    let parts = report.needs_restart.join(", ");
                    tracing::warn!(parts, "changes that take effect after a restart");
                }
            }
            Err(found) => {
                for diagnostic in &found {
                    tracing::error!("{}", diagnostic.one_line());
                }
                tracing::error!("configuration not reloaded: the one before stays in force");
            }
        }
    }
}

fn load_checked(path: &Path, check: &Check) -> Result<Loaded, Vec<Diagnostic>> {
    let mut loaded = load(path)?;
    let found = check(&loaded.config);
    loaded.warnings.extend(found);
    if loaded.warnings.iter().any(Diagnostic::is_error) { Err(loaded.warnings) } else { Ok(loaded) }
}

/// The parts in which two configurations differ.
fn changed_parts(old: &Config, new: &Config) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = |differs: bool, name: &str| {
        if differs {
            parts.push(name.to_owned());
        }
    };
    part(old.general != new.general, "general");
    part(old.listeners != new.listeners, "listener");
    part(old.auth_query != new.auth_query, "auth");
    part(old.hba != new.hba, "hba");
    for (name, user) in &new.users {
        part(old.users.get(name) != Some(user), &format!("user {name}"));
    }
    for name in old.users.keys().filter(|name| !new.users.contains_key(*name)) {
        part(true, &format!("user {name} (removed)"));
    }
    for (name, cluster) in &new.clusters {
        part(old.clusters.get(name) != Some(cluster), &format!("cluster {name}"));
    }
    for name in old.clusters.keys().filter(|name| !new.clusters.contains_key(*name)) {
        part(true, &format!("cluster {name} (removed)"));
    }
    parts
}

/// The parts that differ and cannot change in a running process.
fn restart_parts(started: &Config, new: &Config) -> Vec<String> {
    let addresses = |config: &Config| {
        config.listeners.iter().map(|listener| listener.address.clone()).collect::<Vec<_>>()
    };
    let (a, b) = (&started.general, &new.general);
    [
        (addresses(started) != addresses(new), "listener.address"),
        (a.threads != b.threads, "general.threads"),
        (a.log_format != b.log_format, "general.log_format"),
        (a.cluster_name != b.cluster_name, "general.cluster_name"),
        (a.plan_cache_entries != b.plan_cache_entries, "general.plan_cache_entries"),
    ]
    .into_iter()
    .filter(|(differs, _)| *differs)
    .map(|(_, name)| name.to_owned())
    .collect()
}
