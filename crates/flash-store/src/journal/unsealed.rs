//! The readings of the journal from a number on, in order and across its sectors: what a segment is packed from.

use embedded_storage::nor_flash::NorFlash;
use protocol::{ChannelReading, reading::RegisterSet, run::Run};

use super::{
    Journal,
    cursor::{Cursor, Item},
};
use crate::error::Fault;

/// A walk through the readings that no segment holds yet.
#[derive(Debug)]
pub(crate) struct Unsealed {
    cursor: Option<Cursor>,
    sequence: u64,
    from: u64,
    /// Numbers right before the next reading that never existed, where the next reading begins a run.
    begins: Option<u64>,
    /// A reading whose run was given, but not yet itself.
    is_held: bool,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A run that does not go on where the last reading ended, or the first one.
    Begin(Run),
    /// A reading: [`Unsealed::reading`].
    Reading,
}

impl Unsealed {
    /// Begins with number `from`.
    pub(crate) fn new<F: NorFlash>(
        flash: &mut F,
        journal: &Journal,
        from: u64,
    ) -> Result<Self, Fault> {
        let opened = match journal.ring.locate(flash, from)? {
            Some(opened) => Some(opened),
            None => journal.ring.next_from(flash, 0)?,
        };
        let cursor = opened
            .as_ref()
            .and_then(|opened| Cursor::new(&journal.ring, opened));
        Ok(Self {
            begins: cursor.as_ref().map(|cursor| cursor.run.skipped),
            sequence: opened.map_or(0, |opened| opened.sequence),
            cursor,
            from,
            is_held: false,
        })
    }

    /// Returns the channels of the reading that was met last.
    pub(crate) fn reading(&self) -> &[ChannelReading] {
        let cursor = self.cursor.as_ref();
        cursor.map_or(&[], |cursor| &cursor.previous[..cursor.registers.len()])
    }

    /// Returns the number behind the reading that was met last, and the registers there.
    pub(crate) fn end(&self) -> Option<(u64, RegisterSet)> {
        let cursor = self.cursor.as_ref()?;
        Some((cursor.next, cursor.registers.clone()))
    }

    /// Returns what comes next; `None` at the end.
    pub(crate) fn next<F: NorFlash>(
        &mut self,
        flash: &mut F,
        journal: &Journal,
    ) -> Result<Option<Piece>, Fault> {
        if core::mem::take(&mut self.is_held) {
            return Ok(Some(Piece::Reading));
        }
        loop {
            let Some(cursor) = &mut self.cursor else {
                return Ok(None);
            };
            if cursor.next >= journal.next {
                // What lies behind was never acknowledged: a failed write may have left it.
                return Ok(None);
            }
            let (first, uptime_ms) = (cursor.next, cursor.uptime_ms);
            let registers = cursor.registers.clone();
            match cursor.next_item(flash)? {
                Item::Reading if first < self.from => self.begins = Some(0),
                Item::Reading => {
                    let Some(skipped) = self.begins.take() else {
                        return Ok(Some(Piece::Reading));
                    };
                    self.is_held = true;
                    return Ok(Some(Piece::Begin(Run {
                        first,
                        skipped: skipped.min(first - self.from),
                        boot: cursor.run.boot,
                        uptime_ms,
                        params: cursor.run.params,
                        registers,
                    })));
                }
                Item::Run(run) => {
                    if !cursor.is_continued_by(&run) {
                        self.begins = Some(run.skipped);
                    }
                    cursor.begin(run);
                }
                Item::End(_) => self.go_on(flash, journal)?,
            }
        }
    }

    /// Goes on with the next sector that can be read.
    fn go_on<F: NorFlash>(&mut self, flash: &mut F, journal: &Journal) -> Result<(), Fault> {
        let before = self.cursor.take();
        let Some(opened) = journal.ring.next_from(flash, self.sequence + 1)? else {
            return Ok(());
        };
        self.sequence = opened.sequence;
        self.cursor = Cursor::new(&journal.ring, &opened);
        if let (Some(before), Some(cursor)) = (before, &self.cursor)
            && !before.is_continued_by(&cursor.run)
        {
            self.begins = Some(cursor.run.skipped);
        }
        Ok(())
    }
}
