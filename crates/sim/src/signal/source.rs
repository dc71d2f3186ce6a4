//! What flows through a meter, at any time.

use metering::{Flags, Window};

use super::{LoadProfile, Recipe, waveform::Waveform};

const SECOND_US: u64 = 1_000_000;
/// Frequency of the mains in mHz.
pub(super) const FREQUENCY_MHZ: u32 = 50_000;

/// What flows through a meter.
#[derive(Clone, Debug)]
pub enum Source {
    /// A load profile, from its start; after its end it begins anew.
    Profile(LoadProfile),
    /// A built-in household.
    Recipe(Recipe),
}

/// Means over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Means {
    pub(super) active_power_w: f64,
    pub(super) reactive_power_var: f64,
    pub(super) voltage_v: f64,
    pub(super) current_a: f64,
}

/// One cycle of both; the same for a whole second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cycle {
    pub(super) voltage_v: Waveform,
    pub(super) current_a: Waveform,
}

impl Source {
    /// Lets a built-in household reach the local time `present_s`, in seconds since a Monday's midnight, at
    /// `position_us`; a profile stays as it is.
    #[must_use]
    pub fn with_present(self, position_us: u64, present_s: u64) -> Self {
        match self {
            Self::Recipe(recipe) => {
                Self::Recipe(recipe.beginning_at(present_s.saturating_sub(position_us / SECOND_US)))
            }
            profile @ Self::Profile(_) => profile,
        }
    }

    /// Returns the means over `[from_us, to_us)` since the start of the load, as a window that ends at uptime `end_us`.
    ///
    /// The means are those of the mains, without a front end.
    #[must_use]
    pub fn mean_window(&self, from_us: u64, to_us: u64, end_us: u64) -> Window {
        let means = self.means(from_us, to_us);
        let thousandths = |value: f64| (value * 1_000.0).round();
        Window {
            end_us,
            active_power_mw: thousandths(means.active_power_w) as i32,
            reactive_power_mvar: thousandths(means.reactive_power_var) as i32,
            voltage_mv: thousandths(means.voltage_v) as u32,
            current_ua: (means.current_a * 1e6).round() as u32,
            frequency_mhz: FREQUENCY_MHZ,
            flags: Flags::default(),
        }
    }

    /// Returns the net energy over `[from_us, to_us)` in Wh.
    #[must_use]
    pub fn energy_wh(&self, from_us: u64, to_us: u64) -> f64 {
        self.means(from_us, to_us).active_power_w * to_us.saturating_sub(from_us) as f64 / 3.6e9
    }

    /// Returns the waveforms of a second.
    pub(super) fn cycle(&self, second: u64) -> Cycle {
        match self {
            Self::Profile(profile) => {
                let minute = profile.minute_at(second * SECOND_US);
                let mut current_a = Waveform::default();
                let peak = std::f64::consts::SQRT_2 / minute.voltage_v;
                current_a.sine[0] = minute.active_power_w * peak;
                current_a.cosine[0] = -minute.reactive_power_var * peak;
                Cycle {
                    voltage_v: Waveform::lagging(minute.voltage_v, 0.0),
                    current_a,
                }
            }
            Self::Recipe(recipe) => recipe.cycle(second),
        }
    }

    /// Means over a time, exact to a second's part; all 0 over none.
    pub(super) fn means(&self, from_us: u64, to_us: u64) -> Means {
        let (mut power, mut reactive, mut voltage, mut current) = (0.0, 0.0, 0.0, 0.0);
        let mut at_us = from_us;
        while at_us < to_us {
            let end_us = self.constant_until_us(at_us).min(to_us);
            let cycle = self.cycle(at_us / SECOND_US);
            let weight = (end_us - at_us) as f64 / (to_us - from_us) as f64;
            power += weight * cycle.voltage_v.mean_product(&cycle.current_a);
            reactive += weight * cycle.voltage_v.reactive_power(&cycle.current_a);
            voltage += weight * cycle.voltage_v.mean_square();
            current += weight * cycle.current_a.mean_square();
            at_us = end_us;
        }
        Means {
            active_power_w: power,
            reactive_power_var: reactive,
            voltage_v: voltage.sqrt(),
            current_a: current.sqrt(),
        }
    }

    fn constant_until_us(&self, at_us: u64) -> u64 {
        let step_us = match self {
            Self::Profile(_) => 60 * SECOND_US,
            Self::Recipe(_) => SECOND_US,
        };
        (at_us / step_us + 1) * step_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Kind;

    #[test]
    fn profile_means_are_its_minutes() {
        let profile = LoadProfile::synthetic(3, 10);
        let source = Source::Profile(profile.clone());
        for (index, minute) in (0..).zip(profile.minutes()) {
            let means = source.means(index * 60 * SECOND_US, (index + 1) * 60 * SECOND_US);
            assert!((means.active_power_w - minute.active_power_w).abs() < 1e-6);
            assert!((means.reactive_power_var - minute.reactive_power_var).abs() < 1e-6);
            assert!((means.voltage_v - minute.voltage_v).abs() < 1e-6);
        }
        let whole = source.energy_wh(0, profile.len_us());
        assert!((whole - profile.energy_wh()).abs() < 1e-6);
    }

    #[test]
    fn energy_is_the_same_at_any_step() {
        let source = Source::Recipe(Recipe::new(Kind::House, 11));
        let (from_us, to_us) = (6 * 3_600 * SECOND_US, 8 * 3_600 * SECOND_US + 123_456);
        let whole = source.energy_wh(from_us, to_us);
        for step_us in [777_777, 10 * SECOND_US, 61 * SECOND_US] {
            let (mut at_us, mut sum) = (from_us, 0.0);
            while at_us < to_us {
                let end_us = to_us.min(at_us + step_us);
                sum += source.energy_wh(at_us, end_us);
                at_us = end_us;
            }
            assert!(
                (sum - whole).abs() < 1e-6 * whole,
                "{step_us}: {sum} {whole}"
            );
        }
    }
}
