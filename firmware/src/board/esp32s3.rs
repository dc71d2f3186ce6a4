//! ESP32-S3. Neither built in CI nor tried on hardware.

use esp_hal::{
    Blocking,
    analog::adc::{Adc, AdcCalCurve, AdcConfig, AdcPin, Attenuation},
    gpio::{Input, InputConfig, Level, Output, OutputConfig, Pull},
    peripherals::{ADC1, GPIO0, GPIO1, GPIO2, GPIO21, RTC_TIMER, TIMG1},
    timer::timg::{Timer, TimerGroup},
};

use super::Board;

/// As it stands in the header of an update.
pub const CHIP: &str = "esp32s3";

/// The voltage's pin, calibrated.
pub type VoltagePin = AdcPin<GPIO1<'static>, ADC1<'static>, AdcCalCurve<ADC1<'static>>>;
/// The current's pin, calibrated.
pub type CurrentPin = AdcPin<GPIO2<'static>, ADC1<'static>, AdcCalCurve<ADC1<'static>>>;

/// Converter, pins and the timer that asks for conversions.
pub struct Analog {
    /// The converter.
    pub adc: Adc<'static, ADC1<'static>, Blocking>,
    /// Voltage.
    pub voltage: VoltagePin,
    /// Current of the first channel.
    pub current: CurrentPin,
    /// Asks for conversions.
    pub timer: Timer<'static>,
}

/// The peripherals that a board takes.
pub struct Wired {
    /// The converter.
    pub adc: ADC1<'static>,
    /// Asks for conversions.
    pub timers: TIMG1<'static>,
    /// Voltage.
    pub voltage: GPIO1<'static>,
    /// Current of the first channel.
    pub current_1: GPIO2<'static>,
    /// The light.
    pub led: GPIO21<'static>,
    /// The button.
    pub button: GPIO0<'static>,
}

/// Takes the pins out of the chip's peripherals; what is not needed here stays.
#[macro_export]
macro_rules! wired {
    ($peripherals:ident, $adc:ident) => {
        $crate::board::Wired {
            adc: $adc,
            timers: $peripherals.TIMG1,
            voltage: $peripherals.GPIO1,
            current_1: $peripherals.GPIO2,
            led: $peripherals.GPIO21,
            button: $peripherals.GPIO0,
        }
    };
}

impl Board {
    /// Sets the pins up.
    pub fn new(wired: Wired) -> Self {
        let mut config = AdcConfig::new();
        let voltage = config.enable_pin_with_cal(wired.voltage, Attenuation::_11dB);
        let current = config.enable_pin_with_cal(wired.current_1, Attenuation::_11dB);
        Self {
            analog: Analog {
                adc: Adc::new(wired.adc, config),
                voltage,
                current,
                timer: TimerGroup::new(wired.timers).timer0,
            },
            led: Output::new(wired.led, Level::High, OutputConfig::default()),
            button: Input::new(wired.button, InputConfig::default().with_pull(Pull::Up)),
        }
    }
}

/// Returns where on the flash the running image begins: what the bootloader mapped first.
pub fn image_address() -> u32 {
    /// The first entry of the MMU.
    const ENTRY: *const u32 = core::ptr::with_exposed_provenance(0x600c_5000);
    // SAFETY: the table is there on this chip, and reading it changes nothing.
    let entry = unsafe { ENTRY.read_volatile() };
    (entry & 0xff) << 16
}

/// Returns the ticks of the slow clock since power came; every other reset lets them go on.
///
/// Called from one task only: reading takes two steps.
pub fn slow_ticks() -> u64 {
    // Held for a period of the slow clock, or an older value is read.
    for _ in 0..10 {
        RTC_TIMER::regs()
            .time_update()
            .write(|w| w.time_update().set_bit());
        esp_hal::rom::ets_delay_us(1);
    }
    let high = RTC_TIMER::regs()
        .time_high0()
        .read()
        .timer_value0_high()
        .bits();
    let low = RTC_TIMER::regs()
        .time_low0()
        .read()
        .timer_value0_low()
        .bits();
    u64::from(high) << 32 | u64::from(low)
}
