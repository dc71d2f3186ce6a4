//! What others measure from the same pairs: references of our own, written from published descriptions of the methods.
//!
//! They are yardsticks for the report and in no program that is shipped. They get a calibration as good as ours: the
//! scale and the delay of the unit, and whatever their own filters do to the amplitude.

mod emonlib;
mod ofmon;

pub use emonlib::{Duty, EmonLib};
pub use ofmon::Ofmon;

use metering::Pair;

use super::{sampler::Sampler, unit::Unit};

/// Time that a rival is watched for when it is calibrated, in s.
const CALIBRATION_S: u64 = 140;
/// Time before that, in s.
const SETTLING_S: u64 = 20;

/// One of the others.
#[derive(Clone, Debug)]
pub enum Rival {
    /// emonLib.
    EmonLib(EmonLib),
    /// The earlier system.
    Ofmon(Ofmon),
}

impl Rival {
    /// Returns emonLib at a duty; `gain` is what [`Self::emonlib_gain`] says.
    #[must_use]
    pub fn emonlib(unit: &Unit, duty: Duty, gain: f64) -> Self {
        let mut emonlib = EmonLib::new(unit, duty);
        emonlib.scale_power(gain);
        Self::EmonLib(emonlib)
    }

    /// Calibrates emonLib at nominal current and power factor 1, run without pause.
    #[must_use]
    pub fn emonlib_gain(unit: &Unit) -> f64 {
        1.0 / Self::EmonLib(EmonLib::new(unit, Duty::Continuous)).ratio(unit)
    }

    /// Returns the earlier system's method, with the scale of the unit.
    #[must_use]
    pub fn ofmon(unit: &Unit) -> Self {
        Self::Ofmon(Ofmon::new(unit))
    }

    /// Feeds pairs without a gap among them; the last was taken at `end_us`.
    pub fn push(&mut self, pairs: &[Pair], end_us: u64) {
        match self {
            Self::EmonLib(emonlib) => emonlib.push(pairs, end_us),
            Self::Ofmon(ofmon) => ofmon.push(pairs),
        }
    }

    /// Returns the energy that it has counted, in J.
    #[must_use]
    pub fn joules(&self) -> f64 {
        match self {
            Self::EmonLib(emonlib) => emonlib.joules(),
            Self::Ofmon(ofmon) => ofmon.joules(),
        }
    }

    /// Counted energy over true energy at the load for calibration.
    fn ratio(mut self, unit: &Unit) -> f64 {
        let signal = unit.calibration_signal();
        let mut sampler = Sampler::new(&signal, unit.front_end, unit.rate_hz, unit.seed ^ 0xca2);
        let mut pairs = vec![Pair::default(); unit.nominal_rate_hz as usize];
        let mut settled = None;
        for second in 0..SETTLING_S + CALIBRATION_S {
            if second == SETTLING_S {
                settled = Some((self.joules(), sampler.time_us()));
            }
            sampler.fill(&mut pairs);
            self.push(&pairs, sampler.time_us());
        }
        let (before_j, before_us) = settled.unwrap_or_default();
        let seconds = (sampler.time_us() - before_us) as f64 / 1e6;
        (self.joules() - before_j) / (signal.mean_power_w() * seconds)
    }
}
