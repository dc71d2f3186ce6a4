//! Solves a channel's calibration from what it measured and what is known of the load.
//!
//! Two captures make a whole calibration: one without a load for the noise, one with a resistive load of known power for
//! gains and skew. Each starts from the calibration in force and corrects it, so either may be repeated alone.
//!
//! What does not fit is refused with the reason; nothing is guessed.

use crate::{
    config::Calibration,
    output::{Flags, Window},
};

/// Windows of a capture at the least: 30 s.
pub const CAPTURE_WINDOWS_MIN: u32 = 150;
/// Windows of a capture at the most: an hour; what comes later is ignored.
const CAPTURE_WINDOWS_MAX: u32 = 18_000;
/// 1 in 1/2^30.
const ONE_Q30: i128 = 1 << 30;
/// tan 10° in 1/2^30.
const TAN_MAX_Q30: i128 = 189_330_000;
/// Windows of 200 ms in 10 s.
const WINDOWS_IN_10_S: u128 = 50;

/// Why a calibration is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The capture is shorter than 30 s.
    TooShort,
    /// There was no voltage, at least for a moment.
    NoVoltage,
    /// The converter's range was exceeded.
    Clipped,
    /// Power flowed the other way: the transformer is turned round, or the load is none.
    Reversed,
    /// The load changed: its power scattered by more than 1 %.
    Unsteady,
    /// The load is too small to stand out of the noise by 0.05 %.
    TooSmall,
    /// Voltage or power are not what was said: off by more than a fifth.
    WrongLoad,
    /// The load is not resistive: current and voltage are more than 10° apart.
    NotResistive,
    /// There was a load where there should have been none.
    LoadPresent,
    /// What was solved lies out of a calibration's range.
    OutOfRange,
}

impl Refusal {
    /// Returns a stable word for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::NoVoltage => "no_voltage",
            Self::Clipped => "clipped",
            Self::Reversed => "reversed",
            Self::Unsteady => "unsteady",
            Self::TooSmall => "too_small",
            Self::WrongLoad => "wrong_load",
            Self::NotResistive => "not_resistive",
            Self::LoadPresent => "load_present",
            Self::OutOfRange => "out_of_range",
        }
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::TooShort => "the capture is shorter than 30 s",
            Self::NoVoltage => "there was no voltage",
            Self::Clipped => "voltage or current exceeded the converter's range",
            Self::Reversed => "power flowed the other way: is the transformer turned round?",
            Self::Unsteady => "the load changed meanwhile",
            Self::TooSmall => "the load is too small to be told from noise",
            Self::WrongLoad => "voltage or power are off by more than a fifth of what was said",
            Self::NotResistive => "the load is not resistive",
            Self::LoadPresent => "a load is on",
            Self::OutOfRange => "the result is out of range",
        })
    }
}

impl core::error::Error for Refusal {}

/// What is known of a load, from a reference meter or its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// RMS voltage in mV; `None` leaves the voltage as it is.
    pub voltage_mv: Option<u32>,
    /// Active power in mW.
    pub active_power_mw: u32,
    /// Whether current and voltage are in phase: then the skew is solved too.
    pub resistive: bool,
}

/// Sums over the windows of some time.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    windows: u32,
    voltage_mv2: u128,
    current_ua2: u128,
    active_mw: i128,
    active_mw2: u128,
    reactive_mvar: i128,
    frequency_mhz: u64,
    flags: Flags,
}

impl Capture {
    /// Adds a window; after an hour nothing is added any more.
    pub fn add(&mut self, window: &Window) {
        if self.windows == CAPTURE_WINDOWS_MAX {
            return;
        }
        self.windows += 1;
        self.voltage_mv2 += u128::from(window.voltage_mv).pow(2);
        self.current_ua2 += u128::from(window.current_ua).pow(2);
        self.active_mw += i128::from(window.active_power_mw);
        self.active_mw2 += u128::from(window.active_power_mw.unsigned_abs()).pow(2);
        self.reactive_mvar += i128::from(window.reactive_power_mvar);
        self.frequency_mhz += u64::from(window.frequency_mhz);
        self.flags |= window.flags;
    }

    /// Returns how many windows were added.
    #[must_use]
    pub fn windows(&self) -> u32 {
        self.windows
    }

    /// Solves gains, and the skew where the load is resistive.
    ///
    /// # Errors
    /// [`Refusal`]; the calibration in force stays.
    pub fn solve_load(
        &self,
        present: &Calibration,
        reference: &Reference,
    ) -> Result<Calibration, Refusal> {
        self.check()?;
        let count = i128::from(self.windows);
        if self.active_mw <= 0 {
            return Err(Refusal::Reversed);
        }
        let (scatter_mw, mean_mw) = (self.scatter_mw(), (self.active_mw / count) as u128);
        if scatter_mw * 100 > mean_mw {
            return Err(Refusal::Unsteady);
        }
        if scatter_mw * 2_000 > mean_mw * u128::from(self.windows.isqrt()) {
            return Err(Refusal::TooSmall);
        }
        let is_estimated = self.flags.contains(Flags::ESTIMATED);
        let voltage_q30 = match reference.voltage_mv.filter(|_| !is_estimated) {
            Some(true_mv) => {
                // The root of a mean in (mV)² · 2^20 is in mV · 2^10.
                let rms_q10 = ((self.voltage_mv2 << 20) / u128::from(self.windows)).isqrt();
                ratio_q30(i128::from(true_mv) << 10, rms_q10 as i128)?
            }
            None => ONE_Q30,
        };
        let tangent_q30 = if reference.resistive && !is_estimated {
            (self.reactive_mvar << 30) / self.active_mw
        } else {
            0
        };
        if tangent_q30.abs() > TAN_MAX_Q30 {
            return Err(Refusal::NotResistive);
        }
        // In phase, the active power is all that now shows as active and reactive: P·√(1 + tan²).
        let lengthening_q30 = (((ONE_Q30 * ONE_Q30) + tangent_q30 * tangent_q30) as u128).isqrt();
        let seen_mw = ((self.active_mw * lengthening_q30 as i128) >> 30) * voltage_q30 / count;
        let current_q30 = ratio_q30(i128::from(reference.active_power_mw) << 30, seen_mw)?;
        let skew_ns = self.skew_ns(tangent_q30);
        let scaled = |value: u32, gain_q30: i128| {
            let scaled = (i128::from(value) * gain_q30 + ONE_Q30 / 2) >> 30;
            u32::try_from(scaled).map_err(|_| Refusal::OutOfRange)
        };
        Ok(Calibration {
            voltage_nv_per_code: scaled(present.voltage_nv_per_code, voltage_q30)?,
            current_na_per_code: scaled(present.current_na_per_code, current_q30)?,
            current_skew_ns: present
                .current_skew_ns
                .checked_add(skew_ns)
                .filter(|skew_ns| skew_ns.unsigned_abs() <= crate::config::SKEW_NS_MAX)
                .ok_or(Refusal::OutOfRange)?,
            current_noise_na: scaled(present.current_noise_na, current_q30)?,
            no_load_mw: scaled(scaled(present.no_load_mw.into(), current_q30)?, voltage_q30)?
                .try_into()
                .map_err(|_| Refusal::OutOfRange)?,
        })
    }

    /// Solves the noise, and the power below which nothing is counted: six times its scatter in 10 s.
    ///
    /// To be captured with `current_noise_na` 0 in force: what was subtracted cannot be seen.
    ///
    /// # Errors
    /// [`Refusal`]; the calibration in force stays.
    pub fn solve_no_load(&self, present: &Calibration) -> Result<Calibration, Refusal> {
        self.check()?;
        let mean_mw = (self.active_mw / i128::from(self.windows)).unsigned_abs();
        let scatter_mw = self.scatter_mw();
        let is_estimated = self.flags.contains(Flags::ESTIMATED);
        // The mean of so many windows scatters less by the root of their number; half a watt may be induced.
        let induced_mw = 500 + 6 * scatter_mw / u128::from(self.windows.isqrt());
        if mean_mw > induced_mw && !is_estimated {
            return Err(Refusal::LoadPresent);
        }
        // An estimate rests on the rms current, which noise makes positive.
        let bias_mw = if is_estimated { mean_mw } else { 0 };
        let limit_mw = bias_mw + (36 * scatter_mw * scatter_mw / WINDOWS_IN_10_S).isqrt();
        let noise_ua = (self.current_ua2 / u128::from(self.windows)).isqrt();
        Ok(Calibration {
            current_noise_na: u32::try_from(noise_ua * 1_000).map_err(|_| Refusal::OutOfRange)?,
            no_load_mw: u16::try_from(limit_mw).map_err(|_| Refusal::LoadPresent)?,
            ..*present
        })
    }

    fn check(&self) -> Result<(), Refusal> {
        if self.flags.contains(Flags::NO_VOLTAGE) {
            Err(Refusal::NoVoltage)
        } else if self.flags.contains(Flags::CLIPPED) {
            Err(Refusal::Clipped)
        } else if self.windows < CAPTURE_WINDOWS_MIN {
            Err(Refusal::TooShort)
        } else {
            Ok(())
        }
    }

    /// Standard deviation of the windows' active power in mW.
    fn scatter_mw(&self) -> u128 {
        // 2^62 · 2^15, times 2^15.
        let count = u128::from(self.windows);
        let variance_mw2 =
            (self.active_mw2 * count).saturating_sub(self.active_mw.unsigned_abs().pow(2));
        (variance_mw2 / (count * count)).isqrt()
    }

    /// Skew that shows as a current that lags by an angle of this tangent, up to 10°.
    fn skew_ns(&self, tangent_q30: i128) -> i32 {
        /// 10^12 / 2π: ns from radians over mHz.
        const PER_RADIAN: i128 = 159_154_943_092;
        let mean_mhz = i128::from(self.frequency_mhz / u64::from(self.windows));
        if mean_mhz == 0 {
            return 0;
        }
        let product = |a: i128, b: i128| (a * b) >> 30;
        let square = product(tangent_q30, tangent_q30);
        let cube = product(square, tangent_q30);
        let fifth = product(square, cube);
        // The series' next term is below 10^-6 at 10°.
        let angle_q30 = tangent_q30 - cube / 3 + fifth / 5;
        // A current that was taken later seems to lead.
        -((angle_q30 * PER_RADIAN / mean_mhz) >> 30) as i32
    }
}

/// Returns the gain that turns what was seen into the truth, in 1/2^30; at most a fifth off.
fn ratio_q30(truth: i128, seen: i128) -> Result<i128, Refusal> {
    let ratio_q30 = (truth << 30).checked_div(seen).unwrap_or(0);
    if (ONE_Q30 * 4 / 5..=ONE_Q30 * 5 / 4).contains(&ratio_q30) {
        Ok(ratio_q30)
    } else {
        Err(Refusal::WrongLoad)
    }
}
