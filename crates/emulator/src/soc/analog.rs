//! The serial bus inside the chip to its analog parts (regi2c): registers that keep what is written, and flags that say
//! that calibrations are done. Nothing analog is modelled.

use std::collections::BTreeMap;

use super::words::Words;

/// Two masters at the first two words; behind them what the PAC calls I2C_ANA_MST.
const MASTERS: u32 = 0x08;
const ANALOG_CONFIG: u32 = 0x40;
/// The power detector of the radio; its state is 7 when it is done.
const DETECTOR: u32 = 0x50;
const DETECTOR_DONE: u32 = 7 << 24;
/// The comparator of the transmitter's calibration is done.
const COMPARATOR: u32 = 0x4c;
const COMPARATOR_DONE: u32 = 1 << 24;
const PLL_DONE: u32 = 1 << 24;
const WRITE: u32 = 1 << 24;
const BUSY: u32 = 1 << 25;

#[derive(Clone, Debug)]
pub(crate) struct Analog {
    words: Words,
    /// By master, block and register.
    values: BTreeMap<(u32, u8, u8), u8>,
}

impl Analog {
    pub(crate) fn new() -> Self {
        Self {
            words: Words::new(&[]),
            values: BTreeMap::new(),
        }
    }

    pub(crate) fn read(&self, offset: u32) -> u32 {
        match offset {
            ANALOG_CONFIG => self.words.get(offset) | PLL_DONE,
            COMPARATOR => self.words.get(offset) | COMPARATOR_DONE,
            DETECTOR => self.words.get(offset) | DETECTOR_DONE,
            _ => self.words.get(offset),
        }
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32) {
        self.words.set(offset, value);
        if offset >= MASTERS {
            return;
        }
        let [block, register, data, _] = value.to_le_bytes();
        let key = (offset, block, register);
        if value & WRITE != 0 {
            self.values.insert(key, data);
        }
        let data = self.values.get(&key).copied().unwrap_or(
            // Blocks of which a bit says that a calibration ended: of the PLL, and of the band gap.
            match (block, register) {
                (0x66, 8) => 1 << 6,
                (0x61, 3) => 1 << 3 | 1,
                _ => 0,
            },
        );
        let answer = value & !(0xff << 16 | BUSY) | u32::from(data) << 16;
        self.words.set(offset, answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_come_back_and_are_never_busy() {
        let mut analog = Analog::new();
        analog.write(0, WRITE | 0x5a << 16 | 7 << 8 | 0x69);
        analog.write(0, 6 << 8 | 0x69);
        assert_eq!(analog.read(0) >> 16 & 0xff, 0);
        analog.write(0, BUSY | 7 << 8 | 0x69);
        assert_eq!(
            (analog.read(0) >> 16 & 0xff, analog.read(0) & BUSY),
            (0x5a, 0)
        );
    }
}
