//! What a channel is fed with and how it is scaled.

/// Voltage and current of one instant, as the ADC gave them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// Code of the voltage input; any value is allowed.
    pub voltage: u16,
    /// Code of the current input; any value is allowed.
    pub current: u16,
}

/// Scale and rhythm of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// Mains voltage of one ADC code in nV, 1 to 1,000,000,000.
    pub voltage_nv_per_code: u32,
    /// Mains current of one ADC code in nA, 1 to 1,000,000,000.
    pub current_na_per_code: u32,
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

impl ChannelConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let scales = 1..=1_000_000_000;
        if !scales.contains(&self.voltage_nv_per_code) {
            return Err(ConfigError::VoltageScale);
        }
        if !scales.contains(&self.current_na_per_code) {
            return Err(ConfigError::CurrentScale);
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
            * u128::from(self.voltage_nv_per_code)
            * u128::from(self.current_na_per_code)
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
