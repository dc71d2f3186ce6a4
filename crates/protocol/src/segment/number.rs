//! A signed number as a few bits of known odds: how long it is, its sign, its upper bits, and the rest as it is.

use super::range_coder::{Coder, Odds};

/// Lengths in bits that a number may have: differences of 32-bit values have 33.
const LENGTH_MAX: u32 = 34;
/// Lengths whose odds are told apart; longer ones share the last.
const LENGTHS: usize = 12;
/// Lengths whose upper bits are told apart.
const UPPER_LENGTHS: usize = 8;
/// Bits below the highest whose odds are learnt.
const UPPER_BITS: u32 = 3;

/// Whether a number is longer than so many bits.
type Longer = [Odds; LENGTHS];

/// What is expected before anything was seen: a length, give or take a few bits.
///
/// A guess for any source, not taken from data: it spares a run the cost of learning that lengths come in clusters.
fn longer_than_expected(expected: usize) -> Longer {
    core::array::from_fn(|length| {
        Odds::of_zero(match expected.saturating_sub(length) {
            3.. => 10,
            2 => 20,
            1 => 30,
            0 if length == expected => 50,
            0 => 60,
        })
    })
}

/// Where a number stands: what was seen before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// First context.
    pub(super) first: usize,
    /// Second context.
    pub(super) second: usize,
    /// A number whose sign may tell this one's.
    pub(super) sign_of: i64,
}

#[derive(Clone, Copy, Debug)]
struct Context {
    longer: Longer,
    /// By the sign that may tell: negative, none, positive; of numbers of one bit, and of longer ones.
    negative: [[Odds; 2]; 3],
}

/// Learnt odds of one kind of number, in two kinds of contexts; all share the odds of the upper bits.
#[derive(Clone, Debug)]
pub(super) struct Numbers<const FIRST: usize, const SECOND: usize> {
    first: [Context; FIRST],
    second: [Longer; SECOND],
    /// By length, then by the bits so far behind a leading 1.
    upper: [[Odds; 1 << UPPER_BITS]; UPPER_LENGTHS],
}

impl<const FIRST: usize, const SECOND: usize> Numbers<FIRST, SECOND> {
    /// Begins with the lengths in bits that are expected in each context.
    pub(super) fn new(first: fn(usize) -> usize, second: fn(usize) -> usize) -> Self {
        Self {
            first: core::array::from_fn(|context| Context {
                longer: longer_than_expected(first(context)),
                negative: [[Odds::EVEN; 2]; 3],
            }),
            second: core::array::from_fn(|context| longer_than_expected(second(context))),
            upper: [[Odds::EVEN; 1 << UPPER_BITS]; UPPER_LENGTHS],
        }
    }

    /// Codes a number below 2^34; contexts beyond the last count as the last.
    ///
    /// An encoder takes `value`, a decoder ignores it; both return the number.
    pub(super) fn code(&mut self, coder: &mut impl Coder, place: Place, value: i64) -> i64 {
        let first = &mut self.first[place.first.min(FIRST - 1)];
        let second = &mut self.second[place.second.min(SECOND - 1)];
        let magnitude = value.unsigned_abs();
        let wanted = length(value);
        let mut length = 0;
        while length < LENGTH_MAX {
            let at = (length as usize).min(LENGTHS - 1);
            let (one, other) = (&mut first.longer[at], &mut second[at]);
            if !coder.bit_of_two(one, other, length < wanted) {
                break;
            }
            length += 1;
        }
        if length == 0 {
            return 0;
        }
        let sign = (place.sign_of.signum() + 1) as usize;
        let odds = &mut first.negative[sign][usize::from(length > 1)];
        let negative = coder.bit(odds, value < 0);
        let upper = &mut self.upper[(length as usize).min(UPPER_LENGTHS - 1)];
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
