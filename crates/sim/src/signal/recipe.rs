//! Built-in loads: appliances with the measured shapes of their currents, put together to households with a day's rhythm.
//!
//! The state of a household is the power drawn with each **shape** of current in a second. It follows from seed and time
//! alone. The shapes are sums of harmonics that meet the power factor and distortion measured on real appliances; the
//! harmonics peak together, as those of a rectifier do.

use std::sync::LazyLock;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg32;

use super::{source::Cycle, waveform::Waveform};

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 24 * HOUR_S;

/// Forms of current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Kettle, lamp: with the voltage.
    Resistive,
    /// Compressor of a fridge: lags, distorted.
    Motor,
    /// Desktop computer: leads at low load.
    Desktop,
    /// Supply of a laptop.
    Supply,
    /// Induction cooker.
    Induction,
    /// Inverter of solar panels; its power is negative.
    Inverter,
}

const SHAPES: usize = 6;

/// Power factor, total harmonic distortion of the current, and whether it leads.
const SHAPE_FACTS: [(f64, f64, bool); SHAPES] = [
    (1.0, 0.02, false),
    (0.69, 0.44, false),
    (0.42, 0.36, true),
    (0.84, 0.38, true),
    (0.71, 0.12, false),
    (0.999, 0.03, false),
];

/// Relative strength of the harmonics 3 to 13 of a distorted current.
const HARMONICS: [f64; 6] = [1.0, 0.6, 0.36, 0.2, 0.12, 0.07];

/// Mains of 1 V with 2.4 % of harmonics.
static MAINS: LazyLock<Waveform> = LazyLock::new(|| {
    Waveform::lagging(1.0, 0.0)
        .with_harmonic(3, 0.006, 0.4)
        .with_harmonic(5, 0.02, 3.3)
        .with_harmonic(7, 0.012, 0.9)
});

/// Currents that draw 1 W from mains of 1 V.
static CURRENTS: LazyLock<[Waveform; SHAPES]> = LazyLock::new(|| {
    SHAPE_FACTS.map(|(power_factor, distortion, leads)| {
        let displacement = (power_factor * (1.0 + distortion * distortion).sqrt())
            .min(1.0)
            .acos();
        let angle = if leads { displacement } else { -displacement };
        let mut current = Waveform::lagging(1.0, -angle);
        let norm = HARMONICS
            .iter()
            .map(|strength| strength * strength)
            .sum::<f64>()
            .sqrt();
        for (index, strength) in HARMONICS.iter().enumerate() {
            let order = 2 * index + 3;
            // Every second one is turned by half a turn, so that all peak with the fundamental.
            let turn = if index % 2 == 0 {
                std::f64::consts::PI
            } else {
                0.0
            };
            current = current.with_harmonic(
                order,
                distortion * strength / norm,
                order as f64 * angle + turn,
            );
        }
        current * (1.0 / MAINS.mean_product(&current))
    })
});

/// Kinds of households.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A family's house.
    House,
    /// A flat of one or two.
    Flat,
    /// A workshop with a compressor, on workdays.
    Workshop,
    /// A house with solar panels: it exports at noon.
    SolarHouse,
}

/// A built-in household: what it draws follows from kind, seed and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    kind: Kind,
    seed: u64,
    /// Local time of its first second, in seconds since a Monday's midnight.
    begins_s: u64,
}

/// Power in W by shape.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Powers([f64; SHAPES]);

impl Powers {
    fn draw(&mut self, shape: Shape, power_w: f64) {
        self.0[shape as usize] += power_w;
    }
}

impl Recipe {
    /// Makes a household.
    #[must_use]
    pub fn new(kind: Kind, seed: u64) -> Self {
        Self {
            kind,
            seed,
            begins_s: 0,
        }
    }

    /// Lets the household's first second be this one: local time in seconds since a Monday's midnight.
    #[must_use]
    pub fn beginning_at(self, begins_s: u64) -> Self {
        Self { begins_s, ..self }
    }

    /// Makes the household of a meter in a fleet: the kinds in turn.
    #[must_use]
    pub fn of(index: usize, seed: u64) -> Self {
        let kinds = [Kind::House, Kind::Flat, Kind::Workshop, Kind::SolarHouse];
        Self::new(kinds[index % kinds.len()], seed)
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the waveforms of a second since the beginning.
    pub(super) fn cycle(&self, second: u64) -> Cycle {
        let second = self.begins_s + second;
        let volts = self.volts(second);
        let mut current_a = Waveform::default();
        for (current, power_w) in CURRENTS.iter().zip(self.powers(second).0) {
            if power_w != 0.0 {
                current_a += *current * (power_w / volts);
            }
        }
        Cycle {
            voltage_v: *MAINS * volts,
            current_a,
        }
    }

    /// A number from 0 to 1 that belongs to an event of an appliance.
    fn chance(&self, appliance: u64, event: u64) -> f64 {
        let stream = appliance.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ event.wrapping_mul(0xd134_2543_de82_ef95);
        Pcg32::seed_from_u64(self.seed ^ stream).random()
    }

    /// Voltage of the fundamental: lower in the evening, a little else every minute.
    fn volts(&self, second: u64) -> f64 {
        let evening = (1.0 - (hour_of_day(second) - 19.0).abs() / 4.0).max(0.0);
        231.5 - 4.0 * evening + 2.0 * (self.chance(0, second / MINUTE_S) - 0.5)
    }

    fn powers(&self, second: u64) -> Powers {
        let mut powers = Powers::default();
        match self.kind {
            Kind::House => self.house(second, &mut powers),
            Kind::SolarHouse => {
                self.house(second, &mut powers);
                self.solar(second, &mut powers);
            }
            Kind::Flat => {
                self.standby(second, 22.0, &mut powers);
                self.fridge(second, 70.0, &mut powers);
                self.evening(second, 60.0, &mut powers);
                self.kettle(second, &[7, 20], &mut powers);
                self.cooking(second, &[19], &mut powers);
            }
            Kind::Workshop => self.workshop(second, &mut powers),
        }
        powers
    }

    fn house(&self, second: u64, powers: &mut Powers) {
        self.standby(second, 48.0, powers);
        self.fridge(second, 95.0, powers);
        self.evening(second, 140.0, powers);
        self.kettle(second, &[6, 9, 15, 18], powers);
        self.cooking(second, &[12, 18], powers);
    }

    /// Small supplies that are always on, a little more or less every five minutes.
    fn standby(&self, second: u64, power_w: f64, powers: &mut Powers) {
        let change = 0.8 + 0.4 * self.chance(1, second / (5 * MINUTE_S));
        powers.draw(Shape::Supply, power_w * change);
    }

    /// A compressor that runs for about a third of 40 to 60 minutes, with a surge when it starts.
    fn fridge(&self, second: u64, power_w: f64, powers: &mut Powers) {
        let period_s = 2_400 + (1_200.0 * self.chance(2, 0)) as u64;
        let shifted = second + (period_s as f64 * self.chance(2, 1)) as u64;
        let (round, within_s) = (shifted / period_s, shifted % period_s);
        let run_s = (period_s as f64 * (0.28 + 0.14 * self.chance(3, round))) as u64;
        if within_s < 1 {
            powers.draw(Shape::Motor, 5.0 * power_w);
        } else if within_s < run_s {
            // The pressure falls while it runs.
            powers.draw(
                Shape::Motor,
                power_w * (1.0 + 0.25 * (-(within_s as f64 / 30.0).round() / 10.0).exp()),
            );
        }
    }

    /// Lamps, a laptop and on most days a desktop computer from late afternoon to night.
    fn evening(&self, second: u64, lamps_w: f64, powers: &mut Powers) {
        let (day, hour) = (second / DAY_S, hour_of_day(second));
        let from = 16.5 + 1.5 * self.chance(4, day);
        let to = 22.0 + 1.8 * self.chance(5, day);
        if (from..to).contains(&hour) {
            powers.draw(Shape::Resistive, lamps_w);
            let work = 0.7 + 0.6 * self.chance(6, second / MINUTE_S);
            powers.draw(Shape::Supply, 42.0 * work);
            if self.chance(7, day) < 0.7 && hour > from + 1.0 {
                powers.draw(Shape::Desktop, 95.0 * work);
            }
        }
    }

    /// 2 kW for two to four minutes, about once in each of these hours.
    fn kettle(&self, second: u64, hours: &[u64], powers: &mut Powers) {
        let (slot, within_s) = (second / HOUR_S, second % HOUR_S);
        if hours.contains(&(slot % 24)) && self.chance(8, slot) < 0.85 {
            let from_s = (3_000.0 * self.chance(9, slot)) as u64;
            let run_s = 120 + (120.0 * self.chance(10, slot)) as u64;
            if (from_s..from_s + run_s).contains(&within_s) {
                powers.draw(Shape::Resistive, 2_000.0);
            }
        }
    }

    /// An induction cooker that is burst-fired: some of every six seconds.
    fn cooking(&self, second: u64, hours: &[u64], powers: &mut Powers) {
        let (slot, within_s) = (second / HOUR_S, second % HOUR_S);
        if hours.contains(&(slot % 24)) && self.chance(11, slot) < 0.8 {
            let from_s = (900.0 * self.chance(12, slot)) as u64;
            let run_s = 900 + (1_500.0 * self.chance(13, slot)) as u64;
            // Full power at first, then as much as simmering needs.
            let on_s = if within_s < from_s + 300 { 5 } else { 2 };
            if (from_s..from_s + run_s).contains(&within_s) && second % 6 < on_s {
                powers.draw(Shape::Induction, 1_800.0);
            }
        }
    }

    /// Export in the shape of a day, dimmed by clouds that change every two minutes.
    fn solar(&self, second: u64, powers: &mut Powers) {
        let height = ((hour_of_day(second) - 6.5) / 12.0 * std::f64::consts::PI).sin();
        if (6.5..18.5).contains(&hour_of_day(second)) {
            let overcast = self.chance(14, second / DAY_S);
            let cloud = 1.0 - overcast * self.chance(15, second / (2 * MINUTE_S));
            // In steps of 5 s, as an inverter's tracker makes them.
            let step = 0.99 + 0.02 * self.chance(16, second / 5);
            powers.draw(Shape::Inverter, -3_200.0 * height * cloud * step);
        }
    }

    /// Lights from 7 to 17 on workdays, and a compressor that fills its tank again and again.
    fn workshop(&self, second: u64, powers: &mut Powers) {
        self.standby(second, 30.0, powers);
        let (day, hour) = (second / DAY_S, hour_of_day(second));
        if day % 7 >= 5 || !(7.0..17.0).contains(&hour) {
            return;
        }
        powers.draw(Shape::Supply, 240.0);
        let (round, within_s) = (second / 420, second % 420);
        let break_time = (12.0..12.75).contains(&hour);
        if !break_time && within_s < 60 + (200.0 * self.chance(17, round)) as u64 {
            powers.draw(Shape::Motor, if within_s < 1 { 4_000.0 } else { 1_500.0 });
        }
        if !break_time && self.chance(18, second / (2 * MINUTE_S)) < 0.3 {
            // A saw: idle, and loaded every other few seconds.
            powers.draw(
                Shape::Motor,
                if self.chance(19, second / 4) < 0.5 {
                    1_100.0
                } else {
                    350.0
                },
            );
        }
    }
}

fn hour_of_day(second: u64) -> f64 {
    (second % DAY_S) as f64 / HOUR_S as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_the_measured_power_factor_and_distortion() {
        for (current, (power_factor, distortion, _)) in CURRENTS.iter().zip(SHAPE_FACTS) {
            let fundamental = (current.sine[0].powi(2) + current.cosine[0].powi(2)) / 2.0;
            let found_distortion = (current.mean_square() / fundamental - 1.0).sqrt();
            assert!((found_distortion - distortion).abs() < 1e-6);
            let apparent = (MAINS.mean_square() * current.mean_square()).sqrt();
            // The voltage's own harmonics move it a little.
            assert!((MAINS.mean_product(current) / apparent / power_factor - 1.0).abs() < 0.02);
            assert!((MAINS.mean_product(current) - 1.0).abs() < 1e-9);
        }
        let leads = |shape: Shape| MAINS.reactive_power(&CURRENTS[shape as usize]) < 0.0;
        assert!(leads(Shape::Desktop) && !leads(Shape::Motor));
    }

    #[test]
    fn household_that_begins_at_night_wakes_up_in_the_morning() {
        let midnight = Recipe::new(Kind::Flat, 5);
        let night = midnight.beginning_at(22 * HOUR_S);
        let differing = (0..DAY_S).filter(|&second| night.cycle(second) != midnight.cycle(second));
        assert!(differing.count() > 0);
        for second in 0..DAY_S {
            assert_eq!(night.cycle(second), midnight.cycle(second + 22 * HOUR_S));
        }
    }

    #[test]
    fn households_differ_by_kind_seed_and_time_of_day() {
        let day_wh = |recipe: Recipe, day: u64| -> f64 {
            let seconds = day * DAY_S..(day + 1) * DAY_S;
            seconds
                .map(|second| recipe.powers(second).0.iter().sum::<f64>())
                .sum::<f64>()
                / 3_600.0
        };
        let house = day_wh(Recipe::new(Kind::House, 1), 0);
        let flat = day_wh(Recipe::new(Kind::Flat, 1), 0);
        let solar = day_wh(Recipe::new(Kind::SolarHouse, 1), 0);
        assert!((3_000.0..12_000.0).contains(&house), "{house}");
        assert!((1_000.0..house).contains(&flat), "{flat}");
        assert!(solar < house - 5_000.0, "{solar}");
        assert_ne!(house, day_wh(Recipe::new(Kind::House, 2), 0));
        let workshop = Recipe::new(Kind::Workshop, 1);
        assert!(day_wh(workshop, 0) > 5.0 * day_wh(workshop, 6));
    }
}
