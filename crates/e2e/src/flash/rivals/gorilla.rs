//! Floats as the exclusive or with the one before.
//!
//! From T. Pelkonen and others, "Gorilla: A Fast, Scalable, In-Memory Time Series Database", VLDB 8 (2015), section 4.1.2;
//! values alone, without its timestamps.

use protocol::ChannelReading;

use super::{FIELDS, fields};

/// Bytes of the rows, each field a series of its own that begins anew in each segment.
///
/// The floats hold whole numbers of the field's unit, which leaves most of their bits 0: the household's decimals in kW,
/// kvar, V and A would take 22 bytes a row.
#[must_use]
pub fn gorilla_bytes(rows: &[ChannelReading], segments: &[usize]) -> usize {
    let mut bytes = 0;
    for segment in super::split(rows, segments) {
        for field in 0..FIELDS {
            let series: Vec<f64> = segment
                .iter()
                .map(|row| fields(row)[field] as f64)
                .collect();
            bytes += encode(&series).len().div_ceil(8);
        }
    }
    bytes
}

/// Bits, highest first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn push(&mut self, value: u64, count: u32) {
        self.0
            .extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    }
}

/// The bits that differed when a window was last written: how many zeros lead, and how many bits follow them.
#[derive(Clone, Copy)]
struct Window {
    leading: u32,
    bits: u32,
}

impl Window {
    /// Most zeros that 5 bits can tell.
    const LEADING_MAX: u32 = 31;

    fn of(difference: u64) -> Self {
        let leading = difference.leading_zeros().min(Self::LEADING_MAX);
        let bits = 64 - leading - difference.trailing_zeros();
        Self { leading, bits }
    }

    fn trailing(self) -> u32 {
        64 - self.leading - self.bits
    }

    fn covers(self, other: Self) -> bool {
        self.leading <= other.leading && self.trailing() <= other.trailing()
    }
}

fn encode(series: &[f64]) -> Vec<bool> {
    let mut bits = Bits::default();
    let Some((first, rest)) = series.split_first() else {
        return bits.0;
    };
    let mut last = first.to_bits();
    bits.push(last, 64);
    let mut window: Option<Window> = None;
    for value in rest {
        let difference = value.to_bits() ^ last;
        last = value.to_bits();
        if difference == 0 {
            bits.push(0, 1);
            continue;
        }
        let needed = Window::of(difference);
        let window = match window {
            Some(window) if window.covers(needed) => {
                bits.push(0b10, 2);
                window
            }
            _ => {
                bits.push(0b11, 2);
                bits.push(needed.leading.into(), 5);
                // 64 bits are told as 0, which no window has.
                bits.push((needed.bits % 64).into(), 6);
                *window.insert(needed)
            }
        };
        bits.push(difference >> window.trailing(), window.bits);
    }
    bits.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt as _, SeedableRng as _};

    fn decode(bits: &[bool], count: usize) -> Vec<f64> {
        let mut rest = bits.iter();
        let mut take = |count: u32| {
            (0..count).fold(0_u64, |value, _| {
                value << 1 | u64::from(*rest.next().expect("bits"))
            })
        };
        let mut last = take(64);
        let mut series = vec![f64::from_bits(last)];
        let mut window = Window {
            leading: 0,
            bits: 0,
        };
        while series.len() < count {
            if take(1) == 1 {
                if take(1) == 1 {
                    let leading = take(5) as u32;
                    let bits = (take(6) as u32 + 63) % 64 + 1;
                    window = Window { leading, bits };
                }
                last ^= take(window.bits) << window.trailing();
            }
            series.push(f64::from_bits(last));
        }
        assert!(rest.next().is_none());
        series
    }

    #[test]
    fn any_floats_come_back() {
        let mut random = rand_pcg::Pcg64::seed_from_u64(3);
        let mut series = vec![0.0, -0.0, 1.0, 1.0, f64::MIN_POSITIVE, f64::MAX, -f64::MAX];
        series.extend((0..2_000).map(|_| f64::from(random.random_range(-50_i32..5_000))));
        series.extend((0..2_000).map(|_| f64::from_bits(random.random::<u64>() & !(1 << 62))));
        let found = decode(&encode(&series), series.len());
        let bits = |series: &[f64]| {
            series
                .iter()
                .map(|value| value.to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(bits(&found), bits(&series));
    }

    #[test]
    fn lengths_are_those_of_the_paper() {
        // A value that stays takes one bit.
        assert_eq!(encode(&[12.0; 9]).len(), 64 + 8);
        // Figure 2 of the paper: 12 and 24 differ in 1 bit behind 11 zeros: a window, then within it.
        assert_eq!(encode(&[12.0, 24.0]).len(), 64 + 2 + 5 + 6 + 1);
        assert_eq!(encode(&[12.0, 24.0, 12.0]).len(), 64 + 14 + 3);
    }
}
