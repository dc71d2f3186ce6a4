//! An `.ofmon` file: the header of an update and the image behind it.

use ed25519_dalek::{Signature, VerifyingKey};
use protocol::{
    firmware::{
        HEADER_BYTES, Header, PRODUCT, PublicKey, SIGNATURE_BYTES, SIGNED_BYTES, SemanticVersion,
    },
    limits::IMAGE_BYTES_MAX,
};
use sha2::{Digest as _, Sha256};

use crate::SecretKey;

/// Longest file of an update in bytes.
pub const PACKAGE_BYTES_MAX: usize = HEADER_BYTES + IMAGE_BYTES_MAX;

/// Why bytes are no update that a meter could take, or none can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// They do not begin with the header of an update.
    #[error("this is no update: it does not begin with the header of one")]
    NotAnUpdate,
    /// It is for another product.
    #[error("this update is for {0}, not for an ofmon meter")]
    Product(String),
    /// Image and header do not belong together.
    #[error(
        "the file is damaged: its header tells of {stated} bytes of image, and {found} are there"
    )]
    Length {
        /// What the header says, in bytes.
        stated: u32,
        /// What is there, in bytes.
        found: usize,
    },
    /// The image is another than the header says.
    #[error("the file is damaged: its image is not the one that its header tells of")]
    WrongImage,
    /// No slot takes it.
    #[error("an image has 1 to {IMAGE_BYTES_MAX} bytes, this one has {0}")]
    ImageSize(usize),
    /// A text is no version.
    #[error("{0:?} is no semantic version of at most 24 bytes, such as 1.2.0")]
    Version(String),
    /// A text is no name of a chip.
    #[error("{0:?} is no name of a chip, such as esp32c3")]
    Chip(String),
}

/// An update that is whole: its image is the one that its header tells of.
#[derive(Clone, PartialEq, Eq)]
pub struct Package {
    header: Header,
    bytes: Vec<u8>,
}

impl core::fmt::Debug for Package {
    /// Leaves the image out.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Package").field(&self.header).finish()
    }
}

impl Package {
    /// Takes the bytes of a file.
    ///
    /// # Errors
    /// [`PackageError`].
    pub fn parse(bytes: Vec<u8>) -> Result<Self, PackageError> {
        let (head, image) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(PackageError::NotAnUpdate)?;
        let header = Header::parse(head).map_err(|_| PackageError::NotAnUpdate)?;
        if header.product != PRODUCT {
            return Err(PackageError::Product(header.product.as_str().to_owned()));
        }
        if header.image_bytes as usize != image.len() {
            return Err(PackageError::Length {
                stated: header.image_bytes,
                found: image.len(),
            });
        }
        check_size(image)?;
        if Sha256::digest(image)[..] != header.image_hash {
            return Err(PackageError::WrongImage);
        }
        Ok(Self { header, bytes })
    }

    /// Makes an update without a signature out of an application's image.
    ///
    /// # Errors
    /// [`PackageError`].
    pub fn new(
        chip: &str,
        version: &str,
        minimum: &str,
        image: &[u8],
    ) -> Result<Self, PackageError> {
        check_size(image)?;
        let parsed = |text: &str| -> Result<SemanticVersion, PackageError> {
            let version = text.parse();
            version.map_err(|_| PackageError::Version(text.to_owned()))
        };
        let no_chip = || PackageError::Chip(chip.to_owned());
        if chip.is_empty() || !chip.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(no_chip());
        }
        let header = Header {
            product: PRODUCT.try_into().map_err(|_| PackageError::NotAnUpdate)?,
            chip: chip.try_into().map_err(|_| no_chip())?,
            version: parsed(version)?,
            minimum: parsed(minimum)?,
            image_bytes: image.len() as u32,
            image_hash: Sha256::digest(image).into(),
            signature: [0; SIGNATURE_BYTES],
        };
        let bytes = [&header.to_bytes()[..], image].concat();
        Ok(Self { header, bytes })
    }

    /// Signs it; a signature that it had is replaced.
    #[must_use]
    pub fn signed(mut self, key: &SecretKey) -> Self {
        self.header.signature = key.sign(&self.bytes[..SIGNED_BYTES]);
        self.bytes[SIGNED_BYTES..HEADER_BYTES].copy_from_slice(&self.header.signature);
        self
    }

    /// Tells whether a key's signature is on it, as strictly as a meter does.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let signature = Signature::from_bytes(&self.header.signature);
        VerifyingKey::from_bytes(key).is_ok_and(|key| {
            key.verify_strict(&self.bytes[..SIGNED_BYTES], &signature)
                .is_ok()
        })
    }

    /// Returns what it says of itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the image.
    #[must_use]
    pub fn image(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// Returns the name of its file: version and chip tell packages apart.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}-{}.ofmon", self.header.version, self.header.chip)
    }
}

fn check_size(image: &[u8]) -> Result<(), PackageError> {
    if image.is_empty() || image.len() > IMAGE_BYTES_MAX {
        return Err(PackageError::ImageSize(image.len()));
    }
    Ok(())
}
