//! Howdah itself, in front of the demo's servers: its configuration, and its life inside this process.

use super::Error;
use crate::config::ConfigStore;
use crate::{server, telemetry};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long Howdah may take to end, once it is told to.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What `howdah.toml` needs to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings<'a> {
    pub(super) port: u16,
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) database: &'a str,
    pub(super) maintenance: &'a str,
    pub(super) maintenance_password: &'a str,
    pub(super) shard_ports: &'a [u16],
}

/// Writes `howdah.toml` and `sharding-rules/shop.toml` into `folder`, and gives the former's path.
pub(super) fn write_config(folder: &Path, settings: &Settings<'_>) -> Result<PathBuf, Error> {
    let rules = folder.join("sharding-rules");
    super::create_folder(&rules)?;
    super::write_private(&rules.join("shop.toml"), RULES)?;
    let file = folder.join("howdah.toml");
    super::write_private(&file, &config(&rules, settings))?;
    Ok(file)
}

fn config(rules: &Path, settings: &Settings<'_>) -> String {
    let Settings { port, user, password, database, maintenance, maintenance_password, shard_ports } =
        settings;
    // Debug's escapes are TOML's.
    let rules = rules.to_string_lossy();
    let mut text = format!(
        "# Written by `howdah demo`; `howdah serve` reads the same.\n\
         [general]\nadmin_users = [\"{user}\"]\nlog_level = \"warn\"\ndrain_timeout = \"1s\"\n\n\
         [[listener]]\naddress = \"127.0.0.1:{port}\"\n\n\
         [[user]]\nname = \"{user}\"\npassword = \"{password}\"\n\n\
         [[cluster]]\nname = \"{database}\"\nrules = {rules:?}\n\
         maintenance_user = \"{maintenance}\"\nmaintenance_password = \"{maintenance_password}\"\n"
    );
    for (index, port) in shard_ports.iter().enumerate() {
        // Writing to a String cannot fail.
        let _written =
            write!(text, "\n[[cluster.shard]]\nname = \"shard-{index}\"\nprimary = \"127.0.0.1:{port}\"\n");
    }
    text
}

/// The shop's sharding rules, which are also the repository's example.
pub(super) const RULES: &str = include_str!("../../../sharding-rules/shop.toml");

/// A Howdah that runs on a thread of this process.
#[derive(Debug)]
pub(super) struct Front {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<String>,
    thread: JoinHandle<()>,
}

impl Front {
    /// Starts Howdah with a configuration file and waits until clients can connect.
    pub(super) async fn start(config_file: PathBuf) -> Result<Front, Error> {
        let (ready_sender, ready) = oneshot::channel();
        let (stop, stop_receiver) = oneshot::channel();
        let (ended_sender, mut ended) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("howdah".to_owned())
            .spawn(move || {
                let result = serve(&config_file, ready_sender, stop_receiver);
                let reason = result.err().unwrap_or_else(|| "it stopped by itself".to_owned());
                // Nobody listens any more when the demo ends first.
                let _heard = ended_sender.send(reason);
            })
            .map_err(|source| Error::File { path: "a thread".into(), source })?;
        tokio::select! {
            biased;
            Ok(()) = ready => Ok(Front { stop, ended, thread }),
            reason = &mut ended => Err(Error::Front(reason.unwrap_or_else(|_| "it panicked".to_owned()))),
        }
    }

    /// Waits until Howdah ends although nobody asked it to. Cancel safe.
    pub(super) async fn failed(&mut self) -> Error {
        let reason = (&mut self.ended).await;
        Error::Front(reason.unwrap_or_else(|_| "it panicked".to_owned()))
    }

    /// Stops Howdah, and waits for its end as long as that is reasonable.
    pub(super) async fn stop(self) {
        // Both fail only when it has ended already.
        let _told = self.stop.send(());
        let ended = tokio::time::timeout(STOP_TIMEOUT, self.ended).await;
        if ended.is_ok() {
            let _joined = self.thread.join();
        }
    }
}

/// Runs Howdah until `stop`, also when its sender is gone; tells `ready` when clients can connect.
fn serve(config_file: &Path, ready: oneshot::Sender<()>, stop: oneshot::Receiver<()>) -> Result<(), String> {
    let opened = ConfigStore::open(config_file, Box::new(server::check_settings));
    let (store, _warnings) = opened.map_err(|found| {
        found.iter().map(|diagnostic| diagnostic.one_line()).collect::<Vec<_>>().join("; ")
    })?;
    let log = telemetry::init(&store.current().general).ok();
    let tell = move || {
        // Nobody listens any more when the demo has ended meanwhile.
        let _heard = ready.send(());
    };
    let shutdown = async move {
        let _told = stop.await;
    };
    server::run(store, log, tell, shutdown).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_toml_with_one_table_per_shard() {
        let settings = Settings {
            port: 6432,
            user: "shop",
            password: "shop",
            database: "shop",
            maintenance: "howdah",
            maintenance_password: "secret",
            shard_ports: &[5001, 5002, 5003],
        };
        let text = config(Path::new("/a \"folder\"/rules"), &settings);
        let value: toml::Table = text.parse().unwrap();
        let cluster = &value["cluster"][0];
        assert_eq!(cluster["rules"].as_str(), Some("/a \"folder\"/rules"));
        assert_eq!(cluster["shard"].as_array().map(Vec::len), Some(3));
        assert_eq!(cluster["shard"][2]["primary"].as_str(), Some("127.0.0.1:5003"));
    }
}
