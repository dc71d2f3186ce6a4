//! How long calls took.

/// Times of calls, by the model.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// Calls by their time in units of 10 µs.
    counts: Vec<u64>,
    /// The longest in ns.
    pub max_ns: u64,
}

impl Times {
    const BIN_NS: u64 = 10_000;

    pub(super) fn take(&mut self, time_ns: u64) {
        let bin = (time_ns / Self::BIN_NS) as usize;
        if bin >= self.counts.len() {
            self.counts.resize(bin + 1, 0);
        }
        self.counts[bin] += 1;
        self.max_ns = self.max_ns.max(time_ns);
    }

    /// Returns the time in ms that so many of a hundred calls do not exceed, rounded up to 10 µs.
    #[must_use]
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        let all: u64 = self.counts.iter().sum();
        let wanted = (all as f64 * percent / 100.0).ceil() as u64;
        let mut so_far = 0;
        let bin = self.counts.iter().position(|count| {
            so_far += count;
            so_far >= wanted
        });
        (bin.unwrap_or(0) + 1) as f64 * Self::BIN_NS as f64 / 1e6
    }

    /// Returns the longest time in ms.
    #[must_use]
    pub fn max_ms(&self) -> f64 {
        self.max_ns as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_the_upper_end_of_its_step() {
        let mut times = Times::default();
        for time_us in 1..=200 {
            times.take(time_us * 10_000 - 1);
        }
        assert_eq!(times.percentile_ms(99.0), 1.98);
        assert_eq!(times.percentile_ms(100.0), 2.0);
        assert_eq!(times.max_ns, 1_999_999);
    }
}
