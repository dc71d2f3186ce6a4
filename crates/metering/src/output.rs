//! What a channel gives.

/// Conditions that held during a window or an interval, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// No mains voltage was seen: power is not measured and counts as 0.
    pub const NO_VOLTAGE: Self = Self(1);
    /// A sample touched the end of the converter's range.
    pub const CLIPPED: Self = Self(1 << 1);
    /// Voltage and power factor are assumed, not measured: power is an estimate.
    pub const ESTIMATED: Self = Self(1 << 2);
    /// Nothing but noise was seen, and none of it was counted.
    pub const NO_LOAD: Self = Self(1 << 3);

    /// Tells whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl core::ops::BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl core::ops::BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What a channel gives while it is fed, in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A window ended.
    Window(Window),
    /// The window that ended was asked for its harmonics; follows it.
    Spectrum(Spectrum),
    /// An interval ended.
    Interval(Interval),
}

/// Harmonics of voltage and current over one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spectrum {
    /// Uptime of the window's end in µs.
    pub end_us: u64,
    /// Of the voltage.
    pub voltage: Harmonics,
    /// Of the current; all 0 without a current.
    pub current: Harmonics,
}

/// Harmonics of one signal in 1/10,000 of its fundamental; saturate at 6.5535.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Harmonics {
    /// Rms shares of the orders 1 to 15; the first is 10,000 by definition.
    pub shares: [u16; 15],
    /// Total harmonic distortion: rms of the orders 2 to 15.
    pub distortion: u16,
}

/// Means over about 200 ms: 10 cycles at 50 Hz, 12 at 60 Hz.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Uptime of its end in µs.
    pub end_us: u64,
    /// Active power in mW; negative is export. Saturates at 2.1 MW, energy does not.
    pub active_power_mw: i32,
    /// Reactive power of the fundamental in mvar; positive is inductive. Saturates at 2.1 Mvar.
    pub reactive_power_mvar: i32,
    /// RMS voltage in mV, 0 where there is none.
    pub voltage_mv: u32,
    /// RMS current in µA; saturates at 4,294 A.
    pub current_ua: u32,
    /// Frequency in mHz, 40,000 to 70,000; 0 where it was not measured.
    pub frequency_mhz: u32,
    /// Conditions during the window.
    pub flags: Flags,
}

impl Window {
    /// Returns the apparent power in mVA: rms voltage times rms current.
    #[must_use]
    pub fn apparent_power_mva(&self) -> u64 {
        // Below 2^64; mV · µA are nVA.
        let apparent_nva = u64::from(self.voltage_mv) * u64::from(self.current_ua);
        apparent_nva.saturating_add(500_000) / 1_000_000
    }

    /// Returns active over apparent power in 1/1000, −1000 to 1000; 0 without apparent power.
    #[must_use]
    pub fn power_factor_permille(&self) -> i16 {
        let active_mw = u64::from(self.active_power_mw.unsigned_abs());
        let apparent_mva = self.apparent_power_mva();
        let rounded = active_mw * 1_000 + apparent_mva / 2;
        let Some(permille) = rounded.checked_div(apparent_mva) else {
            return 0;
        };
        // Noise may make the active power a little larger than the apparent.
        let permille = permille.min(1_000) as i16;
        if self.active_power_mw < 0 {
            -permille
        } else {
            permille
        }
    }
}

/// One channel's part of a reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Uptime of its end in µs, a multiple of the interval.
    pub end_us: u64,
    /// Net energy in quanta of power unit × interval; positive is import. What is less than a quantum is carried on.
    pub energy_quanta: i32,
    /// Mean reactive power of the fundamental in var over the time measured; positive is inductive.
    pub reactive_power_var: i32,
    /// RMS voltage in 0.1 V over the time measured; saturates.
    pub voltage_dv: u16,
    /// RMS current in 10 mA over the time measured; saturates.
    pub current_ca: u16,
    /// Mean frequency in 10 mHz, 0 where it was not measured.
    pub frequency_chz: u16,
    /// Share of the interval in which samples were used, 0 to 1000.
    pub coverage_permille: u16,
    /// Lowest active power of a window in W, 0 without one.
    pub minimum_power_w: i32,
    /// Highest active power of a window in W, 0 without one.
    pub maximum_power_w: i32,
    /// Conditions during the interval.
    pub flags: Flags,
}
