//! A file of events.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `OFEV` |
//! | 4 | 1 | format: 1 |
//! | 5 | 1 | zero |
//! | 6 | 2 | length of the file |
//! | 8 | 8 | store id |
//! | 16 | … | events: length as a varint, then the event |
//! | … | 4 | CRC of all before |

use protocol::{StoreId, block::CRC, event::Event, varint};

use crate::files::FILE_BYTES_MAX;

/// The first bytes of a file of events.
pub(crate) const MAGIC: [u8; 4] = *b"OFEV";
const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 16;
const CRC_BYTES: usize = 4;

/// Writes a file of events.
pub(super) struct Writer<'a> {
    buffer: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    /// Begins a file of a store.
    pub(super) fn new(buffer: &'a mut [u8], store: StoreId) -> Self {
        buffer[..4].copy_from_slice(&MAGIC);
        buffer[4..6].copy_from_slice(&[FORMAT, 0]);
        buffer[8..16].copy_from_slice(&store.0.to_le_bytes());
        let at = HEADER_BYTES;
        Self { buffer, at }
    }

    /// Adds an event; `None` where it does not fit.
    pub(super) fn push(&mut self, event: &[u8]) -> Option<()> {
        let end = FILE_BYTES_MAX - CRC_BYTES;
        let mut at = self.at;
        varint::write(&mut self.buffer[..end], &mut at, event.len() as u64)?;
        self.buffer[..end]
            .get_mut(at..at + event.len())?
            .copy_from_slice(event);
        self.at = at + event.len();
        Some(())
    }

    /// Ends the file and returns its length.
    pub(super) fn finish(self) -> usize {
        let length = self.at + CRC_BYTES;
        self.buffer[6..8].copy_from_slice(&(length as u16).to_le_bytes());
        let crc = CRC.checksum(&self.buffer[..self.at]);
        self.buffer[self.at..length].copy_from_slice(&crc.to_le_bytes());
        length
    }
}

/// A file of events that is whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventFile<'a> {
    /// Whose events it holds.
    pub(crate) store: StoreId,
    /// Its length in bytes.
    pub(crate) length: usize,
    entries: &'a [u8],
}

impl<'a> EventFile<'a> {
    /// Reads the file with which `bytes` begin; `None` where none is whole.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let stated = bytes.get(6..8)?.try_into().ok()?;
        let length = usize::from(u16::from_le_bytes(stated));
        let (body, crc) = bytes.get(..length)?.split_last_chunk::<CRC_BYTES>()?;
        let (header, entries) = body.split_first_chunk::<HEADER_BYTES>()?;
        let is_whole =
            header[..4] == MAGIC && header[4] == FORMAT && CRC.checksum(body).to_le_bytes() == *crc;
        is_whole.then_some(Self {
            store: StoreId(u64::from_le_bytes(header[8..].try_into().ok()?)),
            length,
            entries,
        })
    }

    /// Returns what is in it, in order; `None` for an entry that is no event.
    pub(crate) fn events(&self) -> impl Iterator<Item = Option<Event>> + use<'a> {
        let entries = self.entries;
        let mut at = 0;
        core::iter::from_fn(move || {
            let length = usize::try_from(varint::read(entries, &mut at)?).ok()?;
            let event = entries.get(at..at.checked_add(length)?)?;
            at += length;
            Some(Event::parse(event).ok())
        })
    }
}

/// Returns the events of a file up to one that cannot be read; none where it is damaged.
pub(super) fn events_of(bytes: &[u8], store: StoreId) -> impl Iterator<Item = Event> + '_ {
    let file = EventFile::parse(bytes).filter(|file| file.store == store);
    file.into_iter()
        .flat_map(|file| file.events().map_while(|event| event))
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use protocol::event::{EVENT_BYTES_MAX, What};

    use super::*;

    #[test]
    fn events_behind_what_is_none_are_for_those_who_go_on() {
        let event = |number| Event {
            number,
            boot: 1,
            uptime_ms: 5,
            what: What::SetUp,
        };
        let mut entry = [0; EVENT_BYTES_MAX];
        let mut bytes = [0; FILE_BYTES_MAX];
        let mut writer = Writer::new(&mut bytes, StoreId(7));
        for number in [3, 4] {
            let length = event(number).write(&mut entry);
            writer.push(&entry[..length]).unwrap();
            writer.push(&[0xff; 3]).unwrap();
        }
        let length = writer.finish();
        let file = EventFile::parse(&bytes).unwrap();
        assert_eq!((file.store, file.length), (StoreId(7), length));
        let all: Vec<_> = file.events().collect();
        assert_eq!(all, [Some(event(3)), None, Some(event(4)), None]);
        let of = |store| events_of(&bytes[..length], StoreId(store)).collect::<Vec<_>>();
        assert_eq!((of(7), of(8)), (vec![event(3)], Vec::new()));
        for flipped in 0..length {
            bytes[flipped] ^= 0x10;
            assert!(EventFile::parse(&bytes).is_none(), "byte {flipped}");
            bytes[flipped] ^= 0x10;
        }
    }
}
