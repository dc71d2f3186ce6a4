//! The store: three rings on one flash.

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    ChannelReading, DeviceId, Seq, StoreId,
    event::{Event, What},
    limits::CHANNELS_MAX,
    reading::RegisterSet,
};

use crate::{
    AppendError, Appended, ConfigError, FormatError, Layout, MountError, ReadError, RunParams,
    WriteError,
    events::{self, Events},
    identify::identify,
    readings::{NewReading, Readings},
    ring::{Place, Ring},
    run,
    sector::{Identity, SECTOR_BYTES, erase},
    settings::{self, Settings},
};

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

/// Where the rings of a store lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    pub(crate) settings: Place,
    pub(crate) events: Place,
    pub(crate) readings: Place,
}

impl Places {
    pub(crate) fn of(layout: &Layout) -> Self {
        let place = |ring, first_sector, sectors, torn_bytes_max| Place {
            ring,
            first_sector,
            sectors,
            torn_bytes_max,
        };
        let events_at = layout.settings_sectors;
        let readings_at = events_at + layout.event_sectors;
        Self {
            settings: place(1, 0, layout.settings_sectors, settings::TORN_BYTES_MAX),
            events: place(2, events_at, layout.event_sectors, events::TORN_BYTES_MAX),
            readings: place(3, readings_at, layout.reading_sectors, run::TORN_BYTES_MAX),
        }
    }
}

/// Everything that a meter keeps.
#[derive(Debug)]
pub struct FlashStore<F: NorFlash> {
    flash: F,
    layout: Layout,
    identity: Identity,
    settings: Settings,
    events: Events,
    readings: Readings,
}

impl<F: NorFlash> FlashStore<F> {
    /// Erases the flash and makes an empty store on it.
    ///
    /// # Errors
    /// [`FormatError`]; the flash may then be erased in part.
    pub fn format(mut flash: F, format: &Format) -> Result<Self, FormatError> {
        let layout = Layout::of(&flash).ok_or(FormatError::Geometry)?;
        if !(1..=CHANNELS_MAX).contains(&format.channels.into()) {
            return Err(FormatError::Channels);
        }
        let identity = Identity {
            device: format.device,
            store: format.store,
            channels: format.channels,
            sectors: layout.total_sectors() as u16,
        };
        // Settings go first and come last: a store without any is not mounted, so what a cut leaves of the old history
        // cannot go on.
        for sector in 0..layout.total_sectors() {
            erase(&mut flash, sector * SECTOR_BYTES)?;
        }
        let places = Places::of(&layout);
        let settings = Settings::format(&mut flash, places.settings, identity)?;
        let readings = Ring::empty(places.readings, identity);
        Ok(Self {
            flash,
            layout,
            identity,
            settings,
            events: Events::empty(Ring::empty(places.events, identity)),
            readings: Readings::empty(readings, identity.channels, 0),
        })
    }

    /// Opens the store that lies on a flash; writes nothing and never formats.
    ///
    /// # Errors
    /// [`MountError`] and the flash.
    pub fn mount(mut flash: F) -> Result<Self, (MountError, F)> {
        match Self::parts(&mut flash) {
            Ok((layout, identity, settings, events, readings)) => Ok(Self {
                flash,
                layout,
                identity,
                settings,
                events,
                readings,
            }),
            Err(error) => Err((error, flash)),
        }
    }

    fn parts(flash: &mut F) -> Result<(Layout, Identity, Settings, Events, Readings), MountError> {
        let layout = Layout::of(flash).ok_or(MountError::Geometry)?;
        let places = Places::of(&layout);
        let identity = identify(flash, &layout, &places)?;
        let mut settings = Settings::mount(flash, places.settings, identity)?;
        let events = Events::mount(flash, places.events, identity)?;
        let acknowledged = settings.acknowledged;
        let readings = Readings::mount(flash, places.readings, identity, acknowledged)?;
        // Each start leaves an event, and readings after it a run: a damaged counter does not go back.
        settings.boot = settings.boot.max(events.last_boot).max(readings.last_boot);
        Ok((layout, identity, settings, events, readings))
    }

    /// Returns the meter.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.identity.device
    }

    /// Returns the history.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.identity.store
    }

    /// Returns how the flash is divided.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Returns the lowest number still held.
    #[must_use]
    pub fn oldest(&self) -> Seq {
        Seq(self.readings.oldest)
    }

    /// Returns the number that the next reading will get.
    #[must_use]
    pub fn next(&self) -> Seq {
        Seq(self.readings.next)
    }

    /// Returns the registers after the last reading, one entry a channel.
    #[must_use]
    pub fn registers(&self) -> RegisterSet {
        self.readings.registers.clone()
    }

    /// Returns the number of the current boot, 0 before the first.
    #[must_use]
    pub fn boot(&self) -> u32 {
        self.settings.boot
    }

    /// Returns how many bytes of the rings are in use.
    #[must_use]
    pub fn used_bytes(&self) -> u32 {
        self.settings.used_bytes() + self.events.ring.used_bytes() + self.readings.ring.used_bytes()
    }

    /// Returns the size of all rings in bytes.
    #[must_use]
    pub fn total_bytes(&self) -> u32 {
        self.layout.total_sectors() * SECTOR_BYTES
    }

    /// Returns the flash below, for its counters.
    #[must_use]
    pub fn flash(&self) -> &F {
        &self.flash
    }

    /// Gives the flash back.
    #[must_use]
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// Counts a start and returns its number; durable when it returns.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn start_boot(&mut self) -> Result<u32, WriteError> {
        self.settings.start_boot(&mut self.flash)
    }

    /// Writes the reading whose interval ends at uptime `uptime_ms`; it is durable when this returns.
    ///
    /// A reading that does not follow the last one without a gap begins a new run by itself.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn append(
        &mut self,
        run: &RunParams,
        uptime_ms: u64,
        channels: &[ChannelReading],
    ) -> Result<Appended, AppendError> {
        let reading = NewReading {
            boot: self.settings.boot,
            params: *run,
            uptime_ms,
            channels,
        };
        let acknowledged = self.settings.acknowledged;
        self.readings.append(&mut self.flash, reading, acknowledged)
    }

    /// Packs the block that covers `from`, or the first one after it, and returns its length; `None` at the end.
    ///
    /// The block may begin before `from`. It ends behind `from`, so reading on from its end gets through everything.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_block(&mut self, from: Seq, buffer: &mut [u8]) -> Result<Option<usize>, ReadError> {
        self.readings.read_block(&mut self.flash, from.0, buffer)
    }

    /// Remembers that a collector has stored everything below `next`; never goes back.
    ///
    /// # Errors
    /// [`WriteError`]; out of range is a number that no reading has had yet.
    pub fn acknowledge(&mut self, next: Seq) -> Result<(), WriteError> {
        if next > self.next() {
            return Err(WriteError::OutOfRange);
        }
        self.settings.acknowledge(&mut self.flash, next.0)
    }

    /// Returns the first number that no collector has acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> Seq {
        Seq(self.settings.acknowledged)
    }

    /// Copies the configuration record and returns its length; `None` where none was ever written.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn config_read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, ConfigError> {
        self.settings.config_read(&mut self.flash, buffer)
    }

    /// Replaces the configuration record, of at most 512 bytes; after a cut either the old or the new one is there.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn config_write(&mut self, record: &[u8]) -> Result<(), ConfigError> {
        self.settings.config_write(&mut self.flash, record)
    }

    /// Logs an event and returns its number; durable when it returns.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn event_append(
        &mut self,
        boot: u32,
        uptime_ms: u64,
        what: What,
    ) -> Result<u64, WriteError> {
        self.events.append(&mut self.flash, boot, uptime_ms, what)
    }

    /// Hands the events from number `from` on to `visit`, oldest first, until it returns false.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn events(
        &mut self,
        from: u64,
        visit: &mut dyn FnMut(&Event) -> bool,
    ) -> Result<(), ReadError> {
        self.events.visit(&mut self.flash, from, visit)
    }

    /// Returns the number that the next event will get.
    #[must_use]
    pub fn next_event(&self) -> u64 {
        self.events.next
    }
}
