//! An update on its way into the slot that does not run.
//!
//! The header is checked before anything is erased. Then the image goes into the slot page by page, each page is read back,
//! and what was read is hashed. Only an image whose hash is right makes the bootloader start it. The running slot is never
//! touched.

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    firmware::{HEADER_BYTES, Header, PRODUCT, SemanticVersion},
    limits::IMAGE_BYTES_MAX,
};
use sha2::{Digest, Sha256};

use crate::slots::{PAGE_BYTES, SlotError, Slots};

/// Whether this build takes images without a signature.
pub const TAKES_UNSIGNED: bool = cfg!(feature = "dev");

/// What an update must fit.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// The chip, such as `esp32c3`.
    pub chip: &'a str,
    /// Version of the firmware that runs.
    pub version: &'a str,
    /// Whether an image without a signature is taken.
    pub takes_unsigned: bool,
}

/// Why an update is not taken; the running slot is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateError {
    /// It does not begin with a header of this version.
    NotAnUpdate,
    /// It is for another product.
    Product,
    /// It is for another chip.
    Chip,
    /// The image has no bytes, or more than a slot takes.
    Size,
    /// It is older than what runs.
    Older,
    /// What runs is older than the version that it asks for.
    TooFarAhead,
    /// It has no signature.
    Unsigned,
    /// It has a signature, and this firmware has no key to check it with.
    NoKey,
    /// Fewer or more bytes came than the header says.
    Length,
    /// The image is not the one that the header says.
    Hash,
    /// Another update began meanwhile.
    Superseded,
    /// The flash failed.
    Flash,
}

impl From<SlotError> for UpdateError {
    fn from(_: SlotError) -> Self {
        Self::Flash
    }
}

/// An update whose header is checked.
pub struct Update {
    header: Header,
    number: u32,
    hash: Sha256,
    /// Bytes of the image that came.
    came: u32,
    page: Page,
}

/// One page in words, so that a flash driver can take it without a copy.
#[repr(C, align(4))]
struct Page([u8; PAGE_BYTES]);

impl Update {
    /// Checks the header and makes the other slot ready.
    ///
    /// # Errors
    /// [`UpdateError`]; but for `Flash`, nothing was changed.
    pub fn begin<F: NorFlash>(
        slots: &mut Slots<F>,
        header: &[u8; HEADER_BYTES],
        running: &Running<'_>,
    ) -> Result<Self, UpdateError> {
        let header = Header::parse(header).map_err(|_| UpdateError::NotAnUpdate)?;
        check(&header, running)?;
        Ok(Self {
            number: slots.overwrite()?,
            header,
            hash: Sha256::new(),
            came: 0,
            page: Page([0xff; PAGE_BYTES]),
        })
    }

    /// Takes the next bytes of the image.
    ///
    /// # Errors
    /// [`UpdateError`]: the update is over then.
    pub fn write<F: NorFlash>(
        &mut self,
        slots: &mut Slots<F>,
        mut bytes: &[u8],
    ) -> Result<(), UpdateError> {
        let left = self.header.image_bytes - self.came;
        if bytes.len() > left as usize {
            return Err(UpdateError::Length);
        }
        while !bytes.is_empty() {
            let filled = self.came as usize % PAGE_BYTES;
            let (now, later) = bytes.split_at(bytes.len().min(PAGE_BYTES - filled));
            self.page.0[filled..filled + now.len()].copy_from_slice(now);
            self.came += now.len() as u32;
            bytes = later;
            if filled + now.len() == PAGE_BYTES {
                self.write_page(slots, PAGE_BYTES)?;
            }
        }
        Ok(())
    }

    /// Ends the update: the bootloader starts it from now on. Returns its version.
    ///
    /// # Errors
    /// [`UpdateError`]: the bootloader starts what ran before.
    pub fn finish<F: NorFlash>(
        mut self,
        slots: &mut Slots<F>,
    ) -> Result<SemanticVersion, UpdateError> {
        if self.came != self.header.image_bytes {
            return Err(UpdateError::Length);
        }
        let filled = self.came as usize % PAGE_BYTES;
        if filled > 0 {
            self.write_page(slots, filled)?;
        }
        if self.hash.finalize()[..] != self.header.image_hash {
            return Err(UpdateError::Hash);
        }
        if !slots.is_current(self.number) {
            return Err(UpdateError::Superseded);
        }
        slots.switch(&self.header)?;
        Ok(self.header.version)
    }

    /// Writes the page whose first `filled` bytes came, and hashes what the flash then holds of them.
    fn write_page<F: NorFlash>(
        &mut self,
        slots: &mut Slots<F>,
        filled: usize,
    ) -> Result<(), UpdateError> {
        if !slots.is_current(self.number) {
            return Err(UpdateError::Superseded);
        }
        slots.write_page(self.came - filled as u32, &mut self.page.0)?;
        self.hash.update(&self.page.0[..filled]);
        self.page.0.fill(0xff);
        Ok(())
    }
}

/// Holds a header to what runs.
fn check(header: &Header, running: &Running<'_>) -> Result<(), UpdateError> {
    if header.product != PRODUCT {
        return Err(UpdateError::Product);
    }
    if header.chip != running.chip {
        return Err(UpdateError::Chip);
    }
    if !(1..=IMAGE_BYTES_MAX).contains(&(header.image_bytes as usize)) {
        return Err(UpdateError::Size);
    }
    // A firmware whose own version cannot be read takes every update: there is no other way back.
    if let Ok(version) = running.version.parse::<SemanticVersion>() {
        if header.version.is_older_than(&version) {
            return Err(UpdateError::Older);
        }
        if version.is_older_than(&header.minimum) {
            return Err(UpdateError::TooFarAhead);
        }
    }
    match (header.is_signed(), running.takes_unsigned) {
        (true, _) => Err(UpdateError::NoKey),
        (false, false) => Err(UpdateError::Unsigned),
        (false, true) => Ok(()),
    }
}
