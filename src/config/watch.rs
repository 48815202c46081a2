//! Reloads when the file changes or the process gets SIGHUP, on a thread of its own.
//!
//! Folders are watched, not files: editors replace files, and Kubernetes swaps a link beside them. An
//! event only means "look": the files' contents decide whether anything changed.

use super::{Config, ConfigStore};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Files must be left alone for this long before they are read.
const QUIET: Duration = Duration::from_millis(200);

/// Starts the thread that reloads `store` on SIGHUP and on changes of its files.
///
/// Where folders cannot be watched (a limit of the system, a network file system) that is logged, and
/// SIGHUP still works. The thread ends with the process.
///
/// # Errors
/// When no thread or signal handler is to be had.
pub fn watch(store: Arc<ConfigStore>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let hangups = {
        let _in_runtime = runtime.enter();
        signal(SignalKind::hangup())?
    };
    let run = move || runtime.block_on(follow(store, hangups));
    std::thread::Builder::new().name("howdah-reload".to_owned()).spawn(run).map(|_detached| ())
}

async fn follow(store: Arc<ConfigStore>, mut hangups: tokio::signal::unix::Signal) {
    let (sender, mut events) = mpsc::channel(1);
    let mut folders = Folders::new(sender);
    let mut seen = fingerprint(&store.current());
    loop {
        folders.watch(&store.current());
        tokio::select! {
            hangup = hangups.recv() => if hangup.is_none() { return },
            event = events.recv() => {
                if event.is_none() { return }
                while let Ok(Some(())) = tokio::time::timeout(QUIET, events.recv()).await {}
                if fingerprint(&store.current()) == seen { continue }
            }
        }
        store.reload_and_log();
        seen = fingerprint(&store.current());
    }
}

/// The folders that are watched.
struct Folders {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Folders {
    fn new(sender: mpsc::Sender<()>) -> Self {
        let on_event = move |event: notify::Result<notify::Event>| {
            let is_read = event.is_ok_and(|event| event.kind.is_access());
            if !is_read {
                // A full channel means that a look is due already.
                let _full_or_sent = sender.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(on_event);
        if let Err(error) = &watcher {
            tracing::warn!(%error, "cannot watch the configuration file: reload it by SIGHUP");
        }
        Folders { watcher: watcher.ok(), watched: BTreeSet::new() }
    }

    /// Watches the folders that a configuration needs, and no others.
    fn watch(&mut self, config: &Config) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted = folders(config);
        for folder in self.watched.difference(&wanted) {
            drop(watcher.unwatch(folder));
        }
        for folder in wanted.difference(&self.watched) {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                let folder = folder.display();
                tracing::warn!(%error, %folder, "cannot watch a folder: reload by SIGHUP after changes in it");
            }
        }
        self.watched = wanted;
    }
}

fn folders(config: &Config) -> BTreeSet<PathBuf> {
    let parents = std::iter::once(&config.path).chain(&config.files).map(|file| folder_of(file));
    parents.chain(config.clusters.values().filter_map(|cluster| cluster.rules.clone())).collect()
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// A hash of the contents of every file that the configuration consists of.
fn fingerprint(config: &Config) -> u64 {
    let mut files: Vec<PathBuf> = config.files.clone();
    files.push(config.path.clone());
    for folder in config.clusters.values().filter_map(|cluster| cluster.rules.as_ref()) {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        files.extend(entries.filter(|path| path.extension().is_some_and(|found| found == "toml")));
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.hash(&mut hasher);
        std::fs::read(&file).ok().hash(&mut hasher);
    }
    hasher.finish()
}
