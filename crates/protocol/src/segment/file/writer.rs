//! Putting runs into a file.

use super::{
    CRC_BYTES, FIXED_BYTES, FORMAT, Identity, LOST_BYTES_MAX, MAGIC, RECORD_BYTES, REGISTER_BYTES,
    SEGMENT_BYTES_MAX,
};
use crate::{
    block::CRC,
    identity::Seq,
    reading::{Packed, RegisterSet, Registers, Tier},
    run::{NUMBER_MAX, Run, write_registers},
    segment::{
        Full, Models,
        run::{Packing, Shape},
    },
};

/// Packs readings into a segment, run by run.
#[derive(Debug)]
pub struct SegmentWriter<'a> {
    buffer: &'a mut [u8],
    models: &'a mut Models,
    identity: Identity,
    tier: Tier,
    base: u64,
    /// Where the next run begins.
    at: usize,
    runs: u16,
    readings: u32,
    /// Number and registers behind the last run that is whole.
    end: u64,
    registers: RegisterSet,
    open: Option<OpenRun>,
}

/// The run that takes readings.
#[derive(Debug)]
struct OpenRun {
    stream_at: usize,
    packing: Packing,
    quantum_mj: u64,
    /// Number and registers behind its last reading.
    end: u64,
    registers: RegisterSet,
}

impl<'a> SegmentWriter<'a> {
    /// Begins a segment that accounts for the numbers from `base` on, with the registers right before them. Of the buffer at
    /// most [`SEGMENT_BYTES_MAX`] are used.
    ///
    /// # Errors
    /// [`Full`] where the buffer cannot hold even the header.
    ///
    /// # Panics
    /// When there are not 1 to 3 channels with registers each.
    pub fn new(
        buffer: &'a mut [u8],
        models: &'a mut Models,
        identity: Identity,
        tier: Tier,
        base: Seq,
        registers: &RegisterSet,
    ) -> Result<Self, Full> {
        let channels = usize::from(identity.channels);
        assert!(channels > 0, "a meter has a channel");
        assert_eq!(registers.len(), channels, "registers of each channel");
        let length = buffer.len().min(SEGMENT_BYTES_MAX);
        let at = FIXED_BYTES + channels * REGISTER_BYTES;
        if at + channels * LOST_BYTES_MAX + CRC_BYTES > length {
            return Err(Full);
        }
        Ok(Self {
            buffer: &mut buffer[..length],
            models,
            identity,
            tier,
            base: base.0,
            at,
            runs: 0,
            readings: 0,
            end: base.0,
            registers: registers.clone(),
            open: None,
        })
    }

    /// Where runs must end: behind them there is always room for lost energy.
    fn limit(&self) -> usize {
        let lost = usize::from(self.identity.channels) * LOST_BYTES_MAX;
        self.buffer.len() - lost - CRC_BYTES
    }

    /// Begins a run; the one before is whole with that. What lies between them is lost, but for what the run skipped.
    /// A run that gets no reading vanishes.
    ///
    /// # Errors
    /// [`Full`] where there is no room, and where the run is none that can follow: out of range, of other channels, with
    /// numbers that came before, or too far behind the base to be counted.
    pub fn begin_run(&mut self, run: &Run) -> Result<(), Full> {
        self.close_run();
        let shape = Shape::new(self.tier, self.identity.channels.into(), &run.params);
        let shape = shape.ok_or(Full)?;
        let follows = run.is_in_range()
            && run.registers.len() == self.registers.len()
            && run.base() >= self.end
            && self.counts(run.first);
        let limit = self.limit();
        let record = self.buffer.get_mut(self.at..limit).ok_or(Full)?;
        if !follows || record.len() < RECORD_BYTES {
            return Err(Full);
        }
        let mut at = RECORD_BYTES;
        run.write(record, &mut at).ok_or(Full)?;
        if run.base() > self.end {
            let energy = energy_between(&self.registers, &run.registers);
            write_registers(record, &mut at, &energy).ok_or(Full)?;
        }
        self.open = Some(OpenRun {
            stream_at: self.at + at,
            packing: Packing::new(shape, self.models),
            quantum_mj: run.params.quantum_mj(),
            end: run.first,
            registers: run.registers.clone(),
        });
        Ok(())
    }

    /// Tells whether numbers up to `end` can be accounted for.
    fn counts(&self, end: u64) -> bool {
        end <= NUMBER_MAX && end.saturating_sub(self.base) <= u32::MAX.into()
    }

    /// Adds the next reading of the run.
    ///
    /// # Errors
    /// [`Full`] where there is no room, from then on always, and before a run was begun; the segment stays as it was.
    ///
    /// # Panics
    /// When there are more or fewer channels or extremes than the segment has, or the span is none of its tier.
    pub fn push(&mut self, reading: &Packed) -> Result<(), Full> {
        let limit = self.limit();
        let end = self.end().0.saturating_add(reading.span.into());
        let counts = self.counts(end);
        let open = self.open.as_mut().filter(|_| counts).ok_or(Full)?;
        let buffer = &mut self.buffer[open.stream_at..limit];
        open.packing.push(buffer, self.models, reading)?;
        open.end = end;
        reading.advance(&mut open.registers, open.quantum_mj);
        self.readings += 1;
        Ok(())
    }

    /// Returns how many readings were added.
    #[must_use]
    pub fn readings(&self) -> u32 {
        self.readings
    }

    /// Returns the number behind the last reading, or behind what the open run skipped; without either the base.
    #[must_use]
    pub fn end(&self) -> Seq {
        Seq(self.open.as_ref().map_or(self.end, |open| open.end))
    }

    /// Returns the registers behind the last reading.
    #[must_use]
    pub fn registers(&self) -> &RegisterSet {
        (self.open.as_ref()).map_or(&self.registers, |open| &open.registers)
    }

    /// Returns how long the segment would be if it were finished now without numbers lost behind the last run; takes a
    /// look at the bytes of the run.
    pub fn bytes_so_far(&mut self) -> usize {
        let limit = self.limit();
        let end = match &self.open {
            Some(open) if open.packing.readings > 0 => {
                let buffer = &mut self.buffer[open.stream_at..limit];
                open.stream_at + open.packing.finish(buffer)
            }
            _ => self.at,
        };
        end + CRC_BYTES
    }

    fn close_run(&mut self) {
        let limit = self.limit();
        let Some(open) = self.open.take().filter(|open| open.packing.readings > 0) else {
            return;
        };
        let length = (open.packing).finish(&mut self.buffer[open.stream_at..limit]);
        let record = &mut self.buffer[self.at..];
        record[..4].copy_from_slice(&open.packing.numbers.to_le_bytes());
        record[4..6].copy_from_slice(&(length as u16).to_le_bytes());
        self.at = open.stream_at + length;
        self.runs += 1;
        self.end = open.end;
        self.registers = open.registers;
    }

    /// Closes the segment, which accounts for the numbers below `end`, with the registers there, and returns its length; 0
    /// where no reading was added. Numbers from the last reading to `end` are lost; an earlier `end` than the last
    /// reading's counts as that.
    ///
    /// # Panics
    /// When there are not as many registers as channels.
    #[must_use]
    pub fn finish(mut self, end: Seq, registers: &RegisterSet) -> usize {
        assert_eq!(registers.len(), self.registers.len(), "registers");
        self.close_run();
        if self.runs == 0 {
            return 0;
        }
        let mut end = end.0.max(self.end);
        if !self.counts(end) {
            end = self.end;
        }
        if end > self.end {
            let energy = energy_between(&self.registers, registers);
            // There is always room.
            let _ = write_registers(self.buffer, &mut self.at, &energy);
        }
        let length = self.at + CRC_BYTES;
        let count = (end - self.base) as u32;
        let header = &mut self.buffer[..FIXED_BYTES];
        header.fill(0);
        header[0..4].copy_from_slice(&MAGIC);
        header[4] = FORMAT;
        header[5] = self.tier as u8;
        header[6] = self.identity.channels;
        header[8..10].copy_from_slice(&(length as u16).to_le_bytes());
        header[10..12].copy_from_slice(&self.runs.to_le_bytes());
        header[12..16].copy_from_slice(&count.to_le_bytes());
        header[16..24].copy_from_slice(&self.identity.store.0.to_le_bytes());
        header[24..30].copy_from_slice(&self.identity.device.0);
        header[32..40].copy_from_slice(&self.base.to_le_bytes());
        for (bytes, channel) in self.buffer[FIXED_BYTES..]
            .chunks_exact_mut(REGISTER_BYTES)
            .zip(registers)
        {
            bytes[..8].copy_from_slice(&channel.import_mj.to_le_bytes());
            bytes[8..].copy_from_slice(&channel.export_mj.to_le_bytes());
        }
        let crc = CRC.checksum(&self.buffer[..self.at]);
        self.buffer[self.at..length].copy_from_slice(&crc.to_le_bytes());
        length
    }
}

/// What registers advanced by; 0 where they went back.
fn energy_between(before: &RegisterSet, after: &RegisterSet) -> RegisterSet {
    (before.iter().zip(after))
        .map(|(before, after)| Registers {
            import_mj: after.import_mj.saturating_sub(before.import_mj),
            export_mj: after.export_mj.saturating_sub(before.export_mj),
        })
        .collect()
}
