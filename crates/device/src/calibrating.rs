//! A calibration on its way: windows are captured beside the measuring, and solved when there are enough.

use core::ops::RangeInclusive;

use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;
use metering::{
    Calibration, Window,
    calibration::{Capture, Reference, Refusal},
};
use protocol::messages::{
    Calibrate, CalibrationState, CalibrationStep, CaptureOutcome, CaptureState, ChannelCalibration,
};

use crate::{
    meter::{Meter, Refused},
    settings::{CalibrationRecord, InvalidSetting},
};

/// Length of a capture in s.
const SECONDS: RangeInclusive<u16> = 30..=600;

/// Windows a second.
const WINDOWS_PER_S: u32 = 5;
/// Windows that are left out at the beginning: what was on before may still be in them.
const SKIPPED: u32 = 5;

/// One capture, running or ended.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Counted from 0.
    pub(crate) channel: usize,
    pub(crate) step: CalibrationStep,
    /// The date, in milliseconds since 1970 in UTC.
    pub(crate) utc_ms: i64,
    /// The calibration that was in force before.
    pub(crate) present: Calibration,
    reference: Reference,
    capture: Capture,
    skipped: u32,
    needed: u32,
    ended: Option<Result<(), Failed>>,
}

/// Why a capture changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// It does not fit.
    Refused(Refusal),
    /// The flash did not take the result.
    Storage,
}

impl Failed {
    fn code(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Storage => "storage",
        }
    }
}

impl core::fmt::Display for Failed {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(formatter),
            Self::Storage => formatter.write_str("the flash did not take it"),
        }
    }
}

impl Session {
    /// Begins a capture of so many seconds.
    pub(crate) fn new(
        channel: usize,
        step: CalibrationStep,
        seconds: u16,
        reference: Reference,
        present: Calibration,
        utc_ms: i64,
    ) -> Self {
        Self {
            channel,
            step,
            utc_ms,
            present,
            reference,
            capture: Capture::default(),
            skipped: 0,
            needed: u32::from(seconds) * WINDOWS_PER_S,
            ended: None,
        }
    }

    /// Calibration that is to be in force meanwhile: noise that is subtracted could not be seen.
    pub(crate) fn meanwhile(&self) -> Calibration {
        match self.step {
            CalibrationStep::NoLoad => Calibration {
                current_noise_na: 0,
                ..self.present
            },
            CalibrationStep::Load | CalibrationStep::Undo => self.present,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.ended.is_none()
    }

    /// Takes a window of its channel.
    pub(crate) fn take(&mut self, window: &Window) {
        if self.skipped < SKIPPED {
            self.skipped += 1;
        } else if self.is_running() {
            self.capture.add(window);
        }
    }

    /// Whether it has what it needs and waits to be ended.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_running() && self.capture.windows() >= self.needed
    }

    /// Solves what was captured.
    pub(crate) fn solve(&self) -> Result<Calibration, Failed> {
        match self.step {
            CalibrationStep::NoLoad => self.capture.solve_no_load(&self.present),
            CalibrationStep::Load | CalibrationStep::Undo => {
                self.capture.solve_load(&self.present, &self.reference)
            }
        }
        .map_err(Failed::Refused)
    }

    pub(crate) fn end(&mut self, result: Result<(), Failed>) {
        self.ended = Some(result);
    }

    pub(crate) fn state(&self) -> CaptureState {
        let mut reason = heapless::String::new();
        let mut code = heapless::String::new();
        let outcome = match self.ended {
            None => CaptureOutcome::Running,
            Some(Ok(())) => CaptureOutcome::Applied,
            Some(Err(failed)) => {
                // The longest word and sentence fit; what would not is left out.
                let _ = code.push_str(failed.code());
                let _ = core::fmt::write(&mut reason, format_args!("{failed}"));
                CaptureOutcome::Refused
            }
        };
        CaptureState {
            channel: self.channel as u8 + 1,
            step: self.step,
            windows: self.capture.windows(),
            windows_needed: self.needed,
            outcome,
            code,
            reason,
        }
    }
}

impl<F: NorFlash> Meter<F> {
    /// Answers `calibrate`: what is in force and how far a capture is.
    pub(crate) fn calibration(&self) -> CalibrationState {
        let settings = self.settings();
        let channels = self.channels.iter();
        CalibrationState {
            version: settings.calibration.version,
            utc_ms: settings.calibration.utc_ms,
            can_undo: settings.calibration.version > 0,
            channels: channels
                .map(|channel| message(&channel.config().calibration))
                .collect(),
            capture: self.session.as_ref().map(Session::state),
        }
    }

    /// Begins a capture, or goes back to the calibration before.
    pub(crate) fn calibrate(
        &mut self,
        request: &Calibrate,
        now_ms: u64,
    ) -> Result<CalibrationState, Refused> {
        if self.session.as_ref().is_some_and(Session::is_running) {
            return Err(Refused::Busy);
        }
        let invalid = Refused::Invalid(InvalidSetting::Calibration);
        if request.step == CalibrationStep::Undo {
            self.undo_calibration(now_ms)?;
            return Ok(self.calibration());
        }
        let channel = usize::from(request.channel).wrapping_sub(1);
        let present = self.channels.get(channel).ok_or(invalid)?;
        let present = present.config().calibration;
        let reference = match (request.step, request.power_mw) {
            (CalibrationStep::Load, None | Some(0)) => return Err(invalid),
            (_, power_mw) => Reference {
                voltage_mv: request.voltage_mv,
                active_power_mw: power_mw.unwrap_or(0),
                resistive: request.resistive,
            },
        };
        if !SECONDS.contains(&request.seconds) || request.voltage_mv == Some(0) {
            return Err(invalid);
        }
        let (step, seconds) = (request.step, request.seconds);
        let session = Session::new(channel, step, seconds, reference, present, request.utc_ms);
        self.put_in_force(channel, session.meanwhile());
        self.session = Some(session);
        Ok(self.calibration())
    }

    /// Ends the capture when it is complete.
    pub(crate) fn conclude_calibration(&mut self, now_ms: u64) {
        let Some(mut session) = self.session.take_if(|session| session.is_complete()) else {
            return;
        };
        let result = session.solve().and_then(|calibration| {
            let mut channels: Vec<_, _> = self
                .channels
                .iter()
                .map(|channel| channel.config().calibration)
                .collect();
            channels[session.channel] = calibration;
            self.keep_calibration(channels, session.utc_ms, now_ms)
                .map_err(|_| Failed::Storage)
        });
        if result.is_err() {
            self.put_in_force(session.channel, session.present);
        }
        session.end(result);
        self.session = Some(session);
    }

    fn undo_calibration(&mut self, now_ms: u64) -> Result<(), Refused> {
        let settings = self.settings();
        if settings.calibration.version == 0 {
            return Err(Refused::NothingToUndo);
        }
        let before = settings.calibration_before.clone();
        let channels = if before.channels.is_empty() {
            self.nominal_calibrations()
        } else {
            before.channels
        };
        self.keep_calibration(channels, before.utc_ms, now_ms)
    }

    /// Writes a new version to flash and, when it is there, puts it in force.
    fn keep_calibration(
        &mut self,
        channels: Vec<Calibration, { protocol::limits::CHANNELS_MAX }>,
        utc_ms: i64,
        now_ms: u64,
    ) -> Result<(), Refused> {
        let mut settings = self.settings().clone();
        let version = settings.calibration.version.saturating_add(1);
        let record = CalibrationRecord {
            version,
            utc_ms,
            channels,
        };
        settings.calibration_before = core::mem::replace(&mut settings.calibration, record);
        self.keep(settings)?;
        self.enforce_calibration(now_ms);
        Ok(())
    }

    /// Puts the calibration that was written to flash in force, and logs it.
    pub(crate) fn enforce_calibration(&mut self, now_ms: u64) {
        let CalibrationRecord {
            version, channels, ..
        } = self.settings.calibration.clone();
        for (index, calibration) in channels.into_iter().enumerate() {
            self.put_in_force(index, calibration);
        }
        self.recorder.calibration = version;
        self.log_calibration(now_ms);
    }

    fn put_in_force(&mut self, channel: usize, calibration: Calibration) {
        // What was solved or rescaled lies in the range that a channel takes; what was in force before was taken before.
        let taken = self.channels[channel].recalibrate(calibration);
        debug_assert!(taken.is_ok());
    }
}

/// Converts metering's type into that of the messages; they are the same.
pub(crate) fn message(calibration: &Calibration) -> ChannelCalibration {
    ChannelCalibration {
        voltage_nv_per_code: calibration.voltage_nv_per_code,
        current_na_per_code: calibration.current_na_per_code,
        current_skew_ns: calibration.current_skew_ns,
        current_noise_na: calibration.current_noise_na,
        no_load_mw: calibration.no_load_mw,
    }
}

#[cfg(test)]
mod tests;
