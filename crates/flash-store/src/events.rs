//! The ring of events.

use embedded_storage::nor_flash::NorFlash;
use protocol::event::{EVENT_BYTES_MAX, Event, What};

use crate::{
    ReadError, WriteError,
    entry::{Kind, entry_bytes},
    error::Fault,
    ring::{Place, Ring},
    run::NUMBER_MAX,
    sector::{Identity, SECTOR_BYTES},
    walk::Step,
};

/// Shortest entry of an event: four one-byte fields.
const EVENT_ENTRY_BYTES_MIN: u32 = entry_bytes(4) as u32;
/// Longest entry of an event.
pub(crate) const TORN_BYTES_MAX: u32 = entry_bytes(EVENT_BYTES_MAX) as u32;
const SECTOR_EVENTS_MAX: u64 = (SECTOR_BYTES / EVENT_ENTRY_BYTES_MIN) as u64;

/// The numbered events; the oldest go when the ring is full.
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

    /// Finds the number of the next event; numbers that damage may hide are passed over.
    pub(crate) fn mount<F: NorFlash>(
        flash: &mut F,
        place: Place,
        identity: Identity,
    ) -> Result<Self, Fault> {
        let mut events = Self::empty(Ring::mount(flash, place, identity)?);
        let Some(newest) = events.ring.newest(flash)? else {
            let unreadable = events.ring.sectors_with_entries(flash, 0)?;
            events.next = unreadable * SECTOR_EVENTS_MAX;
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
        Ok(events)
    }

    /// Writes an event and returns its number; durable when it returns.
    pub(crate) fn append<F: NorFlash>(
        &mut self,
        flash: &mut F,
        boot: u32,
        uptime_ms: u64,
        what: What,
    ) -> Result<u64, WriteError> {
        let number = self.next;
        if number >= NUMBER_MAX {
            return Err(WriteError::OutOfRange);
        }
        let event = Event {
            number,
            boot,
            uptime_ms,
            what,
        };
        let mut payload = [0; EVENT_BYTES_MAX];
        let length = event.write(&mut payload);
        // Also where the flash fails: the event may be there all the same.
        self.next += 1;
        if !self.ring.fits(&[length]) {
            self.ring.open(flash, number, &[])?;
        }
        self.ring.append(flash, Kind::Event, &payload[..length])?;
        Ok(number)
    }

    /// Hands the events from number `from` on to `visit`, oldest first, until it returns false.
    pub(crate) fn visit<F: NorFlash>(
        &self,
        flash: &mut F,
        from: u64,
        visit: &mut dyn FnMut(&Event) -> bool,
    ) -> Result<(), ReadError> {
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
