//! An adaptive binary range coder: bits of known odds take what they are worth, to a fraction of a bit.
//!
//! Written from G. N. N. Martin, "Range encoding" (1979), with the carry kept back until it is known, as in I. H. Witten's
//! and others' arithmetic coders. Encoder and decoder are driven by the same code: what one is told, the other tells.

/// Odds of a bit, learnt: the probability of 0 in 1/2^12, 1 to 4,095, and how often it was seen, up to 15 times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Odds(u16);

/// How far the odds go towards a bit, in 1/2^16, by how often one was seen: from a fourth to a nineteenth of the way.
const RATES: [u32; 16] = {
    let mut rates = [0; 16];
    let mut seen = 0;
    while seen < rates.len() {
        rates[seen] = (1 << 16) / (seen as u32 + 4);
        seen += 1;
    }
    rates
};

impl Odds {
    pub(super) const EVEN: Self = Self::of_zero(50);

    /// Odds at first, by the probability of 0 in percent, 1 to 99.
    pub(super) const fn of_zero(percent: u16) -> Self {
        Self(((4_096 * percent as u32 / 100) as u16) << 4)
    }

    fn zero(self) -> u32 {
        u32::from(self.0 >> 4)
    }

    /// Never reaches 0 or 1: a part of what is left is less than all of it.
    fn learn(&mut self, bit: bool) {
        let (zero, seen) = (self.zero(), self.0 & 15);
        let rate = RATES[usize::from(seen)];
        let zero = if bit {
            zero - ((zero * rate) >> 16)
        } else {
            zero + (((4_096 - zero) * rate) >> 16)
        };
        self.0 = (zero as u16) << 4 | (seen + 1).min(15);
    }
}

/// Returns the probability of 0 on which two opinions agree: its odds are the geometric mean of theirs.
///
/// Whoever is sure outweighs whoever is not, so a context that was hardly seen does little harm.
fn agreed(one: Odds, other: Odds) -> u32 {
    // Below 2^24, times 2^8.
    let mean = |one: u32, other: u32| ((one * other) << 8).isqrt();
    let zero = mean(one.zero(), other.zero());
    let not = mean(4_096 - one.zero(), 4_096 - other.zero());
    zero * 4_096 / (zero + not)
}

/// Either side of a code.
pub(super) trait Coder {
    /// Codes a bit by the probability of 0 in 1/2^12, 1 to 4,095: an encoder takes `bit` and returns it, a decoder
    /// returns what was coded.
    fn code(&mut self, zero: u32, bit: bool) -> bool;

    /// Codes the lowest `count` bits of a value at even odds, up to 32.
    fn raw(&mut self, count: u32, value: u64) -> u64;

    /// Codes a bit by its odds, which learn.
    fn bit(&mut self, odds: &mut Odds, bit: bool) -> bool {
        let bit = self.code(odds.zero(), bit);
        odds.learn(bit);
        bit
    }

    /// Codes a bit by two opinions on it, which learn both.
    fn bit_of_two(&mut self, one: &mut Odds, other: &mut Odds, bit: bool) -> bool {
        let bit = self.code(agreed(*one, *other), bit);
        one.learn(bit);
        other.learn(bit);
        bit
    }
}

const TOP: u32 = 1 << 24;

/// Where an encoder stands; what was written before never changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    low: u64,
    range: u32,
    /// The last byte that a carry may still change, and how many of 255 follow it.
    held: u8,
    held_full: u32,
    begun: bool,
    at: usize,
}

/// Bytes that [`Encoder::finish`] writes at the most, besides those that are held.
const FINISH_BYTES: usize = 5;

#[derive(Debug)]
pub(super) struct Encoder<'a> {
    buffer: &'a mut [u8],
    position: Position,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(buffer: &'a mut [u8]) -> Self {
        let position = Position {
            low: 0,
            range: u32::MAX,
            held: 0,
            held_full: 0,
            begun: false,
            at: 0,
        };
        Self { buffer, position }
    }

    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Goes back to an earlier position.
    pub(super) fn restore(&mut self, position: Position) {
        self.position = position;
    }

    /// Tells whether what was coded so far can be finished within the buffer.
    pub(super) fn fits(&self) -> bool {
        let held = 1 + self.position.held_full as usize;
        self.position.at + held + FINISH_BYTES <= self.buffer.len()
    }

    /// Writes what is left and returns the length.
    pub(super) fn finish(mut self) -> usize {
        for _ in 0..FINISH_BYTES {
            self.shift();
        }
        // A decoder reads zeros behind the end.
        let written = &self.buffer[..self.position.at.min(self.buffer.len())];
        written
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1)
    }

    fn normalise(&mut self) {
        while self.position.range < TOP {
            self.position.range <<= 8;
            self.shift();
        }
    }

    /// Moves the highest byte of `low` out, once no carry can reach it.
    fn shift(&mut self) {
        let Position { low, .. } = self.position;
        if low < 0xff00_0000 || low > u64::from(u32::MAX) {
            let carry = (low >> 32) as u8;
            if self.position.begun {
                self.put(self.position.held.wrapping_add(carry));
            }
            for _ in 0..core::mem::take(&mut self.position.held_full) {
                self.put(0xff_u8.wrapping_add(carry));
            }
            self.position.held = (low >> 24) as u8;
            self.position.begun = true;
        } else {
            self.position.held_full += 1;
        }
        self.position.low = (low & 0x00ff_ffff) << 8;
    }

    /// Counts bytes beyond the buffer too: whoever coded too much goes back.
    fn put(&mut self, byte: u8) {
        if let Some(place) = self.buffer.get_mut(self.position.at) {
            *place = byte;
        }
        self.position.at += 1;
    }
}

impl Coder for Encoder<'_> {
    fn code(&mut self, zero: u32, bit: bool) -> bool {
        let bound = (self.position.range >> 12) * zero;
        if bit {
            self.position.low += u64::from(bound);
            self.position.range -= bound;
        } else {
            self.position.range = bound;
        }
        self.normalise();
        bit
    }

    fn raw(&mut self, count: u32, value: u64) -> u64 {
        for index in (0..count).rev() {
            self.position.range >>= 1;
            if value >> index & 1 == 1 {
                self.position.low += u64::from(self.position.range);
            }
            self.normalise();
        }
        value
    }
}

#[derive(Debug)]
pub(super) struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    code: u32,
    range: u32,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Self {
            bytes,
            at: 0,
            code: 0,
            range: u32::MAX,
        };
        for _ in 0..4 {
            decoder.code = decoder.code << 8 | decoder.next();
        }
        decoder
    }

    fn next(&mut self) -> u32 {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte.into()
    }

    fn normalise(&mut self) {
        while self.range < TOP {
            self.range <<= 8;
            self.code = self.code << 8 | self.next();
        }
    }
}

impl Coder for Decoder<'_> {
    fn code(&mut self, zero: u32, _bit: bool) -> bool {
        let bound = (self.range >> 12) * zero;
        let bit = self.code >= bound;
        if bit {
            self.code -= bound;
            self.range -= bound;
        } else {
            self.range = bound;
        }
        self.normalise();
        bit
    }

    fn raw(&mut self, count: u32, _value: u64) -> u64 {
        let mut value = 0;
        for _ in 0..count {
            self.range >>= 1;
            let bit = self.code >= self.range;
            if bit {
                self.code -= self.range;
            }
            value = value << 1 | u64::from(bit);
            self.normalise();
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odds(zero: u16) -> Odds {
        Odds(zero << 4)
    }

    #[test]
    fn agreed_odds_are_between_two_and_never_certain() {
        for one in (1..4_096).step_by(13).chain([2, 4_095]) {
            for other in (1..4_096).step_by(31).chain([2, 4_095]) {
                let agreed = agreed(odds(one), odds(other));
                let (low, high) = (u32::from(one.min(other)), u32::from(one.max(other)));
                // Square roots are rounded down, by less than two parts.
                assert!((1..=4_095).contains(&agreed), "{one} {other}");
                assert!(agreed + 2 >= low && agreed <= high + 2, "{one} {other}");
            }
        }
        assert_eq!(agreed(odds(2_048), odds(2_048)), 2_048);
        assert_eq!(agreed(odds(1_000), odds(3_096)), 2_048);
    }

    #[test]
    fn odds_learn_within_their_ends() {
        for bit in [false, true] {
            let mut odds = Odds::EVEN;
            for _ in 0..1_000 {
                odds.learn(bit);
            }
            let zero = odds.zero();
            let off = if bit { zero } else { 4_096 - zero };
            assert!((1..20).contains(&off), "{off}");
        }
    }
}
