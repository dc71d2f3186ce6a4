//! Why the processor begins again.

/// Why the processor begins at its reset vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reset {
    /// Power came.
    PowerOn,
    /// Software reset the system.
    SoftwareSystem,
    /// Software reset the processor.
    SoftwareCpu,
    /// The watchdog of timer group 0 reset the system.
    Timer0System,
    /// The watchdog of timer group 1 reset the system.
    Timer1System,
    /// The watchdog of timer group 0 reset the processor.
    Timer0Cpu,
    /// The watchdog of timer group 1 reset the processor.
    Timer1Cpu,
    /// The RTC watchdog reset the system.
    RtcWatchdogSystem,
    /// The RTC watchdog reset the processor.
    RtcWatchdogCpu,
    /// The RTC watchdog reset everything, the real-time part too.
    RtcWatchdogAll,
}

impl Reset {
    /// Returns the number that programs read.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::PowerOn => 0x01,
            Self::SoftwareSystem => 0x03,
            Self::Timer0System => 0x07,
            Self::Timer1System => 0x08,
            Self::RtcWatchdogSystem => 0x09,
            Self::Timer0Cpu => 0x0b,
            Self::SoftwareCpu => 0x0c,
            Self::RtcWatchdogCpu => 0x0d,
            Self::RtcWatchdogAll => 0x10,
            Self::Timer1Cpu => 0x11,
        }
    }

    /// Tells whether only the processor begins again and peripherals go on.
    pub(crate) fn is_of_cpu(self) -> bool {
        matches!(
            self,
            Self::SoftwareCpu | Self::Timer0Cpu | Self::Timer1Cpu | Self::RtcWatchdogCpu
        )
    }

    /// Tells whether the real-time part forgets too.
    pub(crate) fn is_of_everything(self) -> bool {
        matches!(self, Self::PowerOn | Self::RtcWatchdogAll)
    }
}
