//! Two copies of whose store it is.
//!
//! Both copies are written when formatting begins and made ready when it is complete. Either is enough. A copy that is
//! not ready says that formatting was cut short and there is nothing to lose; so formatting never erases the last whole
//! copy before another one is written.

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    DeviceId, StoreId,
    access_point::{PASSWORD_BYTES, Password},
    block::CRC,
    limits::CHANNELS_MAX,
};

use crate::{
    Layout, MountError,
    error::Fault,
    layout::IDENTITY_SECTORS,
    ring::sector::{self, Identity, SECTOR_BYTES, erase, is_blank, is_erased, program, read},
};

/// The first bytes of a copy.
pub(crate) const MAGIC: [u8; 4] = *b"OFMI";
const FORMAT: u8 = 1;
const BODY_BYTES: usize = 56;
/// Length of a copy in bytes, up to where it says that it is ready.
pub(crate) const COPY_BYTES: usize = BODY_BYTES + 4;
/// Where a copy says that it is ready.
pub(crate) const READY_AT: u32 = COPY_BYTES as u32;
/// What formatting that was cut can leave on an erased flash.
const CUT_BYTES: u32 = READY_AT + 4;
/// Bytes read at once when a whole sector is looked at.
const CHUNK_BYTES: usize = 64;

/// Whose store it is, and where its counting began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) identity: Identity,
    /// Number of the first reading.
    pub(crate) first: u64,
    /// Number of the boot before the first.
    pub(crate) boot: u32,
    /// Access-point password, `None` where none was made.
    pub(crate) password: Option<Password>,
}

/// An owner, and the copy that has to be written anew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) owner: Owner,
    pub(crate) damaged_copy: Option<u32>,
}

impl Owner {
    fn encoded(&self) -> [u8; COPY_BYTES] {
        let mut bytes = [0; COPY_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = FORMAT;
        bytes[5] = self.identity.channels;
        bytes[6..8].copy_from_slice(&self.identity.sectors.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.identity.store.0.to_le_bytes());
        bytes[16..22].copy_from_slice(&self.identity.device.0);
        bytes[24..32].copy_from_slice(&self.first.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.boot.to_le_bytes());
        if let Some(password) = &self.password {
            bytes[40..56].copy_from_slice(password.bytes());
        }
        let crc = CRC.checksum(&bytes[..BODY_BYTES]);
        bytes[BODY_BYTES..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decoded(bytes: &[u8; COPY_BYTES]) -> Option<Self> {
        let (body, crc) = bytes.split_at(BODY_BYTES);
        let channels = body[5];
        let whole = body[..4] == MAGIC
            && body[4] == FORMAT
            && (1..=CHANNELS_MAX).contains(&channels.into())
            && CRC.checksum(body).to_le_bytes() == *crc;
        whole.then(|| Self {
            identity: Identity {
                device: DeviceId(body[16..22].try_into().expect("six bytes")),
                store: StoreId(u64::from_le_bytes(
                    body[8..16].try_into().expect("eight bytes"),
                )),
                channels,
                sectors: u16::from_le_bytes([body[6], body[7]]),
            },
            first: u64::from_le_bytes(body[24..32].try_into().expect("eight bytes")),
            boot: u32::from_le_bytes(body[32..36].try_into().expect("four bytes")),
            password: Password::from_bytes(
                <[u8; PASSWORD_BYTES]>::try_from(&body[40..56]).expect("sixteen bytes"),
            ),
        })
    }
}

/// What a flash says of its meter, mounted or not, and also where formatting was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The meter.
    pub device: DeviceId,
    /// The history that lies there, or was to lie there.
    pub store: StoreId,
    /// Channels of each reading, 1 to 3.
    pub channels: u8,
    /// Access-point password, `None` where none was made.
    pub password: Option<Password>,
}

/// Reads what a flash says of its meter; `None` where no copy of that can be read. Nothing is written.
///
/// # Errors
/// When the flash fails.
pub fn kept<F: NorFlash>(flash: &mut F) -> Result<Option<Kept>, Fault> {
    let copies = [load(flash, 0)?, load(flash, 1)?];
    let ready = (copies.iter().flatten()).find(|(_, is_ready)| *is_ready);
    let found = ready.or(copies.iter().flatten().next());
    Ok(found.map(|(owner, _)| Kept {
        device: owner.identity.device,
        store: owner.identity.store,
        channels: owner.identity.channels,
        password: owner.password,
    }))
}

/// Begins formatting: whatever lay on the flash is no store any more.
pub(crate) fn begin<F: NorFlash>(flash: &mut F, owner: &Owner) -> Result<(), Fault> {
    let is_first_whole = load(flash, 0)?.is_some();
    for copy in if is_first_whole { [1, 0] } else { [0, 1] } {
        erase_used(flash, copy)?;
        program(flash, copy * SECTOR_BYTES, &owner.encoded())?;
    }
    Ok(())
}

/// Ends formatting: from here on it is a store.
pub(crate) fn complete<F: NorFlash>(flash: &mut F) -> Result<(), Fault> {
    (0..IDENTITY_SECTORS).try_for_each(|copy| make_ready(flash, copy))
}

fn make_ready<F: NorFlash>(flash: &mut F, copy: u32) -> Result<(), Fault> {
    program(flash, copy * SECTOR_BYTES + READY_AT, &[0; 4])
}

/// Writes a copy that cannot be read anew.
pub(crate) fn repair<F: NorFlash>(flash: &mut F, copy: u32, owner: &Owner) -> Result<(), Fault> {
    erase_used(flash, copy)?;
    program(flash, copy * SECTOR_BYTES, &owner.encoded())?;
    make_ready(flash, copy)
}

/// Erases a sector where it is not erased: a cut of an erase that was not needed could leave anything.
pub(crate) fn erase_used<F: NorFlash>(flash: &mut F, sector: u32) -> Result<(), Fault> {
    let at = sector * SECTOR_BYTES;
    if is_blank(flash, at, 0)? {
        return Ok(());
    }
    erase(flash, at)
}

/// Finds out whose store lies on a flash, or what else.
pub(crate) fn find<F: NorFlash>(flash: &mut F, layout: &Layout) -> Result<Found, MountError> {
    let mut copies = [None; IDENTITY_SECTORS as usize];
    for (copy, found) in (0..).zip(&mut copies) {
        *found = load(flash, copy)?;
    }
    let ready = copies.map(|copy| {
        copy.filter(|(_, is_ready)| *is_ready)
            .map(|(owner, _)| owner)
    });
    let Some(owner) = ready[0].or(ready[1]) else {
        if copies.iter().any(Option::is_some) {
            return Err(MountError::Unformatted);
        }
        return Err(without_identity(flash, layout)?);
    };
    if u32::from(owner.identity.sectors) != layout.total_sectors() {
        return Err(MountError::Foreign);
    }
    let damaged = ready.iter().position(|copy| *copy != Some(owner));
    Ok(Found {
        owner,
        damaged_copy: damaged.map(|copy| copy as u32),
    })
}

/// Reads the copy in a sector, and whether it is ready; `None` where none is whole.
pub(crate) fn load<F: NorFlash>(
    flash: &mut F,
    sector: u32,
) -> Result<Option<(Owner, bool)>, Fault> {
    let mut bytes = [0; COPY_BYTES];
    read(flash, sector * SECTOR_BYTES, &mut bytes)?;
    let mut ready = [0; 4];
    read(flash, sector * SECTOR_BYTES + READY_AT, &mut ready)?;
    Ok(Owner::decoded(&bytes).map(|owner| (owner, !is_erased(&ready))))
}

/// Tells erased from foreign from damaged where no copy can be read.
fn without_identity<F: NorFlash>(flash: &mut F, layout: &Layout) -> Result<MountError, Fault> {
    for sector in layout.first_counter_sector()..layout.first_file_sector() {
        let mut head = [0; 8];
        read(flash, sector * SECTOR_BYTES, &mut head)?;
        if head[..4] == sector::MAGIC {
            return Ok(if head[4] == sector::FORMAT {
                MountError::Damaged
            } else {
                MountError::Foreign
            });
        }
    }
    let in_first = used_bytes(flash, 0)?;
    for sector in 1..layout.total_sectors() {
        if used_bytes(flash, sector)? > 0 {
            return Ok(MountError::Foreign);
        }
    }
    Ok(if in_first <= CUT_BYTES {
        MountError::Unformatted
    } else {
        MountError::Foreign
    })
}

/// Returns how many bytes up to the last one of a sector that is not erased.
fn used_bytes<F: NorFlash>(flash: &mut F, sector: u32) -> Result<u32, Fault> {
    for offset in (0..SECTOR_BYTES).step_by(CHUNK_BYTES).rev() {
        let mut chunk = [0; CHUNK_BYTES];
        read(flash, sector * SECTOR_BYTES + offset, &mut chunk)?;
        if !is_erased(&chunk) {
            return Ok(offset + CHUNK_BYTES as u32);
        }
    }
    Ok(0)
}
