//! The table of rows: what is applied to a meter, and how far off its energy may be.
//!
//! For influences there are no values for 0.2S in the sources; there at most half of those of 0.5S are the target. Load
//! shapes have no limits of their own: they are held to those of a sine of their power factor.

use super::{
    limits::{Class, Limits, PowerFactor, plain_limit},
    shapes::Shape,
    unit::{Model, Transformer},
};

/// What is applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Nominal voltage and a sine.
    Plain,
    /// Voltage off by so many percent.
    Voltage(i32),
    /// Frequency off by so many percent.
    Frequency(i32),
    /// 10 % of the 5th harmonic in the voltage, 40 % in the current.
    FifthHarmonic,
    /// A current that flows in the second half of each half cycle.
    PhaseFired,
    /// A current that flows in one direction only.
    HalfWave,
    /// Two cycles on, two cycles off.
    Burst,
    /// An appliance's current on mains with harmonics.
    Shape(Shape),
    /// The least current that must register.
    Starting,
    /// 115 % of the voltage and no current: nothing may register.
    NoLoad,
}

impl Kind {
    /// Whether the limit is on the change of the error against a sine at nominal values.
    #[must_use]
    pub fn is_influence(self) -> bool {
        matches!(
            self,
            Self::Voltage(_)
                | Self::Frequency(_)
                | Self::FifthHarmonic
                | Self::PhaseFired
                | Self::HalfWave
                | Self::Burst
        )
    }

    /// Returns a name for tables.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Plain => "sine".into(),
            Self::Voltage(percent) => format!("U {percent:+} %"),
            Self::Frequency(percent) => format!("f {percent:+} %"),
            Self::FifthHarmonic => "5th harmonic".into(),
            Self::PhaseFired => "phase-fired".into(),
            Self::HalfWave => "half-wave".into(),
            Self::Burst => "burst".into(),
            Self::Shape(shape) => shape.name().into(),
            Self::Starting => "starting current".into(),
            Self::NoLoad => "no load".into(),
        }
    }
}

/// A current as a multiple of the nominal or of the highest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Current {
    /// Multiple of Ib or In.
    Nominal(f64),
    /// Multiple of Imax.
    Maximum(f64),
}

impl Current {
    /// Returns the rms value in A with a current transformer.
    #[must_use]
    pub fn amperes(self, transformer: Transformer) -> f64 {
        match self {
            Self::Nominal(multiple) => multiple * transformer.nominal_a(),
            Self::Maximum(multiple) => multiple * transformer.maximum_a(),
        }
    }
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// The front end's model.
    pub model: Model,
    /// The current transformer.
    pub transformer: Transformer,
    /// Nominal frequency in Hz.
    pub frequency_hz: u32,
    /// What is applied.
    pub kind: Kind,
    /// The power factor.
    pub power_factor: PowerFactor,
    /// The current.
    pub current: Current,
    /// The limits.
    pub limits: Limits,
}

impl Row {
    /// Returns the power factor for tables; of a shape, what was measured on real appliances.
    #[must_use]
    pub fn power_factor_name(&self) -> String {
        match self.kind {
            Kind::Shape(shape) => shape.power_factor().to_string(),
            _ => self.power_factor.name().into(),
        }
    }

    /// Returns the class whose limit the row must hold.
    #[must_use]
    pub fn class(&self) -> Class {
        class(self.model)
    }

    /// Returns the limit that the row must hold, in percent; 0 where no limit is one of error.
    #[must_use]
    pub fn limit_percent(&self) -> f64 {
        self.limits.of(self.class()).unwrap_or(0.0)
    }

    /// Returns the time that the energy is counted over, in s.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        let multiple = self.current.amperes(self.transformer) / self.transformer.nominal_a();
        if multiple <= 0.05 { 600.0 } else { 60.0 }
    }
}

fn class(model: Model) -> Class {
    match model {
        Model::Reference => Class::FifthS,
        Model::Esp32c3 => Class::One,
    }
}

/// Currents of the plain rows: ends and middles of the ranges.
const CURRENTS: &[Current] = &[
    Current::Nominal(0.01),
    Current::Nominal(0.02),
    Current::Nominal(0.05),
    Current::Nominal(0.1),
    Current::Nominal(0.2),
    Current::Nominal(0.5),
    Current::Nominal(1.0),
    Current::Nominal(2.0),
    Current::Maximum(1.0),
];

const POWER_FACTORS: &[PowerFactor] = &[
    PowerFactor::One,
    PowerFactor::HalfLagging,
    PowerFactor::EightTenthsLeading,
    PowerFactor::QuarterLagging,
    PowerFactor::HalfLeading,
];

/// An influence: what, at which power factor and currents, and the limits of the change of the error.
type Influence = (Kind, PowerFactor, &'static [Current], Limits);

const fn limits(one: f64, half_s: f64, fifth_s: f64) -> Limits {
    Limits([Some(one), Some(half_s), Some(fifth_s)])
}

const CLASS_1_ALONE: Limits = Limits([Some(3.0), None, None]);
const LOW_TO_HIGH: &[Current] = &[
    Current::Nominal(0.1),
    Current::Nominal(1.0),
    Current::Maximum(1.0),
];
const BASIC: &[Current] = &[Current::Nominal(0.5), Current::Nominal(1.0)];

const INFLUENCES: &[Influence] = &[
    (
        Kind::Voltage(-10),
        PowerFactor::One,
        LOW_TO_HIGH,
        limits(0.7, 0.2, 0.1),
    ),
    (
        Kind::Voltage(10),
        PowerFactor::One,
        LOW_TO_HIGH,
        limits(0.7, 0.2, 0.1),
    ),
    (
        Kind::Voltage(-10),
        PowerFactor::HalfLagging,
        LOW_TO_HIGH,
        limits(1.0, 0.4, 0.2),
    ),
    (
        Kind::Voltage(10),
        PowerFactor::HalfLagging,
        LOW_TO_HIGH,
        limits(1.0, 0.4, 0.2),
    ),
    (
        Kind::Frequency(-2),
        PowerFactor::One,
        LOW_TO_HIGH,
        limits(0.5, 0.2, 0.1),
    ),
    (
        Kind::Frequency(2),
        PowerFactor::One,
        LOW_TO_HIGH,
        limits(0.5, 0.2, 0.1),
    ),
    (
        Kind::Frequency(-2),
        PowerFactor::HalfLagging,
        LOW_TO_HIGH,
        limits(0.7, 0.2, 0.1),
    ),
    (
        Kind::Frequency(2),
        PowerFactor::HalfLagging,
        LOW_TO_HIGH,
        limits(0.7, 0.2, 0.1),
    ),
    (
        Kind::FifthHarmonic,
        PowerFactor::One,
        &[Current::Nominal(0.5), Current::Maximum(0.5)],
        limits(0.8, 0.5, 0.25),
    ),
    (Kind::PhaseFired, PowerFactor::One, BASIC, CLASS_1_ALONE),
    // The peak of half a sine of this rms value is that of Imax.
    (
        Kind::HalfWave,
        PowerFactor::One,
        &[Current::Maximum(std::f64::consts::FRAC_1_SQRT_2)],
        CLASS_1_ALONE,
    ),
    (Kind::Burst, PowerFactor::One, BASIC, limits(3.0, 1.5, 0.6)),
];

const MODELS: [Model; 2] = [Model::Reference, Model::Esp32c3];
const TRANSFORMERS: [Transformer; 2] = [Transformer::Ct30, Transformer::Ct100];
const FREQUENCIES_HZ: [u32; 2] = [50, 60];

/// Returns all rows, always in the same order.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for model in MODELS {
        for transformer in TRANSFORMERS {
            for frequency_hz in FREQUENCIES_HZ {
                let mut add = |kind, power_factor, current, limits: Limits| {
                    if limits.of(class(model)).is_some() {
                        rows.push(Row {
                            model,
                            transformer,
                            frequency_hz,
                            kind,
                            power_factor,
                            current,
                            limits,
                        });
                    }
                };
                for &power_factor in POWER_FACTORS {
                    for &current in CURRENTS {
                        add(
                            Kind::Plain,
                            power_factor,
                            current,
                            plain(power_factor, current),
                        );
                    }
                }
                for &(kind, power_factor, currents, limits) in INFLUENCES {
                    for &current in currents {
                        add(kind, power_factor, current, limits);
                    }
                }
                for shape in Shape::ALL {
                    for current in [Current::Nominal(0.2), Current::Nominal(1.0)] {
                        let alike = if shape.power_factor() > 0.9 {
                            PowerFactor::One
                        } else {
                            PowerFactor::HalfLagging
                        };
                        add(Kind::Shape(shape), alike, current, plain(alike, current));
                    }
                }
                let starting = match class(model) {
                    Class::One => 0.004,
                    Class::HalfS | Class::FifthS => 0.001,
                };
                let none = limits(0.0, 0.0, 0.0);
                add(
                    Kind::Starting,
                    PowerFactor::One,
                    Current::Nominal(starting),
                    none,
                );
                add(Kind::NoLoad, PowerFactor::One, Current::Nominal(0.0), none);
            }
        }
    }
    rows
}

/// Limits at nominal voltage and frequency.
fn plain(power_factor: PowerFactor, current: Current) -> Limits {
    let multiple = match current {
        Current::Nominal(multiple) => multiple,
        // Beyond all ranges that end with the nominal current.
        Current::Maximum(_) => 5.0,
    };
    let classes = [Class::One, Class::HalfS, Class::FifthS];
    Limits(classes.map(|class| plain_limit(power_factor, multiple, class)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_row_is_there_for_each_front_end_transformer_and_frequency() {
        let rows = rows();
        assert!(rows.len() >= 300, "{}", rows.len());
        for transformer in TRANSFORMERS {
            for frequency_hz in FREQUENCIES_HZ {
                let count = |model, matches: fn(&Row) -> bool| {
                    rows.iter()
                        .filter(|row| {
                            (row.model, row.transformer, row.frequency_hz)
                                == (model, transformer, frequency_hz)
                                && matches(row)
                        })
                        .count()
                };
                for model in MODELS {
                    assert_eq!(count(model, |row| row.kind == Kind::Starting), 1);
                    assert_eq!(count(model, |row| row.kind == Kind::NoLoad), 1);
                    assert_eq!(count(model, |row| matches!(row.kind, Kind::Voltage(_))), 12);
                }
                let plain = |row: &Row| row.kind == Kind::Plain;
                assert_eq!(count(Model::Reference, plain), 9 + 2 * 8 + 2 * 4);
                assert_eq!(count(Model::Esp32c3, plain), 7 + 2 * 6 + 2 * 3);
                assert_eq!(count(Model::Esp32c3, |row| row.kind == Kind::HalfWave), 1);
                assert_eq!(count(Model::Reference, |row| row.kind == Kind::HalfWave), 0);
            }
        }
    }
}
