//! ESP32-C3.

use super::Board;
use crate::sampling::INPUTS;
use esp_hal::{
    Blocking,
    analog::adc::{Adc, AdcConfig, Attenuation},
    efuse,
    gpio::{Input, InputConfig, Level, Output, OutputConfig, Pull},
    peripherals::{ADC1, DMA, DMA_CH0, GPIO0, GPIO1, GPIO9, GPIO10, RTC_TIMER, SYSTEM},
};

/// As it stands in the header of an update.
pub const CHIP: &str = "esp32c3";

/// Converter and the channel of it that each input is wired to, voltage first.
pub struct Analog {
    /// The converter, with its pins set up.
    pub adc: Adc<'static, ADC1<'static>, Blocking>,
    /// Its channels.
    pub inputs: [u8; INPUTS],
}

/// The peripherals that a board takes.
pub struct Wired {
    /// The converter.
    pub adc: ADC1<'static>,
    /// Carries what it converts.
    pub dma: DMA_CH0<'static>,
    /// Voltage.
    pub voltage: GPIO0<'static>,
    /// Current of the first channel.
    pub current_1: GPIO1<'static>,
    /// The light.
    pub led: GPIO10<'static>,
    /// The button.
    pub button: GPIO9<'static>,
}

/// Takes the pins out of the chip's peripherals; what is not needed here stays.
#[macro_export]
macro_rules! wired {
    ($peripherals:ident, $adc:ident) => {
        $crate::board::Wired {
            adc: $adc,
            dma: $peripherals.DMA_CH0,
            voltage: $peripherals.GPIO0,
            current_1: $peripherals.GPIO1,
            led: $peripherals.GPIO10,
            button: $peripherals.GPIO9,
        }
    };
}

impl Board {
    /// Sets the pins up.
    pub fn new(wired: Wired) -> Self {
        let mut config = AdcConfig::new();
        // I2 and I3 are GPIO3 and GPIO4, channels 3 and 4.
        config.enable_pin(wired.voltage, Attenuation::_11dB);
        config.enable_pin(wired.current_1, Attenuation::_11dB);
        // The channel is ours alone: nothing else of this program uses DMA.
        let _ = wired.dma;
        Self {
            analog: Analog {
                adc: Adc::new(wired.adc, config),
                inputs: [0, 1],
            },
            led: Output::new(wired.led, Level::High, OutputConfig::default()),
            button: Input::new(wired.button, InputConfig::default().with_pull(Pull::Up)),
        }
    }
}

/// Tells whether the eFuses hold the curve of the converter.
pub fn is_converter_calibrated() -> bool {
    efuse::rtc_calib_version() != 0
}

/// Gives the controller its 5 MHz and the DMA its clock.
pub fn enable_sampling_clocks() {
    let system = SYSTEM::regs();
    system
        .perip_clk_en1()
        .modify(|_, w| w.dma_clk_en().set_bit());
    system.perip_rst_en1().modify(|_, w| w.dma_rst().set_bit());
    system
        .perip_rst_en1()
        .modify(|_, w| w.dma_rst().clear_bit());
    DMA::regs().misc_conf().modify(|_, w| w.clk_en().set_bit());
    // SAFETY: the values fit their fields: the bus clock of 80 MHz by 16.
    unsafe {
        esp_hal::peripherals::APB_SARADC::regs()
            .clkm_conf()
            .write(|w| {
                w.clkm_div_num().bits(15);
                w.clkm_div_b().bits(1);
                w.clkm_div_a().bits(0);
                w.clk_sel().bits(2);
                w.clk_en().set_bit()
            });
    }
}

/// Tells whether the DMA met a descriptor that is not its own, or none.
pub fn dma_has_stopped(channel: usize) -> bool {
    let events = DMA::regs().int_ch(channel).raw().read();
    events.in_dscr_err().bit_is_set() || events.in_dscr_empty().bit_is_set()
}

/// Forgets what the DMA told so far.
pub fn clear_dma_events(channel: usize) {
    DMA::regs().int_ch(channel).clr().write(|w| {
        w.in_done().clear_bit_by_one();
        w.in_suc_eof().clear_bit_by_one();
        w.in_err_eof().clear_bit_by_one();
        w.in_dscr_err().clear_bit_by_one();
        w.in_dscr_empty().clear_bit_by_one()
    });
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
