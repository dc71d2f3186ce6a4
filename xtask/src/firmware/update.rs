//! The file that a running meter takes: a header and the application's image.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, anyhow, ensure};
use protocol::firmware::{Header, PRODUCT, SIGNATURE_BYTES, SemanticVersion};
use sha2::{Digest, Sha256};

use super::build::{self, Build};
use crate::project::Project;

/// Every meter may take this image, whatever it runs.
const MINIMUM: &str = "0.0.0";

/// Makes the update out of an application's image, unsigned: only a meter built with the feature `dev` takes it so.
///
/// # Errors
/// When the image is not there, or the firmware's version is no semantic one.
pub(super) fn make(project: &Project, build: &Build) -> Result<PathBuf> {
    let version = build::version(project)?;
    let image = fs::read(build.app(project))?;
    let file = build.folder(project).join(format!("ofmon-{version}.ofmon"));
    fs::write(&file, encode(build.chip.name(), &version, &image)?)?;
    Ok(file)
}

fn encode(chip: &str, version: &str, image: &[u8]) -> Result<Vec<u8>> {
    ensure!(!image.is_empty(), "the image is empty");
    let parsed = |text: &str| -> Result<SemanticVersion> {
        text.parse()
            .map_err(|_| anyhow!("{text:?} is no semantic version of at most 24 bytes"))
    };
    let name = |text: &str| {
        text.try_into()
            .map_err(|_| anyhow!("the name {text:?} is too long"))
    };
    let header = Header {
        product: name(PRODUCT)?,
        chip: name(chip)?,
        version: parsed(version)?,
        minimum: parsed(MINIMUM)?,
        image_bytes: u32::try_from(image.len())?,
        image_hash: Sha256::digest(image).into(),
        signature: [0; SIGNATURE_BYTES],
    };
    Ok([&header.to_bytes()[..], image].concat())
}

#[cfg(test)]
mod tests {
    use protocol::firmware::HEADER_BYTES;

    use super::*;

    #[test]
    fn meter_reads_what_was_written() {
        let file = encode("esp32c3", "1.2.3-rc.1", b"image").unwrap();
        let (header, image) = file.split_first_chunk::<HEADER_BYTES>().unwrap();
        let header = Header::parse(header).unwrap();
        assert_eq!(header.chip.as_str(), "esp32c3");
        assert_eq!(header.version.as_str(), "1.2.3-rc.1");
        assert_eq!(header.image_bytes, 5);
        assert_eq!(header.image_hash[..], Sha256::digest(image)[..]);
        assert!(!header.is_signed());
        assert_eq!(image, b"image");
    }

    #[test]
    fn update_without_a_version_or_an_image_is_refused() {
        assert!(encode("esp32c3", "new", b"image").is_err());
        assert!(encode("esp32c3", "1.0.0", b"").is_err());
        assert!(encode("a chip with a long name", "1.0.0", b"image").is_err());
    }
}
