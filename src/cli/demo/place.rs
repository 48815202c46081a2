//! Where a demo's files are: a temporary folder, or one that stays (`--keep`) and is used again.

use super::Error;
use crate::throwaway::Folder;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file that says that a kept folder holds a whole demo; written when everything is loaded.
const STATE_FILE: &str = "demo.json";

/// What a later start with the same folder must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// How many shards the data are spread over.
    pub(super) shards: u16,
    /// The password of the shards' superuser and of the maintenance role.
    pub(super) password: String,
}

/// The folder of one demo.
#[derive(Debug)]
pub(super) enum Place {
    /// Goes with the demo.
    Temporary(Folder),
    /// Stays.
    Kept(PathBuf),
}

impl Place {
    /// Opens the place, with the state that a kept one has from an earlier demo.
    pub(super) fn open(keep: Option<&Path>) -> Result<(Place, Option<State>), Error> {
        let Some(path) = keep else {
            return Ok((Place::Temporary(Folder::temporary()?), None));
        };
        // The servers' account, where it is another, must be able to pass.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
        made.and_then(|()| path.canonicalize()).map_err(Error::file(path)).and_then(|path| {
            let state = read_state(&path)?;
            Ok((Place::Kept(path), state))
        })
    }

    /// Where Howdah's own files are.
    pub(super) fn path(&self) -> &Path {
        match self {
            Place::Temporary(folder) => folder.path(),
            Place::Kept(path) => path,
        }
    }

    /// The folder that stays after the demo, if one does.
    pub(super) fn kept(&self) -> Option<&Path> {
        match self {
            Place::Temporary(_) => None,
            Place::Kept(path) => Some(path),
        }
    }

    /// Notes that the demo is whole; only a kept one is asked later.
    pub(super) fn save(&self, state: &State) -> Result<(), Error> {
        let Place::Kept(path) = self else { return Ok(()) };
        let file = path.join(STATE_FILE);
        let text = serde_json::to_string(state).map_err(|error| Error::file(&file)(error.into()))?;
        super::write_private(&file, &text)
    }
}

fn read_state(folder: &Path) -> Result<Option<State>, Error> {
    let file = folder.join(STATE_FILE);
    match std::fs::read_to_string(&file) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| Error::file(&file)(error.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut entries = std::fs::read_dir(folder).map_err(Error::file(folder))?;
            match entries.next() {
                None => Ok(None),
                Some(_) => Err(Error::NotADemo(folder.to_owned())),
            }
        }
        Err(error) => Err(Error::file(&file)(error)),
    }
}

/// Makes a folder that only this user can enter, unless it exists.
pub(super) fn create_folder(path: &Path) -> Result<(), Error> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::file(path))
}

/// Writes a file that only this user can read.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let file = std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_place_remembers_its_state_and_a_foreign_folder_is_refused() {
        let parent = Folder::temporary().unwrap();
        let path = parent.path().join("deep/demo");
        let (place, state) = Place::open(Some(&path)).unwrap();
        assert_eq!(state, None);
        let state = State { shards: 3, password: "secret".to_owned() };
        place.save(&state).unwrap();
        assert_eq!(Place::open(Some(&path)).unwrap().1, Some(state));

        let error = Place::open(Some(parent.path())).unwrap_err().to_string();
        assert!(error.contains("not empty"), "{error}");
        std::fs::write(path.join(STATE_FILE), "{}").unwrap();
        assert!(matches!(Place::open(Some(&path)), Err(Error::File { .. })));
    }

    #[test]
    fn a_temporary_place_goes_when_dropped() {
        let (place, state) = Place::open(None).unwrap();
        let path = place.path().to_owned();
        assert!(path.exists() && state.is_none() && place.kept().is_none());
        drop(place);
        assert!(!path.exists());
    }
}
