//! Limits of error by class, power factor and current, in percent.
//!
//! They are those of IEC 62053-21 (class 1) and IEC 62053-22 (0.2S, 0.5S) from secondary sources: internal targets, and no
//! claim of a class.

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
        let limit = |power_factor, multiple| {
            [Class::One, Class::HalfS, Class::FifthS]
                .map(|class| plain_limit(power_factor, multiple, class))
        };
        use PowerFactor::*;
        assert_eq!(limit(One, 0.01), [None, Some(1.0), Some(0.4)]);
        assert_eq!(limit(One, 0.05), [Some(1.5), Some(0.5), Some(0.2)]);
        assert_eq!(limit(One, 0.1), [Some(1.0), Some(0.5), Some(0.2)]);
        assert_eq!(limit(HalfLagging, 0.02), [None, Some(1.0), Some(0.5)]);
        assert_eq!(limit(HalfLagging, 0.1), [Some(1.5), Some(0.6), Some(0.3)]);
        assert_eq!(
            limit(EightTenthsLeading, 0.2),
            [Some(1.0), Some(0.6), Some(0.3)]
        );
        assert_eq!(
            limit(QuarterLagging, 1.0),
            [Some(3.5), Some(1.0), Some(0.5)]
        );
        assert_eq!(limit(HalfLeading, 2.0), [None; 3]);
    }
}
