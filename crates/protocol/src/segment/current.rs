//! What the current will be: that of a sinusoidal load, or as far off it as the last one was.

use crate::reading::ChannelReading;

/// Foretells the current of a reading from its powers and voltage and from the readings before.
///
/// A load that is not sinusoidal draws more current than √(P² + Q²)/V, and the ratio stays while the load does. Whichever
/// has come closer of late is followed: the sinusoidal current, or that times the last reading's ratio.
#[derive(Clone, Debug, Default)]
pub struct CurrentPrediction {
    last_sinusoidal_ca: u16,
    last_ca: u16,
    /// How far off each was of late: a sum of differences, of which a sixteenth is forgotten each time.
    off: [u32; 2],
}

impl CurrentPrediction {
    /// Begins before the first reading.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the current in 10 mA, 0 to 65,535, that is expected with the reading's energy, reactive power and voltage.
    #[must_use]
    pub fn of(&self, reading: &ChannelReading, power_unit_mw: u16) -> u16 {
        let [sinusoidal_ca, in_ratio_ca] = self.both(reading, power_unit_mw);
        if self.off[1] < self.off[0] {
            in_ratio_ca
        } else {
            sinusoidal_ca
        }
    }

    /// Takes the reading's current into account.
    pub fn learn(&mut self, reading: &ChannelReading, power_unit_mw: u16) {
        let both = self.both(reading, power_unit_mw);
        for (off, expected_ca) in self.off.iter_mut().zip(both) {
            // In sixteenths of 10 mA: at most 2^16 · 16 · 16.
            *off -= *off >> 4;
            *off += u32::from(expected_ca.abs_diff(reading.current_ca)) << 4;
        }
        [self.last_sinusoidal_ca, _] = both;
        self.last_ca = reading.current_ca;
    }

    fn both(&self, reading: &ChannelReading, power_unit_mw: u16) -> [u16; 2] {
        let sinusoidal_ca = sinusoidal_ca(reading, power_unit_mw);
        let last_ca = u32::from(self.last_sinusoidal_ca);
        let product = u64::from(sinusoidal_ca) * u64::from(self.last_ca) + u64::from(last_ca / 2);
        let in_ratio_ca = product
            .checked_div(last_ca.into())
            .map_or(sinusoidal_ca, |ca| u16::try_from(ca).unwrap_or(u16::MAX));
        [sinusoidal_ca, in_ratio_ca]
    }
}

/// Current in 10 mA of a sinusoidal load with these powers at this voltage, rounded; 0 without one.
fn sinusoidal_ca(reading: &ChannelReading, power_unit_mw: u16) -> u16 {
    /// No load is larger: 2^20 W.
    const POWER_MAX: i64 = 1 << 20;
    let active_w = i64::from(reading.energy_quanta) * i64::from(power_unit_mw) / 1_000;
    let square = |watts: i64| watts.clamp(-POWER_MAX, POWER_MAX).pow(2).unsigned_abs();
    let squares = square(active_w) + square(reading.reactive_power_var.into());
    // 2^41 · 2^20. W over 0.1 V, in 10 mA: thousandfold.
    let apparent_mva = (squares * 1_000_000).isqrt();
    let voltage_dv = u64::from(reading.voltage_dv);
    let rounded = (apparent_mva + voltage_dv / 2).checked_div(voltage_dv);
    u16::try_from(rounded.unwrap_or(0)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(energy_quanta: i32, current_ca: u16) -> ChannelReading {
        ChannelReading {
            energy_quanta,
            voltage_dv: 2_300,
            current_ca,
            ..ChannelReading::default()
        }
    }

    #[test]
    fn sinusoidal_current_is_apparent_power_over_voltage() {
        assert_eq!(sinusoidal_ca(&reading(-2_300, 0), 1_000), 1_000);
        assert_eq!(sinusoidal_ca(&reading(2_300, 0), 100), 100);
        let reactive = ChannelReading {
            reactive_power_var: -400,
            ..reading(300, 0)
        };
        // 500 VA: 2.174 A.
        assert_eq!(sinusoidal_ca(&reactive, 1_000), 217);
        assert_eq!(sinusoidal_ca(&ChannelReading::default(), 1_000), 0);
    }

    #[test]
    fn current_beyond_the_sinusoidal_one_is_expected_again_at_another_power() {
        let mut prediction = CurrentPrediction::new();
        for energy_quanta in [230, 345, 460] {
            let current_ca = (energy_quanta / 2) as u16;
            prediction.learn(&reading(energy_quanta, current_ca), 1_000);
        }
        assert_eq!(prediction.of(&reading(920, 0), 1_000), 460);
    }

    #[test]
    fn extremes_are_within_range() {
        let mut prediction = CurrentPrediction::new();
        for energy_quanta in [i32::MIN, 1, i32::MAX, 0] {
            for (current_ca, voltage_dv) in [(u16::MAX, 1), (0, u16::MAX), (u16::MAX, 0)] {
                let reading = ChannelReading {
                    voltage_dv,
                    reactive_power_var: energy_quanta,
                    ..reading(energy_quanta, current_ca)
                };
                for _ in 0..100 {
                    let _ = prediction.of(&reading, u16::MAX);
                    prediction.learn(&reading, u16::MAX);
                }
            }
        }
    }
}
