//! Applies rows to meters.

use std::sync::OnceLock;

use super::{
    limits::Class,
    parallel,
    rivals::{Duty, Rival},
    rows::{Kind, Row},
    run::{Outcome, run},
    shapes::Shape,
    signal::{Gate, Load, Schedule, Signal, Waveform},
    unit::{Model, NOMINAL_V, Transformer, Unit},
};

/// Nominal pairs a second of the meters that rows are applied to.
pub const RATE_HZ: u32 = 2_000;
/// What the tolerances of the meters are drawn from.
const SEED: u64 = 20;
/// Share of the true energy that a starting current must register.
const STARTING_SHARE: f64 = 0.5;

/// What a row came to.
#[derive(Clone, Debug)]
pub struct RowResult {
    /// The row.
    pub row: Row,
    /// The error that its limit is on, in percent; of an influence the change of the error.
    pub error_percent: f64,
    /// What the run found.
    pub outcome: Outcome,
}

impl RowResult {
    /// Whether the row does not hold.
    #[must_use]
    pub fn is_out(&self) -> bool {
        match self.row.kind {
            Kind::Starting => self.is_silent(),
            Kind::NoLoad => self.outcome.quanta_turnover > 0,
            // NaN is out.
            _ => !self.holds(self.row.class()),
        }
    }

    /// Whether the error is within the limit of a class; `true` where that has none.
    #[must_use]
    pub fn holds(&self, class: Class) -> bool {
        let limit = self.row.limits.of(class);
        limit.is_none_or(|limit| self.error_percent.abs() <= limit)
    }

    /// Whether a starting current does not register, or less than half of it.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        // A quantum is 1 W for 10 s.
        let registered_j = self.outcome.quanta as f64 * 10.0;
        self.row.kind == Kind::Starting && registered_j < STARTING_SHARE * self.outcome.true_j
    }
}

/// The calibrated meters: one for each front end and current transformer, for 50 and 60 Hz alike.
#[derive(Clone, Debug)]
pub struct Bench {
    units: Vec<Unit>,
    /// What emonLib's filter needs, by meter.
    emonlib_gains: [OnceLock<f64>; 4],
}

impl Bench {
    /// Makes and calibrates the meters, which sample at this nominal rate.
    #[must_use]
    pub fn new(nominal_rate_hz: u32) -> Self {
        Self::with_seed(nominal_rate_hz, SEED)
    }

    /// Makes and calibrates meters with other tolerances.
    #[must_use]
    pub fn with_seed(nominal_rate_hz: u32, seed: u64) -> Self {
        let kinds = [
            (Model::Reference, Transformer::Ct30, seed),
            (Model::Reference, Transformer::Ct100, seed + 1),
            (Model::Esp32c3, Transformer::Ct30, seed + 2),
            (Model::Esp32c3, Transformer::Ct100, seed + 3),
        ];
        let units = parallel::map(&kinds, |&(model, transformer, seed)| {
            Unit::calibrated(model, transformer, nominal_rate_hz, seed)
        });
        Self {
            units,
            emonlib_gains: Default::default(),
        }
    }

    /// Returns a meter.
    ///
    /// # Panics
    /// Never: there is one for each front end and transformer.
    #[must_use]
    pub fn unit(&self, model: Model, transformer: Transformer) -> &Unit {
        self.units
            .iter()
            .find(|unit| (unit.model, unit.transformer) == (model, transformer))
            .expect("there is a meter of each kind")
    }

    /// Returns the worst errors of the calibrations of a front end's meters: gain in percent, phase in degrees.
    #[must_use]
    pub fn calibration_errors(&self, model: Model) -> (f64, f64) {
        let units = self.units.iter().filter(|unit| unit.model == model);
        units
            .map(Unit::calibration_errors)
            .fold((0.0, 0.0), |worst, each| {
                (worst.0.max(each.0), worst.1.max(each.1))
            })
    }

    /// Returns emonLib at a duty, calibrated for a meter.
    #[must_use]
    pub fn emonlib(&self, unit: &Unit, duty: Duty) -> Rival {
        let index = self.units.iter().position(|each| each.seed == unit.seed);
        let gain =
            *self.emonlib_gains[index.unwrap_or(0)].get_or_init(|| Rival::emonlib_gain(unit));
        Rival::emonlib(unit, duty, gain)
    }

    /// Applies rows, on all cores.
    #[must_use]
    pub fn apply(&self, rows: &[Row]) -> Vec<RowResult> {
        parallel::map(rows, |row| self.apply_one(row))
    }

    fn apply_one(&self, row: &Row) -> RowResult {
        let unit = self.unit(row.model, row.transformer);
        let outcome = run(unit, &signal(row), row.seconds(), &mut []);
        let mut error_percent = outcome.error_percent();
        if row.kind.is_influence() {
            let plain = Row {
                kind: Kind::Plain,
                ..*row
            };
            error_percent -= run(unit, &signal(&plain), row.seconds(), &mut []).error_percent();
        }
        if row.kind == Kind::NoLoad {
            // There is nothing that it could be a percentage of.
            error_percent = 0.0;
        }
        RowResult {
            row: *row,
            error_percent,
            outcome,
        }
    }
}

/// Returns what a row applies to a meter.
#[must_use]
pub fn signal(row: &Row) -> Signal {
    let nominal_hz = f64::from(row.frequency_hz);
    let amperes = row.current.amperes(row.transformer);
    let current = Waveform::sine(amperes, row.power_factor.angle());
    let plain = Signal::steady(nominal_hz, Waveform::sine(NOMINAL_V, 0.0), current);
    let with_load = |load: Load| Signal {
        loads: vec![load],
        ..plain.clone()
    };
    match row.kind {
        Kind::Plain | Kind::Starting => plain,
        Kind::Voltage(percent) => Signal {
            voltage: Waveform::sine(NOMINAL_V * (1.0 + f64::from(percent) / 100.0), 0.0),
            ..plain
        },
        Kind::Frequency(percent) => Signal {
            frequency_hz: nominal_hz * (1.0 + f64::from(percent) / 100.0),
            ..plain
        },
        // In phase where the fundamental rises.
        Kind::FifthHarmonic => Signal {
            voltage: plain.voltage.with(5, 0.1 * NOMINAL_V, 0.0),
            loads: vec![Load::steady(current.with(5, 0.4 * amperes, 0.0))],
            ..plain
        },
        // Half of a sine's mean square is left of it.
        Kind::PhaseFired => with_load(Load {
            gate: Gate::PhaseFired,
            ..Load::steady(current.times(std::f64::consts::SQRT_2))
        }),
        Kind::HalfWave => with_load(Load {
            gate: Gate::HalfWave,
            ..Load::steady(current.times(std::f64::consts::SQRT_2))
        }),
        Kind::Burst => with_load(Load {
            schedule: Schedule::Burst(2, 2),
            ..Load::steady(current.times(std::f64::consts::SQRT_2))
        }),
        Kind::Shape(shape) => {
            Signal::steady(nominal_hz, Shape::mains(NOMINAL_V), shape.current(amperes))
        }
        Kind::NoLoad => Signal::steady(
            nominal_hz,
            Waveform::sine(1.15 * NOMINAL_V, 0.0),
            Waveform::default(),
        ),
    }
}
