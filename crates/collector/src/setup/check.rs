//! The end of a set-up: the meter is told the time and shows what it measures.

use std::time::Duration;

use protocol::messages::{Clock, Live};

use crate::{
    WallClock,
    client::{ClientError, Session},
    error::Error,
};

/// How often a meter that has just started is asked for its first window, and how long apart.
const READING_TRIES: u32 = 10;
const READING_PAUSE: Duration = Duration::from_millis(300);
/// Below this there is no mains voltage: a tenth of 230 V.
const VOLTAGE_MIN_MV: u32 = 23_000;
/// Noise may show as a few watts to either side.
const REVERSED_MW: i64 = -5_000;

/// What a meter showed at the end of its set-up.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What it was told of the time; `None` where it did not take it.
    pub clock: Option<Clock>,
    /// What it measures.
    pub live: Live,
    /// What does not look right, in the order of the channels.
    pub warnings: Vec<Warning>,
}

/// Something that a person should look at; the meter works all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// The meter did not take the time.
    #[error("the meter did not take the time: {0}")]
    Clock(String),
    /// The meter has measured nothing yet.
    #[error("the meter measures nothing yet: it may have just started")]
    Nothing,
    /// A channel has no voltage.
    #[error("channel {channel}: no voltage; look at its voltage transformer")]
    NoVoltage {
        /// Counted from 1.
        channel: usize,
    },
    /// A channel's power is negative.
    #[error(
        "channel {channel}: power is negative; unless something feeds in, turn its current transformer round"
    )]
    Negative {
        /// Counted from 1.
        channel: usize,
    },
}

/// Tells the meter the time and reads what it measures.
///
/// # Errors
/// Those of the client; the meter stays set up.
pub async fn check(session: &Session, clock: &WallClock) -> Result<Checked, Error> {
    let mut warnings = Vec::new();
    let clock = match session.set_clock(clock).await {
        Ok((told, _)) => Some(told),
        Err(ClientError::Answered { message, .. }) => {
            warnings.push(Warning::Clock(message));
            None
        }
        Err(error) => return Err(error.into()),
    };
    let mut live = session.live().await?;
    for _ in 1..READING_TRIES {
        if live.uptime_ms > 0 && !live.channels.is_empty() {
            break;
        }
        tokio::time::sleep(READING_PAUSE).await;
        live = session.live().await?;
    }
    warnings.extend(doubts(&live));
    Ok(Checked {
        clock,
        live,
        warnings,
    })
}

/// Returns what does not look right in a reading.
fn doubts(live: &Live) -> Vec<Warning> {
    if live.uptime_ms == 0 || live.channels.is_empty() {
        return vec![Warning::Nothing];
    }
    let mut doubts = Vec::new();
    for (channel, values) in (1..).zip(&live.channels) {
        if values.voltage_mv < VOLTAGE_MIN_MV {
            doubts.push(Warning::NoVoltage { channel });
        }
        if values.active_power_mw < REVERSED_MW {
            doubts.push(Warning::Negative { channel });
        }
    }
    doubts
}

#[cfg(test)]
mod tests {
    use protocol::messages::LiveChannel;

    use super::*;

    fn live(voltage_mv: u32, active_power_mw: i64) -> Live {
        let channel = LiveChannel {
            active_power_mw,
            reactive_power_mvar: 0,
            voltage_mv,
            current_ma: 1_000,
            frequency_mhz: 50_000,
            import_mj: 0,
            export_mj: 0,
        };
        Live {
            uptime_ms: 1_000,
            channels: [channel].into_iter().collect(),
        }
    }

    #[test]
    fn a_missing_voltage_and_a_reversed_transformer_are_noticed() {
        assert_eq!(doubts(&live(230_000, 100_000)), []);
        assert_eq!(doubts(&live(230_000, -4_000)), [], "noise");
        let negative = Warning::Negative { channel: 1 };
        assert_eq!(doubts(&live(230_000, -100_000)), [negative]);
        let none = Warning::NoVoltage { channel: 1 };
        assert_eq!(doubts(&live(400, 0)), [none]);
        let fresh = Live {
            uptime_ms: 0,
            ..live(0, 0)
        };
        assert_eq!(doubts(&fresh), [Warning::Nothing]);
    }
}
