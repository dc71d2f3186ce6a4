//! The numbered event log: starts, anchors, losses and changes.
//!
//! On flash an event is: number, boot, uptime in ms, kind and the kind's fields, all as varints in the order of the
//! declarations below. In JSON it is `{"number":…,"boot":…,"uptime_ms":…,"what":{"anchor":{…}}}`.

use serde::{Deserialize, Serialize};

use crate::{
    identity::Seq,
    varint::{read, read_signed, write, write_signed},
};

/// Bytes that an event takes on flash at the most.
pub const EVENT_BYTES_MAX: usize = 64;

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
}

/// One entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The calibration changed; readings of this version follow.
    Calibrated {
        /// Version that is now in force.
        version: u16,
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
        match self.what {
            What::Started { reason, next } => {
                write(to, at, 0)?;
                write(to, at, reason as u64)?;
                write(to, at, next.0)
            }
            What::Anchor {
                utc_ms,
                uncertainty_ms,
            } => {
                write(to, at, 1)?;
                write_signed(to, at, utc_ms)?;
                write(to, at, uncertainty_ms.into())
            }
            What::Lost { first, count } => {
                write(to, at, 2)?;
                write(to, at, first.0)?;
                write(to, at, count)
            }
            What::SetUp => write(to, at, 3),
            What::ConfigChanged { version } => {
                write(to, at, 4)?;
                write(to, at, version.into())
            }
            What::StorageFault => write(to, at, 5),
            What::Calibrated { version } => {
                write(to, at, 6)?;
                write(to, at, version.into())
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
                    reason: match read(from, at)? {
                        0 => ResetReason::PowerOn,
                        1 => ResetReason::Software,
                        2 => ResetReason::Watchdog,
                        3 => ResetReason::Brownout,
                        4 => ResetReason::Unknown,
                        _ => return None,
                    },
                    next: Seq(read(from, at)?),
                },
                1 => What::Anchor {
                    utc_ms: read_signed(from, at)?,
                    uncertainty_ms: read(from, at)?.try_into().ok()?,
                },
                2 => What::Lost {
                    first: Seq(read(from, at)?),
                    count: read(from, at)?,
                },
                3 => What::SetUp,
                4 => What::ConfigChanged {
                    version: read(from, at)?.try_into().ok()?,
                },
                5 => What::StorageFault,
                6 => What::Calibrated {
                    version: read(from, at)?.try_into().ok()?,
                },
                _ => return None,
            },
        })
    }
}
