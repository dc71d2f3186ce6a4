//! Opening the store that lies on a flash; nothing is written.

use alloc::boxed::Box;

use embedded_storage::nor_flash::NorFlash;
use littlefs::{Littlefs, Region};
use protocol::Tier;

use crate::{
    FlashStore, Layout, MountError,
    archive::Archive,
    counted::Counted,
    counters::{self, Counters},
    events::{self, Events},
    files::segments,
    identity::{self, Owner},
    journal::{self, Journal},
    ring::Place,
    segments::{Due, Index, Loss, Workspace, bounds, load, note_of_loss, scan},
};

/// Where the rings of a store lie.
pub(crate) struct Places {
    pub(crate) counters: Place,
    pub(crate) events: Place,
    pub(crate) journal: Place,
}

impl Places {
    pub(crate) fn of(layout: &Layout) -> Self {
        let place = |ring, first_sector, sectors, torn_bytes_max| Place {
            ring,
            first_sector,
            sectors,
            torn_bytes_max,
        };
        Self {
            counters: place(
                counters::RING,
                layout.first_counter_sector(),
                layout.counter_sectors,
                counters::TORN_BYTES_MAX,
            ),
            events: place(
                events::RING,
                layout.first_event_sector(),
                layout.event_sectors,
                events::TORN_BYTES_MAX,
            ),
            journal: place(
                journal::RING,
                layout.first_journal_sector(),
                layout.journal_sectors,
                journal::TORN_BYTES_MAX,
            ),
        }
    }
}

/// Where the files lie.
pub(crate) fn region(layout: &Layout) -> Region {
    Region {
        first_sector: layout.first_file_sector(),
        sectors: layout.file_sectors,
    }
}

/// A mounted store without its flash.
pub(crate) struct Parts {
    layout: Layout,
    owner: Owner,
    damaged_copy: Option<u32>,
    counters: Counters,
    events: Events,
    journal: Journal,
    files: Option<Littlefs>,
    index: Index,
    archive: Archive,
    pending_loss: Option<Loss>,
    workspace: Box<Workspace>,
}

impl Parts {
    pub(crate) fn mount<F: NorFlash>(flash: &mut F) -> Result<Self, MountError> {
        let layout = Layout::of(flash).ok_or(MountError::Geometry)?;
        let found = identity::find(flash, &layout)?;
        let owner = found.owner;
        let places = Places::of(&layout);
        let mut workspace = Box::new(Workspace::new());
        let mut counters = Counters::mount(flash, places.counters, owner.identity)?;
        let (mut files, mut index, archive) = match mount_files(flash, &layout) {
            Ok((files, index, archive)) => (Some(files), index, archive),
            Err(littlefs::Error::Flash(fault)) => return Err(fault.into()),
            Err(_) => {
                let index = scan(flash, &layout, &owner.identity, &mut workspace.file)?;
                (None, index, Archive::default())
            }
        };
        let events = Events::mount(
            flash,
            places.events,
            owner.identity,
            (counters.boot > owner.boot, archive.end()),
        )?;
        let floor = (counters.acknowledged)
            .max(counters.erased)
            .max(index.end())
            .max(owner.first);
        let mut journal =
            Journal::mount(flash, places.journal, owner.identity, (owner.first, floor))?;
        if files.is_some() && index.has_holes(journal.oldest) {
            // A directory whose log was damaged lost the newest of its entries.
            let found = scan(flash, &layout, &owner.identity, &mut workspace.file)?;
            for held in found.all() {
                index.fill(*held, journal.next);
            }
        }
        counters.boot = (counters.boot)
            .max(owner.boot)
            .max(events.last_boot)
            .max(journal.last_boot);
        if let Some(newest) = index.all().last() {
            // What damage took from the journal or the counters the newest segment still says.
            let identity = &owner.identity;
            let file = &mut workspace.file;
            let segment = load(files.as_mut(), flash, identity, newest, file)?;
            if let Some(around) = bounds(segment.as_ref()) {
                journal.raise_registers(&around.after);
            }
            let last = segment.and_then(|segment| segment.runs().last());
            counters.boot = counters.boot.max(last.map_or(0, |view| view.run.boot));
        }
        let pending_loss = (files.as_mut()).and_then(|files| note_of_loss(files, flash));
        Ok(Self {
            layout,
            owner,
            damaged_copy: found.damaged_copy,
            counters,
            events,
            journal,
            files,
            index,
            archive,
            pending_loss,
            workspace,
        })
    }

    /// Puts the store together.
    pub(crate) fn with<F: NorFlash>(self, flash: Counted<F>) -> FlashStore<F> {
        let packed_end = self.index.end().max(self.counters.erased);
        FlashStore {
            due: Due::after(packed_end, self.owner.identity.channels),
            flash,
            appended: 0,
            layout: self.layout,
            owner: self.owner,
            damaged_copy: self.damaged_copy,
            counters: self.counters,
            events: self.events,
            journal: self.journal,
            files: self.files,
            index: self.index,
            archive: self.archive,
            pending_loss: self.pending_loss,
            uptime_ms: 0,
            workspace: self.workspace,
        }
    }
}

/// Mounts the files and lists segments and events.
fn mount_files<F: NorFlash>(
    flash: &mut F,
    layout: &Layout,
) -> Result<(Littlefs, Index, Archive), littlefs::Error> {
    let mut files = Littlefs::mount(flash, region(layout))?;
    let mut index = Index::with_capacity(layout.file_sectors as usize);
    for tier in Tier::ALL {
        files.list(flash, segments(tier), &mut |name, _| {
            index.list_named(name, tier);
            true
        })?;
    }
    let archive = Archive::mount(&mut files, flash)?;
    Ok((files, index, archive))
}
