//! Which configuration file a command uses.

use super::output;
use std::path::PathBuf;

/// Where the file is looked for when none is named.
const PLACES: [&str; 2] = ["howdah.toml", "/etc/howdah/howdah.toml"];

/// The configuration file.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigFile {
    /// The configuration file [default: ./howdah.toml, then /etc/howdah/howdah.toml]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// The file that was named, or the first that exists, saying which; `None` after saying that none does.
    pub(super) fn find(&self) -> Option<PathBuf> {
        if let Some(named) = &self.config {
            return Some(named.clone());
        }
        let found = PLACES.map(PathBuf::from).into_iter().find(|place| place.is_file());
        match &found {
            Some(file) => output::say(&format!("using {}", file.display())),
            None => {
                let places = PLACES.join(" nor ");
                output::complain(&format!("there is neither {places}; name the file with --config"));
            }
        }
        found
    }
}
