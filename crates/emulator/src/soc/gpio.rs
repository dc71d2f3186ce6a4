//! GPIO: 22 pins whose inputs the host sets and whose outputs it reads.
//!
//! Functions of other peripherals on pins are only registers. Pins wake nothing from sleep.

use super::{interrupts::source, words::Words};

const OUT: u32 = 0x04;
const ENABLE: u32 = 0x20;
const STRAP: u32 = 0x38;
const IN: u32 = 0x3c;
const STATUS: u32 = 0x44;
const PIN_0: u32 = 0x74;
const PINS: u32 = 22;
/// Boot from the flash: the strapping pins 8 and 9 are high.
const STRAP_FLASH: u32 = 0x0c;

#[derive(Clone, Debug)]
pub(crate) struct Gpio {
    words: Words,
    /// What the outside puts on each pin.
    outside: u32,
}

impl Gpio {
    /// Makes pins that the outside pulls up.
    pub(crate) fn new() -> Self {
        let resets = [(STRAP, STRAP_FLASH), (0x62c, 1), (0x6fc, 0x0200_6130)];
        Self {
            words: Words::new(&resets),
            outside: (1 << PINS) - 1,
        }
    }

    /// Makes the registers as after a reset; the outside stays.
    pub(crate) fn reset(&mut self) {
        let outside = self.outside;
        *self = Self::new();
        self.outside = outside;
    }

    pub(crate) fn set_input(&mut self, pin: u32, high: bool) {
        let before = self.levels();
        self.outside = self.outside & !(1 << pin) | u32::from(high) << pin;
        self.notice(before);
    }

    /// Returns the level of a pin that is an output.
    pub(crate) fn output(&self, pin: u32) -> Option<bool> {
        let is_output = self.words.get(ENABLE) >> pin & 1 != 0;
        is_output.then(|| self.words.get(OUT) >> pin & 1 != 0)
    }

    fn levels(&self) -> u32 {
        let driven = self.words.get(ENABLE);
        self.words.get(OUT) & driven | self.outside & !driven
    }

    /// Sets the status of pins whose interrupt type fits what changed.
    fn notice(&mut self, before: u32) {
        let after = self.levels();
        let mut status = self.words.get(STATUS);
        for pin in 0..PINS {
            let (was, is) = (before >> pin & 1 != 0, after >> pin & 1 != 0);
            let fits = match self.words.get(PIN_0 + 4 * pin) >> 7 & 7 {
                1 => is && !was,
                2 => was && !is,
                3 => was != is,
                4 => !is,
                5 => is,
                _ => false,
            };
            status |= u32::from(fits) << pin;
        }
        self.words.set(STATUS, status);
    }

    pub(crate) fn read(&self, offset: u32) -> u32 {
        match offset {
            IN => self.levels(),
            0x5c => self.words.get(STATUS) & self.interrupts_enabled(),
            _ => self.words.get(offset),
        }
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32) {
        let before = self.levels();
        match offset {
            OUT | ENABLE | STATUS => self.words.set(offset, value),
            // Set and clear registers follow the one that they change.
            0x08 | 0x24 | 0x48 => self
                .words
                .set(offset - 4, self.words.get(offset - 4) | value),
            0x0c | 0x28 | 0x4c => self
                .words
                .set(offset - 8, self.words.get(offset - 8) & !value),
            STRAP | IN => {}
            _ => self.words.set(offset, value),
        }
        self.notice(before);
    }

    fn interrupts_enabled(&self) -> u32 {
        (0..PINS)
            .map(|pin| (self.words.get(PIN_0 + 4 * pin) >> 13 & 1) << pin)
            .sum()
    }

    pub(crate) fn sources(&self) -> u64 {
        // Mostly there is none, which spares the look at each pin.
        let is_raised = self.words.get(STATUS) != 0 && self.read(0x5c) != 0;
        u64::from(is_raised) << source::GPIO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_seen_outside_and_inputs_inside() {
        let mut gpio = Gpio::new();
        assert_eq!(gpio.output(10), None);
        gpio.write(0x24, 1 << 10);
        gpio.write(0x08, 1 << 10);
        assert_eq!(gpio.output(10), Some(true));
        gpio.write(0x0c, 1 << 10);
        assert_eq!(gpio.output(10), Some(false));
        assert_ne!(gpio.read(IN) & 1 << 9, 0);
        gpio.set_input(9, false);
        assert_eq!(gpio.read(IN) & 1 << 9, 0);
    }

    #[test]
    fn falling_edge_interrupts_once() {
        let mut gpio = Gpio::new();
        gpio.write(PIN_0 + 4 * 9, 2 << 7 | 1 << 13);
        gpio.set_input(9, false);
        assert_eq!(gpio.sources(), 1 << source::GPIO);
        gpio.write(0x4c, 1 << 9);
        assert_eq!(gpio.sources(), 0);
        gpio.set_input(9, true);
        assert_eq!(gpio.sources(), 0);
    }
}
