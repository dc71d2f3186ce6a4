//! Energy per hour, day and month, from the registers.
//!
//! A register is a line over time: it grows evenly within a reading, and evenly over a gap by what the registers on both
//! sides tell. The energy of a bar is the line's value at its end less that at its begin, so bars add up to the registers
//! exactly, wherever the bars are cut. Only the blocks that hold a cut are decoded.

use jiff::{RoundMode, Timestamp, ToSpan, Unit, Zoned, ZonedRound, tz::TimeZone};
use protocol::{DeviceId, Reading, Registers};
use rusqlite::Connection;

use super::{
    Store, StoreError, parts,
    readings::{Placed, snapshot},
};

/// Most bars of one question.
pub const BARS_MAX: usize = 20_000;

/// Share of a bar in percent that must be covered by readings for it to be complete.
const COMPLETE_PERCENT: i64 = 99;

/// Length of a bar in local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// From a full hour to the next.
    Hour,
    /// From midnight to midnight: 23 to 25 hours.
    Day,
    /// From a first to the next.
    Month,
}

/// The energy of one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Begin in ms of UTC.
    pub start_ms: i64,
    /// End in ms of UTC.
    pub end_ms: i64,
    /// Energy taken from the mains, in mJ.
    pub import_mj: u64,
    /// Energy given to the mains, in mJ.
    pub export_mj: u64,
    /// Time in ms for which there are readings.
    pub covered_ms: i64,
    /// Whether there are readings for practically all of it.
    pub complete: bool,
}

impl Store {
    /// Returns the energy of a channel (counted from 0) for each period that touches `from_ms..to_ms`.
    ///
    /// # Errors
    /// [`StoreError::BadRequest`] for a range that is empty, beyond the calendar or of more than [`BARS_MAX`] bars.
    pub fn energy_by_period(
        &self,
        device: DeviceId,
        channel: usize,
        zone: &TimeZone,
        period: Period,
        (from_ms, to_ms): (i64, i64),
    ) -> Result<Vec<Bar>, StoreError> {
        let cuts = cuts(zone, period, from_ms, to_ms)?;
        let mut bars: Vec<Bar> = cuts
            .windows(2)
            .map(|pair| Bar {
                start_ms: pair[0],
                end_ms: pair[1],
                import_mj: 0,
                export_mj: 0,
                covered_ms: 0,
                complete: false,
            })
            .collect();
        let _snapshot = snapshot(&self.connection)?;
        for placed in Placed::load(&self.connection, device)? {
            let mut line = RegisterLine::new(&self.connection, &placed, channel);
            add(&mut line, &mut bars)?;
        }
        for bar in &mut bars {
            let length_ms = bar.end_ms - bar.start_ms;
            bar.complete = bar.covered_ms * 100 >= length_ms * COMPLETE_PERCENT;
        }
        Ok(bars)
    }
}

/// Returns the begins of all periods from the one that holds `from_ms`, and the end of the last.
fn cuts(zone: &TimeZone, period: Period, from_ms: i64, to_ms: i64) -> Result<Vec<i64>, StoreError> {
    const BEYOND: StoreError = StoreError::BadRequest("the time range is beyond the calendar");
    if from_ms >= to_ms {
        return Err(StoreError::BadRequest("the time range is empty"));
    }
    let from = Timestamp::from_millisecond(from_ms).map_err(|_| BEYOND)?;
    let mut at = begin(&from.to_zoned(zone.clone()), period).map_err(|_| BEYOND)?;
    let mut cuts = vec![at.timestamp().as_millisecond()];
    while cuts[cuts.len() - 1] < to_ms {
        if cuts.len() > BARS_MAX {
            return Err(StoreError::BadRequest(
                "the time range has too many periods",
            ));
        }
        at = next(&at, period).map_err(|_| BEYOND)?;
        cuts.push(at.timestamp().as_millisecond());
    }
    Ok(cuts)
}

fn begin(at: &Zoned, period: Period) -> Result<Zoned, jiff::Error> {
    match period {
        Period::Hour => at.round(
            ZonedRound::new()
                .smallest(Unit::Hour)
                .mode(RoundMode::Trunc),
        ),
        Period::Day => at.start_of_day(),
        Period::Month => at.first_of_month()?.start_of_day(),
    }
}

fn next(at: &Zoned, period: Period) -> Result<Zoned, jiff::Error> {
    match period {
        Period::Hour => at.checked_add(1.hour()),
        Period::Day => at.tomorrow()?.start_of_day(),
        Period::Month => at.checked_add(1.month())?.start_of_day(),
    }
}

/// Adds one history to the bars.
fn add(line: &mut RegisterLine<'_>, bars: &mut [Bar]) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (line.times_ms.first(), line.times_ms.last()) else {
        return Ok(());
    };
    let (first_ms, last_ms) = (first.0, last.1);
    let mut piece = 0;
    let mut before: Option<(i64, Registers)> = None;
    for bar in bars {
        if bar.end_ms <= first_ms || bar.start_ms >= last_ms {
            continue;
        }
        let begin = match before {
            Some((at_ms, registers)) if at_ms == bar.start_ms => registers,
            _ => line.at(bar.start_ms)?,
        };
        let end = line.at(bar.end_ms)?;
        bar.import_mj += end.import_mj.saturating_sub(begin.import_mj);
        bar.export_mj += end.export_mj.saturating_sub(begin.export_mj);
        before = Some((bar.end_ms, end));
        while let Some(&(begin_ms, end_ms)) = line.times_ms.get(piece) {
            let overlap_ms = end_ms.min(bar.end_ms) - begin_ms.max(bar.start_ms);
            bar.covered_ms += overlap_ms.max(0);
            if end_ms > bar.end_ms {
                break;
            }
            piece += 1;
        }
    }
    Ok(())
}

/// The registers of one channel of one history as a line over time.
struct RegisterLine<'a> {
    connection: &'a Connection,
    placed: &'a Placed,
    channel: usize,
    /// Begin and end of each piece, never going back.
    times_ms: Vec<(i64, i64)>,
    /// The piece that was decoded last.
    decoded: Option<(usize, Vec<Reading>)>,
}

impl<'a> RegisterLine<'a> {
    fn new(connection: &'a Connection, placed: &'a Placed, channel: usize) -> Self {
        let mut newest_ms = i64::MIN;
        let times_ms = placed
            .pieces
            .iter()
            .map(|piece| {
                let (begin_ms, end_ms) = placed.times_ms(piece);
                let begin_ms = begin_ms.max(newest_ms);
                newest_ms = end_ms.max(begin_ms);
                (begin_ms, newest_ms)
            })
            .collect();
        Self {
            connection,
            placed,
            channel,
            times_ms,
            decoded: None,
        }
    }

    /// Returns the registers at a moment; before the first reading and behind the last they stand still.
    fn at(&mut self, at_ms: i64) -> Result<Registers, StoreError> {
        let index = self
            .times_ms
            .partition_point(|&(_, end_ms)| end_ms <= at_ms);
        let Some(&(begin_ms, _)) = self.times_ms.get(index) else {
            return self.end(index - 1);
        };
        if begin_ms <= at_ms {
            return self.within(index, at_ms);
        }
        let after = self.begin(index)?;
        if index == 0 {
            return Ok(after);
        }
        let (_, gap_ms) = self.times_ms[index - 1];
        let before = self.end(index - 1)?;
        Ok(between((gap_ms, before), (begin_ms, after), at_ms))
    }

    /// Returns the registers at a moment that lies in a piece.
    fn within(&mut self, index: usize, at_ms: i64) -> Result<Registers, StoreError> {
        let (begin_ms, end_ms) = self.times_ms[index];
        let placed = self.placed;
        let begin = self.begin(index)?;
        let channel = self.channel;
        let readings = self.readings(index)?;
        let time_ms = |reading: &Reading| {
            let resolved = placed.resolve(reading.boot, reading.uptime_ms);
            resolved.utc_ms.clamp(begin_ms, end_ms)
        };
        let after = readings.partition_point(|reading| time_ms(reading) <= at_ms);
        let registers =
            |reading: &Reading| reading.registers.get(channel).copied().unwrap_or_default();
        let left = match after.checked_sub(1) {
            Some(before) => (time_ms(&readings[before]), registers(&readings[before])),
            None => (begin_ms, begin),
        };
        match readings.get(after) {
            Some(reading) => Ok(between(left, (time_ms(reading), registers(reading)), at_ms)),
            None => Ok(left.1),
        }
    }

    /// Returns the registers before the first reading of a piece.
    fn begin(&mut self, index: usize) -> Result<Registers, StoreError> {
        let channel = self.channel;
        let before = self.readings(index)?.first().map(parts::registers_before);
        let registers = before.and_then(|before| before.get(channel).copied());
        Ok(registers.unwrap_or_default())
    }

    /// Returns the registers behind the last reading of a piece.
    fn end(&mut self, index: usize) -> Result<Registers, StoreError> {
        let channel = self.channel;
        let last = self.readings(index)?.last();
        let registers = last.and_then(|reading| reading.registers.get(channel).copied());
        Ok(registers.unwrap_or_default())
    }

    fn readings(&mut self, index: usize) -> Result<&[Reading], StoreError> {
        if self
            .decoded
            .as_ref()
            .is_none_or(|(decoded, _)| *decoded != index)
        {
            let piece = &self.placed.pieces[index];
            self.decoded = Some((index, self.placed.decode(self.connection, piece)?));
        }
        Ok(self.decoded.as_ref().map_or(&[], |(_, readings)| readings))
    }
}

/// Returns the point at `at_ms` of the straight line between two, rounded down.
fn between(left: (i64, Registers), right: (i64, Registers), at_ms: i64) -> Registers {
    let (length_ms, step_ms) = (right.0 - left.0, at_ms - left.0);
    if length_ms <= 0 {
        return right.1;
    }
    let value = |left: u64, right: u64| {
        let gain = u128::from(right.saturating_sub(left)) * step_ms.clamp(0, length_ms) as u128;
        left.saturating_add((gain / length_ms as u128) as u64)
    };
    Registers {
        import_mj: value(left.1.import_mj, right.1.import_mj),
        export_mj: value(left.1.export_mj, right.1.export_mj),
    }
}
