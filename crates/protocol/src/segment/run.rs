//! Packing and unpacking the readings of a run.

use core::borrow::BorrowMut;

use super::{
    ChannelModel, Full, NotReadings, READINGS_MAX,
    coarse::{CoarseModel, SpanModel},
    range_coder::{Coder, Decoder, Encoder, Position},
};
use crate::{
    limits::CHANNELS_MAX,
    reading::{ChannelReading, Extremes, Packed, Tier},
    run::RunParams,
};

/// Learnt odds of a run of up to three channels: what packing or unpacking works on, about 7 kB a channel.
///
/// A meter has one and lends it; it holds nothing between runs.
#[derive(Clone, Debug)]
pub struct Models {
    channels: [ChannelModel; CHANNELS_MAX],
    coarse: [CoarseModel; CHANNELS_MAX],
    span: SpanModel,
}

const _: () = assert!(size_of::<Models>() <= 7_168 * CHANNELS_MAX);

impl Default for Models {
    fn default() -> Self {
        Self::new()
    }
}

impl Models {
    /// Begins with even odds.
    #[must_use]
    pub fn new() -> Self {
        Self {
            channels: core::array::from_fn(|_| ChannelModel::new()),
            coarse: core::array::from_fn(|_| CoarseModel::new()),
            span: SpanModel::new(),
        }
    }

    /// Forgets what was learnt of the first `channels`; what packs or unpacks a run does so when it begins.
    pub fn reset(&mut self, channels: usize) {
        for (channel, coarse) in (self.channels.iter_mut().zip(&mut self.coarse)).take(channels) {
            *channel = ChannelModel::new();
            *coarse = CoarseModel::new();
        }
        self.span = SpanModel::new();
    }
}

/// What readings of a run look like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    tier: Tier,
    channels: usize,
    power_unit_mw: u16,
    /// Numbers that a reading may stand for.
    span_max: u32,
}

impl Shape {
    pub(super) fn new(tier: Tier, channels: usize, params: &RunParams) -> Option<Self> {
        let is_in_range = (1..=CHANNELS_MAX).contains(&channels) && params.is_in_range();
        is_in_range.then(|| Self {
            tier,
            channels,
            power_unit_mw: params.power_unit_mw,
            span_max: tier.numbers_max(params.interval_ms),
        })
    }

    /// Entries in a reading's set of extremes.
    fn extremes(&self) -> usize {
        match self.tier {
            Tier::Full => 0,
            Tier::Minute | Tier::Quarter => self.channels,
        }
    }

    fn takes(&self, reading: &Packed) -> bool {
        reading.channels.len() == self.channels
            && reading.extremes.len() == self.extremes()
            && (1..=self.span_max).contains(&reading.span)
    }

    /// Anything of this shape, for a decoder.
    fn anything(&self) -> Packed {
        Packed {
            span: 1,
            channels: core::iter::repeat_n(ChannelReading::default(), self.channels).collect(),
            extremes: core::iter::repeat_n(Extremes::default(), self.extremes()).collect(),
        }
    }

    /// Codes a reading: an encoder takes it, a decoder is given anything; both return it.
    fn code(
        &self,
        coder: &mut impl Coder,
        models: &mut Models,
        reading: &Packed,
    ) -> Option<Packed> {
        let mut coded = reading.clone();
        if self.tier == Tier::Full {
            for (model, channel) in models.channels.iter_mut().zip(&mut coded.channels) {
                *channel = model.code(coder, channel, self.power_unit_mw)?;
            }
            return Some(coded);
        }
        coded.span = models.span.code(coder, coded.span, self.span_max)?;
        let models = models.channels.iter_mut().zip(&mut models.coarse);
        let readings = coded.channels.iter_mut().zip(&mut coded.extremes);
        for ((model, coarse), (channel, extremes)) in models.zip(readings) {
            let given = (&*channel, &*extremes);
            (*channel, *extremes) =
                coarse.code(coder, model, coded.span, given, self.power_unit_mw)?;
        }
        Some(coded)
    }
}

/// How far the packing of a run is; buffer and models are lent for each step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packing {
    shape: Shape,
    position: Position,
    pub(super) readings: u32,
    /// Numbers that the readings stand for.
    pub(super) numbers: u32,
    full: bool,
}

impl Packing {
    pub(super) fn new(shape: Shape, models: &mut Models) -> Self {
        models.reset(shape.channels);
        Self {
            shape,
            position: Encoder::new(&mut []).position(),
            readings: 0,
            numbers: 0,
            full: false,
        }
    }

    pub(super) fn push(
        &mut self,
        buffer: &mut [u8],
        models: &mut Models,
        reading: &Packed,
    ) -> Result<(), Full> {
        assert!(self.shape.takes(reading), "a reading of the run's shape");
        if !self.full && self.readings < READINGS_MAX {
            let mut encoder = Encoder::new(buffer);
            encoder.restore(self.position);
            let coded = self.shape.code(&mut encoder, models, reading);
            debug_assert_eq!(coded.as_ref(), Some(reading));
            if encoder.fits() {
                self.position = encoder.position();
                self.readings += 1;
                self.numbers += reading.span;
                return Ok(());
            }
        }
        // The models have learnt what was not written.
        self.full = true;
        Err(Full)
    }

    pub(super) fn finish(&self, buffer: &mut [u8]) -> usize {
        if self.readings == 0 {
            return 0;
        }
        let mut encoder = Encoder::new(buffer);
        encoder.restore(self.position);
        encoder.finish()
    }
}

/// Packs readings one by one.
#[derive(Debug)]
pub struct RunWriter<'a> {
    buffer: &'a mut [u8],
    models: &'a mut Models,
    packing: Packing,
}

impl<'a> RunWriter<'a> {
    /// Begins a run of 1 to 3 channels; `None` for another number, or for parameters out of range.
    #[must_use]
    pub fn new(
        buffer: &'a mut [u8],
        models: &'a mut Models,
        tier: Tier,
        channels: usize,
        params: &RunParams,
    ) -> Option<Self> {
        let packing = Packing::new(Shape::new(tier, channels, params)?, models);
        Some(Self {
            buffer,
            models,
            packing,
        })
    }

    /// Adds a reading.
    ///
    /// # Errors
    /// [`Full`], from then on always.
    ///
    /// # Panics
    /// When there are more or fewer channels or extremes than the run has, or the span is none of the tier.
    pub fn push(&mut self, reading: &Packed) -> Result<(), Full> {
        self.packing.push(self.buffer, self.models, reading)
    }

    /// Returns how many readings were added.
    #[must_use]
    pub fn readings(&self) -> u32 {
        self.packing.readings
    }

    /// Returns how many sequence numbers they stand for.
    #[must_use]
    pub fn numbers(&self) -> u32 {
        self.packing.numbers
    }

    /// Ends the run and returns its length in bytes.
    #[must_use]
    pub fn finish(self) -> usize {
        self.packing.finish(self.buffer)
    }
}

/// Unpacks readings one by one, with models that it owns or that are lent to it.
#[derive(Debug)]
pub struct RunReader<'a, M> {
    decoder: Decoder<'a>,
    models: M,
    shape: Shape,
    left: u32,
}

impl<'a, M: BorrowMut<Models>> RunReader<'a, M> {
    /// Begins with a run of 1 to 3 channels; `None` for another number, or for parameters out of range.
    #[must_use]
    pub fn new(
        bytes: &'a [u8],
        mut models: M,
        tier: Tier,
        channels: usize,
        params: &RunParams,
    ) -> Option<Self> {
        let shape = Shape::new(tier, channels, params)?;
        models.borrow_mut().reset(channels);
        Some(Self {
            decoder: Decoder::new(bytes),
            models,
            shape,
            left: READINGS_MAX,
        })
    }

    /// Returns the next reading. Behind the last one there is no end: the caller knows how many there are.
    ///
    /// # Errors
    /// [`NotReadings`], also behind [`READINGS_MAX`]; what follows means nothing.
    pub fn next_reading(&mut self) -> Result<Packed, NotReadings> {
        self.left = self.left.checked_sub(1).ok_or(NotReadings)?;
        let anything = self.shape.anything();
        self.shape
            .code(&mut self.decoder, self.models.borrow_mut(), &anything)
            .filter(|reading| {
                (reading.channels.iter()).all(|channel| channel.coverage_permille <= 1_000)
            })
            .ok_or(NotReadings)
    }
}
