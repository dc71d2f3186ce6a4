//! Segments and files of events, found by their magic.
//!
//! A large one begins with its sector. A small one lies in the metadata of its directory, at any offset, and often several
//! times, since LittleFS appends each change of a directory to its log.

use protocol::{
    Seq,
    block::Block,
    run::NUMBER_MAX,
    segment::file::{self, Segment},
};

use super::{Content, Damage, Found, Scan, give};
use crate::{
    archive::{self, EventFile},
    segments::stated_length,
};

impl Scan {
    /// Looks for whatever describes itself in a sector that is none of a ring.
    pub(super) fn packed(
        &mut self,
        sector: u32,
        visit: &mut dyn FnMut(&Found<'_>),
    ) -> (Content, Option<Damage>) {
        let mut whole = None;
        let mut offset = 0;
        while let Some(rest) = self.bytes.get(offset..).filter(|rest| rest.len() >= 4) {
            let found = if rest[..4] == file::MAGIC {
                segment_at(rest)
            } else if rest[..4] == archive::MAGIC {
                EventFile::parse(rest).map(|file| (Content::EventFile, file.length))
            } else {
                None
            };
            let Some((content, length)) = found else {
                offset += 1;
                continue;
            };
            if offset == 0 {
                whole = Some(content);
            }
            let bytes = offset..offset + length;
            if content == Content::EventFile {
                self.give_events(sector, bytes, visit);
            } else {
                self.give_segment(sector, bytes, visit);
            }
            offset += length;
        }
        let begins_packed = self.bytes[..4] == file::MAGIC || self.bytes[..4] == archive::MAGIC;
        let is_hit = begins_packed && whole.is_none();
        let content = whole.unwrap_or(Content::Other);
        (content, is_hit.then_some(Damage::Header))
    }

    /// Gives out all blocks of a segment.
    fn give_segment(
        &mut self,
        sector: u32,
        at: core::ops::Range<usize>,
        visit: &mut dyn FnMut(&Found<'_>),
    ) {
        let Ok(segment) = Segment::parse(&self.bytes[at]) else {
            return;
        };
        let (mut from, end) = (segment.base().0, segment.end().0);
        while from < end {
            let length = segment.write_block(from, &mut self.block);
            let bytes = length.map_or(&[][..], |length| &self.block[..length]);
            // A run whose stream makes no sense was never written by a store; the next one may be.
            let behind = Block::parse(bytes).map_or_else(
                |_| (segment.runs().map(|run| run.end())).find(|&end| end > from),
                |block| Some(block.range().end),
            );
            give(sector, bytes, visit);
            match behind {
                Some(behind) if behind > from => from = behind,
                _ => return,
            }
        }
    }

    /// Gives out the events of a file, whose device is that of other sectors of the same store.
    fn give_events(
        &self,
        sector: u32,
        at: core::ops::Range<usize>,
        visit: &mut dyn FnMut(&Found<'_>),
    ) {
        let Some(file) = EventFile::parse(&self.bytes[at]) else {
            return;
        };
        let Some(owner) = self.known.owner_of(file.store) else {
            return;
        };
        // Behind what is no event there may be more.
        let events = file.events().flatten();
        for event in events.filter(|event| event.number < NUMBER_MAX) {
            visit(&Found::Event {
                sector,
                owner,
                event: &event,
            });
        }
    }
}

/// Returns what segment begins here, and its length; `None` where none is whole.
fn segment_at(bytes: &[u8]) -> Option<(Content, usize)> {
    let length = stated_length(bytes)?;
    let segment = Segment::parse(&bytes[..length]).ok()?;
    let Seq(base) = segment.base();
    let content = Content::Segment {
        tier: segment.tier(),
        base,
        count: u32::try_from(segment.end().0 - base).ok()?,
        store: segment.identity().store,
    };
    Some((content, length))
}
