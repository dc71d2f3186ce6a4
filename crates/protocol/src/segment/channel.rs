//! One channel of a run: what each field is predicted from, and in which context it is coded.

use super::{
    current::CurrentPrediction,
    number::{Numbers, Place, length},
    range_coder::Coder,
};
use crate::reading::{ChannelReading, Flags};

/// What was coded of a reading: differences to what was predicted.
#[derive(Clone, Copy, Debug, Default)]
struct Coded {
    energy: i64,
    reactive: i64,
    voltage: i64,
    current: i64,
    frequency: i64,
    coverage: i64,
}

/// Learnt odds and last values of one channel.
#[derive(Clone, Debug)]
pub(super) struct ChannelModel {
    energy: Numbers<13, 13>,
    reactive: Numbers<16, 13>,
    voltage: Numbers<16, 13>,
    current: Numbers<9, 13>,
    frequency: Numbers<4, 4>,
    coverage: Numbers<2, 1>,
    flags: Numbers<2, 1>,
    prediction: CurrentPrediction,
    last: ChannelReading,
    coded: Coded,
    frequency_coded_before: i64,
}

impl ChannelModel {
    pub(super) fn new() -> Self {
        let same = |context| context;
        let zero = |_| 0;
        Self {
            energy: Numbers::new(same, same),
            reactive: Numbers::new(|context| context / 4 * 2 + context % 4, same),
            voltage: Numbers::new(|context| context / 4 * 2 + context % 4 + 1, same),
            current: Numbers::new(same, same),
            frequency: Numbers::new(same, same),
            coverage: Numbers::new(zero, zero),
            flags: Numbers::new(zero, zero),
            prediction: CurrentPrediction::new(),
            last: ChannelReading::default(),
            coded: Coded::default(),
            frequency_coded_before: 0,
        }
    }

    /// Codes a reading: an encoder takes it, a decoder is given anything; both return it.
    pub(super) fn code(
        &mut self,
        coder: &mut impl Coder,
        reading: &ChannelReading,
        power_unit_mw: u16,
    ) -> Option<ChannelReading> {
        let (last, before) = (self.last, self.coded);
        let difference = |now: i64, before: i64| now.wrapping_sub(before);
        let mut now = last;

        let place = Place {
            first: bits(before.energy),
            second: bits(last.energy_quanta.into()),
            sign_of: before.energy,
        };
        let last_energy = i64::from(last.energy_quanta);
        let energy = difference(reading.energy_quanta.into(), last_energy);
        let energy = self.energy.code(coder, place, energy);
        now.energy_quanta = i32::try_from(last_energy + energy).ok()?;

        // Voltage and reactive power move when a load is switched: then its direction tells theirs.
        let step = step(energy);
        let sign_of = |own: i64| if step > 0 { energy } else { own };
        let place = Place {
            first: bits(before.reactive).min(7) / 2 * 4 + step,
            second: bits(energy),
            sign_of: sign_of(before.reactive),
        };
        let last_reactive = i64::from(last.reactive_power_var);
        let reactive = difference(reading.reactive_power_var.into(), last_reactive);
        let reactive = self.reactive.code(coder, place, reactive);
        now.reactive_power_var = i32::try_from(last_reactive + reactive).ok()?;

        let place = Place {
            first: bits(before.voltage).min(7) / 2 * 4 + step,
            second: bits(reactive),
            sign_of: sign_of(before.voltage),
        };
        let voltage = difference(reading.voltage_dv.into(), last.voltage_dv.into());
        let voltage = self.voltage.code(coder, place, voltage);
        now.voltage_dv = u16::try_from(i64::from(last.voltage_dv) + voltage).ok()?;

        let place = Place {
            first: bits(before.current),
            second: bits(energy),
            sign_of: before.current,
        };
        let predicted_ca = i64::from(self.prediction.of(&now, power_unit_mw));
        let current = difference(reading.current_ca.into(), predicted_ca);
        let current = self.current.code(coder, place, current);
        now.current_ca = u16::try_from(predicted_ca + current).ok()?;
        self.prediction.learn(&now, power_unit_mw);

        let place = Place {
            first: bits(before.frequency),
            second: bits(self.frequency_coded_before),
            sign_of: before.frequency,
        };
        let frequency = difference(reading.frequency_chz.into(), last.frequency_chz.into());
        let frequency = self.frequency.code(coder, place, frequency);
        now.frequency_chz = u16::try_from(i64::from(last.frequency_chz) + frequency).ok()?;

        let place = Place {
            first: usize::from(before.coverage != 0),
            second: 0,
            sign_of: before.coverage,
        };
        let last_coverage = i64::from(last.coverage_permille);
        let coverage = difference(reading.coverage_permille.into(), last_coverage);
        let coverage = self.coverage.code(coder, place, coverage);
        now.coverage_permille = u16::try_from(last_coverage + coverage).ok()?;

        let place = Place {
            first: usize::from(coverage != 0),
            second: 0,
            sign_of: 0,
        };
        let flags = i64::from(reading.flags.0 ^ last.flags.0);
        let flags = u16::try_from(self.flags.code(coder, place, flags)).ok()?;
        now.flags = Flags(last.flags.0 ^ flags);

        self.frequency_coded_before = before.frequency;
        self.coded = Coded {
            energy,
            reactive,
            voltage,
            current,
            frequency,
            coverage,
        };
        self.last = now;
        Some(now)
    }
}

/// Length of a number as a context.
fn bits(value: i64) -> usize {
    length(value) as usize
}

/// How much the energy changed: by up to 32 quanta, up to 128, up to 512, or more.
fn step(energy: i64) -> usize {
    match bits(energy) {
        0..6 => 0,
        6..8 => 1,
        8..10 => 2,
        _ => 3,
    }
}
