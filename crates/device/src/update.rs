//! An update on its way into the slot that does not run.
//!
//! The header is checked before anything is erased, its signature last: nothing that it says is acted on before all of it
//! holds, and who sends a file for another chip or an old one is told that in a moment, not after the work of a
//! verification. Then the image goes into the slot page by page, each page is read back, and what was read is hashed. Only
//! an image whose hash is right makes the bootloader start it. The running slot is never touched.
//!
//! What came over a connection that broke is kept in RAM and in the slot, and the next one goes on from there: see [`open`],
//! [`write()`] and [`finish`]. It is dropped with anything that goes wrong, with another update, and with a restart.
//! Nobody vouches for bytes of a request that did not come to its end; the hash in the header does, for the image as a whole.

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    firmware::{HEADER_BYTES, Header, PRODUCT, PublicKey, SemanticVersion},
    limits::IMAGE_BYTES_MAX,
};
use sha2::{Digest, Sha256};

use crate::{
    signature,
    slots::{PAGE_BYTES, SlotError, Slots},
};

/// Whether this build takes images without a signature as long as it has no key.
pub const TAKES_UNSIGNED: bool = cfg!(feature = "dev");

/// What an update must fit.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// The chip, such as `esp32c3`.
    pub chip: &'a str,
    /// Version of the firmware that runs.
    pub version: &'a str,
    /// Keys whose signature is believed.
    pub keys: &'a [PublicKey],
    /// Whether an image without a signature is taken where there is no key.
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
    /// Its signature was made with another key, or for another header.
    Signature,
    /// It is to go on where the meter is not, or after an update that the meter does not hold.
    Offset,
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
    /// Returns what it is.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns how many bytes of the image came.
    #[must_use]
    pub fn came(&self) -> u32 {
        self.came
    }

    /// Checks the header and makes the other slot ready.
    ///
    /// # Errors
    /// [`UpdateError`]; but for `Flash`, nothing was changed.
    pub fn begin<F: NorFlash>(
        slots: &mut Slots<F>,
        header: &[u8; HEADER_BYTES],
        running: &Running<'_>,
    ) -> Result<Self, UpdateError> {
        let bytes = header;
        let header = Header::parse(bytes).map_err(|_| UpdateError::NotAnUpdate)?;
        check(&header, running)?;
        check_signature(bytes, header.is_signed(), running)?;
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
    Ok(())
}

/// Holds the signature of a header to the keys. Where there is a key, nothing without a signature is taken.
fn check_signature(
    header: &[u8; HEADER_BYTES],
    is_signed: bool,
    running: &Running<'_>,
) -> Result<(), UpdateError> {
    match (is_signed, running.keys) {
        (true, []) => Err(UpdateError::NoKey),
        (true, keys) if signature::is_by_any(keys, header) => Ok(()),
        (true, _) => Err(UpdateError::Signature),
        (false, []) if running.takes_unsigned => Ok(()),
        (false, _) => Err(UpdateError::Unsigned),
    }
}

/// A connection's right to write an update; the one that was given last counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim(u32);

/// Begins an update, or goes on with the one that the slots hold. `from` is how many bytes of the image came before.
///
/// # Errors
/// [`UpdateError::Offset`] where not just so many bytes came of the update with this header; else those of
/// [`Update::begin`].
pub fn open<F: NorFlash>(
    slots: &mut Slots<F>,
    header: &[u8; HEADER_BYTES],
    from: u64,
    running: &Running<'_>,
) -> Result<Claim, UpdateError> {
    if from == 0 {
        let update = Update::begin(slots, header, running)?;
        return Ok(Claim(slots.held.insert(update).number));
    }
    let fits = |held: &Update| u64::from(held.came) == from && held.header.to_bytes() == *header;
    if !slots.held.as_ref().is_some_and(fits) {
        return Err(UpdateError::Offset);
    }
    // Only now: a request that does not fit takes nothing from the connection that writes.
    let number = slots.next_update();
    if let Some(held) = &mut slots.held {
        held.number = number;
    }
    Ok(Claim(number))
}

/// Takes the next bytes of the image.
///
/// # Errors
/// [`UpdateError::Superseded`] where another connection has the update now; with all others it is dropped.
pub fn write<F: NorFlash>(
    slots: &mut Slots<F>,
    claim: Claim,
    bytes: &[u8],
) -> Result<(), UpdateError> {
    let mut update = taken(slots, claim)?;
    update.write(slots, bytes)?;
    slots.held = Some(update);
    Ok(())
}

/// Ends the update: the bootloader starts it from now on. Returns its version.
///
/// # Errors
/// As for [`write()`].
pub fn finish<F: NorFlash>(
    slots: &mut Slots<F>,
    claim: Claim,
) -> Result<SemanticVersion, UpdateError> {
    taken(slots, claim)?.finish(slots)
}

/// Drops the update, so that the next one begins anew; one that another connection has stays.
pub fn drop_update<F: NorFlash>(slots: &mut Slots<F>, claim: Claim) {
    let _ = taken(slots, claim);
}

fn taken<F: NorFlash>(slots: &mut Slots<F>, claim: Claim) -> Result<Update, UpdateError> {
    let held = slots.held.take_if(|held| held.number == claim.0);
    held.ok_or(UpdateError::Superseded)
}
