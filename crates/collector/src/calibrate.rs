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
    let mut windows = 0;
    let mut heard = Instant::now();
    loop {
        let ours = |capture: &&CaptureState| {
            (capture.channel, capture.step) == (request.channel, request.step)
                && capture.windows >= windows
        };
        let capture = state.capture.as_ref().filter(ours);
        let capture = capture.ok_or(CalibrateError::Lost)?;
        on_progress(capture);
        match capture.outcome {
            CaptureOutcome::Applied => return Ok(state),
            CaptureOutcome::Refused => {
                return Err(CalibrateError::Refused {
                    step: capture.step,
                    reason: capture.reason.as_str().to_owned(),
                });
            }
            CaptureOutcome::Running if capture.windows > windows => {
                (windows, heard) = (capture.windows, Instant::now());
            }
            CaptureOutcome::Running if heard.elapsed() >= PATIENCE => {
                return Err(CalibrateError::Stalled);
            }
            CaptureOutcome::Running => {}
        }
        state = next(session, heard).await?;
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
