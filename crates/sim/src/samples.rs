//! The samples of a simulated meter, in portions as a DMA buffer gives them.

use std::cell::RefCell;

use device::Meter;
use metering::Pair;
use nor_model::Nor;

use crate::signal::Generator;

/// Samples are fed in portions of about 100 ms, as a DMA buffer would.
pub(crate) const PORTIONS_A_SECOND: u32 = 10;

/// The samples of a meter and how far they have come in this boot.
pub(crate) struct Samples {
    /// One a channel.
    generators: Vec<Generator>,
    /// One portion of one channel.
    pairs: Vec<Pair>,
    rate_hz: u32,
    /// Uptime before the first sample.
    begun_us: u64,
    /// Pairs of each channel so far.
    fed: u64,
}

impl Samples {
    /// Begins at an uptime with one generator a channel.
    pub(crate) fn new(generators: Vec<Generator>, rate_hz: u32, begun_us: u64) -> Self {
        Self {
            generators,
            pairs: vec![Pair::default(); (rate_hz / PORTIONS_A_SECOND) as usize],
            rate_hz,
            begun_us,
            fed: 0,
        }
    }

    /// Pairs of all channels together so far.
    pub(crate) fn total(&self) -> u64 {
        self.fed * self.generators.len() as u64
    }

    /// Measures a portion of each channel and returns the uptime at its end.
    pub(crate) fn feed(&mut self, meter: &RefCell<Meter<Nor>>) -> u64 {
        self.fed += self.pairs.len() as u64;
        let uptime_us = self.uptime_us();
        for (channel, generator) in self.generators.iter_mut().enumerate() {
            generator.fill(&mut self.pairs);
            let mut meter = meter.borrow_mut();
            meter.push_samples(channel, &self.pairs, uptime_us);
        }
        uptime_us
    }

    /// Uptime at the end of the samples so far.
    pub(crate) fn uptime_us(&self) -> u64 {
        self.uptime_after(self.fed)
    }

    /// Uptime at the end of the next portion.
    pub(crate) fn portion_end_us(&self) -> u64 {
        self.uptime_after(self.fed + self.pairs.len() as u64)
    }

    /// Counted anew from the first sample, so that a rate that does not divide a second gains no error.
    fn uptime_after(&self, pairs: u64) -> u64 {
        self.begun_us + (u128::from(pairs) * 1_000_000 / u128::from(self.rate_hz)) as u64
    }
}
