//! One step of a calibration: begun, waited for, told of with what it changed.
//!
//! The capture is the meter's: it goes on when nobody waits for it, and a connection that breaks for a moment does it no
//! harm. What became of it can be read later by [`Session::calibration`], until the meter restarts.

use std::time::{Duration, Instant};

use protocol::messages::{
    Calibrate, CalibrationState, CalibrationStep, CaptureOutcome, CaptureState,
};

use crate::{
    Kind,
    client::{ClientError, Session},
};

/// How often the meter is asked how far it is.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// How long nothing may be heard of a capture that goes on.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a step changed nothing, as far as is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// The meter did not answer, or declined to begin.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no such channel.
    #[error("there is no channel {channel}: the meter's channels are 1 to {channels}")]
    NoChannel {
        /// The one that was asked for, counted from 1.
        channel: u8,
        /// How many the meter has.
        channels: usize,
    },
    /// What was captured does not fit; the calibration is as it was.
    #[error("the meter did not take it: {reason}")]
    Refused {
        /// The step.
        step: CalibrationStep,
        /// The meter's word for programs.
        code: String,
        /// The meter's sentence for people.
        reason: String,
    },
    /// The meter does not know of the capture any more.
    #[error("the meter restarted or began another capture before this one was seen to end")]
    Lost,
    /// The meter answers, but captures nothing.
    #[error("the meter has captured nothing for {} s", PATIENCE.as_secs())]
    Stalled,
}

impl CalibrateError {
    /// Returns what the error means to the one who asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Client(error) => error.kind(),
            Self::NoChannel { .. } => Kind::NotFound,
            Self::Refused { .. } | Self::Lost | Self::Stalled => Kind::Failed,
        }
    }
}

/// What a step changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calibrated {
    /// What was in force before it.
    pub before: CalibrationState,
    /// What is in force now.
    pub after: CalibrationState,
}

/// Does one step and waits for its end; `on_progress` is told of the capture about once a second.
///
/// # Cancellation safety
/// A capture that has begun goes on in the meter and takes effect there.
///
/// # Errors
/// [`CalibrateError`]; after an error of the connection the step may take effect all the same.
pub async fn calibrate(
    session: &Session,
    request: &Calibrate,
    on_progress: &mut (dyn FnMut(&CaptureState) + Send),
) -> Result<Calibrated, CalibrateError> {
    let before = session.calibration().await?;
    let channels = before.channels.len();
    if !(1..=channels).contains(&usize::from(request.channel)) {
        return Err(CalibrateError::NoChannel {
            channel: request.channel,
            channels,
        });
    }
    let mut after = session.calibrate(request).await?;
    if request.step != CalibrationStep::Undo {
        after = end_of(session, request, after, on_progress).await?;
    }
    Ok(Calibrated { before, after })
}

/// Waits until a capture ends; returns what is in force then.
async fn end_of(
    session: &Session,
    request: &Calibrate,
    mut state: CalibrationState,
    on_progress: &mut (dyn FnMut(&CaptureState) + Send),
) -> Result<CalibrationState, CalibrateError> {
    let mut watch = Watch::new(request, Instant::now());
    loop {
        let capture = watch.hear(&state, Instant::now())?;
        on_progress(capture);
        if capture.outcome == CaptureOutcome::Applied {
            return Ok(state);
        }
        state = next(session, watch.heard).await?;
    }
}

/// What is known of a capture that is waited for.
struct Watch {
    channel: u8,
    step: CalibrationStep,
    /// Windows that it had when it last had more.
    windows: u32,
    /// When that was heard.
    heard: Instant,
}

impl Watch {
    fn new(request: &Calibrate, now: Instant) -> Self {
        Self {
            channel: request.channel,
            step: request.step,
            windows: 0,
            heard: now,
        }
    }

    /// Takes what the meter says; returns the capture while it runs and when it was applied.
    fn hear<'a>(
        &mut self,
        state: &'a CalibrationState,
        now: Instant,
    ) -> Result<&'a CaptureState, CalibrateError> {
        let ours = |capture: &&CaptureState| {
            (capture.channel, capture.step) == (self.channel, self.step)
                && capture.windows >= self.windows
        };
        let capture = state.capture.as_ref().filter(ours);
        let capture = capture.ok_or(CalibrateError::Lost)?;
        if capture.outcome == CaptureOutcome::Refused {
            return Err(CalibrateError::Refused {
                step: capture.step,
                code: capture.code.as_str().to_owned(),
                reason: capture.reason.as_str().to_owned(),
            });
        }
        if capture.windows > self.windows {
            (self.windows, self.heard) = (capture.windows, now);
        } else if capture.outcome == CaptureOutcome::Running && now - self.heard >= PATIENCE {
            return Err(CalibrateError::Stalled);
        }
        Ok(capture)
    }
}

/// Reads the state after a while, also where the meter is out of reach for a moment.
async fn next(session: &Session, heard: Instant) -> Result<CalibrationState, ClientError> {
    loop {
        tokio::time::sleep(POLL_EVERY).await;
        match session.calibration().await {
            Err(error) if error.kind() == Kind::Unreachable && heard.elapsed() < PATIENCE => {
                tracing::debug!(device = %session.device(), %error, "out of reach for a moment");
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(windows: u32) -> CalibrationState {
        CalibrationState {
            version: 0,
            utc_ms: 0,
            can_undo: false,
            channels: Default::default(),
            capture: Some(CaptureState {
                channel: 1,
                step: CalibrationStep::NoLoad,
                windows,
                windows_needed: 150,
                outcome: CaptureOutcome::Running,
                code: Default::default(),
                reason: Default::default(),
            }),
        }
    }

    #[test]
    fn a_capture_that_stands_still_is_given_up_and_a_slow_one_is_not() {
        let request = Calibrate {
            channel: 1,
            step: CalibrationStep::NoLoad,
            seconds: 30,
            voltage_mv: None,
            power_mw: None,
            resistive: false,
            utc_ms: 0,
        };
        let begun = Instant::now();
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        let mut watch = Watch::new(&request, begun);
        for (seconds, windows) in [(0, 0), (29, 0), (29, 1), (58, 1), (58, 2), (87, 2)] {
            let said = running(windows);
            let heard = watch.hear(&said, at(seconds));
            assert_eq!(heard.unwrap().windows, windows);
        }
        let said = running(2);
        let stalled = watch.hear(&said, at(88));
        assert!(matches!(stalled, Err(CalibrateError::Stalled)));
    }
}
