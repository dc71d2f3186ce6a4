//! Making an empty store.

use alloc::boxed::Box;

use embedded_storage::nor_flash::NorFlash;
use littlefs::Littlefs;
use protocol::{DeviceId, StoreId, access_point::Password, limits::CHANNELS_MAX, reading::Tier};

use crate::{
    FlashStore, FormatError, Layout, MountError,
    archive::Archive,
    counted::Counted,
    counters::Counters,
    events::Events,
    files::{EVENTS, segments},
    identity::{self, Owner, erase_used},
    journal::Journal,
    mount::{Places, region},
    ring::{Ring, sector::Identity},
    segments::{Due, Index, Workspace},
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
    /// Password of the meter's access point; `None` where it has none.
    pub password: Option<Password>,
}

impl<F: NorFlash> FlashStore<F> {
    /// Erases the flash and makes an empty store on it.
    ///
    /// # Errors
    /// [`FormatError`]; what lay there is then gone, and the flash is as unformatted.
    pub fn format(flash: F, format: &Format) -> Result<Self, FormatError> {
        let mut flash = Counted::new(flash);
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
        let owner = Owner {
            identity,
            first: 0,
            boot: 0,
            password: format.password,
        };
        identity::begin(&mut flash, &owner)?;
        for sector in layout.first_counter_sector()..layout.total_sectors() {
            erase_used(&mut flash, sector)?;
        }
        let mut files = Littlefs::format(&mut flash, region(&layout))?;
        for tier in Tier::ALL {
            files.make_dir(&mut flash, segments(tier))?;
        }
        files.make_dir(&mut flash, EVENTS)?;
        identity::complete(&mut flash)?;
        let places = Places::of(&layout);
        let journal = Ring::empty(places.journal, identity);
        Ok(Self {
            counters: Counters::empty(places.counters, identity, owner.boot),
            events: Events::empty(Ring::empty(places.events, identity)),
            journal: Journal::empty(journal, identity.channels, owner.first),
            files: Some(files),
            index: Index::with_capacity(layout.file_sectors as usize),
            archive: Archive::default(),
            due: Due::after(owner.first, identity.channels),
            pending_loss: None,
            appended: 0,
            uptime_ms: 0,
            workspace: Box::new(Workspace::new()),
            damaged_copy: None,
            owner,
            layout,
            flash,
        })
    }

    /// Opens the store that lies on a flash; makes one as `fresh` says where there is nothing to lose.
    ///
    /// Where formatting was cut short, or the store was [abandoned](Self::abandon), the new one has the device, the history and
    /// the password that still lie there.
    ///
    /// # Errors
    /// [`MountError`] where it is not mounted for another reason than that it is unformatted; nothing was changed then.
    pub fn mount_or_format(flash: F, fresh: &Format) -> Result<Self, MountError> {
        let mut flash = match Self::mount(flash) {
            Err((MountError::Unformatted, flash)) => flash,
            Err((error, _)) => return Err(error),
            Ok(store) => return Ok(store),
        };
        let format = match identity::kept(&mut flash)? {
            None => *fresh,
            Some(kept) => Format {
                device: kept.device,
                store: kept.store,
                channels: fresh.channels,
                password: kept.password.or(fresh.password),
            },
        };
        Self::format(flash, &format).map_err(|error| match error {
            FormatError::Geometry | FormatError::Channels => MountError::Geometry,
            FormatError::Flash(kind) => MountError::Flash(kind),
        })
    }

    /// Gives up all readings, events and settings: the flash is unformatted then, and the next store on it is of the same meter
    /// with the same password, and of the history `store`, a fresh random number. This one is not to be used any more.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn abandon(&mut self, store: StoreId) -> Result<(), FormatError> {
        self.owner.identity.store = store;
        (self.owner.first, self.owner.boot) = (0, 0);
        Ok(identity::begin(&mut self.flash, &self.owner)?)
    }
}
