//! Readings brought to the lengths under which they were begun to be sent.
//!
//! A window of coarse readings fixes a timestamp for each of them. When finer ones come before all of it is on the server,
//! they are merged as the meter merges, so that what is sent again under a timestamp stays what it was.

use protocol::{
    Reading,
    merge::Merger,
    reading::{Packed, RegisterSet},
};

use crate::store::parts;

/// Merges readings, given in order, into rows of `span` numbers each from `first` on.
#[derive(Debug)]
pub(super) struct Rows {
    first: u64,
    span: u64,
    rows: Vec<Reading>,
    /// What the last row is merged from; `None` where it is one reading.
    merger: Option<Merger>,
}

impl Rows {
    pub(super) fn new(first: u64, span: u32) -> Self {
        Self {
            first,
            span: u64::from(span.max(1)),
            rows: Vec::new(),
            merger: None,
        }
    }

    /// Takes the next reading, whose numbers are behind `first`.
    pub(super) fn push(&mut self, reading: &Reading) {
        let mut from = reading.seq.0;
        while from < parts::end(reading) {
            let row_end = from + self.span - (from - self.first) % self.span;
            let to = row_end.min(parts::end(reading));
            self.join(parts::part(reading, (from, to), None, None));
            from = to;
        }
    }

    /// Returns the rows; where numbers were left out, a row is shorter or missing.
    pub(super) fn finish(mut self) -> Vec<Reading> {
        self.close();
        self.rows
    }

    fn row_of(&self, reading: &Reading) -> u64 {
        (reading.seq.0 - self.first) / self.span
    }

    fn join(&mut self, reading: Reading) {
        let row = self.row_of(&reading);
        let Some(open) = self
            .rows
            .pop_if(|open| (open.seq.0 - self.first) / self.span == row)
        else {
            self.close();
            self.rows.push(reading);
            return;
        };
        let merger = self.merger.get_or_insert_with(|| {
            let mut merger = Merger::new(u32::MAX);
            // The first of all fits.
            let _ = merger.push(&packed(&open));
            merger
        });
        // Only sums beyond the range of a reading do not fit; those begin anew.
        let _ = merger.push(&packed(&reading));
        self.rows.push(joined(&open, reading));
    }

    /// Gives the last row what was merged.
    fn close(&mut self) {
        let merged = self.merger.take().and_then(|mut merger| merger.finish());
        if let (Some(row), Some(merged)) = (self.rows.last_mut(), merged) {
            (row.channels, row.extremes) = (merged.channels, merged.extremes);
        }
    }
}

fn packed(reading: &Reading) -> Packed {
    Packed {
        span: reading.span,
        channels: reading.channels.clone(),
        extremes: reading.extremes.clone(),
    }
}

/// Returns a reading from the begin of one to the end of the next, of which the channels are not merged yet.
fn joined(open: &Reading, next: Reading) -> Reading {
    let registers: RegisterSet = next.registers.clone();
    Reading {
        seq: open.seq,
        span: open.span + next.span,
        interval_ms: open.interval_ms + next.interval_ms,
        registers,
        ..next
    }
}
