//! What coarse readings hold besides: how far they span, and their extremes.

use super::{
    ChannelModel,
    number::{Numbers, Place, length},
    range_coder::Coder,
};
use crate::{
    merge::mean_power,
    reading::{ChannelReading, Extremes},
};

/// Lengths by which the last number of a kind tells the next: in steps of two bits.
const LENGTHS: usize = 6;
/// Kinds of numbers that extremes are: counter energy, above the mean, below the mean.
const KINDS: usize = 3;

/// Learnt odds of the spans of a run.
#[derive(Clone, Debug)]
pub(super) struct SpanModel {
    difference: Numbers<2, 1>,
    last: u32,
    coded: i64,
}

impl SpanModel {
    pub(super) fn new() -> Self {
        Self {
            difference: Numbers::new(|_| 0, |_| 0),
            last: 1,
            coded: 0,
        }
    }

    /// Codes how many numbers a reading stands for, 1 to `most`.
    pub(super) fn code(&mut self, coder: &mut impl Coder, span: u32, most: u32) -> Option<u32> {
        let last = i64::from(self.last);
        let difference = i64::from(span) - last;
        let place = Place {
            first: usize::from(self.coded != 0),
            second: 0,
            sign_of: self.coded,
        };
        self.coded = self.difference.code(coder, place, difference);
        self.last = u32::try_from(last + self.coded).ok()?;
        (1..=most).contains(&self.last).then_some(self.last)
    }
}

/// Learnt odds of what a channel of a coarse reading holds besides.
#[derive(Clone, Debug)]
pub(super) struct CoarseModel {
    rest: Numbers<3, 1>,
    extremes: Numbers<{ KINDS * LENGTHS }, 13>,
    coded: [i64; KINDS],
}

impl CoarseModel {
    pub(super) fn new() -> Self {
        Self {
            rest: Numbers::new(|_| 0, |_| 0),
            extremes: Numbers::new(|context| context % LENGTHS * 2, |length| length),
            coded: [0; KINDS],
        }
    }

    /// Codes a channel of a reading: an encoder takes it, a decoder is given anything; both return it.
    pub(super) fn code(
        &mut self,
        coder: &mut impl Coder,
        model: &mut ChannelModel,
        span: u32,
        (reading, extremes): (&ChannelReading, &Extremes),
        power_unit_mw: u16,
    ) -> Option<(ChannelReading, Extremes)> {
        let energy = i64::from(reading.energy_quanta);
        let mean = ChannelReading {
            energy_quanta: mean_power(reading.energy_quanta, span),
            ..*reading
        };
        let coded = model.code(coder, &mean, power_unit_mw)?;
        let mean = i64::from(coded.energy_quanta);

        // What the mean leaves has its sign.
        let place = Place {
            first: (mean.signum() + 1) as usize,
            second: 0,
            sign_of: mean,
        };
        // Both have 32 bits.
        let of_mean = mean * i64::from(span);
        let rest = self.rest.code(coder, place, energy.wrapping_sub(of_mean));
        let energy_quanta = i32::try_from(of_mean.checked_add(rest)?).ok()?;
        let is_mean = mean_power(energy_quanta, span) == coded.energy_quanta;
        is_mean.then_some(())?;

        let [counter, above, below] = [
            i64::from(extremes.counter_quanta),
            i64::from(extremes.power_max) - mean,
            mean - i64::from(extremes.power_min),
        ];
        let counter = self.number(coder, 0, mean, counter);
        let above = self.number(coder, 1, mean, above);
        let below = self.number(coder, 2, mean, below);
        let reading = ChannelReading {
            energy_quanta,
            ..coded
        };
        let extremes = Extremes {
            power_min: i32::try_from(mean - below).ok()?,
            power_max: i32::try_from(mean + above).ok()?,
            counter_quanta: u32::try_from(counter).ok()?,
        };
        Some((reading, extremes))
    }

    fn number(&mut self, coder: &mut impl Coder, kind: usize, mean: i64, value: i64) -> i64 {
        let last = length(self.coded[kind]) as usize;
        let place = Place {
            first: kind * LENGTHS + (last / 2).min(LENGTHS - 1),
            second: length(mean) as usize,
            sign_of: 1,
        };
        self.coded[kind] = self.extremes.code(coder, place, value);
        self.coded[kind]
    }
}
