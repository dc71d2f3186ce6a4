//! Tokens and passwords, apart from the store.
//!
//! | name | secret |
//! |---|---|
//! | `token:ID` | the access token that meter ID has: it answered with it |
//! | `pending-token:ID` | one that was sent to it; whether it has it is not known |
//! | `next-token:ID` | one that it is to get with the next visit |
//! | `wifi:ID` | password of its access point |
//! | `code:ID` | code that opens its own page |
//! | `server-session` | stands for the password of the account on the server |
//!
//! One file of mode 0600 in the data directory, replaced in one step. Its content reaches no log and no error text: a
//! [`Secret`] does not even show itself to `Debug`, and its memory is wiped when it goes.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use protocol::DeviceId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::Kind;

/// Name of the file in the data directory.
pub const SECRETS_FILE: &str = "secrets.json";
/// Largest file that is read, in bytes: ten thousand tokens.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Something that must not be seen.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the text, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why secrets cannot be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretsError {
    /// The file cannot be read or written.
    #[error("the file of tokens {} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// The file is not one of ours; what it holds is not quoted.
    #[error("{} is no file of tokens; move it away to begin anew", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl SecretsError {
    /// Returns what the error means to the one who asked.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::File { .. } => Kind::Storage,
            Self::Malformed { .. } => Kind::Corrupt,
        }
    }
}

/// The secrets of one data directory.
#[derive(Debug)]
pub struct Secrets {
    path: PathBuf,
    by_name: BTreeMap<String, Secret>,
}

impl Secrets {
    /// Reads the file; empty where there is none.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub fn open(directory: &Path) -> Result<Self, SecretsError> {
        let path = directory.join(SECRETS_FILE);
        let by_name = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(source) => return Err(SecretsError::File { path, source }),
            Ok(meta) if meta.len() > FILE_BYTES_MAX => {
                return Err(SecretsError::Malformed { path });
            }
            Ok(_) => match fs::read(&path).map(Zeroizing::new) {
                Ok(bytes) => serde_json::from_slice(&bytes)
                    .map_err(|_| SecretsError::Malformed { path: path.clone() })?,
                Err(source) => return Err(SecretsError::File { path, source }),
            },
        };
        Ok(Self { path, by_name })
    }

    /// Returns a secret by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.by_name.get(name)
    }

    /// Keeps a secret; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`SecretsError::File`]; the file is as it was then.
    pub fn set(&mut self, name: &str, secret: Secret) -> Result<(), SecretsError> {
        let mut changed = self.by_name.clone();
        changed.insert(name.to_owned(), secret);
        self.replace(changed)
    }

    /// Forgets a secret.
    ///
    /// # Errors
    /// [`SecretsError::File`]; the file is as it was then.
    pub fn remove(&mut self, name: &str) -> Result<(), SecretsError> {
        let mut changed = self.by_name.clone();
        if changed.remove(name).is_none() {
            return Ok(());
        }
        self.replace(changed)
    }

    /// Keeps and forgets several secrets in one step.
    ///
    /// # Errors
    /// [`SecretsError::File`]; the file is as it was then.
    pub(crate) fn change(
        &mut self,
        changes: impl IntoIterator<Item = (String, Option<Secret>)>,
    ) -> Result<(), SecretsError> {
        let mut changed = self.by_name.clone();
        for (name, secret) in changes {
            match secret {
                Some(secret) => changed.insert(name, secret),
                None => changed.remove(&name),
            };
        }
        if changed == self.by_name {
            return Ok(());
        }
        self.replace(changed)
    }

    /// Returns the access token of a meter.
    #[must_use]
    pub fn token(&self, device: DeviceId) -> Option<&Secret> {
        self.get(&token_name(device))
    }

    /// Returns the meter that has an access token.
    #[must_use]
    pub fn owner(&self, token: &Secret) -> Option<DeviceId> {
        self.devices()
            .find(|device| self.token(*device) == Some(token))
    }

    /// Returns the token that a meter is to get in place of the one that it has.
    #[must_use]
    pub fn next_token(&self, device: DeviceId) -> Option<&Secret> {
        self.get(&next_token_name(device))
    }

    /// Returns the password of a meter's access point.
    #[must_use]
    pub fn password(&self, device: DeviceId) -> Option<&Secret> {
        self.get(&password_name(device))
    }

    /// Returns the code that opens a meter's own page, where it was chosen or made here.
    #[must_use]
    pub fn code(&self, device: DeviceId) -> Option<&Secret> {
        self.get(&code_name(device))
    }

    /// Returns the meters whose token is known.
    pub fn devices(&self) -> impl Iterator<Item = DeviceId> + '_ {
        self.by_name
            .keys()
            .filter_map(|name| name.strip_prefix(TOKEN_PREFIX)?.parse().ok())
    }

    fn replace(&mut self, changed: BTreeMap<String, Secret>) -> Result<(), SecretsError> {
        let text =
            Zeroizing::new(serde_json::to_vec_pretty(&changed).expect("names and texts are JSON"));
        write_private(&self.path, &text).map_err(|source| SecretsError::File {
            path: self.path.clone(),
            source,
        })?;
        self.by_name = changed;
        Ok(())
    }
}

const TOKEN_PREFIX: &str = "token:";

/// Returns the name under which a meter's token is kept.
pub(crate) fn token_name(device: DeviceId) -> String {
    format!("{TOKEN_PREFIX}{device}")
}

/// Returns the name of a token that was sent to a meter, which may have it or not.
pub(crate) fn pending_token_name(device: DeviceId) -> String {
    format!("pending-token:{device}")
}

/// Returns the name of the token that a meter is to get with the next visit.
pub(crate) fn next_token_name(device: DeviceId) -> String {
    format!("next-token:{device}")
}

/// Returns the name of the password of a meter's access point.
pub(crate) fn password_name(device: DeviceId) -> String {
    format!("wifi:{device}")
}

/// Returns the name of the code that opens a meter's own page.
pub(crate) fn code_name(device: DeviceId) -> String {
    format!("code:{device}")
}

/// Writes a file that nobody else may read, to the disk.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Replaces a file in one step by one that nobody else may read.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let fresh = path.with_extension("json.new");
    // A file that a crash left, or that someone put there, keeps its own mode: make a new one.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let replaced = write_new(&fresh, bytes).and_then(|()| fs::rename(&fresh, path));
    if replaced.is_err() {
        // On a full disk the part that was written would only be in the way.
        let _ = fs::remove_file(&fresh);
    }
    replaced?;
    // The new name is on the disk when the directory is.
    #[cfg(unix)]
    if let Some(directory) = path.parent() {
        fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: DeviceId = DeviceId([2; 6]);

    #[test]
    fn secrets_are_kept_in_a_file_that_only_the_owner_reads() {
        let directory = tempfile::tempdir().unwrap();
        let mut secrets = Secrets::open(directory.path()).unwrap();
        secrets
            .set(&token_name(DEVICE), Secret::new("hunter2hunter2".into()))
            .unwrap();
        secrets.set("other", Secret::new("x".into())).unwrap();
        secrets.remove("other").unwrap();
        let again = Secrets::open(directory.path()).unwrap();
        assert_eq!(again.token(DEVICE).unwrap().reveal(), "hunter2hunter2");
        assert_eq!(again.devices().collect::<Vec<_>>(), [DEVICE]);
        assert!(again.get("other").is_none());
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::MetadataExt::mode(
                &fs::metadata(directory.path().join(SECRETS_FILE)).unwrap(),
            );
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_file_is_left_alone_and_not_quoted() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(
            directory.path().join(SECRETS_FILE),
            r#"{"token:x": "hunter2", "#,
        )
        .unwrap();
        let error = Secrets::open(directory.path()).unwrap_err();
        assert!(matches!(error, SecretsError::Malformed { .. }));
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        let mut secrets = Secrets::open(directory.path()).unwrap();
        secrets.set("name", Secret::new("hunter2".into())).unwrap();
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }
}
