//! What a simulated meter measures: loads, the waveforms that they draw, and the converter that samples them.
//!
//! ```text
//! LoadProfile (a file) ─┐
//! Recipe (built in) ────┼─ Source ── waveforms of a second, or samples ── Generator ── pairs of ADC codes
//! Recording (a file) ───┘     └───── means over any time                      └── FrontEnd
//! ```
//!
//! All kinds of load are functions of the time since their start, so a meter can begin anywhere in them and gets the
//! same load however it steps through it. Time 0 is midnight of a Monday.

mod front_end;
mod generator;
#[cfg(test)]
mod measured;
mod profile;
mod recipe;
mod recording;
mod source;
mod waveform;

pub use front_end::FrontEnd;
pub use generator::Generator;
pub use profile::{LoadProfile, Minute, ProfileError};
pub use recipe::{Kind, Recipe};
pub use recording::{FullScale, LineFault, Recording, RecordingError};
pub use source::Source;
