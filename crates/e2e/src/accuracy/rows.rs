//! The table of rows: what is applied to a meter, and how far off its energy may be.
//!
//! Limits are those of IEC 62053-21 (class 1) and IEC 62053-22 (0.2S, 0.5S), in percent, from secondary sources: they are
//! internal targets and no claim. For influences the sources give no values for 0.2S; there at most half of those of
//! 0.5S are the target. Load shapes have no limits of their own: they are held to those of a sine of their power factor.

use super::{
    shapes::Shape,
    unit::{Model, Transformer},
};

/// Classes of accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Class 1.
    One,
    /// Class 0.5S.
    HalfS,
    /// Class 0.2S.
    FifthS,
}

/// Limits in percent of classes 1, 0.5S and 0.2S; `None` where a class has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits(pub [Option<f64>; 3]);

impl Limits {
    /// Returns the limit of a class in percent.
    #[must_use]
    pub fn of(&self, class: Class) -> Option<f64> {
        self.0[class as usize]
    }
}

/// Power factors, with the angle of the current.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PowerFactor {
    /// 1.
    One,
    /// 0.5 inductive.
    HalfLagging,
    /// 0.8 capacitive.
    EightTenthsLeading,
    /// 0.25 inductive.
    QuarterLagging,
    /// 0.5 capacitive.
    HalfLeading,
}

impl PowerFactor {
    /// Returns the angle of the current in rad; negative where it lags.
    #[must_use]
    pub fn angle(self) -> f64 {
        match self {
            Self::One => 0.0,
            Self::HalfLagging => -0.5_f64.acos(),
            Self::EightTenthsLeading => 0.8_f64.acos(),
            Self::QuarterLagging => -0.25_f64.acos(),
            Self::HalfLeading => 0.5_f64.acos(),
        }
    }

    /// Returns the usual short name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::HalfLagging => "0.5L",
            Self::EightTenthsLeading => "0.8C",
            Self::QuarterLagging => "0.25L",
            Self::HalfLeading => "0.5C",
        }
    }
}

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

/// A line of the limits: which currents, up to where, and the limits there. `Imax` is beyond all multiples.
struct Line {
    power_factors: &'static [PowerFactor],
    class: Class,
    from: f64,
    below: f64,
    percent: f64,
}

const fn line(
    power_factors: &'static [PowerFactor],
    class: Class,
    from: f64,
    below: f64,
    percent: f64,
) -> Line {
    Line {
        power_factors,
        class,
        from,
        below,
        percent,
    }
}

const UNITY: &[PowerFactor] = &[PowerFactor::One];
const SHIFTED: &[PowerFactor] = &[PowerFactor::HalfLagging, PowerFactor::EightTenthsLeading];
const QUARTER: &[PowerFactor] = &[PowerFactor::QuarterLagging];
const LEADING: &[PowerFactor] = &[PowerFactor::HalfLeading];
const IMAX: f64 = f64::INFINITY;
/// Just above nominal: the last range ends with it.
const UP_TO_NOMINAL: f64 = 1.001;

/// Limits at nominal voltage and frequency, by multiples of Ib or In.
const LINES: &[Line] = &[
    line(UNITY, Class::One, 0.05, 0.1, 1.5),
    line(UNITY, Class::One, 0.1, IMAX, 1.0),
    line(UNITY, Class::HalfS, 0.01, 0.05, 1.0),
    line(UNITY, Class::HalfS, 0.05, IMAX, 0.5),
    line(UNITY, Class::FifthS, 0.01, 0.05, 0.4),
    line(UNITY, Class::FifthS, 0.05, IMAX, 0.2),
    line(SHIFTED, Class::One, 0.1, 0.2, 1.5),
    line(SHIFTED, Class::One, 0.2, IMAX, 1.0),
    line(SHIFTED, Class::HalfS, 0.02, 0.1, 1.0),
    line(SHIFTED, Class::HalfS, 0.1, IMAX, 0.6),
    line(SHIFTED, Class::FifthS, 0.02, 0.1, 0.5),
    line(SHIFTED, Class::FifthS, 0.1, IMAX, 0.3),
    line(QUARTER, Class::One, 0.2, UP_TO_NOMINAL, 3.5),
    line(QUARTER, Class::HalfS, 0.1, UP_TO_NOMINAL, 1.0),
    line(QUARTER, Class::FifthS, 0.1, UP_TO_NOMINAL, 0.5),
    line(LEADING, Class::One, 0.2, UP_TO_NOMINAL, 2.5),
    line(LEADING, Class::HalfS, 0.1, UP_TO_NOMINAL, 1.0),
    line(LEADING, Class::FifthS, 0.1, UP_TO_NOMINAL, 0.5),
];

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
    (Kind::Voltage(-10), PowerFactor::One, LOW_TO_HIGH, limits(0.7, 0.2, 0.1)),
    (Kind::Voltage(10), PowerFactor::One, LOW_TO_HIGH, limits(0.7, 0.2, 0.1)),
    (Kind::Voltage(-10), PowerFactor::HalfLagging, LOW_TO_HIGH, limits(1.0, 0.4, 0.2)),
    (Kind::Voltage(10), PowerFactor::HalfLagging, LOW_TO_HIGH, limits(1.0, 0.4, 0.2)),
    (Kind::Frequency(-2), PowerFactor::One, LOW_TO_HIGH, limits(0.5, 0.2, 0.1)),
    (Kind::Frequency(2), PowerFactor::One, LOW_TO_HIGH, limits(0.5, 0.2, 0.1)),
    (Kind::Frequency(-2), PowerFactor::HalfLagging, LOW_TO_HIGH, limits(0.7, 0.2, 0.1)),
    (Kind::Frequency(2), PowerFactor::HalfLagging, LOW_TO_HIGH, limits(0.7, 0.2, 0.1)),
    (Kind::FifthHarmonic, PowerFactor::One, &[Current::Nominal(0.5), Current::Maximum(0.5)], limits(0.8, 0.5, 0.25)),
    (Kind::PhaseFired, PowerFactor::One, BASIC, CLASS_1_ALONE),
    // The peak of half a sine of this rms value is that of Imax.
    (Kind::HalfWave, PowerFactor::One, &[Current::Maximum(std::f64::consts::FRAC_1_SQRT_2)], CLASS_1_ALONE),
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
                        add(Kind::Plain, power_factor, current, plain(power_factor, current));
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
                add(Kind::Starting, PowerFactor::One, Current::Nominal(starting), none);
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

/// Returns the limit of a class in percent at nominal voltage and frequency, at a multiple of nominal current.
#[must_use]
pub fn plain_limit(power_factor: PowerFactor, multiple: f64, class: Class) -> Option<f64> {
    LINES
        .iter()
        .find(|line| {
            line.class == class
                && line.power_factors.contains(&power_factor)
                && (line.from..line.below).contains(&multiple)
        })
        .map(|line| line.percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_table() {
        let limit = |power_factor, multiple| plain(power_factor, Current::Nominal(multiple)).0;
        use PowerFactor::*;
        assert_eq!(limit(One, 0.01), [None, Some(1.0), Some(0.4)]);
        assert_eq!(limit(One, 0.05), [Some(1.5), Some(0.5), Some(0.2)]);
        assert_eq!(limit(One, 0.1), [Some(1.0), Some(0.5), Some(0.2)]);
        assert_eq!(limit(HalfLagging, 0.02), [None, Some(1.0), Some(0.5)]);
        assert_eq!(limit(HalfLagging, 0.1), [Some(1.5), Some(0.6), Some(0.3)]);
        assert_eq!(limit(EightTenthsLeading, 0.2), [Some(1.0), Some(0.6), Some(0.3)]);
        assert_eq!(limit(QuarterLagging, 1.0), [Some(3.5), Some(1.0), Some(0.5)]);
        assert_eq!(limit(HalfLeading, 2.0), [None; 3]);
    }

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
