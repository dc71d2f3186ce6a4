//! Readings cut where another block takes over.
//!
//! A coarse reading of which finer ones hold a part stands for the rest only. Registers are absolute, so its energy is the
//! difference of theirs at its two ends; at an end where a finer block begins or ends, that block tells them.

use protocol::{
    ChannelReading, Reading, Registers, Seq,
    reading::{Extremes, RegisterSet, quantum_mj},
};

/// Returns the number behind the last that a reading stands for.
pub(crate) fn end(reading: &Reading) -> u64 {
    reading.seq.0 + u64::from(reading.span)
}

/// Returns the interval of one number in ms.
fn step_ms(reading: &Reading) -> u32 {
    reading.interval_ms / reading.span.max(1)
}

/// Returns the energy of one quantum in mJ.
pub(crate) fn quantum_of(reading: &Reading) -> u64 {
    quantum_mj(reading.power_unit_mw, step_ms(reading))
}

/// Returns the registers before a reading: those at its end less what it added.
pub(super) fn registers_before(reading: &Reading) -> RegisterSet {
    let quantum_mj = quantum_of(reading);
    let channels = reading.channels.iter().zip(&reading.registers).enumerate();
    channels
        .map(|(index, (channel, at_end))| {
            let counter_quanta = reading
                .extremes
                .get(index)
                .map_or(0, |extremes| extremes.counter_quanta);
            let added = Registers::default().advanced_both_ways(
                channel.energy_quanta,
                counter_quanta,
                quantum_mj,
            );
            Registers {
                import_mj: at_end.import_mj.saturating_sub(added.import_mj),
                export_mj: at_end.export_mj.saturating_sub(added.export_mj),
            }
        })
        .collect()
}

/// Returns what a reading says of the numbers `from..to`, at least one of which it stands for.
///
/// `at_from` and `at_to` are the registers there, where they are known. Where they are not, or contradict the reading, its
/// energy counts as spread evenly over its numbers.
pub(crate) fn part(
    reading: &Reading,
    (from, to): (u64, u64),
    at_from: Option<RegisterSet>,
    at_to: Option<RegisterSet>,
) -> Reading {
    let (from, to) = (from.max(reading.seq.0), to.min(end(reading)));
    if (from, to) == (reading.seq.0, end(reading)) || from >= to {
        return reading.clone();
    }
    let begin = registers_before(reading);
    let at = |number: u64, known: Option<RegisterSet>| match number - reading.seq.0 {
        0 => begin.clone(),
        numbers if numbers == u64::from(reading.span) => reading.registers.clone(),
        numbers => known
            .filter(|known| is_between(&begin, known, &reading.registers, quantum_of(reading)))
            .unwrap_or_else(|| evenly(reading, &begin, numbers)),
    };
    let left = at(from, at_from);
    let mut right = at(to, at_to);
    for (right, left) in right.iter_mut().zip(&left) {
        right.import_mj = right.import_mj.max(left.import_mj);
        right.export_mj = right.export_mj.max(left.export_mj);
    }
    let span = (to - from) as u32;
    let cut_ms = (end(reading) - to) * u64::from(step_ms(reading));
    let mut part = Reading {
        seq: Seq(from),
        span,
        uptime_ms: reading.uptime_ms.saturating_sub(cut_ms),
        interval_ms: span * step_ms(reading),
        registers: right,
        ..reading.clone()
    };
    part.extremes.clear();
    for (index, channel) in part.channels.iter_mut().enumerate() {
        let (Some(left), Some(right)) = (left.get(index), part.registers.get(index)) else {
            continue;
        };
        let extremes = set_energy(channel, *left, *right, span, quantum_of(reading));
        // As many as there are channels.
        let _ = part.extremes.push(extremes);
    }
    part
}

/// Gives a channel the energy between two states of its registers.
///
/// How power went within the part is not known: its mean stands for its extremes.
fn set_energy(
    channel: &mut ChannelReading,
    left: Registers,
    right: Registers,
    span: u32,
    quantum_mj: u64,
) -> Extremes {
    let quanta = |left: u64, right: u64| (right.saturating_sub(left) / quantum_mj.max(1)) as i64;
    let import = quanta(left.import_mj, right.import_mj);
    let export = quanta(left.export_mj, right.export_mj);
    // Both are below 2^33, like those of the whole reading; beyond 2^31 no meter comes.
    let net = (import - export).clamp(i32::MIN.into(), i32::MAX.into());
    channel.energy_quanta = net as i32;
    let mean = (net / i64::from(span.max(1))) as i32;
    Extremes {
        power_min: mean,
        power_max: mean,
        counter_quanta: import.min(export).try_into().unwrap_or(u32::MAX),
    }
}

/// Tells whether registers may be those within a reading: not before its begin, not behind its end, in whole quanta.
fn is_between(left: &[Registers], at: &[Registers], right: &[Registers], quantum_mj: u64) -> bool {
    let fits = |left: u64, at: u64, right: u64| {
        (left..=right).contains(&at) && (at - left).is_multiple_of(quantum_mj.max(1))
    };
    at.len() == left.len()
        && (left.iter().zip(at).zip(right)).all(|((left, at), right)| {
            fits(left.import_mj, at.import_mj, right.import_mj)
                && fits(left.export_mj, at.export_mj, right.export_mj)
        })
}

/// Returns the registers after the first `numbers` of a reading, as if it had grown evenly, in whole quanta.
fn evenly(reading: &Reading, begin: &[Registers], numbers: u64) -> RegisterSet {
    let quantum_mj = quantum_of(reading).max(1);
    let at = |left: u64, right: u64| {
        let quanta = u128::from(right.saturating_sub(left) / quantum_mj);
        let share = quanta * u128::from(numbers) / u128::from(reading.span.max(1));
        left.saturating_add(share as u64 * quantum_mj)
    };
    begin
        .iter()
        .zip(&reading.registers)
        .map(|(left, right)| Registers {
            import_mj: at(left.import_mj, right.import_mj),
            export_mj: at(left.export_mj, right.export_mj),
        })
        .collect()
}
