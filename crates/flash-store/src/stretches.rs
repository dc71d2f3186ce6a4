//! Readings backwards, a stretch at a time: for what needs the newest of them, and is not to take long at once.

use embedded_storage::nor_flash::NorFlash;
use protocol::{ChannelReading, Seq, run::RunParams};

use crate::{
    FlashStore, ReadError,
    error::Fault,
    journal::{Cursor, Item},
    segments::load,
};

/// Readings of one run, as far as one segment or one sector of the journal holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The boot whose uptime counts.
    pub boot: u32,
    /// Uptime at the end of the last of them, in ms.
    pub end_ms: u64,
    /// How they were measured.
    pub params: RunParams,
}

/// One reading of a [`Stretch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StretchReading<'a> {
    /// Uptime at its end in ms.
    pub end_ms: u64,
    /// How many intervals it stands for, at least 1.
    pub span: u32,
    /// What each channel measured; energy is the sum over the span.
    pub channels: &'a [ChannelReading],
}

/// Takes readings one by one, each with the stretch that it is of.
type Visit<'a> = dyn FnMut(&Stretch, &StretchReading<'_>) + 'a;

impl<F: NorFlash> FlashStore<F> {
    /// Hands the stretch of readings that lies right before number `end` on, oldest reading first.
    ///
    /// Returns the number at which it begins, for the next call; there may be no readings between. `None` where nothing is
    /// held before `end`. It takes as long as packing a segment does at the most, and none of the stack for the odds of
    /// packed readings.
    ///
    /// # Errors
    /// [`ReadError::Flash`].
    pub fn visit_before(
        &mut self,
        end: Seq,
        visit: &mut Visit<'_>,
    ) -> Result<Option<Seq>, ReadError> {
        let oldest = self.oldest().0;
        let end = end.0.min(self.journal.next);
        if end <= oldest {
            return Ok(None);
        }
        let begin = if end <= self.index.end() {
            self.visit_segment(end, oldest, visit)?
        } else {
            self.visit_sector(end, visit)?
        };
        Ok(Some(Seq(begin.max(oldest))))
    }

    fn visit_segment(
        &mut self,
        end: u64,
        oldest: u64,
        visit: &mut Visit<'_>,
    ) -> Result<u64, Fault> {
        let hole = |held: Option<crate::segments::Held>| held.map_or(oldest, |held| held.end());
        let Some(held) = self.index.at(end - 1).filter(|held| held.base < end) else {
            return Ok(hole(self.index.before(end - 1)));
        };
        let Self {
            flash,
            files,
            owner,
            workspace,
            ..
        } = self;
        let file = &mut workspace.file;
        let Some(segment) = load(files.as_mut(), flash, &owner.identity, &held, file)? else {
            return Ok(held.base);
        };
        let Some(view) = segment
            .runs()
            .take_while(|view| view.run.first < end)
            .last()
        else {
            return Ok(held.base);
        };
        let stretch = Stretch {
            boot: view.run.boot,
            end_ms: view.run.uptime_ms_at(u64::from(view.count) - 1),
            params: view.run.params,
        };
        let mut readings = view.readings(&mut *workspace.reader);
        let mut numbers = 0;
        while numbers < view.count {
            // What a sector with the right checksum holds was packed by a store.
            let Ok(reading) = readings.next_reading() else {
                break;
            };
            numbers += reading.span;
            if view.run.first + u64::from(numbers) > oldest {
                let reading = StretchReading {
                    end_ms: view.run.uptime_ms_at(u64::from(numbers) - 1),
                    span: reading.span,
                    channels: &reading.channels,
                };
                visit(&stretch, &reading);
            }
        }
        Ok(view.run.first)
    }

    /// Walks through a sector of the journal twice: the first time to find out where its last run begins and ends.
    fn visit_sector(&mut self, end: u64, visit: &mut Visit<'_>) -> Result<u64, Fault> {
        let begin = self.index.end();
        let Self { flash, journal, .. } = self;
        let Some(opened) = journal.ring.locate(flash, end - 1)? else {
            return Ok(begin);
        };
        let mut found: Option<(u64, Stretch)> = None;
        for is_second in [false, true] {
            let Some(mut cursor) = Cursor::new(&journal.ring, &opened) else {
                break;
            };
            let mut is_begin = true;
            loop {
                match cursor.next_item(flash)? {
                    Item::Reading if cursor.next > end => break,
                    Item::Reading if cursor.next <= begin => {}
                    Item::Reading => {
                        let end_ms = cursor.uptime_ms - u64::from(cursor.run.params.interval_ms);
                        let number = cursor.next - 1;
                        match &mut found {
                            Some((first, stretch)) if is_second => {
                                if number >= *first {
                                    let channels = &cursor.previous[..cursor.registers.len()];
                                    let span = 1;
                                    visit(
                                        stretch,
                                        &StretchReading {
                                            end_ms,
                                            span,
                                            channels,
                                        },
                                    );
                                }
                            }
                            Some((_, stretch)) if !is_begin => stretch.end_ms = end_ms,
                            _ => {
                                let stretch = Stretch {
                                    boot: cursor.run.boot,
                                    end_ms,
                                    params: cursor.run.params,
                                };
                                found = Some((number, stretch));
                            }
                        }
                        is_begin = false;
                    }
                    Item::Run(run) => {
                        is_begin |= !cursor.is_continued_by(&run);
                        cursor.begin(run);
                    }
                    Item::End(_) => break,
                }
            }
        }
        // A sector begins at or before any number that it is found by.
        Ok(found.map_or(opened.base, |(first, _)| first).max(begin))
    }
}
