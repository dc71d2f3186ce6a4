//! The store: four rings and the identity on one flash.

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    ChannelReading, DeviceId, Seq, StoreId,
    event::{EVENT_BYTES_MAX, Event, What},
    limits::CHANNELS_MAX,
    reading::RegisterSet,
};

use crate::{
    readings::{Owner, Readings},
    ring::{FlashFault, Ring, SECTOR_BYTES},
};

const IDENTITY_SECTORS: u32 = 2;
const BOOT_SECTORS: u32 = 2;
const STATE_SECTORS: u32 = 4;
const EVENT_SECTORS: u32 = 16;
const READINGS_BASE: u32 = IDENTITY_SECTORS + BOOT_SECTORS + STATE_SECTORS + EVENT_SECTORS;
const READING_SECTORS_MIN: u32 = 4;
/// Kinds of sectors, and of the entries in those rings that have one kind only.
const IDENTITY: u8 = 1;
const BOOT: u8 = 2;
const STATE: u8 = 3;
const EVENTS: u8 = 4;
const READINGS: u8 = 5;
/// Longest configuration record.
pub const CONFIG_BYTES_MAX: usize = 512;
const STATE_BYTES_MAX: usize = 8 + CONFIG_BYTES_MAX;

/// What a fresh store is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The meter.
    pub device: DeviceId,
    /// A fresh random number: this history is no other.
    pub store: StoreId,
    /// Channels of each reading, 1 to 3.
    pub channels: u8,
}

/// What is common to the readings of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunParams {
    /// Length of each interval in ms.
    pub interval_ms: u32,
    /// Unit of power in mW.
    pub power_unit_mw: u16,
    /// Version of the calibration.
    pub calibration: u16,
}

/// A reading is on flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its number.
    pub seq: Seq,
    /// What had to go for it although no collector had acknowledged it.
    pub lost: Option<Lost>,
}

/// Readings that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The first number.
    pub first: Seq,
    /// How many, at least 1.
    pub count: u64,
}

/// Why a flash cannot be formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// The flash failed.
    Flash,
    /// It is too small, or has other sectors than 4 KiB.
    Geometry,
    /// A meter has 1 to 3 channels.
    Channels,
}

/// Why a flash is not mounted; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountError {
    /// The flash failed.
    Flash,
    /// It is too small, or has other sectors than 4 KiB.
    Geometry,
    /// It is erased.
    Unformatted,
    /// Something else lies on it.
    Foreign,
}

/// Why a reading is not on flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// The flash failed; the number is used up and the registers count the energy.
    Flash,
    /// The store has another number of channels.
    Channels,
}

/// Why a block cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The flash failed.
    Flash,
    /// The buffer is shorter than a block may be.
    BufferTooSmall,
}

/// Why the configuration cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The flash failed.
    Flash,
    /// The record is over 512 bytes, or longer than the buffer.
    TooLong,
}

/// Why events cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventError {
    /// The flash failed.
    Flash,
}

macro_rules! flash_faults {
    ($($error:ident),*) => {$(
        impl From<FlashFault> for $error {
            fn from(_: FlashFault) -> Self {
                Self::Flash
            }
        }
    )*};
}
flash_faults!(
    FormatError,
    MountError,
    AppendError,
    ReadError,
    ConfigError,
    EventError
);

/// Everything that a meter keeps.
pub struct FlashStore<F: NorFlash> {
    flash: F,
    owner: Owner,
    boots: Ring,
    states: Ring,
    events: Ring,
    readings: Readings,
    boot: u32,
    next_event: u64,
    acknowledged: u64,
    total_bytes: u32,
}

impl<F: NorFlash> FlashStore<F> {
    /// Erases the flash and makes an empty store on it.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn format(mut flash: F, format: &Format) -> Result<Self, FormatError> {
        if !(1..=CHANNELS_MAX).contains(&format.channels.into()) {
            return Err(FormatError::Channels);
        }
        let sectors = sectors(&flash).ok_or(FormatError::Geometry)?;
        // The identity goes first and comes last: a cut in between leaves a flash that says it is unformatted.
        for sector in 0..sectors {
            let start = sector * SECTOR_BYTES;
            flash
                .erase(start, start + SECTOR_BYTES)
                .map_err(|_| FormatError::Flash)?;
        }
        let mut payload = [0; 15];
        payload[..6].copy_from_slice(&format.device.0);
        payload[6..14].copy_from_slice(&format.store.0.to_le_bytes());
        payload[14] = format.channels;
        // Two copies, a sector each.
        let mut identity = Ring::new(0, IDENTITY_SECTORS, IDENTITY);
        for copy in 0..IDENTITY_SECTORS {
            let opened = identity.advance(&mut flash, copy.into())?;
            identity.begin(&mut flash, opened, IDENTITY, &payload)?;
        }
        let owner = Owner {
            device: format.device,
            store: format.store,
            channels: format.channels.into(),
        };
        Ok(Self::empty(flash, owner, sectors))
    }

    /// Opens the store that lies on a flash; never formats.
    ///
    /// # Errors
    /// [`MountError`] and the flash.
    pub fn mount(mut flash: F) -> Result<Self, (MountError, F)> {
        let (owner, sectors) = match identify(&mut flash) {
            Ok(found) => found,
            Err(error) => return Err((error, flash)),
        };
        let mut store = Self::empty(flash, owner, sectors);
        match store.find_ends() {
            Ok(()) => Ok(store),
            Err(fault) => Err((fault.into(), store.flash)),
        }
    }

    fn empty(flash: F, owner: Owner, sectors: u32) -> Self {
        let boots = IDENTITY_SECTORS;
        let states = boots + BOOT_SECTORS;
        let events = states + STATE_SECTORS;
        let readings = Ring::new(READINGS_BASE, sectors - READINGS_BASE, READINGS);
        Self {
            flash,
            owner,
            boots: Ring::new(boots, BOOT_SECTORS, BOOT),
            states: Ring::new(states, STATE_SECTORS, STATE),
            events: Ring::new(events, EVENT_SECTORS, EVENTS),
            readings: Readings::new(readings, owner),
            boot: 0,
            next_event: 0,
            acknowledged: 0,
            total_bytes: sectors * SECTOR_BYTES,
        }
    }

    fn find_ends(&mut self) -> Result<(), FlashFault> {
        let flash = &mut self.flash;
        self.boots.mount(flash)?;
        self.states.mount(flash)?;
        self.events.mount(flash)?;
        self.readings.mount(flash)?;
        let mut boot = [0; 4];
        if last_entry(&self.boots, flash, &mut boot)? == Some(boot.len()) {
            self.boot = u32::from_le_bytes(boot);
        }
        let mut state = [0; STATE_BYTES_MAX];
        if last_entry(&self.states, flash, &mut state)?.is_some_and(|length| length >= 8) {
            self.acknowledged = u64::from_le_bytes(state[..8].try_into().expect("eight bytes"));
        }
        let mut event = [0; EVENT_BYTES_MAX];
        if let Some(length) = last_entry(&self.events, flash, &mut event)?
            && let Ok(event) = Event::parse(&event[..length])
        {
            self.next_event = event.number + 1;
        }
        Ok(())
    }

    /// Returns the meter.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.owner.device
    }

    /// Returns the history.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.owner.store
    }

    /// Returns the lowest number still held.
    #[must_use]
    pub fn oldest(&self) -> Seq {
        self.readings.oldest()
    }

    /// Returns the number that the next reading will get.
    #[must_use]
    pub fn next(&self) -> Seq {
        self.readings.next()
    }

    /// Returns the registers after the last reading.
    #[must_use]
    pub fn registers(&self) -> RegisterSet {
        self.readings.registers().clone()
    }

    /// Returns the number of the current boot, 0 before the first.
    #[must_use]
    pub fn boot(&self) -> u32 {
        self.boot
    }

    /// Returns how many bytes of the rings are in use.
    #[must_use]
    pub fn used_bytes(&self) -> u32 {
        self.readings.used_bytes()
            + self.boots.used_bytes()
            + self.states.used_bytes()
            + self.events.used_bytes()
    }

    /// Returns the size of the store in bytes.
    #[must_use]
    pub fn total_bytes(&self) -> u32 {
        self.total_bytes
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// Counts a start; durable when it returns.
    ///
    /// # Errors
    /// [`AppendError::Flash`].
    pub fn start_boot(&mut self) -> Result<u32, AppendError> {
        let boot = self.boot + 1;
        self.boots
            .push(&mut self.flash, boot.into(), BOOT, &boot.to_le_bytes())?;
        self.boot = boot;
        Ok(boot)
    }

    /// Writes a reading whose interval ends at that uptime; durable when it returns.
    ///
    /// A reading that does not follow the last one without a gap begins a new run by itself.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn append(
        &mut self,
        params: &RunParams,
        uptime_ms: u64,
        channels: &[ChannelReading],
    ) -> Result<Appended, AppendError> {
        let (flash, boot) = (&mut self.flash, self.boot);
        self.readings
            .append(flash, boot, *params, uptime_ms, channels, self.acknowledged)
    }

    /// Packs the block that covers `from`, or the first after it, and returns its length; `None` at the end.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_block(&mut self, from: Seq, buffer: &mut [u8]) -> Result<Option<usize>, ReadError> {
        self.readings.read_block(&mut self.flash, from.0, buffer)
    }

    /// Remembers that a collector has stored everything before `next`; never goes back.
    ///
    /// # Errors
    /// [`ConfigError::Flash`].
    pub fn acknowledge(&mut self, next: Seq) -> Result<(), ConfigError> {
        if next.0 <= self.acknowledged {
            return Ok(());
        }
        let mut state = [0; STATE_BYTES_MAX];
        let length = last_entry(&self.states, &mut self.flash, &mut state)?
            .unwrap_or(8)
            .max(8);
        state[..8].copy_from_slice(&next.0.to_le_bytes());
        self.states
            .push(&mut self.flash, 0, STATE, &state[..length])?;
        self.acknowledged = next.0;
        Ok(())
    }

    /// Returns the first number that no collector has acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> Seq {
        Seq(self.acknowledged)
    }

    /// Reads the configuration record and returns its length; `None` where none was written.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn config_read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, ConfigError> {
        let mut state = [0; STATE_BYTES_MAX];
        let length = last_entry(&self.states, &mut self.flash, &mut state)?.unwrap_or(0);
        let record = state.get(8..length).unwrap_or_default();
        if record.is_empty() {
            return Ok(None);
        }
        let target = buffer.get_mut(..record.len()).ok_or(ConfigError::TooLong)?;
        target.copy_from_slice(record);
        Ok(Some(record.len()))
    }

    /// Replaces the configuration record; after a cut either the old or the new one is there.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn config_write(&mut self, record: &[u8]) -> Result<(), ConfigError> {
        if record.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLong);
        }
        let mut state = [0; STATE_BYTES_MAX];
        state[..8].copy_from_slice(&self.acknowledged.to_le_bytes());
        state[8..8 + record.len()].copy_from_slice(record);
        self.states
            .push(&mut self.flash, 0, STATE, &state[..8 + record.len()])?;
        Ok(())
    }

    /// Logs an event and returns its number; durable when it returns.
    ///
    /// # Errors
    /// [`EventError::Flash`].
    pub fn event_append(
        &mut self,
        boot: u32,
        uptime_ms: u64,
        what: What,
    ) -> Result<u64, EventError> {
        let number = self.next_event;
        let event = Event {
            number,
            boot,
            uptime_ms,
            what,
        };
        let mut payload = [0; EVENT_BYTES_MAX];
        let length = event.write(&mut payload);
        // A write that failed may lie on flash all the same: its number is not used again.
        self.next_event += 1;
        self.events
            .push(&mut self.flash, number, EVENTS, &payload[..length])?;
        Ok(number)
    }

    /// Hands the events from a number on to `visit`, oldest first, until it returns false.
    ///
    /// # Errors
    /// [`EventError::Flash`].
    pub fn events(
        &mut self,
        from: u64,
        visit: &mut dyn FnMut(&Event) -> bool,
    ) -> Result<(), EventError> {
        for counter in self.events.counters() {
            if self.events.header(&mut self.flash, counter)?.is_none() {
                continue;
            }
            let mut walk = self.events.walk(counter);
            while let Some(entry) = walk.next(&mut self.flash)? {
                if let Ok(event) = Event::parse(entry.payload)
                    && event.number >= from
                    && !visit(&event)
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Returns the number that the next event will get.
    #[must_use]
    pub fn next_event(&self) -> u64 {
        self.next_event
    }
}

/// Returns how many sectors a store on that flash has, `None` where the flash does not do.
fn sectors<F: NorFlash>(flash: &F) -> Option<u32> {
    let sectors = u32::try_from(flash.capacity()).ok()? / SECTOR_BYTES;
    let fits =
        F::ERASE_SIZE == SECTOR_BYTES as usize && 4 % F::WRITE_SIZE == 0 && 4 % F::READ_SIZE == 0;
    (fits && sectors >= READINGS_BASE + READING_SECTORS_MIN).then_some(sectors)
}

/// Reads either copy of the identity.
fn identify<F: NorFlash>(flash: &mut F) -> Result<(Owner, u32), MountError> {
    let sectors = sectors(flash).ok_or(MountError::Geometry)?;
    let ring = Ring::new(0, IDENTITY_SECTORS, IDENTITY);
    let mut erased = true;
    for counter in 0..IDENTITY_SECTORS {
        let mut walk = ring.walk(counter);
        if let Some(entry) = walk.next(flash)?
            && let Ok(payload) = <&[u8; 15]>::try_from(entry.payload)
            && (1..=CHANNELS_MAX).contains(&payload[14].into())
        {
            let owner = Owner {
                device: DeviceId(payload[..6].try_into().expect("six bytes")),
                store: StoreId(u64::from_le_bytes(
                    payload[6..14].try_into().expect("eight bytes"),
                )),
                channels: payload[14].into(),
            };
            return Ok((owner, sectors));
        }
        erased &= !walk.torn;
    }
    Err(if erased {
        MountError::Unformatted
    } else {
        MountError::Foreign
    })
}

/// Copies the newest entry of a ring; returns its length.
fn last_entry<F: NorFlash>(
    ring: &Ring,
    flash: &mut F,
    buffer: &mut [u8],
) -> Result<Option<usize>, FlashFault> {
    let Some(head) = ring.head() else {
        return Ok(None);
    };
    let mut walk = ring.walk(head);
    let mut last = None;
    while let Some(entry) = walk.next(flash)? {
        if let Some(target) = buffer.get_mut(..entry.payload.len()) {
            target.copy_from_slice(entry.payload);
            last = Some(entry.payload.len());
        }
    }
    Ok(last)
}
