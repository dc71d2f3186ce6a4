//! Sums over samples: whole ones within a cycle, and with split edges over a window.
//!
//! A sample stands for the time from half a period before it to half a period after it. Where a cycle ends within that
//! time, the sample's products are split in proportion, and what one cycle loses the next one gets.

use crate::{config::Pair, sine};

/// One sample, less the references, with the phase of the fundamental in 1/2^14.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    x: i32,
    y: i32,
    /// Current of the sample before.
    y_before: i32,
    cosine: i32,
    sine: i32,
}

impl Sample {
    #[inline(always)]
    pub(crate) fn new(pair: Pair, current_before: u16, reference: (i32, i32), phase: u32) -> Self {
        let (cosine, sine) = sine::cosine_sine(phase);
        Self {
            x: i32::from(pair.voltage) - reference.0,
            y: i32::from(pair.current) - reference.1,
            y_before: i32::from(current_before) - reference.1,
            cosine,
            sine,
        }
    }
}

/// Sums over whole samples; ranges in the crate's table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    x: i32,
    y: i32,
    xx: i64,
    yy: i64,
    xy: i64,
    xy_before: i64,
    x_cosine: i64,
    x_sine: i64,
    y_cosine: i64,
    y_sine: i64,
}

impl Sums {
    /// Adds values, squares and products; `current_before` is that of the sample before the first.
    pub(crate) fn add_powers(
        &mut self,
        pairs: &[Pair],
        current_before: u16,
        reference: (i32, i32),
    ) {
        let mut sums = *self;
        let mut y_before = i32::from(current_before) - reference.1;
        for pair in pairs {
            let x = i32::from(pair.voltage) - reference.0;
            let y = i32::from(pair.current) - reference.1;
            sums.x += x;
            sums.y += y;
            sums.xx += product(x, x);
            sums.yy += product(y, y);
            sums.xy += product(x, y);
            sums.xy_before += product(x, y_before);
            y_before = y;
        }
        *self = sums;
    }

    /// Adds the correlations with a sine of the fundamental's frequency.
    pub(crate) fn add_fundamental(
        &mut self,
        pairs: &[Pair],
        reference: (i32, i32),
        phase: u32,
        step: u32,
    ) {
        let mut sums = *self;
        let mut phase = phase;
        for pair in pairs {
            let (cosine, sine) = sine::cosine_sine(phase);
            let x = i32::from(pair.voltage) - reference.0;
            let y = i32::from(pair.current) - reference.1;
            sums.x_cosine += product(x, cosine);
            sums.x_sine += product(x, sine);
            sums.y_cosine += product(y, cosine);
            sums.y_sine += product(y, sine);
            phase = phase.wrapping_add(step);
        }
        *self = sums;
    }
}

#[inline(always)]
fn product(a: i32, b: i32) -> i64 {
    i64::from(a) * i64::from(b)
}

/// Sums with weights in 1/2^15 of a sample.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    weight: i64,
    x: i64,
    y: i64,
    xx: i64,
    yy: i64,
    xy: i64,
    xy_before: i64,
    x_cosine: i64,
    x_sine: i64,
    y_cosine: i64,
    y_sine: i64,
}

/// What a window's totals say, in codes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    /// Means less the references in 1/2^15 code.
    pub(crate) mean_q15: (i64, i64),
    /// Variances of voltage and current in 1/2^15 code².
    pub(crate) variance_q15: (u64, u64),
    /// Covariances in 1/2^15 code²: of voltage and current, and of voltage and the current a sample before.
    pub(crate) covariance_q15: (i64, i64),
    /// Active and reactive power of the fundamental in 1/2^15 code².
    pub(crate) fundamental_q15: (i64, i64),
}

impl Totals {
    /// Weight in 1/2^15 samples, below 2^29.
    pub(crate) fn weight_q15(&self) -> i64 {
        self.weight
    }

    pub(crate) fn add_whole(&mut self, sums: &Sums, samples: u32) {
        self.weight += i64::from(samples) << 15;
        self.x += i64::from(sums.x) << 15;
        self.y += i64::from(sums.y) << 15;
        self.xx += sums.xx << 15;
        self.yy += sums.yy << 15;
        self.xy += sums.xy << 15;
        self.xy_before += sums.xy_before << 15;
        self.x_cosine += sums.x_cosine << 15;
        self.x_sine += sums.x_sine << 15;
        self.y_cosine += sums.y_cosine << 15;
        self.y_sine += sums.y_sine << 15;
    }

    /// Adds `weight_q15` of a sample, −2^14 to 2^14.
    pub(crate) fn add_part(&mut self, sample: Sample, weight_q15: i64) {
        let Sample {
            x,
            y,
            y_before,
            cosine,
            sine,
        } = sample;
        self.weight += weight_q15;
        self.x += i64::from(x) * weight_q15;
        self.y += i64::from(y) * weight_q15;
        self.xx += product(x, x) * weight_q15;
        self.yy += product(y, y) * weight_q15;
        self.xy += product(x, y) * weight_q15;
        self.xy_before += product(x, y_before) * weight_q15;
        self.x_cosine += product(x, cosine) * weight_q15;
        self.x_sine += product(x, sine) * weight_q15;
        self.y_cosine += product(y, cosine) * weight_q15;
        self.y_sine += product(y, sine) * weight_q15;
    }

    /// Returns means and mean products about the means; `None` without a sample.
    pub(crate) fn moments(&self) -> Option<Moments> {
        if self.weight <= 0 {
            return None;
        }
        let mean = |sum: i64| ratio_q15(sum, self.weight);
        let (x, y) = (mean(self.x), mean(self.y));
        // Means are below 2^16 codes, so their products are below 2^62.
        let variance =
            |sum: i64, mean_q15: i64| (mean(sum) - ((mean_q15 * mean_q15) >> 15)).max(0) as u64;
        Some(Moments {
            mean_q15: (x, y),
            variance_q15: (variance(self.xx, x), variance(self.yy, y)),
            // The mean of the current does not change within a sample.
            covariance_q15: (
                mean(self.xy) - ((x * y) >> 15),
                mean(self.xy_before) - ((x * y) >> 15),
            ),
            fundamental_q15: self.fundamental_q15(),
        })
    }

    /// With phasors V and I of peak values, P + jQ is V·I*/2; a peak is twice the mean correlation.
    fn fundamental_q15(&self) -> (i64, i64) {
        // In 1/2^14 code: below 2^30, their products below 2^60, sums of two below 2^61.
        let mean = |sum: i64| sum / self.weight;
        let (x_cosine, x_sine) = (mean(self.x_cosine), mean(self.x_sine));
        let (y_cosine, y_sine) = (mean(self.y_cosine), mean(self.y_sine));
        // 2 · product / 2^(2·14), in 1/2^15.
        let power = |product: i64| product >> (2 * sine::ONE_SHIFT - 16);
        (
            power(x_cosine * y_cosine + x_sine * y_sine),
            power(x_cosine * y_sine - x_sine * y_cosine),
        )
    }
}

/// Returns `sum / weight` in 1/2^15, without the 128 bits that shifting first would need.
fn ratio_q15(sum: i64, weight: i64) -> i64 {
    let whole = sum / weight;
    let rest = sum % weight;
    (whole << 15) + (rest << 15) / weight
}
