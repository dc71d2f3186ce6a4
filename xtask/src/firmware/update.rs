//! The file that a running meter takes: a header and the application's image.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use firmware_package::keys::{hexadecimal, public_from_pem};
use firmware_package::{Package, SecretKey};

use super::build::{self, Build};
use crate::project::Project;

/// How updates are made and believed.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Signing {
    /// A public key that the firmware believes updates of, such as release.pub; at most two
    #[arg(long = "key", value_name = "FILE.pub")]
    keys: Vec<PathBuf>,
    /// The private key that signs the update; without it, it is unsigned
    #[arg(long, value_name = "FILE.key")]
    sign: Option<PathBuf>,
    /// A meter with an older version does not take the update
    #[arg(long, value_name = "VERSION", default_value = "0.0.0")]
    minimum: String,
}

impl Default for Signing {
    /// Neither keys nor a signature.
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            sign: None,
            minimum: "0.0.0".into(),
        }
    }
}

impl Signing {
    /// Returns the public keys as `firmware/build.rs` takes them.
    ///
    /// # Errors
    /// When a file is no public key.
    pub(super) fn keys(&self) -> Result<Vec<String>> {
        self.keys.iter().map(|file| key(file)).collect()
    }
}

/// Reads a public key as 64 hexadecimal digits.
///
/// # Errors
/// When the file is none.
pub(super) fn key(file: &Path) -> Result<String> {
    let text = read(file)?;
    let key = public_from_pem(&text).with_context(|| format!("{}", file.display()))?;
    Ok(hexadecimal(&key))
}

/// Makes the update out of an application's image. Unsigned, only a meter built with the feature `dev` and without keys
/// takes it.
///
/// # Errors
/// When the image or the key is not there, or a version is no semantic one.
pub(super) fn make(project: &Project, build: &Build, signing: &Signing) -> Result<PathBuf> {
    let version = build::version(project)?;
    let image = fs::read(build.app(project))?;
    let mut package = Package::new(build.chip.name(), &version, &signing.minimum, &image)?;
    if let Some(file) = &signing.sign {
        let key = SecretKey::from_pem(&read(file)?);
        package = package.signed(&key.with_context(|| format!("{}", file.display()))?);
    }
    let file = build.folder(project).join(format!("ofmon-{version}.ofmon"));
    fs::write(&file, package.bytes())?;
    Ok(file)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
