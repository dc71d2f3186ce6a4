//! The ring of events: the newest ones.

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    event::{EVENT_BYTES_MAX, Event},
    run::NUMBER_MAX,
};

use crate::{
    WriteError,
    error::Fault,
    ring::{
        Place, Ring,
        entry::{Kind, PAYLOAD_BYTES_MAX, entry_bytes},
        sector::{Identity, SECTOR_BYTES},
        walk::Step,
    },
};

const _: () = assert!(EVENT_BYTES_MAX <= PAYLOAD_BYTES_MAX);

/// Tells the ring from others.
pub(crate) const RING: u8 = 2;
/// Shortest entry of an event: four one-byte fields.
const EVENT_ENTRY_BYTES_MIN: u32 = entry_bytes(4) as u32;
/// Longest entry of an event.
pub(crate) const TORN_BYTES_MAX: u32 = entry_bytes(EVENT_BYTES_MAX) as u32;
const SECTOR_EVENTS_MAX: u64 = (SECTOR_BYTES / EVENT_ENTRY_BYTES_MIN) as u64;

/// The newest events; the oldest go to a file when the ring is full.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    pub(crate) ring: Ring,
    pub(crate) next: u64,
    /// Highest boot in the newest events.
    pub(crate) last_boot: u32,
}

impl Events {
    pub(crate) fn empty(ring: Ring) -> Self {
        Self {
            ring,
            next: 0,
            last_boot: 0,
        }
    }

    /// Finds the number of the next event, at least `floor`; numbers that damage may hide are passed over, all that the ring
    /// could have held where `has_history` says that there were some.
    pub(crate) fn mount<F: NorFlash>(
        flash: &mut F,
        place: Place,
        identity: Identity,
        (has_history, floor): (bool, u64),
    ) -> Result<Self, Fault> {
        let mut events = Self::empty(Ring::mount(flash, place, identity)?);
        let Some(newest) = events.ring.newest(flash)? else {
            // Where events lie in files, or a start was counted, an erased ring was not always so.
            let unreadable = match has_history || floor > 0 {
                true => place.sectors.into(),
                false => events.ring.sectors_with_entries(flash, 0)?,
            };
            events.next = floor + unreadable * SECTOR_EVENTS_MAX;
            return Ok(events);
        };
        events.next = newest.base.min(NUMBER_MAX);
        let mut walk = events.ring.walk(&newest);
        loop {
            match walk.next(flash)? {
                Step::Entry { payload, .. } => {
                    if let Some(event) = parse(payload) {
                        events.next = events.next.max(event.number + 1);
                        events.last_boot = events.last_boot.max(event.boot);
                    }
                }
                Step::Broken(broken) => {
                    events.next += u64::from(broken.bytes / EVENT_ENTRY_BYTES_MIN).max(1);
                }
                Step::End(offset) => {
                    if let Some(offset) = offset {
                        events.ring.resume(offset);
                    }
                    break;
                }
            }
        }
        events.next += events.ring.missing() * SECTOR_EVENTS_MAX;
        events.next = events.next.max(floor);
        Ok(events)
    }

    /// Tells whether an event of so many bytes fits without opening the next sector.
    pub(crate) fn fits(&self, length: usize) -> bool {
        self.ring.fits(&[length])
    }

    /// Writes the event with number `next`; durable when it returns.
    pub(crate) fn append<F: NorFlash>(
        &mut self,
        flash: &mut F,
        event: &[u8],
    ) -> Result<(), WriteError> {
        let number = self.next;
        if number >= NUMBER_MAX {
            return Err(WriteError::OutOfRange);
        }
        // Also where the flash fails: the event may be there all the same.
        self.next += 1;
        if !self.ring.fits(&[event.len()]) {
            self.ring.open(flash, number, &[])?;
        }
        self.ring.append(flash, Kind::Event, event)?;
        Ok(())
    }

    /// Hands the events from number `from` on to `visit`, oldest first, until it returns false.
    pub(crate) fn visit<F: NorFlash>(
        &self,
        flash: &mut F,
        from: u64,
        visit: &mut dyn FnMut(&Event) -> bool,
    ) -> Result<(), Fault> {
        let mut opened = match self.ring.locate(flash, from)? {
            Some(opened) => Some(opened),
            None => self.ring.next_from(flash, 0)?,
        };
        while let Some(sector) = opened {
            let mut walk = self.ring.walk(&sector);
            loop {
                match walk.next(flash)? {
                    Step::Entry { payload, .. } => {
                        let wanted = |event: &Event| (from..self.next).contains(&event.number);
                        if let Some(event) = parse(payload).filter(wanted)
                            && !visit(&event)
                        {
                            return Ok(());
                        }
                    }
                    Step::Broken(_) => {}
                    Step::End(_) => break,
                }
            }
            opened = self.ring.next_from(flash, sector.sequence + 1)?;
        }
        Ok(())
    }
}

fn parse(payload: &[u8]) -> Option<Event> {
    let event = Event::parse(payload).ok()?;
    (event.number < NUMBER_MAX).then_some(event)
}
