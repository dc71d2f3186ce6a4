//! Names and sizes of a directory's files, in one pass over each of its blocks.
//!
//! The engine looks up each entry by walking a block's log from its end, so that listing a directory takes a number of
//! reads that grows with the square of the entries in a block. Here one walk serves [`BATCH`] entries.
//!
//! A block's log is commits of tags, each a word that is stored XORed with the one before it, and what they are about.
//! From its end backwards, the first name and the first struct of an entry are the ones that hold; tags of creation and
//! deletion shift the numbers of the entries behind them.

use crate::Error;

/// Entries found in one walk. A directory of files that came in order of their names has 33 to 66 in a block.
const BATCH: usize = 64;
/// Bytes of the part of a block that is kept in RAM.
const WINDOW_BYTES: usize = 512;
const NAME_BYTES_MAX: usize = 255;

/// Reads a part of the log's block, from an offset on.
type ReadBlock<'a> = dyn FnMut(u32, &mut [u8]) -> Result<(), Error> + 'a;

/// One block of a directory's chain, as the engine found its last good commit.
pub(crate) struct Log {
    pub(crate) block: u32,
    /// Where the log ends, and the tag there.
    pub(crate) end: u32,
    pub(crate) last_tag: u32,
    pub(crate) entries: u16,
}

/// A file, or what is not one.
#[derive(Clone, Copy, Default)]
struct Found {
    /// Its number at the place of the log where the walk is.
    number: u32,
    /// It was created here: what comes before is about another.
    complete: bool,
    name: Option<(u32, Tag)>,
    content: Option<(u32, Tag)>,
}

#[derive(Clone, Copy, Default)]
struct Tag(u32);

impl Tag {
    const NAME_MASK: u32 = 0x780;
    const KIND_MASK: u32 = 0x700;
    const REGULAR: u32 = 0x001;
    const IN_RAM: u32 = 0x100;
    const CONTENT: u32 = 0x200;
    const INLINE: u32 = 0x201;
    const BLOCKS: u32 = 0x202;
    const SPLICE: u32 = 0x400;
    const CREATE: u32 = 0x401;
    const DELETED: u32 = 0x3FF;

    fn kind(self) -> u32 {
        self.0 >> 20 & 0x7FF
    }

    fn number(self) -> u32 {
        self.0 >> 10 & 0x3FF
    }

    fn is_deleted(self) -> bool {
        self.0 & 0x3FF == Self::DELETED
    }

    /// Bytes of what it is about.
    fn length(self) -> u32 {
        if self.is_deleted() { 0 } else { self.0 & 0x3FF }
    }

    /// By how many the entries behind it were shifted.
    fn splice(self) -> i32 {
        i32::from((self.kind() & 0xFF) as u8 as i8)
    }
}

/// A block, part of it in RAM.
struct Window<'a, 'b> {
    read: &'a mut ReadBlock<'b>,
    bytes: [u8; WINDOW_BYTES],
    at: Option<u32>,
}

impl Window<'_, '_> {
    fn copy(&mut self, mut offset: u32, mut into: &mut [u8]) -> Result<(), Error> {
        while !into.is_empty() {
            let at = offset - offset % WINDOW_BYTES as u32;
            if self.at != Some(at) {
                self.at = None;
                (self.read)(at, &mut self.bytes)?;
                self.at = Some(at);
            }
            let there = &self.bytes[(offset - at) as usize..];
            let length = there.len().min(into.len());
            into[..length].copy_from_slice(&there[..length]);
            into = &mut into[length..];
            offset += length as u32;
        }
        Ok(())
    }

    fn word(&mut self, offset: u32) -> Result<[u8; 4], Error> {
        let mut word = [0; 4];
        self.copy(offset, &mut word)?;
        Ok(word)
    }
}

/// Shows name and bytes of each file whose entry is in the log; returns whether `visit` wants more.
pub(crate) fn files(
    log: &Log,
    read: &mut ReadBlock<'_>,
    visit: &mut dyn FnMut(&[u8], u32) -> bool,
) -> Result<bool, Error> {
    let bytes = [0; WINDOW_BYTES];
    let mut window = Window {
        read,
        bytes,
        at: None,
    };
    let mut found = [Found::default(); BATCH];
    for first in (0..u32::from(log.entries)).step_by(BATCH) {
        let count = BATCH.min((u32::from(log.entries) - first) as usize);
        let batch = &mut found[..count];
        for (number, each) in (first..).zip(&mut *batch) {
            *each = Found {
                number,
                ..Found::default()
            };
        }
        walk(log, &mut window, batch)?;
        for each in batch {
            if !show(&mut window, each, visit)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Tells whether the log has no tag of the kind that the engine uses in RAM only, for pointers.
///
/// Nothing honest writes one, but with a checksum that holds the engine would follow it when it writes a log anew.
pub(crate) fn is_honest(log: &Log, read: &mut ReadBlock<'_>) -> Result<bool, Error> {
    let bytes = [0; WINDOW_BYTES];
    let mut window = Window {
        read,
        bytes,
        at: None,
    };
    let (mut offset, mut next) = (log.end, Tag(log.last_tag));
    while offset >= 8 + next.length() {
        offset -= 4 + next.length();
        let tag = next;
        if tag.kind() & Tag::KIND_MASK == Tag::IN_RAM {
            return Ok(false);
        }
        next = Tag((u32::from_be_bytes(window.word(offset)?) ^ tag.0) & 0x7FFF_FFFF);
    }
    Ok(true)
}

/// Walks the log from its end and notes what holds of each entry.
fn walk(log: &Log, window: &mut Window<'_, '_>, batch: &mut [Found]) -> Result<(), Error> {
    let (mut offset, mut next) = (log.end, Tag(log.last_tag));
    let mut missing = batch.len();
    while missing > 0 && offset >= 8 + next.length() {
        offset -= 4 + next.length();
        let tag = next;
        next = Tag((u32::from_be_bytes(window.word(offset)?) ^ tag.0) & 0x7FFF_FFFF);
        for each in batch.iter_mut().filter(|each| !each.complete) {
            let is_splice = tag.kind() & Tag::KIND_MASK == Tag::SPLICE;
            if is_splice && tag.number() <= each.number {
                if tag.kind() == Tag::CREATE && tag.number() == each.number {
                    each.complete = true;
                    missing -= 1;
                    continue;
                }
                each.number = each.number.saturating_add_signed(-tag.splice());
            } else if tag.number() == each.number {
                if tag.kind() & Tag::NAME_MASK == 0 {
                    each.name.get_or_insert((offset + 4, tag));
                } else if tag.kind() & Tag::KIND_MASK == Tag::CONTENT {
                    each.content.get_or_insert((offset + 4, tag));
                } else {
                    continue;
                }
                if each.name.is_some() && each.content.is_some() {
                    each.complete = true;
                    missing -= 1;
                }
            }
        }
    }
    Ok(())
}

/// Shows an entry if it is a file's.
fn show(
    window: &mut Window<'_, '_>,
    found: &Found,
    visit: &mut dyn FnMut(&[u8], u32) -> bool,
) -> Result<bool, Error> {
    let (Some((name_at, name)), Some((content_at, content))) = (found.name, found.content) else {
        return Ok(true);
    };
    let length = name.length() as usize;
    if name.kind() != Tag::REGULAR || name.is_deleted() || content.is_deleted() {
        return Ok(true);
    }
    if length > NAME_BYTES_MAX {
        return Err(Error::Corrupt);
    }
    let size = match content.kind() {
        Tag::INLINE => content.length(),
        Tag::BLOCKS if content.length() >= 8 => u32::from_le_bytes(window.word(content_at + 4)?),
        _ => return Err(Error::Corrupt),
    };
    let mut bytes = [0; NAME_BYTES_MAX];
    window.copy(name_at, &mut bytes[..length])?;
    Ok(visit(&bytes[..length], size))
}
