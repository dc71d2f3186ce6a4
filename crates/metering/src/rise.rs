//! Finds where the voltage rises through its mean, and where between two samples that is.

use crate::config::Pair;

/// Half a code in 1/2^15.
const HALF_Q15: i64 = 1 << 14;

/// Looks for rises through a level, each after the voltage was well below it.
#[derive(Clone, Debug)]
pub(crate) struct RiseDetector {
    /// The level in codes and in 1/2^15 code.
    level: i32,
    level_q15: i64,
    /// The voltage must have been below this before a rise counts.
    arm_level: i32,
    armed: bool,
    /// Highest code that is not clipped.
    clipped_from: u16,
}

/// What was found in some samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// How many samples lie before the rise; `None` without one.
    pub(crate) rise: Option<usize>,
    /// Whether a sample before it was at an end of the converter's range.
    pub(crate) clipped: bool,
}

impl RiseDetector {
    /// Looks for nothing yet.
    pub(crate) fn new(full_scale_code: u16) -> Self {
        Self {
            level: i32::MAX,
            level_q15: 0,
            arm_level: i32::MIN,
            armed: false,
            clipped_from: full_scale_code - 1,
        }
    }

    /// Looks for nothing until the next level.
    pub(crate) fn rest(&mut self) {
        self.level = i32::MAX;
        self.arm_level = i32::MIN;
        self.armed = false;
    }

    /// Looks for rises through `level_q15` in 1/2^15 code, each after the voltage was a quarter of `rms` codes below.
    pub(crate) fn look(&mut self, level_q15: i64, rms: i32) {
        self.level_q15 = level_q15;
        self.level = ((level_q15 + HALF_Q15) >> 15) as i32;
        self.arm_level = self.level - rms / 4;
        self.armed = false;
    }

    /// Forgets that the voltage was low: samples are missing.
    pub(crate) fn disarm(&mut self) {
        self.armed = false;
    }

    /// Finds the first rise.
    pub(crate) fn find(&mut self, pairs: &[Pair]) -> Found {
        let Self {
            level,
            arm_level,
            mut armed,
            clipped_from,
            ..
        } = *self;
        let mut found = Found {
            rise: None,
            clipped: false,
        };
        for (index, pair) in pairs.iter().enumerate() {
            let voltage = i32::from(pair.voltage);
            if voltage >= level {
                if armed {
                    found.rise = Some(index);
                    armed = false;
                    break;
                }
            } else if voltage < arm_level {
                armed = true;
            }
            // Code 0 wraps to the highest value, so one comparison finds both ends.
            found.clipped |= pair.voltage.wrapping_sub(1) >= clipped_from
                || pair.current.wrapping_sub(1) >= clipped_from;
        }
        self.armed = armed;
        found
    }

    /// Where between two pairs the voltage rises through the level, in 1/2^15 of a period; may lie outside of 0 to 1.
    pub(crate) fn between_q15(&self, before: Pair, after: Pair) -> i64 {
        let (low, high) = (i32::from(before.voltage), i32::from(after.voltage));
        let missing_q15 = self.level_q15 - (i64::from(low) << 15);
        // 32 bits suffice for any level between the pairs, and one instruction divides them.
        let missing_q15 = missing_q15.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        i64::from(missing_q15 / (high - low).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs<const N: usize>(voltages: [u16; N]) -> [Pair; N] {
        voltages.map(|voltage| Pair {
            voltage,
            current: 9,
        })
    }

    #[test]
    fn a_rise_counts_after_the_voltage_was_low_and_lies_between_samples() {
        let mut detector = RiseDetector::new(4_095);
        let signal = pairs([90, 99, 101, 104, 98, 103, 80, 99, 103]);
        assert_eq!(detector.find(&signal).rise, None, "it rests");
        detector.look(100 << 15, 40);
        // 99 → 101 is no rise: the voltage was not below 90 before.
        let found = detector.find(&signal);
        assert_eq!(found.rise, Some(8));
        assert!(!found.clipped);
        assert_eq!(detector.between_q15(signal[7], signal[8]), (1 << 15) / 4);
        assert_eq!(detector.find(&signal[8..]).rise, None);
        detector.find(&signal[6..7]);
        detector.disarm();
        assert_eq!(detector.find(&signal[7..]).rise, None);
    }

    #[test]
    fn both_ends_of_the_range_are_clipped() {
        let mut detector = RiseDetector::new(4_095);
        for (voltage, clipped) in [(0, true), (1, false), (4_094, false), (4_095, true)] {
            assert_eq!(
                detector.find(&pairs([voltage])).clipped,
                clipped,
                "{voltage}"
            );
        }
    }
}
