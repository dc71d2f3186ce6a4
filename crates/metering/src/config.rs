//! What a channel is fed with and how it is scaled.

/// Voltage and current of one instant, as the ADC gave them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// Code of the voltage input; any value is allowed.
    pub voltage: u16,
    /// Code of the current input; any value is allowed.
    pub current: u16,
}

/// What a channel's front end does to voltage and current, and what of it is corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calibration {
    /// Mains voltage of one ADC code in nV, 1 to 1,000,000,000.
    pub voltage_nv_per_code: u32,
    /// Mains current of one ADC code in nA, 1 to 1,000,000,000.
    pub current_na_per_code: u32,
    /// Time from the instant that a pair's voltage shows to that of its current in ns, −500,000 to 500,000: positive
    /// where the current is sampled later or its transformer leads. More than half a sample makes harmonics inexact.
    pub current_skew_ns: i32,
    /// Noise of the current without a load, rms in nA: its power is subtracted.
    pub current_noise_na: u32,
    /// Mean power over 10 s in mW that is noise: less counts as none. 0 counts everything.
    pub no_load_mw: u16,
}

impl Calibration {
    /// Makes the calibration of a front end that has only a scale: nV and nA of one code.
    #[must_use]
    pub const fn ideal(voltage_nv_per_code: u32, current_na_per_code: u32) -> Self {
        Self {
            voltage_nv_per_code,
            current_na_per_code,
            current_skew_ns: 0,
            current_noise_na: 0,
            no_load_mw: 0,
        }
    }
}

/// How far the voltage of a channel lags the one that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhaseShift {
    /// A third of a cycle: L2 measured with L1's voltage.
    Lag120,
    /// Two thirds of a cycle: L3 measured with L1's voltage.
    Lag240,
}

/// Where a channel's voltage comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoltageInput {
    /// The pairs hold the voltage of the channel's own phase.
    Own,
    /// The pairs hold the voltage of another phase, shifted against the channel's; up to 10,000 pairs a second.
    Shared(PhaseShift),
    /// There is no voltage input: the pairs' voltage is ignored, all power is import and an estimate.
    Assumed {
        /// RMS voltage in mV, 1,000 to 1,000,000.
        voltage_mv: u32,
        /// Power factor in 1/1000, 1 to 1000.
        power_factor_permille: u16,
    },
}

/// Scale and rhythm of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// What its front end does.
    pub calibration: Calibration,
    /// Where its voltage comes from.
    pub voltage: VoltageInput,
    /// Highest code of the converter, 255 to 65,535; this code and code 0 count as clipped.
    pub full_scale_code: u16,
    /// Nominal pairs a second, 2,000 to 50,000; the true rate may differ by 5 % and is measured.
    pub sample_rate_hz: u32,
    /// Time between readings in ms, 1,000 to 900,000.
    pub interval_ms: u32,
    /// Power that makes one quantum of energy in an interval, in mW, 1 to 65,535.
    pub power_unit_mw: u32,
}

/// What is out of range in a [`ChannelConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// `voltage_nv_per_code`.
    VoltageScale,
    /// `current_na_per_code`.
    CurrentScale,
    /// `current_skew_ns`.
    Skew,
    /// `voltage`, or a sample rate that is too high for a shared one.
    VoltageInput,
    /// `full_scale_code`.
    FullScaleCode,
    /// `sample_rate_hz`.
    SampleRate,
    /// `interval_ms`.
    Interval,
    /// `power_unit_mw`, or it is so small that full power does not fit into 31 bits of it.
    PowerUnit,
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::VoltageScale => "voltage scale is out of range",
            Self::CurrentScale => "current scale is out of range",
            Self::Skew => "skew is out of range",
            Self::VoltageInput => "voltage input is out of range",
            Self::FullScaleCode => "full-scale code is out of range",
            Self::SampleRate => "sample rate is out of range",
            Self::Interval => "interval is out of range",
            Self::PowerUnit => "power unit is out of range",
        })
    }
}

impl core::error::Error for ConfigError {}

/// Highest covariance of two signals of 16-bit codes, in code².
const POWER_CODES_MAX: u128 = 1 << 30;
/// Largest skew: one sample of the slowest rate.
pub(crate) const SKEW_NS_MAX: u32 = 500_000;
/// Two thirds of a cycle of 40 Hz at this rate are 167 samples.
const SHARED_RATE_HZ_MAX: u32 = 10_000;

impl ChannelConfig {
    /// Checks that all values are in range and fit together.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let scales = 1..=1_000_000_000;
        let calibration = &self.calibration;
        if !scales.contains(&calibration.voltage_nv_per_code) {
            return Err(ConfigError::VoltageScale);
        }
        if !scales.contains(&calibration.current_na_per_code) {
            return Err(ConfigError::CurrentScale);
        }
        if calibration.current_skew_ns.unsigned_abs() > SKEW_NS_MAX {
            return Err(ConfigError::Skew);
        }
        let voltage_fits = match self.voltage {
            VoltageInput::Own => true,
            VoltageInput::Shared(_) => self.sample_rate_hz <= SHARED_RATE_HZ_MAX,
            VoltageInput::Assumed {
                voltage_mv,
                power_factor_permille,
            } => {
                (1_000..=1_000_000).contains(&voltage_mv)
                    && (1..=1_000).contains(&power_factor_permille)
            }
        };
        if !voltage_fits {
            return Err(ConfigError::VoltageInput);
        }
        if self.full_scale_code < 255 {
            return Err(ConfigError::FullScaleCode);
        }
        if !(2_000..=50_000).contains(&self.sample_rate_hz) {
            return Err(ConfigError::SampleRate);
        }
        if !(1_000..=900_000).contains(&self.interval_ms) {
            return Err(ConfigError::Interval);
        }
        let full_power_mw = POWER_CODES_MAX
            * u128::from(calibration.voltage_nv_per_code)
            * u128::from(calibration.current_na_per_code)
            / 1_000_000_000_000_000;
        let units_max = u128::from(i32::MAX.unsigned_abs()) / 2;
        if !(1..=65_535).contains(&self.power_unit_mw)
            || full_power_mw / u128::from(self.power_unit_mw) > units_max
        {
            return Err(ConfigError::PowerUnit);
        }
        Ok(())
    }

    /// Interval in µs.
    pub(crate) fn interval_us(&self) -> u64 {
        u64::from(self.interval_ms) * 1_000
    }

    /// Quantum of energy in pJ: mW times ms are µJ.
    pub(crate) fn quantum_pj(&self) -> i64 {
        i64::from(self.power_unit_mw) * i64::from(self.interval_ms) * 1_000_000
    }
}
