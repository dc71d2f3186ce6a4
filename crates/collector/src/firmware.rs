//! Updates: which fit a meter, handing them over, and seeing what became of them.
//!
//! A meter that took an update restarts and proves the new firmware on its own, when nobody is there. So what was pushed is
//! noted in the store, and each later visit looks: confirmed, still on trial, or left for the firmware before.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use firmware_package::{Package, PackageError, package::PACKAGE_BYTES_MAX};
use protocol::{
    event::{Event, What},
    firmware::SemanticVersion,
    messages::{FirmwareState, Info},
};

use crate::{
    Kind, WallClock,
    client::{ClientError, Session, UpdateProgress},
    error::Error,
    store::{History, Push, PushOutcome, SharedStore, StoreError},
};

/// Name of the folder of packages in the data directory.
pub const FOLDER: &str = "firmware";

/// Why an update was not handed over; the meter runs what it ran.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// It is for another chip.
    #[error("the update is for {package}, and this meter has {meter}")]
    Chip {
        /// What the update is for.
        package: String,
        /// What the meter is.
        meter: String,
    },
    /// The meter runs something newer.
    #[error("the update {package} is older than the firmware {meter} that the meter runs")]
    Older {
        /// Version of the update.
        package: String,
        /// Version that the meter runs.
        meter: String,
    },
    /// The meter's firmware is too old for the update.
    #[error(
        "the update asks for firmware {minimum} or newer, and the meter runs {meter}: push one in between first"
    )]
    TooFarAhead {
        /// Version that the update asks for.
        minimum: String,
        /// Version that the meter runs.
        meter: String,
    },
    /// The meter, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The meter took it, and that could not be noted here.
    #[error("the meter took the update, but that could not be noted here")]
    Store(#[from] StoreError),
}

impl PushError {
    /// Returns what the error means to the one who asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Chip { .. } | Self::Older { .. } | Self::TooFarAhead { .. } => Kind::Usage,
            Self::Client(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file cannot be read or written.
    #[error("{path} cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// What lies there is no update.
    #[error("{path}: {source}")]
    Package {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PackageError,
    },
    /// Another package has this version and chip already.
    #[error(
        "another update of version and chip {0} is kept already; a new build gets a new version"
    )]
    Differs(String),
}

impl FileError {
    /// Returns what the error means to the one who asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => Kind::NotFound,
            Self::File { .. } => Kind::Storage,
            Self::Package { .. } => Kind::Corrupt,
            Self::Differs(_) => Kind::Usage,
        }
    }
}

/// Reads a package from a file.
///
/// # Errors
/// [`FileError`].
pub fn read(path: &Path) -> Result<Package, FileError> {
    let bytes = bounded(path).map_err(|source| FileError::File {
        path: path.to_owned(),
        source,
    })?;
    Package::parse(bytes).map_err(|source| FileError::Package {
        path: path.to_owned(),
        source,
    })
}

/// Reads a file, and no more than a byte too many of it.
fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = PACKAGE_BYTES_MAX as u64 + 1;
    io::Read::read_to_end(
        &mut io::Read::take(fs::File::open(path)?, limit),
        &mut bytes,
    )?;
    Ok(bytes)
}

/// A file in the folder of packages: a package, or what is wrong with it.
pub type Found = (PathBuf, Result<Package, FileError>);

/// The packages in a data directory: `firmware/VERSION-CHIP.ofmon`.
#[derive(Clone, Debug)]
pub struct Packages {
    folder: PathBuf,
}

impl Packages {
    /// Names the folder of a data directory; it need not exist.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        Self {
            folder: data.join(FOLDER),
        }
    }

    /// Keeps a package; one that is there already stays.
    ///
    /// # Errors
    /// [`FileError::Differs`] where another image has its version and chip; what the file system says.
    pub fn add(&self, package: &Package) -> Result<PathBuf, FileError> {
        let path = self.folder.join(package.file_name());
        if let Ok(held) = read(&path) {
            if held.header().image_hash != package.header().image_hash {
                return Err(FileError::Differs(package.file_name()));
            }
            if held == *package {
                return Ok(path);
            }
        }
        let fresh = path.with_extension("new");
        let written = fs::create_dir_all(&self.folder)
            .and_then(|()| fs::write(&fresh, package.bytes()))
            .and_then(|()| fs::rename(&fresh, &path));
        match written {
            Ok(()) => Ok(path),
            Err(source) => {
                let _ = fs::remove_file(&fresh);
                Err(FileError::File { path, source })
            }
        }
    }

    /// Returns what lies there by file name: a package, or what is wrong with it.
    ///
    /// # Errors
    /// What the file system says of the folder.
    pub fn list(&self) -> Result<Vec<Found>, FileError> {
        let failed = |source| FileError::File {
            path: self.folder.clone(),
            source,
        };
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "ofmon")
            {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths
            .into_iter()
            .map(|path| {
                let package = read(&path);
                (path, package)
            })
            .collect())
    }
}

/// Tells whether an update is for a meter, by what the meter says of itself.
///
/// # Errors
/// [`PushError`] with the reason.
pub fn check(package: &Package, info: &Info) -> Result<(), PushError> {
    let header = package.header();
    if header.chip != info.chip {
        return Err(PushError::Chip {
            package: header.chip.as_str().to_owned(),
            meter: info.chip.as_str().to_owned(),
        });
    }
    // A meter whose version is none takes every update, as it does itself.
    if let Ok(runs) = info.firmware.parse::<SemanticVersion>() {
        if header.version.is_older_than(&runs) {
            return Err(PushError::Older {
                package: header.version.to_string(),
                meter: runs.to_string(),
            });
        }
        if runs.is_older_than(&header.minimum) {
            return Err(PushError::TooFarAhead {
                minimum: header.minimum.to_string(),
                meter: runs.to_string(),
            });
        }
    }
    Ok(())
}

/// Hands an update to a meter, and notes that it took it.
///
/// # Errors
/// [`PushError`]; what came of an update whose connection broke stays in the meter, and the next push goes on from there.
pub async fn push(
    store: &SharedStore,
    session: &Session,
    package: &Package,
    clock: &WallClock,
    progress: &mut (dyn FnMut(UpdateProgress) + Send),
) -> Result<Push, PushError> {
    let info = session.info().await?;
    check(package, &info)?;
    session.update(package, progress).await?;
    let header = package.header();
    let push = Push {
        device: info.device,
        store: info.store,
        version: header.version.to_string(),
        image_hash: header.image_hash,
        before: info.firmware.as_str().to_owned(),
        boot: info.boot,
        event: info.next_event,
        pushed_ms: clock.now_ms(),
        outcome: PushOutcome::OnTrial,
    };
    let noted = push.clone();
    store.run(move |store| store.note_push(&noted)).await?;
    Ok(push)
}

/// What a visit saw of a meter's firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Version that runs.
    pub version: String,
    /// Whether it is confirmed.
    pub confirmed: bool,
    /// The last update that was pushed from here, where nobody had seen before what became of it.
    pub push: Option<Push>,
}

/// Looks which firmware a meter runs and what became of the last update, and notes both; `None` for firmware that does not tell.
pub(crate) async fn look(
    store: &SharedStore,
    session: &Session,
    history: History,
    boot: u32,
) -> Result<Option<Seen>, Error> {
    let state = match session.firmware().await {
        Err(ClientError::Answered { .. }) => return Ok(None),
        state => state?,
    };
    let seen = store
        .run(move |store| -> Result<Seen, StoreError> {
            let last = store.last_push(history.device)?;
            let open = last.filter(|push| push.outcome == PushOutcome::OnTrial);
            let mut seen = Seen {
                version: state.version.as_str().to_owned(),
                confirmed: state.confirmed,
                push: None,
            };
            store.note_firmware(history.device, &seen.version)?;
            if let Some(mut push) = open {
                let events = match push.store == history.store {
                    true => store.events(history)?,
                    false => Vec::new(),
                };
                push.outcome = judge(&push, &state, boot, &events);
                if push.outcome != PushOutcome::OnTrial {
                    store.note_outcome(history.device, push.outcome)?;
                }
                seen.push = Some(push);
            }
            Ok(seen)
        })
        .await?;
    Ok(Some(seen))
}

/// Tells what became of an update: by the meter's log where that speaks of it, else by what it runs.
fn judge(push: &Push, state: &FirmwareState, boot: u32, events: &[Event]) -> PushOutcome {
    let since = events.iter().filter(|event| event.number >= push.event);
    let behind_it = since
        .map(|event| &event.what)
        .skip_while(
            |what| !matches!(what, What::FirmwareTaken { version } if *version == *push.version),
        )
        .skip(1)
        .take_while(|what| !matches!(what, What::FirmwareTaken { .. }));
    // Only firmware on trial confirms itself: what it calls itself does not matter.
    let told = behind_it
        .filter_map(|what| match what {
            What::FirmwareConfirmed { .. } => Some(PushOutcome::Confirmed),
            What::FirmwareLeft { .. } => Some(PushOutcome::Left),
            _ => None,
        })
        .last();
    if let Some(told) = told {
        return told;
    }
    let runs_it = state.version.as_str() == push.version;
    let has_restarted = boot != push.boot;
    match (runs_it && has_restarted, state.confirmed) {
        (true, true) => PushOutcome::Confirmed,
        // It leaves by itself, and says so in its log before it is confirmed again.
        (false, true) if has_restarted => PushOutcome::Left,
        _ => PushOutcome::OnTrial,
    }
}

#[cfg(test)]
mod tests;
