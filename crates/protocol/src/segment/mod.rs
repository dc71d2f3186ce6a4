//! Readings of a run, packed: what a segment on flash holds, and what a collector gets of it.
//!
//! Each field is predicted from the reading before and from the fields before it, and what is left is coded by an adaptive
//! range coder whose odds start even in every run: a run decodes alone, and no table is trained on anybody's data.
//!
//! | field, in this order for each channel | what is coded | context |
//! |---|---|---|
//! | energy, in quanta | difference to the reading before | length of the last such difference |
//! | reactive power | difference | length of the last one; how much the energy changed |
//! | voltage | difference | length of the last one; how much the energy changed |
//! | current | difference to √(P² + Q²)/V of this reading | length of the last such difference |
//! | frequency | difference | length of the last one |
//! | coverage | difference | whether the last one was 0 |
//! | flags | exclusive or with those before | – |
//!
//! Before the first reading stands [`ChannelReading::default`]. The bytes say neither how many readings there are nor
//! whether they are whole: the header around them does.

mod number;
mod range_coder;

use crate::{limits::CHANNELS_MAX, reading::ChannelReading, reading::Channels, reading::Flags};
use number::{Numbers, length};
use range_coder::{Coder, Decoder, Encoder};

/// There is no room for one reading more; those before are whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The bytes hold values that no reading has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotReadings;

/// Learnt odds and last values of one channel.
#[derive(Clone, Debug)]
struct ChannelModel {
    energy: Numbers<13>,
    reactive: Numbers<16>,
    voltage: Numbers<16>,
    current: Numbers<9>,
    frequency: Numbers<4>,
    coverage: Numbers<2>,
    flags: Numbers<1>,
    last: ChannelReading,
    /// What was coded last of energy, reactive power, voltage, current, frequency and coverage.
    coded: [i64; 6],
}

impl ChannelModel {
    fn new() -> Self {
        Self {
            energy: Numbers::NEW,
            reactive: Numbers::NEW,
            voltage: Numbers::NEW,
            current: Numbers::NEW,
            frequency: Numbers::NEW,
            coverage: Numbers::NEW,
            flags: Numbers::NEW,
            last: ChannelReading::default(),
            coded: [0; 6],
        }
    }

    /// Codes a reading: an encoder takes it, a decoder is given anything; both return it.
    fn code(
        &mut self,
        coder: &mut impl Coder,
        reading: &ChannelReading,
        power_unit_mw: u16,
    ) -> Option<ChannelReading> {
        let last = self.last;
        let [energy, reactive, voltage, current, frequency, coverage] = self.coded;
        let context = |value: i64| length(value) as usize;
        let halved = |value: i64, most: usize| context(value).min(most) / 2;

        let difference = |now: i64, before: i64| now.wrapping_sub(before);
        let energy = self.energy.code(
            coder,
            context(energy).min(12),
            difference(reading.energy_quanta.into(), last.energy_quanta.into()),
        );
        let energy_quanta = i32::try_from(i64::from(last.energy_quanta) + energy).ok()?;
        // Voltage and reactive power move when a load is switched: more than 32, 128 or 512 quanta.
        let step = match context(energy) {
            0..6 => 0,
            6..8 => 1,
            8..10 => 2,
            _ => 3,
        };
        let reactive = self.reactive.code(
            coder,
            halved(reactive, 7) * 4 + step,
            difference(
                reading.reactive_power_var.into(),
                last.reactive_power_var.into(),
            ),
        );
        let reactive_power_var =
            i32::try_from(i64::from(last.reactive_power_var) + reactive).ok()?;
        let voltage = self.voltage.code(
            coder,
            step * 4 + halved(voltage, 6),
            difference(reading.voltage_dv.into(), last.voltage_dv.into()),
        );
        let voltage_dv = u16::try_from(i64::from(last.voltage_dv) + voltage).ok()?;
        let predicted_ca = current_ca(energy_quanta, power_unit_mw, reactive_power_var, voltage_dv);
        let current = self.current.code(
            coder,
            context(current).min(8),
            difference(reading.current_ca.into(), predicted_ca),
        );
        let current_ca = u16::try_from(predicted_ca + current).ok()?;
        let frequency = self.frequency.code(
            coder,
            context(frequency).min(3),
            difference(reading.frequency_chz.into(), last.frequency_chz.into()),
        );
        let frequency_chz = u16::try_from(i64::from(last.frequency_chz) + frequency).ok()?;
        let coverage = self.coverage.code(
            coder,
            usize::from(coverage != 0),
            difference(
                reading.coverage_permille.into(),
                last.coverage_permille.into(),
            ),
        );
        let coverage_permille = u16::try_from(i64::from(last.coverage_permille) + coverage).ok()?;
        let flags = i64::from(reading.flags.0 ^ last.flags.0);
        let flags = u16::try_from(self.flags.code(coder, 0, flags)).ok()?;

        self.coded = [energy, reactive, voltage, current, frequency, coverage];
        self.last = ChannelReading {
            energy_quanta,
            reactive_power_var,
            voltage_dv,
            current_ca,
            frequency_chz,
            coverage_permille,
            flags: Flags(last.flags.0 ^ flags),
        };
        Some(self.last)
    }
}

/// Current in 10 mA of a sinusoidal load with these powers at this voltage; 0 without one.
fn current_ca(energy_quanta: i32, power_unit_mw: u16, reactive_var: i32, voltage_dv: u16) -> i64 {
    /// No load is larger: 2^20 W.
    const POWER_MAX: i64 = 1 << 20;
    let active_w = i64::from(energy_quanta) * i64::from(power_unit_mw) / 1_000;
    let square = |watts: i64| watts.clamp(-POWER_MAX, POWER_MAX).pow(2).unsigned_abs();
    // 2^41 · 2^20. W over 0.1 V, in 10 mA: thousandfold.
    let apparent_mva = ((square(active_w) + square(reactive_var.into())) * 1_000_000).isqrt();
    let predicted = apparent_mva.checked_div(voltage_dv.into()).unwrap_or(0);
    predicted.min(u16::MAX.into()) as i64
}

/// Packs readings one by one.
#[derive(Debug)]
pub struct RunWriter<'a> {
    encoder: Encoder<'a>,
    channels: heapless::Vec<ChannelModel, CHANNELS_MAX>,
    power_unit_mw: u16,
    readings: u32,
    full: bool,
}

impl<'a> RunWriter<'a> {
    /// Begins a run of 1 to 3 channels; `None` for another number.
    #[must_use]
    pub fn new(buffer: &'a mut [u8], channels: usize, power_unit_mw: u16) -> Option<Self> {
        Some(Self {
            encoder: Encoder::new(buffer),
            channels: models(channels)?,
            power_unit_mw,
            readings: 0,
            full: false,
        })
    }

    /// Adds a reading; one channel each as the run has.
    ///
    /// # Errors
    /// [`Full`], from then on always.
    ///
    /// # Panics
    /// When there are more or fewer channels than the run has.
    pub fn push(&mut self, channels: &[ChannelReading]) -> Result<(), Full> {
        assert_eq!(channels.len(), self.channels.len(), "channels of the run");
        let before = self.encoder.position();
        if !self.full {
            for (model, reading) in self.channels.iter_mut().zip(channels) {
                let coded = model.code(&mut self.encoder, reading, self.power_unit_mw);
                debug_assert_eq!(coded.as_ref(), Some(reading));
            }
        }
        if self.full || !self.encoder.fits() {
            self.encoder.restore(before);
            self.full = true;
            return Err(Full);
        }
        self.readings += 1;
        Ok(())
    }

    /// Returns how many readings were added.
    #[must_use]
    pub fn readings(&self) -> u32 {
        self.readings
    }

    /// Ends the run and returns its length in bytes.
    #[must_use]
    pub fn finish(self) -> usize {
        if self.readings == 0 {
            0
        } else {
            self.encoder.finish()
        }
    }
}

/// Unpacks readings one by one.
#[derive(Debug)]
pub struct RunReader<'a> {
    decoder: Decoder<'a>,
    channels: heapless::Vec<ChannelModel, CHANNELS_MAX>,
    power_unit_mw: u16,
}

impl<'a> RunReader<'a> {
    /// Begins with a run of 1 to 3 channels; `None` for another number.
    #[must_use]
    pub fn new(bytes: &'a [u8], channels: usize, power_unit_mw: u16) -> Option<Self> {
        Some(Self {
            decoder: Decoder::new(bytes),
            channels: models(channels)?,
            power_unit_mw,
        })
    }

    /// Returns the next reading. Behind the last one there is no end: the caller knows how many there are.
    ///
    /// # Errors
    /// [`NotReadings`]; what follows means nothing.
    pub fn next_reading(&mut self) -> Result<Channels, NotReadings> {
        let anything = ChannelReading::default();
        self.channels
            .iter_mut()
            .map(|model| model.code(&mut self.decoder, &anything, self.power_unit_mw))
            .collect::<Option<Channels>>()
            .ok_or(NotReadings)
    }
}

fn models(channels: usize) -> Option<heapless::Vec<ChannelModel, CHANNELS_MAX>> {
    let count = (1..=CHANNELS_MAX).contains(&channels).then_some(channels)?;
    Some((0..count).map(|_| ChannelModel::new()).collect())
}
