//! eFuse: the words that are burnt into a chip. They can be read, not programmed.
//!
//! Block 1 holds the MAC and the revision of the chip, block 2 the calibration of its ADC.

use super::words::Words;

const BLOCK_1: u32 = 0x44;
const BLOCK_2: u32 = 0x5c;
const COMMAND: u32 = 0x1d4;

#[derive(Clone, Debug)]
pub(crate) struct Efuse {
    words: Words,
}

/// Revision of the chip, which must fit its mask ROM.
const REVISION_MAJOR: u32 = 1;
const REVISION_MINOR: u32 = 1;
/// Initial code of the ADC at its four attenuations, less 1,000. Invented, of the size that chips have.
const INITIAL_CODE_OFFSETS: [u32; 4] = [320, 300, 290, 240];
/// Code of the ADC for 400, 550, 750 and 1,370 mV at its four attenuations, less 2,000; bit 9 would be the sign. Invented,
/// of the size that chips have.
const CALIBRATION_OFFSETS: [u32; 4] = [60, 50, 40, 30];

impl Efuse {
    pub(crate) fn new(mac: [u8; 6]) -> Self {
        let mut efuse = Self {
            words: Words::new(&[(0x1fc, 0x0200_7200)]),
        };
        let [a, b, c, d, e, f] = mac;
        efuse.burn(BLOCK_1, 0, 32, u32::from_be_bytes([c, d, e, f]));
        efuse.burn(BLOCK_1, 32, 16, u32::from_be_bytes([0, 0, a, b]));
        efuse.burn(BLOCK_1, 114, 3, REVISION_MINOR & 7);
        efuse.burn(BLOCK_1, 183, 1, REVISION_MINOR >> 3);
        efuse.burn(BLOCK_1, 184, 2, REVISION_MAJOR);
        // The calibration's version, and its values.
        efuse.burn(BLOCK_2, 128, 2, 1);
        efuse.burn(BLOCK_1, 120, 3, 1);
        for (attenuation, code) in (0..).zip(INITIAL_CODE_OFFSETS) {
            efuse.burn(BLOCK_2, 148 + 10 * attenuation, 10, code);
        }
        for (attenuation, code) in (0..).zip(CALIBRATION_OFFSETS) {
            efuse.burn(BLOCK_2, 188 + 10 * attenuation, 10, code);
        }
        efuse
    }

    /// Sets bits of a block that are still 0.
    fn burn(&mut self, block: u32, bit: u32, width: u32, value: u32) {
        for index in (0..width).filter(|index| value >> index & 1 != 0) {
            let at = bit + index;
            let offset = block + 4 * (at / 32);
            self.words
                .set(offset, self.words.get(offset) | 1 << (at % 32));
        }
    }

    pub(crate) fn read(&self, offset: u32) -> u32 {
        self.words.get(offset)
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32) {
        // Commands end at once; what is burnt stays.
        if offset > 0x190 && offset != COMMAND {
            self.words.set(offset, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_and_revision_lie_where_the_rom_reads_them() {
        let efuse = Efuse::new([0x02, 0x11, 0x22, 0x33, 0x44, 0x55]);
        assert_eq!(efuse.read(0x44), 0x2233_4455);
        assert_eq!(efuse.read(0x48) & 0xffff, 0x0211);
        assert_eq!(efuse.read(0x50) >> 18 & 7, 1);
        assert_eq!(efuse.read(0x58) >> 24 & 3, 1);
    }

    #[test]
    fn calibration_words_cross_their_words() {
        let efuse = Efuse::new([0; 6]);
        // Bits 188 to 197: the upper 4 of the sixth word and the lower 6 of the seventh.
        let low = efuse.read(BLOCK_2 + 20) >> 28;
        let high = efuse.read(BLOCK_2 + 24) & 0x3f;
        assert_eq!(high << 4 | low, CALIBRATION_OFFSETS[0]);
    }
}
