//! A signed number as a few bits of known odds: how long it is, its sign, its upper bits, and the rest as it is.

use super::range_coder::{Coder, Odds};

/// Lengths in bits that a number may have: differences of 32-bit values have 33.
const LENGTH_MAX: u32 = 34;
/// Lengths whose odds are told apart.
const LENGTHS: usize = 20;
/// Bits below the highest whose odds are learnt.
const UPPER_BITS: u32 = 3;

/// Odds of the length and sign of a number in one context.
#[derive(Clone, Copy, Debug)]
struct Context {
    /// Whether the number is longer than this.
    longer: [Odds; LENGTHS],
    /// Sign of numbers of one bit, and of longer ones.
    negative: [Odds; 2],
}

/// Learnt odds of one kind of number, in `CONTEXTS` contexts that share the odds of the upper bits.
#[derive(Clone, Debug)]
pub(super) struct Numbers<const CONTEXTS: usize> {
    contexts: [Context; CONTEXTS],
    /// By length, then by the bits so far behind a leading 1.
    upper: [[Odds; 1 << UPPER_BITS]; LENGTHS],
}

impl<const CONTEXTS: usize> Numbers<CONTEXTS> {
    pub(super) const NEW: Self = Self {
        contexts: [Context {
            longer: [Odds::EVEN; LENGTHS],
            negative: [Odds::EVEN; 2],
        }; CONTEXTS],
        upper: [[Odds::EVEN; 1 << UPPER_BITS]; LENGTHS],
    };

    /// Codes a number below 2^34 in a context: an encoder takes `value`, a decoder ignores it; both return the number.
    pub(super) fn code(&mut self, coder: &mut impl Coder, context: usize, value: i64) -> i64 {
        let context = &mut self.contexts[context.min(CONTEXTS - 1)];
        let magnitude = value.unsigned_abs();
        let wanted = length(value);
        let mut length = 0;
        while length < LENGTH_MAX {
            let odds = &mut context.longer[(length as usize).min(LENGTHS - 1)];
            if !coder.bit(odds, length < wanted) {
                break;
            }
            length += 1;
        }
        if length == 0 {
            return 0;
        }
        let negative = coder.bit(&mut context.negative[usize::from(length > 1)], value < 0);
        let upper = &mut self.upper[(length as usize).min(LENGTHS - 1)];
        let mut found = 1_u64;
        let mut below = length - 1;
        while below > 0 && length - 1 - below < UPPER_BITS {
            below -= 1;
            let odds = &mut upper[found as usize];
            found = found << 1 | u64::from(coder.bit(odds, magnitude >> below & 1 == 1));
        }
        let rest = coder.raw(below, magnitude & ((1 << below) - 1));
        let found = (found << below | rest) as i64;
        if negative { -found } else { found }
    }
}

/// Returns how many bits a number's magnitude has.
pub(super) fn length(value: i64) -> u32 {
    64 - value.unsigned_abs().leading_zeros()
}
