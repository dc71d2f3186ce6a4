//! The ring of readings: runs and the readings in them.
//!
//! A **run** entry says from which number, boot and uptime on the readings that follow count, and with which registers;
//! each sector begins with one, so a sector decodes alone. Reading entries hold absolute values. What a run covers within
//! one sector is a [`Segment`]; it is served as one block.

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    ChannelReading, DeviceId, Flags, Registers, Seq, StoreId,
    block::{self, Header},
    limits::CHANNELS_MAX,
    reading::{Channels, RegisterSet, quantum_mj},
};

use crate::{
    AppendError, Appended, Lost, ReadError, RunParams,
    ring::{FlashFault, Ring, Walk},
    varint::{Reader, Writer},
};

const RUN: u8 = 1;
const READING: u8 = 2;
const RUN_BYTES_MAX: usize = 10 * 7 + 20 * CHANNELS_MAX;
const READING_BYTES_MAX: usize = 24 * CHANNELS_MAX;

/// Whose readings they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) device: DeviceId,
    pub(crate) store: StoreId,
    pub(crate) channels: usize,
}

/// What a run entry says.
#[derive(Clone, Debug)]
struct Run {
    first: u64,
    boot: u32,
    /// Uptime at the end of the first reading.
    uptime_ms: u64,
    params: RunParams,
    /// So many numbers right before `first` never existed.
    skipped: u64,
    /// Registers before the first reading.
    registers: RegisterSet,
}

/// The part of a run that lies in one sector, as far as it can be read.
#[derive(Clone, Debug)]
struct Segment {
    run: Run,
    count: u64,
    registers: RegisterSet,
}

impl Segment {
    fn end(&self) -> u64 {
        self.run.first + self.count
    }
}

/// The readings of a meter.
#[derive(Clone, Debug)]
pub(crate) struct Readings {
    ring: Ring,
    owner: Owner,
    oldest: u64,
    next: u64,
    registers: RegisterSet,
    /// Numbers before `next` whose write was torn and that no run entry tells of yet.
    skipped: u64,
    /// The run that may go on: boot, the uptime that its next reading ends at, parameters.
    open: Option<(u32, u64, RunParams)>,
}

impl Readings {
    pub(crate) fn new(ring: Ring, owner: Owner) -> Self {
        Self {
            ring,
            owner,
            oldest: 0,
            next: 0,
            registers: (0..owner.channels).map(|_| Registers::default()).collect(),
            skipped: 0,
            open: None,
        }
    }

    pub(crate) fn oldest(&self) -> Seq {
        Seq(self.oldest)
    }

    pub(crate) fn next(&self) -> Seq {
        Seq(self.next)
    }

    pub(crate) fn registers(&self) -> &RegisterSet {
        &self.registers
    }

    pub(crate) fn used_bytes(&self) -> u32 {
        self.ring.used_bytes()
    }

    /// Finds oldest, next and registers, and whether the last write was torn.
    pub(crate) fn mount<F: NorFlash>(&mut self, flash: &mut F) -> Result<(), FlashFault> {
        self.ring.mount(flash)?;
        self.oldest = self.first_after(flash, 0)?.unwrap_or(0);
        for counter in self.ring.counters().rev() {
            if self.ring.header(flash, counter)?.is_none() {
                continue;
            }
            let (mut last, mut walk) = (
                None,
                SegmentWalk::new(&self.ring, counter, self.owner.channels),
            );
            while let Some(segment) = walk.next(flash)? {
                last = Some(segment);
            }
            let torn = walk.walk.torn;
            if let Some(segment) = last {
                // Of the torn reading nothing was promised; its number is left out for good.
                self.skipped = torn.into();
                self.next = segment.end() + self.skipped;
                self.registers = segment.registers;
                break;
            }
        }
        Ok(())
    }

    /// Returns the first number of the oldest sector with at least that counter.
    fn first_after<F: NorFlash>(
        &self,
        flash: &mut F,
        least: u32,
    ) -> Result<Option<u64>, FlashFault> {
        for counter in self.ring.counters().filter(|&counter| counter >= least) {
            if let Some(header) = self.ring.header(flash, counter)? {
                return Ok(Some(header.first));
            }
        }
        Ok(None)
    }

    /// Writes a reading; it is durable when this returns.
    pub(crate) fn append<F: NorFlash>(
        &mut self,
        flash: &mut F,
        boot: u32,
        params: RunParams,
        uptime_ms: u64,
        channels: &[ChannelReading],
        acknowledged: u64,
    ) -> Result<Appended, AppendError> {
        if channels.len() != self.owner.channels {
            return Err(AppendError::Channels);
        }
        let mut payload = [0; READING_BYTES_MAX];
        let length = write_reading(&mut payload, channels).expect("the buffer fits any reading");
        let contiguous = self.open == Some((boot, uptime_ms, params)) && self.skipped == 0;
        let written = self.write(
            flash,
            boot,
            params,
            uptime_ms,
            &payload[..length],
            contiguous,
            acknowledged,
        );
        let seq = Seq(self.next);
        let quantum_mj = quantum_mj(params.power_unit_mw, params.interval_ms);
        // Where the flash failed the energy still counts: the next run tells it, and the number is served as lost.
        for (registers, channel) in self.registers.iter_mut().zip(channels) {
            *registers = registers.advanced(channel.energy_quanta, quantum_mj);
        }
        self.next += 1;
        match written {
            Ok(lost) => {
                self.open = Some((boot, uptime_ms + u64::from(params.interval_ms), params));
                Ok(Appended { seq, lost })
            }
            Err(FlashFault) => {
                self.open = None;
                Err(AppendError::Flash)
            }
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "private: the parts of one reading"
    )]
    fn write<F: NorFlash>(
        &mut self,
        flash: &mut F,
        boot: u32,
        params: RunParams,
        uptime_ms: u64,
        payload: &[u8],
        contiguous: bool,
        acknowledged: u64,
    ) -> Result<Option<Lost>, FlashFault> {
        if contiguous && self.ring.fits(&[payload.len()]) {
            return self.ring.append(flash, READING, payload).map(|()| None);
        }
        let run = Run {
            first: self.next,
            boot,
            uptime_ms,
            params,
            skipped: self.skipped,
            registers: self.registers.clone(),
        };
        let mut run_payload = [0; RUN_BYTES_MAX];
        let length = write_run(&mut run_payload, &run).expect("the buffer fits any run");
        let mut lost = None;
        if self.ring.fits(&[length, payload.len()]) {
            self.ring.append(flash, RUN, &run_payload[..length])?;
        } else {
            lost = self.make_room(flash, acknowledged)?;
            let opened = self.ring.advance(flash, self.next)?;
            self.ring
                .begin(flash, opened, RUN, &run_payload[..length])?;
        }
        self.skipped = 0;
        self.ring.append(flash, READING, payload)?;
        Ok(lost)
    }

    /// Gives up the sector that is about to be overwritten; tells what nobody had collected of it.
    fn make_room<F: NorFlash>(
        &mut self,
        flash: &mut F,
        acknowledged: u64,
    ) -> Result<Option<Lost>, FlashFault> {
        let Some(doomed) = self.ring.doomed() else {
            return Ok(None);
        };
        let oldest = self.first_after(flash, doomed + 1)?.unwrap_or(self.next);
        let first = self.oldest.max(acknowledged);
        self.oldest = self.oldest.max(oldest);
        Ok((first < oldest).then(|| Lost {
            first: Seq(first),
            count: oldest - first,
        }))
    }

    /// Packs the block that covers `from`, or the first after it, and returns its length.
    pub(crate) fn read_block<F: NorFlash>(
        &self,
        flash: &mut F,
        from: u64,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, ReadError> {
        if from >= self.next {
            return Ok(None);
        }
        let from = from.max(self.oldest);
        let mut before: Option<Segment> = None;
        let start = self.sector_of(flash, from)?;
        for counter in self.ring.counters().filter(|&counter| counter >= start) {
            if self.ring.header(flash, counter)?.is_none() {
                continue;
            }
            let mut walk = SegmentWalk::new(&self.ring, counter, self.owner.channels);
            while let Some(segment) = walk.next(flash)? {
                if segment.run.first > from {
                    return self
                        .pack_gap(before.as_ref(), Some(&segment), from, buffer)
                        .map(Some);
                }
                if from < segment.end() {
                    return self.pack(flash, counter, &segment, buffer).map(Some);
                }
                before = Some(segment);
            }
        }
        self.pack_gap(before.as_ref(), None, from, buffer).map(Some)
    }

    /// Finds the newest sector that begins at or before `from`; the oldest where none does.
    ///
    /// Reads every header: a sector whose header is gone must not hide those around it.
    fn sector_of<F: NorFlash>(&self, flash: &mut F, from: u64) -> Result<u32, FlashFault> {
        for counter in self.ring.counters().rev() {
            if self
                .ring
                .header(flash, counter)?
                .is_some_and(|header| header.first <= from)
            {
                return Ok(counter);
            }
        }
        Ok(*self.ring.counters().start())
    }

    /// Packs the readings of a segment.
    fn pack<F: NorFlash>(
        &self,
        flash: &mut F,
        counter: u32,
        segment: &Segment,
        buffer: &mut [u8],
    ) -> Result<usize, ReadError> {
        let header = self.header(
            &segment.run,
            segment.run.first,
            segment.run.uptime_ms,
            &segment.run.registers,
        );
        let mut writer =
            block::Writer::new(buffer, &header).map_err(|_| ReadError::BufferTooSmall)?;
        let mut walk = self.ring.walk(counter);
        let mut inside = false;
        while u64::from(writer.count()) < segment.count {
            let Some(entry) = walk.next(flash)? else {
                return Err(ReadError::Flash);
            };
            match entry.kind {
                RUN => {
                    inside = read_run(entry.payload, self.owner.channels)
                        .is_some_and(|run| run.first == segment.run.first)
                }
                READING if inside => {
                    let channels =
                        read_reading(entry.payload, self.owner.channels).ok_or(ReadError::Flash)?;
                    writer
                        .push(&channels)
                        .map_err(|_| ReadError::BufferTooSmall)?;
                }
                _ => {}
            }
        }
        Ok(writer.finish())
    }

    /// Packs what lies between two segments at `from`: numbers that are lost, then those that never existed.
    fn pack_gap(
        &self,
        before: Option<&Segment>,
        after: Option<&Segment>,
        from: u64,
        buffer: &mut [u8],
    ) -> Result<usize, ReadError> {
        let begin = before.map_or(self.oldest, Segment::end);
        let (end, skipped, registers) = match after {
            Some(segment) => (
                segment.run.first,
                segment.run.skipped,
                &segment.run.registers,
            ),
            None => (self.next, self.skipped, &self.registers),
        };
        let known = before.or(after).ok_or(ReadError::Flash)?;
        let lost_end = end.saturating_sub(skipped).max(begin);
        let at_begin = before.map_or(registers, |segment| &segment.registers);
        let uptime_ms = known.run.uptime_ms
            + before.map_or(0, |segment| segment.count) * u64::from(known.run.params.interval_ms);
        let full = |_| ReadError::BufferTooSmall;
        if from < lost_end {
            let energy: RegisterSet = registers
                .iter()
                .zip(at_begin)
                .map(|(end, begin)| Registers {
                    import_mj: end.import_mj.saturating_sub(begin.import_mj),
                    export_mj: end.export_mj.saturating_sub(begin.export_mj),
                })
                .collect();
            let header = self.header(&known.run, begin, uptime_ms, at_begin);
            block::write_lost(buffer, &header, (lost_end - begin) as u32, &energy).map_err(full)
        } else {
            let header = self.header(&known.run, lost_end, uptime_ms, registers);
            block::write_never_existed(buffer, &header, (end - lost_end) as u32).map_err(full)
        }
    }

    fn header(&self, run: &Run, first: u64, uptime_ms: u64, registers: &RegisterSet) -> Header {
        Header {
            device: self.owner.device,
            store: self.owner.store,
            first: Seq(first),
            boot: run.boot,
            uptime_ms,
            interval_ms: run.params.interval_ms,
            power_unit_mw: run.params.power_unit_mw,
            calibration: run.params.calibration,
            registers: registers.clone(),
        }
    }
}

/// Walks through the segments of a sector.
struct SegmentWalk {
    walk: Walk,
    channels: usize,
    pending: Option<Run>,
}

impl SegmentWalk {
    fn new(ring: &Ring, counter: u32, channels: usize) -> Self {
        Self {
            walk: ring.walk(counter),
            channels,
            pending: None,
        }
    }

    /// Reads on to the end of the next segment.
    fn next<F: NorFlash>(&mut self, flash: &mut F) -> Result<Option<Segment>, FlashFault> {
        let mut segment = self.pending.take().map(begin);
        while let Some(entry) = self.walk.next(flash)? {
            match (entry.kind, &mut segment) {
                (RUN, _) => {
                    // An entry with a good checksum that says nonsense was not written by this version: stop there.
                    let Some(run) = read_run(entry.payload, self.channels) else {
                        break;
                    };
                    if segment.is_some() {
                        self.pending = Some(run);
                        return Ok(segment);
                    }
                    segment = Some(begin(run));
                }
                (READING, Some(segment)) => {
                    let Some(channels) = read_reading(entry.payload, self.channels) else {
                        break;
                    };
                    let quantum_mj = quantum_mj(
                        segment.run.params.power_unit_mw,
                        segment.run.params.interval_ms,
                    );
                    for (registers, channel) in segment.registers.iter_mut().zip(&channels) {
                        *registers = registers.advanced(channel.energy_quanta, quantum_mj);
                    }
                    segment.count += 1;
                }
                _ => {}
            }
        }
        Ok(segment)
    }
}

fn begin(run: Run) -> Segment {
    Segment {
        registers: run.registers.clone(),
        count: 0,
        run,
    }
}

fn write_run(buffer: &mut [u8], run: &Run) -> Option<usize> {
    let mut writer = Writer::new(buffer);
    for value in [
        run.first,
        run.boot.into(),
        run.uptime_ms,
        run.params.interval_ms.into(),
        run.params.power_unit_mw.into(),
        run.params.calibration.into(),
        run.skipped,
    ] {
        writer.unsigned(value)?;
    }
    for registers in &run.registers {
        writer.unsigned(registers.import_mj)?;
        writer.unsigned(registers.export_mj)?;
    }
    Some(writer.length())
}

fn read_run(payload: &[u8], channels: usize) -> Option<Run> {
    let mut reader = Reader::new(payload);
    let mut run = Run {
        first: reader.unsigned()?,
        boot: reader.unsigned()?.try_into().ok()?,
        uptime_ms: reader.unsigned()?,
        params: RunParams {
            interval_ms: reader.unsigned()?.try_into().ok()?,
            power_unit_mw: reader.unsigned()?.try_into().ok()?,
            calibration: reader.unsigned()?.try_into().ok()?,
        },
        skipped: reader.unsigned()?,
        registers: RegisterSet::new(),
    };
    for _ in 0..channels {
        let import_mj = reader.unsigned()?;
        let export_mj = reader.unsigned()?;
        run.registers
            .push(Registers {
                import_mj,
                export_mj,
            })
            .ok()?;
    }
    reader.is_at_end().then_some(run)
}

fn write_reading(buffer: &mut [u8], channels: &[ChannelReading]) -> Option<usize> {
    let mut writer = Writer::new(buffer);
    for channel in channels {
        writer.signed(channel.energy_quanta.into())?;
        writer.signed(channel.reactive_power_var.into())?;
        writer.unsigned(channel.voltage_dv.into())?;
        writer.unsigned(channel.current_ca.into())?;
        writer.unsigned(channel.frequency_chz.into())?;
        if (channel.coverage_permille, channel.flags) == (1000, Flags::default()) {
            writer.unsigned(0)?;
        } else {
            writer.unsigned(1)?;
            writer.unsigned(channel.coverage_permille.into())?;
            writer.unsigned(channel.flags.0.into())?;
        }
    }
    Some(writer.length())
}

fn read_reading(payload: &[u8], channels: usize) -> Option<Channels> {
    let mut reader = Reader::new(payload);
    let mut reading = Channels::new();
    for _ in 0..channels {
        let mut channel = ChannelReading {
            energy_quanta: reader.signed()?.try_into().ok()?,
            reactive_power_var: reader.signed()?.try_into().ok()?,
            voltage_dv: reader.unsigned()?.try_into().ok()?,
            current_ca: reader.unsigned()?.try_into().ok()?,
            frequency_chz: reader.unsigned()?.try_into().ok()?,
            ..ChannelReading::default()
        };
        match reader.unsigned()? {
            0 => {}
            1 => {
                channel.coverage_permille = reader
                    .unsigned()?
                    .try_into()
                    .ok()
                    .filter(|&coverage| coverage <= 1000)?;
                channel.flags = Flags(reader.unsigned()?.try_into().ok()?);
            }
            _ => return None,
        }
        reading.push(channel).ok()?;
    }
    reader.is_at_end().then_some(reading)
}
