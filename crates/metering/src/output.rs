//! What a channel gives.

/// Conditions that held during a window or an interval, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// No mains voltage was seen: power is not measured and counts as 0.
    pub const NO_VOLTAGE: Self = Self(1);
    /// A sample touched the end of the converter's range.
    pub const CLIPPED: Self = Self(1 << 1);

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
    /// An interval ended.
    Interval(Interval),
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
    /// RMS current in mA.
    pub current_ma: u32,
    /// Frequency in mHz, 40,000 to 70,000; 0 where it was not measured.
    pub frequency_mhz: u32,
    /// Conditions during the window.
    pub flags: Flags,
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
