//! Events that no longer have room in their ring, in files; `file` has their bytes.

mod file;

use alloc::vec::Vec;

use embedded_storage::nor_flash::NorFlash;
use littlefs::Littlefs;
use protocol::event::{EVENT_BYTES_MAX, Event, What};

use crate::{
    FlashStore, WriteError,
    error::Fault,
    files::{EVENTS, parse_name, path},
    ring::walk::Step,
    segments::FREE_BLOCKS_MIN,
};
use file::{Writer, events_of};

pub(crate) use file::{EventFile, MAGIC};

/// One block in so many may hold events.
const BLOCKS_PER_FILE: u32 = 10;

/// A file of events, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    base: u64,
    count: u32,
}

impl Span {
    fn end(&self) -> u64 {
        self.base + u64::from(self.count)
    }

    fn covers(&self, other: &Self) -> bool {
        self.base <= other.base && other.end() <= self.end()
    }
}

/// The files of events, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    spans: Vec<Span>,
    /// Files that another one covers: a cut left them.
    left_over: Vec<Span>,
}

impl Archive {
    /// Finds the files.
    pub(crate) fn mount<F: NorFlash>(
        files: &mut Littlefs,
        flash: &mut F,
    ) -> Result<Self, littlefs::Error> {
        let mut archive = Self::default();
        files.list(flash, EVENTS, &mut |name, _| {
            if let Some((base, count)) = parse_name(name) {
                archive.take(Span { base, count });
            }
            true
        })?;
        Ok(archive)
    }

    fn take(&mut self, new: Span) {
        if self.spans.contains(&new) {
            return;
        }
        if self.spans.iter().any(|span| span.covers(&new)) {
            self.left_over.push(new);
            return;
        }
        let left_over = &mut self.left_over;
        self.spans.retain(|span| {
            let is_covered = new.covers(span);
            if is_covered {
                left_over.push(*span);
            }
            !is_covered
        });
        let at = self.spans.partition_point(|span| span.base < new.base);
        self.spans.insert(at, new);
    }

    /// Returns the number behind the newest event in a file.
    pub(crate) fn end(&self) -> u64 {
        self.spans.last().map_or(0, Span::end)
    }
}

/// Decides which events of two files are kept in one.
///
/// Of the anchors of a boot that follow one another the first and the last two are, starts and changes only of boots that
/// still have readings.
struct Filter {
    oldest_boot: u32,
    boot: u32,
    has_anchor: bool,
    waiting: heapless::Vec<Event, 2>,
}

impl Filter {
    fn take(&mut self, event: Event, keep: &mut dyn FnMut(&Event) -> Option<()>) -> Option<()> {
        if event.boot != self.boot {
            self.flush(keep)?;
            (self.boot, self.has_anchor) = (event.boot, false);
        }
        match event.what {
            What::Anchor { .. } if self.has_anchor => {
                if self.waiting.is_full() {
                    self.waiting.remove(0);
                }
                self.waiting.push(event).ok()
            }
            What::Anchor { .. } => {
                self.has_anchor = true;
                keep(&event)
            }
            What::Lost { .. } | What::Calibrated { .. } | What::Erased { .. } => {
                self.flush(keep)?;
                keep(&event)
            }
            _ if event.boot >= self.oldest_boot => {
                self.flush(keep)?;
                keep(&event)
            }
            _ => Some(()),
        }
    }

    fn flush(&mut self, keep: &mut dyn FnMut(&Event) -> Option<()>) -> Option<()> {
        let waiting = core::mem::take(&mut self.waiting);
        waiting.iter().try_for_each(keep)
    }
}

impl<F: NorFlash> FlashStore<F> {
    /// Writes the events that the next sector of the ring will cost to a file.
    ///
    /// Where the files fail these events go: the newest are worth more.
    pub(crate) fn archive_doomed_events(&mut self) -> Result<(), WriteError> {
        let Some(opened) = self.events.ring.doomed(&mut self.flash)? else {
            return Ok(());
        };
        let behind = self
            .events
            .ring
            .next_from(&mut self.flash, opened.sequence + 1)?;
        let end = behind.map_or(self.events.next, |behind| behind.base);
        let span = Span {
            base: opened.base,
            count: u32::try_from(end.saturating_sub(opened.base)).unwrap_or(0),
        };
        if span.count == 0 || span.end() <= self.archive.end() {
            return Ok(());
        }
        self.bound_events()?;
        let mut writer = Writer::new(&mut self.workspace.made, self.owner.identity.store);
        let mut walk = self.events.ring.walk(&opened);
        loop {
            match walk.next(&mut self.flash)? {
                Step::Entry { payload, .. } if Event::parse(payload).is_ok() => {
                    writer.push(payload).ok_or(WriteError::Full)?;
                }
                Step::Entry { .. } | Step::Broken(_) => {}
                Step::End(_) => break,
            }
        }
        let length = writer.finish();
        self.put_events(span, length)
    }

    fn put_events(&mut self, span: Span, length: usize) -> Result<(), WriteError> {
        let path = path(EVENTS, span.base, span.count);
        let files = self.files.as_mut().ok_or(WriteError::Damaged)?;
        files.write(&mut self.flash, &path, &self.workspace.made[..length])?;
        self.archive.take(span);
        self.remove_left_over_events()
    }

    fn remove_left_over_events(&mut self) -> Result<(), WriteError> {
        let files = self.files.as_mut().ok_or(WriteError::Damaged)?;
        while let Some(span) = self.archive.left_over.last() {
            let path = path(EVENTS, span.base, span.count);
            files.remove(&mut self.flash, &path)?;
            self.archive.left_over.pop();
        }
        Ok(())
    }

    /// Sees to it that there is room for a file more: merges the two oldest files that fit into one where there are too many
    /// or hardly a free block; where none fit, the oldest goes.
    fn bound_events(&mut self) -> Result<(), WriteError> {
        let files_max = (self.layout.file_sectors / BLOCKS_PER_FILE).max(2) as usize;
        let files = self.files.as_mut().ok_or(WriteError::Damaged)?;
        let is_short = files.free_blocks(&mut self.flash)? <= FREE_BLOCKS_MIN + 1;
        if self.archive.spans.len() < files_max && !(is_short && self.archive.spans.len() >= 2) {
            return Ok(());
        }
        // Where that does not help, starts and changes of all boots go: times need only anchors.
        for oldest_boot in [self.oldest_boot()?, u32::MAX] {
            for index in 1..self.archive.spans.len() {
                let pair = [self.archive.spans[index - 1], self.archive.spans[index]];
                if let Some(length) = self.merge_events(pair, oldest_boot)? {
                    let count = u32::try_from(pair[1].end() - pair[0].base);
                    let span = Span {
                        base: pair[0].base,
                        count: count.map_err(|_| WriteError::OutOfRange)?,
                    };
                    return self.put_events(span, length);
                }
            }
        }
        let oldest = self.archive.spans.remove(0);
        self.archive.left_over.push(oldest);
        self.remove_left_over_events()
    }

    /// Packs what is kept of two files into one; `None` where it does not fit.
    fn merge_events(
        &mut self,
        pair: [Span; 2],
        oldest_boot: u32,
    ) -> Result<Option<usize>, WriteError> {
        let store = self.owner.identity.store;
        let mut filter = Filter {
            oldest_boot,
            boot: 0,
            has_anchor: false,
            waiting: heapless::Vec::new(),
        };
        let mut writer = Writer::new(&mut self.workspace.made, store);
        let mut keep = |event: &Event| {
            let mut bytes = [0; EVENT_BYTES_MAX];
            let length = event.write(&mut bytes);
            writer.push(&bytes[..length])
        };
        let files = self.files.as_mut().ok_or(WriteError::Damaged)?;
        for span in pair {
            let path = path(EVENTS, span.base, span.count);
            let length = files.read(&mut self.flash, &path, 0, &mut self.workspace.file)?;
            for event in events_of(&self.workspace.file[..length], store) {
                if filter.take(event, &mut keep).is_none() {
                    return Ok(None);
                }
            }
        }
        if filter.flush(&mut keep).is_none() {
            return Ok(None);
        }
        Ok(Some(writer.finish()))
    }

    /// Hands the events of the files from number `from` on to `visit`; false once that returns false.
    pub(crate) fn visit_archive(
        &mut self,
        from: u64,
        visit: &mut dyn FnMut(&Event) -> bool,
    ) -> Result<bool, Fault> {
        let store = self.owner.identity.store;
        let Some(files) = &mut self.files else {
            return Ok(true);
        };
        for span in self.archive.spans.iter().filter(|span| span.end() > from) {
            let path = path(EVENTS, span.base, span.count);
            let length = match files.read(&mut self.flash, &path, 0, &mut self.workspace.file) {
                Ok(length) => length,
                Err(littlefs::Error::Flash(fault)) => return Err(fault),
                Err(_) => 0,
            };
            for event in events_of(&self.workspace.file[..length], store) {
                if event.number >= from && !visit(&event) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
