//! Readings of a run, packed: what a segment on flash holds, and what a collector gets of it.
//!
//! Each field is predicted from the reading before and from the fields before it, and what is left is coded by an adaptive
//! range coder whose odds start the same in every run: a run decodes alone, and no table is trained on anybody's data.
//!
//! | field, in this order for each channel | what is coded | first context | second context |
//! |---|---|---|---|
//! | energy, in quanta | difference to the reading before | length of the last such difference | length of the energy before |
//! | reactive power | difference | length of the last one; how much the energy changed | length of the energy's difference |
//! | voltage | difference | length of the last one; how much the energy changed | length of the reactive power's difference |
//! | current | difference to a [`CurrentPrediction`] | length of the last such difference | length of the energy's difference |
//! | frequency | difference | length of the last one | length of the last but one |
//! | coverage | difference | whether the last one was 0 | – |
//! | flags | exclusive or with those before | whether the coverage changed | – |
//!
//! Each bit of a number's length is coded at odds on which both contexts agree; then its sign, upper bits and the rest.
//! The sign's context is the sign of the field's last difference; for reactive power and voltage it is the sign of the
//! energy's difference where a load was switched.
//!
//! A coarse reading is coded as the reading of its mean power (energy over span, rounded towards 0), between its span and
//! what else it holds:
//!
//! | field | what is coded | first context | second context |
//! |---|---|---|---|
//! | span, once a reading, before the channels | difference to the reading before, the first one: to 1 | whether the last one was 0 | – |
//! | energy in place of its mean, behind each channel | energy − mean × span | sign of the mean | – |
//! | counter energy, in quanta | as it is | length of the last one | length of the mean |
//! | largest power | difference to the mean | length of the last one | length of the mean |
//! | least power | difference of the mean to it | length of the last one | length of the mean |
//!
//! Before the first reading stands [`ChannelReading::default`](crate::ChannelReading::default). The bytes say neither how many readings there are nor
//! whether they are whole: the header around them does. What is learnt of a channel takes 4.6 kB on either side.

mod channel;
mod coarse;
mod current;
pub mod file;
mod number;
mod range_coder;
mod run;

use channel::ChannelModel;
pub use current::CurrentPrediction;
pub use run::{Models, RunReader, RunWriter};

/// Readings in a run at the most: unpacking is bounded, however little a reading takes.
pub const READINGS_MAX: u32 = 65_536;

/// There is no room for one reading more; those before are whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The bytes hold values that no reading has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotReadings;
