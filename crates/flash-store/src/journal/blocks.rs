//! Packs what lies in the journal into blocks.
//!
//! The readings of a sector that follow one another without a gap, and that no segment holds, are one block, so the same
//! block comes each time, and the block of the open sector grows from the same beginning. Between readings lie numbers that never existed (a torn
//! write) or are lost (damage, or a flash that failed); each such range is a block too.

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    Registers, Seq,
    block::{CHANNEL_BYTES_MAX, Full, Header, Writer, write_lost, write_never_existed},
    limits::{BLOCK_BYTES_MAX, CHANNELS_MAX},
    reading::RegisterSet,
    run::Run,
};

use super::{
    Journal,
    cursor::{Cursor, Item},
};
use crate::{
    ReadError,
    ring::{
        entry::entry_bytes,
        sector::{Identity, SECTOR_BYTES},
    },
};

/// Any block of a sector fits: a reading takes no more than on flash, but where a run begins that continues the block;
/// there it may be as long as a reading gets, and the shortest run and reading of three channels lie on flash for it.
const _: () = {
    let run_and_reading = entry_bytes(7 + 2 * CHANNELS_MAX) + entry_bytes(6 * CHANNELS_MAX);
    let readings = SECTOR_BYTES as usize / run_and_reading;
    let header = 56 + 16 * CHANNELS_MAX + 4;
    assert!(header + readings * CHANNELS_MAX * CHANNEL_BYTES_MAX <= BLOCK_BYTES_MAX);
};

/// Numbers without readings, between what lies before and behind.
#[derive(Debug)]
struct Gap<'a> {
    /// Where the readings before end: number, uptime of the next, registers.
    cursor: &'a Cursor,
    /// Numbers below this are lost, from it on they never existed.
    lost_end: u64,
    end: u64,
    /// Registers behind the gap.
    registers: &'a RegisterSet,
}

impl Journal {
    /// Packs the block that covers `from`, or the first one after it, and returns its length; readings below `begin` are
    /// left out of it.
    pub(crate) fn read_block<F: NorFlash>(
        &self,
        flash: &mut F,
        from: u64,
        begin: u64,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, ReadError> {
        let from = from.max(self.oldest);
        if from >= self.next {
            return Ok(None);
        }
        let buffer = buffer
            .get_mut(..BLOCK_BYTES_MAX)
            .ok_or(ReadError::BufferTooSmall)?;
        let opened = self.ring.locate(flash, from)?.ok_or(ReadError::Damaged)?;
        let mut cursor = Cursor::new(&self.ring, &opened).ok_or(ReadError::Damaged)?;
        if from < cursor.next {
            let (base, end) = (cursor.run.base().max(begin), cursor.next);
            return never_existed(&opened.identity, &cursor, base..end, buffer).map(Some);
        }
        let length = match self.pack(flash, &mut cursor, from, begin, buffer)? {
            Some(length) => length,
            None => self.pack_rest(flash, opened.sequence, &cursor, from, buffer)?,
        };
        Ok(Some(length))
    }

    /// Packs the block of one sector that covers `from`; `None` where its readings end before.
    fn pack<F: NorFlash>(
        &self,
        flash: &mut F,
        cursor: &mut Cursor,
        from: u64,
        begin: u64,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, ReadError> {
        let identity = self.ring.identity();
        let channels = usize::from(identity.channels);
        let mut writer =
            Writer::new(buffer, &header(identity, cursor, cursor.next)).map_err(full)?;
        loop {
            let item = if cursor.next < self.next {
                cursor.next_item(flash)?
            } else {
                // Readings behind `next` were never acknowledged: a failed write may have left one.
                Item::End(None)
            };
            match item {
                Item::Reading if cursor.next <= begin => {
                    let header = header(identity, cursor, cursor.next);
                    writer = Writer::new(buffer, &header).map_err(full)?;
                }
                Item::Reading => writer.push(&cursor.previous[..channels]).map_err(full)?,
                Item::Run(run) if cursor.is_continued_by(&run) => cursor.begin(run),
                Item::Run(_) | Item::End(_) if from < cursor.next => {
                    return Ok(Some(writer.finish()));
                }
                Item::Run(run) => {
                    if from < run.first {
                        return gap(identity, &Gap::before_run(cursor, &run), from, buffer)
                            .map(Some);
                    }
                    cursor.begin(run);
                    let header = header(identity, cursor, cursor.next);
                    writer = Writer::new(buffer, &header).map_err(full)?;
                }
                Item::End(_) => return Ok(None),
            }
        }
    }

    /// Packs what follows the last reading of a sector that begins at or before `from`.
    fn pack_rest<F: NorFlash>(
        &self,
        flash: &mut F,
        sequence: u64,
        cursor: &Cursor,
        from: u64,
        buffer: &mut [u8],
    ) -> Result<usize, ReadError> {
        let identity = self.ring.identity();
        let next_cursor = match self.ring.next_from(flash, sequence + 1)? {
            Some(opened) => Some(Cursor::new(&self.ring, &opened).ok_or(ReadError::Damaged)?),
            None => None,
        };
        let rest = match &next_cursor {
            Some(next) => Gap {
                cursor,
                lost_end: next.run.base(),
                end: next.run.base(),
                registers: &next.run.registers,
            },
            None => Gap {
                cursor,
                lost_end: self.next - self.skipped,
                end: self.next,
                registers: &self.registers,
            },
        };
        gap(identity, &rest, from, buffer)
    }
}

impl<'a> Gap<'a> {
    fn before_run(cursor: &'a Cursor, run: &'a Run) -> Self {
        Self {
            cursor,
            lost_end: run.base(),
            end: run.first,
            registers: &run.registers,
        }
    }
}

/// Packs the part of a gap that covers `from`.
fn gap(
    identity: &Identity,
    gap: &Gap<'_>,
    from: u64,
    buffer: &mut [u8],
) -> Result<usize, ReadError> {
    let begin = gap.cursor.next;
    if from < begin || from >= gap.end {
        return Err(ReadError::Damaged);
    }
    if from >= gap.lost_end {
        let first = gap.lost_end.max(begin);
        return never_existed(identity, gap.cursor, first..gap.end, buffer);
    }
    let energy: RegisterSet = (gap.registers.iter())
        .zip(&gap.cursor.registers)
        .map(|(end, begin)| Registers {
            import_mj: end.import_mj.saturating_sub(begin.import_mj),
            export_mj: end.export_mj.saturating_sub(begin.export_mj),
        })
        .collect();
    let header = header(identity, gap.cursor, begin);
    write_lost(buffer, &header, count(gap.lost_end - begin), &energy).map_err(full)
}

fn never_existed(
    identity: &Identity,
    cursor: &Cursor,
    numbers: core::ops::Range<u64>,
    buffer: &mut [u8],
) -> Result<usize, ReadError> {
    let header = header(identity, cursor, numbers.start);
    write_never_existed(buffer, &header, count(numbers.end - numbers.start)).map_err(full)
}

/// Describes what begins where the cursor is.
fn header(identity: &Identity, cursor: &Cursor, first: u64) -> Header {
    Header {
        device: identity.device,
        store: identity.store,
        first: Seq(first),
        boot: cursor.run.boot,
        uptime_ms: cursor.uptime_ms,
        interval_ms: cursor.run.params.interval_ms,
        power_unit_mw: cursor.run.params.power_unit_mw,
        calibration: cursor.run.params.calibration,
        registers: cursor.registers.clone(),
    }
}

/// Longer ranges than a block can count come as several.
fn count(numbers: u64) -> u32 {
    numbers.try_into().unwrap_or(u32::MAX)
}

fn full(_: Full) -> ReadError {
    ReadError::BufferTooSmall
}
