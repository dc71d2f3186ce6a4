//! Ours beside the others, on the same pairs: steady loads, and loads that vary within a second and a minute.
//!
//! Both get 53 pairs a cycle at 50 Hz, the rate that emonLib is known for.

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg32;

use super::{
    bench::Bench,
    limits::PowerFactor,
    parallel,
    rivals::{Duty, Rival},
    rows::Current,
    run::run,
    shapes::Shape,
    signal::{Load, Schedule, Signal, Waveform},
    unit::{Model, NOMINAL_V, Transformer},
};

/// Nominal pairs a second: 53 in a cycle at 50 Hz.
pub const RATE_HZ: u32 = 2_650;
/// Errors below this are taken to be this when they are compared on loads that vary, in percent.
pub const FLOOR_PERCENT: f64 = 0.02;
/// Time that the energy of a steady load is counted over, in s.
pub const STEADY_S: f64 = 60.0;
/// Length of a case that varies, in s.
const VARYING_S: f64 = 1_800.0;
/// Timings drawn for each case that varies.
const DRAWS: u64 = 8;
/// Cycles a second of the cases that vary.
const CYCLES_A_SECOND: f64 = 50.0;

/// A steady load and what each made of it.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    /// The front end's model.
    pub model: Model,
    /// The current transformer.
    pub transformer: Transformer,
    /// Frequency in Hz.
    pub frequency_hz: u32,
    /// The power factor.
    pub power_factor: PowerFactor,
    /// The current as a multiple of nominal.
    pub multiple: f64,
    /// Our error in percent.
    pub ours_percent: f64,
    /// Error of emonLib run without pause, in percent.
    pub emonlib_percent: f64,
    /// Error of emonLib at its usual duty, in percent.
    pub emonlib_usual_percent: f64,
    /// Error of the earlier system in percent.
    pub ofmon_percent: f64,
}

/// A load that varies, and the errors of each, rms over the timings drawn, in percent.
#[derive(Clone, Debug)]
pub struct Varying {
    /// What varies.
    pub name: &'static str,
    /// Our error.
    pub ours_percent: f64,
    /// Error of emonLib at its usual duty.
    pub emonlib_percent: f64,
    /// Error of emonLib run without pause.
    pub emonlib_continuous_percent: f64,
    /// Error of the earlier system.
    pub ofmon_percent: f64,
}

impl Varying {
    /// Our error, at least the floor, over emonLib's at its usual duty.
    #[must_use]
    pub fn ratio_emonlib(&self) -> f64 {
        self.ours_percent.max(FLOOR_PERCENT) / self.emonlib_percent
    }

    /// Our error, at least the floor, over that of the earlier system.
    #[must_use]
    pub fn ratio_ofmon(&self) -> f64 {
        self.ours_percent.max(FLOOR_PERCENT) / self.ofmon_percent
    }
}

/// Power factors of the comparison and the plots.
pub const POWER_FACTORS: [PowerFactor; 3] = [
    PowerFactor::One,
    PowerFactor::HalfLagging,
    PowerFactor::EightTenthsLeading,
];

/// Currents of the comparison and the plots.
pub const CURRENTS: [Current; 8] = [
    Current::Nominal(0.02),
    Current::Nominal(0.05),
    Current::Nominal(0.1),
    Current::Nominal(0.2),
    Current::Nominal(0.5),
    Current::Nominal(1.0),
    Current::Nominal(2.0),
    Current::Maximum(1.0),
];

/// Applies steady loads to ours and the others; `seconds` is the time that energy is counted over.
#[must_use]
pub fn steady(bench: &Bench, currents: &[Current], seconds: f64) -> Vec<Steady> {
    let mut cases = Vec::new();
    for model in [Model::Reference, Model::Esp32c3] {
        for transformer in [Transformer::Ct30, Transformer::Ct100] {
            for frequency_hz in [50, 60] {
                for power_factor in POWER_FACTORS {
                    for &current in currents {
                        cases.push((model, transformer, frequency_hz, power_factor, current));
                    }
                }
            }
        }
    }
    parallel::map(
        &cases,
        |&(model, transformer, frequency_hz, power_factor, current)| {
            let unit = bench.unit(model, transformer);
            let amperes = current.amperes(transformer);
            let signal = Signal::steady(
                f64::from(frequency_hz),
                Waveform::sine(NOMINAL_V, 0.0),
                Waveform::sine(amperes, power_factor.angle()),
            );
            let mut rivals = [
                bench.emonlib(unit, Duty::Continuous),
                bench.emonlib(unit, Duty::usual()),
                Rival::ofmon(unit),
            ];
            let outcome = run(unit, &signal, seconds, &mut rivals);
            Steady {
                model,
                transformer,
                frequency_hz,
                power_factor,
                multiple: amperes / transformer.nominal_a(),
                ours_percent: outcome.error_percent(),
                emonlib_percent: outcome.rival_error_percent(0),
                emonlib_usual_percent: outcome.rival_error_percent(1),
                ofmon_percent: outcome.rival_error_percent(2),
            }
        },
    )
}

/// Median of our error over the median of emonLib's run without pause, both without sign.
#[must_use]
pub fn median_ratio<'a>(cases: impl Iterator<Item = &'a Steady> + Clone) -> f64 {
    let median = |error: fn(&Steady) -> f64| {
        let mut errors: Vec<f64> = cases.clone().map(|case| error(case).abs()).collect();
        errors.sort_by(f64::total_cmp);
        let middle = errors.len() / 2;
        if errors.len() % 2 == 1 {
            errors[middle]
        } else {
            f64::midpoint(errors[middle - 1], errors[middle])
        }
    };
    median(|case| case.ours_percent) / median(|case| case.emonlib_percent)
}

/// Loads that vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// A heater of 2 kW that a controller switches by whole cycles: 37 % of every 0.9 s.
    BurstSecond,
    /// The same at 18 % of every 2.3 s: a hob at a low setting.
    BurstHob,
    /// A fridge, and a kettle of 2 kW now and then.
    FridgeKettle,
    /// A drum that turns to and fro, heated by bursts: a washing machine.
    Washing,
}

impl Case {
    const ALL: [Self; 4] = [
        Self::BurstSecond,
        Self::BurstHob,
        Self::FridgeKettle,
        Self::Washing,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::BurstSecond => "heater, 37 % of every 0.9 s",
            Self::BurstHob => "hob, 18 % of every 2.3 s",
            Self::FridgeKettle => "fridge with kettle",
            Self::Washing => "washing machine",
        }
    }

    /// The load with one timing.
    fn signal(self, draw: u64) -> Signal {
        let mut random = Pcg32::seed_from_u64(draw ^ ((self as u64) << 32));
        // Period and duty of a controller differ by a little from device to device.
        let mut about = |value: f64| value * random.random_range(0.95..1.05);
        let kettle = |watts: f64| Shape::Kettle.current(watts / NOMINAL_V);
        let motor =
            |watts: f64| Shape::Fridge.current(watts / NOMINAL_V / Shape::Fridge.power_factor());
        let load = |current: Waveform, schedule: Schedule| Load {
            current,
            schedule,
            ..Load::default()
        };
        let loads = match self {
            Self::BurstSecond => vec![load(kettle(2_000.0), bursts(about(0.9), about(0.37)))],
            Self::BurstHob => vec![load(kettle(1_800.0), bursts(about(2.3), about(0.18)))],
            Self::FridgeKettle => vec![
                load(motor(110.0), bursts(about(900.0), about(0.35))),
                load(kettle(2_000.0), bursts(about(420.0), about(0.3))),
            ],
            Self::Washing => vec![
                load(motor(300.0), bursts(about(14.0), about(0.6))),
                load(kettle(1_900.0), bursts(about(47.0), about(0.25))),
            ],
        };
        Signal {
            frequency_hz: CYCLES_A_SECOND,
            voltage: Shape::mains(NOMINAL_V),
            loads,
        }
    }
}

/// On for a share of each period; whole cycles.
fn bursts(period_s: f64, share: f64) -> Schedule {
    let on = (period_s * share * CYCLES_A_SECOND).round().max(1.0) as u64;
    let whole = (period_s * CYCLES_A_SECOND).round() as u64;
    Schedule::Burst(on, whole - on)
}

/// Applies loads that vary to ours and the others, with the reference front end and both transformers' larger one.
#[must_use]
pub fn varying(bench: &Bench) -> Vec<Varying> {
    let unit = bench.unit(Model::Reference, Transformer::Ct30);
    let draws: Vec<(Case, u64)> = Case::ALL
        .into_iter()
        .flat_map(|case| (0..DRAWS).map(move |draw| (case, draw)))
        .collect();
    let errors = parallel::map(&draws, |&(case, draw)| {
        let mut rivals = [
            bench.emonlib(unit, Duty::usual()),
            bench.emonlib(unit, Duty::Continuous),
            Rival::ofmon(unit),
        ];
        let outcome = run(unit, &case.signal(draw), VARYING_S, &mut rivals);
        [
            outcome.error_percent(),
            outcome.rival_error_percent(0),
            outcome.rival_error_percent(1),
            outcome.rival_error_percent(2),
        ]
    });
    Case::ALL
        .into_iter()
        .zip(errors.chunks(DRAWS as usize))
        .map(|(case, errors)| {
            let rms = |whose: usize| {
                let square: f64 = errors.iter().map(|each| each[whose].powi(2)).sum();
                (square / errors.len() as f64).sqrt()
            };
            Varying {
                name: case.name(),
                ours_percent: rms(0),
                emonlib_percent: rms(1),
                emonlib_continuous_percent: rms(2),
                ofmon_percent: rms(3),
            }
        })
        .collect()
}
