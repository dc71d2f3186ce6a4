//! Harmonics of voltage and current, on request, over one window of whole cycles.
//!
//! Each order is correlated with its sine and cosine while the samples pass, so no sample is kept and none is missed. The
//! phase of the order is that of the fundamental times the order; the fundamental's phase begins anew with each cycle.

use crate::{config::Pair, output::Harmonics, sine::cosine_sine};

/// Orders that are measured.
pub(crate) const ORDERS: usize = 15;
/// Weight of a whole sample: a code of 17 bits times this fits into 32 bits.
const WHOLE: i32 = 1 << 14;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Requested,
    Recording,
}

/// Cosine and sine sums of voltage and current by order, in 1/2^28 code: below 2^59.
type Sums = [[i64; 4]; ORDERS];

#[derive(Clone, Debug)]
pub(crate) struct Spectrometer {
    state: State,
    sums: Sums,
}

impl Spectrometer {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Idle,
            sums: [[0; 4]; ORDERS],
        }
    }

    /// Asks for the next whole window.
    pub(crate) fn request(&mut self) {
        if self.state == State::Idle {
            self.state = State::Requested;
        }
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.state == State::Recording
    }

    /// Drops what was recorded, for the next whole window to begin anew: samples of this one are missing.
    pub(crate) fn interrupt(&mut self) {
        if self.is_recording() {
            self.state = State::Requested;
        }
    }

    /// Begins with a window, if that was asked for.
    pub(crate) fn begin(&mut self) {
        if self.state == State::Requested {
            self.state = State::Recording;
            self.sums = [[0; 4]; ORDERS];
        }
    }

    /// Adds whole samples from a phase on.
    pub(crate) fn add(&mut self, pairs: &[Pair], reference: (i32, i32), phase: u32, step: u32) {
        let mut phase = phase;
        for &pair in pairs {
            self.add_weighted(pair, reference, phase, WHOLE);
            phase = phase.wrapping_add(step);
        }
    }

    /// Adds `weight_q15` of the sample that a window's edge splits, −2^14 to 2^14.
    pub(crate) fn add_part(
        &mut self,
        pair: Pair,
        reference: (i32, i32),
        phase: u32,
        weight_q15: i64,
    ) {
        self.add_weighted(pair, reference, phase, (weight_q15 >> 1) as i32);
    }

    fn add_weighted(&mut self, pair: Pair, reference: (i32, i32), phase: u32, weight: i32) {
        let x = (i32::from(pair.voltage) - reference.0) * weight;
        let y = (i32::from(pair.current) - reference.1) * weight;
        let mut order_phase = 0_u32;
        for sums in &mut self.sums {
            order_phase = order_phase.wrapping_add(phase);
            let (cosine, sine) = cosine_sine(order_phase);
            sums[0] += i64::from(x) * i64::from(cosine);
            sums[1] += i64::from(x) * i64::from(sine);
            sums[2] += i64::from(y) * i64::from(cosine);
            sums[3] += i64::from(y) * i64::from(sine);
        }
    }

    /// Ends with a window; returns voltage and current where the whole of it was recorded.
    pub(crate) fn finish(&mut self) -> Option<(Harmonics, Harmonics)> {
        if !self.is_recording() {
            return None;
        }
        self.state = State::Idle;
        Some((harmonics(&self.sums, 0), harmonics(&self.sums, 2)))
    }
}

fn harmonics(sums: &Sums, at: usize) -> Harmonics {
    // Squares below 2^119, 14 of them below 2^123.
    let square = |order: &[i64; 4]| {
        let (cosine, sine) = (order[at].unsigned_abs(), order[at + 1].unsigned_abs());
        u128::from(cosine).pow(2) + u128::from(sine).pow(2)
    };
    let fundamental = square(&sums[0]).isqrt();
    let share = |power: u128| {
        let share = (power.isqrt() * 10_000 + fundamental / 2).checked_div(fundamental);
        share.map_or(0, |share| u16::try_from(share).unwrap_or(u16::MAX))
    };
    let mut shares = [0; ORDERS];
    for (found, order) in shares.iter_mut().zip(sums) {
        *found = share(square(order));
    }
    Harmonics {
        shares,
        distortion: share(sums[1..].iter().map(square).sum()),
    }
}
