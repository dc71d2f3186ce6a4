//! Whether two blocks can both be true.
//!
//! Blocks of the same resolution must hold the same readings under the same numbers. Readings of different resolution agree
//! when boot, uptime and registers do wherever readings of both end, or begin, at the same number: then so does the energy
//! of whatever both cover whole.

use protocol::{
    Reading,
    block::{Block, Kind},
};

use super::parts::end;

/// A block with its readings, for several comparisons.
#[derive(Debug)]
pub(super) struct Unpacked<'a> {
    pub(super) block: &'a Block<'a>,
    pub(super) readings: Vec<Reading>,
}

impl<'a> Unpacked<'a> {
    pub(super) fn new(block: &'a Block<'a>) -> Self {
        Self {
            block,
            readings: block.readings().collect(),
        }
    }

    /// Tells whether a block says the same about everything that both hold readings for.
    pub(super) fn agrees(&self, held: &Block<'_>) -> bool {
        if held.kind() != Kind::Readings || self.block.kind() != Kind::Readings {
            return true;
        }
        let (own, other) = (self.block.range(), held.range());
        let from = own.start.max(other.start);
        let to = own.end.min(other.end);
        let is_same_tier = self.block.tier() == held.tier();
        let begun = self
            .readings
            .partition_point(|reading| end(reading) < other.start);
        let mut own_readings = self.readings[begun..].iter().peekable();
        if let Some(before) = own_readings.next_if(|reading| end(reading) == other.start)
            && before.registers != held.header().registers
        {
            return false;
        }
        for reading in held.readings() {
            let end_number = end(&reading);
            if end_number == own.start && reading.registers != self.block.header().registers {
                return false;
            }
            if end_number <= from {
                continue;
            }
            if reading.seq.0 >= to {
                break;
            }
            while own_readings.next_if(|own| end(own) < end_number).is_some() {}
            let Some(own) = own_readings.next_if(|own| end(own) == end_number) else {
                continue;
            };
            let is_same = if is_same_tier && own.seq == reading.seq {
                *own == reading
            } else {
                (own.boot, own.uptime_ms, &own.registers)
                    == (reading.boot, reading.uptime_ms, &reading.registers)
            };
            if !is_same {
                return false;
            }
        }
        true
    }
}
