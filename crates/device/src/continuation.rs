//! How a boot continues the one before: what the chip's slow clock says of the time that a reset took.
//!
//! The slow clock runs through every reset but power-on, and so does a little memory. There a running meter keeps its
//! [`Trace`]: each second its uptime and the slow clock's ticks at that moment, and the ticks of the seconds before, by
//! which the slow clock is measured against the crystal. The next start reads the ticks again and knows for how long
//! nobody counted.

use protocol::block::CRC;

/// Words that a trace takes.
pub const TRACE_WORDS: usize = 11;

/// "OFMT".
const MAGIC: u32 = u32::from_le_bytes(*b"OFMT");
/// The slow clock is measured over at least so long, and about twice that once the meter runs.
const MEASURED_US: u64 = 16_000_000;
/// Over less than this it is not measured well enough.
const MEASURED_US_MIN: u64 = 1_000_000;
/// Longer pauses are none that a reset makes.
const PAUSE_US_MAX: u64 = 600_000_000;
/// What the slow clock may have changed since it was measured: an RC oscillator drifts by some hundred ppm a kelvin, and
/// a restart changes the chip's temperature by a few kelvin.
const CHANGE_PER_MILLE: u64 = 10;
/// What it takes to read both clocks, one after the other, twice, in ms.
const READING_MS: u64 = 5;

/// This boot continues the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continued {
    /// The boot that it continues.
    pub boot: u32,
    /// Uptime of that boot in ms at which this one's uptime was 0.
    pub uptime_ms: u64,
    /// The truth lies within ± this, in ms.
    pub uncertainty_ms: u32,
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Uptime in µs.
    pub uptime_us: u64,
    /// Ticks of the slow clock.
    pub ticks: u64,
}

/// What a running meter leaves for its next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    boot: u32,
    /// Where the slow clock's measurement begins.
    from: Clocks,
    to: Clocks,
}

/// Keeps the trace of a running meter.
#[derive(Clone, Copy, Debug)]
pub struct Tracer {
    boot: u32,
    from: Clocks,
    next_from: Clocks,
}

impl Tracer {
    /// Begins to trace a boot.
    #[must_use]
    pub fn new(boot: u32, now: Clocks) -> Self {
        Self {
            boot,
            from: now,
            next_from: now,
        }
    }

    /// Returns the trace of this moment.
    pub fn trace(&mut self, now: Clocks) -> Trace {
        if now.uptime_us.saturating_sub(self.next_from.uptime_us) >= MEASURED_US {
            self.from = core::mem::replace(&mut self.next_from, now);
        }
        Trace {
            boot: self.boot,
            from: self.from,
            to: now,
        }
    }
}

impl Trace {
    /// Returns it as words, with a CRC.
    #[must_use]
    pub fn to_words(self) -> [u32; TRACE_WORDS] {
        let mut words = [0; TRACE_WORDS];
        (words[0], words[1]) = (MAGIC, self.boot);
        let numbers = [
            self.from.uptime_us,
            self.from.ticks,
            self.to.uptime_us,
            self.to.ticks,
        ];
        for (pair, number) in words[2..].chunks_exact_mut(2).zip(numbers) {
            (pair[0], pair[1]) = (number as u32, (number >> 32) as u32);
        }
        words[TRACE_WORDS - 1] = checksum(&words);
        words
    }

    /// Reads it from words; `None` for what is not whole, as after a power cut.
    #[must_use]
    pub fn from_words(words: &[u32; TRACE_WORDS]) -> Option<Self> {
        if words[0] != MAGIC || words[TRACE_WORDS - 1] != checksum(words) {
            return None;
        }
        let number = |at: usize| u64::from(words[at]) | u64::from(words[at + 1]) << 32;
        let clocks = |at: usize| Clocks {
            uptime_us: number(at),
            ticks: number(at + 2),
        };
        Some(Self {
            boot: words[1],
            from: clocks(2),
            to: clocks(6),
        })
    }

    /// Returns how a start that reads its clocks `now` continues the traced boot; `None` where that cannot be said.
    #[must_use]
    pub fn continued(&self, now: Clocks) -> Option<Continued> {
        let measured_us = self.to.uptime_us.checked_sub(self.from.uptime_us)?;
        let measured_ticks = self.to.ticks.checked_sub(self.from.ticks)?;
        let ticks = now.ticks.checked_sub(self.to.ticks)?;
        if measured_us < MEASURED_US_MIN || measured_ticks == 0 {
            return None;
        }
        let pause_us = u128::from(ticks) * u128::from(measured_us) / u128::from(measured_ticks);
        let pause_us = u64::try_from(pause_us).ok()?;
        if pause_us > PAUSE_US_MAX {
            return None;
        }
        let begun_us = (self.to.uptime_us + pause_us).checked_sub(now.uptime_us)?;
        let uncertainty_ms = (pause_us / 1000 * CHANGE_PER_MILLE).div_ceil(1000) + READING_MS;
        Some(Continued {
            boot: self.boot,
            uptime_ms: begun_us / 1000,
            uncertainty_ms: uncertainty_ms as u32,
        })
    }
}

fn checksum(words: &[u32; TRACE_WORDS]) -> u32 {
    let mut digest = CRC.digest();
    for word in &words[..TRACE_WORDS - 1] {
        digest.update(&word.to_le_bytes());
    }
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slow clock of this many Hz beside an uptime that begins so much later.
    fn clocks(hz: f64, at_us: u64, begun_us: u64) -> Clocks {
        Clocks {
            uptime_us: at_us - begun_us,
            ticks: (at_us as f64 * hz / 1e6) as u64,
        }
    }

    fn traced(hz: f64, until_us: u64) -> Trace {
        let mut tracer = Tracer::new(7, clocks(hz, 0, 0));
        let mut trace = tracer.trace(clocks(hz, 0, 0));
        for at_us in (0..=until_us).step_by(1_000_000) {
            trace = tracer.trace(clocks(hz, at_us, 0));
        }
        trace
    }

    #[test]
    fn pause_is_measured_whatever_the_slow_clock_runs_at() {
        for hz in [32_768.0, 136_000.0, 149_321.7] {
            for until_us in [2_000_000, 40_000_000, 86_400_000_000] {
                let trace = traced(hz, until_us);
                // Seen 350 ms after a start that came 3.2 s after the last trace.
                let begun_us = until_us + 3_200_000;
                let seen = clocks(hz, begun_us + 350_000, begun_us);
                let continued = trace.continued(seen).unwrap();
                assert_eq!(continued.boot, 7);
                let error_ms = continued.uptime_ms.abs_diff(begun_us / 1000);
                assert!(error_ms <= 1, "{hz} Hz: {continued:?}");
                assert_eq!(continued.uncertainty_ms, 36 + 5);
            }
        }
    }

    #[test]
    fn slow_clock_that_changes_by_a_percent_stays_within_what_is_stated() {
        let trace = traced(136_000.0, 60_000_000);
        let ticks = trace.to.ticks + (8.0 * 136_000.0 * 1.0099) as u64;
        let seen = Clocks {
            uptime_us: 500_000,
            ticks,
        };
        let continued = trace.continued(seen).unwrap();
        let error_ms = continued.uptime_ms.abs_diff(67_500);
        assert!(error_ms > 70 && error_ms <= continued.uncertainty_ms.into());
    }

    #[test]
    fn trace_comes_back_from_its_words_and_damage_is_seen() {
        let trace = traced(136_000.0, 40_000_000);
        let words = trace.to_words();
        assert_eq!(Trace::from_words(&words), Some(trace));
        for bit in 0..TRACE_WORDS * 32 {
            let mut damaged = words;
            damaged[bit / 32] ^= 1 << (bit % 32);
            assert_eq!(Trace::from_words(&damaged), None, "bit {bit}");
        }
        assert_eq!(Trace::from_words(&[0; TRACE_WORDS]), None);
    }

    #[test]
    fn what_cannot_be_said_is_not_said() {
        let trace = traced(136_000.0, 40_000_000);
        let now = |ticks| Clocks {
            uptime_us: 300_000,
            ticks,
        };
        // The slow clock was reset; an hour passed; the boot had hardly begun.
        assert_eq!(trace.continued(now(5)), None);
        assert_eq!(trace.continued(now(trace.to.ticks + 3_600 * 136_000)), None);
        let short = traced(136_000.0, 0);
        assert_eq!(short.continued(now(short.to.ticks + 136_000)), None);
    }
}
