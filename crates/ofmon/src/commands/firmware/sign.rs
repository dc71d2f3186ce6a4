//! `ofmon firmware sign`: from an image or an unsigned update to a signed one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;
use collector::firmware;
use firmware_package::{
    Package, SecretKey,
    keys::{fingerprint, hexadecimal},
};
use serde::Serialize;
use zeroize::Zeroizing;

use super::read_key;
use crate::{
    context::Context,
    exit::{Kind, Problem},
};

const EXAMPLES: &str = "\
Examples:
  ofmon firmware sign ofmon-0.2.0.ofmon --key release.key
      the file that `./x firmware image` made; what it says of itself stays
  ofmon firmware sign app.bin --key release.key --chip esp32c3 --version 0.2.0 --minimum 0.1.0
      an image as esptool makes it
  ofmon firmware sign ofmon-0.2.0.ofmon --key release.key --minimum 0.1.4 --output 0.2.0.ofmon
      only for meters with 0.1.4 or newer

The signature is over version, chip, minimum and the SHA-256 of the image: a change of any makes it wrong. What was
written is read back and verified.";

/// Arguments of `firmware sign`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Sign {
    /// An update (.ofmon), or an application's image (.bin)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The private key, such as release.key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The chip that it is for, such as esp32c3 [default: what the update says]
    #[arg(long, value_name = "CHIP")]
    chip: Option<String>,
    /// Version of the image, such as 0.2.0 [default: what the update says]
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// A meter with an older version does not take it [default: what the update says, or 0.0.0]
    #[arg(long, value_name = "VERSION")]
    minimum: Option<String>,
    /// The file to write [default: VERSION-CHIP.ofmon beside FILE]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What was signed.
#[derive(Serialize)]
struct Signed {
    file: PathBuf,
    version: String,
    chip: String,
    minimum: String,
    image_bytes: u32,
    image_sha256: String,
    key_fingerprint: String,
}

impl Sign {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let text = Zeroizing::new(read_key(&self.key)?);
        let key = SecretKey::from_pem(&text)
            .with_context(|| format!("the key {}", self.key.display()))?;
        let package = self.package()?.signed(&key);
        let beside = self.file.parent().unwrap_or(Path::new(""));
        let output = self
            .output
            .unwrap_or_else(|| beside.join(package.file_name()));
        write(&output, package.bytes())?;
        let read = firmware::read(&output)?;
        if read != package || !read.is_signed_by(&key.public()) {
            let message = format!("what was written to {} is damaged", output.display());
            return Err(Problem::new(Kind::Storage, message, "").into());
        }
        let header = read.header();
        let signed = Signed {
            file: output,
            version: header.version.to_string(),
            chip: header.chip.as_str().to_owned(),
            minimum: header.minimum.to_string(),
            image_bytes: header.image_bytes,
            image_sha256: hexadecimal(&header.image_hash),
            key_fingerprint: fingerprint(&key.public())?,
        };
        context.output.print(&signed, |signed| {
            format!(
                "{}\n  version {} for {}, for meters with {} or newer\n  image of {} bytes, SHA-256 {}\n  signed by {}",
                signed.file.display(),
                signed.version,
                signed.chip,
                signed.minimum,
                signed.image_bytes,
                signed.image_sha256,
                signed.key_fingerprint
            )
        })
    }

    /// Reads what is to be signed, with what the arguments say of it in place of what it says itself.
    fn package(&self) -> Result<Package> {
        let is_update = self
            .file
            .extension()
            .is_some_and(|ending| ending == "ofmon");
        if is_update {
            let package = firmware::read(&self.file)?;
            let header = package.header();
            let or = |argument: &Option<String>, own: &str| {
                argument.clone().unwrap_or_else(|| own.to_owned())
            };
            let chip = or(&self.chip, &header.chip);
            let version = or(&self.version, header.version.as_str());
            let minimum = or(&self.minimum, header.minimum.as_str());
            return Ok(Package::new(&chip, &version, &minimum, package.image())?);
        }
        let (Some(chip), Some(version)) = (&self.chip, &self.version) else {
            let hint = "say both, or sign the .ofmon file of `./x firmware image`";
            return Err(Problem::usage("an image alone needs --chip and --version", hint).into());
        };
        let image = fs::read(&self.file).with_context(|| {
            let message = format!("{} cannot be read", self.file.display());
            Problem::new(Kind::NotFound, message, "")
        })?;
        let minimum = self.minimum.as_deref().unwrap_or("0.0.0");
        Ok(Package::new(chip, version, minimum, &image)?)
    }
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    let written = fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written.with_context(|| {
        let message = format!("{} cannot be written", path.display());
        Problem::new(Kind::Storage, message, "")
    })
}
