//! Making readings coarser: several that follow one another become one, in integers only.
//!
//! | quantity | of the merged reading |
//! |---|---|
//! | energy, net, import and export | sum, exact |
//! | least and largest power | least and largest |
//! | reactive power | mean |
//! | voltage | root mean square of those that have one |
//! | current | root mean square |
//! | frequency | mean of those that have one |
//! | coverage | mean |
//! | flags | [`Flags::NO_LOAD`] where all have it, the others where any has |
//!
//! Means are weighted by span and rounded to the nearest. Where a sum would leave its range a new reading begins.

use heapless::Vec;

use crate::{
    limits::CHANNELS_MAX,
    reading::{ChannelReading, Extremes, Flags, Packed, rounded_mean},
};

/// Merges readings of one run, given in order and without gaps between them.
#[derive(Clone, Debug)]
pub struct Merger {
    numbers_max: u32,
    span: u32,
    /// Sums of each channel; empty where nothing was pushed since the last reading was given.
    channels: Vec<Sums, CHANNELS_MAX>,
}

/// What a channel's readings add up to, each counted as often as it has numbers.
#[derive(Clone, Copy, Debug)]
struct Sums {
    energy_quanta: i32,
    counter_quanta: u32,
    power_min: i32,
    power_max: i32,
    reactive: i64,
    voltage_squares: u64,
    voltage_span: u32,
    current_squares: u64,
    frequency: u64,
    frequency_span: u32,
    coverage: u64,
    any: Flags,
    all: Flags,
}

impl Merger {
    /// Begins with nothing; readings that are given stand for at most `numbers_max` numbers, unless one that was pushed
    /// stood for more already.
    #[must_use]
    pub const fn new(numbers_max: u32) -> Self {
        Self {
            numbers_max,
            span: 0,
            channels: Vec::new(),
        }
    }

    /// Takes the next reading; returns the merged one before it where this one does not fit into it.
    pub fn push(&mut self, reading: &Packed) -> Option<Packed> {
        if let Some((span, channels)) = self.joined(reading) {
            (self.span, self.channels) = (span, channels);
            return None;
        }
        let finished = self.finish();
        self.span = reading.span;
        self.channels = sums(reading);
        finished
    }

    /// Returns the merged reading of what was pushed since the last one; `None` where nothing was.
    pub fn finish(&mut self) -> Option<Packed> {
        let span = core::mem::take(&mut self.span);
        let channels = core::mem::take(&mut self.channels);
        (!channels.is_empty()).then(|| Packed {
            span,
            channels: channels.iter().map(|sums| sums.mean(span)).collect(),
            extremes: channels.iter().map(Sums::extremes).collect(),
        })
    }

    /// The sums with one reading more, where they hold it.
    fn joined(&self, reading: &Packed) -> Option<(u32, Vec<Sums, CHANNELS_MAX>)> {
        let span = self.span.checked_add(reading.span)?;
        if span > self.numbers_max || self.channels.len() != reading.channels.len() {
            return None;
        }
        let channels = (self.channels.iter().zip(&sums(reading)))
            .map(|(sums, more)| sums.plus(more))
            .collect::<Option<_>>()?;
        Some((span, channels))
    }
}

fn sums(reading: &Packed) -> Vec<Sums, CHANNELS_MAX> {
    let channels = reading.channels.iter().enumerate();
    channels
        .map(|(index, channel)| Sums::of(channel, reading.extremes.get(index), reading.span))
        .collect()
}

impl Sums {
    fn of(channel: &ChannelReading, extremes: Option<&Extremes>, span: u32) -> Self {
        let squares = |value: u16| u64::from(value).pow(2) * u64::from(span);
        let power = mean_power(channel.energy_quanta, span);
        let extremes = extremes.copied().unwrap_or(Extremes {
            power_min: power,
            power_max: power,
            counter_quanta: 0,
        });
        let span_if = |measured: u16| if measured == 0 { 0 } else { span };
        Self {
            energy_quanta: channel.energy_quanta,
            counter_quanta: extremes.counter_quanta,
            power_min: extremes.power_min,
            power_max: extremes.power_max,
            reactive: i64::from(channel.reactive_power_var) * i64::from(span),
            voltage_squares: squares(channel.voltage_dv),
            voltage_span: span_if(channel.voltage_dv),
            current_squares: squares(channel.current_ca),
            frequency: u64::from(channel.frequency_chz) * u64::from(span),
            frequency_span: span_if(channel.frequency_chz),
            coverage: u64::from(channel.coverage_permille) * u64::from(span),
            any: channel.flags,
            all: channel.flags,
        }
    }

    /// `None` where a sum leaves its range. What is a mean of 16 bits cannot: the span has 32, the sum 64.
    fn plus(&self, more: &Self) -> Option<Self> {
        let net = i64::from(self.energy_quanta) + i64::from(more.energy_quanta);
        let import = self.import() + more.import();
        // Import is max(net, 0) + counter, and so is the sum of imports of the sum of nets.
        let counter = import - net.max(0);
        Some(Self {
            energy_quanta: net.try_into().ok()?,
            counter_quanta: counter.try_into().ok()?,
            power_min: self.power_min.min(more.power_min),
            power_max: self.power_max.max(more.power_max),
            reactive: self.reactive.checked_add(more.reactive)?,
            voltage_squares: self.voltage_squares.checked_add(more.voltage_squares)?,
            voltage_span: self.voltage_span.checked_add(more.voltage_span)?,
            current_squares: self.current_squares.checked_add(more.current_squares)?,
            frequency: self.frequency.checked_add(more.frequency)?,
            frequency_span: self.frequency_span.checked_add(more.frequency_span)?,
            coverage: self.coverage.checked_add(more.coverage)?,
            any: Flags(self.any.0 | more.any.0),
            all: Flags(self.all.0 & more.all.0),
        })
    }

    fn import(&self) -> i64 {
        i64::from(self.energy_quanta.max(0)) + i64::from(self.counter_quanta)
    }

    fn mean(&self, span: u32) -> ChannelReading {
        let without_no_load = self.any.0 & !Flags::NO_LOAD.0;
        ChannelReading {
            energy_quanta: self.energy_quanta,
            // Between the least and the largest of what was summed, like all means here.
            reactive_power_var: rounded_mean(self.reactive, span) as i32,
            voltage_dv: root_mean(self.voltage_squares, self.voltage_span),
            current_ca: root_mean(self.current_squares, span),
            frequency_chz: mean(self.frequency, self.frequency_span),
            coverage_permille: mean(self.coverage, span),
            flags: Flags(without_no_load | (self.all.0 & Flags::NO_LOAD.0)),
        }
    }

    fn extremes(&self) -> Extremes {
        Extremes {
            power_min: self.power_min,
            power_max: self.power_max,
            counter_quanta: self.counter_quanta,
        }
    }
}

/// Returns the mean power in power units, rounded towards 0: between the least and the largest power of the span.
pub(crate) fn mean_power(energy_quanta: i32, span: u32) -> i32 {
    (i64::from(energy_quanta) / i64::from(span.max(1))) as i32
}

/// Mean of 16-bit values, 0 where there are none.
fn mean(sum: u64, count: u32) -> u16 {
    rounded_mean(sum as i64, count) as u16
}

/// Root of the mean of squares of 16-bit values, rounded to the nearest; 0 where there are none.
fn root_mean(squares: u64, count: u32) -> u16 {
    let count = u64::from(count.max(1));
    let root = (squares / count).isqrt();
    // (root + ½)² is root² + root and a quarter, which a sum of so few squares seldom tells apart.
    let is_upper = squares > (root * root + root) * count;
    (root + u64::from(is_upper)) as u16
}
