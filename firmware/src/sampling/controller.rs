//! The digital ADC controller with DMA, of the ESP32-C3 and ESP32-C6.
//!
//! The controller's clock is 5 MHz on both chips. Its timer toggles each `target` clocks, and a conversion begins at every
//! second toggle. Items of the pattern table have 6 bits, first item highest: unit, channel (3), attenuation (2). A result
//! has 32 bits: code in 11:0, channel in 15:13.

use core::sync::atomic::Ordering;

use esp_hal::{
    analog::adc::{Adc, AdcCalCurve, AdcCalScheme, Attenuation, RegisterAccess},
    peripherals::{ADC1, APB_SARADC, DMA},
};
use metering::Pair;

use super::{BUFFERS, CHANNELS, INPUTS, PAIRS, WORDS, curve::Curve, ring::Ring};
use crate::{board, uptime_us};

/// Clock of the controller in Hz.
const CLOCK_HZ: u32 = 5_000_000;
/// Pairs of each channel that are wanted a second.
const PAIRS_HZ: u32 = 2_000;
/// Clocks between two toggles of the timer: rounded down, so that there are never fewer pairs than wanted.
const TIMER_TARGET: u16 = (CLOCK_HZ / 2 / (PAIRS_HZ * INPUTS as u32)) as u16;
/// A conversion takes 2/5 µs times the target.
const fn conversions_us(count: u64) -> u64 {
    count * TIMER_TARGET as u64 * 2 / 5
}

/// The DMA channel that is ours, and what it listens to: the ADC.
const DMA_CHANNEL: usize = 0;
const DMA_PERIPHERAL_ADC: u8 = 8;

/// Attenuation of the pattern table that stands for a range of 0 to 2.5 V and a bit more.
const ATTENUATION: Attenuation = Attenuation::_11dB;
/// End of the range in mV of a chip whose eFuses do not tell: that of the mean chip.
const NOMINAL_FULL_SCALE_MV: u16 = 2_805;
/// Without a filled buffer for so long the converter is started anew.
const SILENCE_US: u64 = 500_000;

static RING: Ring = Ring::new();

/// Takes the pairs out of the ring.
pub struct Sampler {
    /// Keeps clock and power of the converter on.
    _adc: Adc<'static, ADC1<'static>, esp_hal::Blocking>,
    /// Channel of the converter for each input.
    inputs: [u8; INPUTS],
    curves: [Curve; INPUTS],
    /// The buffer that is filled next.
    next: usize,
    /// Uptime at which the controller was started, and pairs of each channel since.
    begun_us: u64,
    taken: u64,
    /// Uptime at which a buffer was taken last.
    progress_us: u64,
    /// Uptime of the last pair, and how many were lost before it.
    end_us: u64,
    lost: u32,
    pairs: [[Pair; PAIRS]; CHANNELS],
}

impl Sampler {
    /// Starts the converter; from here on samples are kept for 1.5 s.
    pub fn new(analog: board::Analog) -> Self {
        let board::Analog { adc, inputs } = analog;
        let curves = inputs.map(curve);
        board::enable_sampling_clocks();
        let mut sampler = Self {
            _adc: adc,
            inputs,
            curves,
            next: 0,
            begun_us: 0,
            taken: 0,
            progress_us: 0,
            end_us: 0,
            lost: 0,
            pairs: [[Pair::default(); PAIRS]; CHANNELS],
        };
        sampler.configure();
        sampler.begin();
        sampler.end_us = sampler.begun_us;
        sampler
    }

    /// Returns the nominal rate of pairs in Hz.
    pub const fn rate_hz() -> u32 {
        CLOCK_HZ / 2 / TIMER_TARGET as u32 / INPUTS as u32
    }

    /// Returns the uptime at which it was started last, in µs.
    pub const fn begun_us(&self) -> u64 {
        self.begun_us
    }

    /// Returns how much later than the voltage a channel's current is sampled, in ns.
    pub const fn skew_ns(channel: usize) -> i32 {
        (conversions_us(1_000) * (channel as u64 + 1)) as i32
    }

    /// Returns the highest code that a channel gives, voltage or current.
    pub fn full_scale_code(&self, channel: usize) -> u16 {
        let [voltage, current] = [0, 1 + channel].map(|input| self.curves[input].full_scale_code());
        voltage.min(current)
    }

    /// Returns how many pairs of each channel were lost so far.
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// Gives all pairs that are there: channel, pairs, uptime of the last pair's voltage in µs.
    pub fn take(&mut self, mut give: impl FnMut(usize, &[Pair], u64)) {
        // More than there are would mean that this cannot keep up; the next call goes on.
        for _ in 0..BUFFERS {
            let Some(words) = RING.filled(self.next) else {
                break;
            };
            if words.len() != WORDS || !self.split(words) {
                self.restart();
                return;
            }
            RING.give(self.next);
            self.next = (self.next + 1) % BUFFERS;
            self.taken += PAIRS as u64;
            let conversions = (self.taken - 1) * INPUTS as u64 + 1;
            let end_us = self.begun_us + conversions_us(conversions);
            for (channel, pairs) in self.pairs.iter().enumerate() {
                give(channel, pairs, end_us);
            }
            self.end_us = end_us;
            self.progress_us = uptime_us();
        }
        let silent = uptime_us().saturating_sub(self.progress_us) > SILENCE_US;
        if silent || board::dma_has_stopped(DMA_CHANNEL) {
            self.restart();
        }
    }

    /// Sorts a buffer into pairs; false where a conversion is missing.
    fn split(&mut self, words: &[core::sync::atomic::AtomicU32]) -> bool {
        for (index, turn) in words.chunks_exact(INPUTS).enumerate() {
            let mut voltage = 0;
            for (input, word) in turn.iter().enumerate() {
                let word = word.load(Ordering::Relaxed);
                if (word >> 13) as u8 & 7 != self.inputs[input] {
                    return false;
                }
                let code = self.curves[input].straightened(word as u16 & 0xfff);
                if input == 0 {
                    voltage = code;
                } else {
                    self.pairs[input - 1][index] = Pair {
                        voltage,
                        current: code,
                    };
                }
            }
        }
        true
    }

    /// Sets up everything that stays.
    fn configure(&self) {
        if board::is_converter_calibrated() {
            let scheme = AdcCalCurve::<ADC1<'_>>::new_cal_with_channel(ATTENUATION, self.inputs[0]);
            ADC1::calibration_init();
            ADC1::set_init_code(scheme.adc_cal());
        }
        let adc = APB_SARADC::regs();
        let pattern = self
            .inputs
            .iter()
            .enumerate()
            .fold(0, |table, (at, input)| {
                let item = u32::from(*input) << 2 | ATTENUATION as u32;
                table | item << (18 - 6 * at)
            });
        // SAFETY: the values fit their fields; the registers are those of the converter, which `_adc` owns.
        unsafe {
            adc.fsm_wait().write(|w| {
                w.xpd_wait()
                    .bits(5)
                    .rstb_wait()
                    .bits(8)
                    .standby_wait()
                    .bits(100)
            });
            adc.ctrl().modify(|_, w| {
                // The timer starts conversions, not the program.
                w.start_force().clear_bit();
                w.start().clear_bit();
                w.sar_clk_gated().set_bit();
                w.xpd_sar_force().bits(3);
                w.sar_clk_div().bits(1);
                w.sar_patt_len().bits(INPUTS as u8 - 1)
            });
            adc.sar_patt_tab1()
                .write(|w| w.sar_patt_tab1().bits(pattern));
            adc.ctrl2().modify(|_, w| {
                w.meas_num_limit().clear_bit();
                w.sar1_inv().clear_bit();
                w.timer_en().clear_bit();
                w.timer_target().bits(TIMER_TARGET)
            });
            adc.dma_conf()
                .modify(|_, w| w.adc_eof_num().bits(WORDS as u16));
        }
    }

    /// Starts with an empty ring.
    fn begin(&mut self) {
        let adc = APB_SARADC::regs();
        let dma = DMA::regs().ch(DMA_CHANNEL);
        adc.ctrl2().modify(|_, w| w.timer_en().clear_bit());
        adc.dma_conf().modify(|_, w| w.adc_trans().clear_bit());
        adc.ctrl().modify(|_, w| w.sar_patt_p_clear().set_bit());
        adc.ctrl().modify(|_, w| w.sar_patt_p_clear().clear_bit());
        adc.dma_conf().modify(|_, w| w.adc_reset_fsm().set_bit());
        adc.dma_conf().modify(|_, w| w.adc_reset_fsm().clear_bit());
        dma.in_link().modify(|_, w| w.inlink_stop().set_bit());
        dma.in_conf0().modify(|_, w| w.in_rst().set_bit());
        dma.in_conf0().modify(|_, w| w.in_rst().clear_bit());
        board::clear_dma_events(DMA_CHANNEL);
        dma.in_conf1().modify(|_, w| w.in_check_owner().set_bit());
        let first = RING.give_all();
        // SAFETY: the peripheral's number fits its field; `first` is the ring, which is a static that only the DMA and
        // atomics touch, and all of its descriptors point into it.
        unsafe {
            dma.in_peri_sel()
                .write(|w| w.peri_in_sel().bits(DMA_PERIPHERAL_ADC));
            dma.in_link()
                .modify(|_, w| w.inlink_addr().bits(first & 0xf_ffff));
        }
        dma.in_link().modify(|_, w| w.inlink_start().set_bit());
        adc.dma_conf().modify(|_, w| w.adc_trans().set_bit());
        self.next = 0;
        self.taken = 0;
        adc.ctrl2().modify(|_, w| w.timer_en().set_bit());
        self.begun_us = uptime_us();
        self.progress_us = self.begun_us;
    }

    fn restart(&mut self) {
        self.begin();
        let missing_us = self.begun_us.saturating_sub(self.end_us);
        let missing = missing_us * u64::from(Self::rate_hz()) / 1_000_000;
        self.lost = self
            .lost
            .saturating_add(u32::try_from(missing).unwrap_or(u32::MAX));
    }
}

/// Reads the curve of an input out of the eFuses.
fn curve(channel: u8) -> Curve {
    if !board::is_converter_calibrated() {
        return Curve::straight(NOMINAL_FULL_SCALE_MV);
    }
    let scheme = AdcCalCurve::<ADC1<'_>>::new_cal_with_channel(ATTENUATION, channel);
    Curve::of_millivolts(|raw| scheme.adc_val(raw))
}
