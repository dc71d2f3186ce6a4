//! Samples as text: a header `t_s,v,i`, then a line for each sample.

use std::io::{BufRead, Read as _};

use super::{CURRENT_A_MAX, Limits, LineFault, Recording, RecordingError, VOLTAGE_V_MAX};

/// Length of a line that is still read.
pub(super) const LINE_BYTES_MAX: usize = 256;
/// How far a step may be from the usual one.
const STEP_SHARE_MAX: f64 = 0.01;
/// Steps from which the usual one is taken: their median, so that a few bad ones do not matter.
const PROBED_STEPS: usize = 1_000;
/// Written times that are coarser than this share of a step do not explain an uneven one.
const COARSE_SHARE_MAX: f64 = 0.1;

/// Tells whether a line is the header.
pub(super) fn is_header(line: &[u8]) -> bool {
    // Spreadsheets begin a file with a byte order mark.
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    line.split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .eq([&b"t_s"[..], b"v", b"i"])
}

/// Reads all lines.
pub(super) fn read(mut reader: impl BufRead, limits: Limits) -> Result<Recording, RecordingError> {
    let (mut pairs, mut grid) = (Vec::new(), Grid::default());
    let (mut text, mut read_bytes) = (Vec::new(), 0);
    for line in 1.. {
        text.clear();
        let length = reader
            .by_ref()
            .take(LINE_BYTES_MAX as u64 + 1)
            .read_until(b'\n', &mut text)
            .map_err(RecordingError::Read)?;
        read_bytes += length as u64;
        if length == 0 {
            break;
        }
        let fault = |fault| RecordingError::Line { line, fault };
        if length > LINE_BYTES_MAX {
            return Err(fault(LineFault::TooLong));
        }
        if read_bytes > limits.file_bytes {
            return Err(RecordingError::TooLarge);
        }
        if line == 1 {
            if !is_header(&text) {
                return Err(fault(LineFault::Header));
            }
        } else if !text.trim_ascii().is_empty() {
            let row = Row::parse(&text).map_err(fault)?;
            grid.add(row.time, line)?;
            if pairs.len() == limits.pairs {
                return Err(RecordingError::TooLong);
            }
            pairs.push(row.pair);
        }
    }
    let rate_hz = grid.rate_hz()?;
    match rate_hz {
        Some(rate_hz) => Recording::new(pairs, rate_hz),
        None => Err(RecordingError::TooShort { pairs: pairs.len() }),
    }
}

/// What a line says.
struct Row {
    time: Time,
    /// Volts and amperes.
    pair: [f32; 2],
}

impl Row {
    fn parse(line: &[u8]) -> Result<Self, LineFault> {
        let text = str::from_utf8(line).map_err(|_| LineFault::Columns)?;
        let mut columns = text.split(',').map(str::trim);
        let mut column = || columns.next().ok_or(LineFault::Columns);
        let (time, voltage, current) = (column()?, column()?, column()?);
        if columns.next().is_some() {
            return Err(LineFault::Columns);
        }
        // No range holds a value that is no number.
        let value = |text: &str, max: f64, fault| match text.parse::<f64>() {
            Ok(value) if (-max..=max).contains(&value) => Ok(value as f32),
            _ => Err(fault),
        };
        Ok(Self {
            time: Time::parse(time).ok_or(LineFault::Time)?,
            pair: [
                value(voltage, VOLTAGE_V_MAX, LineFault::Voltage)?,
                value(current, CURRENT_A_MAX, LineFault::Current)?,
            ],
        })
    }
}

/// A time as it was written.
#[derive(Clone, Copy, Debug, Default)]
struct Time {
    at_s: f64,
    /// What its last digit stands for, in s.
    digit_s: f64,
}

impl Time {
    fn parse(text: &str) -> Option<Self> {
        let at_s: f64 = text.parse().ok().filter(|at_s: &f64| at_s.is_finite())?;
        let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let decimals = digits.split_once('.').map_or(0, |(_, part)| part.len());
        let power = exponent.parse::<i32>().unwrap_or(0) as f64 - decimals as f64;
        Some(Self {
            at_s,
            // A time in seconds since 1970 has fewer digits in memory than it may have on paper.
            digit_s: 10_f64.powf(power).max(at_s.abs() * f64::EPSILON),
        })
    }
}

/// The even spacing of the times.
#[derive(Default)]
struct Grid {
    /// The first times, with their lines, until the usual step is known.
    probed: Vec<(Time, usize)>,
    even_s: Option<f64>,
    count: u64,
    first_s: f64,
    last: Time,
}

impl Grid {
    fn add(&mut self, time: Time, line: usize) -> Result<(), RecordingError> {
        match self.even_s {
            Some(even_s) => self.step(time, line, even_s),
            None => {
                self.probed.push((time, line));
                if self.probed.len() > PROBED_STEPS {
                    self.settle()?;
                }
                Ok(())
            }
        }
    }

    /// Takes the usual step from the first times, and checks them.
    fn settle(&mut self) -> Result<(), RecordingError> {
        let probed = std::mem::take(&mut self.probed);
        let mut steps: Vec<f64> = probed
            .windows(2)
            .map(|pair| pair[1].0.at_s - pair[0].0.at_s)
            .collect();
        if steps.is_empty() {
            return Ok(());
        }
        steps.sort_by(f64::total_cmp);
        let even_s = steps[steps.len() / 2];
        self.even_s = Some(even_s);
        for (time, line) in probed {
            self.step(time, line, even_s)?;
        }
        Ok(())
    }

    fn step(&mut self, time: Time, line: usize, even_s: f64) -> Result<(), RecordingError> {
        if self.count == 0 {
            self.first_s = time.at_s;
        } else {
            let step_s = time.at_s - self.last.at_s;
            // Rounding moves each of both times by half a digit.
            let digit_s = Some(time.digit_s.max(self.last.digit_s))
                .filter(|digit_s| *digit_s <= COARSE_SHARE_MAX * even_s)
                .unwrap_or_default();
            let even = (step_s - even_s).abs() <= STEP_SHARE_MAX * even_s + digit_s;
            if !(step_s > 0.0 && even) {
                let fault = LineFault::Uneven {
                    step_us: step_s * 1e6,
                    even_us: even_s * 1e6,
                };
                return Err(RecordingError::Line { line, fault });
            }
        }
        self.count += 1;
        self.last = time;
        Ok(())
    }

    /// Returns the mean rate; `None` without a step.
    fn rate_hz(&mut self) -> Result<Option<f64>, RecordingError> {
        self.settle()?;
        let steps = self.count.saturating_sub(1);
        Ok((steps > 0).then(|| steps as f64 / (self.last.at_s - self.first_s)))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;
    use crate::signal::recording::LIMITS;

    /// A second of samples at a rate, with one line replaced; lines count from 1.
    fn text(rate_hz: u32, replaced: usize, by: &str) -> String {
        let mut text = String::from("t_s,v,i\n");
        for index in 0..rate_hz {
            if index as usize + 2 == replaced {
                writeln!(text, "{by}").unwrap();
            } else {
                let at_s = f64::from(index) / f64::from(rate_hz);
                writeln!(text, "{at_s:.6},{},0.5", index % 3).unwrap();
            }
        }
        text
    }

    fn parse(text: &str) -> Result<Recording, RecordingError> {
        read(text.as_bytes(), LIMITS)
    }

    fn error(text: &str) -> String {
        parse(text).expect_err("no recording").to_string()
    }

    #[test]
    fn lines_become_pairs_and_times_a_rate() {
        let plain = text(2_000, 3, "0.0005, -1e3 ,+2.5");
        let recording = parse(&plain).unwrap();
        assert_eq!(recording.sample_rate_hz(), 2_000);
        assert_eq!(recording.len_us(), 1_000_000);
        assert_eq!(
            recording.pairs()[..3],
            [[0.0, 0.5], [-1e3, 2.5], [2.0, 0.5]]
        );
        let spreadsheet = format!("\u{feff}{}\r\n\r\n", plain.trim_end().replace('\n', "\r\n"));
        assert_eq!(parse(&spreadsheet).unwrap().pairs(), recording.pairs());
        assert_eq!(parse(plain.trim_end()).unwrap().pairs(), recording.pairs());
    }

    #[test]
    fn times_may_be_rounded_to_microseconds_and_begin_anywhere() {
        for rate_hz in [2_000, 8_192, 44_100, 50_000] {
            let recording = parse(&text(rate_hz, 0, "")).unwrap();
            assert_eq!(recording.sample_rate_hz(), rate_hz);
        }
        let mut text = String::from("t_s,v,i\n");
        for index in 0..8_000 {
            let at_s = 1_767_225_600.0 + f64::from(index) / 8_000.0;
            writeln!(text, "{at_s:e},0,0").unwrap();
        }
        assert_eq!(parse(&text).unwrap().sample_rate_hz(), 8_000);
    }

    #[test]
    fn uneven_times_are_refused_with_their_line() {
        // A step of 500 µs that is 1 % longer still passes, and the next one is as much shorter.
        assert!(parse(&text(2_000, 500, "0.249004,0,0")).is_ok());
        for (line, time, said) in [
            (500, "0.249012", "line 500: the time is 512.000 µs"),
            (1_500, "0.748990", "line 1500: the time is 490.000 µs"),
            (1_500, "0.7485", "line 1500: the time is 0.000 µs"),
            (3, "0.5", "line 3: the time is 500000.000 µs"),
        ] {
            let error = error(&text(2_000, line, &format!("{time},0,0")));
            assert!(error.starts_with(said), "{error}");
            assert!(error.ends_with("not 500.000 µs as before"), "{error}");
        }
        // Tenths of milliseconds cannot tell 142.9 µs.
        let coarse: String = (0..7_000)
            .map(|index| format!("{:.4},0,0\n", f64::from(index) / 7_000.0))
            .collect();
        assert!(error(&format!("t_s,v,i\n{coarse}")).starts_with("line "));
    }

    #[test]
    fn wrong_lines_are_refused_with_their_number() {
        let cases = [
            ("1.0,2.0", "three columns"),
            ("1.0,2.0,3.0,4.0", "three columns"),
            ("x,2.0,3.0", "the time is no number"),
            ("inf,2.0,3.0", "the time is no number"),
            ("1,1000.1,0", "the voltage is no number from -1000 to 1000"),
            ("1,NaN,0", "the voltage"),
            ("1,0,-1001", "the current is no number from -1000 to 1000"),
            ("1,0,inf", "the current"),
            ("1,0,", "the current"),
        ];
        for (row, said) in cases {
            let error = error(&text(2_000, 77, row));
            assert!(error.starts_with(&format!("line 77: {said}")), "{error}");
        }
        let long = format!("0,0,{}", "0".repeat(300));
        assert_eq!(
            error(&text(2_000, 9, &long)),
            "line 9: longer than 256 bytes"
        );
        assert_eq!(error("t,v,i\n"), "line 1: the first line is not t_s,v,i");
    }

    #[test]
    fn rate_and_length_have_limits() {
        assert!(error(&text(1_000, 0, "")).contains("sampled at 1000 Hz: 2000 to 50000 Hz"));
        assert!(error(&text(100_000, 0, "")).contains("sampled at 100000 Hz"));
        let second = text(2_000, 0, "");
        let (short, _) = second.trim_end().rsplit_once('\n').unwrap();
        assert!(error(short).contains("1999 samples: less than a second"));
        assert!(error("t_s,v,i\n").contains("0 samples"));
        assert!(error("t_s,v,i\n0,0,0\n").contains("1 samples"));
        let limited = |file_bytes, pairs| {
            let limits = Limits { file_bytes, pairs };
            read(second.as_bytes(), limits)
        };
        let bytes = second.len() as u64;
        assert!(limited(bytes, 2_000).is_ok());
        assert!(matches!(
            limited(bytes - 1, 2_000),
            Err(RecordingError::TooLarge)
        ));
        assert!(matches!(
            limited(bytes, 1_999),
            Err(RecordingError::TooLong)
        ));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            rows in prop::collection::vec("[-+0-9.eE,infa \r]{0,24}|0\\.000[0-9]{1,4},[0-9]{1,5},-?[0-9]", 0..40),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut text = b"t_s,v,i\n".to_vec();
            text.extend_from_slice(rows.join("\n").as_bytes());
            text.extend_from_slice(&bytes);
            prop_assert!(read(&text[..], LIMITS).is_err());
        }
    }
}
