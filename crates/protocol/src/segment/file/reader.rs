//! Checking a segment, and giving out what it holds.

use core::borrow::BorrowMut;

use super::{
    CRC_BYTES, FIXED_BYTES, FORMAT, Identity, MAGIC, RECORD_BYTES, REGISTER_BYTES,
    SEGMENT_BYTES_MAX, SegmentError,
};
use crate::{
    block::{self, CRC, Header},
    identity::{DeviceId, Seq, StoreId},
    limits::CHANNELS_MAX,
    reading::{RegisterSet, Registers, Tier},
    run::{NUMBER_MAX, Run, read_registers},
    segment::{Models, RunReader},
};

/// A segment whose headers were all checked; its streams were not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    identity: Identity,
    tier: Tier,
    base: u64,
    count: u32,
    runs: Runs<'a>,
    first_registers: RegisterSet,
    end_registers: RegisterSet,
}

/// There is no such block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBlock {
    /// The segment does not account for this number.
    NotCovered,
    /// The buffer is too small.
    Full,
}

/// Numbers without readings that lie before a run or at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Gap {
    /// The first number.
    begin: u64,
    /// Numbers below are lost, from it on they never existed.
    lost_end: u64,
    end: u64,
    /// Energy of the lost ones, none where none are.
    energy: RegisterSet,
}

/// One run of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunView<'a> {
    /// What its readings have in common.
    pub run: Run,
    /// How many numbers its readings stand for, at least 1.
    pub count: u32,
    /// Its readings, packed.
    pub stream: &'a [u8],
    /// How coarse they are.
    pub tier: Tier,
    gap: Gap,
}

impl RunView<'_> {
    /// Returns the number behind its last reading.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.run.first + u64::from(self.count)
    }

    /// Returns how many numbers right before [`Run::base`] are lost, and their energy for each channel; 0 and nothing where
    /// none are.
    #[must_use]
    pub fn lost_before(&self) -> (u64, &RegisterSet) {
        (self.gap.lost_end - self.gap.begin, &self.gap.energy)
    }
}

impl<'a> RunView<'a> {
    /// Returns what unpacks the readings, with models that are lent or given. It has no end: their spans add up to `count`.
    ///
    /// # Panics
    /// Never: what a segment was parsed from is in range.
    pub fn readings<M: BorrowMut<Models>>(&self, models: M) -> RunReader<'a, M> {
        let channels = self.run.registers.len();
        RunReader::new(self.stream, models, self.tier, channels, &self.run.params)
            .expect("the run was checked")
    }
}

/// Yields the runs of a segment in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs<'a> {
    /// From the first run to the CRC.
    bytes: &'a [u8],
    at: usize,
    left: u16,
    /// Number behind the run before.
    end: u64,
    tier: Tier,
    channels: usize,
}

impl<'a> Iterator for Runs<'a> {
    type Item = RunView<'a>;

    fn next(&mut self) -> Option<RunView<'a>> {
        self.left = self.left.checked_sub(1)?;
        let mut at = self.at;
        let record = self.bytes.get(at..at + RECORD_BYTES)?;
        let count = u32::from_le_bytes(record[..4].try_into().ok()?);
        let length = u16::from_le_bytes(record[4..].try_into().ok()?);
        at += RECORD_BYTES;
        let run = Run::read(self.bytes, &mut at, self.channels)?;
        let gap = Gap {
            begin: self.end,
            lost_end: run.base(),
            end: run.first,
            energy: match run.base() > self.end {
                true => read_registers(self.bytes, &mut at, self.channels)?,
                false => RegisterSet::new(),
            },
        };
        let stream = self.bytes.get(at..at + usize::from(length))?;
        let view = RunView {
            run,
            count,
            stream,
            tier: self.tier,
            gap,
        };
        let is_in_range = count >= 1 && view.run.base() >= self.end;
        is_in_range.then_some(())?;
        self.at = at + stream.len();
        self.end = view.end();
        Some(view)
    }
}

impl<'a> Segment<'a> {
    /// Checks `bytes`, which must be exactly one segment. Streams are not decoded.
    ///
    /// # Errors
    /// See [`SegmentError`]; any bytes whatever give a segment or an error.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SegmentError> {
        let body = checked(bytes)?;
        let tier = Tier::of(body[5]).ok_or(SegmentError::Unsupported)?;
        Self::read(body, tier).ok_or(SegmentError::OutOfRange)
    }

    fn read(body: &'a [u8], tier: Tier) -> Option<Self> {
        let channels = usize::from(body[6]);
        let zeros = [body[7], body[30], body[31]];
        let runs_at = FIXED_BYTES + channels * REGISTER_BYTES;
        let is_in_range =
            (1..=CHANNELS_MAX).contains(&channels) && zeros == [0; 3] && runs_at <= body.len();
        is_in_range.then_some(())?;
        let (base, count) = (le_u64(body, 32), le_u32(body, 12));
        let end_registers = body[FIXED_BYTES..runs_at]
            .chunks_exact(REGISTER_BYTES)
            .map(|bytes| Registers {
                import_mj: le_u64(bytes, 0),
                export_mj: le_u64(bytes, 8),
            })
            .collect();
        let runs = Runs {
            bytes: &body[runs_at..],
            at: 0,
            left: u16::from_le_bytes([body[10], body[11]]),
            end: base,
            tier,
            channels,
        };
        let segment = Self {
            identity: Identity {
                device: DeviceId(body[24..30].try_into().ok()?),
                store: StoreId(le_u64(body, 16)),
                channels: body[6],
            },
            tier,
            base,
            count,
            first_registers: runs.clone().next()?.run.registers,
            runs,
            end_registers,
        };
        let end = base.checked_add(count.into())?;
        (count >= 1 && end <= NUMBER_MAX).then_some(())?;
        segment.gap_behind().map(|_| segment)
    }

    /// Walks through all runs to what is lost behind them; `None` where anything is out of range.
    fn gap_behind(&self) -> Option<Gap> {
        let mut runs = self.runs();
        let count = usize::from(runs.left);
        (runs.by_ref().count() == count).then_some(())?;
        let (begin, end) = (runs.end, self.end().0);
        let energy = match end > begin {
            true => read_registers(runs.bytes, &mut runs.at, runs.channels)?,
            false => RegisterSet::new(),
        };
        (end >= begin && runs.at == runs.bytes.len()).then_some(Gap {
            begin,
            lost_end: end,
            end,
            energy,
        })
    }

    /// Returns whose readings these are.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns how coarse the readings are.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Returns the first number that the segment accounts for.
    #[must_use]
    pub fn base(&self) -> Seq {
        Seq(self.base)
    }

    /// Returns the number behind the last one that the segment accounts for.
    #[must_use]
    pub fn end(&self) -> Seq {
        Seq(self.base + u64::from(self.count))
    }

    /// Returns the registers before the first reading of the first run.
    #[must_use]
    pub fn first_registers(&self) -> &RegisterSet {
        &self.first_registers
    }

    /// Returns the registers at the end.
    #[must_use]
    pub fn end_registers(&self) -> &RegisterSet {
        &self.end_registers
    }

    /// Returns the runs in order, at least one.
    #[must_use]
    pub fn runs(&self) -> Runs<'a> {
        self.runs.clone()
    }

    /// Packs the block that covers the number `from` and returns its length: a run, or numbers that are lost or never
    /// existed. Nothing is decoded.
    ///
    /// # Errors
    /// [`NoBlock`] where the segment does not cover the number, or the buffer is too small;
    /// [`BLOCK_BYTES_MAX`](crate::limits::BLOCK_BYTES_MAX) bytes always do.
    pub fn write_block(&self, from: u64, buffer: &mut [u8]) -> Result<usize, NoBlock> {
        if !(self.base..self.end().0).contains(&from) {
            return Err(NoBlock::NotCovered);
        }
        // What a gap's header says: the boot and uptime that readings before would have gone on with.
        let mut before: Option<Header> = None;
        for view in self.runs() {
            let Identity { device, store, .. } = self.identity;
            let mut header = view.run.block_header(device, store);
            if from < view.run.first {
                let registers = &view.run.registers;
                let header = before.as_ref().unwrap_or(&header);
                return view.gap.write(from, header, registers, buffer);
            }
            if from < view.end() {
                return block::write_packed(buffer, &header, view.tier, view.count, view.stream)
                    .map_err(full);
            }
            header.uptime_ms = view.run.uptime_ms_at(view.count.into());
            before = Some(header);
        }
        let gap = self.gap_behind().ok_or(NoBlock::NotCovered)?;
        let header = before.ok_or(NoBlock::NotCovered)?;
        gap.write(from, &header, &self.end_registers, buffer)
    }
}

impl Gap {
    /// Packs the part that covers `from`; `registers` are those behind the gap.
    fn write(
        &self,
        from: u64,
        header: &Header,
        registers: &RegisterSet,
        buffer: &mut [u8],
    ) -> Result<usize, NoBlock> {
        let mut header = header.clone();
        header.registers.clone_from(registers);
        if from >= self.lost_end {
            header.first = Seq(self.lost_end);
            let count = numbers(self.lost_end, self.end);
            return block::write_never_existed(buffer, &header, count).map_err(full);
        }
        header.first = Seq(self.begin);
        for (registers, lost) in header.registers.iter_mut().zip(&self.energy) {
            registers.import_mj = registers.import_mj.saturating_sub(lost.import_mj);
            registers.export_mj = registers.export_mj.saturating_sub(lost.export_mj);
        }
        let count = numbers(self.begin, self.lost_end);
        block::write_lost(buffer, &header, count, &self.energy).map_err(full)
    }
}

/// Numbers of a part of a segment, which counts all of its own in 32 bits.
fn numbers(begin: u64, end: u64) -> u32 {
    (end - begin) as u32
}

fn full(_: block::Full) -> NoBlock {
    NoBlock::Full
}

/// Checks all but the fields; returns what is before the CRC.
fn checked(bytes: &[u8]) -> Result<&[u8], SegmentError> {
    if bytes.len() > SEGMENT_BYTES_MAX {
        return Err(SegmentError::TooLong);
    }
    if bytes.len() < FIXED_BYTES + CRC_BYTES {
        return Err(SegmentError::Truncated);
    }
    if bytes[..4] != MAGIC {
        return Err(SegmentError::NotASegment);
    }
    if bytes[4] != FORMAT {
        return Err(SegmentError::Unsupported);
    }
    match usize::from(u16::from_le_bytes([bytes[8], bytes[9]])) {
        length if length > bytes.len() => Err(SegmentError::Truncated),
        length if length < bytes.len() => Err(SegmentError::TooLong),
        length => {
            let (body, crc) = bytes.split_at(length - CRC_BYTES);
            if CRC.checksum(body) == le_u32(crc, 0) {
                Ok(body)
            } else {
                Err(SegmentError::Corrupt)
            }
        }
    }
}

fn le_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn le_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
