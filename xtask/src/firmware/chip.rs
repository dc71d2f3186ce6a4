//! The chips that images are made for.

use std::ops::Range;

use crate::targets;

/// A chip that the firmware is built for here.
///
/// The Xtensa chips are not among them: the compiler that the project pins has no inline assembly for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Chip {
    /// ESP32-C3
    Esp32c3,
    /// ESP32-C6
    Esp32c6,
}

/// The chips of the firmware that only their maker's compiler builds for, as features of the crate.
pub(super) const XTENSA: [&str; 2] = ["esp32", "esp32s3"];

/// The ESP32-C3's static RAM as the data bus sees it: 400 KB, its first 16 KB the instruction cache.
const C3_DATA: Range<u64> = 0x3fc7_c000..0x3fce_0000;
/// The same bytes as the instruction bus sees them.
const C3_INSTRUCTIONS: Range<u64> = 0x4037_c000..0x403e_0000;
/// The ESP32-C6's static RAM: 512 KB, one address for both buses.
const C6: Range<u64> = 0x4080_0000..0x4088_0000;

impl Chip {
    /// Returns the name as esptool, cargo features and folders have it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Esp32c3 => "esp32c3",
            Self::Esp32c6 => "esp32c6",
        }
    }

    /// Returns the compiler's target.
    pub(super) const fn target(self) -> &'static str {
        match self {
            Self::Esp32c3 => targets::BARE_METAL[0],
            Self::Esp32c6 => targets::BARE_METAL[1],
        }
    }

    /// Returns where in static RAM an address lies, in bytes from its begin, or nothing outside of it.
    ///
    /// One byte has one place, whichever bus the address is for.
    pub(super) fn place_in_ram(self, address: u64) -> Option<u64> {
        let buses: &[Range<u64>] = match self {
            Self::Esp32c3 => &[C3_DATA, C3_INSTRUCTIONS],
            Self::Esp32c6 => &[C6],
        };
        let bus = buses.iter().find(|bus| bus.contains(&address))?;
        Some(address - bus.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_that_both_buses_see_has_one_place() {
        let chip = Chip::Esp32c3;
        assert_eq!(chip.place_in_ram(0x4038_0000), Some(0x4000));
        assert_eq!(chip.place_in_ram(0x3fc8_0000), Some(0x4000));
        assert_eq!(Chip::Esp32c6.place_in_ram(0x4080_0010), Some(0x10));
        for outside in [0, 0x3c00_0020, 0x4200_0020, 0x5000_0000, 0x3fce_0000] {
            assert_eq!(chip.place_in_ram(outside), None, "{outside:#x}");
        }
    }
}
