//! How a sector fails for good.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// How a sector fails; it can be read with each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Programs and erases return [`WriteFailed`](crate::NorError::WriteFailed) and change nothing.
    Refuses,
    /// Programs and erases return `Ok`, and the cells keep what they had.
    Silent,
    /// Programs return `Ok`, and the same cells, one in 128 and drawn by the seed, never take a 0. Erases work.
    Weak {
        /// Draws the weak cells of the sector.
        seed: u64,
    },
}

impl Fault {
    /// Puts back into `after` what an operation on these cells cannot change; `offset` is where they lie in their sector.
    pub(crate) fn restore(self, before: &[u8], after: &mut [u8], offset: usize, erase: bool) {
        match self {
            Self::Refuses | Self::Silent => after.copy_from_slice(before),
            Self::Weak { .. } if erase => {}
            Self::Weak { seed } => {
                for (index, (after, before)) in after.iter_mut().zip(before).enumerate() {
                    *after |= before & weak_cells(seed, offset + index);
                }
            }
        }
    }
}

/// Draws the weak cells of one byte, each with a chance of one in 128. A draw of its own for each byte keeps them the
/// same whatever is programmed when.
fn weak_cells(seed: u64, offset: usize) -> u8 {
    let seed = seed.wrapping_add((offset as u64) << 32);
    let draws: [u8; 8] = Pcg64Mcg::seed_from_u64(seed).random();
    draws
        .iter()
        .fold(0, |cells, draw| cells << 1 | u8::from(draw % 128 == 0))
}
