//! A ring of sectors with checked entries: the one structure under readings, events, state and the start counter.
//!
//! Sector number `counter % sectors` of a ring begins with a header that names its counter, so the newest sector is the
//! one with the highest counter and the ring needs no other index. Entries follow; each is programmed once and carries a
//! CRC, so a torn one is noticed. What lies behind a torn entry is not used: the next entry opens the next sector, which
//! is erased for it, oldest first. SPEC.md has every byte.

use embedded_storage::nor_flash::NorFlash;
use protocol::block::CRC;

/// Size of a sector, the unit of erasing.
pub const SECTOR_BYTES: u32 = 4096;
/// Bytes of a sector's header.
pub const HEADER_BYTES: u32 = 20;
/// Longest payload of an entry.
pub const PAYLOAD_BYTES_MAX: usize = 528;
/// Bytes of an entry beside its payload and padding.
const ENTRY_OVERHEAD: usize = 8;
const ENTRY_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + ENTRY_OVERHEAD;
const MAGIC: [u8; 3] = *b"OFR";

/// The flash did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlashFault;

/// One ring: where it lies and how far it is.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    /// First sector of the ring on the flash.
    base: u32,
    /// How many sectors it has, at least 2.
    sectors: u32,
    /// Tells rings apart in sector headers.
    kind: u8,
    /// Counter of the newest sector with an entry in it; `None` in an empty ring.
    head: Option<u32>,
    /// Where the next entry goes in the newest sector; its end where it takes no more.
    offset: u32,
}

/// The header of a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SectorHeader {
    pub(crate) counter: u32,
    /// Number of the first thing in the sector; what it counts is the ring's business.
    pub(crate) first: u64,
}

/// An entry that was read.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) kind: u8,
    pub(crate) payload: &'a [u8],
}

/// Walks through the entries of a sector.
#[derive(Debug)]
pub(crate) struct Walk {
    start: u32,
    at: u32,
    buffer: [u8; ENTRY_BYTES_MAX],
    /// Whether something was met that is no entry and not erased.
    pub(crate) torn: bool,
}

impl Walk {
    /// Reads the next entry; `None` at the end of what can be read.
    pub(crate) fn next<F: NorFlash>(
        &mut self,
        flash: &mut F,
    ) -> Result<Option<Entry<'_>>, FlashFault> {
        if self.torn || self.at + ENTRY_OVERHEAD as u32 > SECTOR_BYTES {
            return Ok(None);
        }
        let mut head = [0; 4];
        flash
            .read(self.start + self.at, &mut head)
            .map_err(|_| FlashFault)?;
        let length = usize::from(u16::from_le_bytes([head[0], head[1]]));
        let bytes = entry_bytes(length);
        if head == [0xff; 4] {
            self.torn = !self.rest_is_erased(flash)?;
            return Ok(None);
        }
        if head[3] != check(&head)
            || length > PAYLOAD_BYTES_MAX
            || self.at + bytes as u32 > SECTOR_BYTES
        {
            self.torn = true;
            return Ok(None);
        }
        flash
            .read(self.start + self.at, &mut self.buffer[..bytes])
            .map_err(|_| FlashFault)?;
        let (body, crc) = self.buffer[..bytes].split_at(bytes - 4);
        if CRC.checksum(body).to_le_bytes() != *crc {
            self.torn = true;
            return Ok(None);
        }
        self.at += bytes as u32;
        Ok(Some(Entry {
            kind: head[2],
            payload: &self.buffer[4..4 + length],
        }))
    }

    fn rest_is_erased<F: NorFlash>(&mut self, flash: &mut F) -> Result<bool, FlashFault> {
        let mut at = self.at;
        while at < SECTOR_BYTES {
            let count = (SECTOR_BYTES - at).min(self.buffer.len() as u32 & !3);
            let chunk = &mut self.buffer[..count as usize];
            flash.read(self.start + at, chunk).map_err(|_| FlashFault)?;
            if chunk.iter().any(|&byte| byte != 0xff) {
                return Ok(false);
            }
            at += count;
        }
        Ok(true)
    }
}

/// Bytes that an entry with so long a payload takes: header, payload padded to words, CRC.
const fn entry_bytes(length: usize) -> usize {
    4 + length.next_multiple_of(4) + 4
}

/// Guards the length, so that a torn one is not followed.
const fn check(head: &[u8; 4]) -> u8 {
    head[0] ^ head[1].rotate_left(3) ^ head[2].rotate_left(5) ^ 0x5a
}

impl Ring {
    /// Describes an empty ring.
    pub(crate) const fn new(base: u32, sectors: u32, kind: u8) -> Self {
        Self {
            base,
            sectors,
            kind,
            head: None,
            offset: SECTOR_BYTES,
        }
    }

    /// Finds the newest sector with an entry in it, and where it ends.
    pub(crate) fn mount<F: NorFlash>(&mut self, flash: &mut F) -> Result<(), FlashFault> {
        let mut newest = None;
        for index in 0..self.sectors {
            newest = newest.max(self.header_at(flash, index)?.map(|header| header.counter));
        }
        self.head = None;
        self.offset = SECTOR_BYTES;
        // A sector that was opened and never got an entry does not count: the next advance takes it again, so that cuts
        // at that very moment cannot push the entries that are there out of the ring.
        let Some(newest) = newest else { return Ok(()) };
        for counter in (newest.saturating_sub(self.sectors - 1)..=newest).rev() {
            if self.header(flash, counter)?.is_none() {
                continue;
            }
            let mut walk = self.walk(counter);
            let mut entries = 0u32;
            while walk.next(flash)?.is_some() {
                entries += 1;
            }
            if entries > 0 {
                self.head = Some(counter);
                self.offset = if walk.torn || counter != newest {
                    SECTOR_BYTES
                } else {
                    walk.at
                };
                break;
            }
        }
        Ok(())
    }

    /// Returns the counter of the newest sector.
    pub(crate) const fn head(&self) -> Option<u32> {
        self.head
    }

    /// Returns the counters that may be in the ring, oldest first; not all need be there.
    pub(crate) fn counters(&self) -> core::ops::RangeInclusive<u32> {
        match self.head {
            Some(head) => head.saturating_sub(self.sectors - 1)..=head,
            #[expect(
                clippy::reversed_empty_ranges,
                reason = "an empty ring has no counters"
            )]
            None => 1..=0,
        }
    }

    /// Bytes of the ring that are not free.
    pub(crate) fn used_bytes(&self) -> u32 {
        match self.head {
            Some(head) => head.min(self.sectors - 1) * SECTOR_BYTES + self.offset,
            None => 0,
        }
    }

    /// Starts a walk through the entries of a sector.
    pub(crate) fn walk(&self, counter: u32) -> Walk {
        Walk {
            start: self.start(counter),
            at: HEADER_BYTES,
            buffer: [0; ENTRY_BYTES_MAX],
            torn: false,
        }
    }

    /// Reads the header of the sector with that counter; `None` where it is not in the ring.
    pub(crate) fn header<F: NorFlash>(
        &self,
        flash: &mut F,
        counter: u32,
    ) -> Result<Option<SectorHeader>, FlashFault> {
        let header = self.header_at(flash, counter % self.sectors)?;
        Ok(header.filter(|header| header.counter == counter))
    }

    fn header_at<F: NorFlash>(
        &self,
        flash: &mut F,
        index: u32,
    ) -> Result<Option<SectorHeader>, FlashFault> {
        let mut bytes = [0; HEADER_BYTES as usize];
        flash
            .read((self.base + index) * SECTOR_BYTES, &mut bytes)
            .map_err(|_| FlashFault)?;
        let counter = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        let crc = CRC.checksum(&bytes[..16]).to_le_bytes();
        let good = bytes[..3] == MAGIC
            && bytes[3] == self.kind
            && bytes[16..] == crc
            && counter % self.sectors == index;
        Ok(good.then(|| SectorHeader {
            counter,
            first: u64::from_le_bytes(bytes[8..16].try_into().expect("eight bytes")),
        }))
    }

    const fn start(&self, counter: u32) -> u32 {
        (self.base + counter % self.sectors) * SECTOR_BYTES
    }

    /// Tells whether entries with payloads of these lengths still fit into the newest sector.
    pub(crate) fn fits(&self, lengths: &[usize]) -> bool {
        let bytes: usize = lengths.iter().map(|&length| entry_bytes(length)).sum();
        self.head.is_some() && self.offset as usize + bytes <= SECTOR_BYTES as usize
    }

    /// Returns the counter of the sector that the next [`advance`](Self::advance) overwrites, if there is one.
    pub(crate) fn doomed(&self) -> Option<u32> {
        (self.head? + 1).checked_sub(self.sectors)
    }

    /// Erases the next sector and gives it a header.
    ///
    /// The ring's head moves only with the first entry: see [`mount`](Self::mount).
    pub(crate) fn advance<F: NorFlash>(
        &mut self,
        flash: &mut F,
        first: u64,
    ) -> Result<Opened, FlashFault> {
        let counter = self.head.map_or(0, |head| head + 1);
        let start = self.start(counter);
        // Whatever happens, nothing more is written behind what is there.
        self.offset = SECTOR_BYTES;
        flash
            .erase(start, start + SECTOR_BYTES)
            .map_err(|_| FlashFault)?;
        let mut header = [0; HEADER_BYTES as usize];
        header[..3].copy_from_slice(&MAGIC);
        header[3] = self.kind;
        header[4..8].copy_from_slice(&counter.to_le_bytes());
        header[8..16].copy_from_slice(&first.to_le_bytes());
        let crc = CRC.checksum(&header[..16]);
        header[16..].copy_from_slice(&crc.to_le_bytes());
        flash.write(start, &header).map_err(|_| FlashFault)?;
        Ok(Opened { counter })
    }

    /// Writes the first entry of a sector that was just opened; the ring's head moves to it.
    pub(crate) fn begin<F: NorFlash>(
        &mut self,
        flash: &mut F,
        opened: Opened,
        kind: u8,
        payload: &[u8],
    ) -> Result<(), FlashFault> {
        let start = self.start(opened.counter);
        let bytes = program(flash, start + HEADER_BYTES, kind, payload)?;
        self.head = Some(opened.counter);
        self.offset = HEADER_BYTES + bytes;
        Ok(())
    }

    /// Writes an entry behind the last one.
    ///
    /// # Panics
    /// When it does not fit; ask [`fits`](Self::fits) first.
    pub(crate) fn append<F: NorFlash>(
        &mut self,
        flash: &mut F,
        kind: u8,
        payload: &[u8],
    ) -> Result<(), FlashFault> {
        assert!(
            self.fits(&[payload.len()]),
            "the entry does not fit into the sector"
        );
        let start = self.start(self.head.expect("a ring that takes entries has a head"));
        let offset = core::mem::replace(&mut self.offset, SECTOR_BYTES);
        let bytes = program(flash, start + offset, kind, payload)?;
        self.offset = offset + bytes;
        Ok(())
    }

    /// Writes an entry, in a sector of its own beginning where it does not fit into the newest.
    pub(crate) fn push<F: NorFlash>(
        &mut self,
        flash: &mut F,
        first: u64,
        kind: u8,
        payload: &[u8],
    ) -> Result<(), FlashFault> {
        if self.fits(&[payload.len()]) {
            return self.append(flash, kind, payload);
        }
        let opened = self.advance(flash, first)?;
        self.begin(flash, opened, kind, payload)
    }
}

/// A sector with a header and nothing else.
#[derive(Debug)]
pub(crate) struct Opened {
    counter: u32,
}

fn program<F: NorFlash>(
    flash: &mut F,
    at: u32,
    kind: u8,
    payload: &[u8],
) -> Result<u32, FlashFault> {
    let mut buffer = [0; ENTRY_BYTES_MAX];
    let bytes = entry_bytes(payload.len());
    buffer[..2].copy_from_slice(&(payload.len() as u16).to_le_bytes());
    buffer[2] = kind;
    buffer[3] = check(&[buffer[0], buffer[1], buffer[2], 0]);
    buffer[4..4 + payload.len()].copy_from_slice(payload);
    let crc = CRC.checksum(&buffer[..bytes - 4]);
    buffer[bytes - 4..bytes].copy_from_slice(&crc.to_le_bytes());
    flash.write(at, &buffer[..bytes]).map_err(|_| FlashFault)?;
    Ok(bytes as u32)
}
