//! A calibration is waited for: through a connection that breaks, until the meter says how it ended.

use std::time::Duration;

use collector::{
    Kind,
    calibrate::{CalibrateError, Calibrated, calibrate},
};
use protocol::messages::{
    Calibrate, CalibrationState, CalibrationStep, CaptureOutcome, CaptureState, ChannelCalibration,
};
use tokio::time::timeout;

use crate::meter::Meter;

const LOAD: Calibrate = Calibrate {
    channel: 1,
    step: CalibrationStep::Load,
    seconds: 30,
    voltage_mv: Some(230_000),
    power_mw: Some(1_150_000),
    resistive: true,
    utc_ms: 1_795_248_000_000,
};

/// What a meter says in the middle of a capture that so far has `windows` of 150.
fn saying(version: u16, windows: u32, outcome: CaptureOutcome) -> CalibrationState {
    let (code, reason) = match outcome {
        CaptureOutcome::Refused => ("unsteady", "the load changed meanwhile"),
        CaptureOutcome::Running | CaptureOutcome::Applied => ("", ""),
    };
    CalibrationState {
        capture: Some(CaptureState {
            channel: 1,
            step: CalibrationStep::Load,
            windows,
            windows_needed: 150,
            outcome,
            code: code.try_into().unwrap(),
            reason: reason.try_into().unwrap(),
        }),
        ..idle(version)
    }
}

fn idle(version: u16) -> CalibrationState {
    let channel = ChannelCalibration {
        voltage_nv_per_code: 250_000_000 + u32::from(version),
        current_na_per_code: 25_000_000,
        current_skew_ns: 0,
        current_noise_na: 0,
        no_load_mw: 0,
    };
    CalibrationState {
        version,
        utc_ms: 0,
        can_undo: version > 0,
        channels: [channel].into_iter().collect(),
        capture: None,
    }
}

fn running(windows: u32) -> CalibrationState {
    saying(0, windows, CaptureOutcome::Running)
}

/// Calibrates with a meter that says these things, and returns the windows that progress was told of too.
async fn calibrated<const N: usize>(
    request: Calibrate,
    said: [Option<CalibrationState>; N],
) -> (Result<Calibrated, CalibrateError>, Vec<u32>, Meter) {
    let meter = Meter::start(0, 10).await;
    meter.inner().calibrations = said.into();
    let mut windows = Vec::new();
    let mut on_progress = |capture: &CaptureState| windows.push(capture.windows);
    let session = meter.session();
    let ending = calibrate(&session, &request, &mut on_progress);
    let ended = timeout(Duration::from_secs(20), ending).await;
    (ended.expect("it ends"), windows, meter)
}

#[tokio::test]
async fn a_capture_is_waited_for_through_a_connection_that_breaks() {
    let applied = saying(1, 150, CaptureOutcome::Applied);
    let said = [
        Some(idle(0)),
        Some(running(0)),
        Some(running(70)),
        None,
        Some(applied.clone()),
    ];
    let (ended, windows, meter) = calibrated(LOAD, said).await;
    let done = ended.unwrap();
    assert_eq!((done.before, done.after), (idle(0), applied));
    assert_eq!(windows, [0, 70, 150]);
    assert_eq!(meter.inner().calibrate, [LOAD]);
}

#[tokio::test]
async fn a_capture_that_does_not_fit_fails_with_the_reason_of_the_meter() {
    let said = [
        Some(idle(0)),
        Some(running(0)),
        Some(saying(0, 150, CaptureOutcome::Refused)),
    ];
    let error = calibrated(LOAD, said).await.0.unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    assert!(
        matches!(&error, CalibrateError::Refused { step: CalibrationStep::Load, code, reason } if code == "unsteady" && reason == "the load changed meanwhile"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_capture_that_the_meter_forgot_is_lost_and_so_is_one_that_began_anew() {
    let mut of_another_step = running(90);
    of_another_step.capture.as_mut().unwrap().step = CalibrationStep::NoLoad;
    for then in [idle(0), running(30), of_another_step] {
        let said = [Some(idle(0)), Some(running(80)), Some(then.clone())];
        let error = calibrated(LOAD, said).await.0.unwrap_err();
        assert!(matches!(error, CalibrateError::Lost), "{error:?} {then:?}");
    }
}

#[tokio::test]
async fn an_unknown_channel_is_not_asked_for() {
    for channel in [0, 2, 255] {
        let request = Calibrate { channel, ..LOAD };
        let (ended, _, meter) = calibrated(request, [Some(idle(0))]).await;
        assert_eq!(ended.unwrap_err().kind(), Kind::NotFound);
        assert_eq!(meter.inner().calibrate, []);
    }
}

#[tokio::test]
async fn going_back_is_not_waited_for_whatever_capture_was_before() {
    let request = Calibrate {
        step: CalibrationStep::Undo,
        ..LOAD
    };
    let said = [
        Some(saying(1, 150, CaptureOutcome::Applied)),
        Some(saying(2, 150, CaptureOutcome::Applied)),
    ];
    let (ended, windows, _) = calibrated(request, said).await;
    assert_eq!(ended.unwrap().after.version, 2);
    assert!(windows.is_empty());
}
