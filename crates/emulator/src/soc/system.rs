//! SYSTEM: the processor's clock and the interrupts that software raises. Clock gates and resets of peripherals are only
//! registers: every peripheral has its clock.

use super::{interrupts::source, words::Words};

const CPU_PERIOD: u32 = 0x08;
const FROM_CPU: u32 = 0x28;
const SYSTEM_CLOCK: u32 = 0x58;

#[derive(Clone, Debug)]
pub(crate) struct System {
    words: Words,
}

impl System {
    pub(crate) fn new() -> Self {
        Self {
            words: Words::new(&[
                (0x00, 0xc0),
                (CPU_PERIOD, 0x0c),
                (0x0c, 1),
                (0x10, 0xf9c1_e06f),
                (0x14, 0x200),
                (0x1c, 0x1fe),
                (0x20, 0xff),
                (0x24, 0x0200_1001),
                (0x38, 1),
                (0x40, 5),
                (0x48, 0x7ff0_0000),
                (0x54, 1),
                (SYSTEM_CLOCK, 1),
                (0xffc, 0x0200_7150),
            ]),
        }
    }

    pub(crate) fn read(&self, offset: u32) -> u32 {
        match offset {
            // The frequency of the crystal, 40 MHz, can only be read.
            SYSTEM_CLOCK => self.words.get(offset) & 0xfff | 40 << 12 | 1 << 19,
            _ => self.words.get(offset),
        }
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32) {
        self.words.set(offset, value);
    }

    /// Returns how many cycles of 160 MHz one of the processor takes.
    pub(crate) fn cycle(&self) -> u64 {
        let clock = self.words.get(SYSTEM_CLOCK);
        let divider = u64::from(clock & 0x3ff) + 1;
        match clock >> 10 & 3 {
            1 if self.words.get(CPU_PERIOD) & 3 == 0 => 2,
            1 => 1,
            // The fast RC oscillator has 17.5 MHz, the crystal 40.
            2 => 9 * divider,
            _ => 4 * divider,
        }
    }

    pub(crate) fn sources(&self) -> u64 {
        (0..4)
            .map(|number| u64::from(self.words.get(FROM_CPU + 4 * number) & 1) << number)
            .sum::<u64>()
            << source::FROM_CPU_0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_follows_its_registers() {
        let mut system = System::new();
        // Half of the crystal after a reset.
        assert_eq!(system.cycle(), 8);
        system.write(SYSTEM_CLOCK, 1 << 10);
        assert_eq!(system.cycle(), 2);
        system.write(CPU_PERIOD, 0x0d);
        assert_eq!(system.cycle(), 1);
    }

    #[test]
    fn software_raises_four_interrupts() {
        let mut system = System::new();
        system.write(FROM_CPU + 8, 1);
        assert_eq!(system.sources(), 1 << 52);
    }
}
