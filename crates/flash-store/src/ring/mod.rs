//! A ring of sectors: the one structure under counters, events and journal.
//!
//! The sectors of a ring are opened one after another and numbered; number `sequence` lies in sector
//! `sequence % sectors`. The newest (**head**) takes entries; opening the next one erases the oldest (**tail**). The ring
//! keeps nothing in memory but its ends: what lies between is found by binary search over the bases.

pub(crate) mod entry;
pub(crate) mod sector;
pub(crate) mod walk;

use embedded_storage::nor_flash::NorFlash;

use crate::error::Fault;
use entry::{ENTRY_BYTES_MAX, Kind, entry_bytes, seal};
use sector::{Identity, MARK_AT, Opened, SECTOR_BYTES};
use walk::Walk;

/// Sectors that are tried in turn for a new head. A dead one is passed over; more are not erased for nothing when it is
/// programming that fails.
const OPEN_ATTEMPTS: u64 = 3;

/// Where a ring lies on the flash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Tells rings apart in sector headers.
    pub(crate) ring: u8,
    pub(crate) first_sector: u32,
    pub(crate) sectors: u32,
    /// What one torn write of an entry can leave at the most.
    pub(crate) torn_bytes_max: u32,
}

/// The ends of a ring.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    place: Place,
    identity: Identity,
    /// Sequence of the newest sector, also of one that cannot be read; `None` in an empty ring.
    head: Option<u64>,
    /// Newest sectors that were opened once and cannot be read.
    missing: u64,
    /// Sequence of the oldest sector that can be read.
    tail: u64,
    /// Where the next entry goes in the head; its end where it takes no more.
    position: u32,
    /// Whether the sector before the head is known to bear the closing mark.
    is_predecessor_closed: bool,
}

impl Ring {
    /// Describes a ring in which no sector was opened.
    pub(crate) fn empty(place: Place, identity: Identity) -> Self {
        Self {
            place,
            identity,
            head: None,
            missing: 0,
            tail: 0,
            position: MARK_AT,
            is_predecessor_closed: true,
        }
    }

    /// Finds the ends of a ring; the head takes no entries until [`resume`](Self::resume).
    pub(crate) fn mount<F: NorFlash>(
        flash: &mut F,
        place: Place,
        identity: Identity,
    ) -> Result<Self, Fault> {
        let mut ring = Self::empty(place, identity);
        let mut newest = None;
        for index in 0..place.sectors {
            let opened = sector::load(flash, ring.address(index.into()), place.ring)?;
            let here = opened.filter(|opened| ring.owns(opened, index.into()));
            newest = newest.max(here.map(|opened| opened.sequence));
        }
        let Some(newest) = newest else {
            return Ok(ring);
        };
        let mut head = newest;
        while ring.missing < place.sectors.into() && sector::is_closed(flash, ring.address(head))? {
            // The sector behind this one was opened, or this one would not be closed.
            head += 1;
            ring.missing += 1;
        }
        ring.head = Some(head);
        ring.find_tail(flash)?;
        ring.is_predecessor_closed = match head.checked_sub(1) {
            Some(before) if ring.load(flash, before)?.is_some() => {
                sector::is_closed(flash, ring.address(before))?
            }
            _ => true,
        };
        Ok(ring)
    }

    /// Returns whose ring it is.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    fn owns(&self, opened: &Opened, index: u64) -> bool {
        opened.identity == self.identity && opened.sequence % u64::from(self.place.sectors) == index
    }

    fn find_tail<F: NorFlash>(&mut self, flash: &mut F) -> Result<(), Fault> {
        let head = self.head.unwrap_or(0);
        let lowest = (head + 1).saturating_sub(self.place.sectors.into());
        self.tail = lowest;
        for sequence in lowest..=head {
            if self.load(flash, sequence)?.is_some() {
                self.tail = sequence;
                break;
            }
        }
        Ok(())
    }

    fn address(&self, sequence: u64) -> u32 {
        let index = (sequence % u64::from(self.place.sectors)) as u32;
        (self.place.first_sector + index) * SECTOR_BYTES
    }

    /// Reads the header of the sector with that sequence; `None` where it is not there or cannot be read.
    pub(crate) fn load<F: NorFlash>(
        &self,
        flash: &mut F,
        sequence: u64,
    ) -> Result<Option<Opened>, Fault> {
        let opened = sector::load(flash, self.address(sequence), self.place.ring)?;
        Ok(opened.filter(|opened| opened.sequence == sequence && opened.identity == self.identity))
    }

    /// Returns the sequence of the newest sector, also of one that cannot be read; `None` in an empty ring.
    pub(crate) fn newest_sequence(&self) -> Option<u64> {
        self.head
    }

    /// Returns the oldest sector that can be read, if opening the next one will erase it.
    pub(crate) fn doomed<F: NorFlash>(&self, flash: &mut F) -> Result<Option<Opened>, Fault> {
        let is_full = |head| head + 1 >= self.tail + u64::from(self.place.sectors);
        match self.head {
            Some(head) if is_full(head) => self.load(flash, self.tail),
            _ => Ok(None),
        }
    }

    /// Reads the header of the newest sector that can be read.
    pub(crate) fn newest<F: NorFlash>(&self, flash: &mut F) -> Result<Option<Opened>, Fault> {
        match self.head {
            Some(head) => self.load(flash, head - self.missing),
            None => Ok(None),
        }
    }

    /// Reads the header of the first sector from `sequence` on that can be read.
    pub(crate) fn next_from<F: NorFlash>(
        &self,
        flash: &mut F,
        sequence: u64,
    ) -> Result<Option<Opened>, Fault> {
        let Some(head) = self.head else {
            return Ok(None);
        };
        for sequence in sequence.max(self.tail)..=head {
            if let Some(opened) = self.load(flash, sequence)? {
                return Ok(Some(opened));
            }
        }
        Ok(None)
    }

    /// Finds the newest sector whose base is not above `number`, by binary search; sectors that cannot be read are
    /// stepped over.
    pub(crate) fn locate<F: NorFlash>(
        &self,
        flash: &mut F,
        number: u64,
    ) -> Result<Option<Opened>, Fault> {
        let Some(head) = self.head else {
            return Ok(None);
        };
        let (mut low, mut end) = (self.tail, head + 1);
        let mut found = None;
        while low < end {
            let middle = low + (end - low) / 2;
            let mut probe = middle;
            let opened = loop {
                let opened = self.load(flash, probe)?;
                if opened.is_some() || probe == low {
                    break opened;
                }
                probe -= 1;
            };
            match opened {
                Some(opened) if opened.base > number => end = probe,
                Some(opened) => {
                    low = middle + 1;
                    found = Some(opened);
                }
                None => low = middle + 1,
            }
        }
        Ok(found)
    }

    /// Starts a walk through the entries of a sector.
    pub(crate) fn walk(&self, opened: &Opened) -> Walk {
        Walk::new(
            self.address(opened.sequence),
            opened.entries_at(),
            self.place.torn_bytes_max,
        )
    }

    /// Starts a walk through each of the newest sectors whose headers cannot be read, oldest first.
    pub(crate) fn walks_of_missing(&self) -> impl Iterator<Item = Walk> + use<> {
        let newest = self.head.map_or(0, |head| head + 1);
        let ring = self.clone();
        (newest - self.missing..newest).map(move |sequence| {
            let at = ring.address(sequence);
            Walk::new(at, sector::HEADER_BYTES as u32, ring.place.torn_bytes_max)
        })
    }

    /// Lets the head take entries from `position` on.
    pub(crate) fn resume(&mut self, position: u32) {
        if self.missing == 0 {
            self.position = position;
        }
    }

    /// Returns how many of the newest sectors cannot be read.
    pub(crate) fn missing(&self) -> u64 {
        self.missing
    }

    /// Counts sectors with more in them than an opening of `opening_bytes` and a torn one leave.
    ///
    /// In a ring none of whose sectors can be read these are the ones that were opened once.
    pub(crate) fn sectors_with_entries<F: NorFlash>(
        &self,
        flash: &mut F,
        opening_bytes: usize,
    ) -> Result<u64, Fault> {
        let mut count = 0;
        for sequence in 0..self.place.sectors.into() {
            let behind = sector::whole_bytes(opening_bytes) as u32;
            count += u64::from(!sector::is_blank(flash, self.address(sequence), behind)?);
        }
        Ok(count)
    }

    /// Returns the bytes between tail and the next entry.
    pub(crate) fn used_bytes(&self) -> u32 {
        let Some(head) = self.head else { return 0 };
        (head - self.tail) as u32 * SECTOR_BYTES + self.position
    }

    /// Tells whether entries with payloads of these lengths fit into the head.
    pub(crate) fn fits(&self, lengths: &[usize]) -> bool {
        let bytes: usize = lengths.iter().map(|&length| entry_bytes(length)).sum();
        self.head.is_some() && self.position as usize + bytes <= MARK_AT as usize
    }

    /// Opens the next sector, which erases the oldest of a full ring.
    pub(crate) fn open<F: NorFlash>(
        &mut self,
        flash: &mut F,
        base: u64,
        opening: &[u8],
    ) -> Result<(), Fault> {
        self.position = MARK_AT;
        let first = self.head.map_or(0, |head| head + 1);
        let mut result = Err(Fault::Other);
        // The head itself must stay.
        let attempts = OPEN_ATTEMPTS.min(u64::from(self.place.sectors) - 1);
        for sequence in first..first + attempts {
            result = self.try_open(flash, sequence, base, opening);
            if result.is_ok() {
                break;
            }
        }
        self.find_tail(flash)?;
        result
    }

    fn try_open<F: NorFlash>(
        &mut self,
        flash: &mut F,
        sequence: u64,
        base: u64,
        opening: &[u8],
    ) -> Result<(), Fault> {
        let stated = u32::try_from(sequence).map_err(|_| Fault::OutOfBounds)?;
        let at = self.address(sequence);
        // Formatting has erased every sector; in the first round that still holds.
        if sequence >= u64::from(self.place.sectors) || !sector::is_blank(flash, at, 0)? {
            sector::erase(flash, at)?;
        }
        let place = (stated, base);
        let position = sector::open(flash, at, self.place.ring, &self.identity, place, opening)?;
        if let Some(before) = self.head.replace(sequence) {
            // Without its mark the ring is as safe but for damage to this very header; a sector too worn to take the
            // mark must not stop the ring.
            let _ = sector::close(flash, self.address(before));
        }
        self.missing = 0;
        self.is_predecessor_closed = true;
        self.position = position;
        Ok(())
    }

    /// Programs an entry behind the last one; it is durable when this returns.
    ///
    /// # Panics
    /// When it does not fit; ask [`fits`](Self::fits) first.
    pub(crate) fn append<F: NorFlash>(
        &mut self,
        flash: &mut F,
        kind: Kind,
        payload: &[u8],
    ) -> Result<u32, Fault> {
        assert!(
            self.fits(&[payload.len()]),
            "the entry does not fit into the sector"
        );
        let head = self.head.expect("a ring that takes entries has a head");
        if !self.is_predecessor_closed {
            let _ = sector::close(flash, self.address(head - 1));
            self.is_predecessor_closed = true;
        }
        let mut buffer = [0; ENTRY_BYTES_MAX];
        let bytes = seal(&mut buffer, kind, payload);
        // Should it fail, nothing may be programmed over what it left.
        let offset = core::mem::replace(&mut self.position, MARK_AT);
        sector::program(flash, self.address(head) + offset, &buffer[..bytes])?;
        self.position = offset + bytes as u32;
        Ok(offset)
    }
}
