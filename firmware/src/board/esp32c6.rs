//! ESP32-C6.

use esp_hal::{
    Blocking,
    analog::adc::{Adc, AdcConfig, Attenuation},
    efuse,
    gpio::{Input, InputConfig, Level, Output, OutputConfig, Pull},
    peripherals::{ADC1, DMA, DMA_CH0, GPIO0, GPIO1, GPIO9, GPIO10, PCR, RTC_TIMER},
};

use super::Board;
use crate::sampling::INPUTS;

/// As it stands in the header of an update.
pub const CHIP: &str = "esp32c6";

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
        // I2 and I3 are GPIO2 and GPIO3, channels 2 and 3.
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
    let clocks = PCR::regs();
    clocks.gdma_conf().modify(|_, w| w.gdma_clk_en().set_bit());
    clocks.gdma_conf().modify(|_, w| w.gdma_rst_en().set_bit());
    clocks
        .gdma_conf()
        .modify(|_, w| w.gdma_rst_en().clear_bit());
    DMA::regs().misc_conf().modify(|_, w| w.clk_en().set_bit());
    clocks
        .saradc_conf()
        .modify(|_, w| w.saradc_clk_en().set_bit());
    // SAFETY: the values fit their fields: the crystal's 40 MHz by 8.
    unsafe {
        clocks.saradc_clkm_conf().write(|w| {
            w.saradc_clkm_div_num().bits(7);
            w.saradc_clkm_div_b().bits(1);
            w.saradc_clkm_div_a().bits(0);
            w.saradc_clkm_sel().bits(0);
            w.saradc_clkm_en().set_bit()
        });
    }
}

/// Tells whether the DMA met a descriptor that is not its own, or none.
pub fn dma_has_stopped(channel: usize) -> bool {
    let events = DMA::regs().in_int_ch(channel).raw().read();
    events.in_dscr_err().bit_is_set() || events.in_dscr_empty().bit_is_set()
}

/// Forgets what the DMA told so far.
pub fn clear_dma_events(channel: usize) {
    DMA::regs().in_int_ch(channel).clr().write(|w| {
        w.in_done().clear_bit_by_one();
        w.in_suc_eof().clear_bit_by_one();
        w.in_err_eof().clear_bit_by_one();
        w.in_dscr_err().clear_bit_by_one();
        w.in_dscr_empty().clear_bit_by_one()
    });
}

/// Returns where on the flash the running image begins: what the bootloader mapped first.
pub fn image_address() -> u32 {
    /// Registers of the MMU: which entry is meant, and what it says.
    const INDEX: *mut u32 = core::ptr::with_exposed_provenance_mut(0x6000_2380);
    const CONTENT: *const u32 = core::ptr::with_exposed_provenance(0x6000_237c);
    // SAFETY: the registers are there on this chip, and no one else uses them after the bootloader.
    let entry = unsafe {
        INDEX.write_volatile(0);
        CONTENT.read_volatile()
    };
    (entry & 0xff) << 16
}

/// Returns the ticks of the slow clock since power came; every other reset lets them go on.
///
/// Called from one task only: reading takes two steps.
pub fn slow_ticks() -> u64 {
    RTC_TIMER::regs()
        .update()
        .write(|w| w.main_timer_update().set_bit());
    let high = RTC_TIMER::regs()
        .main_buf0_high()
        .read()
        .main_timer_buf0_high()
        .bits();
    let low = RTC_TIMER::regs()
        .main_buf0_low()
        .read()
        .main_timer_buf0_low()
        .bits();
    u64::from(high) << 32 | u64::from(low)
}
