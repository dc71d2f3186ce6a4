//! What an operation leaves behind when power goes in its middle.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::image::ERASED;

/// What the operation that was cut leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Torn {
    /// Nothing of it reached the flash.
    Untouched,
    /// Something between, drawn by a seed: noise, a finished beginning with old bytes or noise behind it, or some of the
    /// bits. A program still only clears bits, in the bytes it was to program; an erase leaves any value in its sector.
    Random,
    /// All of it reached the flash; only the caller never learned.
    Complete,
}

impl Torn {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Untouched, Self::Random, Self::Complete];

    /// Returns what lies on the flash after the cut, given what lay there and what was to lie there.
    pub(crate) fn leaves(self, before: &[u8], after: &[u8], erase: bool, seed: u64) -> Vec<u8> {
        match self {
            Self::Untouched => before.to_vec(),
            Self::Complete => after.to_vec(),
            Self::Random => random(before, after, erase, seed),
        }
    }
}

/// Draws one of the shapes that real chips leave: noise, a finished beginning with something behind it, or single bits
/// unfinished.
fn random(before: &[u8], after: &[u8], erase: bool, seed: u64) -> Vec<u8> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let shape = random.random_range(0..5u8);
    let finished = random.random_range(0..=before.len());
    let mut bytes: Vec<u8> = (before.iter().zip(after).enumerate())
        .map(|(index, (&before, &after))| match shape {
            0 => random.random(),
            1 if index < finished => after,
            1 => before,
            // Bits on their way between the two values, each arrived or not.
            2 => {
                let arrived: u8 = random.random();
                before & !arrived | after & arrived
            }
            _ if index < finished => after,
            3 if index >= finished + 4 => before,
            _ => random.random(),
        })
        .collect();
    if !erase {
        // A program, even a torn one, clears bits and never sets one.
        for (byte, before) in bytes.iter_mut().zip(before) {
            *byte &= before;
        }
    }
    bytes
}

/// Tells whether programming `new` over `old` would need a bit to be set.
pub(crate) fn sets_a_bit(old: u8, new: u8) -> bool {
    !old & new != 0
}

/// Tells whether a byte was programmed before; one programmed with all bits set does not show.
pub(crate) fn is_programmed(byte: u8) -> bool {
    byte != ERASED
}
