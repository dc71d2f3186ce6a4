//! Noise is not counted: a gate before the registers.
//!
//! Time is cut into spans of at most 10 s that end with the intervals. A span's energy passes as a whole or not at all:
//! while the gate is closed, its mean power must reach the limit to open it; while it is open, half of that keeps it open.
//! A span shorter than 10 s has more noise in its mean, so its limit is higher: the energy of white noise grows with the
//! square root of time.

/// Longest time that is decided on at once.
const SPAN_US: u64 = 10_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Gate {
    limit_uw: u64,
    open: bool,
    energy_pj: i128,
    length_us: u64,
}

impl Gate {
    pub(crate) fn new(limit_mw: u16) -> Self {
        Self {
            limit_uw: u64::from(limit_mw) * 1_000,
            open: false,
            energy_pj: 0,
            length_us: 0,
        }
    }

    /// Changes the limit; the gate stays as it is.
    pub(crate) fn set_limit(&mut self, limit_mw: u16) {
        self.limit_uw = u64::from(limit_mw) * 1_000;
    }

    /// Time that may still be added before the span must be closed, at least 1.
    pub(crate) fn room_us(&self) -> u64 {
        SPAN_US - self.length_us
    }

    /// Energy that is not decided on yet, in pJ.
    pub(crate) fn undecided_pj(&self) -> i128 {
        self.energy_pj
    }

    /// Adds some time's energy to the open span; returns what passes where that fills it.
    pub(crate) fn add(&mut self, energy_pj: i128, length_us: u64) -> Option<Passed> {
        self.energy_pj += energy_pj;
        self.length_us += length_us;
        if self.length_us < SPAN_US {
            return None;
        }
        self.close()
    }

    /// Closes the span and returns what passes of it; `None` where no time was added.
    pub(crate) fn close(&mut self) -> Option<Passed> {
        if self.length_us == 0 {
            return None;
        }
        let energy_pj = core::mem::take(&mut self.energy_pj);
        let length_us = core::mem::take(&mut self.length_us);
        let limit_uw = if self.open {
            self.limit_uw / 2
        } else {
            self.limit_uw
        };
        // (µW)² · µs · µs are pJ²: 2^52 · 2^24 · 2^24; more energy than 2^60 is load in any case.
        let limit_pj2 = u128::from(limit_uw).pow(2) * u128::from(length_us) * u128::from(SPAN_US);
        let magnitude_pj = energy_pj.unsigned_abs().min(1 << 60);
        self.open = magnitude_pj.pow(2) >= limit_pj2;
        Some(Passed {
            energy_pj: if self.open { energy_pj } else { 0 },
            is_load: self.open,
        })
    }
}

/// What the gate lets through of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) energy_pj: i128,
    /// Whether the span was taken for a load.
    pub(crate) is_load: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;

    fn span(gate: &mut Gate, power_w: i128, length_us: u64) -> bool {
        gate.add(power_w * 1_000_000 * i128::from(length_us), length_us)
            .or_else(|| gate.close())
            .is_some_and(|passed| passed.is_load)
    }

    #[test]
    fn a_load_opens_the_gate_and_half_of_it_keeps_it_open() {
        let mut gate = Gate::new(4_000);
        let powers = [3, 4, 3, 2, 1, 3, -4, -2, -1];
        let seen = powers.map(|power_w| span(&mut gate, power_w, 10 * S));
        let expected = [false, true, true, true, false, false, true, true, false];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_short_span_needs_more_power() {
        // A tenth of the time: √10 = 3.16 times the power.
        let seen = |power_w| span(&mut Gate::new(4_000), power_w, S);
        assert!(!seen(12) && seen(13));
    }

    #[test]
    fn what_passes_is_whole() {
        let mut gate = Gate::new(4_000);
        assert_eq!(gate.add(7, 4 * S), None);
        assert_eq!((gate.room_us(), gate.undecided_pj()), (6 * S, 7));
        let load_pj = 50_000_000 * i128::from(6 * S);
        let passed = gate.add(load_pj, 6 * S).expect("the span is full");
        assert_eq!(passed.energy_pj, load_pj + 7);
        assert_eq!(gate.undecided_pj(), 0);
        assert!(span(&mut Gate::new(0), 0, S), "no limit counts everything");
    }

    #[test]
    fn nothing_is_decided_on_no_time() {
        let mut gate = Gate::new(4_000);
        assert_eq!(gate.close(), None);
        assert!(!span(&mut gate, 3, 10 * S), "the gate stayed closed");
    }
}
