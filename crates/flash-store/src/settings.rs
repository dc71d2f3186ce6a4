//! The ring of settings: configuration record, acknowledgement and start counter.
//!
//! Each change is an entry; the newest of its kind holds. A sector's opening is a copy of all that held when it was
//! opened, so only the newest sector is ever read. A configuration record is followed by a *committed* entry, and what
//! follows a torn write begins with a *resumed* one that says where it is: anything else that is broken was damaged after
//! it was written, and where it may have been a configuration record no older one is taken for it.

use embedded_storage::nor_flash::NorFlash;

use crate::{
    ConfigError, WriteError,
    entry::{ENTRY_BYTES_MAX, Kind, PAYLOAD_BYTES_MAX},
    error::Fault,
    ring::{Place, Ring},
    sector::{Identity, OPENING_BYTES_MAX},
    walk::{Broken, Step},
};

/// Longest configuration record in bytes.
pub const CONFIG_BYTES_MAX: usize = 512;
/// Opening before the record: start counter, acknowledgement, state of the record, zeros.
const FIXED_BYTES: usize = 16;
/// Longest entry of the ring.
pub(crate) const TORN_BYTES_MAX: u32 = ENTRY_BYTES_MAX as u32;
const _: () = assert!(FIXED_BYTES + CONFIG_BYTES_MAX <= OPENING_BYTES_MAX);
const _: () = assert!(CONFIG_BYTES_MAX <= PAYLOAD_BYTES_MAX);

/// Where the configuration record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Config {
    Absent,
    /// In the opening of the newest sector.
    InOpening,
    /// In the entry at this offset of the newest sector.
    InEntry(u32),
    Damaged,
}

/// What is kept beside readings and events.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    ring: Ring,
    pub(crate) boot: u32,
    pub(crate) acknowledged: u64,
    config: Config,
    /// Where a torn write begins that no entry tells of yet.
    torn_at: Option<u16>,
}

impl Settings {
    /// Opens the first sector of an erased ring.
    pub(crate) fn format<F: NorFlash>(
        flash: &mut F,
        place: Place,
        identity: Identity,
    ) -> Result<Self, Fault> {
        let mut settings = Self {
            ring: Ring::empty(place, identity),
            boot: 0,
            acknowledged: 0,
            config: Config::Absent,
            torn_at: None,
        };
        settings.open(flash)?;
        Ok(settings)
    }

    /// Finds what holds. Where no sector can be read the configuration is damaged and the rest unknown.
    pub(crate) fn mount<F: NorFlash>(
        flash: &mut F,
        place: Place,
        identity: Identity,
    ) -> Result<Self, Fault> {
        let mut settings = Self {
            ring: Ring::mount(flash, place, identity)?,
            boot: 0,
            acknowledged: 0,
            config: Config::Damaged,
            torn_at: None,
        };
        let Some(newest) = settings.ring.newest(flash)? else {
            return Ok(settings);
        };
        settings.take_opening(newest.opening());
        let mut walk = settings.ring.walk(&newest);
        let mut broken = None;
        loop {
            match walk.next(flash)? {
                Step::Entry {
                    kind,
                    payload,
                    offset,
                } => {
                    let told = (kind == Kind::Resumed).then_some(payload);
                    settings.take_broken(broken.take(), told);
                    settings.take(kind, payload, offset);
                }
                Step::Broken(found) => broken = Some(found),
                Step::End(offset) => {
                    settings.take_broken(broken, None);
                    if let Some(offset) = offset {
                        settings.ring.resume(offset);
                    }
                    break;
                }
            }
        }
        if settings.ring.missing() > 0 {
            settings.config = Config::Damaged;
        }
        Ok(settings)
    }

    fn take_opening(&mut self, opening: &[u8]) {
        let Some((fixed, _)) = opening.split_first_chunk::<FIXED_BYTES>() else {
            return;
        };
        let (boot, rest) = fixed.split_first_chunk().expect("four bytes");
        let (acknowledged, rest) = rest.split_first_chunk().expect("eight bytes");
        self.boot = u32::from_le_bytes(*boot);
        self.acknowledged = u64::from_le_bytes(*acknowledged);
        self.config = match rest[0] {
            0 => Config::Absent,
            1 => Config::InOpening,
            _ => Config::Damaged,
        };
    }

    fn take(&mut self, kind: Kind, payload: &[u8], offset: u32) {
        match kind {
            Kind::Config => self.config = Config::InEntry(offset),
            Kind::Acknowledged => {
                let bytes = payload.try_into().unwrap_or_default();
                self.acknowledged = self.acknowledged.max(u64::from_le_bytes(bytes));
            }
            Kind::Boot => {
                let bytes = payload.try_into().unwrap_or_default();
                self.boot = self.boot.max(u32::from_le_bytes(bytes));
            }
            _ => {}
        }
    }

    /// Judges what is broken by what follows: a torn write hides nothing that was promised, damage may hide a
    /// configuration record. `told` is where the entry behind says that a torn write begins.
    fn take_broken(&mut self, broken: Option<Broken>, told: Option<&[u8]>) {
        let Some(broken) = broken else { return };
        let offset = broken.offset as u16;
        let is_other = matches!(
            broken.kind,
            Some(Kind::Acknowledged | Kind::Boot | Kind::Committed | Kind::Resumed)
        );
        if broken.is_torn_write {
            self.torn_at = Some(offset);
        } else if told != Some(&offset.to_le_bytes()[..]) && !is_other {
            self.config = Config::Damaged;
        }
    }

    pub(crate) fn used_bytes(&self) -> u32 {
        self.ring.used_bytes()
    }

    /// Counts a start and returns its number.
    pub(crate) fn start_boot<F: NorFlash>(&mut self, flash: &mut F) -> Result<u32, WriteError> {
        let boot = self.boot.checked_add(1).ok_or(WriteError::OutOfRange)?;
        self.push(flash, Kind::Boot, &boot.to_le_bytes())?;
        self.boot = boot;
        Ok(boot)
    }

    /// Remembers an acknowledgement; it never goes back.
    pub(crate) fn acknowledge<F: NorFlash>(
        &mut self,
        flash: &mut F,
        next: u64,
    ) -> Result<(), WriteError> {
        if next > self.acknowledged {
            self.push(flash, Kind::Acknowledged, &next.to_le_bytes())?;
            self.acknowledged = next;
        }
        Ok(())
    }

    /// Replaces the configuration record.
    pub(crate) fn config_write<F: NorFlash>(
        &mut self,
        flash: &mut F,
        record: &[u8],
    ) -> Result<(), ConfigError> {
        if record.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLong);
        }
        self.make_room(flash, &[record.len(), 0])?;
        let offset = self.ring.append(flash, Kind::Config, record)?;
        self.config = Config::InEntry(offset);
        self.ring.append(flash, Kind::Committed, &[])?;
        Ok(())
    }

    /// Reads the configuration record and returns its length.
    pub(crate) fn config_read<F: NorFlash>(
        &self,
        flash: &mut F,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, ConfigError> {
        let mut copy = |record: &[u8]| {
            let target = buffer
                .get_mut(..record.len())
                .ok_or(ConfigError::BufferTooSmall)?;
            target.copy_from_slice(record);
            Ok(Some(record.len()))
        };
        match self.config {
            Config::Absent => Ok(None),
            Config::Damaged => Err(ConfigError::Damaged),
            Config::InOpening => match self.ring.newest(flash)? {
                Some(newest) => copy(newest.opening().get(FIXED_BYTES..).unwrap_or_default()),
                None => Err(ConfigError::Damaged),
            },
            Config::InEntry(offset) => {
                let mut walk = self.ring.walk_from(offset).ok_or(ConfigError::Damaged)?;
                match walk.next(flash)? {
                    Step::Entry {
                        kind: Kind::Config,
                        payload,
                        ..
                    } => copy(payload),
                    _ => Err(ConfigError::Damaged),
                }
            }
        }
    }

    fn push<F: NorFlash>(
        &mut self,
        flash: &mut F,
        kind: Kind,
        payload: &[u8],
    ) -> Result<(), Fault> {
        self.make_room(flash, &[payload.len()])?;
        self.ring.append(flash, kind, payload).map(drop)
    }

    /// Sees to it that entries of these lengths can follow.
    fn make_room<F: NorFlash>(&mut self, flash: &mut F, lengths: &[usize]) -> Result<(), Fault> {
        let torn_at = self.torn_at.take().map(u16::to_le_bytes);
        let told = torn_at.as_ref().map_or(0, |bytes| bytes.len());
        let lengths = [lengths[0], lengths.get(1).copied().unwrap_or(0), told];
        if !self.ring.fits(&lengths) {
            return self.open(flash);
        }
        match torn_at {
            Some(offset) => self.ring.append(flash, Kind::Resumed, &offset).map(drop),
            None => Ok(()),
        }
    }

    /// Opens the next sector with a copy of all that holds.
    fn open<F: NorFlash>(&mut self, flash: &mut F) -> Result<(), Fault> {
        let mut opening = [0; FIXED_BYTES + CONFIG_BYTES_MAX];
        let (fixed, record) = opening.split_at_mut(FIXED_BYTES);
        let (config, length) = match self.config_read(flash, record) {
            Ok(Some(length)) => (Config::InOpening, length),
            Ok(None) => (Config::Absent, 0),
            Err(ConfigError::Flash(fault)) => return Err(fault),
            Err(_) => (Config::Damaged, 0),
        };
        fixed[..4].copy_from_slice(&self.boot.to_le_bytes());
        fixed[4..12].copy_from_slice(&self.acknowledged.to_le_bytes());
        fixed[12] = match config {
            Config::Absent => 0,
            Config::InOpening | Config::InEntry(_) => 1,
            Config::Damaged => 2,
        };
        self.ring.open(flash, 0, &opening[..FIXED_BYTES + length])?;
        self.config = config;
        Ok(())
    }
}
