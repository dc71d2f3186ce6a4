//! The numbered event log: starts, anchors, losses and changes.
//!
//! On flash an event is: number, boot, uptime in ms, kind and the kind's fields, all as varints in the order of the
//! declarations below. In JSON it is `{"number":…,"boot":…,"uptime_ms":…,"what":{"anchor":{…}}}`.
//!
//! | kind | event | fields |
//! |---|---|---|
//! | 0 | started | reason, next number |
//! | 1 | anchor | UTC in ms (signed), uncertainty in ms |
//! | 2 | lost | first number, count, channels *n*, then *n* times import and export in mJ |
//! | 3 | set up | – |
//! | 4 | configuration changed | version |
//! | 5 | storage fault | – |
//! | 6 | calibrated | version, UTC in ms (signed), channels *n*, then *n* times nV a code, nA a code, skew in ns (signed), noise in nA, no-load limit in mW |
//! | 7 | firmware taken | version: length and bytes |
//! | 8 | firmware confirmed | version: length and bytes |
//! | 9 | firmware left | version: length and bytes |
//! | 10 | settings forgotten | – |
//! | 11 | continued | uptime of the boot before in ms, uncertainty in ms |
//! | 12 | token changed | – |
//! | 13 | erased | last number |
//!
//! Reasons of a start: 0 power on, 1 software, 2 watchdog, 3 brownout, 4 unknown, 5 panic, 6 stack overflow.

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::{
    identity::Seq,
    limits::{CHANNELS_MAX, VERSION_BYTES_MAX},
    messages::ChannelCalibration,
    reading::{RegisterSet, Registers},
    varint::{read, read_signed, write, write_signed},
};

/// Bytes that an event takes on flash at the most.
pub const EVENT_BYTES_MAX: usize = {
    // Number, boot, uptime and kind.
    let head = U64_BYTES_MAX + U32_BYTES_MAX + U64_BYTES_MAX + 1;
    // First number, count and number of channels; import and export of each.
    let lost = 2 * U64_BYTES_MAX + 1 + CHANNELS_MAX * 2 * U64_BYTES_MAX;
    // Version, date and number of channels; four words and the no-load limit of each.
    let channel = 4 * U32_BYTES_MAX + U16_BYTES_MAX;
    let calibrated = U16_BYTES_MAX + U64_BYTES_MAX + 1 + CHANNELS_MAX * channel;
    // All other kinds have two fields, or a version of 25 bytes.
    head + if lost > calibrated { lost } else { calibrated }
};
/// Bytes that an event takes in JSON without white space at the most.
pub const EVENT_JSON_BYTES_MAX: usize = 606;

/// Bytes of the longest varint of each width, signed or not.
const U16_BYTES_MAX: usize = 3;
const U32_BYTES_MAX: usize = 5;
const U64_BYTES_MAX: usize = 10;

/// Scale of one channel, as where a meter is calibrated.
pub type ChannelScale = ChannelCalibration;

/// Version of a firmware as text, in ASCII.
pub type Version = String<VERSION_BYTES_MAX>;

/// Why a meter started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// Power came (back).
    PowerOn,
    /// The firmware asked for it.
    Software,
    /// A watchdog ended a hang.
    Watchdog,
    /// The supply was too low.
    Brownout,
    /// The hardware does not say.
    Unknown,
    /// The firmware found a fault in itself.
    Panic,
    /// The stack was full.
    StackOverflow,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counts events of a store from 0.
    pub number: u64,
    /// The boot in which it happened.
    pub boot: u32,
    /// Uptime in ms at which it happened.
    pub uptime_ms: u64,
    /// What happened.
    pub what: What,
}

/// What an event tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The meter started; the next reading gets number `next`.
    Started {
        /// Why.
        reason: ResetReason,
        /// First sequence number of this boot.
        next: Seq,
    },
    /// A collector told the time: at this event's uptime it was `utc_ms`.
    Anchor {
        /// Milliseconds since 1970 in UTC.
        utc_ms: i64,
        /// The true time lies within ± this, in ms.
        uncertainty_ms: u32,
    },
    /// Readings that nobody had collected were overwritten.
    Lost {
        /// First number lost.
        first: Seq,
        /// How many.
        count: u64,
        /// Energy of what was lost, one entry a channel; empty where it is not known.
        #[serde(with = "energy_json")]
        energy: RegisterSet,
    },
    /// The meter got its access token.
    SetUp,
    /// The configuration changed.
    ConfigChanged {
        /// Version that is now in force.
        version: u32,
    },
    /// The store could not write; readings may be missing after this.
    StorageFault,
    /// A calibration took effect; readings of this version follow.
    Calibrated {
        /// Version that is now in force; 0 is the scale of the meter's parts.
        version: u16,
        /// When it was made, in milliseconds since 1970 in UTC; 0 where no date is known.
        utc_ms: i64,
        /// One entry a channel; empty for the scale of the parts where that is not known.
        channels: Vec<ChannelScale, CHANNELS_MAX>,
    },
    /// An update was written, and the meter starts into it.
    FirmwareTaken {
        /// Version of the update.
        version: Version,
    },
    /// Firmware that was on trial works: the meter stays with it.
    FirmwareConfirmed {
        /// Version that runs.
        version: Version,
    },
    /// Firmware that did not confirm itself was left for the one before.
    FirmwareLeft {
        /// Version that was left; empty where it is not known.
        version: Version,
    },
    /// Token, name and interval were forgotten, as the button asked; the readings are kept.
    SettingsForgotten,
    /// The boot before ended in a reset that the chip's slow clock went through: this boot's uptime 0 was that boot's
    /// uptime `uptime_ms`.
    Continued {
        /// Uptime of the boot before in ms.
        uptime_ms: u64,
        /// The truth lies within ± this, in ms.
        uncertainty_ms: u32,
    },
    /// The meter took another access token.
    TokenChanged,
    /// Readings were given up as their owner asked.
    Erased {
        /// The last number that was allowed to go.
        through: Seq,
    },
}

/// The bytes are no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnEvent;

impl Event {
    /// Writes the event and returns its length.
    ///
    /// # Panics
    /// When `buffer` is shorter than [`EVENT_BYTES_MAX`].
    pub fn write(&self, buffer: &mut [u8]) -> usize {
        let mut at = 0;
        self.write_fields(&mut buffer[..EVENT_BYTES_MAX], &mut at)
            .expect("an event fits its stated maximum");
        at
    }

    fn write_fields(&self, to: &mut [u8], at: &mut usize) -> Option<()> {
        write(to, at, self.number)?;
        write(to, at, self.boot.into())?;
        write(to, at, self.uptime_ms)?;
        match &self.what {
            What::Started { reason, next } => {
                write(to, at, 0)?;
                write(to, at, *reason as u64)?;
                write(to, at, next.0)
            }
            What::Anchor {
                utc_ms,
                uncertainty_ms,
            } => {
                write(to, at, 1)?;
                write_signed(to, at, *utc_ms)?;
                write(to, at, (*uncertainty_ms).into())
            }
            What::Lost {
                first,
                count,
                energy,
            } => {
                write(to, at, 2)?;
                write(to, at, first.0)?;
                write(to, at, *count)?;
                write(to, at, energy.len() as u64)?;
                energy.iter().try_for_each(|channel| {
                    write(to, at, channel.import_mj)?;
                    write(to, at, channel.export_mj)
                })
            }
            What::SetUp => write(to, at, 3),
            What::ConfigChanged { version } => {
                write(to, at, 4)?;
                write(to, at, (*version).into())
            }
            What::StorageFault => write(to, at, 5),
            What::Calibrated {
                version,
                utc_ms,
                channels,
            } => {
                write(to, at, 6)?;
                write(to, at, (*version).into())?;
                write_signed(to, at, *utc_ms)?;
                write(to, at, channels.len() as u64)?;
                channels
                    .iter()
                    .try_for_each(|channel| write_scale(to, at, channel))
            }
            What::FirmwareTaken { version } => write_version(to, at, 7, version),
            What::FirmwareConfirmed { version } => write_version(to, at, 8, version),
            What::FirmwareLeft { version } => write_version(to, at, 9, version),
            What::SettingsForgotten => write(to, at, 10),
            What::Continued {
                uptime_ms,
                uncertainty_ms,
            } => {
                write(to, at, 11)?;
                write(to, at, *uptime_ms)?;
                write(to, at, (*uncertainty_ms).into())
            }
            What::TokenChanged => write(to, at, 12),
            What::Erased { through } => {
                write(to, at, 13)?;
                write(to, at, through.0)
            }
        }
    }

    /// Reads an event from exactly `bytes`.
    ///
    /// # Errors
    /// [`NotAnEvent`] for anything that [`Event::write`] does not make.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAnEvent> {
        let mut at = 0;
        match Self::read_fields(bytes, &mut at) {
            Some(event) if at == bytes.len() => Ok(event),
            _ => Err(NotAnEvent),
        }
    }

    fn read_fields(from: &[u8], at: &mut usize) -> Option<Self> {
        Some(Self {
            number: read(from, at)?,
            boot: read(from, at)?.try_into().ok()?,
            uptime_ms: read(from, at)?,
            what: match read(from, at)? {
                0 => What::Started {
                    reason: read_reason(from, at)?,
                    next: Seq(read(from, at)?),
                },
                1 => What::Anchor {
                    utc_ms: read_signed(from, at)?,
                    uncertainty_ms: read(from, at)?.try_into().ok()?,
                },
                2 => What::Lost {
                    first: Seq(read(from, at)?),
                    count: read(from, at)?,
                    energy: read_each(from, at, read_energy)?,
                },
                3 => What::SetUp,
                4 => What::ConfigChanged {
                    version: read(from, at)?.try_into().ok()?,
                },
                5 => What::StorageFault,
                6 => What::Calibrated {
                    version: read(from, at)?.try_into().ok()?,
                    utc_ms: read_signed(from, at)?,
                    channels: read_each(from, at, read_scale)?,
                },
                7 => What::FirmwareTaken {
                    version: read_version(from, at)?,
                },
                8 => What::FirmwareConfirmed {
                    version: read_version(from, at)?,
                },
                9 => What::FirmwareLeft {
                    version: read_version(from, at)?,
                },
                10 => What::SettingsForgotten,
                11 => What::Continued {
                    uptime_ms: read(from, at)?,
                    uncertainty_ms: read(from, at)?.try_into().ok()?,
                },
                12 => What::TokenChanged,
                13 => What::Erased {
                    through: Seq(read(from, at)?),
                },
                _ => return None,
            },
        })
    }
}

fn read_reason(from: &[u8], at: &mut usize) -> Option<ResetReason> {
    Some(match read(from, at)? {
        0 => ResetReason::PowerOn,
        1 => ResetReason::Software,
        2 => ResetReason::Watchdog,
        3 => ResetReason::Brownout,
        4 => ResetReason::Unknown,
        5 => ResetReason::Panic,
        6 => ResetReason::StackOverflow,
        _ => return None,
    })
}

fn write_version(to: &mut [u8], at: &mut usize, kind: u64, version: &Version) -> Option<()> {
    write(to, at, kind)?;
    write(to, at, version.len() as u64)?;
    to.get_mut(*at..)?
        .get_mut(..version.len())?
        .copy_from_slice(version.as_bytes());
    *at += version.len();
    Some(())
}

fn read_version(from: &[u8], at: &mut usize) -> Option<Version> {
    let length = usize::try_from(read(from, at)?).ok()?;
    let bytes = from.get(*at..)?.get(..length)?;
    *at += length;
    if !bytes.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    core::str::from_utf8(bytes).ok()?.try_into().ok()
}

/// Reads a number of channels and as many entries.
fn read_each<T>(
    from: &[u8],
    at: &mut usize,
    read_one: fn(&[u8], &mut usize) -> Option<T>,
) -> Option<Vec<T, CHANNELS_MAX>> {
    let mut each = Vec::new();
    for _ in 0..read(from, at)? {
        each.push(read_one(from, at)?).ok()?;
    }
    Some(each)
}

fn read_energy(from: &[u8], at: &mut usize) -> Option<Registers> {
    Some(Registers {
        import_mj: read(from, at)?,
        export_mj: read(from, at)?,
    })
}

fn write_scale(to: &mut [u8], at: &mut usize, scale: &ChannelScale) -> Option<()> {
    write(to, at, scale.voltage_nv_per_code.into())?;
    write(to, at, scale.current_na_per_code.into())?;
    write_signed(to, at, scale.current_skew_ns.into())?;
    write(to, at, scale.current_noise_na.into())?;
    write(to, at, scale.no_load_mw.into())
}

fn read_scale(from: &[u8], at: &mut usize) -> Option<ChannelScale> {
    Some(ChannelScale {
        voltage_nv_per_code: read(from, at)?.try_into().ok()?,
        current_na_per_code: read(from, at)?.try_into().ok()?,
        current_skew_ns: read_signed(from, at)?.try_into().ok()?,
        current_noise_na: read(from, at)?.try_into().ok()?,
        no_load_mw: read(from, at)?.try_into().ok()?,
    })
}

/// Energies in JSON: one `{"import_mj":…,"export_mj":…}` a channel.
mod energy_json {
    use serde::{Deserializer, Serializer};

    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "Registers")]
    struct Fields {
        import_mj: u64,
        export_mj: u64,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Energy(#[serde(with = "Fields")] Registers);

    pub(super) fn serialize<S: Serializer>(
        energy: &RegisterSet,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(energy.iter().map(|&channel| Energy(channel)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<RegisterSet, D::Error> {
        let channels = Vec::<Energy, CHANNELS_MAX>::deserialize(deserializer)?;
        Ok(channels
            .into_iter()
            .map(|Energy(channel)| channel)
            .collect())
    }
}
